r"""The charge model of a potential: what determines its charges, and what they change at short range.

.. math:: E = \tfrac12 \mathbf q^T A \mathbf q + E_{screen} + \sum_i E_i(G_i, q_i, Z_i)

A network gives the electronegativity :math:`\chi_i` of every atom from its symmetry functions; the charges
minimise :math:`\tfrac12 \mathbf q^T (A + \mathrm{diag} J)\mathbf q + \chi^T\mathbf q` at fixed total charge (Ko,
Finkler, Goedecker, Behler 2021, https://doi.org/10.1038/s41467-020-20427-2). What a domain-decomposed code needs
stands here as methods of one scripted module; the solution for the charges is in `mhdnn.electrostatics`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from ase.data import atomic_numbers as atomic_number_of
from ase.data import chemical_symbols, covalent_radii
from torch import nn

from mhdnn.descriptors.cutoff import CUTOFF_FUNCTIONS, switching_value
from mhdnn.errors import ConfigError
from mhdnn.networks import AtomicNetwork
from mhdnn.units import COULOMB_CONSTANT


class Screening(NamedTuple):
    """Which electrostatics of close pairs is taken out again.

    :param inner: below, all of a pair's, Å
    :param outer: above, none, Å
    :param function: how it rises between them, one of `mhdnn.descriptors.cutoff`
    :param self_terms: whether the energy of each charge with itself is taken out
    """

    inner: float = 0.0
    outer: float = 0.0
    function: str = "cosine"
    self_terms: bool = False


class ChargeModel(nn.Module):
    r"""Electronegativities, hardness and widths of atoms; their charges as input of the short-range part; screening.

    :param network: gives electronegativities; takes scaled functions and element indices
    :param widths: Gaussian widths s of the elements, Å
    :param initial_hardness: J of every element before training, eV/e²
    :param screening: what of the electrostatics of close pairs is taken out
    :param accuracy: relative accuracy of the sums over periodic images (`mhdnn.electrostatics.build_coulomb`)
    :ivar charge_mean: mean charge of each element, shape (num_elements,), e
    :ivar charge_scale: inverse spread about it, 1/e
    """

    widths: torch.Tensor
    charge_mean: torch.Tensor
    charge_scale: torch.Tensor

    def __init__(
        self,
        network: AtomicNetwork,
        widths: Sequence[float],
        initial_hardness: float,
        screening: Screening,
        accuracy: float,
    ) -> None:
        super().__init__()
        self.network = network
        self.electronegativity_shift = nn.Parameter(torch.zeros(len(widths)))
        hardness = torch.full((len(widths),), initial_hardness, dtype=torch.float64)
        self.raw_hardness = nn.Parameter(raw_hardness_of(hardness).to(torch.get_default_dtype()))
        self.register_buffer("widths", torch.tensor(widths, dtype=torch.float64))
        self.register_buffer("charge_mean", torch.zeros(len(widths)))
        self.register_buffer("charge_scale", torch.ones(()))
        self.coulomb_constant = COULOMB_CONSTANT  # TorchScript reads no globals
        self.accuracy = float(accuracy)
        self.inner_radius, self.outer_radius = float(screening.inner), float(screening.outer)
        self.screening_function, self.screens_self_terms = screening.function, screening.self_terms

    @torch.jit.export
    def electronegativity(self, functions: torch.Tensor, element_index: torch.Tensor) -> torch.Tensor:
        r"""Electronegativities :math:`\chi_i`, shape (num_atoms,), eV/e, float64.

        :param functions: scaled, shape (num_atoms, num_functions)
        :param element_index: shape (num_atoms,)
        """
        values = self.network(functions, element_index)
        return (values + self.electronegativity_shift.index_select(0, element_index)).to(torch.float64)

    @torch.jit.export
    def hardness(self, element_index: torch.Tensor) -> torch.Tensor:
        """Positive hardness J of every atom, shape (num_atoms,), eV/e², float64."""
        return nn.functional.softplus(self.raw_hardness).to(torch.float64).index_select(0, element_index)

    @torch.jit.export
    def charge_widths(self, element_index: torch.Tensor) -> torch.Tensor:
        """Width s of every atom's Gaussian charge, shape (num_atoms,), Å, float64."""
        return self.widths.index_select(0, element_index)

    @torch.jit.export
    def inputs(self, functions: torch.Tensor, element_index: torch.Tensor, charges: torch.Tensor) -> torch.Tensor:
        """What the short-range network takes: scaled functions and the scaled charge.

        :param charges: shape (num_atoms,), e
        :return: shape (num_atoms, num_functions + 1)
        """
        scaled = (charges.to(functions.dtype) - self.charge_mean.index_select(0, element_index)) * self.charge_scale
        return torch.cat([functions, scaled.unsqueeze(1)], 1)

    @torch.jit.export
    def screening(
        self,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        element_index: torch.Tensor,
        charges: torch.Tensor,
    ) -> torch.Tensor:
        r"""What takes the electrostatics of close pairs, and self terms, out again; shape (num_atoms,), eV.

        :math:`\tfrac12\sum_j q_i q_j A_{ij} (f_s(r_{ij}) - 1) - k_e q_i^2 / (2 s_i\sqrt\pi)`, with f_s rising from
        0 to 1 between the radii (`Screening`). Without an outer radius no pair is screened.
        """
        energies = self.self_screening(element_index) * charges * charges
        if self.outer_radius <= 0.0:
            return energies
        first, second = element_index.index_select(0, center_index), element_index.index_select(0, neighbor_index)
        product = charges.index_select(0, center_index) * charges.index_select(0, neighbor_index)
        return energies.index_add(0, center_index, product * self.pair_screening(vectors, first, second))

    @torch.jit.export
    def self_screening(self, element_index: torch.Tensor) -> torch.Tensor:
        r""":math:`-k_e / (2 s_i\sqrt\pi)`, or zero where self terms stay, shape (num_atoms,), eV/e²."""
        widths = self.charge_widths(element_index)
        if not self.screens_self_terms:
            return torch.zeros_like(widths)
        return -self.coulomb_constant / (2.0 * math.sqrt(math.pi) * widths)

    @torch.jit.export
    def pair_screening(self, vectors: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        r""":math:`\tfrac12 A_{ij} (f_s(r_{ij}) - 1)` of pairs of atoms, shape (num_pairs,), eV/e².

        :param vectors: shape (num_pairs, 3), Å
        :param first: rows of the elements of the first atoms, shape (num_pairs,)
        :param second: the same of the second ones
        """
        distance = torch.sqrt((vectors * vectors).sum(1))
        decay = torch.sqrt(2.0 * (self.widths[first] ** 2 + self.widths[second] ** 2))
        interaction = self.coulomb_constant * torch.erf(distance / decay) / distance
        fraction = (self.outer_radius - distance) / (self.outer_radius - self.inner_radius)
        return -0.5 * interaction * switching_value(self.screening_function, torch.clamp(fraction, 0.0, 1.0))


def raw_hardness_of(hardness: torch.Tensor) -> torch.Tensor:
    r"""What gives this hardness J > 0 by :math:`\log(1 + e^x)`."""
    return hardness + torch.log(-torch.expm1(-hardness))


def widths_from_settings(choice: Any, atomic_numbers: Sequence[int]) -> list[float]:
    """Gaussian widths of the elements, Å: ``covalent`` radii, or a mapping from symbols.

    :raises ConfigError: if an element has none, or one that is not positive
    """
    if choice == "covalent":
        return [float(covalent_radii[number]) for number in atomic_numbers]
    if not isinstance(choice, Mapping):
        raise ConfigError(f"`charges.widths`: expected covalent or a width for each element, got {choice!r}")
    widths = {atomic_number_of.get(str(symbol), 0): float(width) for symbol, width in choice.items()}
    for number in atomic_numbers:
        if not widths.get(number, 0.0) > 0:
            raise ConfigError(
                f"`charges.widths`: expected a positive width in Å for {chemical_symbols[number]}, "
                f"got {widths.get(number)}; add it, or use covalent"
            )
    return [widths[number] for number in atomic_numbers]


def screening_from_settings(choice: Any, cutoff: float) -> Screening:
    """The screening that settings describe: None for none, ``self`` for that of self terms alone, or inner and outer
    radius (Å) and a function.

    :raises ConfigError: if the radii are not ordered, or beyond the cutoff, or the function is unknown
    """
    if choice is None:
        return Screening()
    if choice == "self":
        return Screening(self_terms=True)
    function = choice.get("function", "cosine")
    if function not in CUTOFF_FUNCTIONS:
        raise ConfigError(
            f"`charges.screening.function`: expected one of {', '.join(CUTOFF_FUNCTIONS)}, got {function!r}"
        )
    inner, outer = float(choice["inner"]), float(cutoff if choice["outer"] is None else choice["outer"])
    if not 0 <= inner < outer <= cutoff:
        raise ConfigError(
            f"`charges.screening`: expected 0 <= inner < outer <= cutoff ({cutoff} Å), got {inner} and {outer}"
        )
    return Screening(inner, outer, function, self_terms=True)
