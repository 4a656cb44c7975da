"""Boxes of molecules at a density: random places, then rigid molecules pushed apart until none overlap."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from ase import Atoms
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from mhdnn.errors import ConfigError
from mhdnn.neighbors import find_pairs
from mhdnn.properties.structures.molecules import molecule
from mhdnn.units import GRAM_PER_CUBIC_CENTIMETER_PER_AMU_PER_CUBIC_ANGSTROM

ATTEMPTS = 5
ROOM = 1.02
"""Molecules are pushed apart to this multiple of the tolerance, so that none ends just below it."""


def pack_box(
    contents: Mapping[str, int],
    density: float,
    area: tuple[float, float] | None = None,
    tolerance: float = 2.0,
    seed: int = 0,
) -> Atoms:
    r"""A periodic box of rigid molecules in random orientations at a density.

    From random places the molecules minimise :math:`\sum \max(0, t - r)^2` over pairs of atoms of different
    molecules, as Packmol does (Martínez et al., J. Comput. Chem. 30, 2157 (2009),
    https://doi.org/10.1002/jcc.21224), until all are further apart than t.

    :param contents: names of molecules (`molecules.MOLECULES`) and their numbers
    :param density: g/cm³
    :param area: lengths of the box along x and y in Å, e.g. of an electrode below; None: a cube
    :param tolerance: smallest distance t of atoms in different molecules, Å
    :param seed: the same seed gives the same box
    :return: molecules one after another, each whole; array ``molecule`` numbers them
    :raises ConfigError: if the box is too small for a molecule, or they don't fit
    """
    if not contents or min(contents.values()) < 1 or density <= 0 or tolerance <= 0:
        raise ConfigError(
            "`contents`, `density`, `tolerance`: expected positive numbers, got "
            f"{dict(contents)}, {density} g/cm³, {tolerance} Å"
        )
    parts = [molecule(name) for name, count in contents.items() for _ in range(count)]
    mass = sum(part.get_masses().sum() for part in parts)
    volume = mass * GRAM_PER_CUBIC_CENTIMETER_PER_AMU_PER_CUBIC_ANGSTROM / density
    edge = volume ** (1 / 3)
    lengths = np.array([edge] * 3 if area is None else [*area, volume / (area[0] * area[1])])
    extent = max(np.linalg.norm(part.positions[:, None] - part.positions, axis=-1).max() for part in parts)
    if lengths.min() < extent + tolerance:
        raise ConfigError(
            f"`contents`: expected so many molecules that the box is wider than {extent + tolerance:.1f} Å, got "
            f"{' x '.join(f'{length:.1f}' for length in lengths)} Å; add molecules"
        )
    generator = np.random.default_rng(seed)
    for _ in range(ATTEMPTS):
        packing = _Packing(parts, lengths, tolerance, generator)
        if packing.separate():
            return packing.atoms()
    raise ConfigError(
        f"`density`: {len(parts)} molecules found no places {tolerance} Å apart at {density} g/cm³; choose a smaller "
        "density or tolerance"
    )


class _Packing:
    """Rigid molecules in a box."""

    def __init__(
        self, parts: list[Atoms], lengths: np.ndarray, tolerance: float, generator: np.random.Generator
    ) -> None:
        self.parts, self.lengths, self.tolerance = parts, lengths, tolerance
        self.index = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        turns = Rotation.random(len(parts), rng=generator).as_matrix()
        turned = [part.positions @ turn.T for part, turn in zip(parts, turns, strict=True)]
        self.bodies = torch.from_numpy(np.vstack(turned))
        self.pose = np.concatenate([generator.random((len(parts), 3)) * lengths, np.zeros((len(parts), 3))], axis=1)

    def positions(self, pose: torch.Tensor) -> torch.Tensor:
        """Of all atoms; the pose is a shift and a rotation vector for each molecule."""
        x, y, z = pose[:, 3:].unbind(1)
        zero = torch.zeros_like(x)
        generators = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
        turns = torch.linalg.matrix_exp(generators)[self.index]
        return (turns @ self.bodies.unsqueeze(2)).squeeze(2) + pose[self.index, :3]

    def overlaps(self, positions: torch.Tensor, distance: float) -> torch.Tensor:
        """How much closer than the distance pairs of different molecules are, Å."""
        pairs = find_pairs(positions.detach().numpy(), np.diag(self.lengths), np.ones(3, dtype=bool), distance)
        different = self.index[pairs.center_index] != self.index[pairs.neighbor_index]
        first, second, shifts = (torch.from_numpy(array[different]) for array in pairs)
        return distance - torch.linalg.norm(positions[second] - positions[first] + shifts, dim=1)

    def separate(self) -> bool:
        """Push the molecules apart; whether none overlap then."""

        def penalty(flat: np.ndarray) -> tuple[float, np.ndarray]:
            pose = torch.tensor(flat.reshape(self.pose.shape), requires_grad=True)
            value = (self.overlaps(self.positions(pose), ROOM * self.tolerance) ** 2).sum()
            (gradient,) = torch.autograd.grad(value, pose)
            return float(value.detach()), gradient.numpy().ravel()

        found = minimize(penalty, self.pose.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
        self.pose = found.x.reshape(self.pose.shape)
        return len(self.overlaps(self.positions(torch.from_numpy(self.pose)), self.tolerance)) == 0

    def atoms(self) -> Atoms:
        """The molecules, their centres inside the box."""
        pose = self.pose.copy()
        pose[:, :3] %= self.lengths
        symbols = [symbol for part in self.parts for symbol in part.get_chemical_symbols()]
        atoms = Atoms(symbols, self.positions(torch.from_numpy(pose)).numpy(), cell=self.lengths, pbc=True)
        atoms.set_array("molecule", self.index)
        return atoms
