"""Records of the DFT runs to one schema-1 store, with the D3(BJ) dispersion added and kept apart."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from dftd3.ase import DFTD3

from mhdnn.data.split import assign_split
from mhdnn.data.store import Dispersion, StoreWriter
from mhdnn.structure import Structure

VALIDATION, TEST, SPLIT_SEED = 0.1, 0.15, 0
ATTRIBUTES = {
    "dispersion": "D3(BJ), PBE parameters, by the package dftd3; included in energy, forces and stress",
    "source": "scripts/generate_dft.py of mhdnn",
    "licence": "CC0-1.0",
}


def dispersion_of(atoms: Atoms) -> Dispersion:
    """D3(BJ) for PBE: energy (eV), forces (eV/Å), stress (eV/Å³)."""
    atoms = atoms.copy()
    atoms.calc = DFTD3(method="PBE", damping="d3bj")
    return Dispersion(float(atoms.get_potential_energy()), atoms.get_forces(), atoms.get_stress())


def structure_of(record: dict[str, Any], dispersion: Dispersion) -> Structure:
    """PBE + D3(BJ) labels of a record."""
    return Structure(
        atomic_numbers=np.array(record["numbers"]),
        positions=np.array(record["positions"]),
        cell=np.array(record["cell"]),
        pbc=np.array(record["pbc"]),
        energy=record["energy"] + dispersion.energy,
        forces=np.array(record["forces"]) + dispersion.forces,
        stress=np.array(record["stress"]) + dispersion.stress,
        group=record["group"],
    )


def write_store(folder: Path, target: Path) -> None:
    """Write every converged record; print how many there are of each family, and what was dropped."""
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not records:
        raise SystemExit(f"{folder}: no records; run `generate_dft.py label {folder}` first")
    converged = [record for record in records if record["converged"]]
    for record in records:
        if not record["converged"]:
            print(f"dropped, not converged: {record['name']} ({record['reason']})")
    split = assign_split([record["group"] for record in converged], VALIDATION, TEST, SPLIT_SEED)
    attributes = {
        **ATTRIBUTES,
        **{key: converged[0][key] for key in ("code", "functional", "settings")},
        "num_dropped_unconverged": str(len(records) - len(converged)),
    }
    with StoreWriter(target, attributes) as writer:
        for record, part in zip(converged, split, strict=True):
            atoms = Atoms(record["numbers"], record["positions"], cell=record["cell"], pbc=record["pbc"])
            dispersion = dispersion_of(atoms)
            writer.append(structure_of(record, dispersion), dispersion, str(part))
    families = Counter(record["group"].split("/")[0] for record in converged)
    for family, count in sorted(families.items()):
        print(f"{family:32s}{count:5d}")
    print(f"{target}: {len(converged)} structures, {len(records) - len(converged)} dropped, {dict(Counter(split))}")
