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
from tests.builders import geometry_of

HEADER = "number_of_elements 2\nelements Si C  # a comment\ncutoff_type {}\n"
LINES = """\
symfunction_short Si 2 Si 0.05 0.0 11.0
symfunction_short Si 2 C  0.05 0.0 11.0
symfunction_short C  2 Si 0.30 2.5 11.0   # for carbon alone
symfunction_short Si 3 Si C 0.01 -1.0 4.0 11.0
symfunction_short Si 3 C C 0.02 1.0 1.0 11.0 0.5
symfunction_short C 9 Si Si 0.04 1.0 2.0 11.0 1.5
global_symfunction_short 9 0.04 -1 2 11.0 1.5
"""
CUTOFF = 11.0
ELEMENTS = [6, 14]
BOTH = (6, 14)
COLUMNS = [
    ((6,), "radial", (14,), 0.30, 2.5),
    (BOTH, "wide", (6, 6), 0.04, 1.5, -1, 2),
    (BOTH, "wide", (6, 14), 0.04, 1.5, -1, 2),
    (BOTH, "wide", (14, 14), 0.04, 1.5, -1, 2),
    ((6,), "wide", (14, 14), 0.04, 1.5, 1, 2),
    ((14,), "radial", (6,), 0.05, 0.0),
    ((14,), "radial", (14,), 0.05, 0.0),
    ((14,), "narrow", (6, 14), 0.01, 0.0, -1, 4),
    ((14,), "narrow", (6, 6), 0.02, 0.5, 1, 1),
]
"""Centres that have the function, its kind, neighbours, eta, shift, lambda, zeta; carbon's functions come first."""


@pytest.fixture
def write(tmp_path):
    def write_file(text, cutoff_type="1", **settings):
        path = tmp_path / "input.nn"
        path.write_text(HEADER.format(cutoff_type) + text)
        return {"input_nn": str(path), "length_unit": "bohr", **settings}

    return write_file


def cutoff_function(kind, r):
    if r >= CUTOFF:
        return 0.0
    x = r / CUTOFF
    if kind == "1 0.3":
        x = max(x - 0.3, 0.0) / 0.7
    return {
        "1": lambda: 0.5 * (math.cos(math.pi * x) + 1.0),
        "2": lambda: math.tanh(1.0 - x) ** 3,
        "3": lambda: (math.tanh(1.0 - x) / math.tanh(1.0)) ** 3,
        "6": lambda: ((15.0 - 6.0 * x) * x - 10.0) * x**3 + 1.0,
    }[kind[0]]()


def by_loops(positions, numbers, center, cutoff_type):
    """All columns of one atom; lengths in Bohr."""
    others = [index for index in range(len(numbers)) if index != center]
    vectors = positions - positions[center]
    distance = np.linalg.norm(vectors, axis=1)

    def value(centers, kind, neighbors, eta, shift, sign=0, zeta=0):
        def g(r):
            return math.exp(-eta * (r - shift) ** 2) * cutoff_function(cutoff_type, r)

        if numbers[center] not in centers:
            return 0.0
        if kind == "radial":
            return sum(g(distance[j]) for j in others if numbers[j] == neighbors[0])
        total = 0.0
        for j, k in itertools.combinations(others, 2):
            if sorted((numbers[j], numbers[k])) == list(neighbors):
                cosine = vectors[j] @ vectors[k] / (distance[j] * distance[k])
                third = g(np.linalg.norm(vectors[j] - vectors[k])) if kind == "narrow" else 1.0
                total += 2.0 ** (1 - zeta) * (1 + sign * cosine) ** zeta * g(distance[j]) * g(distance[k]) * third
        return total

    return [value(*column) for column in COLUMNS]


def molecule():
    rng = np.random.default_rng(1)
    return Atoms([14, 6, 14, 6, 14], positions=rng.uniform(0.0, 4.5, size=(5, 3)))


def evaluate(settings, cutoff, descriptor=None):
    """Functions of all atoms of the molecule."""
    with default_dtype(torch.float64):
        descriptor = descriptor or build_descriptor(settings, ELEMENTS, cutoff)
    atoms = molecule()
    geometry = geometry_of(atoms, cutoff=cutoff)
    vectors = geometry.positions[geometry.neighbor_index] - geometry.positions[geometry.center_index]
    element = torch.tensor([ELEMENTS.index(number) for number in atoms.numbers])
    return descriptor(vectors, geometry.center_index, element, element[geometry.neighbor_index]).numpy()


