r"""Do forces and stress belong to the energies? Asked of pairs of near structures of one composition.

Between two structures with the displacements :math:`u_i` (at equal cell) and the strain :math:`\varepsilon` the energy
changes by the trapezoid

.. math:: E_b - E_a \approx -\sum_i \bar F_i\cdot u_i + \overline{V\sigma} : \varepsilon,

with means over the two ends; it is exact for harmonic energies. What is left over is compared with the terms: their
means, and half the differences of their ends, by which the trapezoid corrects the one-sided rules.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mhdnn.neighbors import complete_cell
from mhdnn.structure import VOIGT, Structure, cell_volume, family_of
from mhdnn.units import GPA_PER_EV_PER_CUBIC_ANGSTROM, MEV_PER_EV

LARGEST_DISPLACEMENT = 0.4
"""Å; farther apart the trapezoid says little."""
LARGEST_STRAIN = 0.1
LARGEST_ROTATION = 0.02
"""Antisymmetric part of the change of the cell."""
NO_DISPLACEMENT, NO_STRAIN = 1e-3, 1e-6
"""Below these (in Å) forces and stress don't matter, and need not be there."""
DOMINANT = 10.0
"""How much larger the terms of one label are where it is the one that is judged."""
FEWEST_PAIRS = 5
FEWEST_OF_FAMILY = 10
LARGEST_RATIO = 0.12
"""Of what is left over to the terms (medians); sound sets have 0.01 to 0.05."""
LARGEST_DEVIATION = 0.2
"""Of the label's best factor from one; sound sets have up to 0.1."""
SIGNIFICANCE = 5.0
"""Standard errors by which the factor must deviate."""
BEYOND_DOUBT = 20.0
"""The same where the label's error is smaller than one of convergence."""
SMALLEST_FORCE_ERROR = 0.02
"""eV/Å; smaller errors of forces are those of the calculation's convergence."""
SMALLEST_STRESS_ERROR = 0.3
"""GPa; the same for stress."""
LARGEST_LABEL = 1e9
"""eV, eV/Å, eV/Å³; what is beyond is found by other means."""
EARLIER_STRUCTURES = 64
"""With which each structure is compared."""
MOST_KEPT_ATOMS = 500_000
PAIRS_OF_A_STRUCTURE = 16
"""At most, with earlier ones."""
OVERHEAD = 10_000
"""Atoms that cost as much as a comparison of small structures."""
MOST_COMPARED_ATOMS = 50_000_000
"""Some seconds of work; larger datasets are judged by their first part."""


class Pair(NamedTuple):
    """What is known of two near structures; energies in eV.

    :param first: number of the first structure
    :param second: number of the second one
    :param difference: energy of the second minus that of the first
    :param force_work: minus the mean forces times the displacements
    :param force_scale: size of the forces' terms
    :param displacement: root of the sum of squares, Å
    :param stress_work: mean volume times stress times strain
    :param stress_scale: size of the stress's terms
    :param volume_strain: volume times the norm of the strain, Å³
    :param volume_change: volume times the trace of the strain, Å³
    :param family: of both structures, or none
    """

    first: int
    second: int
    num_atoms: int
    difference: float
    force_work: float
    force_scale: float
    displacement: float
    stress_work: float
    stress_scale: float
    volume_strain: float
    volume_change: float
    family: str | None = None


