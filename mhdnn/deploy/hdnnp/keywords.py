"""The keywords of n2p2's and RuNNer's input.nn: which are understood, which say nothing of the potential, and the rest.

What is in none of these lists may change energies, and is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mhdnn.descriptors.input_nn import KEYWORDS as SYMMETRY_FUNCTIONS
from mhdnn.descriptors.input_nn import checked_element, elements_of, named_line, numbered_words
from mhdnn.errors import DataError

ALIASES = {"nnp_generation": "nnp_type", "nnp_type_gen": "nnp_type", "nnp_gen": "nnp_type"}
ONCE = frozenset(
    {
        "number_of_elements", "elements", "cutoff_type", "nnp_type", "scale_symmetry_functions", "scale_min_short",
        "scale_max_short", "center_symmetry_functions", "scale_symmetry_functions_sigma", "normalize_nodes",
        "mean_energy", "conv_energy", "conv_length", "conv_charge", "screen_electrostatics", "four_pi_epsilon",
        *(
            f"global_{what}_{network}"
            for what in ("hidden_layers", "nodes", "activation")
            for network in ("short", "electrostatic")
        ),
    }
)  # fmt: skip
FOR_ELEMENTS = frozenset(
    {
        "atom_energy", "fixed_gausswidth",
        *(
            f"element_{what}_{network}"
            for what in ("hidden_layers", "nodes", "activation")
            for network in ("short", "electrostatic")
        ),
    }
)  # fmt: skip
"""May stand once for each element, which is their first word."""
HARMLESS = frozenset(
    {
        "random_seed", "test_fraction", "epochs", "normalize_data_set", "use_short_forces", "use_short_nn",
        "use_electrostatics", "energy_fraction", "force_fraction", "force_energy_ratio", "charge_fraction",
        "weights_min", "weights_max", "weightse_min", "weightse_max", "biasweights_min", "biasweights_max",
        "initial_hardness", "main_error_metric", "repeated_energy_update", "updater_type", "parallel_mode",
        "jacobian_mode", "update_strategy", "force_weight", "memorize_symfunc_results", "charge_error_threshold",
        "optmode_short_energy", "optmode_short_force", "optmode_charge", "runner_mode", "points_in_memory",
        "mix_all_points", "random_number_type", "bond_threshold", "calculate_forces", "calculate_stress",
        "use_old_scaling", "analyze_error", "analyze_composition", "analyze_error_energy_step",
        "analyze_error_force_step", "joint_energy_force_update", "weight_analysis", "fitting_unit",
        "data_clustering", "regularize_fit_param", "damp_weights", "energy_threshold", "force_threshold",
        "growth_mode", "detailed_timing", "find_contradictions", "check_input_forces", "debug_mode",
        "enforce_max_num_neighbors_atomic", "max_energy", "max_force", "remove_atom_energies", "use_atom_energies",
        "use_atom_charges", "use_systematic_weights_short", "use_systematic_weights_ewald",
        "separate_bias_ini_short", "separate_kalman_short", "total_charge_error_threshold", "dynamic_force_grouping",
        "ewald_truncation_error_method", "md_mode", "enable_on_the_fly_input",
    }
)  # fmt: skip
"""Of training, output, and of how accurate n2p2's own Ewald sums are."""
HARMLESS_PREFIXES = (
    "kalman_", "write_", "print_", "task_batch_size_", "rmse_threshold", "selection_mode", "gradient_", "ewald_",
    "nguyen_widrow_weights", "use_old_weights_", "precondition_weights", "short_energy_", "short_force_",
    "electrostatic_energy_", "noise_", "steepest_descent_step_", "shuffle_weights_", "restrict_weights",
)  # fmt: skip


class Entry(NamedTuple):
    """A line of a file.

    :param number: of the line
    :param keyword: the one that it is an alias of
    :param words: after the keyword
    """

    number: int
    keyword: str
    words: list[str]


class Keywords:
    """What stands in an input.nn.

    :param path: of the file
    :ivar elements: symbols, by atomic number
    :raises DataError: naming the line of a keyword that is unknown or stands there twice
    :raises ConfigError: if the elements are none
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(f"{path}: no such file; expected the folder of a potential of n2p2 or RuNNer")
        self.path = path
        lines = list(numbered_words(path))
        self.entries = [Entry(number, ALIASES.get(words[0], words[0]), words[1:]) for number, words in lines]
        self.elements = elements_of(path, lines)
        found: dict[tuple[str, ...], Entry] = {}
        for entry in self.entries:
            self._check(entry)
            if entry.keyword in ONCE or entry.keyword in FOR_ELEMENTS:
                key = (entry.keyword, *(entry.words[:1] if entry.keyword in FOR_ELEMENTS else []))
                if key in found:
                    raise DataError(
                        f"{self.where(entry)} stands a second time (before in line {found[key].number}); remove one"
                    )
                found[key] = entry

    def _check(self, entry: Entry) -> None:
        if entry.keyword in ONCE or entry.keyword in HARMLESS or entry.keyword in SYMMETRY_FUNCTIONS:
            return
        if entry.keyword in FOR_ELEMENTS:
            with named_line(self.path, entry.number, [entry.keyword, *entry.words]):
                checked_element(entry.words[0], self.elements)
            return
        if not entry.keyword.startswith(HARMLESS_PREFIXES):
            raise DataError(
                f"{self.where(entry)}: this keyword is not known here and may change energies; if it doesn't, remove "
                "the line, else the potential can't be imported"
            )

    def where(self, entry: Entry) -> str:
        """A line, for messages."""
        return f"{self.path}: line {entry.number}: `{' '.join([entry.keyword, *entry.words])}`"

    def find(self, keyword: str) -> Entry | None:
        """The line of a keyword that stands there once, or None."""
        return next((entry for entry in self.entries if entry.keyword == keyword), None)

    def of_elements(self, keyword: str) -> dict[str, Entry]:
        """Lines of a keyword by element; the element is still their first word."""
        return {entry.words[0]: entry for entry in self.entries if entry.keyword == keyword}

    def numbers(self, entry: Entry, count: int, first: int = 0) -> list[float]:
        """Numbers among the words of a line.

        :param first: where they begin
        :raises ConfigError: naming the line
        """
        with named_line(self.path, entry.number, [entry.keyword, *entry.words]):
            return [float(entry.words[first + place]) for place in range(count)]

    def number(self, keyword: str, default: float) -> float:
        """The number after a keyword, or the default without the keyword."""
        entry = self.find(keyword)
        return default if entry is None else self.numbers(entry, 1)[0]


def first_columns(path: Path, what: str) -> list[tuple[int, list[str]]]:
    """Number and words of the lines of a data file without comments.

    :param what: for the message
    :raises DataError: if there is no such file
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; expected {what}")
    return list(numbered_words(path))


def as_number(path: Path, number: int, word: str) -> float:
    """A number of a data file.

    :raises DataError: naming the line
    """
    try:
        return float(word)
    except ValueError as error:
        raise DataError(f"{path}: line {number}: expected a number, got {word!r}") from error