@pytest.mark.parametrize("cutoff_type", ["1", "2", "3", "6", "1 0.3", "2 0.3"])
def test_functions_are_those_of_the_file(write, cutoff_type):
    settings, cutoff = settings_from_input_nn(write(LINES, cutoff_type))
    assert cutoff == pytest.approx(CUTOFF * BOHR, rel=1e-12)
    atoms = molecule()
    expected = [by_loops(atoms.positions / BOHR, atoms.numbers.tolist(), center, cutoff_type) for center in range(5)]
    np.testing.assert_allclose(evaluate(settings, cutoff), expected, rtol=1e-10, atol=1e-14)


def test_several_cutoffs(write):
    """Functions of each cutoff are those of a file with this cutoff alone; the neighbour list has the largest."""
    short = LINES.replace("11.0", "6.0")
    lines = LINES.splitlines(keepends=True)
    mixed, cutoff = settings_from_input_nn(write("".join([*lines[:3], *short.splitlines(keepends=True)[3:]])))
    assert cutoff == pytest.approx(CUTOFF * BOHR, rel=1e-12)
    radial = [place for place, column in enumerate(COLUMNS) if column[1] == "radial"]
    expected = evaluate(*settings_from_input_nn(write(short)))
    expected[:, radial] = evaluate(*settings_from_input_nn(write(LINES)))[:, radial]
    np.testing.assert_allclose(evaluate(mixed, cutoff), expected, rtol=1e-10, atol=1e-14)


def test_lengths_in_angstrom(write):
    settings, cutoff = settings_from_input_nn(write(LINES, length_unit="angstrom"))
    assert cutoff == CUTOFF
    assert settings["functions"]["C"][0] == {
        "kind": "radial", "neighbors": ["Si"], "eta": 0.3, "shift": 2.5, "cutoff": 11.0
    }  # fmt: skip


def test_moments_and_triplets_agree(write):
    """Wide functions of many neighbours come from moments, of few from pairs of neighbours."""
    settings, cutoff = settings_from_input_nn(write(LINES))
    expected = evaluate(settings, cutoff)
    with default_dtype(torch.float64):
        descriptor = build_descriptor(settings, ELEMENTS, cutoff)
    for center in descriptor.parts[0].centers:
        for group in center.groups:
            if group.kind == "wide":
                group.fewest_neighbors = 0.0
    found = evaluate(settings, cutoff, descriptor)
    assert not np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("symfunction_short Si 12 0.05 0.0 11.0", "line 5: .*expected a function of type 2, 3, 9, got 12"),
        ("symfunction_short Si 2 C 0.05", "line 5: .*expected more words"),
        ("symfunction_short Si 2 C 0.05 0.0 11.0 1.0", "line 5: .*at most 3 numbers after the elements, got 4"),
        ("symfunction_short Si 2 O 0.05 0.0 11.0", "line 5: .*expected an element of the file"),
        ("symfunction_short Si 9 C C 0.05 1 1.5 11.0", "line 5: .*expected positive integers as zeta"),
        ("symfunction_short Si 2 C 0.05 zero 11.0", "line 5: .*zero"),
        ("cutoff_type 9", r"line 5: .*expected a cutoff of type 0 \(hard\), 1 \(cosine\)"),
        ("cutoff_type 1 1.3", "line 5: .*inner radius"),
    ],
)
def test_what_is_not_here_is_named(write, line, words):
    with pytest.raises(ConfigError, match=words):
        settings_from_input_nn(write(f"symfunction_short Si 2 Si 0.05 0.0 11.0\n{line}\n"))


def test_refused(write, tmp_path):
    with pytest.raises(ConfigError, match="expected symmetry functions"):
        settings_from_input_nn(write(""))
    with pytest.raises(ConfigError, match="expected one of bohr, angstrom, got 'nm'"):
        settings_from_input_nn(write(LINES, length_unit="nm"))
    with pytest.raises(ConfigError, match="no such file"):
        settings_from_input_nn({"input_nn": str(tmp_path / "none.nn"), "length_unit": "bohr"})
    settings, cutoff = settings_from_input_nn(write("symfunction_short Si 2 Si 0.05 0.0 11.0\n"))
    with pytest.raises(ConfigError, match="none for C as centre"):
        build_descriptor(settings, ELEMENTS, cutoff)
