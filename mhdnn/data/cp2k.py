"""Reading the text output of CP2K single points (``RUN_TYPE ENERGY_FORCE``), versions 6 to 2025.

CP2K prints the cell to a thousandth of an Å; each vector is scaled to its length, which has more digits.
Runs with many steps print positions elsewhere and are refused.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mhdnn.data.ase_bridge import voigt_stress
from mhdnn.errors import DataError
from mhdnn.structure import Structure
from mhdnn.units import BOHR, GPA_PER_EV_PER_CUBIC_ANGSTROM, HARTREE

NUMBER = r"([-+]?\d*\.\d+(?:[EeDd][-+]?\d+)?)"
THREE = rf"\s+{NUMBER}\s+{NUMBER}\s+{NUMBER}"
ENERGY = re.compile(rf"ENERGY\| Total FORCE_EVAL.*?\s{NUMBER}\s*$", re.MULTILINE)
CELL = re.compile(rf"^ CELL\| Vector [abc] \[angstrom\]:{THREE}\s+\|[abc]\|\s*=\s*{NUMBER}", re.MULTILINE)
PERIODICITY = re.compile(r"^ (?:CELL|POISSON)\| Periodicity\s+(\w+)", re.MULTILINE)
COORDINATES = re.compile(r"ATOMIC COORDINATES IN ANGSTROM(.*?)(?:\n\s*\n\s*\n|SCF PARAM)", re.DOTALL | re.I)
COORDINATE = re.compile(rf"^\s+\d+\s+\d+\s+[A-Z][a-z]?\s+(\d+){THREE}", re.MULTILINE)
OLD_FORCES = re.compile(rf"^\s+\d+\s+\d+\s+\S+{THREE}\s*$", re.MULTILINE)
NEW_FORCES = re.compile(rf"^ FORCES\|\s+\d+{THREE}\s+{NUMBER}\s*$", re.MULTILINE)
STRESS = re.compile(r"(?:STRESS\| \w+ stress tensor|STRESS TENSOR) \[(\w+)\]", re.I)
STRESS_ROW = re.compile(rf"^\s*(?:STRESS\|)?\s+[xyz]{THREE}\s*$", re.MULTILINE | re.I)
CHARGE = re.compile(r"DFT\| Charge\s+([-+]?\d+)")
GPA_PER_STRESS_UNIT = {"gpa": 1.0, "bar": 1e-4, "kbar": 0.1}


def read_structure(path: Path, group: str) -> Structure:
    """The structure and labels of a single-point output.

    :raises DataError: if the calculation did not converge, has several steps, or lacks coordinates
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    energies = ENERGY.findall(text)
    if len(energies) != 1:
        raise DataError(
            f"{path}: expected one line `ENERGY| Total FORCE_EVAL`, found {len(energies)}; only complete "
            "single points can be read, convert trajectories to extxyz first"
        )
    if "SCF run NOT converged" in text:
        raise DataError(f"{path}: the SCF run did not converge; repeat the calculation or leave it out")
    block = COORDINATES.search(text)
    atoms = COORDINATE.findall(block.group(1)) if block else []
    vectors = np.array(CELL.findall(text)[-3:]).astype(float)
    if not atoms or vectors.shape != (3, 4):
        raise DataError(
            f"{path}: expected atomic coordinates in Å and three `CELL| Vector` lines, found "
            f"{len(atoms)} atoms and {len(vectors)} vectors; use print level MEDIUM in CP2K"
        )
    rows = np.array(atoms).astype(float)
    charge = CHARGE.search(text)
    return Structure(
        atomic_numbers=rows[:, 0].astype(np.int64),
        positions=rows[:, 1:],
        cell=vectors[:, :3] * (vectors[:, 3] / np.linalg.norm(vectors[:, :3], axis=1))[:, None],
        pbc=_periodic(text),
        energy=float(energies[0]) * HARTREE,
        forces=_forces(text, len(atoms), path),
        stress=_stress(text, path),
        total_charge=float(charge.group(1)) if charge else None,
        group=group,
    )


def _periodic(text: str) -> np.ndarray:
    found = PERIODICITY.search(text)
    return np.array([axis in found.group(1).upper() for axis in "XYZ"]) if found else np.full(3, True)


def _forces(text: str, num_atoms: int, path: Path) -> np.ndarray | None:
    rows = [row[:3] for row in NEW_FORCES.findall(text)]
    start = text.find("ATOMIC FORCES in [a.u.]")
    if start >= 0:
        rows = OLD_FORCES.findall(text[start : text.find("SUM OF ATOMIC FORCES", start)])
    if not rows:
        return None
    if len(rows) != num_atoms:
        raise DataError(f"{path}: expected forces of {num_atoms} atoms, found {len(rows)}; the file is cut")
    return np.array(rows).astype(float) * HARTREE / BOHR


def _stress(text: str, path: Path) -> np.ndarray | None:
    found = STRESS.search(text)
    if found is None:
        return None
    unit = found.group(1).lower()
    rows = STRESS_ROW.findall(text[found.end() :])[:3]
    if unit not in GPA_PER_STRESS_UNIT or len(rows) != 3:
        raise DataError(
            f"{path}: expected a 3x3 stress tensor in {', '.join(GPA_PER_STRESS_UNIT)}, found "
            f"{len(rows)} rows in {found.group(1)}; set STRESS_UNIT in CP2K"
        )
    tensor = np.array(rows).astype(float) * GPA_PER_STRESS_UNIT[unit]
    return -voigt_stress(tensor, str(path)) / GPA_PER_EV_PER_CUBIC_ANGSTROM  # CP2K: compression positive
