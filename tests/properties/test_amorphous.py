"""Melt and quench: a Lennard-Jones glass, g(r) of a crystal by hand, silicon by Stillinger and Weber."""

import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.lj import LennardJones

from mhdnn.errors import ConfigError
from mhdnn.properties.structures.amorphous import (
    Quench,
    amorphous_report,
    first_shell,
    melt_quench,
    radial_distribution,
)
from tests.lammps.runs import has_lammps
from tests.properties.test_crack import StillingerWeber


def test_radial_distribution_of_a_crystal():
    """Integrated over its peaks it counts neighbours: 12 and 6 of face-centred cubic."""
    atoms = bulk("Cu", a=3.6, cubic=True)
    distances, distribution = radial_distribution(atoms, 4.0)
    density = 4 / 3.6**3
    edges = np.arange(0.0, 4.0 + 1e-9, 0.1)
    counts = distribution * density * 4 / 3 * np.pi * np.diff(edges**3)
    assert counts[distances < 3.0].sum() == pytest.approx(12)
    assert counts[distances > 3.0].sum() == pytest.approx(6)
    peak, minimum = first_shell(distances, distribution)
    assert peak == pytest.approx(3.6 / np.sqrt(2), abs=0.05)
    assert peak < minimum < 3.6
    silicon = radial_distribution(bulk("Si", a=5.431, cubic=True), 5.0)
    assert silicon[1].argmax() != np.flatnonzero(silicon[1])[0]  # twelve second neighbours are the higher peak
    assert first_shell(*silicon)[0] == pytest.approx(5.431 * np.sqrt(3) / 4, abs=0.05)


def test_a_quench_that_is_too_short_is_reproducible(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quench = Quench(120.0, 20.0, melt_steps=30, quench_steps=40, time_step=2.0, seed=3)
    parameters = {"epsilon": 0.0104, "sigma": 3.4, "rc": 7.0, "smooth": True}
    settings = {"min_length": 5.0, "max_force": 0.05, "relax_cell": False, "density": 0.95}
    # a calculator of its own each: the neighbour list of one that was used sums in another order
    one, two = (
        amorphous_report(LennardJones(**parameters), bulk("Ar", a=5.26, cubic=True), quench, **settings)
        for _ in range(2)
    )
    assert np.array_equal(one.structures[0].positions, two.structures[0].positions)
    assert one.values["quench_rate_k_per_ps"] == pytest.approx(100.0 / 0.080)
    assert one.values["volume_to_crystal"] == pytest.approx(1 / 0.95)
    assert sum(one.values["coordination_shares"].values()) == pytest.approx(1.0)
    assert (tmp_path / "amorphous.extxyz").is_file()
    # so short that it did not melt, which the report tells
    assert one.values["share_on_lattice_sites"] > 0.5
    assert "did not melt" in one.warnings[0]
    with pytest.raises(ConfigError, match="less than `melt_temperature`"):
        Quench(300.0, 400.0)
    with pytest.raises(ConfigError, match="`atoms`: expected a crystal, periodic in three directions"):
        amorphous_report(LennardJones(), fcc111("Cu", (1, 1, 2), vacuum=5.0), Quench())
    with pytest.raises(ConfigError, match="`quench_steps`"):
        Quench(quench_steps=0)


class Interrupted(LennardJones):
    """Is interrupted after so many calculations."""

    left = 45

    def calculate(self, *arguments, **keywords):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        super().calculate(*arguments, **keywords)


def test_an_interrupted_quench_continues(tmp_path):
    quench = Quench(120.0, 20.0, melt_steps=20, quench_steps=60, time_step=2.0, seed=3)
    parameters = {"epsilon": 0.0104, "sigma": 3.4, "rc": 7.0, "smooth": True}
    crystal, settings = bulk("Ar", a=5.26, cubic=True), {"max_force": 0.05, "cell": False}
    with pytest.raises(KeyboardInterrupt):
        melt_quench(crystal, Interrupted(**parameters), quench, journal=tmp_path / "journal.json", **settings)
    continued = Interrupted(**parameters)
    continued.left = 10_000
    found = melt_quench(crystal, continued, quench, journal=tmp_path / "journal.json", **settings)
    assert 10_000 - continued.left < 80  # it did not begin anew
    whole = melt_quench(crystal, LennardJones(**parameters), quench, **settings)
    assert found.positions == pytest.approx(whole.positions, abs=1e-12)


@pytest.mark.slow
@pytest.mark.skipif(not has_lammps(), reason="no LAMMPS in this environment")
def test_silicon_becomes_a_network(tmp_path, monkeypatch):
    """Disordered and near fourfold: first peak at 2.4 Å, four to five neighbours, tenths of an eV above the crystal."""
    monkeypatch.chdir(tmp_path)
    quench = Quench(3500.0, 300.0, melt_steps=2000, quench_steps=8000, time_step=2.0, seed=1)
    report = amorphous_report(
        StillingerWeber(), bulk("Si", a=5.431, cubic=True), quench, max_force=0.05, relax_cell=False
    )
    values = report.values
    assert values["share_on_lattice_sites"] < 0.3
    assert not report.warnings
    assert values["num_atoms"] == 64
    assert values["first_peak_angstrom"] == pytest.approx(2.4, abs=0.1)
    assert 3.8 < values["mean_coordination"] < 4.7
    shares = values["coordination_shares"]
    assert max(shares, key=lambda number: shares[number]) == "4"
    assert 0.1 < values["energy_above_crystal_ev_per_atom"] < 0.45
    distances, distribution = radial_distribution(report.structures[0], 5.4)
    # a crystal has nothing between its first and second neighbours, and sharp peaks
    assert distribution.max() < 8.0
