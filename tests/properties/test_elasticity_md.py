import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

from mhdnn.errors import ConfigError
from mhdnn.properties.elasticity import elastic_constants
from mhdnn.properties.elasticity_md import Dynamics, elastic_constants_md, elasticity_md_report, stress_series
from mhdnn.properties.relaxation import relaxed
from mhdnn.properties.statistics import standard_error


class IdealGas(Calculator):
    implemented_properties = ["energy", "forces", "stress"]

    def calculate(self, atoms=None, properties=None, system_changes=None):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


def test_ideal_gas():
    """S = -(N k T/V) (1 + 2η)^-1, so that for strains of ± 0.3 the slopes are as below; C12 = 0."""
    atoms = bulk("Ar", "sc", a=5.0) * (4, 4, 4)
    dynamics = Dynamics(300.0, num_steps=800, num_equilibration=20, time_step=20.0)
    found = elastic_constants_md(atoms, IdealGas(), dynamics, strain=0.3)
    pressure = len(atoms) * units.kB * 300.0 / atoms.get_volume()
    np.testing.assert_allclose(found.residual_stress[3:], 0.0, atol=0.05 * pressure)
    slopes = {(0, 0): (1 / 0.4 - 1 / 1.6) / 0.6, (3, 3): 1 / (1 - 0.3**2), (0, 1): 0.0}
    for place, slope in slopes.items():
        error = found.errors[place]
        assert error < 0.1 * pressure
        assert found.stiffness[place] == pytest.approx(slope * pressure, abs=4 * error)


def test_cold_crystal_has_the_constants_of_the_crystal_at_rest():
    """At 1 K the thermal part, of the order of N k T/V = 0.001 eV/Å³, is a thousandth of C11."""
    crystal = relaxed(bulk("Cu", cubic=True), EMT(), 1e-6, cell=True)
    at_rest = elastic_constants(crystal, EMT()).stiffness
    dynamics = Dynamics(1.0, num_steps=400, num_equilibration=150, time_step=5.0)
    found = elastic_constants_md(crystal, EMT(), dynamics, strain=0.005)
    assert (found.errors[[0, 0, 3], [0, 1, 3]] < 0.01 * at_rest[0, 0]).all()
    assert (np.abs(found.stiffness - at_rest) <= 4 * found.errors + 3e-3 * at_rest[0, 0]).all()


def test_error_of_a_correlated_series():
    """First-order autoregression: the variance of the mean is (1 + φ)/(1 - φ) times that of independent values."""
    phi, number = 0.9, 2**14
    generator = np.random.default_rng(0)
    series = np.zeros((number, 50))
    for step in range(1, number):
        series[step] = phi * series[step - 1] + np.sqrt(1 - phi**2) * generator.normal(size=50)
    expected = np.sqrt((1 + phi) / (1 - phi) / number)
    errors = standard_error(series)
    assert np.mean(errors) == pytest.approx(expected, rel=0.25)
    assert np.std(series.mean(axis=0)) == pytest.approx(np.mean(errors), rel=0.35)
    with pytest.raises(ValueError, match="at least 16"):
        standard_error(series[:15])


def test_resumed_calculation_gives_the_same(tmp_path):
    class Interrupted(EMT):
        calls = 0

        def calculate(self, *arguments, **more):
            Interrupted.calls += 1
            if Interrupted.calls == 60:
                raise KeyboardInterrupt
            super().calculate(*arguments, **more)

    atoms = bulk("Cu", cubic=True)
    settings = {"temperature": 100.0, "num_steps": 20, "num_equilibration": 2}
    with pytest.raises(KeyboardInterrupt):
        elasticity_md_report(atoms, Interrupted(), **settings, journal=tmp_path / "steps.json")
    first = elasticity_md_report(atoms, Interrupted(), **settings, journal=tmp_path / "steps.json").values
    # five cells of 23 steps, two of them before the interruption in the third
    assert 60 + 3 * 22 < Interrupted.calls < 60 + 3 * 25
    other = elasticity_md_report(atoms, EMT(), **settings).values
    np.testing.assert_allclose(first["elastic_constants_gpa"], other["elastic_constants_gpa"], atol=1e-9)
    with pytest.raises(ConfigError, match="`temperature`"):
        elasticity_md_report(atoms, EMT(), **settings | {"temperature": 200.0}, journal=tmp_path / "steps.json")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": 0.0}, "`temperature`"),
        ({"num_steps": 3}, "`num_steps`"),
        ({"num_equilibration": -1}, "`num_equilibration`"),
        ({"time_step": 0.0}, "`time_step`"),
        ({"friction": 0.0}, "`friction`"),
        ({"strain": 0.0}, "`strain`"),
        ({"atoms": Atoms("Cu", cell=[3, 3, 9], pbc=[True, True, False])}, "three periodic directions"),
    ],
)
def test_bad_input(settings, words):
    with pytest.raises(ConfigError, match=words):
        elasticity_md_report(**{"atoms": bulk("Cu"), "calculator": EMT()} | settings)


def test_friction_is_in_femtoseconds():
    """Shear stress of an ideal gas forgets itself as the product of two momenta: exp(-2 γ t)."""
    atoms = bulk("Ar", "sc", a=5.0) * (4, 4, 4)
    atoms.calc = IdealGas()
    dynamics = Dynamics(300.0, num_steps=1500, num_equilibration=1, time_step=2.0, friction=0.05)
    shear = stress_series(atoms, dynamics, np.random.default_rng(0))[:, 3:]
    steps = 4
    correlation = np.mean(shear[steps:] * shear[:-steps]) / np.mean(shear**2)
    assert correlation == pytest.approx(np.exp(-2 * 0.05 * 2.0 * steps), abs=0.08)
