"""From the folder of a potential of n2p2 or RuNNer to a model file.

The potentials are those of J. Behler and M. Parrinello (second generation, 2G,
https://doi.org/10.1103/PhysRevLett.98.146401) and of T. W. Ko et al. (fourth generation, 4G,
https://doi.org/10.1038/s41467-020-20427-2): the same energy as here, with a network for each element.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_numbers as atomic_number_of

from mhdnn.charge_model import ChargeModel, raw_hardness_of
from mhdnn.deploy.hdnnp.keywords import Keywords, as_number, first_columns
from mhdnn.deploy.hdnnp.networks import network_settings, read_layers, set_weights
from mhdnn.deploy.hdnnp.scaling import Scaling, read_scaling
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.descriptors.input_nn import LENGTH_UNITS, InputNN, read_input_nn
from mhdnn.descriptors.listed import ListedFunctions, function_from_settings
from mhdnn.errors import ConfigError, DataError
from mhdnn.factory import build_potential
from mhdnn.files import refuse_to_overwrite
from mhdnn.layered_network import LayeredNetwork
from mhdnn.potential import Potential
from mhdnn.units import COULOMB_CONSTANT, HARTREE

ENERGY_UNITS = {"hartree": HARTREE, "ev": 1.0}
GENERATIONS = {"2": 2, "2G-HDNNP": 2, "4": 4, "4G-HDNNP": 4}
SCREENING_FUNCTIONS = {
    "c": "cosine", "p1": "polynomial3", "p2": "polynomial", "p3": "polynomial7", "p4": "polynomial9",
    "e": "exponential",
}  # fmt: skip
ACCURACY = 1e-10
"""Of sums over periodic images."""
SAME_CONSTANT = 1e-6
"""Relative difference of Coulomb constants that are the same in other digits."""
UNKNOWN_NUMBER = -1
"""Of the atoms that the ranges of the functions rest on."""


def import_potential(
    folder: Path | str,
    output: Path | str,
    length_unit: str = "bohr",
    energy_unit: str = "hartree",
    short_range: bool = True,
    accuracy: float = ACCURACY,
) -> Path:
    """Write the model file of a potential of n2p2 or RuNNer; returns its path.

    :param folder: with input.nn, scaling.data, weights.*.data; for 4G also weightse.*.data and hardness.*.data
    :param length_unit: of the files: bohr or angstrom
    :param energy_unit: of the files: hartree or ev
    :param short_range: whether the short-range networks are read; false: their energies are zero, which leaves the
        electrostatics of a 4G potential
    :param accuracy: of the sums over periodic images, relative
    :raises DataError: if a file is missing, or the files don't fit together
    :raises ConfigError: if a unit is unknown, input.nn asks for what isn't here, or the output is one of the files
    """
    refuse_to_overwrite([Path(folder) / "input.nn", *Path(folder).glob("*.data")], Path(output))
    potential, settings = read_potential(Path(folder), length_unit, energy_unit, short_range, accuracy)
    training = {"imported_from": f"n2p2 or RuNNer: {Path(folder).resolve().name}"}
    save_model(potential, Path(output), metadata_of(potential, settings, training))
    return Path(output)


def read_potential(
    folder: Path, length_unit: str, energy_unit: str, short_range: bool = True, accuracy: float = ACCURACY
) -> tuple[Potential, dict[str, Any]]:
    """The potential and the settings from which it is built; as `import_potential`."""
    for name, unit, known in (
        ("length_unit", length_unit, LENGTH_UNITS),
        ("energy_unit", energy_unit, ENERGY_UNITS),
    ):
        if unit not in known:
            raise ConfigError(f"`{name}`: expected one of {', '.join(known)}, got {unit!r}")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected that of a potential, with input.nn")
    keywords = Keywords(folder / "input.nn")
    functions = read_input_nn(keywords.path)
    _check_elements(keywords, functions)
    scaling = read_scaling(keywords, functions)
    length, energy = LENGTH_UNITS[length_unit], ENERGY_UNITS[energy_unit]
    settings = _settings(keywords, functions, length)
    if _generation(keywords) == 4:
        settings = _with_charges(settings, keywords, length, energy, accuracy)
    potential = build_potential(settings)
    network = potential.short_range.network
    assert isinstance(network, LayeredNetwork)
    if short_range:
        set_weights(network, keywords, "weights", scaling, "short-range")
    with torch.no_grad():
        scale = energy / keywords.number("conv_energy", 1.0)
        network.output_scale.fill_(scale if short_range else 0.0)
        for row, symbol in enumerate(keywords.elements):
            potential.short_range.reference_energies[row] = energy * _offset(keywords, symbol)
        if potential.charge_model is not None:
            _set_charges(potential.charge_model, keywords, scaling, energy)
    _set_ranges(potential, settings, scaling)
    return potential.eval(), settings


def _check_elements(keywords: Keywords, functions: InputNN) -> None:
    count = keywords.find("number_of_elements")
    if count is not None and keywords.numbers(count, 1)[0] != len(keywords.elements):
        raise DataError(f"{keywords.where(count)}: the line `elements` has {', '.join(keywords.elements)}")
    for symbol, own in functions.functions.items():
        if not own:
            raise DataError(f"{keywords.path}: expected symmetry functions of {symbol} as centre, found none")


def _generation(keywords: Keywords) -> int:
    entry = keywords.find("nnp_type")
    if entry is None:
        return 2
    word = entry.words[0] if entry.words else ""
    if word not in GENERATIONS:
        raise DataError(
            f"{keywords.where(entry)}: expected a potential of the second (2, 2G-HDNNP) or fourth generation (4, "
            "4G-HDNNP); others, with charges of an element's environment alone, are not supported"
        )
    return GENERATIONS[word]


def _offset(keywords: Keywords, symbol: str) -> float:
    """Energy of an atom beside its network's, in the file's unit."""
    entry = keywords.of_elements("atom_energy").get(symbol)
    own = 0.0 if entry is None else keywords.numbers(entry, 1, 1)[0]
    return own + keywords.number("mean_energy", 0.0)


def _settings(keywords: Keywords, functions: InputNN, length: float) -> dict[str, Any]:
    """Settings of a potential without charges."""
    normalized = [name for name in ("mean_energy", "conv_energy", "conv_length") if keywords.find(name)]
    if len(normalized) not in (0, 3):
        raise DataError(
            f"{keywords.path}: expected all or none of `mean_energy`, `conv_energy` and `conv_length`, found "
            f"{', '.join(normalized)}"
        )
    numbers = [atomic_number_of[symbol] for symbol in keywords.elements]
    descriptor, cutoff = functions.settings(length), functions.cutoff * length
    return {
        "atomic_numbers": numbers,
        "cutoff": cutoff,
        "dtype": "float64",
        "descriptor": descriptor,
        "network": network_settings(read_layers(keywords, "short"), _columns(descriptor, numbers, cutoff)),
    }


def _with_charges(
    settings: Mapping[str, Any], keywords: Keywords, length: float, energy: float, accuracy: float
) -> dict[str, Any]:
    """The same with charges, which are the last input of the short-range networks."""
    _check_coulomb_constant(keywords, length, energy)
    screening = _screening(keywords, length)
    cutoff = settings["cutoff"]
    if isinstance(screening, Mapping):
        cutoff = max(cutoff, screening["outer"])
    columns = _columns(settings["descriptor"], settings["atomic_numbers"], cutoff)
    charge = len({column for own in columns.values() for column in own})
    charges = {
        "widths": _widths(keywords, length),
        "initial_hardness": 1.0,  # those of the elements follow from their files
        "screening": screening,
        "accuracy": accuracy,
        "network": network_settings(read_layers(keywords, "electrostatic"), columns),
    }
    network = network_settings(
        read_layers(keywords, "short"), {symbol: [*own, charge] for symbol, own in columns.items()}
    )
    return {**settings, "cutoff": cutoff, "network": network, "charges": charges}


def _columns(descriptor: Mapping[str, Any], numbers: list[int], cutoff: float) -> dict[str, list[int]]:
    """Columns of the descriptor in the order of each element's functions."""
    own = {
        symbol: [function_from_settings(line, numbers, cutoff) for line in lines]
        for symbol, lines in descriptor["functions"].items()
    }
    different = dict.fromkeys(line for lines in own.values() for line in lines)
    place = {function: column for column, function in enumerate(different)}
    return {symbol: [place[function] for function in lines] for symbol, lines in own.items()}


