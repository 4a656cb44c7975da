"""What is outside the training data: tails against known distributions, distances by hand, false alarms counted."""

import re

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from mhdnn.domain import FALSE_ALARM_RATE, TrainingDomain, rounded, unlimited
from mhdnn.errors import DataError
from mhdnn.factory import build_potential
from mhdnn.potential import Potential
from mhdnn.prediction import SeenAtoms, predict_charges
from mhdnn.structure import Geometry
from mhdnn.training.domain import (
    COUNT_SLACK,
    DISTANCE_SLACK,
    LEAST_WIDENING,
    LargestValues,
    fit_charge_range,
    fit_domain,
    forget_functions,
    widened_ranges,
)
from tests.builders import batch_of, geometry_of, model_settings, random_charge_potential, random_potential, structures

ELEMENTS = [6, 14, 50]


def marks(potential: Potential, geometry: Geometry) -> np.ndarray:
    """Atoms outside, and for each the reason agrees that it is."""
    domain: TrainingDomain = torch.jit.script(potential.domain)
    seen = SeenAtoms(potential, geometry)
    functions, element = seen.symmetry_functions.detach(), seen.element_index
    pairs = (seen.vectors.detach(), geometry.center_index, geometry.neighbor_index)
    outside = domain.functions_outside(functions, element)
    outside |= domain.distances_outside(*pairs, element, geometry.num_atoms)
    if geometry.num_atoms < 500:
        words = [domain.why_outside(atom, functions, *pairs, element, None) for atom in range(geometry.num_atoms)]
        assert [bool(text) for text in words] == outside.tolist(), words
    return outside.numpy()


def reason(potential: Potential, atoms: Atoms) -> str:
    geometry = geometry_of(atoms, cutoff=potential.cutoff)
    seen = SeenAtoms(potential, geometry)
    pairs = (seen.vectors.detach(), geometry.center_index, geometry.neighbor_index)
    return potential.domain.why_outside(0, seen.symmetry_functions.detach(), *pairs, seen.element_index, None)


@pytest.fixture(scope="module")
def potential():
    """Fitted to structures of every kind in two batches."""
    result = random_potential(ELEMENTS)
    many = list(structures().values())
    fit_domain(result, [batch_of(*many[:2]), batch_of(*many[2:])])
    return result


def test_largest_values_are_those_of_all_rows():
    rng = np.random.default_rng(0)
    values, element = torch.tensor(rng.normal(size=(3000, 3))), torch.tensor(rng.integers(2, size=3000))
    largest = LargestValues(2, 3, num_held=40)
    for part in range(0, 3000, 170):
        largest.add(values[part : part + 170], element[part : part + 170])
    for number in range(2):
        expected = values[element == number].sort(dim=0, descending=True).values[:40]
        torch.testing.assert_close(largest.held[number], expected)
        assert largest.num_rows[number] == (element == number).sum()


def test_limit_of_an_exponential_tail_is_its_quantile():
    """P(X > x) = exp(-x): exceeded at the rate r of one of T tests where x = ln(T/r)."""
    largest = LargestValues(1, 40)
    largest.add(torch.tensor(np.random.default_rng(0).exponential(size=(20_000, 40))), torch.zeros(20_000).long())
    expected = np.log(50 / FALSE_ALARM_RATE)
    limits = largest.limits(num_tests=50)[0]
    assert limits.median() == pytest.approx(expected, rel=0.15)
    assert bool((limits > largest.held[0, 0]).all())


def test_limit_in_logarithms_is_that_of_a_power_law():
    """P(X > x) = x^-4, exponential in the logarithm with a scale of 1/4."""
    largest = LargestValues(1, 40)
    values = np.exp(np.random.default_rng(0).exponential(0.25, size=(20_000, 40)))
    largest.add(torch.tensor(values), torch.zeros(20_000).long())
    expected = np.log(50 / FALSE_ALARM_RATE) / 4
    assert largest.limits(50, of_logarithms=True)[0].log().median() == pytest.approx(expected, rel=0.15)


