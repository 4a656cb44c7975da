"""Records of the DFT runs to the bundled files, with the D3(BJ) dispersion added and kept apart."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from dft import interface

from mhdnn.data.split import assign_split
from mhdnn.data.store import Dispersion, StoreReader, StoreWriter
from mhdnn.dispersion import DispersionCorrection
from mhdnn.structure import Structure

VALIDATION, TEST, SPLIT_SEED = 0.1, 0.15, 0
SAME_POSITION = 1e-6  # Å; records are drawn from the same seed, perhaps by another version of numpy
DISPERSION = DispersionCorrection("bj", "pbe")
ATTRIBUTES = {
    "dispersion": str(DISPERSION),
    "source": "scripts/generate_dft.py of mhdnn",
    "licence": "CC0-1.0",
}


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
        total_charge=0.0,
    )


def read_records(folder: Path) -> list[dict[str, Any]]:
    """All records in the order of their names; prints which did not converge."""
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not records:
        raise SystemExit(f"{folder}: no records; run `generate_dft.py label {folder}` first")
    for record in records:
        if not record["converged"]:
            print(f"dropped, not converged: {record['name']} ({record['reason']})")
    return records


def atoms_of(record: dict[str, Any]) -> Atoms:
    return Atoms(record["numbers"], record["positions"], cell=record["cell"], pbc=record["pbc"])


def write_store(folder: Path, target: Path) -> None:
    """Write every converged record; print how many there are of each family, and what was dropped."""
    records = read_records(folder)
    converged = [record for record in records if record["converged"]]
    split = assign_split([record["group"] for record in converged], VALIDATION, TEST, SPLIT_SEED)
    attributes = {
        **ATTRIBUTES,
        **{key: converged[0][key] for key in ("code", "functional", "settings")},
        "energy_kind": "free",
        "num_dropped_unconverged": str(len(records) - len(converged)),
    }
    with StoreWriter(target, attributes) as writer:
        for record, part in zip(converged, split, strict=True):
            dispersion = DISPERSION.labels(atoms_of(record))
            writer.append(structure_of(record, dispersion), dispersion, str(part))
    print_families(converged)
    print(f"{target}: {len(converged)} structures, {len(records) - len(converged)} dropped, {parts_of(split)}")


def append_records(folder: Path, target: Path) -> None:
    """Write a store again with every converged record at its end, split by themselves; all else stays as it was."""
    records = read_records(folder)
    converged = [record for record in records if record["converged"]]
    reader = StoreReader(target)
    known = {record["group"] for record in converged} & set(reader.groups)
    if known:
        raise SystemExit(f"{target}: has groups of {folder} already ({', '.join(sorted(known)[:3])}); append them once")
    dropped = int(reader.attributes["num_dropped_unconverged"]) + len(records) - len(converged)
    split = assign_split([record["group"] for record in converged], VALIDATION, TEST, SPLIT_SEED)
    with StoreWriter(target, {**reader.attributes, "num_dropped_unconverged": str(dropped)}) as writer:
        for frame in reader.frames():
            stored = frame()
            writer.append(stored.structure, stored.dispersion, stored.split)
        for record, part in zip(converged, split, strict=True):
            dispersion = DISPERSION.labels(atoms_of(record))
            writer.append(structure_of(record, dispersion), dispersion, str(part))
    print_families(converged)
    print(f"{target}: {len(reader)} structures and {len(converged)} more, {parts_of(split)}")


def parts_of(split: np.ndarray) -> dict[str, int]:
    """How many structures there are of each part."""
    return dict(Counter(split.tolist()))


def print_families(records: list[dict[str, Any]]) -> None:
    """How many records there are of each family."""
    families = Counter(record["group"].split("/")[0] for record in records)
    for family, count in sorted(families.items()):
        print(f"{family:32s}{count:5d}")


def add_charges(folder: Path, target: Path) -> None:
    """Write a store again with the charges of the records, zero total charge and all else as it was.

    What the grid lacks of the total charge is spread evenly. Structures are told by their group and positions.
    """
    records = [record for record in read_records(folder) if record["converged"]]
    by_group: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_group.setdefault(record["group"], []).append(record)
    reader = StoreReader(target)
    schemes = {key: records[0][key] for key in ("charge_scheme", "charge_settings")}
    missing, counts = [], Counter()
    with StoreWriter(target, {**reader.attributes, **schemes}) as writer:
        for index in range(len(reader)):
            structure, dispersion, part, *_ = reader.record(index)
            found = [
                np.array(record["charges"])
                for record in by_group.get(structure.group, [])
                if np.shape(record["positions"]) == structure.positions.shape
                and np.abs(record["positions"] - structure.positions).max() < SAME_POSITION
            ]
            if found:
                (charges,) = found
                missing.append(charges.sum())
                structure = replace(structure, charges=charges - charges.mean())
                counts[structure.group.split("/")[0]] += 1
            writer.append(structure, dispersion, part)
    for family, count in sorted(counts.items()):
        print(f"{family:32s}{count:5d}")
    print(
        f"{target}: {counts.total()} of {len(reader)} structures have charges; sums on the grid up to "
        f"{np.abs(missing).max():.1e} e"
    )


def write_interface(folder: Path, target: Path) -> None:
    """Write every converged record of an interface as extended XYZ, with its D3(BJ) part."""
    told = {candidate.name: candidate.atoms.info for candidate in interface.candidates()}
    images = []
    for record in read_records(folder):
        if not record["converged"]:
            continue
        atoms = atoms_of(record)
        part = DISPERSION.labels(atoms)
        atoms.info = {**told[record["name"]], "group": record["group"]}
        atoms.info |= {"dispersion_energy": part.energy, "dispersion_stress": part.stress}
        atoms.arrays["dispersion_forces"] = part.forces
        labels = structure_of(record, part)
        atoms.calc = SinglePointCalculator(atoms, energy=labels.energy, forces=labels.forces, stress=labels.stress)
        images.append(atoms)
    aside = target.with_suffix(".part")
    write(aside, images, format="extxyz")
    aside.replace(target)
    print(f"{target}: {len(images)} of {len(told)} points")
