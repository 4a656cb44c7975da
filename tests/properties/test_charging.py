"""Charging: voltages by hand, volumes of known bodies, and runs that were killed against runs that were not."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc100
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from mhdnn import MHDNNCalculator
from mhdnn.cli import main
from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.charging import ChargingSettings, _Run, charge
from mhdnn.properties.driving import drive
from mhdnn.properties.insertion import with_ion
from mhdnn.properties.interface_stress_report import interface_stress_report
from mhdnn.properties.separation import labelled
from mhdnn.properties.sliding import sliding_report
from mhdnn.properties.structures.octahedra import tunnel_bronze
from mhdnn.properties.voltage import voltage_report
from mhdnn.properties.volumes import occupied_volume
from tests.properties.charge_host import slab, write_charge_model

QUICK = {"drive_steps": 4, "relax_steps": 6}


def copper(layers=2):
    atoms = fcc100("Cu", (2, 2, layers), vacuum=8.0, periodic=True)
    atoms.pbc = (True, True, False)
    atoms.set_constraint(FixAtoms(range(4)))
    atoms.info = {}
    return atoms


def test_voltages_follow_from_energies():
    """Silver on copper: each step's voltage, their mean, and the way back, from the energies alone."""
    settings = ChargingSettings(
        0.3, ion="Ag", num_ions=4, ions_per_step=2, discharge=True, electrons=2, farthest=3.5, **QUICK
    )
    records = charge(copper(), EMT(), settings)
    assert [record["num_ions"] for record in records] == [0, 2, 4, 2, 0]
    assert [record["phase"] for record in records] == ["charging"] * 3 + ["discharging"] * 2
    energies = [record["energy_ev"] for record in records]
    numbers = [record["num_ions"] for record in records]
    for place in range(1, 5):
        change = numbers[place] - numbers[place - 1]
        expected = -(energies[place] - energies[place - 1] - 0.3 * change) / (2 * change)
        assert records[place]["voltage_v"] == pytest.approx(expected)
    assert records[2]["average_voltage_v"] == pytest.approx(np.mean([records[1]["voltage_v"], records[2]["voltage_v"]]))
    assert records[4]["average_voltage_v"] is None
    assert records[1]["ion_charges_e"] is None
    assert records[2]["state_of_charge"] == 1.0


def test_energies_are_those_of_the_trajectory(tmp_path):
    settings = ChargingSettings(0.0, ion="Ag", num_ions=3, relax_cell=False, **QUICK)
    records = charge(copper(), EMT(), settings, trajectory=tmp_path / "path.extxyz")
    frames = ase.io.read(tmp_path / "path.extxyz", ":")
    for record, atoms in zip(records, frames, strict=True):
        atoms.calc = EMT()
        assert atoms.get_potential_energy() == pytest.approx(record["energy_ev"], abs=1e-6)  # eight decimals
        assert (
            atoms.get_chemical_formula()
            == f"{'Ag' if record['num_ions'] else ''}{record['num_ions'] or ''}Cu8".replace("Ag1C", "AgC")
        )
        assert np.linalg.norm(atoms.positions[:4] - copper().positions[:4]) < 1e-6  # fixed
        assert occupied_volume(atoms) == pytest.approx(record["volume_angstrom3"], rel=1e-3)


def test_the_force_drives_ions():
    """The farther down the stronger the force; discharging pulls upwards."""
    heights = {}
    for force in (0.05, 0.6):
        settings = ChargingSettings(
            0.0, ion="Ag", num_ions=1, force=force, drive_steps=30, relax_steps=0, minimise=True, nearest=4.0,
            farthest=5.0, min_distance=3.0,
        )  # fmt: skip
        atoms = charge_frames(copper(), settings)[-1]
        heights[force] = atoms.positions[-1, 2]
    assert heights[0.6] < heights[0.05] - 0.05


def charge_frames(host, settings):
    """The relaxed states."""
    path = Path("states.extxyz")
    charge(host, EMT(), settings, trajectory=path)
    return ase.io.read(path, ":")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_volume_of_a_crystal_with_its_cell():
    """Copper swells with silver on interstitial places; the stress of the relaxed cell vanishes."""
    settings = ChargingSettings(
        0.0, ion="Ag", num_ions=1, where="volume", min_distance=1.7, relax_cell=True, relax_steps=300, drive_steps=3,
        max_force=0.02,
    )  # fmt: skip
    first, last = charge(bulk("Cu", cubic=True).repeat(2), EMT(), settings)
    assert first["volume_angstrom3"] == pytest.approx(8 * 3.59**3, rel=0.02)
    assert last["volume_angstrom3"] > first["volume_angstrom3"] + 5
    assert last["is_relaxed"]
    assert np.abs(last["stress_gpa"]).max() < 0.3


