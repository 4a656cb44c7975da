r"""Repulsion of nuclei at distances that no training set has: Ziegler, Biersack and Littmark's universal potential.

A network knows nothing of distances below the shortest that it was trained on, and may let atoms fall into each
other. There this known function is added (The Stopping and Range of Ions in Solids, Pergamon 1985):

.. math::

    E_{ij} = \frac{k_e Z_i Z_j}{r}\,\varphi(r/a)\,f(r), \qquad a = \frac{0.46850}{Z_i^{0.23} + Z_j^{0.23}}\,\text{Å},

with :math:`\varphi(x) = \sum_k c_k e^{-d_k x}` and f falling from one at an inner to zero at an outer radius of each
pair of elements as the polynomial of `mhdnn.descriptors.cutoff`: twice continuously differentiable.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import torch
from ase.data import covalent_radii
from torch import nn

from mhdnn.descriptors.cutoff import switching_value
from mhdnn.errors import ConfigError
from mhdnn.units import COULOMB_CONSTANT

AMPLITUDES = (0.18175, 0.50986, 0.28022, 0.02817)
DECAYS = (3.19980, 0.94229, 0.40290, 0.20162)
LENGTH, EXPONENT = 0.46850, 0.23
UNSEEN = 0.7
"""Outer radius of pairs of elements that never came near each other, as a fraction of their covalent radii's sum."""


class Repulsion(nn.Module):
    """Screened repulsion of nuclei below a distance of each pair of elements.

    :param atomic_numbers: elements of the model, ascending
    """

    inner: torch.Tensor
    outer: torch.Tensor
    strength: torch.Tensor
    length: torch.Tensor

    def __init__(self, atomic_numbers: Sequence[int]) -> None:
        super().__init__()
        number = torch.tensor(atomic_numbers, dtype=torch.float64)
        power = number**EXPONENT
        self.register_buffer("strength", COULOMB_CONSTANT * torch.outer(number, number))
        self.register_buffer("length", LENGTH / (power.unsqueeze(0) + power.unsqueeze(1)))
        # without radii nothing is repelled; a model file names them
        self.register_buffer("inner", torch.zeros(len(number), len(number), dtype=torch.float64))
        self.register_buffer("outer", torch.zeros(len(number), len(number), dtype=torch.float64))
        self.amplitudes, self.decays = list(AMPLITUDES), list(DECAYS)  # TorchScript reads no globals

    def forward(
        self,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        element_index: torch.Tensor,
        num_centers: int,
    ) -> torch.Tensor:
        """Half of the repulsion of each pair for its centre, shape (num_centers,), eV, float64.

        :param vectors: from centre to neighbour, shape (num_pairs, 3), Å
        :param element_index: of all atoms, those that are neighbours only included
        """
        # nearly no pair is near: all others are left out before anything is computed of them
        x, y, z = vectors.detach().unbind(1)
        near = torch.nonzero(x * x + y * y + z * z < self.outer.max() ** 2).squeeze(1)
        result = torch.zeros(num_centers, dtype=torch.float64, device=vectors.device)
        if len(near) == 0:
            return result
        vectors = vectors.index_select(0, near).to(torch.float64)
        center_index = center_index.index_select(0, near)
        first = element_index.index_select(0, center_index)
        second = element_index.index_select(0, neighbor_index.index_select(0, near))
        return result.index_add(0, center_index, 0.5 * self.pair_energies(vectors, first, second))

    def pair_energies(self, vectors: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Repulsion of pairs of atoms, shape (num_pairs,), eV.

        :param vectors: shape (num_pairs, 3), Å, float64
        :param first: rows of the elements of the first atoms, shape (num_pairs,)
        :param second: the same of the second ones
        """
        pair = first * len(self.outer) + second
        distance = torch.sqrt((vectors * vectors).sum(1))
        energies = self.strength.flatten().index_select(0, pair) / distance * self.screening(distance, pair)
        return energies * self.switch(distance, pair)

    def screening(self, distance: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        r""":math:`\varphi(r/a)` of pairs of elements."""
        reduced = distance / self.length.flatten().index_select(0, pair)
        result = torch.zeros_like(distance)
        for amplitude, decay in zip(self.amplitudes, self.decays):  # noqa: B905 TorchScript's zip has no strict
            result = result + amplitude * torch.exp(-decay * reduced)
        return result

    def switch(self, distance: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
        """One below the inner radius, zero beyond the outer one."""
        inner = self.inner.flatten().index_select(0, pair)
        outer = self.outer.flatten().index_select(0, pair)
        return switching_value("polynomial", torch.clamp((outer - distance) / (outer - inner), 0.0, 1.0))

    @torch.jit.ignore
    def set_radii(self, shortest: torch.Tensor, inner_fraction: float, outer_fraction: float) -> None:
        """Radii as fractions of the shortest distances of the training data.

        :param shortest: of each pair of elements, shape (num_elements, num_elements), Å; infinite where no pair came
            within the cutoff
        :raises ConfigError: if the fractions are not ordered
        """
        if not 0 <= inner_fraction < outer_fraction:
            raise ConfigError(
                f"`repulsion`: expected 0 <= inner < outer, got {inner_fraction} and {outer_fraction}; "
                "they are fractions of the shortest distance of each pair of elements"
            )
        number = torch.round(torch.sqrt(self.strength.diagonal() / COULOMB_CONSTANT)).long()
        radius = torch.as_tensor(covalent_radii[number.numpy()])
        unseen = UNSEEN * (radius.unsqueeze(0) + radius.unsqueeze(1))
        shortest = torch.where(torch.isfinite(shortest), shortest, unseen)
        self.inner.copy_(inner_fraction * shortest)
        self.outer.copy_(outer_fraction * shortest)


def build_repulsion(settings: Mapping[str, Any], atomic_numbers: Sequence[int]) -> Optional[Repulsion]:
    """The repulsion that the key ``repulsion`` of a potential's settings asks for; its radii are set by the data."""
    return Repulsion(atomic_numbers) if settings.get("repulsion") else None