def test_equal_atoms_of_a_perfect_crystal_do_not_end_a_range():
    """Their excesses vanish: the tail through them ends at the largest value, where the next crystal may be."""
    above, below = LargestValues(1, 1), LargestValues(1, 1)
    values = torch.cat([torch.linspace(-1, 1, 1000, dtype=torch.float64), torch.full((128,), 2.0, dtype=torch.float64)])
    for largest, sign in ((above, 1.0), (below, -1.0)):
        largest.add(sign * values.unsqueeze(1), torch.zeros(len(values), dtype=torch.long))
    assert above.limits(100).item() == 2.0
    ranges = widened_ranges(above, below, 100, 0.0, least_widening=LEAST_WIDENING)[:, 0, 0].tolist()
    assert ranges[1:] == pytest.approx([-1.0, 2.0, 2.0 + 3.0 * LEAST_WIDENING])


def test_no_atom_of_the_training_set_is_outside(potential):
    for name, atoms in structures().items():
        assert not marks(potential, geometry_of(atoms)).any(), name


def test_smallest_distances(potential):
    """Against all distances of a few images."""
    smallest = np.full((3, 3), np.inf)
    for atoms in structures().values():
        box, shifts = atoms.cell[:], np.array(list(np.ndindex(5, 5, 5))) - 2
        shifts = shifts[(shifts[:, ~atoms.pbc] == 0).all(axis=1)] @ box
        vectors = atoms.positions[None, :, None] - atoms.positions[:, None, None] + shifts
        distances = np.linalg.norm(vectors, axis=-1)
        distances[distances < 1e-9] = np.inf
        for i, j in np.ndindex(distances.shape[:2]):
            pair = ELEMENTS.index(atoms.numbers[i]), ELEMENTS.index(atoms.numbers[j])
            smallest[pair] = min(smallest[pair], distances[i, j].min())
    limit, found = potential.domain.distance_range.numpy()
    np.testing.assert_allclose(found, smallest, rtol=1e-12)
    ratio = limit / smallest
    assert (ratio >= 1 - DISTANCE_SLACK[0] - 1e-12).all()
    assert (ratio <= 1 - DISTANCE_SLACK[1] + 1e-12).all()


def test_neighbor_counts(potential):
    """The smooth counts worked out apart, and both ends of their slack."""
    values: list[list[float]] = [[], [], []]
    for atoms in structures().values():
        geometry = geometry_of(atoms)
        seen = SeenAtoms(potential, geometry)
        squares = (seen.vectors.detach().numpy() ** 2).sum(1)
        counts = np.bincount(geometry.center_index, (1 - squares / 4.5**2) ** 2, minlength=len(atoms))
        for number, count in zip(atoms.numbers, counts, strict=True):
            values[ELEMENTS.index(number)].append(count)
    lower, minimum, maximum, upper = potential.domain.count_range.numpy()
    np.testing.assert_allclose(minimum, list(map(min, values)), rtol=1e-12)
    np.testing.assert_allclose(maximum, list(map(max, values)), rtol=1e-12)
    for ratio in (1 - lower / minimum, upper / maximum - 1):
        assert ((ratio > COUNT_SLACK[1] - 1e-12) & (ratio < COUNT_SLACK[0] + 1e-12)).all()


def test_shares_of_elements_among_neighbors(potential):
    """Worked out apart; those of an atom add up to one."""
    values: list[list[np.ndarray]] = [[], [], []]
    for atoms in structures().values():
        geometry = geometry_of(atoms)
        seen = SeenAtoms(potential, geometry)
        weights = (1 - (seen.vectors.detach().numpy() ** 2).sum(1) / 4.5**2) ** 2
        for atom, number in enumerate(atoms.numbers):
            own = geometry.center_index.numpy() == atom
            neighbors = atoms.numbers[geometry.neighbor_index.numpy()[own]]
            shares = [weights[own][neighbors == z].sum() / weights[own].sum() for z in ELEMENTS]
            values[ELEMENTS.index(number)].append(np.array(shares))
    lower, minimum, maximum, upper = potential.domain.share_range.numpy()
    np.testing.assert_allclose(minimum, [np.min(rows, axis=0) for rows in values], rtol=1e-12)
    np.testing.assert_allclose(maximum, [np.max(rows, axis=0) for rows in values], rtol=1e-12)
    assert ((lower <= (1 - COUNT_SLACK[1]) * minimum + 1e-12) & (upper >= (1 + COUNT_SLACK[1]) * maximum - 1e-12)).all()


