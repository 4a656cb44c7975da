r"""Insertion and removal of ions: into free places at random, or grand-canonically.

Grand-canonical moves are accepted with (Frenkel and Smit, Understanding Molecular Simulation, section 5.6)

.. math:: \min\Bigl[1, \frac{V}{\Lambda^3 (N + 1)}\, e^{-(\Delta E - \mu)/k_B T}\Bigr] \quad\text{and}\quad
          \min\Bigl[1, \frac{\Lambda^3 N}{V}\, e^{-(\Delta E + \mu)/k_B T}\Bigr]

with the volume V of the region, the number N of ions in it, and :math:`\Lambda = h/\sqrt{2\pi m k_B T}`. A place that
is closer to an atom than the smallest distance has infinite energy. The chemical potential counts from the
energies of the calculator: that of a metal atom, minus the voltage against the metal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.data import atomic_masses, atomic_numbers
from scipy import constants

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.neighbors import find_pairs
from mhdnn.properties.surface_shell import SurfaceShell, surface_shell

ORDER = "insertion_order"
"""Array of the atoms: 0 for the host, for ions the number of their insertion."""

SLAB = "slab"
"""Array of labels of an interface's slabs."""

PLACES_AT_ONCE = 200
ROUNDS = 100
"""A free place is looked for among this many times `PLACES_AT_ONCE` random places."""


SMALLEST_CUTOFF = 1.0  # Å


@dataclass(frozen=True)
class Region:
    """Part of the cell in which ions are inserted: between two heights along its third vector.

    :param low: as a fraction of the third vector
    :param high: as a fraction of the third vector
    """

    low: float
    high: float

    def volume(self, atoms: Atoms) -> float:
        """Å³."""
        return (self.high - self.low) * atoms.get_volume()

    def places(self, atoms: Atoms, count: int, generator: np.random.Generator) -> np.ndarray:
        """Random places, uniform in the region, shape (count, 3), Å."""
        fractions = generator.random((count, 3))
        fractions[:, 2] = self.low + (self.high - self.low) * fractions[:, 2]
        return fractions @ atoms.cell[:]

    def contains(self, atoms: Atoms) -> np.ndarray:
        """Which atoms are in the region, shape (num_atoms,)."""
        heights = atoms.cell.scaled_positions(atoms.positions)[:, 2]
        if atoms.pbc[2]:
            heights = self.low + (heights - self.low) % 1.0
        return (heights >= self.low) & (heights <= self.high)


def insertion_region(atoms: Atoms, where: str, nearest: float, farthest: float) -> Region | SurfaceShell:
    """The free volume of the whole cell, or a shell over the surface of the host.

    :param where: ``volume``, or ``surface`` (`mhdnn.properties.surface_shell`)
    :param nearest: smallest distance of the shell from the nuclei of the host, Å
    :param farthest: largest distance from the nearest one, Å
    :raises ConfigError: for anything else, without three cell vectors, or if the shell reaches out of the cell
    :raises PropertyError: if the host has no surface
    """
    if atoms.cell.rank < 3:
        raise ConfigError("`atoms`: expected a cell of three vectors around the host; use Atoms.center(vacuum=...)")
    if where == "volume":
        return Region(0.0, 1.0)
    if where != "surface":
        raise ConfigError(f"`where`: expected surface or volume, got {where!r}")
    if not 0 <= nearest < farthest:
        raise ConfigError(f"`nearest`, `farthest`: expected 0 <= nearest < farthest, got {nearest} and {farthest} Å")
    return surface_shell(atoms, host_atoms(atoms), nearest, farthest)


def host_atoms(atoms: Atoms) -> np.ndarray:
    """Indices of the atoms that have not been inserted."""
    return np.flatnonzero(insertion_order(atoms) == 0)


def inserted_ions(atoms: Atoms) -> np.ndarray:
    """Indices of the inserted ions in the order of their insertion."""
    order = insertion_order(atoms)
    ions = np.flatnonzero(order)
    return ions[np.argsort(order[ions])]


def insertion_order(atoms: Atoms) -> np.ndarray:
    """The array `ORDER`, zeros if there is none."""
    return atoms.get_array(ORDER) if atoms.has(ORDER) else np.zeros(len(atoms), dtype=int)


def with_ion(atoms: Atoms, ion: str, place: np.ndarray) -> Atoms:
    """A copy with one more ion, the last one in the order."""
    result = atoms.copy()
    order = insertion_order(atoms)
    result.append(ion)
    result.positions[-1] = place
    result.set_array(ORDER, np.append(order, order.max(initial=0) + 1))
    return result


def with_labels(atoms: Atoms) -> Atoms:
    """The atoms; if the host has labels of slabs, a copy in which each ion has that of the nearest atom of the host."""
    ions, host = inserted_ions(atoms), host_atoms(atoms)
    if not atoms.has(SLAB) or not len(ions) or not len(host):
        return atoms
    result = atoms.copy()
    result.calc = atoms.calc
    labels = np.array(atoms.get_array(SLAB))
    for ion in ions:
        labels[ion] = labels[host[np.argmin(atoms.get_distances(int(ion), host, mic=True))]]
    result.set_array(SLAB, labels)
    return result


