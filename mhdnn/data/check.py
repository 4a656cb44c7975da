"""What a dataset holds, and what looks wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase.data import chemical_symbols

from mhdnn.data.compositions import remedy, undetermined
from mhdnn.data.consistency import Consistency
from mhdnn.data.store import StoreReader
from mhdnn.errors import DataError
from mhdnn.neighbors import nearest_ratio
from mhdnn.structure import LABELS, Structure, family_of
from mhdnn.units import BOHR, GPA_PER_EV_PER_CUBIC_ANGSTROM, MEV_PER_EV

CLOSE_RATIO = 0.6
"""Atoms nearer than this times the sum of their covalent radii are suspicious."""
COINCIDENT_RATIO = 0.05
"""Atoms nearer than this are at the same place: no model can be trained on them."""
FAR_AWAY = 1000.0
"""Å beyond the cell from the middle of the atoms; nothing sensible is there."""
DUPLICATE_RESOLUTION = 1e-5
"""Positions and cells that agree to this, in Å, are the same."""
DUPLICATE_ENERGY = 1e-3
"""Energies of the same structure that differ by more, in eV/atom, contradict each other."""
LARGE_NET_FORCE = 0.01
"""Net force divided by the number of atoms, eV/Å."""
LARGE_FORCE = 100.0
"""eV/Å; converged calculations of sensible structures stay below."""
LARGE_STRESS = 100.0
"""Root mean square in GPa above which stress is more likely in other units."""
SMALL_ENERGY = 0.3
"""|energy| per atom in eV below which energies are more likely in Hartree or relative to something."""
ELECTRON_COUNT = 0.5
"""Mean charge of an atom, e, where none is negative: numbers of electrons rather than charges."""
LARGE_CHARGE_ERROR = 0.05
"""Difference of the sum of charges from the total charge, e."""
OUTLIER_SCORE = 15.0
"""Robust z-score of the energy after element reference energies are subtracted."""
SMALLEST_SPREAD = 1e-3
"""eV/atom; spreads of nearly equal structures are not taken to be smaller."""
MEDIAN_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
SAMPLED_FOR_UNITS = 100
"""Structures whose bond lengths are compared with covalent radii."""
BOND_RATIOS = (0.6, 1.6)
"""Range of nearest distance over covalent radii that structures in Å have; bohr gives 1.9 times more."""


@dataclass
class CheckReport:
    """Contents of a dataset and everything suspicious, with structure indices.

    :param labels: structures that have each label
    :param energy_per_atom: smallest, median and largest, eV
    :param force_rms: root mean square of force components, eV/Å
    :param force_max: largest force on an atom, eV/Å
    :param stress_range: smallest and largest component, GPa
    :param duplicates: pairs (first, later) of the same structure
    :param net_force: structures whose forces do not sum to zero
    :param close_atoms: structures with atoms too close
    :param energy_outliers: structures whose energy does not fit the others
    :param errors: what makes the dataset unusable as it is
    :param warnings: what deserves a look
    """

    path: Path
    attributes: dict[str, str]
    num_structures: int = 0
    num_atoms: int = 0
    elements: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    num_groups: int = 0
    split: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    energy_per_atom: tuple[float, float, float] | None = None
    force_rms: float | None = None
    force_max: float | None = None
    stress_range: tuple[float, float] | None = None
    duplicates: list[tuple[int, int]] = field(default_factory=list)
    net_force: list[int] = field(default_factory=list)
    close_atoms: list[int] = field(default_factory=list)
    energy_outliers: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check(path: str | Path) -> CheckReport:
    """Go through a dataset once and report what it holds and what is suspicious.

    Broken structures are errors of the report, not exceptions.

    :raises DataError: if the file as a whole can't be read
    """
    with np.errstate(over="ignore", invalid="ignore"):  # numbers may be absurd
        return _surveyed(StoreReader(path))


def _surveyed(reader: StoreReader) -> CheckReport:
    survey = _Survey(reader)
    for index, frame in enumerate(reader.frames()):
        try:
            structure = frame().structure
        except DataError as error:
            survey.report.errors.append(str(error))
            continue
        try:
            survey.add(index, structure)
        except DataError as error:
            survey.report.errors.append(f"{reader.path}: structure {index}: {error}")
    survey.finish()
    reader.close()
    return survey.report


class _Survey:
    """Sums and extremes that grow with each structure; small whatever the size of the dataset."""

    def __init__(self, reader: StoreReader) -> None:
        self.report = CheckReport(reader.path, reader.attributes, num_structures=len(reader))
        self.report.num_atoms = int(reader.num_atoms.sum())
        groups = reader.groups
        self.report.num_groups = len(set(groups))
        self.report.families = Counter(map(family_of, groups))
        try:
            self.report.split = Counter(() if reader.split is None else reader.split.tolist())
        except DataError as error:
            self.report.errors.append(str(error))
        self._every = max(1, len(reader) // SAMPLED_FOR_UNITS)
        self._seen: dict[bytes, tuple[int, float | None]] = {}
        self._contradictions: list[tuple[int, int]] = []
        self._charge_errors: list[int] = []
        self._electrons: list[int] = []
        self._coincident: list[int] = []
        self._far_away: list[int] = []
        self._consistency = Consistency()
        self._bond_ratios: list[float] = []
        self._indices: list[int] = []
        self._energies: list[float] = []
        self._compositions: list[dict[int, int]] = []
        self._force_squares = 0.0
        self._force_components = 0
        self._force_max = 0.0
        self._stress_squares = 0.0
        self._stress_components = 0
        self._stress_range = (np.inf, -np.inf)

    def add(self, index: int, structure: Structure) -> None:
        report = self.report
        counts = np.bincount(structure.atomic_numbers, minlength=len(chemical_symbols))
        for number in np.flatnonzero(counts):
            report.elements[chemical_symbols[number]] += int(counts[number])
        report.labels.update(name for name in LABELS if getattr(structure, name) is not None)
        if structure.energy is not None:
            self._indices.append(index)
            self._energies.append(structure.energy)
            self._compositions.append({int(number): int(counts[number]) for number in np.flatnonzero(counts)})
        self._add_forces(index, structure)
        self._add_stress(structure)
        self._add_charges(index, structure)
        self._add_duplicate(index, structure)
        self._add_distances(index, structure)
        self._consistency.add(index, structure)

    def _add_forces(self, index: int, structure: Structure) -> None:
        if structure.forces is None:
            return
        self._force_squares += float((structure.forces**2).sum())
        self._force_components += structure.forces.size
        self._force_max = max(self._force_max, float(np.linalg.norm(structure.forces, axis=1).max()))
        if np.linalg.norm(structure.forces.sum(axis=0)) / structure.num_atoms > LARGE_NET_FORCE:
            self.report.net_force.append(index)

    def _add_stress(self, structure: Structure) -> None:
        if structure.stress is None:
            return
        stress = structure.stress * GPA_PER_EV_PER_CUBIC_ANGSTROM
        low, high = self._stress_range
        self._stress_range = (min(low, float(stress.min())), max(high, float(stress.max())))
        self._stress_squares += float((stress**2).sum())
        self._stress_components += stress.size

    def _add_charges(self, index: int, structure: Structure) -> None:
        if structure.charges is None:
            return
        if structure.charges.min() >= 0 and structure.charges.mean() > ELECTRON_COUNT:
            self._electrons.append(index)
        if structure.total_charge is None:
            return
        if abs(structure.charges.sum() - structure.total_charge) > LARGE_CHARGE_ERROR:
            self._charge_errors.append(index)

    def _add_duplicate(self, index: int, structure: Structure) -> None:
        key = structure_hash(structure)
        first, first_energy = self._seen.setdefault(key, (index, structure.energy))
        if first == index:
            return
        self.report.duplicates.append((first, index))
        if first_energy is not None and structure.energy is not None:
            difference = abs(first_energy - structure.energy) / structure.num_atoms
            if difference > DUPLICATE_ENERGY:
                self._contradictions.append((first, index))

    def _add_distances(self, index: int, structure: Structure) -> None:
        sampled = index % self._every == 0
        size = FAR_AWAY + np.abs(structure.cell).sum()
        if np.abs(structure.positions - np.median(structure.positions, axis=0)).max() > size:
            self._far_away.append(index)
        limit = 2 * BOND_RATIOS[1] if sampled else CLOSE_RATIO
        ratio = nearest_ratio(structure.atomic_numbers, structure.positions, structure.cell, structure.pbc, limit)
        if ratio < COINCIDENT_RATIO:
            self._coincident.append(index)
        elif ratio < CLOSE_RATIO:
            self.report.close_atoms.append(index)
        if sampled and structure.num_atoms > 1:
            self._bond_ratios.append(ratio)

    def finish(self) -> None:
        report = self.report
        if self._force_components:
            report.force_rms = float(np.sqrt(self._force_squares / self._force_components))
            report.force_max = self._force_max
        if self._stress_components:
            report.stress_range = self._stress_range
        if not set(report.labels) - {"total_charge"}:
            report.errors.append(
                f"{report.path}: no structure has a label to train on; convert with labels, or compute them with "
                "`mhdnn data label`"
            )
        self._judge_energies()
        self._judge_units()
        self._judge_structures()

    def _judge_energies(self) -> None:
        if not self._energies:
            return
        elements = sorted(set().union(*self._compositions))
        counts = np.array([[own.get(number, 0) for number in elements] for own in self._compositions])
        num_atoms = counts.sum(axis=1)
        energies = np.array(self._energies)
        per_atom = energies / num_atoms
        self.report.energy_per_atom = (
            float(per_atom.min()),
            float(np.median(per_atom)),
            float(per_atom.max()),
        )
        outliers = energy_outliers(energies, counts)
        self.report.energy_outliers = [self._indices[row] for row in outliers]
        self.report.warnings += [
            f"reference energies are not determined: {text}; {remedy(elements)}"
            for text in undetermined(counts, elements)
        ]

    def _judge_units(self) -> None:
        report, warn = self.report, self.report.warnings.append
        if self._bond_ratios:
            ratio = float(np.median(self._bond_ratios))
            if ratio > BOND_RATIOS[1]:
                warn(
                    f"nearest distances are {ratio:.1f} times the covalent radii: lengths look like bohr "
                    f"(1 bohr = {BOHR:.3f} Å), energies then like Hartree; convert again with other units"
                )
            elif ratio < BOND_RATIOS[0]:
                warn(f"nearest distances are {ratio:.2f} times the covalent radii: lengths are not in Å")
        if report.energy_per_atom is not None and abs(report.energy_per_atom[1]) < SMALL_ENERGY:
            warn(
                f"the median energy is {report.energy_per_atom[1]:.3g} eV/atom, small for a total energy: "
                "in Hartree, or relative to something?"
            )
        if report.force_max is not None and report.force_max > LARGE_FORCE:
            warn(
                f"the largest force is {report.force_max:.4g} eV/Å, expected below {LARGE_FORCE:g}: "
                "broken structures or other units"
            )
        rms = np.sqrt(self._stress_squares / max(self._stress_components, 1))
        if rms > LARGE_STRESS:
            warn(f"stress is {rms:.4g} GPa (root mean square): was it in GPa or kbar instead of eV/Å³?")

    def _judge_structures(self) -> None:
        report = self.report
        report.warnings += [verdict.text() for verdict in self._consistency.verdicts() if verdict.contradicts]
        if self._coincident:
            report.errors.append(
                f"{report.path}: {_shown(self._coincident, 'have two atoms at the same place')}; "
                "remove them, or correct the positions"
            )
        findings = (
            (report.duplicates, "are duplicates (first, later)"),
            (
                self._contradictions,
                f"are duplicates with energies over {DUPLICATE_ENERGY * MEV_PER_EV:g} meV/atom apart",
            ),
            (self._far_away, f"have atoms over {FAR_AWAY:g} Å away from the others, beyond the cell"),
            (
                self._electrons,
                f"have charges that are nowhere negative and on average above {ELECTRON_COUNT:g} e: numbers of "
                "electrons? Charges are nuclear (valence) charge minus electrons",
            ),
            (report.net_force, f"have a net force above {LARGE_NET_FORCE:g} eV/Å per atom"),
            (report.close_atoms, f"have atoms nearer than {CLOSE_RATIO:g} times their covalent radii"),
            (report.energy_outliers, "have an energy far from the others of their composition"),
            (
                self._charge_errors,
                f"have charges that miss the total charge by over {LARGE_CHARGE_ERROR:g} e",
            ),
        )
        report.warnings += [_shown(indices, text) for indices, text in findings if indices]


def _shown(indices: Sequence[object], text: str) -> str:
    return f"{len(indices)} {text}: {', '.join(map(str, indices[:5]))}{' ...' if len(indices) > 5 else ''}"


def structure_hash(structure: Structure) -> bytes:
    """A key that structures share if numbers, positions, cell and periodicity agree to 10⁻⁵ Å."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(structure.atomic_numbers.astype(np.int64).tobytes())
    for lengths in (structure.positions, structure.cell):
        digest.update(np.rint(lengths / DUPLICATE_RESOLUTION).astype(np.int64).tobytes())
    digest.update(structure.pbc.tobytes())
    return digest.digest()


def energy_outliers(energies: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rows whose energy per atom does not fit, after reference energies by least squares.

    :param energies: eV, shape (num_structures,)
    :param counts: atoms of each element, shape (num_structures, num_elements)
    :return: indices, worst first
    """
    num_atoms = counts.sum(axis=1)
    fractions = counts / num_atoms[:, None]
    per_atom = energies / num_atoms
    references, *_ = np.linalg.lstsq(fractions, per_atom, rcond=None)
    residual = per_atom - fractions @ references
    residual -= np.median(residual)
    spread = max(MEDIAN_TO_SIGMA * float(np.median(np.abs(residual))), SMALLEST_SPREAD)
    score = np.abs(residual) / spread
    rows = np.flatnonzero(score > OUTLIER_SCORE)
    return rows[np.argsort(-score[rows])]
