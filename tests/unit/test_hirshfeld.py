"""The Hirshfeld partition of `scripts/dft`, with free atoms whose densities are known functions."""

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr

from scripts.dft.hirshfeld import REACH, charges_on_grid, free_densities

WIDTHS = {"Li": 1.6, "C": 0.9}  # bohr
GRID = (24, 20, 32)


def gaussian(electrons, width):
    return lambda distance: electrons * np.exp(-0.5 * (distance / width) ** 2) / (2 * np.pi * width**2) ** 1.5


FREE = {"Li": gaussian(3, WIDTHS["Li"]), "C": gaussian(6, WIDTHS["C"])}


def pair(distance):
    cell = [[5.2, 0, 0], [1.4, 4.6, 0], [0.3, -0.4, 7.5]]  # Å; tails reach through the boundary
    return Atoms("LiC", positions=[[0.2, 0.1, 0.3], [0.2, 0.1, 0.3 + distance]], cell=cell, pbc=True)


def test_free_atoms_are_neutral():
    atoms = pair(2.1)
    density = free_densities(atoms, GRID, FREE).sum(axis=0).reshape(GRID)
    np.testing.assert_allclose(charges_on_grid(atoms, density, FREE), 0, atol=1e-6)


def test_images_have_the_electrons_of_the_atom():
    atoms = pair(2.1)
    electrons = free_densities(atoms, GRID, FREE).mean(axis=1) * atoms.get_volume() / Bohr**3
    np.testing.assert_allclose(electrons, atoms.numbers, atol=1e-6)


@pytest.mark.parametrize("moved", [0.25, -0.1])
def test_scaled_free_atoms_by_the_formula(moved):
    """The sum over the grid, written down for one atom and its image alone: q_i = Z_i - ∫ n ρ_i/(ρ_1 + ρ_2)."""
    atoms = Atoms("LiC", positions=[[6, 6, 5], [6, 6, 7.1]], cell=[12, 12, 12], pbc=True)
    shape = (36, 36, 36)
    points = np.stack(np.meshgrid(*[np.arange(size) / 3 for size in shape], indexing="ij"), axis=-1)
    parts = [
        FREE[symbol](np.linalg.norm(points - position, axis=-1) / Bohr)
        for symbol, position in zip(atoms.symbols, atoms.positions, strict=True)
    ]
    assert REACH > 5  # no density is cut off and no image reaches into the cell
    density = (1 - moved / 3) * parts[0] + (1 + moved / 6) * parts[1]
    weight = (1 / 3 / Bohr) ** 3
    expected = [
        z - weight * (density * part / (parts[0] + parts[1])).sum() for z, part in zip((3, 6), parts, strict=True)
    ]
    charges = charges_on_grid(atoms, density, FREE)
    np.testing.assert_allclose(charges, expected, atol=1e-4)
    assert charges.sum() == pytest.approx(0, abs=1e-6)
    assert 0 < charges[0] / moved < 1  # the free atoms overlap: less than what was moved is seen