def _check_coulomb_constant(keywords: Keywords, length: float, energy: float) -> None:
    constant = COULOMB_CONSTANT / (length * energy)  # in the file's units
    given = 1.0 / keywords.number("four_pi_epsilon", 1.0)
    if abs(given / constant - 1.0) > SAME_CONSTANT:
        raise DataError(
            f"{keywords.path}: `four_pi_epsilon`: expected {1.0 / constant:.10g}, the physical value in the units of "
            f"the files, got {1.0 / given:.10g}; are `length_unit` and `energy_unit` those of the potential?"
        )


def _widths(keywords: Keywords, length: float) -> dict[str, float]:
    """Of the elements' Gaussian charges, Å."""
    widths = {}
    for symbol in keywords.elements:
        entry = keywords.of_elements("fixed_gausswidth").get(symbol)
        if entry is None:
            raise DataError(f"{keywords.path}: expected a line `fixed_gausswidth {symbol} ...`, found none")
        widths[symbol] = keywords.numbers(entry, 1, 1)[0] * length
        if not widths[symbol] > 0:
            raise DataError(f"{keywords.where(entry)}: expected a positive width")
    return widths


def _screening(keywords: Keywords, length: float) -> Any:
    entry = keywords.find("screen_electrostatics")
    if entry is None:
        return "self"  # n2p2 leaves out the energy of a charge with itself in any case
    inner, outer = keywords.numbers(entry, 2)
    name = entry.words[2] if len(entry.words) > 2 else "c"
    if name not in SCREENING_FUNCTIONS or not 0.0 <= inner < outer:
        raise DataError(
            f"{keywords.where(entry)}: expected an inner and a larger outer radius, and a function of "
            f"{', '.join(SCREENING_FUNCTIONS)}"
        )
    return {"inner": inner * length, "outer": outer * length, "function": SCREENING_FUNCTIONS[name]}


