r"""Cutoff functions :math:`f_c(r)`: one at r = 0 (or up to an inner radius), zero at the cutoff and beyond.

With :math:`x = (r - r_i)/(r_c - r_i)`, :math:`r_i = \alpha r_c` the inner radius (zero unless a fraction
:math:`\alpha` is given after the name, as in ``cosine:0.25``) and :math:`y = 1 - x`:

- cosine: :math:`\tfrac12 [1 + \cos(\pi x)]` (Behler and Parrinello 2007,
  https://doi.org/10.1103/PhysRevLett.98.146401); its second derivative jumps at the cutoff
- polynomial: :math:`1 - 10x^3 + 15x^4 - 6x^5`; twice continuously differentiable
- tanh: :math:`\tanh^3(1 - r / r_c) / \tanh^3(1)`; first and second derivative vanish at the cutoff. It has no inner
  radius; nor has tanh_unscaled, without the constant denominator
- polynomial3, polynomial7, polynomial9: :math:`3y^2 - 2y^3`, :math:`35y^4 - 84y^5 + 70y^6 - 20y^7`,
  :math:`126y^5 - 420y^6 + 540y^7 - 315y^8 + 70y^9`; once, three and four times continuously differentiable
- exponential: :math:`e^{1 - 1/(1 - x^2)}`; all derivatives vanish at the cutoff
- hard: one up to the cutoff, where the energy jumps

All are those of RuNNer and n2p2 (types 1, 6, 3, 2, 5, 7, 8, 4 and 0 in this order).
"""

import math

import torch

from mhdnn.errors import ConfigError

CUTOFF_FUNCTIONS = (
    "cosine", "polynomial", "tanh", "hard", "tanh_unscaled", "exponential", "polynomial3", "polynomial7", "polynomial9",
)  # fmt: skip
WITHOUT_INNER_RADIUS = ("tanh", "tanh_unscaled")


def switching_value(kind: str, y: torch.Tensor) -> torch.Tensor:
    """What rises from 0 at y = 0 to 1 at y = 1 (TorchScript can call it).

    :param kind: one of `CUTOFF_FUNCTIONS`
    :param y: between 0 and 1
    """
    if kind == "cosine":
        return 0.5 * (1.0 - torch.cos(math.pi * y))
    if kind == "polynomial":
        return y * y * y * (10.0 + y * (6.0 * y - 15.0))
    if kind == "polynomial3":
        return y * y * (3.0 - 2.0 * y)
    if kind == "polynomial7":
        square = y * y
        return square * square * (35.0 + y * (y * (70.0 - 20.0 * y) - 84.0))
    if kind == "polynomial9":
        square = y * y
        return square * square * y * (126.0 + y * (y * (540.0 + y * (70.0 * y - 315.0)) - 420.0))
    if kind == "exponential":
        inside = torch.clamp(y, min=1e-3)  # below, the function is zero to the last digit
        return torch.where(y < 1e-3, torch.zeros_like(y), torch.exp(1.0 - 1.0 / (inside * (2.0 - inside))))
    if kind == "hard":
        return (y > 1e-14).to(y.dtype)
    value = torch.tanh(y)
    value = value * value * value
    return value / math.tanh(1.0) ** 3 if kind == "tanh" else value


def split_name(name: str) -> tuple[str, float]:
    """Kind and inner fraction of a cutoff function, as in ``cosine:0.25``.

    :raises ConfigError: for what is no cutoff function
    """
    kind, colon, fraction = name.partition(":")
    if kind not in CUTOFF_FUNCTIONS:
        raise ConfigError(
            f"`descriptor.cutoff_function`: expected one of {', '.join(sorted(CUTOFF_FUNCTIONS))}, got {name!r}"
        )
    if not colon:
        return kind, 0.0
    try:
        inner = float(fraction)
    except ValueError:
        inner = math.nan
    if not 0.0 <= inner < 1.0 or (inner > 0.0 and kind in WITHOUT_INNER_RADIUS):
        raise ConfigError(
            f"`descriptor.cutoff_function`: expected an inner fraction of at least 0 and below 1 after the colon "
            f"(0 for {' and '.join(WITHOUT_INNER_RADIUS)}), got {name!r}"
        )
    return kind, inner


def cutoff_value(name: str, distance: torch.Tensor, cutoff: float) -> torch.Tensor:
    """:math:`f_c` at distances of any shape.

    :param name: a cutoff function, with an inner fraction or without
    :param distance: Å
    :param cutoff: Å
    """
    kind, inner = split_name(name)
    return switching_value(kind, torch.clamp((1.0 - distance / cutoff) / (1.0 - inner), min=0.0, max=1.0))


def is_cutoff_function(name: str) -> bool:
    """Whether a cutoff function has this name."""
    try:
        split_name(name)
    except ConfigError:
        return False
    return True


def check_cutoff(name: str, cutoff: float) -> None:
    """Refuse what is no cutoff function.

    :raises ConfigError: for an unknown name, an inner fraction out of range or a cutoff that is not positive
    """
    split_name(name)
    if not cutoff > 0:
        raise ConfigError(f"`cutoff`: expected a positive length in Å, got {cutoff}")
