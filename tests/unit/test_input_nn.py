"""Functions of an input.nn against n2p2's formulas in the units of the file, by loops over a molecule."""

import itertools
import math

import numpy as np
import pytest
import torch
from ase import Atoms

from mhdnn.descriptors import build_descriptor
from mhdnn.descriptors.input_nn import settings_from_input_nn
from mhdnn.errors import ConfigError
from mhdnn.potential import default_dtype
from mhdnn.units import BOHR
from tests.builders import batch_of

HEADER = "number_of_elements 2\nelements Si C  # a comment\ncutoff_type {}\n"
LINES = """\
symfunction_short Si 2 Si 0.05 0.0 11.0
symfunction_short Si 2 C  0.05 0.0 11.0
symfunction_short C  2 Si 0.30 2.5 11.0   # for carbon alone in n2p2
symfunction_short Si 3 Si C 0.01 -1.0 4.0 11.0
symfunction_short Si 3 C C 0.02 1.0 1.0 11.0 0.0
symfunction_short C 9 Si Si 0.04 1.0 2.0 11.0 1.5
global_symfunction_short 9 0.04 -1 2 11.0 1.5
"""
RADIAL = [(0.05, 0.0), (0.3, 2.5)]
NARROW = [(0.01, -1, 4), (0.02, 1, 1)]
WIDE = [(0.04, 1.5, 1, 2), (0.04, 1.5, -1, 2)]
CUTOFF = 11.0
ELEMENTS = [6, 14]


@pytest.fixture
def write(tmp_path):
    def write_file(text, cutoff_type="1", **settings):
        path = tmp_path / "input.nn"
        path.write_text(HEADER.format(cutoff_type) + text)
        return {"input_nn": str(path), "length_unit": "bohr", "channels": "resolved", "num_channels": 3, **settings}

    return write_file


def cutoff_function(kind, r):
    if r >= CUTOFF:
        return 0.0
    if kind == "2":  # n2p2 has no denominator
        return math.tanh(1.0 - r / CUTOFF) ** 3 / math.tanh(1.0) ** 3
    x = r / CUTOFF
    return {"1": 0.5 * (math.cos(math.pi * x) + 1.0), "6": ((15.0 - 6.0 * x) * x - 10.0) * x**3 + 1.0}[kind]


def by_loops(positions, numbers, center, cutoff_type):
    """All functions of one atom: radial by element, then narrow and wide by pairs of elements; lengths in Bohr."""
    others = [index for index in range(len(numbers)) if index != center]
    vectors = positions - positions[center]
    distance = np.linalg.norm(vectors, axis=1)
    fc = [cutoff_function(cutoff_type, r) for r in distance]
    values = [
        sum(math.exp(-eta * (distance[j] - shift) ** 2) * fc[j] for j in others if numbers[j] == element)
        for element in ELEMENTS
        for eta, shift in RADIAL
    ]

    def angular(pair, function):
        total = 0.0
        for j, k in itertools.combinations(others, 2):
            if sorted((numbers[j], numbers[k])) == sorted(pair):
                cosine = vectors[j] @ vectors[k] / (distance[j] * distance[k])
                total += (
                    function(cosine, distance[j], distance[k], np.linalg.norm(vectors[j] - vectors[k])) * fc[j] * fc[k]
                )
        return total

    def narrow(eta, sign, zeta):
        def function(cosine, r1, r2, r3):
            decay = math.exp(-eta * (r1**2 + r2**2 + r3**2)) * cutoff_function(cutoff_type, r3)
            return 2.0 ** (1 - zeta) * (1 + sign * cosine) ** zeta * decay

        return function

    def wide(eta, shift, sign, zeta):
        def function(cosine, r1, r2, r3):
            return (
                2.0 ** (1 - zeta)
                * (1 + sign * cosine) ** zeta
                * math.exp(-eta * ((r1 - shift) ** 2 + (r2 - shift) ** 2))
            )

        return function

    pairs = list(itertools.combinations_with_replacement(ELEMENTS, 2))
    values += [angular(pair, narrow(*parameters)) for pair in pairs for parameters in NARROW]
    return values + [angular(pair, wide(*parameters)) for pair in pairs for parameters in WIDE]


def molecule():
    rng = np.random.default_rng(1)
    return Atoms([14, 6, 14, 6, 14], positions=rng.uniform(0.0, 4.5, size=(5, 3)))