def without_atom(atoms: Atoms, index: int) -> Atoms:
    """A copy without an atom."""
    result = atoms.copy()
    del result[int(index)]
    return result


def are_free(atoms: Atoms, places: np.ndarray, min_distance: float) -> np.ndarray:
    """Which places are at least so far from all atoms and their images, shape (num_places,).

    :param places: shape (num_places, 3), Å
    :param min_distance: Å
    """
    positions = np.vstack([atoms.positions, places])
    # a list within a tiny cutoff takes a grid of as many tiny cells
    pairs = find_pairs(positions, atoms.cell[:], atoms.pbc, max(min_distance, SMALLEST_CUTOFF))
    first, second = pairs.center_index, pairs.neighbor_index
    distances = np.linalg.norm(pairs.vectors(positions), axis=1)
    close = (first >= len(atoms)) & (second < len(atoms)) & (distances < min_distance)
    free = np.ones(len(places), dtype=bool)
    free[first[close] - len(atoms)] = False
    return free


def random_insertion(
    atoms: Atoms, ion: str, region: Region | SurfaceShell, min_distance: float, generator: np.random.Generator
) -> Atoms:
    """A copy with an ion at a random free place of the region.

    :param min_distance: from all atoms, Å
    :raises PropertyError: if no free place is found
    """
    for _ in range(ROUNDS):
        places = region.places(atoms, PLACES_AT_ONCE, generator)
        free = np.flatnonzero(are_free(atoms, places, min_distance))
        if len(free):
            return with_ion(atoms, ion, places[free[0]])
    number = len(inserted_ions(atoms)) + 1
    raise PropertyError(
        f"`min_distance`: expected a place {min_distance} Å from all atoms for {ion} number {number}, "
        f"found none among {ROUNDS * PLACES_AT_ONCE}; insert fewer ions, choose a smaller distance or another region"
    )


def thermal_wavelength(ion: str, temperature: float) -> float:
    r""":math:`\Lambda = h/\sqrt{2\pi m k_B T}`, Å.

    :param temperature: K
    """
    mass = atomic_masses[atomic_numbers[ion]] * constants.atomic_mass
    return constants.h / np.sqrt(2 * np.pi * mass * constants.k * temperature) / constants.angstrom


@dataclass
class GrandCanonical:
    """Grand-canonical moves of one kind of ion.

    :param ion: symbol
    :param region: where ions are inserted and removed
    :param min_distance: smaller distances have infinite energy, Å
    :param chemical_potential: μ, with the calculator's zero of energy, eV
    :param temperature: K
    :param most: number of ions that is never exceeded
    """

    ion: str
    region: Region | SurfaceShell
    min_distance: float
    chemical_potential: float
    temperature: float
    most: int

    def run(self, atoms: Atoms, moves: int, generator: np.random.Generator) -> Atoms:
        """A copy after so many trial insertions and removals; its calculator is that of the atoms."""
        calculator = atoms.calc
        current, energy = atoms.copy(), atoms.get_potential_energy()
        for _ in range(moves):
            inserting = generator.random() < 0.5
            trial, weight = self._insertion(current, generator) if inserting else self._removal(current, generator)
            threshold = generator.random()
            if trial is None:
                continue
            trial.calc = calculator
            trial_energy = trial.get_potential_energy()
            sign = 1.0 if inserting else -1.0
            exponent = -(trial_energy - energy - sign * self.chemical_potential) / (units.kB * self.temperature)
            if np.log(threshold) < np.log(weight) + exponent:
                trial.calc = None
                current, energy = trial, trial_energy
        current.calc = calculator
        return current

    def _insertion(self, atoms: Atoms, generator: np.random.Generator) -> tuple[Atoms | None, float]:
        place = self.region.places(atoms, 1, generator)
        if len(inserted_ions(atoms)) >= self.most or not are_free(atoms, place, self.min_distance)[0]:
            return None, 0.0
        num_ions = len(self._ions(atoms))
        weight = self.region.volume(atoms) / thermal_wavelength(self.ion, self.temperature) ** 3 / (num_ions + 1)
        return with_ion(atoms, self.ion, place[0]), weight

    def _removal(self, atoms: Atoms, generator: np.random.Generator) -> tuple[Atoms | None, float]:
        choice = generator.random()
        ions = self._ions(atoms)
        if not len(ions):
            return None, 0.0
        weight = thermal_wavelength(self.ion, self.temperature) ** 3 * len(ions) / self.region.volume(atoms)
        return without_atom(atoms, ions[int(choice * len(ions))]), weight

    def _ions(self, atoms: Atoms) -> np.ndarray:
        """Inserted ions in the region."""
        ions = inserted_ions(atoms)
        return ions[self.region.contains(atoms)[ions]]
