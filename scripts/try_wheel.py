"""An installed mhdnn, away from any checkout: operators of the wheel, bundled data, a training, a calculation.

    python scripts/try_wheel.py [--any-operators]     in the environment that the wheel is installed into

Without the option the operators must be those that the wheel brought: no compiler is looked for.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

SHORT = (
    "trainer.max_epochs=1", "charges.max_epochs=1", "charges.joint_epochs=1", "descriptor=legendre",
    "descriptor.angular.legendre.max_degree=1", "network.hidden=[8]", "report=false",
    "trainer.enable_progress_bar=false",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--any-operators", action="store_true")
    any_operators = parser.parse_args().any_operators
    if not any_operators:
        os.environ.update(PATH="", CXX="")  # there is no compiler
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["TORCH_EXTENSIONS_DIR"] = f"{folder}/cache"
        try_in(Path(folder), any_operators)


def try_in(folder: Path, any_operators: bool) -> None:
    from mhdnn.cli import main as mhdnn

    sys.argv = ["mhdnn"]
    assert mhdnn(["data", "bundled"]) == 0
    assert mhdnn(["train", "experiment=carbon_chains", "hydra.run.dir=run", *SHORT]) == 0
    from mhdnn import MHDNNCalculator
    from mhdnn.data.ase_bridge import atoms_from_structure
    from mhdnn.data.bundled import bundled_path
    from mhdnn.data.store import StoreReader
    from mhdnn.kernels import operator_state

    state = operator_state()
    assert state.kind == "compiled", state
    assert any_operators or state.library.parent.name == "compiled", state
    atoms = atoms_from_structure(StoreReader(bundled_path("carbon_chains.h5"))[0])
    atoms.calc = MHDNNCalculator(folder / "run/model.pt")
    print(f"{atoms.get_potential_energy():.6f} eV with {state.library}")


if __name__ == "__main__":
    main()
