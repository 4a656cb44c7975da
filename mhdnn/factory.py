"""From settings to a potential: the one place that knows all kinds of its parts."""

from collections.abc import Mapping, Sequence
from typing import Any

from mhdnn.charge_model import ChargeModel, screening_from_settings, widths_from_settings
from mhdnn.descriptors import build_descriptor
from mhdnn.ensemble import EnsembleNetwork
from mhdnn.errors import ConfigError
from mhdnn.layered_network import build_layered_network
from mhdnn.networks import AtomicNetwork, AtomicNumberFeature, EmbeddingFeature, PerElementNetwork, SharedNetwork
from mhdnn.potential import DTYPES, MAX_ATOMIC_NUMBER, Potential, default_dtype
from mhdnn.repulsion import build_repulsion
from mhdnn.short_range import ShortRange


def build_potential(settings: Mapping[str, Any]) -> Potential:
    """A potential from plain settings, as they stand in checkpoints and model files.

    :param settings: keys atomic_numbers, cutoff, dtype, descriptor, network; for a potential with charge
        equilibration also charges, for one with a repulsion of nuclei also repulsion
    :raises ConfigError: if a setting is unknown or out of range
    """
    if settings["dtype"] not in DTYPES:
        raise ConfigError(f"`dtype`: expected one of {sorted(DTYPES)}, got {settings['dtype']!r}")
    atomic_numbers = sorted({int(number) for number in settings["atomic_numbers"]})
    if not atomic_numbers or atomic_numbers[0] < 1 or atomic_numbers[-1] > MAX_ATOMIC_NUMBER:
        raise ConfigError(f"`elements`: expected atomic numbers from 1 to 118, got {atomic_numbers}")
    with default_dtype(DTYPES[settings["dtype"]]):
        descriptor = build_descriptor(settings["descriptor"], atomic_numbers, float(settings["cutoff"]))
        num_functions, charges = descriptor.num_functions, settings.get("charges")
        if charges and settings["network"].get("num_members", 1) > 1:
            raise ConfigError("`ensemble.size`: with `charges=equilibration` only 1; train several seeds instead")
        network = build_network(settings["network"], atomic_numbers, num_functions + (1 if charges else 0))
        return Potential(
            atomic_numbers,
            descriptor,
            ShortRange(network, len(atomic_numbers)),
            build_charge_model(charges, atomic_numbers, num_functions, descriptor.cutoff) if charges else None,
            build_repulsion(settings, atomic_numbers),
        )


def build_charge_model(
    settings: Mapping[str, Any], atomic_numbers: Sequence[int], num_functions: int, cutoff: float
) -> ChargeModel:
    """The charge model that the group ``charges`` of the configuration describes.

    :param settings: keys network, widths, initial_hardness, screening, accuracy
    :param cutoff: where screening ends at the latest, Å
    :raises ConfigError: if a setting is out of range
    """
    initial_hardness = float(settings["initial_hardness"])
    if not initial_hardness > 0:
        raise ConfigError(f"`charges.initial_hardness`: expected a positive number in eV/e², got {initial_hardness}")
    accuracy = float(settings["accuracy"])
    if not 0 < accuracy < 1e-2:
        raise ConfigError(f"`charges.accuracy`: expected a number between 0 and 0.01, got {accuracy}")
    return ChargeModel(
        build_network(settings["network"], atomic_numbers, num_functions),
        widths_from_settings(settings["widths"], atomic_numbers),
        initial_hardness,
        screening_from_settings(settings["screening"], cutoff),
        accuracy,
    )


def build_network(settings: Mapping[str, Any], atomic_numbers: Sequence[int], num_functions: int) -> AtomicNetwork:
    """The network that the group ``network`` of the configuration describes.

    :param settings: keys kind (shared, per_element), species_feature, embedding_dimension, hidden,
        activation, linear_skip, num_members of an ensemble; or kind (layers) and elements (`mhdnn.layered_network`)
    :raises ConfigError: for an unknown kind, species feature or activation
    """
    if settings["kind"] == "layers":
        return build_layered_network(settings, atomic_numbers)
    num_members = int(settings.get("num_members", 1))
    shape = (list(settings["hidden"]), settings["activation"], bool(settings["linear_skip"]))
    if settings["kind"] == "per_element":
        if num_members > 1:
            raise ConfigError("`ensemble.size`: members share their network; choose `network=shared`, or a size of 1")
        return PerElementNetwork(num_functions, len(atomic_numbers), *shape)
    if settings["kind"] != "shared":
        raise ConfigError(f"`network.kind`: expected shared or per_element, got {settings['kind']!r}")
    feature: AtomicNumberFeature | EmbeddingFeature
    if settings["species_feature"] == "atomic_number":
        feature = AtomicNumberFeature(atomic_numbers)
    elif settings["species_feature"] == "embedding":
        feature = EmbeddingFeature(len(atomic_numbers), int(settings["embedding_dimension"]))
    else:
        raise ConfigError(
            f"`network.species_feature`: expected atomic_number or embedding, got {settings['species_feature']!r}"
        )
    if num_members > 1:
        return EnsembleNetwork(num_members, num_functions, feature, *shape)
    return SharedNetwork(num_functions, feature, *shape)