@dataclass(frozen=True)
class Verdict:
    """How well one label agrees with the energies.

    :param label: forces or stress
    :param family: whose pairs they are; none for all
    :param num_pairs: pairs of structures in which it dominates
    :param signal: median change of energy, eV/atom
    :param residual: median of what the label leaves over of it, eV/atom
    :param ratio: of what is left over to the label's terms, medians
    :param error: of the label that would explain it, median, eV/Å or GPa
    :param factor: of the label with which it would agree best
    :param factor_error: standard error of the factor
    :param offset: pressure that would have to be added with it to agree best, GPa; stress only
    """

    label: str
    num_pairs: int
    signal: float
    residual: float
    ratio: float
    error: float
    factor: float
    factor_error: float
    offset: float = 0.0
    family: str | None = None

    @property
    def contradicts(self) -> bool:
        smallest = SMALLEST_FORCE_ERROR if self.label == "forces" else SMALLEST_STRESS_ERROR
        deviation = abs(self.factor - 1.0)
        scaled = deviation > max(LARGEST_DEVIATION, SIGNIFICANCE * self.factor_error)
        beyond_doubt = deviation > max(LARGEST_DEVIATION, BEYOND_DOUBT * self.factor_error)
        large = self.ratio > LARGEST_RATIO
        if self.family is not None:  # of many families one is strange by chance
            return self.num_pairs >= FEWEST_OF_FAMILY and large and beyond_doubt
        found = (self.error > smallest and (large or scaled)) or (large and beyond_doubt)
        return self.num_pairs >= FEWEST_PAIRS and found

    def text(self) -> str:
        """The finding and what to do, in a sentence."""
        best = f"multiplied by {self.factor:.2f}"
        if self.label == "forces":
            remedy = (
                "check the unit and sign of both, and that both belong to the same energy (with smearing, the free)"
            )
        else:
            best += f" and with {self.offset:+.2f} GPa"
            remedy = "check its unit and sign (tension is positive), or train without it: loss.stress_weight=0"
        of_family = "" if self.family is None else f" of the family {self.family!r}"
        verb, unit = ("contradict", "eV/Å") if self.label == "forces" else ("contradicts", "GPa")
        return (
            f"{self.label}{of_family} {verb} the energies: in {self.num_pairs} pairs of near structures the energy "
            f"changes by {self.signal * MEV_PER_EV:.2g} meV/atom, of which the {self.label} leave over "
            f"{self.residual * MEV_PER_EV:.2g} (medians; like errors of {self.error:.2g} {unit}); "
            f"they would agree best {best}; {remedy}"
        )


class _Kept(NamedTuple):
    number: int
    structure: Structure
    box: np.ndarray
    fractions: np.ndarray