def test_a_pure_phase_is_outside_of_a_compound():
    """Even where functions and distances say nothing."""
    compound = bulk("SiC", "zincblende", a=4.6, cubic=True)
    potential = random_potential([6, 14])
    fit_domain(potential, [batch_of(compound, bulk("SiC", "zincblende", a=4.5, cubic=True))])
    domain = potential.domain
    domain.function_range.copy_(unlimited(*domain.function_range.shape[1:]))
    domain.distance_range.zero_()
    pure = compound.copy()
    pure.numbers[:] = 14
    for atoms, expected in ((compound, False), (pure, True)):
        seen = SeenAtoms(potential, geometry_of(atoms))
        vectors, center, neighbor = seen.pairs
        pairs = (vectors.detach(), center, neighbor, seen.element_index)
        assert bool(domain.distances_outside(*pairs, len(atoms)).all()) == expected
    words = domain.why_outside(0, seen.symmetry_functions.detach(), *pairs)
    assert re.fullmatch(
        r"neighbours \(smooth count\) that are Si 100\.0 %, of the training data [\d.]+ to [\d.]+ %", words
    ), words


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        (Atoms("C"), "no neighbour within the cutoff"),
        (Atoms("C2", [[0, 0, 0], [0, 0, 9.0]]), "no neighbour within the cutoff"),
        (Atoms("Si2", [[0, 0, 0], [0, 0, 0.3]]), "Si-Si at 0.3000 Å, of the training data at least 1.8"),
        (Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]]), "neighbours (smooth count) 0.5458, of the training data 1.888 to "),
        (bulk("Si", a=4.4), "neighbours (smooth count)"),
        (Atoms("Sn3", [[0, 0, 0], [0, 0, 2.9], [0, 2.9, 0]]), "neighbours (smooth count)"),
    ],
)
def test_isolated_atoms_and_molecules_of_a_crystal(potential, atoms, words):
    assert marks(potential, geometry_of(atoms)).all()
    assert words in reason(potential, atoms)


def test_elements_and_pairs_that_were_never_seen():
    """Silicon alone was a centre; carbon was never within the cutoff of another carbon atom."""
    potential = random_potential(ELEMENTS)
    crystal, pair = bulk("Si", cubic=True), Atoms("CSi2", [[0, 0, 0], [1.9, 0, 0], [0, 1.9, 0]])
    fit_domain(potential, [batch_of(crystal, pair)])
    tin = crystal.copy()
    tin.numbers[0] = 50
    assert marks(potential, geometry_of(tin))[0]
    assert "never within the cutoff" in reason(potential, tin)
    assert reason(potential, Atoms("Sn")) == "no Sn in the training data"
    both = Atoms("CSi2C", [[0, 0, 0], [1.9, 0, 0], [0, 1.9, 0], [4.4, 0, 0]])
    assert marks(potential, geometry_of(both))[[0, 3]].all()
    assert reason(potential, both) == "C-C at 4.400 Å, of the training data never within the cutoff"


def test_functions_that_the_network_does_not_see():
    """In a crystal at rest most functions have no spread, and no scale; they are looked at all the same."""
    potential = random_potential([14])
    crystal = bulk("Si", cubic=True)
    fit_domain(potential, [batch_of(crystal)])
    potential.function_scale.zero_()
    assert not marks(potential, geometry_of(crystal.repeat(2))).any()
    crystal.rattle(0.05, seed=1)
    assert marks(potential, geometry_of(crystal)).all()
    assert "` " in reason(potential, crystal)


def rattled(repeat: int | tuple[int, int, int], amplitude: float, seed: int) -> Atoms:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True).repeat(repeat)
    atoms.positions += np.random.default_rng(seed).normal(0, amplitude, atoms.positions.shape)
    return atoms


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_false_alarms(dtype):
    """30,720 atoms like 2,560 that were trained on: none is outside, of hotter and strained ones many.

    The extremes of the training set would be left by hundreds.
    """
    potential = build_potential(model_settings([11, 17], dtype=dtype))
    training = [rattled(2, 0.08, seed) for seed in range(40)]
    fit_domain(potential, (batch_of(atoms) for atoms in training))
    large = geometry_of(rattled((16, 16, 15), 0.08, seed=100))
    assert large.num_atoms == 30_720
    seen = SeenAtoms(potential, large)
    minimum, maximum = (potential.domain.function_range[k, seen.element_index] for k in (1, 2))
    functions = seen.symmetry_functions.detach()
    assert int(((functions < minimum) | (functions > maximum)).any(1).sum()) > 300
    assert marks(potential, large).sum() == 0
    assert marks(potential, geometry_of(rattled(3, 0.2, seed=101))).mean() > 0.02
    assert marks(potential, geometry_of(rattled(3, 0.35, seed=101))).mean() > 0.5
    strained = rattled(2, 0.08, seed=102)
    strained.set_cell(strained.cell[:] * 1.12, scale_atoms=True)
    assert marks(potential, geometry_of(strained)).mean() > 0.5


