"""Random walks whose diffusion coefficient is known, unwrapping, Arrhenius lines and conductivities by hand."""

import numpy as np
import pytest
from ase import Atoms
from scipy import constants, stats

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.diffusion_statistics import (
    Window,
    displacements,
    fit_arrhenius,
    nernst_einstein,
    upper_bound,
)
from mhdnn.properties.ion_motion import IonMotion, ion_motion

STEP = 0.1  # ps


def walk(generator, coefficients=(0.5, 0.5, 0.5), num_frames=301, num_ions=8):
    """Brownian motion, Å²/ps along x, y, z."""
    widths = np.sqrt(2.0 * np.array(coefficients) * STEP)
    return np.cumsum(generator.normal(size=(num_frames, num_ions, 3)) * widths, axis=0)


def motion(positions):
    return IonMotion(positions, STEP, 1000.0, 0.0)


@pytest.mark.parametrize(("num_blocks", "num_ions"), [(10, 8), (5, 20)])
def test_error_bars_cover_what_they_say(num_blocks, num_ions):
    """Of 300 random walks 68 % (95 %) of the intervals hold the true value, within three errors of counting."""
    generator, number = np.random.default_rng(num_blocks), 300
    inside, values, errors = np.zeros(2), [], []
    narrow = stats.t.ppf(0.5 + 0.5 * 0.6827, num_blocks - 1)
    for _ in range(number):
        found = displacements(motion(walk(generator, num_ions=num_ions)), Window(num_blocks)).coefficient
        away = abs(found.value - 0.5)
        inside += [away < narrow * found.error, away < found.half_width]
        values.append(float(found.value))
        errors.append(float(found.error))
    for share, expected in zip(inside / number, (0.6827, 0.95), strict=True):
        assert share == pytest.approx(expected, abs=3.0 * np.sqrt(expected * (1 - expected) / number))
    assert np.mean(values) == pytest.approx(0.5, abs=4.0 * np.std(values) / np.sqrt(number))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


def test_correlated_ions_have_larger_errors():
    """Ten ions that make the same walk are one ion: the error is that of one, the collective D ten times D."""
    generator = np.random.default_rng(1)
    single = walk(generator, num_frames=1001, num_ions=1)
    one = displacements(motion(single), Window())
    ten = displacements(motion(np.repeat(single, 10, axis=1)), Window())
    assert ten.coefficient.error == pytest.approx(float(one.coefficient.error))
    assert ten.collective.value == pytest.approx(10.0 * float(ten.coefficient.value))


def test_directions_and_axes():
    """Along z four times faster than along x, nothing along y; the tensor turns with the walk."""
    generator = np.random.default_rng(2)
    steps = walk(generator, (0.25, 0.0, 1.0), num_frames=2001, num_ions=20)
    found = displacements(motion(steps), Window())
    diagonal, errors = np.diagonal(found.tensor.value), np.diagonal(found.tensor.error)
    assert (np.abs(diagonal - [0.25, 0.0, 1.0]) <= 4.0 * errors).all()
    assert (errors[[0, 2]] < 0.1).all()
    turn = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    turned = displacements(motion(steps @ turn.T), Window()).tensor.value
    np.testing.assert_allclose(turned, turn @ found.tensor.value @ turn.T, atol=1e-10)
    assert found.coefficient.value == pytest.approx(np.trace(found.tensor.value) / 3.0)
    assert not found.is_curved


def test_vibrations_don_t_count_but_confinement_is_seen():
    """Jitter shifts the line; ions in a harmonic trap leave it within the window."""
    generator = np.random.default_rng(3)
    steps = walk(generator, num_frames=3001, num_ions=30)
    jitter = steps + generator.normal(scale=1.0, size=steps.shape)
    clean, shaken = (displacements(motion(item), Window()) for item in (steps, jitter))
    assert shaken.coefficient.value == pytest.approx(
        float(clean.coefficient.value), abs=4 * float(clean.coefficient.error)
    )
    assert not shaken.is_curved
    trapped = np.zeros_like(steps)
    for frame in range(1, len(steps)):
        trapped[frame] = 0.99 * trapped[frame - 1] + steps[frame] - steps[frame - 1]
    assert displacements(motion(trapped), Window()).is_curved


def test_unwrapping_over_boundaries():
    """A walk wrapped into a sheared cell, with a drifting host of two heavier atoms, comes back."""
    generator = np.random.default_rng(4)
    cell = np.array([[9.0, 0, 0], [3.0, 8.0, 0], [1.0, -2.0, 10.0]])
    ions = walk(generator, num_frames=200, num_ions=3) + 4.0
    drift = np.cumsum(generator.normal(scale=0.2, size=(200, 1, 3)), axis=0)
    host = np.array([[1.0, 1, 1], [5.0, 5, 5]]) + drift
    frames = []
    for mobile, fixed in zip(ions + drift, host, strict=True):
        frame = Atoms("Li3O2", np.vstack([mobile, fixed]), cell=cell, pbc=True)
        frame.wrap()
        frames.append(frame)
    found = ion_motion(frames, "Li", STEP)
    np.testing.assert_allclose(found.positions - found.positions[0], ions - ions[0], atol=1e-9)
    assert found.drift == pytest.approx(float(np.linalg.norm(drift[-1] - drift[0])))
    assert found.volume == pytest.approx(abs(np.linalg.det(cell)))
    whole = [Atoms("Li3O2", np.vstack([m, f]), cell=cell, pbc=True) for m, f in zip(ions + drift, host, strict=True)]
    again = ion_motion(whole[::40], "Li", 40 * STEP, unwrapped=True)
    np.testing.assert_allclose(again.positions - again.positions[0], (ions - ions[0])[::40], atol=1e-9)


