"""Charge equilibration in C++: the numbers of the formulas in torch, exact derivatives, any number of processes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from mhdnn import units
from mhdnn.compilation import compiler
from mhdnn.electrostatics import ewald
from mhdnn.electrostatics.reference import equilibrated
from tests.coulomb import OPEN, PERIODIC, SLAB, Case, cases, random_case
from tests.lammps.electrostatics_library import ChargeSystemError, Engine, build
from tests.tolerances import FINITE_DIFFERENCE, ROUND_OFF

pytestmark = pytest.mark.slow  # compiles the library
ACCURACIES = [1e-4, 1e-6, 1e-8]
VOIGT = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
STEP = 2e-4
RESULTS = ("charges", "potential", "adjoint", "derivatives", "strain")


@pytest.fixture(scope="module")
def engine() -> Engine:
    if compiler() is None:
        pytest.skip("no C++ compiler")
    return Engine(build())


def more_cases() -> dict[str, Case]:
    """Small cells, in which every atom sees many images, and larger ones, with iterations."""
    return {
        **cases(),
        "slab along y": random_case((True, False, True), num_atoms=40, edge=11.0, skew=3.0, seed=7),
        "tiny cell": random_case(PERIODIC, num_atoms=2, edge=3.0, skew=2.5, total_charge=0.3, seed=8),
        "triclinic, many atoms": random_case(PERIODIC, num_atoms=60, edge=14.0, skew=7.0, total_charge=0.5, seed=9),
        "molecule, many atoms": random_case(OPEN, num_atoms=60, edge=14.0, seed=10),
        "chain": stretched(random_case(OPEN, num_atoms=40, edge=10.0, seed=11), [0.1, 40.0, 0.2]),
        "sheet": stretched(random_case(OPEN, num_atoms=40, edge=10.0, total_charge=0.5, seed=12), [3.0, 0.1, 5.0]),
    }


def stretched(case: Case, factors: list[float]) -> Case:
    """The same atoms with longer or shorter coordinates."""
    return replace(case, positions=case.positions * torch.tensor(factors, dtype=torch.float64))


def vectors_of(case: Case, *names: str) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=len(case.positions)) for name in names}


def by_formulas(case: Case, accuracy: float, gradient, p, q) -> dict[str, np.ndarray]:
    """The same in plain torch, derivatives by autograd."""
    gradient, p, q = map(torch.from_numpy, (gradient, p, q))
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    free = replace(case, positions=case.positions.clone().requires_grad_())
    matrix = free.strained(0.5 * (strain + strain.T)).matrix(accuracy)
    by_positions, by_strain = torch.autograd.grad(p @ matrix @ q, (free.positions, strain), retain_graph=True)
    electronegativity = case.electronegativity.clone().requires_grad_()
    charges = equilibrated(matrix.detach(), electronegativity, case.hardness, case.total_charge[0])
    (adjoint,) = torch.autograd.grad(gradient @ charges, electronegativity)
    potential = matrix @ charges
    results = (charges, potential, adjoint, by_positions, torch.stack([by_strain[place] for place in VOIGT]))
    return dict(zip(RESULTS, (tensor.detach().numpy() for tensor in results), strict=True))


def assert_close(found, expected, tolerance=ROUND_OFF):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("name", list(more_cases()))
def test_same_as_the_formulas(engine, name, accuracy):
    """The dense matrix to round-off, the mesh to the accuracy."""
    case = more_cases()[name]
    vectors = vectors_of(case, "gradient", "p", "q")
    expected = by_formulas(case, accuracy, **vectors)
    found = engine.solve(case, accuracy, "dense", **vectors)
    for result in RESULTS:
        assert_close(found[result], expected[result])
    found = engine.solve(case, accuracy, "iterative", **vectors)
    for result, tolerance in zip(RESULTS, (3, 3, 3, 10, 30), strict=True):
        assert_close(found[result], expected[result], tolerance * accuracy)


def test_same_parameters(engine):
    """What the core and the formulas in torch choose for an accuracy and a volume."""
    for name, value in {
        "COULOMB_CONSTANT": units.COULOMB_CONSTANT,
        "TOLERANCE_PER_ACCURACY": random_case(OPEN).build(1e-3).tolerance / 1e-3,
    }.items():
        assert engine.library.constant(name.encode()) == pytest.approx(value, rel=1e-15), name
    for accuracy in (1.1e-14, 1e-10, 1e-8, 1e-6, 3e-6, 1e-4, 9e-3):
        decay = ewald.decay_length(accuracy)
        assert engine.library.decay_length(accuracy) == pytest.approx(decay, rel=1e-14)
        for size in (30.0, 4e3, 1e6):
            expected = ewald.choose_splitting(size, 1.9, accuracy)
            assert engine.numbers("choose_splitting", 3, size, 1.9, accuracy) == pytest.approx(expected, rel=1e-14)


def test_good_sizes(engine):
    found = [engine.library.good_size(least) for least in (1, 2.5, 7, 13, 17, 97, 101, 127)]
    assert found == [2, 4, 8, 16, 18, 100, 108, 128]


@pytest.mark.parametrize("order", [3, 5, 6, 7, 12])
def test_splines(engine, order):
    """They add up to one, are symmetric, continuous, and have the Fourier transform sinc^p."""
    coefficients = np.reshape(engine.numbers("spline_coefficients", order**2, order), (order, order))
    t = np.linspace(0, 1, 7)
    values = coefficients @ t[None, :] ** np.arange(order)[:, None]
    np.testing.assert_allclose(values.sum(0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(values, values[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(values[:-1, -1], values[1:, 0], atol=1e-12)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    x = 0.5 * (nodes + 1)
    for wave in (0.0, 0.4, 2.3):
        pieces = (coefficients @ x[None, :] ** np.arange(order)[:, None]) * np.exp(
            1j * wave * (x + np.arange(order)[:, None] - order / 2)
        )
        expected = np.sinc(wave / (2 * np.pi)) ** order
        np.testing.assert_allclose((pieces @ weights).sum() / 2, expected, atol=1e-12)


@pytest.mark.parametrize("size", [10, 15])
def test_influence_factor(engine, size):
    """Long waves pass; the wave number without a sign doesn't."""
    factor = np.array(engine.numbers("influence_factor", size, size, 6))
    np.testing.assert_allclose(factor[0], 1.0, rtol=1e-12)
    np.testing.assert_allclose(factor[1:], factor[1:][::-1], rtol=1e-12)
    assert (factor[size // 2] == 0.0) == (size % 2 == 0)


@pytest.mark.parametrize("solver", ["dense", "iterative"])
@pytest.mark.parametrize("name", list(cases()))
def test_central_differences(engine, name, solver):
    """Of an energy with a part that is not stationary in the charges, as the short-range energies make it."""
    case = cases()[name]
    gradient = vectors_of(case, "gradient")["gradient"]

    def energy(changed: Case) -> float:
        found = engine.solve(changed, 1e-9, solver)
        return (0.5 * found["potential"] + gradient) @ found["charges"]

    found = engine.solve(case, 1e-9, solver)
    charges, potential = found["charges"], found["potential"]
    adjoint = engine.solve(case, 1e-9, solver, gradient=potential + gradient)["adjoint"]
    found = engine.solve(case, 1e-9, solver, p=adjoint + 0.5 * charges, q=charges)
    for atom, axis in ((0, 0), (1, 1), (3, 2)):
        shift = torch.zeros_like(case.positions)
        shift[atom, axis] = STEP
        higher, lower = (energy(replace(case, positions=case.positions + sign * shift)) for sign in (1, -1))
        error = (higher - lower) / (2.0 * STEP) - found["derivatives"][atom, axis]
        assert abs(error) < 10 * FINITE_DIFFERENCE * np.abs(found["derivatives"]).max()
    for element, (row, column) in enumerate(VOIGT):
        strain = torch.zeros(3, 3, dtype=torch.float64)
        strain[row, column] += 0.5 * STEP
        strain[column, row] += 0.5 * STEP
        error = (energy(case.strained(strain)) - energy(case.strained(-strain))) / (2.0 * STEP) - found["strain"][
            element
        ]
        assert abs(error) < 10 * FINITE_DIFFERENCE * np.abs(found["strain"]).max()


@pytest.mark.parametrize("name", list(more_cases()))
def test_strain_per_atom(engine, name):
    """It adds up; the Ewald sum, or pairs of an open structure, and the mesh share it out in the same way."""
    case = more_cases()[name]
    vectors = vectors_of(case, "p", "q")
    found = {solver: engine.solve(case, 1e-9, solver, **vectors) for solver in ("dense", "iterative")}
    for result in found.values():
        assert_close(result["strain_per_atom"].sum(0), result["strain"])
    assert_close(found["iterative"]["strain_per_atom"], found["dense"]["strain_per_atom"], 1e-8)


def test_strain_per_atom_of_pairs(engine):
    """An open structure: halves of the virials of its pairs."""
    case = cases()["open"]
    vectors = vectors_of(case, "p", "q")
    p, q = vectors["p"], vectors["q"]
    positions, widths = case.positions.numpy(), case.widths.numpy()
    expected = np.zeros((len(p), 6))
    for i in range(len(p)):
        for j in range(len(p)):
            if i == j:
                continue
            vector = positions[j] - positions[i]
            distance, gamma = np.linalg.norm(vector), np.hypot(widths[i], widths[j])
            r = torch.tensor(distance, dtype=torch.float64, requires_grad=True)
            (slope,) = torch.autograd.grad(units.COULOMB_CONSTANT * torch.erf(r / (2**0.5 * gamma)) / r, r)
            weight = 0.5 * (p[i] * q[j] + q[i] * p[j]) * float(slope) / distance
            expected[i] += [weight * vector[row] * vector[column] for row, column in VOIGT]
    for solver, tolerance in (("dense", ROUND_OFF), ("iterative", 1e-8)):
        assert_close(engine.solve(case, 1e-9, solver, **vectors)["strain_per_atom"], expected, tolerance)


@pytest.mark.parametrize("num_processes", [2, 4])
@pytest.mark.parametrize("solver", ["dense", "iterative"])
@pytest.mark.parametrize("name", list(more_cases()))
def test_processes(engine, name, solver, num_processes):
    """Several, one of them without atoms, find what one finds."""
    case = more_cases()[name]
    vectors = vectors_of(case, "gradient", "p", "q")
    one = engine.solve(case, 1e-6, solver, **vectors)
    several = engine.solve(case, 1e-6, solver, num_processes, **vectors)
    for result in (*RESULTS, "strain_per_atom"):
        assert_close(several[result], one[result])
    assert several["iterations"] == one["iterations"]


def test_how_often_processes_wait(engine):
    """In each product twice for the transform and once for its sum; before that, for the right side."""
    case = more_cases()["triclinic, many atoms"]
    vectors = vectors_of(case, "gradient")
    for accuracy in (1e-3, 1e-8):
        found = engine.solve(case, accuracy, "iterative", num_processes=2, **vectors)
        assert min(found["iterations"]) > 2
        of_charges, of_adjoint = found["exchanges"]
        assert of_charges == 1 + 3 * (1 + found["iterations"][0])  # the total charge makes a first residual
        assert of_adjoint == 1 + 3 * found["iterations"][1]


def salt() -> Case:
    """Two elements, of which pairs of the wider one are in the smooth part only."""
    noise = torch.from_numpy(np.random.default_rng(5).normal(size=(216, 4)))
    case = crystal(3, "NaCl", "rocksalt", 5.64)
    first = torch.arange(216, dtype=torch.float64) % 2
    return replace(
        case, positions=case.positions + 0.05 * noise[:, :3], widths=1.66 - 0.64 * first,
        electronegativity=3.0 + first + 0.1 * noise[:, 3],
    )  # fmt: skip


def displaced(case: Case, length: float) -> Case:
    """Each atom by that length, in any direction."""
    directions = torch.from_numpy(np.random.default_rng(6).normal(size=case.positions.shape))
    return replace(case, positions=case.positions + length * directions / directions.norm(dim=1, keepdim=True))


CHANGES = {
    "nothing": lambda case: case,
    "a little": lambda case: displaced(case, 0.4),
    "far": lambda case: displaced(case, 2.0),
    "strain": lambda case: case.strained(0.01 * torch.ones(3, 3, dtype=torch.float64)),
    "large strain": lambda case: case.strained(0.3 * torch.ones(3, 3, dtype=torch.float64)),
    "order": lambda case: replace(case, positions=case.positions.flip(0), widths=case.widths.flip(0)),
    "elements": lambda case: replace(case, widths=case.widths.flip(0)),
    "another image": lambda case: replace(case, positions=case.positions + case.cell[0]),
}


@pytest.mark.parametrize("num_processes", [1, 2])
@pytest.mark.parametrize("change", list(CHANGES))
@pytest.mark.parametrize("name", ["salt", "triclinic, many atoms", "slab along y"])
def test_remembered_neighbors(engine, name, change, num_processes):
    """They serve after small motions, and are found anew after others."""
    case = salt() if name == "salt" else more_cases()[name]
    vectors = vectors_of(case, "gradient", "p", "q")
    expected = engine.solve(case, 1e-6, "iterative", num_processes, **vectors)
    found = engine.solve(case, 1e-6, "iterative", num_processes, earlier=CHANGES[change](case), **vectors)
    for result in (*RESULTS, "strain_per_atom"):
        assert_close(found[result], expected[result])


@pytest.mark.parametrize(
    ("first", "second", "smearing"),
    [(1.66, 1.02, 2.35), (0.3, 2.0, 2.9), (0.7, 0.7, 1.0), (0.5, 1.4, 30.0), (0.6, 1.1, 0.0)],
)
def test_interpolated_pairs(engine, first, second, smearing):
    """Values and slopes are those of error functions to round-off, at any distance."""
    errors = engine.numbers("interpolation_errors", 2, first, second, smearing, 25.0)
    assert errors[0] < 1e-13
    assert errors[1] < 1e-12


def test_images_of_atoms(engine):
    """Atoms that left the cell, and not only by one vector."""
    case = cases()["triclinic"]
    vectors = vectors_of(case, "gradient", "p", "q")
    numbers = torch.from_numpy(np.random.default_rng(1).integers(-3, 4, case.positions.shape)).double()
    moved = replace(case, positions=case.positions + numbers @ case.cell)
    for solver in ("dense", "iterative"):
        found, expected = (engine.solve(each, 1e-6, solver, **vectors) for each in (moved, case))
        for result in (*RESULTS, "strain_per_atom"):
            assert_close(found[result], expected[result])


def crystal(repeats: int, chemical_formula: str = "Li", structure: str = "bcc", constant: float = 3.49) -> Case:
    atoms = bulk(chemical_formula, structure, a=constant, cubic=True).repeat(repeats)
    ones = torch.ones(len(atoms), dtype=torch.float64)
    return Case(
        torch.from_numpy(atoms.positions), torch.from_numpy(atoms.cell[:]), PERIODIC, 1.28 * ones, 0.0 * ones,
        3.1 * ones, 4.7 * ones, torch.zeros(1, dtype=torch.float64),
    )  # fmt: skip


@pytest.mark.parametrize("total_charge", [0.0, 2.0])
def test_crystal_of_one_element(engine, total_charge):
    """All atoms alike: no charge flows, and round-off is not mistaken for a residual."""
    case = replace(crystal(6), total_charge=torch.tensor([total_charge]))
    noise = 1e-15 * np.random.default_rng(0).normal(size=len(case.positions))
    case = replace(case, electronegativity=case.electronegativity + torch.from_numpy(noise))
    found = engine.solve(case, gradient=case.electronegativity)
    np.testing.assert_allclose(found["charges"], total_charge / len(case.positions), atol=1e-8)
    np.testing.assert_allclose(found["adjoint"], 0.0, atol=1e-8)


def open_grid(shape: tuple[int, int, int]) -> Case:
    """Atoms of a molecule in rows."""
    places = torch.cartesian_prod(*(1.6 * torch.arange(count, dtype=torch.float64) for count in shape))
    noise = torch.from_numpy(np.random.default_rng(3).uniform(size=(len(places), 4)))
    ones = torch.ones(len(places), dtype=torch.float64)
    return Case(
        places + 0.3 * noise[:, :3], torch.zeros(3, 3, dtype=torch.float64), OPEN, 0.7 * ones, 0.0 * ones,
        4.0 * noise[:, 3], 5.0 * ones, torch.zeros(1, dtype=torch.float64),
    )  # fmt: skip


def test_long_and_flat_molecules(engine):
    """What is chosen by cost; thousands of atoms in a row are no matter."""
    for shape, iterates in (((1, 500, 1), False), ((24, 1, 24), False), ((3000, 1, 1), True)):
        case = open_grid(shape)
        found = engine.solve(case)
        assert (sum(found["iterations"]) > 0) == iterates
        assert_close(found["charges"], engine.solve(case, solver="dense")["charges"], 1e-6)


def test_too_large_for_the_memory(engine):
    """Refused on all processes before anything is allocated."""
    case = open_grid((1000, 1000, 1))
    with pytest.raises(ChargeSystemError, match=r"dense matrix of 1000000 atoms, which takes about 200000.0 GB"):
        engine.solve(case, solver="dense", num_processes=2)


def test_which_solver(engine):
    """Dense for few atoms; a good guess saves iterations and changes nothing."""
    assert engine.solve(crystal(5))["iterations"] == [0, 0]
    case = crystal(7)
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=len(case.positions)))
    case = replace(case, electronegativity=case.electronegativity + noise)
    cold = engine.solve(case)
    assert 5 < cold["iterations"][0] < 20
    assert_close(cold["charges"], engine.solve(case, solver="dense")["charges"], 1e-6)
    warm = engine.solve(case, start=cold["charges"] + 1e-4)  # its sum is put right
    assert warm["iterations"][0] <= 1
    assert_close(warm["charges"], cold["charges"], 1e-7)