def test_charges_and_total_charge():
    potential = random_charge_potential(ELEMENTS)
    many = [structures()["triclinic"], structures()["molecule"]]
    batch = batch_of(*many, total_charge=[0.0, 1.0])
    batch.labels.charges[:] = 0.0
    batch.labels.charges[3] = torch.nan
    fit_domain(potential, [batch])
    assert potential.domain.total_charge_range.tolist() == [0.0, 1.0]
    assert (potential.domain.charge_range[1:3] == 0).all()
    fit_charge_range(potential, [batch])
    charges = predict_charges(potential, batch.geometry).detach()
    element = potential.element_index(batch.geometry.atomic_numbers)
    ranges = potential.domain.charge_range
    for number in range(3):
        of_element = charges[element == number]
        assert ranges[1:3, number].tolist() == [of_element.min(), of_element.max()]
        width = ranges[2, number] - ranges[1, number]
        assert ranges[3, number] - ranges[2, number] <= 1.001 * width + 2e-5
    domain = torch.jit.script(potential.domain)
    assert not domain.charges_outside(charges, element).any()
    assert domain.charges_outside(charges + 10.0, element).all()
    assert domain.charges_outside(torch.full_like(charges, torch.nan), element).all()
    assert domain.total_charge_outside(1.004) == ""
    for total_charge in (-3.0, 1.5, 8.0):
        assert domain.total_charge_outside(total_charge).endswith("of the training data 0.000 to 1.000 e")


def test_unfitted_ranges_mark_nothing():
    potential = random_potential(ELEMENTS)
    assert not marks(potential, geometry_of(Atoms("C2", [[0, 0, 0], [0, 0, 0.3]]))).any()
    assert not potential.domain.is_complete()
    with pytest.raises(DataError, match="expected at least one atom"):
        fit_domain(potential, [])


def test_functions_of_learned_channels_are_known_after_training():
    """Their values change with the channels: at the start only distances hold."""
    potential = random_potential(ELEMENTS, channels="learned")
    batch = batch_of(*structures().values())
    fit_domain(potential, [batch])
    assert potential.domain.is_complete()
    forget_functions(potential)
    assert not potential.domain.is_complete()
    assert marks(potential, geometry_of(Atoms("C"))).all()
    with torch.no_grad():
        potential.descriptor.channels.table += 1.0
    assert not marks(potential, batch.geometry).any()


def test_older_weights_bring_the_ranges_that_they_have(potential):
    """Of all elements together, with a slack of 1e-4 standard deviations, as they were."""
    state = {name: value for name, value in potential.state_dict().items() if not name.startswith("domain.")}
    minimum = potential.domain.function_range[1].amin(0)
    maximum = potential.domain.function_range[2].amax(0)
    state |= {"function_minimum": minimum, "function_maximum": maximum}
    again = random_potential(ELEMENTS, seed=1)
    again.load_state_dict(state)
    assert not again.domain.is_complete()
    slack = 1e-4 / potential.function_scale
    torch.testing.assert_close(again.domain.function_range[0, 1], minimum - slack)
    torch.testing.assert_close(again.domain.function_range[3, 2], maximum + slack)
    hot = structures()["triclinic"]
    hot.rattle(0.6, seed=5)
    assert marks(again, geometry_of(hot)).any()
    assert not marks(again, geometry_of(*structures().values())).any()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"), (1.23456, "1.235"), (-1.7, "-1.700"), (123456.7, "123457"), (1e9, "1.000e9"),
        (3.3e-7, "3.300e-7"), (0.00123, "0.001230"), (-0.05, "-0.05000"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_numbers_in_words(value, text):
    assert rounded(value) == torch.jit.script(rounded)(value) == text