class Consistency:
    """Compares each structure that is added with earlier ones of the same atoms; its work and memory are bounded."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self._kept: OrderedDict[bytes, deque[_Kept]] = OrderedDict()
        self._kept_atoms = 0
        self._compared_atoms = 0

    def add(self, number: int, structure: Structure) -> None:
        """Compare a structure with earlier ones, and keep it for later ones."""
        if structure.energy is None or (structure.forces is None and structure.stress is None):
            return
        if self._compared_atoms > MOST_COMPARED_ATOMS or not _sensible(structure):
            return
        box = complete_cell(structure.cell, structure.pbc)
        new = _Kept(number, structure, box, structure.positions @ np.linalg.inv(box))
        key = structure.atomic_numbers.tobytes() + structure.pbc.tobytes() + repr(structure.total_charge).encode()
        earlier = self._kept.pop(key, deque())
        if earlier:
            self._compare(earlier, new)
        if len(earlier) == EARLIER_STRUCTURES:
            earlier.popleft()
            self._kept_atoms -= structure.num_atoms
        earlier.append(new)
        self._kept[key] = earlier  # at the end: what was longest unused goes first
        self._kept_atoms += structure.num_atoms
        while self._kept_atoms > MOST_KEPT_ATOMS and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._kept_atoms -= sum(kept.structure.num_atoms for kept in gone)

    def _compare(self, earlier: deque[_Kept], new: _Kept) -> None:
        """The displacements from all earlier structures at once; the near ones become pairs."""
        self._compared_atoms += max(len(earlier) * new.structure.num_atoms, OVERHEAD)
        boxes = 0.5 * (np.stack([kept.box for kept in earlier]) + new.box)
        steps = new.fractions - np.stack([kept.fractions for kept in earlier])
        steps -= np.where(new.structure.pbc, np.round(steps), 0.0)
        moves = steps @ boxes
        moves -= moves.mean(axis=1, keepdims=True)
        near = (moves**2).sum(axis=2).max(axis=1) < LARGEST_DISPLACEMENT**2
        rows = np.flatnonzero(near)
        for row in rows[:: -(-len(rows) // PAIRS_OF_A_STRUCTURE) or 1]:
            pair = _pair(earlier[row], new, moves[row], boxes[row])
            if pair is not None:
                self.pairs.append(pair)

    def verdicts(self) -> list[Verdict]:
        """On forces and on stress, as far as there are pairs that show them; where all together agree, by family.

        A part of a set that comes from elsewhere is hidden in medians over the whole.
        """
        result = []
        for label, pairs in zip(("forces", "stress"), self._by_dominant_label(), strict=True):
            if not pairs:
                continue
            result.append(_judge(label, pairs))
            families: defaultdict[str | None, list[Pair]] = defaultdict(list)
            for pair in pairs:
                families[pair.family].append(pair)
            if not result[-1].contradicts and len(families) > 1:
                result += [_judge(label, own, family) for family, own in families.items() if family is not None]
        return result

    def _by_dominant_label(self) -> tuple[list[Pair], list[Pair]]:
        forces, stress = [], []
        for pair in self.pairs:
            if pair.force_scale > DOMINANT * pair.stress_scale:
                forces.append(pair)
            elif pair.stress_scale > DOMINANT * pair.force_scale:
                stress.append(pair)
        return forces, stress


def _sensible(structure: Structure) -> bool:
    labels = (structure.energy, structure.forces, structure.stress)
    return all(label is None or bool(np.abs(label).max() < LARGEST_LABEL) for label in labels)


def _pair(old: _Kept, new: _Kept, moves: np.ndarray, box: np.ndarray) -> Pair | None:
    """None where the cells are too different, or a label is missing that would be needed."""
    gradient = np.linalg.solve(box, new.box - old.box)
    strain = 0.5 * (gradient + gradient.T)
    if np.abs(strain).max() > LARGEST_STRAIN or np.abs(gradient - gradient.T).max() > 2 * LARGEST_ROTATION:
        return None
    a, b = old.structure, new.structure
    assert a.energy is not None
    assert b.energy is not None
    force_work = force_change = stress_work = stress_change = 0.0
    if a.forces is not None and b.forces is not None:
        force_work = -0.5 * float(((a.forces + b.forces) * moves).sum())
        force_change = 0.5 * float(((b.forces - a.forces) * moves).sum())
    elif np.abs(moves).max() > NO_DISPLACEMENT:
        return None
    volume = cell_volume(box)
    if a.stress is not None and b.stress is not None and a.pbc.all():
        first, second = _virial(a), _virial(b)
        stress_work = 0.5 * float(((first + second) * strain).sum())
        stress_change = 0.5 * float(((second - first) * strain).sum())
    elif np.abs(strain).max() > NO_STRAIN:
        return None
    return Pair(
        old.number,
        new.number,
        a.num_atoms,
        b.energy - a.energy,
        force_work,
        abs(force_work) + abs(force_change),
        float(np.linalg.norm(moves)),
        stress_work,
        abs(stress_work) + abs(stress_change),
        volume * float(np.linalg.norm(strain)),
        volume * float(np.trace(strain)),
        family_of(a.group) if family_of(a.group) == family_of(b.group) else None,
    )


def _virial(structure: Structure) -> np.ndarray:
    """Volume times stress, shape (3, 3), eV."""
    assert structure.stress is not None
    result = np.empty((3, 3))
    for value, (row, column) in zip(structure.stress, VOIGT, strict=True):
        result[row, column] = result[column, row] = value
    return result * cell_volume(structure.cell)


def _judge(label: str, pairs: list[Pair], family: str | None = None) -> Verdict:
    """One label on the pairs in which it dominates."""
    table = np.array([pair[:-1] for pair in pairs])
    columns = dict(zip(Pair._fields[:-1], table.T, strict=True))
    residual = columns["difference"] - columns["force_work"] - columns["stress_work"]
    scale = columns["force_scale"] + columns["stress_scale"]
    if label == "forces":
        terms, other = columns["force_work"][:, None], columns["stress_work"]
        error = np.abs(residual) / np.maximum(columns["displacement"], NO_DISPLACEMENT)
    else:
        terms, other = np.column_stack([columns["stress_work"], columns["volume_change"]]), columns["force_work"]
        error = np.abs(residual) / columns["volume_strain"] * GPA_PER_EV_PER_CUBIC_ANGSTROM
    weights = 1.0 / np.maximum(scale, np.median(scale))
    fit, fit_error = _fitted(terms * weights[:, None], (columns["difference"] - other) * weights)
    return Verdict(
        label,
        len(pairs),
        float(np.median(np.abs(columns["difference"]) / columns["num_atoms"])),
        float(np.median(np.abs(residual) / columns["num_atoms"])),
        float(np.median(np.abs(residual)) / max(float(np.median(scale)), 1e-12)),
        float(np.median(error)),
        float(fit[0]),
        fit_error,
        float(fit[1]) * GPA_PER_EV_PER_CUBIC_ANGSTROM if label == "stress" else 0.0,
        family,
    )


def _fitted(terms: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, float]:
    """Least squares, and the standard error of the first coefficient."""
    solution, *_ = np.linalg.lstsq(terms, values, rcond=1e-10)
    left = values - terms @ solution
    variance = float(left @ left) / max(len(values) - terms.shape[1], 1)
    return solution, float(np.sqrt(variance * np.linalg.pinv(terms.T @ terms)[0, 0]))
