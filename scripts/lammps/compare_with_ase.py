"""Energy and forces of a structure in a LAMMPS of yours and in ASE: whether they are the same.

    python scripts/lammps/compare_with_ase.py MODEL.pt STRUCTURE --lammps "mpirun -n 2 /path/to/lmp" [--plugin FILE.so]

LAMMPS has the pair style as a package, or loads the plugin. The exit status is 1 where they differ by more than the
round-off of the model's precision.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.io.lammpsdata import Prism, write_lammps_data

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import load_model

ROUND_OFF = {"float32": 1e-4, "float64": 1e-9}
"""Of the largest force, or of the energy."""
INPUT = """\
{plugin}units metal
atom_style atomic
boundary {boundary}
atom_modify map yes
read_data {folder}/atoms.data
pair_style mhdnn extrapolation off
pair_coeff * * {model} {elements}
run 0
print "ENERGY $(pe:%.17g)"
write_dump all custom {folder}/forces.dump id fx fy fz modify sort id format float %.17g
"""


def in_lammps(atoms: Atoms, model: Path, command: str, plugin: Path | None) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (eV/Å) in ASE's frame."""
    elements = sorted(set(atoms.symbols))
    prism = Prism(atoms.cell.complete()[:], pbc=atoms.pbc)
    with tempfile.TemporaryDirectory() as folder:
        script = INPUT.format(
            plugin=f"plugin load {plugin.resolve()}\n" if plugin else "",
            boundary=" ".join("p" if periodic else "s" for periodic in atoms.pbc),
            model=model.resolve(),
            elements=" ".join(elements),
            folder=folder,
        )
        write_lammps_data(
            Path(folder) / "atoms.data", atoms, specorder=elements, masses=True, atom_style="atomic", prismobj=prism
        )
        (Path(folder) / "in.lammps").write_text(script)
        run = [*shlex.split(command), "-in", f"{folder}/in.lammps", "-log", "none"]
        result = subprocess.run(run, capture_output=True, text=True, check=False)
        if result.returncode:
            sys.exit(f"{command}: LAMMPS failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
        energy = next(line for line in result.stdout.splitlines() if line.startswith("ENERGY"))
        forces = np.loadtxt(Path(folder) / "forces.dump", skiprows=9, ndmin=2)[:, 1:]
    return float(energy.split()[1]), prism.vector_to_ase(forces)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("structure", type=Path, help="what ASE reads")
    parser.add_argument("--lammps", default="lmp", help="the command that starts it")
    parser.add_argument("--plugin", type=Path, help="as `mhdnn lammps build` prints it")
    arguments = parser.parse_args()
    atoms = ase.io.read(arguments.structure)
    energy, forces = in_lammps(atoms, arguments.model, arguments.lammps, arguments.plugin)
    atoms.calc = MHDNNCalculator(arguments.model)
    of_energy = abs(energy / atoms.get_potential_energy() - 1.0)
    expected = atoms.get_forces()
    of_forces = np.abs(forces - expected).max() / np.abs(expected).max()
    print(f"{len(atoms)} atoms: energies differ by {of_energy:.1e}, forces by {of_forces:.1e}, relative")
    if not max(of_energy, of_forces) < ROUND_OFF[load_model(arguments.model)[1]["dtype"]]:
        sys.exit("LAMMPS and ASE disagree")


if __name__ == "__main__":
    main()