def test_stress_of_a_slab_is_per_occupied_volume():
    """More vacuum changes the stress per cell, not that per slab."""
    results = []
    for vacuum in (8.0, 16.0):
        host = fcc100("Ar", (3, 3, 3), a=5.2, vacuum=vacuum, periodic=True)
        host.pbc = (True, True, False)
        settings = ChargingSettings(0.0, ion="Ne", num_ions=1, relax_steps=0, drive_steps=0, nearest=3.0, farthest=5.0)
        lennard_jones = LennardJones(sigma=3.4, epsilon=0.01, rc=7.0)
        results.append(charge(host, lennard_jones, settings)[0])
    assert results[0]["stress_gpa"] == pytest.approx(results[1]["stress_gpa"], abs=1e-9)
    assert results[0]["slab_stresses_gpa"] is None  # no labels


def test_grand_canonical_charging_and_discharging():
    """Ions fill the electrode at a high chemical potential and leave at a low one."""
    settings = ChargingSettings(
        0.0, ion="Ag", num_ions=4, method="grand_canonical", chemical_potential=20.0, discharge_potential=-20.0,
        moves=30, discharge=True, max_steps=4, nearest=2.0, farthest=5.0, **QUICK,
    )  # fmt: skip
    records = charge(copper(), EMT(), settings)
    numbers = [record["num_ions"] for record in records]
    assert max(numbers) == 4
    assert records[-1]["phase"] == "discharging"
    assert numbers[-1] < 4


def test_distortion_of_octahedra():
    """Regular octahedra at the start: elongation 1, variance 0; with an ion between them neither."""
    host = tunnel_bronze(size=(1, 1, 2))
    host.numbers[host.numbers != 8] = 13
    host.set_tags(0)
    settings = ChargingSettings(
        0.0, ion="Al", num_ions=1, where="volume", min_distance=1.5, distortion_center="Al", relax_steps=0,
        drive_steps=20, force=2.0, minimise=True, direction=(0.0, 0.0, -1.0),
    )  # fmt: skip
    first, last = charge(host, EMT(), settings)
    assert first["quadratic_elongation"] == pytest.approx(1.0, abs=1e-9)
    assert first["bond_angle_variance_degree2"] == pytest.approx(0.0, abs=1e-9)
    assert last["quadratic_elongation"] > 1.0001


def test_an_interrupted_run_continues():
    """A failure in step 3, then the same call again: the result of a run without failure, to the last bit."""

    class Failing(EMT):
        calls = 0

        def calculate(self, *arguments, **keywords):
            type(self).calls += 1
            if type(self).calls == 30:
                raise KeyboardInterrupt
            super().calculate(*arguments, **keywords)

        def description(self):
            return {"class": "as of one that doesn't fail"}

    class Sound(EMT):
        description = Failing.description

    settings = ChargingSettings(0.0, ion="Ag", num_ions=5, discharge=True, **QUICK)
    with pytest.raises(KeyboardInterrupt):
        charge(copper(), Failing(), settings, "kept.json")
    steps = len(json.loads(Path("kept.json").read_text())["results"])
    assert 2 <= steps < 11
    continued = charge(copper(), Sound(), settings, "kept.json")
    assert continued == charge(copper(), EMT(), settings)
    with pytest.raises(ConfigError, match="seed"):
        charge(
            copper(), Sound(), ChargingSettings(0.0, ion="Ag", num_ions=5, discharge=True, seed=1, **QUICK), "kept.json"
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "magic"},
        {"ion": "Xx1"},
        {"electrons": 0},
        {"num_ions": 0},
        {"temperature": 0.0},
        {"direction": (0.0, 0.0, 0.0)},
        {"relax_steps": -1},
        {"rate": -1.0},
        {"rate": 2.0, "minimise": True},
    ],
)
def test_impossible_settings(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        ChargingSettings(0.0, **changes)


def interface() -> Atoms:
    """Two slabs of argon with a gap, labelled."""
    atoms = fcc100("Ar", (2, 2, 4), a=5.3, vacuum=9.0)
    atoms.set_array("slab", 1 + (atoms.positions[:, 2] > atoms.positions[:, 2].mean()))
    atoms.pbc = (True, True, False)
    return atoms


ARGON = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0)


