"""Angular symmetry functions as plain sums over pairs of neighbours.

`NarrowFunctions` has no cheaper form; `WideFunctionsByTriplets` is the oracle of the moment path.
"""

import torch
from torch import nn

from mhdnn.descriptors.angular import AngularList
from mhdnn.descriptors.neighborhood import FunctionGroup, Neighborhood
from mhdnn.descriptors.radial import GaussianBasis


def power(base: torch.Tensor, exponent: int) -> torch.Tensor:
    """Integer power by squaring; its gradient at 0 is finite for every exponent."""
    result = torch.ones_like(base)
    square = base
    while exponent > 0:
        if exponent % 2 == 1:
            result = result * square
        square = square * square
        exponent = exponent // 2
    return result


class TripletFunctions(FunctionGroup):
    r""":math:`2^{1-\zeta} \sum_{j<k} w_a w_b (1+\lambda\cos\theta_{jik})^\zeta g(r_{ij}) g(r_{ik}) h(r_{jk})`.

    :param cutoff_function: :math:`f_c`
    :param narrow: whether :math:`h = e^{-\eta r_{jk}^2} f_c(r_{jk})` (else 1)
    """

    def __init__(
        self,
        basis: GaussianBasis,
        functions: AngularList,
        num_channels: int,
        cutoff_function: nn.Module,
        narrow: bool,
    ) -> None:
        super().__init__()
        self.basis = basis
        self.radial_index, self.zetas, self.lambdas = functions  # TorchScript knows no methods of tuples
        self.num_channels = num_channels
        self.cutoff_function = cutoff_function
        self.narrow = narrow
        self.num_functions = len(functions.zetas) * num_channels * (num_channels + 1) // 2

    def forward(self, neighborhood: Neighborhood) -> torch.Tensor:
        """Shape (num_atoms, num_channel_pairs · num_functions), channel-pair-major."""
        cosine = torch.bmm(neighborhood.direction, neighborhood.direction.transpose(1, 2))
        distance = neighborhood.distance
        if self.narrow:
            first, second = distance.unsqueeze(2), distance.unsqueeze(1)
            square = first * first + second * second - 2.0 * first * second * cosine
            # no two neighbours are this close; keeps the root's gradient finite for own and empty places
            square = torch.clamp(square, min=1e-6)
            third_side = self.cutoff_function(torch.sqrt(square))
        else:
            square, third_side = cosine, cosine
        radial = self.basis(distance) * neighborhood.cutoff_value.unsqueeze(-1)
        terms = []
        for index, zeta, lambda_ in zip(self.radial_index, self.zetas, self.lambdas):  # noqa: B905 (TorchScript)
            angular = power(1.0 + lambda_ * cosine, zeta) * 2.0 ** (1 - zeta)
            if self.narrow:
                angular = angular * torch.exp(-self.basis.etas[index] * square) * third_side
            radial_values = radial[:, :, index]
            terms.append(self.sum_pairs(angular, radial_values, neighborhood.channel_weight))
        return torch.stack(terms, -1).reshape(distance.shape[0], self.num_functions)

    def sum_pairs(self, angular: torch.Tensor, radial: torch.Tensor, channel_weight: torch.Tensor) -> torch.Tensor:
        """Sum over j ≠ k for every unordered pair of channels, shape (num_atoms, num_channel_pairs)."""
        weighted = channel_weight * radial.unsqueeze(-1)
        eye = torch.eye(angular.shape[1], dtype=angular.dtype, device=angular.device)
        sums = weighted.transpose(1, 2) @ (angular * (1.0 - eye)) @ weighted
        columns = []
        for first in range(self.num_channels):
            for second in range(first, self.num_channels):
                value = sums[:, first, second]
                columns.append(0.5 * value if first == second else value)
        return torch.stack(columns, 1)

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        kind = "narrow" if self.narrow else "wide"
        return AngularList(self.radial_index, self.zetas, self.lambdas).names(kind, self.basis, channels)


class NarrowFunctions(TripletFunctions):
    """Angular functions with the third side (type 3 of RuNNer and n2p2; Behler's G⁴)."""

    def __init__(
        self,
        basis: GaussianBasis,
        functions: AngularList,
        num_channels: int,
        cutoff_function: nn.Module,
    ) -> None:
        super().__init__(basis, functions, num_channels, cutoff_function, narrow=True)


class WideFunctionsByTriplets(TripletFunctions):
    """The wide functions without moments: the oracle that `WideFunctions` is tested against."""

    def __init__(
        self,
        basis: GaussianBasis,
        functions: AngularList,
        num_channels: int,
        cutoff_function: nn.Module,
    ) -> None:
        super().__init__(basis, functions, num_channels, cutoff_function, narrow=False)
