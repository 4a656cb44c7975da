"""The command `diffusion`: files of random walks, and Langevin dynamics of free ions, whose D is known."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import all_changes
from ase.constraints import FixAtoms

from mhdnn.arguments import read_structures
from mhdnn.cli import main
from mhdnn.errors import ConfigError
from mhdnn.properties.diffusion import diffusion_report
from tests.properties.toys import CountingCalculator

NUM_IONS = 24
BOLTZMANN = units.kB


class Free(CountingCalculator):
    """No forces at all."""

    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}


def walking(temperature, seed, num_frames=401, coefficient=None):
    """Frames, 0.1 ps apart, of ions with D = 50 exp(-0.2 eV/kT) Å²/ps in a still host, wrapped."""
    generator = np.random.default_rng(seed)
    value = 50.0 * np.exp(-0.2 / (BOLTZMANN * temperature)) if coefficient is None else coefficient
    steps = generator.normal(scale=np.sqrt(2 * value * 0.1), size=(num_frames, NUM_IONS, 3))
    frames = []
    for places in np.cumsum(steps, axis=0):
        frame = Atoms(f"Li{NUM_IONS}O", [*places, [0, 0, 0]], cell=[20.0] * 3, pbc=True)
        frame.wrap()
        frames.append(frame)
    return frames


def test_files_by_command(tmp_path, monkeypatch, capsys):
    """D, activation energy and conductivity of walks at three temperatures, within their errors."""
    monkeypatch.chdir(tmp_path)
    temperatures = (500.0, 700.0, 1000.0)
    for seed, temperature in enumerate(temperatures):
        ase.io.write(f"{temperature:g}.extxyz", walking(temperature, seed))
    words = ["trajectories=500.extxyz,700.extxyz,1000.extxyz", "temperatures=500,700,1000", "time_between_frames=0.1"]
    assert main(["properties", "diffusion", *words, "output=out"]) == 0
    values = json.loads((tmp_path / "out/diffusion.json").read_text())
    expected = 50e-4 * np.exp(-0.2 / (BOLTZMANN * np.array(temperatures)))
    away = np.abs(np.array(values["diffusion_coefficients_cm2_per_s"]) - expected)
    assert (away < 3.5 * np.array(values["diffusion_coefficients_error_cm2_per_s"])).all()
    assert values["activation_energy_ev"] == pytest.approx(0.2, abs=3 * values["activation_energy_error_ev"])
    assert values["activation_energy_error_ev"] < 0.02
    record = values["records"][1]
    volts = BOLTZMANN * 700.0
    by_hand = NUM_IONS / 8e-27 * 1.602176634e-19 * 1e-4 * record["coefficient_cm2_per_s"] / volts * 10.0
    assert record["conductivity_ms_per_cm"] == pytest.approx(by_hand, rel=1e-6)
    if record["haven_ratio"] is not None:  # independent ions: one, if the collective motion is known well enough
        error = record["collective_conductivity_error_ms_per_cm"] / record["collective_conductivity_ms_per_cm"]
        assert record["haven_ratio"] == pytest.approx(1.0, abs=4 * error)
    assert (tmp_path / "out/diffusion.pdf").stat().st_size > 0
    assert "activation_energy_ev" in capsys.readouterr().out


def test_dumps_of_lammps(tmp_path):
    """Unwrapped and wrapped coordinates of one trajectory, whose atoms are not in order, give one coefficient."""
    frames, generator = walking(700.0, 3), np.random.default_rng(0)
    texts = {"xu yu zu": "", "x y z": ""}
    unwrapped = frames[0].positions.copy()
    for number, frame in enumerate(frames):
        step = frame.positions - frames[max(number - 1, 0)].positions
        unwrapped += step - 20.0 * np.round(step / 20.0)
        for columns, places in (("xu yu zu", unwrapped), ("x y z", frame.positions)):
            rows = [
                f"{i + 1} {s} {x} {y} {z}" for i, (s, (x, y, z)) in enumerate(zip(frame.symbols, places, strict=True))
            ]
            generator.shuffle(rows)
            box = "\n".join(["ITEM: BOX BOUNDS pp pp pp", *["0.0 20.0"] * 3])
            head = f"ITEM: TIMESTEP\n{number}\nITEM: NUMBER OF ATOMS\n{len(rows)}\n{box}\n"
            texts[columns] += f"{head}ITEM: ATOMS id element {columns}\n" + "\n".join(rows) + "\n"
    found = []
    for columns, text in texts.items():
        file = tmp_path / f"{columns[:2].strip()}.dump"
        file.write_text(text)
        trajectory = read_structures(f"{file}")
        report = diffusion_report(
            [700.0], trajectories=[trajectory], time_between_frames=0.1, unwrapped=columns == "xu yu zu"
        )
        found.append(report.values["diffusion_coefficients_cm2_per_s"][0])
    direct = diffusion_report([700.0], trajectories=[frames], time_between_frames=0.1)
    np.testing.assert_allclose(found, direct.values["diffusion_coefficients_cm2_per_s"] * 2, rtol=1e-6)


def test_too_few_hops_give_a_bound():
    """Ions that move by 0.1 Å: no coefficient, no conductivity, no activation energy, but an upper bound."""
    frozen, mobile = walking(300.0, 0, coefficient=1e-5), walking(900.0, 1)
    report = diffusion_report([300.0, 900.0], trajectories=[frozen, mobile], time_between_frames=0.1)
    assert np.isnan(report.values["diffusion_coefficients_cm2_per_s"][0])
    assert np.isnan(report.values["conductivities_ms_per_cm"][0])
    record = report.values["records"][0]
    assert np.isnan(record["coefficients_xyz_cm2_per_s"]).all()
    assert record["num_hops"] == 0
    assert record["upper_bound_cm2_per_s"] == pytest.approx(-np.log(0.05) / (NUM_IONS * 40.0) * 4 / 6 * 1e-4)
    assert "activation_energy_ev" not in report.values
    assert "300 K: 0 hops farther than 2 Å in 40 ps are fewer than 20" in report.warnings[0]


def free_ions():
    atoms = Atoms(f"Li{NUM_IONS}U", np.zeros((NUM_IONS + 1, 3)), cell=[30.0] * 3, pbc=True)
    atoms.set_constraint(FixAtoms([NUM_IONS]))
    return atoms


def free(calculator, journal=None, **changes):
    settings = {"num_steps": 4000, "num_equilibration": 50, "time_step": 4.0, "friction": 0.05, "interval": 10}
    settings |= {"hop_length": 1.0, "journal": journal}
    return diffusion_report([300.0], atoms=free_ions(), calculator=calculator, **(settings | changes))


def test_einstein_relation():
    """Free ions in a Langevin thermostat: D = kT/(m γ)."""
    report = free(Free())
    mass = free_ions().get_masses()[0]
    expected = BOLTZMANN * 300.0 / mass / (0.05 / units.fs) * (1000.0 * units.fs) * 1e-4
    record = report.values["records"][0]
    assert record["coefficient_cm2_per_s"] == pytest.approx(expected, abs=3.5 * record["coefficient_error_cm2_per_s"])
    assert record["coefficient_error_cm2_per_s"] < 0.12 * expected
    assert record["duration_ps"] == pytest.approx(16.0)


def test_killed_dynamics_continue(tmp_path):
    """Not one number differs from a run without interruption, and finished segments are not simulated again."""
    changes = {"num_steps": 500, "interval": 2, "num_blocks": 5}
    whole = free(Free(), tmp_path / "whole.json", **changes)
    with pytest.raises(KeyboardInterrupt):
        free(Free(most_calculations=400), tmp_path / "steps.json", **changes)
    second = Free()
    again = free(second, tmp_path / "steps.json", **changes)
    assert second.num_calculations < 400
    np.testing.assert_array_equal(
        again.values["records"][0]["tensor_cm2_per_s"], whole.values["records"][0]["tensor_cm2_per_s"]
    )
    in_memory = free(Free(), None, **changes)
    assert in_memory.values["diffusion_coefficients_cm2_per_s"] == whole.values["diffusion_coefficients_cm2_per_s"]
    # longer: what is there is taken; a segment that is lost is asked for
    third = Free()
    free(third, tmp_path / "steps.json", **(changes | {"num_steps": 600}))
    assert third.num_calculations < 300
    (tmp_path / "steps_300K_0001.traj").unlink()
    with pytest.raises(ConfigError, match="put it back"):
        free(Free(), tmp_path / "steps.json", **changes)


def test_failed_temperature_is_left_out():
    class Hot(Free):
        def calculate(self, atoms=None, properties=None, system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            if atoms.get_kinetic_energy() > 2.0:
                raise ArithmeticError("no convergence")

    settings = {"num_steps": 200, "num_equilibration": 10, "interval": 2, "journal": None}
    report = diffusion_report([150.0, 3000.0], atoms=free_ions(), calculator=Hot(), **settings)
    assert report.values["temperatures_k"] == [150.0]
    assert "3000 K failed and is left out" in report.warnings[0]


def test_bad_input():
    with pytest.raises(ConfigError, match="`trajectories`"):
        diffusion_report([300.0], trajectories=[walking(300.0, 0)])
    with pytest.raises(ConfigError, match="`atoms`"):
        diffusion_report([300.0], calculator=Free())
    with pytest.raises(ConfigError, match="`ion`"):
        diffusion_report([300.0], ion="Na", atoms=free_ions(), calculator=Free())
    with pytest.raises(ConfigError, match="`ion`: expected an element of .*, got 'Qq'"):
        diffusion_report([300.0], ion="Qq", trajectories=[walking(300.0, 0)], time_between_frames=1.0)
    with pytest.raises(ConfigError, match="`temperature`"):
        diffusion_report([-1.0], atoms=free_ions(), calculator=Free())
    with pytest.raises(ConfigError, match="`temperatures`"):
        diffusion_report([-1.0], trajectories=[walking(300.0, 0)], time_between_frames=0.1)
    with pytest.raises(ConfigError, match="`hop_length`"):
        diffusion_report([300.0], atoms=free_ions(), calculator=Free(), hop_length=0.0)
    with pytest.raises(ConfigError, match="`interval`"):
        diffusion_report([300.0], atoms=free_ions(), calculator=Free(), interval=0)