def evaluate(settings, cutoff):
    """Functions of all atoms of the molecule."""
    with default_dtype(torch.float64):
        descriptor = build_descriptor(settings, ELEMENTS, cutoff)
    atoms = molecule()
    batch = batch_of(atoms, cutoff=cutoff)
    vectors = batch.positions[batch.neighbor_index] - batch.positions[batch.center_index]
    element = torch.tensor([ELEMENTS.index(number) for number in atoms.numbers])
    return descriptor(vectors, batch.center_index, element, element[batch.neighbor_index]).numpy()


@pytest.mark.parametrize("cutoff_type", ["1", "2", "6", "1 0.0"])
def test_functions_are_those_of_the_file(write, cutoff_type):
    settings, cutoff = settings_from_input_nn(write(LINES, cutoff_type))
    assert cutoff == pytest.approx(CUTOFF * BOHR, rel=1e-12)
    atoms = molecule()
    expected = [
        by_loops(atoms.positions / BOHR, atoms.numbers.tolist(), center, cutoff_type.split()[0]) for center in range(5)
    ]
    np.testing.assert_allclose(evaluate(settings, cutoff), expected, rtol=1e-10, atol=1e-14)


def test_several_cutoffs(write):
    """Functions of each cutoff are those of a file with this cutoff alone; the neighbour list has the largest."""
    lines = LINES.splitlines(keepends=True)
    short = [line.replace("11.0", "6.0") for line in lines]
    mixed, cutoff = settings_from_input_nn(write("".join([*lines[:2], short[2], short[3], *lines[4:6], short[6]])))
    assert cutoff == pytest.approx(CUTOFF * BOHR, rel=1e-12)
    assert [part["cutoff"] for part in mixed["radial"]] == [None, pytest.approx(6.0 * BOHR)]
    expected = []
    for text in (lines[0], short[2]):  # radial functions, then angular ones with a radial one before them
        expected.append(evaluate(*settings_from_input_nn(write(text))))
    for first, text in ((0, lines[4]), (0, short[3]), (0, lines[5]), (0, short[6])):
        alone = evaluate(*settings_from_input_nn(write(short[first] + text)))
        expected.append(alone[:, len(ELEMENTS) :])
    np.testing.assert_allclose(evaluate(mixed, cutoff), np.concatenate(expected, 1), rtol=1e-10, atol=1e-14)


def test_lengths_in_angstrom(write):
    settings, cutoff = settings_from_input_nn(write(LINES, length_unit="angstrom"))
    assert cutoff == CUTOFF
    (radial,) = settings["radial"]
    assert radial == {"functions": [[0.05, 0.0], [0.3, 2.5]], "cutoff": None}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("symfunction_short Si 12 0.05 0.0 11.0", "line 5: .*expected a function of type 2, 3, 9, got 12"),
        ("symfunction_short Si 3 C C 0.05 1 1 11.0 0.5", "narrow functions have no shift"),
        ("symfunction_short Si 2 C 0.05", "line 5"),
        ("symfunction_short Si 2 C 0.05 zero 11.0", "line 5: .*zero"),
        ("cutoff_type 3", r"line 5: .*expected a cutoff of type 1 \(cosine\)"),
        ("cutoff_type 1 0.3", "line 5: .*inner radius"),
    ],
)
def test_what_is_not_here_is_named(write, line, words):
    with pytest.raises(ConfigError, match=words):
        settings_from_input_nn(write(f"symfunction_short Si 2 Si 0.05 0.0 11.0\n{line}\n"))


def test_refused(write, tmp_path):
    with pytest.raises(ConfigError, match="expected a radial symmetry function"):
        settings_from_input_nn(write("symfunction_short Si 9 C C 0.05 1 1 11.0\n"))
    with pytest.raises(ConfigError, match="expected one of bohr, angstrom, got 'nm'"):
        settings_from_input_nn(write(LINES, length_unit="nm"))
    with pytest.raises(ConfigError, match="no such file"):
        settings_from_input_nn({"input_nn": str(tmp_path / "none.nn"), "length_unit": "bohr"})
    settings, cutoff = settings_from_input_nn(
        write("symfunction_short Si 2 Si 0.05 0.0 11.0\nsymfunction_short Si 9 C C 0.05 1 1.5 11.0\n")
    )
    with pytest.raises(ConfigError, match="expected positive integers, got 1.5"):
        build_descriptor(settings, ELEMENTS, cutoff)
