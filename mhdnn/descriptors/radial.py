"""Radial symmetry functions."""

import torch
from torch import nn

from mhdnn.descriptors.neighborhood import FunctionGroup, Neighborhood


class GaussianBasis(nn.Module):
    r""":math:`g_n(r) = \exp(-\eta_n (r - r_{s,n})^2)`, without the cutoff function.

    :param etas: η, shape (num_radial,), Å⁻²
    :param shifts: r_s, shape (num_radial,), Å
    """

    etas: torch.Tensor
    shifts: torch.Tensor

    def __init__(self, etas: torch.Tensor, shifts: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("etas", etas.to(torch.get_default_dtype()))
        self.register_buffer("shifts", shifts.to(torch.get_default_dtype()))

    def forward(self, distance: torch.Tensor) -> torch.Tensor:
        """Values at distances of any shape, shape (..., num_radial)."""
        offset = distance.unsqueeze(-1) - self.shifts
        return torch.exp(-self.etas * offset * offset)


class RadialFunctions(FunctionGroup):
    r""":math:`G^2_{cn} = \sum_j w_c(Z_j)\, e^{-\eta_n (r_{ij} - r_{s,n})^2} f_c(r_{ij})`
    (https://doi.org/10.1063/1.3553717, eq. 6).
    """

    def __init__(self, basis: GaussianBasis, num_channels: int) -> None:
        super().__init__()
        self.basis = basis
        self.num_channels = num_channels
        self.num_functions = num_channels * len(basis.etas)

    def forward(self, neighborhood: Neighborhood) -> torch.Tensor:
        """Shape (num_atoms, num_channels · num_radial), channel-major."""
        values = self.basis(neighborhood.distance) * neighborhood.cutoff_value.unsqueeze(-1)
        sums = torch.bmm(neighborhood.channel_weight.transpose(1, 2), values)
        return sums.reshape(values.shape[0], self.num_functions)

    @torch.jit.ignore
    def names(self, channels: list[str]) -> list[str]:
        parameters = zip(self.basis.etas.tolist(), self.basis.shifts.tolist(), strict=True)
        functions = [f"radial eta={eta:.4g} r_s={shift:.4g}" for eta, shift in parameters]
        return [f"{function} [{channel}]" for channel in channels for function in functions]