def test_frames_are_input_of_the_other_commands(tmp_path):
    """Energies and stresses as results, ions in the slab that is nearest: voltage, sliding and stress take them."""
    path = tmp_path / "path.extxyz"
    settings = ChargingSettings(-0.05, ion="Ne", num_ions=2, nearest=2.5, farthest=4.0, min_distance=2.5, **QUICK)
    records = charge(interface(), ARGON, settings, trajectory=path)
    frames = ase.io.read(path, ":")
    for record, atoms in zip(records, frames, strict=True):
        assert atoms.get_potential_energy() == pytest.approx(record["energy_ev"], abs=1e-6)
        assert set(atoms.arrays["slab"]) == {1, 2}
        assert (atoms.arrays["slab"][atoms.arrays["insertion_order"] > 0] == 2).all()
        again = atoms.copy()
        again.calc = ARGON
        assert atoms.get_stress() == pytest.approx(again.get_stress(), abs=1e-7)
        assert atoms.get_forces() == pytest.approx(again.get_forces(), abs=1e-6)
    metal = Atoms("Ne", cell=[9, 9, 9], pbc=True)
    metal.calc = SinglePointCalculator(metal, energy=-0.05)
    values = voltage_report(frames, metal, ion="Ne", relax=False).values
    assert values["average_voltage_v"] == pytest.approx(records[-1]["average_voltage_v"], abs=1e-6)
    stress = interface_stress_report([frames[-1]]).values
    np.testing.assert_allclose(stress["traction_gpa"], records[-1]["traction_gpa"], atol=1e-5)
    np.testing.assert_allclose(stress["slab_2_gpa"], records[-1]["slab_stresses_gpa"][1], rtol=1e-3, atol=1e-4)
    assert sliding_report(frames[-1], ARGON, num_points=4).values["corrugation_j_per_m2"] > 0


def test_ions_without_a_label_get_that_of_their_neighbours():
    """Files of earlier versions: the label 0."""
    atoms = with_ion(interface(), "Ne", np.array([1.0, 1.0, interface().positions[:, 2].max() + 3.0]))
    assert atoms.arrays["slab"][-1] == 0
    assert labelled(atoms, None).arrays["slab"][-1] == 2
    assert labelled(interface(), None).arrays["slab"].tolist() == interface().arrays["slab"].tolist()


def test_the_ion_nearest_to_the_surface_leaves_first():
    """The second of three is deep in the crystal: the others go before it, and are pulled outwards, it is not."""
    host = fcc100("Cu", (2, 2, 4), vacuum=8.0, periodic=True)
    host.pbc = (True, True, False)
    top = host.positions[:, 2].max()
    atoms = host.copy()
    for place in ([0.5, 0.5, top + 2.5], [1.8, 1.8, top - 3.0], [3.0, 0.5, top + 2.2]):
        atoms = with_ion(atoms, "Ag", np.array(place))
    run = _Run(EMT(), ChargingSettings(0.0, ion="Ag", num_ions=3, nearest=1.5, farthest=3.0, ions_per_step=3))
    order = [atoms.positions[i, 2] for i in run._nearest_to_surface(atoms)]
    assert order[-1] == pytest.approx(top - 3.0)
    settings = ChargingSettings(
        0.0, ion="Ag", num_ions=3, nearest=1.5, farthest=3.0, force=0.5, drive_steps=10, minimise=True
    )
    (leaving,) = _Run(EMT(), settings)._nearest_to_surface(atoms)
    atoms.calc = EMT()
    forces = settings.forces(atoms, np.array([leaving]))
    assert forces[0] == pytest.approx([0, 0, -0.5], abs=0.1)


def test_rates_are_ions_in_time():
    """Two ions in each step, 10 ions/ps: 200 fs of dynamics with the force."""
    settings = ChargingSettings(0.0, rate=10.0, ions_per_step=2, time_step=2.0)
    assert settings.num_drive_steps == 100
    assert settings.drive_time == pytest.approx(0.2)
    assert ChargingSettings(0.0, minimise=True).drive_time == 0.0
    settings = ChargingSettings(0.0, ion="Ag", num_ions=2, farthest=3.5, **QUICK)
    assert [r["time_ps"] for r in charge(copper(), EMT(), settings)] == pytest.approx([0, 0.004, 0.008])


def test_ions_of_a_run_before_belong_to_the_host(tmp_path):
    settings = ChargingSettings(0.0, ion="Ag", num_ions=1, **QUICK)
    charge(copper(), EMT(), settings, trajectory=tmp_path / "one.extxyz")
    charged = ase.io.read(tmp_path / "one.extxyz")
    assert charged.get_array("insertion_order").max() == 1
    assert [record["num_ions"] for record in charge(charged, EMT(), settings)] == [0, 1]


def test_an_energy_that_is_not_finite_stops():
    class Broken(EMT):
        def calculate(self, *arguments, **keywords):
            super().calculate(*arguments, **keywords)
            if len(self.atoms) > 8:
                self.results["energy"] = np.nan

    with pytest.raises(PropertyError, match="finite"):
        charge(copper(), Broken(), ChargingSettings(0.0, ion="Ag", num_ions=2, **QUICK))