def test_frames_too_far_apart():
    frames = [Atoms("LiO", [[x, 0, 0], [0, 5, 5]], cell=[10.0] * 3, pbc=True) for x in (0.0, 4.6)]
    with pytest.raises(DataError, match=r"0.46 of a cell vector"):
        ion_motion(frames, "Li", STEP)
    frames[1].pbc = frames[0].pbc = (False, True, True)
    assert ion_motion(frames, "Li", STEP).positions[1, 0, 0] - ion_motion(frames, "Li", STEP).positions[
        0, 0, 0
    ] == pytest.approx(4.6)


def test_hops_are_counted():
    """Two there and back, one of them with vibrations of 0.5 Å; one that never moves."""
    places = np.zeros((9, 3, 3))
    places[2:5, 0, 0] = 3.0
    places[6:, 0, 0] = 3.0
    places[4:, 1, 1] = -2.5
    places[:, :, 2] = 0.5 * (-1.0) ** np.arange(9)[:, None]
    assert motion(places).num_hops(2.0) == 4
    assert motion(places).duration == pytest.approx(0.8)


def test_bound_without_hops():
    """No event in time T: the rate is below 3.00/T with 95 %; D = Γ l²/6."""
    assert upper_bound(0, 2.0, 5, 100.0) == pytest.approx(-np.log(0.05) / 500.0 * 4.0 / 6.0)
    assert upper_bound(3, 2.0, 5, 100.0) == pytest.approx(7.754 / 500.0 * 4.0 / 6.0, rel=1e-3)  # table of Poisson


def test_arrhenius_line():
    """Exact values give back the energy; scattered ones cover it as often as their error says."""
    temperatures = np.array([500.0, 650.0, 800.0, 1000.0])
    thermal = constants.k / constants.e * temperatures
    exact = 7.0 * np.exp(-0.35 / thermal)
    for errors in (np.zeros(4), 0.1 * exact):
        line = fit_arrhenius(temperatures, exact, errors)
        assert line.energy == pytest.approx(0.35, abs=1e-10)
        assert line.prefactor == pytest.approx(7.0)
        assert line.at(300.0)[0] == pytest.approx(7.0 * np.exp(-0.35 / (constants.k / constants.e * 300.0)))
    assert fit_arrhenius(temperatures[:2], exact[:2], np.zeros(2)).energy == pytest.approx(0.35)
    generator, relative = np.random.default_rng(5), np.array([0.15, 0.1, 0.05, 0.02])
    pulls = []
    for _ in range(400):
        noisy = exact * np.exp(relative * generator.normal(size=4))
        line = fit_arrhenius(temperatures, noisy, relative * noisy)
        pulls.append((line.energy - 0.35) / line.energy_error)
    assert 0.68 - 0.07 < np.mean(np.abs(pulls) < 1.0) < 0.85  # raised where the scatter is larger than stated
    with pytest.raises(DataError, match="at least two"):
        fit_arrhenius(temperatures[:1], exact[:1], np.zeros(1))


def test_conductivity_by_hand():
    """10 ions in 1 nm³ = 1e28 m⁻³, D = 1e-10 m²/s, 300 K: e² 1e18/(k 300 K) = 6.198 S/m."""
    by_hand = 1e28 * 1.602176634e-19**2 * 1e-10 / (1.380649e-23 * 300.0)
    assert by_hand == pytest.approx(6.1974, rel=1e-4)
    assert nernst_einstein(1e-2, 10, 1000.0, 1.0, 300.0) == pytest.approx(10.0 * by_hand)
    assert nernst_einstein(1e-2, 10, 1000.0, -2.0, 300.0) == pytest.approx(40.0 * by_hand)


def test_bad_input():
    frames = [Atoms("LiO", [[0, 0, 0], [0, 5, 5]], cell=[10.0] * 3, pbc=True) for _ in range(40)]
    with pytest.raises(ConfigError, match="`ion`"):
        ion_motion(frames, "Na", STEP)
    with pytest.raises(ConfigError, match="`time_between_frames`"):
        ion_motion(frames, "Li", 0.0)
    with pytest.raises(DataError, match="same order"):
        ion_motion([frames[0], frames[1][::-1]], "Li", STEP)
    with pytest.raises(ConfigError, match="`num_blocks`"):
        Window(2)
    still = ion_motion(frames, "Li", STEP)
    with pytest.raises(DataError, match="at least 3 frames in the window"):
        displacements(still, Window(10))
    with pytest.raises(ConfigError, match="half of a block"):
        displacements(still, Window(3, fit_to=1.0))
