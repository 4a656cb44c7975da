"""Hirshfeld charges: each atom's share of the electrons is as in the sum of free atoms.

F. L. Hirshfeld, Theor. Chim. Acta 44, 129 (1977), https://doi.org/10.1007/BF00549096.
"""

from __future__ import annotations

import io

import numpy as np
from ase import Atoms
from ase.units import Bohr
from scipy.interpolate import CubicSpline

REACH = 8.0  # Å; beyond it the density of a free atom is taken to be zero


def partition(numbers: np.ndarray, parts: np.ndarray, electrons: np.ndarray) -> np.ndarray:
    """Charge of each atom: its nucleus without its share of the electrons.

    :param numbers: atomic numbers, shape (num_atoms,)
    :param parts: densities of the free atoms, shape (num_atoms, num_points)
    :param electrons: density times integration weight, shape (num_points,)
    :return: shape (num_atoms,), e
    """
    total = parts.sum(axis=0)
    shares = parts / np.where(total > 0, total, 1.0)  # no electrons where no free atom reaches
    return numbers - shares @ electrons


def free_atom(symbol: str) -> CubicSpline:
    """Spherical PBE density of a free atom, electrons/bohr³ over the distance in bohr; by GPAW.

    Scalar-relativistic, not polarised, with fractional occupations, not confined.
    """
    from gpaw.atom.aeatom import AllElectronAtom

    atom = AllElectronAtom(symbol, xc="PBE", log=io.StringIO())
    atom.initialize()
    atom.run()
    atom.scalar_relativistic = True
    atom.refine()
    return CubicSpline(atom.rgd.r_g, atom.n_sg.sum(axis=0))


def free_densities(atoms: Atoms, shape: tuple[int, int, int], free: dict[str, CubicSpline]) -> np.ndarray:
    """Density of each atom and its images on a grid of the cell, shape (num_atoms, num_points), electrons/bohr³.

    :param shape: points along each cell vector, the first at the origin
    :param free: free atoms by symbol
    """
    cell = atoms.cell[:]
    fractions = np.stack(np.meshgrid(*(np.arange(size) / size for size in shape), indexing="ij"), axis=-1)
    points = fractions.reshape(-1, 3) @ cell
    most = np.ceil(REACH * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int) + 1
    parts = np.zeros((len(atoms), len(points)))
    for part, symbol, fraction in zip(parts, atoms.symbols, atoms.get_scaled_positions(), strict=True):
        for image in np.ndindex(*(2 * most + 1)):
            squared = ((points - (fraction + image - most) @ cell) ** 2).sum(axis=1)
            near = np.flatnonzero(squared < REACH**2)
            part[near] += free[symbol](np.sqrt(squared[near]) / Bohr)
    return parts


def charges_on_grid(atoms: Atoms, density: np.ndarray, free: dict[str, CubicSpline]) -> np.ndarray:
    """Hirshfeld charges of a periodic structure, shape (num_atoms,), e.

    :param density: of all electrons on a grid of the cell, the first point at the origin, electrons/bohr³
    :param free: free atoms by symbol
    """
    weight = atoms.get_volume() / Bohr**3 / density.size
    parts = free_densities(atoms, density.shape, free)
    return partition(atoms.numbers, parts, weight * density.reshape(-1))