def wrong_cases() -> dict[str, tuple[Case, str]]:
    case = cases()["periodic"]
    nan = torch.full_like(case.widths, torch.nan)
    parallel = case.cell.clone()
    parallel[1] = 2.0 * parallel[0]
    return {
        "wire": (replace(case, pbc=(False, True, False)), "expected no, two or three periodic directions, got one"),
        "parallel vectors": (replace(case, cell=parallel), "box: expected linearly independent vectors"),
        "no slab": (replace(case, cell=parallel, pbc=SLAB), "box: expected linearly independent vectors"),
        "positions": (replace(case, positions=case.positions / 0.0), "positions: expected finite numbers"),
        "widths": (replace(case, widths=0.0 * case.widths), "widths: expected positive numbers in Å"),
        "hardness": (replace(case, hardness=-case.hardness), "hardness: expected positive numbers in eV/e²"),
        "electronegativity": (replace(case, electronegativity=nan), "electronegativity: expected finite numbers"),
        "total charge": (replace(case, total_charge=nan[:1]), "expected finite numbers and a finite total charge"),
    }


@pytest.mark.parametrize("num_processes", [1, 2])
@pytest.mark.parametrize("name", list(wrong_cases()))
def test_errors(engine, name, num_processes):
    case, message = wrong_cases()[name]
    with pytest.raises(ChargeSystemError, match=message):
        engine.solve(case, num_processes=num_processes)


@pytest.mark.parametrize(
    ("solver", "hardness", "message"),
    [
        ("dense", 1e-12, "hardness: expected a positive definite Coulomb matrix"),
        ("iterative", 1e-6, "charges: expected a residual below 1.0e-12 of the first one, got .* iterations; look for"),
    ],
)
def test_wide_gaussians_without_hardness(engine, solver, hardness, message):
    """Nothing resists short waves of charge: the matrix is singular within round-off."""
    case = random_case(PERIODIC, num_atoms=60, edge=14.0, skew=3.0, seed=9)
    case = replace(case, hardness=torch.full_like(case.hardness, hardness), widths=7.0 * case.widths)
    with pytest.raises(ChargeSystemError, match=message):
        engine.solve(case, 1e-10, solver, num_processes=2)


def test_accuracy_out_of_range(engine):
    for accuracy in (0.0, 1e-14, 0.01, np.nan):
        with pytest.raises(ChargeSystemError, match="accuracy: expected a number between 1e-14 and 1e-2"):
            engine.solve(cases()["open"], accuracy)
