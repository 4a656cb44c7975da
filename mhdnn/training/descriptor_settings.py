"""The settings of the group ``descriptor``, with their types and ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional, Union

from mhdnn.descriptors.couplings import MAX_FOUR_BODY_DEGREE
from mhdnn.descriptors.cutoff import CUTOFF_FUNCTIONS, is_cutoff_function
from mhdnn.descriptors.groups import MAX_DEGREE
from mhdnn.descriptors.input_nn import LENGTH_UNITS
from mhdnn.typed import NOT_EMPTY, Count, CountOrZero, NotNegative, Positive, Range, Rule, one_of

Path = Annotated[str, Rule(lambda text: bool(text.strip()), "a path", {"pattern": r"\S"})]
CUTOFF_NAMES = f"{', '.join(CUTOFF_FUNCTIONS)} (with an inner fraction: cosine:0.25)"
CUTOFF_PATTERN = rf"^({'|'.join(CUTOFF_FUNCTIONS)})(:[0-9.eE+-]+)?$"
CutoffFunction = Annotated[str, Rule(is_cutoff_function, CUTOFF_NAMES, {"pattern": CUTOFF_PATTERN})]
LengthUnit = Annotated[str, one_of(LENGTH_UNITS)]
Pair = Annotated[list[float], Rule(lambda pair: len(pair) == 2, "a pair of numbers", {"minItems": 2, "maxItems": 2})]
Channels = Literal["resolved", "weighted", "learned"]
DescriptorChoice = Literal["four_body", "contracted", "legendre", "wide", "narrow"]


@dataclass
class SpacedRadial:
    """Gaussians at equal distances, Å."""

    num: Count
    first: NotNegative
    last: Optional[Positive]
    width: Positive


@dataclass
class ListedRadial:
    """Every η (Å⁻²) with every shift (Å)."""

    etas: Annotated[list[NotNegative], NOT_EMPTY]
    shifts: Annotated[list[float], NOT_EMPTY]


@dataclass
class PairedRadial:
    """Pairs of η (Å⁻²) and shift (Å)."""

    functions: Annotated[list[Pair], NOT_EMPTY]


Radial = Union[SpacedRadial, ListedRadial, PairedRadial]


@dataclass
class SpacedPart(SpacedRadial):
    """As radial functions of the descriptor, which may have a cutoff of their own (Å)."""

    cutoff: Optional[Positive] = None


@dataclass
class ListedPart(ListedRadial):
    """The same."""

    cutoff: Optional[Positive] = None


@dataclass
class PairedPart(PairedRadial):
    """The same."""

    cutoff: Optional[Positive] = None


@dataclass
class ContractedRadial(SpacedPart):
    """Learned combinations of the Gaussians, as many (null) or another number."""

    kind: Literal["contracted"] = "contracted"
    num_functions: Optional[Count] = None


RadialPart = Union[SpacedPart, ListedPart, PairedPart, ContractedRadial]


@dataclass
class FourBody:
    """Which moments are coupled to four-body functions."""

    max_degree: Annotated[int, Range(least=0, most=MAX_FOUR_BODY_DEGREE)]
    num_densities: CountOrZero


@dataclass
class Contracted:
    """Angular functions of contracted densities."""

    kind: Literal["contracted"]
    num_densities: Count
    max_degree: Annotated[int, Range(least=0, most=MAX_DEGREE)]
    four_body: Optional[FourBody]
    radial: Radial
    cutoff: Optional[Positive] = None


@dataclass
class Legendre:
    """Angular functions from products of moments."""

    kind: Literal["legendre"]
    max_degree: Annotated[int, Range(least=0, most=MAX_DEGREE)]
    cross_terms: bool
    radial: Radial
    cutoff: Optional[Positive] = None


@dataclass
class Behler:
    """Angular functions of ζ and λ."""

    kind: Literal["wide", "narrow", "wide_by_triplets"]
    radial: Radial
    zetas: Annotated[list[Count], NOT_EMPTY]
    lambdas: Annotated[list[Literal[-1, 1]], NOT_EMPTY]
    cutoff: Optional[Positive] = None


@dataclass
class BehlerList:
    """Angular functions, each with its own λ and ζ."""

    kind: Literal["wide", "narrow", "wide_by_triplets"]
    radial: Radial
    functions: Annotated[list[Any], NOT_EMPTY]
    cutoff: Optional[Positive] = None


@dataclass
class Functions:
    """The descriptor from its parts; channels are those of functions that are not contracted."""

    cutoff_function: CutoffFunction
    radial: Union[RadialPart, list[RadialPart]]
    angular: dict[str, Union[None, Legendre, Behler, BehlerList, Contracted]]
    channels: Channels = "resolved"
    num_channels: Count = 1


@dataclass
class InputNN:
    """The descriptor of RuNNer's or n2p2's input.nn."""

    input_nn: Path
    length_unit: LengthUnit


@dataclass
class Listed:
    """Functions given one by one for each element as centre; what an input.nn becomes."""

    cutoff_function: CutoffFunction
    functions: dict[str, list[Any]]


@dataclass
class AutomaticFunctions:
    """Which other choice of the group is taken for so many elements."""

    one_element: DescriptorChoice
    more_elements: DescriptorChoice
