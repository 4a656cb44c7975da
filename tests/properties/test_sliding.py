"""Sliding of toy interfaces with a traction in closed form."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import CalculationFailed

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.sliding import analyse_sliding, compute_sliding, shortest_period, sliding_report
from tests.properties.toys import CosineRegistry, square_pair

GPA = 160.2176634  # 1 eV/Å³
JOULE = 16.02176634  # 1 eV/Å² in J/m²


@pytest.mark.parametrize("num_points", [5, 8, 12])
def test_traction_of_a_cosine(num_points):
    """W = -(0.7 cos(2π l/2.5 + φ) - 1.1)/A, so τ_max = 0.7 · 2π/2.5/A."""
    atoms = square_pair()
    atoms.positions[1, 2] = atoms.positions[0, 2] + 3.0
    calculator = CosineRegistry()
    calculator.spring = 0.0
    found = compute_sliding(atoms, calculator, num_points=num_points)
    assert found.period == pytest.approx(2.5)
    assert found.largest_traction == pytest.approx(0.7 * 2 * np.pi / 2.5 / 2.5**2 * GPA, rel=1e-6)
    path = np.linspace(-1.0, 4.0, 37)
    phase = 2 * np.pi * (path + 0.3) / 2.5
    np.testing.assert_allclose(found.traction(path), 0.7 * 2 * np.pi / 2.5 * np.sin(phase) / 6.25 * GPA, atol=1e-9)
    np.testing.assert_allclose(found.interpolated(path), (1.1 - 0.7 * np.cos(phase)) / 6.25 * JOULE, atol=1e-10)
    assert abs(np.sin(2 * np.pi * (found.largest_place + 0.3) / 2.5)) == pytest.approx(1.0, abs=1e-12)


def test_traction_of_several_waves():
    """Largest slope of a cos x + b sin 2x, whose waves are not resolved at their turning points."""
    path = 3.0 / 9 * np.arange(9) + 0.4
    wave = 2 * np.pi / 3.0
    found = analyse_sliding(path, 0.2 * np.cos(wave * path) + 0.3 * np.sin(2 * wave * path) + 5.0, 3.0)
    fine = np.linspace(0, 3.0, 200001)
    slope = wave * (-0.2 * np.sin(wave * fine) + 0.6 * np.cos(2 * wave * fine))
    assert found.largest_traction == pytest.approx(np.abs(slope).max() * 10.0, rel=1e-9)
    np.testing.assert_allclose(found.traction(fine), 10.0 * slope, atol=1e-10)


def test_the_gap_follows():
    """The toy's gap of least energy is 3 + 0.1 cos; with it the parabola costs nothing."""
    found = compute_sliding(square_pair(gap=3.6), CosineRegistry(), relax_gap=True)
    phase = 2 * np.pi * (found.path + 0.3) / 2.5
    np.testing.assert_allclose(found.gaps, 3.0 + 0.1 * np.cos(phase), atol=2e-4)
    assert found.largest_traction == pytest.approx(0.7 * 2 * np.pi / 2.5 / 2.5**2 * GPA, rel=1e-6)


def supercell(times: int) -> Atoms:
    atoms = square_pair() * (times, 1, 1)
    atoms.info = {}
    return atoms


def test_the_primitive_period_is_found():
    """A cell three times as long: the same path as in the small one, whichever slab has the period."""
    expected = compute_sliding(square_pair(), CosineRegistry())
    for atoms in (supercell(3), supercell(3)):
        found = compute_sliding(atoms, CosineRegistry(), num_points=12)
        assert found.period == pytest.approx(2.5)
        assert found.largest_traction == pytest.approx(expected.largest_traction / 3, rel=1e-9)  # of one toy per cell
    distorted = supercell(3)
    distorted.positions[distorted.arrays["slab"] == 1] += np.random.default_rng(0).normal(size=(3, 3)) * 0.1
    assert shortest_period(distorted, np.array([7.5, 0.0]))[0] == pytest.approx(2.5)  # slab 2 still has it
    distorted.positions += np.random.default_rng(1).normal(size=(6, 3)) * 0.1
    assert shortest_period(distorted, np.array([7.5, 0.0]))[0] == pytest.approx(7.5)


class ShortWaves(CosineRegistry):
    """The toy, and a wave of a seventh of its period: four or six points take it for a longer one."""

    failing = ()

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        if len(self.atoms) == 2:
            place = self.atoms.positions[1, 0] - self.atoms.positions[0, 0]
            self.results["energy"] += 0.2 * np.cos(7 * 2 * np.pi * place / 2.5)
            if any(abs(place - 0.3 - 2.5 * part) < 1e-6 for part in self.failing):
                raise CalculationFailed("no convergence")


def test_points_are_added_until_the_traction_stays():
    """Largest slope of 0.7 cos x + 0.2 cos 7x with the gap at rest, from a fine grid."""
    calculator = ShortWaves()
    calculator.spring = 0.0
    report = sliding_report(square_pair(), calculator, num_points=4)
    phase = np.linspace(0, 2 * np.pi, 200001)
    slope = np.abs(0.7 * np.sin(phase) + 1.4 * np.sin(7 * phase)).max() * 2 * np.pi / 2.5 / 2.5**2 * GPA
    assert report.values["num_points"] in (16, 32)
    assert report.values["largest_traction_gpa"] == pytest.approx(slope, rel=0.02)
    assert not report.warnings
    assert len(report.structures) == report.values["num_points"]
    coarse = compute_sliding(square_pair(), calculator, num_points=4)
    assert abs(coarse.largest_traction / slope - 1) > 0.2


def test_a_path_survives_a_point_that_fails():
    calculator = ShortWaves()
    calculator.spring, calculator.failing = 0.0, (0.25,)
    report = sliding_report(square_pair(), calculator, num_points=32, tolerance=None)
    calculator.failing = ()
    expected = sliding_report(square_pair(), calculator, num_points=32, tolerance=None)
    assert report.warnings[0].startswith("1/4 of the period failed")
    assert len(report.structures) == 31
    assert report.values["largest_traction_gpa"] == pytest.approx(expected.values["largest_traction_gpa"], rel=1e-6)


def test_a_vector_that_is_no_period_is_refused():
    with pytest.raises(ConfigError, match="`vector`: expected a shift of slab 2 by which nothing changes"):
        compute_sliding(square_pair(), CosineRegistry(), [1.1, 0.0])
    assert compute_sliding(square_pair(), CosineRegistry(), [0.0, 1.1]).largest_traction < 1e-9


@pytest.mark.parametrize("path", [[0, 1, 2], [0, 1, 2, 4], [0, 1, 2, 3, 4]])
def test_paths_that_do_not_fill_the_period_are_refused(path):
    with pytest.raises(DataError, match="`path`: expected at least 4 equidistant points over the period of 4 Å"):
        analyse_sliding(path, np.zeros(len(path)), 4.0)


def test_report(tmp_path):
    report = sliding_report(square_pair(), CosineRegistry(), num_points=6)
    report.write(tmp_path)
    assert len(report.values["traction_gpa"]) == 12
    assert (tmp_path / "sliding.png").exists()
