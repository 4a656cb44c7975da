"""Charge equilibration by several processes, from step to step, and what it is made of; numbers: tests/physics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk

from mhdnn.compilation import compiler
from tests.coulomb import OPEN, PERIODIC, SLAB, Case, cases, more_cases
from tests.lammps.electrostatics_library import ChargeSystemError, Engine, build
from tests.tolerances import ROUND_OFF

pytestmark = pytest.mark.slow  # compiles the library
RESULTS = ("charges", "potential", "adjoint", "derivatives", "strain")


@pytest.fixture(scope="module")
def engine() -> Engine:
    if compiler() is None:
        pytest.skip("no C++ compiler")
    return Engine(build())


def vectors_of(case: Case, *names: str) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=len(case.positions)) for name in names}


def assert_close(found, expected, tolerance=ROUND_OFF):
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


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


@pytest.mark.parametrize("name", list(more_cases()))
def test_strain_per_atom(engine, name):
    """It adds up; the Ewald sum, or pairs of an open structure, and the mesh share it out in the same way."""
    case = more_cases()[name]
    vectors = vectors_of(case, "p", "q")
    found = {solver: engine.solve(case, 1e-9, solver, **vectors) for solver in ("dense", "iterative")}
    for result in found.values():
        assert_close(result["strain_per_atom"].sum(0), result["strain"])
    assert_close(found["iterative"]["strain_per_atom"], found["dense"]["strain_per_atom"], 1e-8)


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


def open_grid(shape: tuple[int, int, int]) -> Case:
    """Atoms of a molecule in rows."""
    places = torch.cartesian_prod(*(1.6 * torch.arange(count, dtype=torch.float64) for count in shape))
    noise = torch.from_numpy(np.random.default_rng(3).uniform(size=(len(places), 4)))
    ones = torch.ones(len(places), dtype=torch.float64)
    return Case(
        places + 0.3 * noise[:, :3], torch.zeros(3, 3, dtype=torch.float64), OPEN, 0.7 * ones, 0.0 * ones,
        4.0 * noise[:, 3], 5.0 * ones, torch.zeros(1, dtype=torch.float64),
    )  # fmt: skip


def test_too_large_for_the_memory(engine):
    """Refused on all processes before anything is allocated."""
    case = open_grid((1000, 1000, 1))
    with pytest.raises(ChargeSystemError, match=r"dense matrix of 1000000 atoms, which takes about 200000.0 GB"):
        engine.solve(case, solver="dense", num_processes=2)


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


def test_accuracy_out_of_range(engine):
    for accuracy in (0.0, 1e-14, 0.01, np.nan):
        with pytest.raises(ChargeSystemError, match="accuracy: expected a number between 1e-14 and 1e-2"):
            engine.solve(cases()["open"], accuracy)
