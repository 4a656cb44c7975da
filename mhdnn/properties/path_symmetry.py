"""The symmetry of a path whose two halves mirror each other: half of its images needs no calculation.

An operation that exchanges the two ends of a path leaves their mean as it is; it is looked for among those of the mean.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, all_changes
from ase.constraints import FixAtoms
from ase.geometry import find_mic
from ase.spacegroup.symmetrize import check_symmetry

from mhdnn.errors import ConfigError

MIRRORED = 1e-6
"""Å; configurations that are mirror images within this need one calculation."""


@dataclass(frozen=True)
class Exchange:
    """An operation of order two, x → R x + t, that exchanges the ends of a path.

    :param rotation: R, shape (3, 3)
    :param translation: t, shape (3,), Å
    :param permutation: atom i goes to the place of atom ``permutation[i]``, shape (num_atoms,)
    """

    rotation: np.ndarray
    translation: np.ndarray
    permutation: np.ndarray

    def positions(self, positions: np.ndarray) -> np.ndarray:
        """What becomes of positions, shape (num_atoms, 3), Å, up to lattice vectors."""
        return self.vectors(positions) + self.translation

    def vectors(self, vectors: np.ndarray) -> np.ndarray:
        """What becomes of forces or displacements, shape (num_atoms, 3)."""
        result = np.empty_like(vectors)
        result[self.permutation] = vectors @ self.rotation.T
        return result


def exchange_of_ends(initial: Atoms, final: Atoms, tolerance: float) -> Exchange | None:
    """The operation that exchanges two structures of the same atoms, or None if there is none.

    :param tolerance: of positions, Å
    """
    try:
        from spglib import SpglibError
    except ImportError as error:
        raise ConfigError(
            "`spglib`: expected it for the symmetry of paths, found none; pip install mhdnn[properties]"
        ) from error
    if initial.cell.rank < 3:
        return None
    middle = Atoms(_kinds(initial), initial.positions, cell=initial.cell, pbc=True)
    middle.positions += 0.5 * find_mic(final.positions - initial.positions, initial.cell, initial.pbc)[0]
    try:
        dataset = check_symmetry(middle, tolerance)
    except SpglibError:  # two atoms meet in the middle
        return None
    vectors = initial.cell[:].T
    for rotation, translation in zip(dataset.rotations, dataset.translations, strict=True):
        turn = vectors @ rotation @ np.linalg.inv(vectors)
        found = _exchange(initial, final, turn, translation @ initial.cell[:], tolerance)
        if found is not None:
            return found
    return None


def _kinds(atoms: Atoms) -> np.ndarray:
    """Numbers that differ for atoms that are not alike: elements, charges, magnetic moments, whether they are fixed."""
    fixed = np.zeros(len(atoms))
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            fixed[constraint.get_indices()] = 1
    columns = [atoms.numbers, atoms.get_initial_charges(), atoms.get_initial_magnetic_moments(), fixed]
    return np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)[1].ravel() + 1


def _exchange(initial: Atoms, final: Atoms, turn: np.ndarray, shift: np.ndarray, tolerance: float) -> Exchange | None:
    """The operation, if it is of order two and exchanges the structures."""
    if np.abs(turn @ turn - np.eye(3)).max() > 1e-6 or any(type(c) is not FixAtoms for c in initial.constraints):
        return None
    forwards = _permutation(initial, initial.positions @ turn.T + shift, final, tolerance)
    backwards = _permutation(initial, final.positions @ turn.T + shift, initial, tolerance)
    if forwards is None or backwards is None or (forwards != backwards).any():
        return None
    return Exchange(turn, shift, forwards) if (forwards[forwards] == np.arange(len(forwards))).all() else None


def _permutation(kinds_of: Atoms, places: np.ndarray, target: Atoms, tolerance: float) -> np.ndarray | None:
    """Which atom of the target is at each place, if all are there and of the right kind."""
    vectors = target.positions[None] - places[:, None]
    distances = find_mic(vectors.reshape(-1, 3), kinds_of.cell, kinds_of.pbc)[1].reshape(len(places), -1)
    nearest, kinds = distances.argmin(axis=1), _kinds(kinds_of)
    near = distances[np.arange(len(places)), nearest] < tolerance
    same = near.all() and (kinds[nearest] == kinds).all() and len(set(nearest.tolist())) == len(places)
    return nearest if same else None


def mirrored(atoms: Atoms, exchange: Exchange, near: np.ndarray) -> Atoms:
    """A copy whose atoms are where the operation puts them, at the images that are nearest to some positions, Å."""
    result = atoms.copy()
    away = find_mic(exchange.positions(atoms.positions) - near, atoms.cell, atoms.pbc)[0]
    result.set_positions(near + away, apply_constraint=False)
    return result


def make_symmetric(images: list[Atoms], exchange: Exchange) -> None:
    """Make the inner images of a band mirror images of each other, in place; the middle one its own."""
    last = len(images) - 1
    for number in range(1, last // 2 + 1):
        image, partner = images[number], images[last - number]
        target = mirrored(image, exchange, partner.positions).positions
        if number == last - number:
            target = 0.5 * (target + partner.positions)
        partner.set_positions(target, apply_constraint=False)


class Evaluations:
    """Energies and forces of the images of a band; those of mirror images of the last ones without a calculation.

    What has no mirror image among the last configurations is calculated: nothing is assumed.

    :param calculator: that calculates
    :param exchange: the operation, if there is one
    :param number: of configurations that are remembered
    :ivar num_calculations: that were made
    """

    def __init__(self, calculator: BaseCalculator, exchange: Exchange | None, number: int) -> None:
        self.calculator, self.exchange = calculator, exchange
        self.known: deque[tuple[np.ndarray, float, np.ndarray]] = deque(maxlen=number)
        self.num_calculations = 0

    def __call__(self, atoms: Atoms) -> tuple[float, np.ndarray]:
        """Energy, eV, and forces, shape (num_atoms, 3), eV/Å."""
        for known, energy, forces in self.known:
            if (find_mic(known - atoms.positions, atoms.cell, atoms.pbc)[1] < MIRRORED).all():
                return energy, forces.copy()
        image = atoms.copy()
        image.calc = self.calculator
        energy, forces = float(image.get_potential_energy()), image.get_forces(apply_constraint=False)
        self.num_calculations += 1
        if self.exchange is not None:
            self.known.append((self.exchange.positions(atoms.positions), energy, self.exchange.vectors(forces)))
        return energy, forces


class ImageCalculator(Calculator):
    """Of one image: optimisers ask for the same forces several times, which one calculator for all would not remember.

    :param evaluations: of the whole band
    """

    implemented_properties = ["energy", "forces"]

    def __init__(self, evaluations: Evaluations) -> None:
        super().__init__()
        self.evaluations = evaluations

    def calculate(self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Energy, eV, and forces, eV/Å."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        energy, forces = self.evaluations(self.atoms)
        self.results = {"energy": energy, "forces": forces}