def _set_charges(model: ChargeModel, keywords: Keywords, scaling: dict[str, Scaling], energy: float) -> None:
    """What determines the charges: electronegativities in the file's energy unit per e, hardness."""
    assert isinstance(model.network, LayeredNetwork)
    set_weights(model.network, keywords, "weightse", scaling, "electronegativity")
    model.network.output_scale.fill_(energy)
    model.charge_scale.fill_(keywords.number("conv_charge", 1.0))
    hardness = torch.zeros(len(keywords.elements), dtype=torch.float64)
    for row, symbol in enumerate(keywords.elements):
        path = keywords.path.parent / f"hardness.{atomic_number_of[symbol]:03d}.data"
        lines = first_columns(path, f"the hardness of {symbol}")
        values = [as_number(path, number, words[0]) for number, words in lines]
        if len(values) != 1 or not values[0] > 0:
            raise DataError(f"{path}: expected one positive hardness of {symbol}, got {values}")
        hardness[row] = values[0] * energy
    model.raw_hardness.copy_(raw_hardness_of(hardness))


def _set_ranges(potential: Potential, settings: Mapping[str, Any], scaling: dict[str, Scaling]) -> None:
    """Ranges of the functions in the training set, outside which n2p2 warns, too; of distances nothing is known."""
    assert isinstance(potential.descriptor.parts[0], ListedFunctions)
    columns = _columns(settings["descriptor"], settings["atomic_numbers"], settings["cutoff"])
    for row, (symbol, own) in enumerate(columns.items()):
        if scaling[symbol].minimum is None:
            continue
        potential.domain.num_atoms[row] = UNKNOWN_NUMBER
        low, high = (torch.from_numpy(values) for values in (scaling[symbol].minimum, scaling[symbol].maximum))
        potential.domain.function_range[:, row, torch.tensor(own)] = torch.stack([low, low, high, high])
