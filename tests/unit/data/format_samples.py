"""Samples of the formats in `mhdnn.data.formats` and of the dataset file: two frames of sodium chloride."""

from __future__ import annotations

from pathlib import Path

import ase.db
import ase.io
import h5py
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.data.ase_bridge import structure_from_atoms
from mhdnn.data.store import Dispersion, StoreWriter

ENERGIES = (-7.5, -7.25)
FORCES = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
STRESS = np.array([0.01, 0.02, 0.03, 0.004, 0.005, 0.006])
CHARGES = np.array([0.85, -0.85])
CELL = np.array([[4.0, 0.0, 0.0], [0.5, 5.0, 0.0], [0.0, 0.0, 6.0]])
POSITIONS = np.array([[0.0, 0.1, 0.2], [2.0, 2.5, 3.0]])


def atoms(frame: int) -> Atoms:
    result = Atoms("NaCl", POSITIONS + 0.01 * frame, cell=CELL, pbc=True)
    labels = {"energy": ENERGIES[frame], "forces": FORCES, "stress": STRESS, "charges": CHARGES}
    result.calc = SinglePointCalculator(result, **labels)
    result.info = {"total_charge": 0.0, "group": "salt/1"}
    return result


def extxyz(folder: Path) -> Path:
    text = ""
    for frame in range(2):
        a, b, c, d, e, f = STRESS
        text += (
            f'2\nLattice="{" ".join(map(str, CELL.ravel()))}" '
            "Properties=species:S:1:pos:R:3:forces:R:3:charges:R:1 "
            f'energy={ENERGIES[frame]} stress="{a} {f} {e} {f} {b} {d} {e} {d} {c}" total_charge=0 group=salt/1 '
            'pbc="T T T"\n'
        )
        for symbol, position, force, charge in zip(("Na", "Cl"), POSITIONS, FORCES, CHARGES, strict=True):
            text += " ".join([symbol, *map(str, [*(position + 0.01 * frame), *force, charge])]) + "\n"
    (folder / "salt.xyz").write_text(text)
    return folder / "salt.xyz"


def ase_db(folder: Path) -> Path:
    with ase.db.connect(folder / "salt.db") as database:
        for frame in range(2):
            database.write(atoms(frame), total_charge=0.0, group="salt/1")
    return folder / "salt.db"


def trajectory(folder: Path) -> Path:
    ase.io.write(folder / "salt.traj", [atoms(0), atoms(1)])
    return folder / "salt.traj"


def xsf(folder: Path) -> Path:
    rows = zip(("Na", "Cl"), POSITIONS, FORCES, strict=True)
    lines = [" ".join([symbol, *map(str, [*position, *force])]) for symbol, position, force in rows]
    vectors = "\n".join(" ".join(map(str, vector)) for vector in CELL)
    head = f"# total energy = {ENERGIES[0]} eV\n\nCRYSTAL\nPRIMVEC\n{vectors}\nPRIMCOORD\n2 1\n"
    (folder / "salt.xsf").write_text(head + "\n".join(lines) + "\n")
    return folder / "salt.xsf"


def chargemol(folder: Path) -> Path:
    vectors = ", ".join("{ " + " ".join(map(str, vector)) + " }" for vector in CELL)
    rows = zip(("Na", "Cl"), POSITIONS, CHARGES, strict=True)
    lines = [" ".join([symbol, *map(str, [*position, charge])]) for symbol, position, charge in rows]
    head = f'  2\njmolscript: load "" {{1 1 1}} spacegroup "x,y,z" unitcell [{vectors}]\n'
    path = folder / "DDEC6_even_tempered_net_atomic_charges.xyz"
    path.write_text(head + "\n".join(lines) + "\n\n Chargemol version 3.5\nSee ddec.sourceforge.net\n")
    return path


def n2p2(folder: Path) -> Path:
    text = ""
    for frame in range(2):
        text += "begin\ncomment salt\n" + "".join(f"lattice {' '.join(map(str, vector))}\n" for vector in CELL)
        for symbol, position, force, charge in zip(("Na", "Cl"), POSITIONS, FORCES, CHARGES, strict=True):
            place, pull = " ".join(map(str, position + 0.01 * frame)), " ".join(map(str, force))
            text += f"atom {place} {symbol} {charge} 0.0 {pull}\n"
        text += f"energy {ENERGIES[frame]}\ncharge 0.0\nend\n"
    (folder / "input.data").write_text(text)
    return folder / "input.data"


def deepmd(folder: Path) -> Path:
    part = folder / "salt" / "set.000"
    part.mkdir(parents=True)
    (folder / "salt" / "type.raw").write_text("0\n1\n")
    (folder / "salt" / "type_map.raw").write_text("Na\nCl\n")
    a, b, c, d, e, f = STRESS
    virial = -abs(np.linalg.det(CELL)) * np.array([[a, f, e], [f, b, d], [e, d, c]])
    np.save(part / "coord.npy", np.array([(POSITIONS + 0.01 * frame).ravel() for frame in range(2)]))
    for name, row in (("box", CELL), ("force", FORCES), ("virial", virial)):
        np.save(part / f"{name}.npy", np.array([row.ravel()] * 2))
    np.save(part / "energy.npy", np.array(ENERGIES))
    return folder / "salt"


def molecules(folder: Path) -> Path:
    arrays = (
        ("conformations", np.array([POSITIONS, POSITIONS + 0.01]), "angstrom"),
        ("dft_total_energy", np.array(ENERGIES), "eV"),
        ("dft_total_gradient", -np.array([FORCES, FORCES]), "eV/angstrom"),
        ("mbis_charges", np.array([CHARGES, CHARGES])[..., None], "e"),
    )
    with h5py.File(folder / "salt.hdf5", "w") as file:
        file["NaCl/atomic_numbers"] = [11, 17]
        file["NaCl/total_charge"] = 0.0
        for name, array, unit in arrays:
            file[f"NaCl/{name}"] = array
            file[f"NaCl/{name}"].attrs["units"] = unit
    return folder / "salt.hdf5"


def dataset(folder: Path) -> Path:
    with StoreWriter(folder / "salt.h5", {"functional": "PBE", "energy_kind": "free"}) as writer:
        for frame, split in ((0, "train"), (1, "test")):
            part = Dispersion(energy=-0.1, forces=0.1 * FORCES, stress=0.1 * STRESS)
            writer.append(structure_from_atoms(atoms(frame)), part, split)
    return folder / "salt.h5"


FORMAT_SAMPLES = {
    "extxyz": extxyz,
    "ase-db": ase_db,
    "ase": trajectory,
    "xsf": xsf,
    "chargemol": chargemol,
    "n2p2": n2p2,
    "deepmd": deepmd,
    "molecules": molecules,
    "mhdnn": dataset,
}