def test_command(capsys):
    ase.io.write("host.extxyz", copper())
    words = ["atoms=host.extxyz", "calculator=ase.calculators.emt:EMT", "reference_energy=0.0", "ion=Ag", "num_ions=2"]
    assert (
        main(["properties", "charging", *words, "drive_steps=3", "relax_steps=3", "discharge=true", "output=out"]) == 0
    )
    values = json.loads(Path("out/charging.json").read_text())
    assert [record["num_ions"] for record in values["records"]] == [0, 1, 2, 1, 0]
    assert Path("out/charging.png").stat().st_size > 0
    assert len(ase.io.read("charging.extxyz", ":")) == 5
    assert json.loads(Path("charging_journal.json").read_text())["results"].keys() == {"0", "1", "2", "3", "4"}
    capsys.readouterr()


@pytest.mark.slow
def test_charge_model_survives_kill(tmp_path):
    """Eight lithium in a host with a charge model; the run is killed twice and ends as one that was left alone."""
    write_charge_model(tmp_path / "model.pt")
    ase.io.write("host.extxyz", slab())
    words = "atoms=../host.extxyz calculator=../model.pt reference_energy=-1.0 num_ions=8"
    program = str(Path(sys.executable).parent / "mhdnn")
    command = [program, "properties", "charging", *words.split(), "drive_steps=5", "relax_steps=6"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    @contextlib.contextmanager
    def started(folder):
        folder.mkdir(exist_ok=True)
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:  # whatever fails, nothing is left running
            process.kill()
            process.wait()
            process.stdout.close()

    for steps in (3, 6):
        with started(tmp_path / "killed") as killed:
            while finished_steps(tmp_path / "killed") < steps:
                assert killed.poll() is None, killed.stdout.read().decode()
                time.sleep(0.02)
        assert killed.returncode == -signal.SIGKILL
        assert not (tmp_path / "killed" / "charging.extxyz").exists()
    for folder in ("alone", "killed"):
        with started(tmp_path / folder) as process:
            output, _ = process.communicate()
        assert process.returncode == 0, output.decode()
    results = [
        json.loads((tmp_path / name / "properties/charging/charging.json").read_text()) for name in ("alone", "killed")
    ]
    assert results[0] == results[1]
    records = results[0]["records"]
    assert [record["num_ions"] for record in records] == list(range(9))
    full = records[8]
    assert len(full["ion_charges_e"]) == 8
    assert min(full["ion_charges_e"]) > 0.05
    assert sum(full["ion_charges_e"]) + full["host_charge_e"] == pytest.approx(0.0, abs=1e-6)
    assert full["stress_gpa"] is not None
    frames = ase.io.read(tmp_path / "alone" / "charging.extxyz", ":")
    for record, atoms in zip(records, frames, strict=True):
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
        assert distances.min() > 1.4  # nothing has collapsed
        atoms.calc = MHDNNCalculator(tmp_path / "model.pt")
        assert atoms.get_potential_energy() == pytest.approx(record["energy_ev"], abs=1e-5)


def finished_steps(folder):
    journal = folder / "charging_journal.json"
    return len(json.loads(journal.read_text())["results"]) if journal.exists() else 0


class Free(Calculator):
    """Atoms that don't feel each other."""

    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=None, system_changes=None):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3))}


def test_ions_are_driven_along_the_direction_and_out_the_opposite_way(monkeypatch):
    """Where the driven ions of each step are before and after; those that leave are not there later to be looked at."""
    moves = []

    def watched(atoms, ions, *rest):
        before = atoms.positions[ions]
        drive(atoms, ions, *rest)
        moves.append(atoms.positions[ions] - before)

    monkeypatch.setattr("mhdnn.properties.charging.drive", watched)
    settings = ChargingSettings(
        0.0, ion="Ag", num_ions=2, force=0.5, direction=(0.0, 1.0, 0.0), drive_steps=5, minimise=True, relax_steps=0,
        discharge=True,
    )  # fmt: skip
    charge(copper(), Free(), settings)
    assert [len(move) for move in moves] == [1, 2, 1, 1]
    for move, sign in zip(moves, (1, 1, -1, -1), strict=True):
        assert (sign * move[:, 1] > 1e-3).all()
        np.testing.assert_allclose(move[:, [0, 2]], 0.0, atol=1e-10)


def test_friction_of_driven_atoms_is_in_femtoseconds():
    r"""Free atoms: <x²> = 2 k T/(m γ²) (γ t - 1 + exp(-γ t)), from Maxwell's velocities on."""
    atoms = Atoms("Ag1500", positions=np.zeros((1500, 3)))
    atoms.calc = Free()
    friction, steps = 0.05, 80
    drive(atoms, [0], [0.0, 0.0, 0.0], steps, 300.0, 1.0, friction, np.random.default_rng(0))
    decay = friction * steps
    mean = 2 * units.kB * 300.0 / (atoms.get_masses()[0] * (friction / units.fs) ** 2) * (decay - 1 + np.exp(-decay))
    assert np.mean(atoms.positions**2) == pytest.approx(mean, rel=0.08)
