"""Stress profiles: sums, uniform crystals, a pair of atoms by hand, the kinetic part."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.interface_stress import (
    atomic_virials,
    bin_weights,
    stress_profile,
)
from mhdnn.properties.interface_stress_report import interface_stress_report
from tests.builders import model_settings, random_potential

GPA = 160.2176634
CALCULATOR = LennardJones(epsilon=0.0104, sigma=3.4, rc=8.0)


def crystal(layers=6, strain=0.01, rattle=0.0):
    """Fcc argon, (111) planes across z, strained in the plane; atoms half a layer above the bins' edges."""
    atoms = fcc111("Ar", (2, 2, layers), a=5.3, vacuum=None)
    spacing = 5.3 / np.sqrt(3)
    atoms.cell[2] = [0, 0, layers * spacing]
    atoms.pbc = True
    atoms.positions[:, 2] += 0.5 * spacing - atoms.positions[:, 2].min()
    deformed = atoms.cell[:].copy()
    deformed[:, :2] *= 1 + strain
    atoms.set_cell(deformed, scale_atoms=True)
    atoms.rattle(rattle, seed=3)
    return atoms


@pytest.mark.parametrize("smearing", [0.0, 1.5])
def test_a_uniform_crystal_is_flat(smearing):
    """One layer in a bin, or smeared over half of the distance of layers: the crystal's stress everywhere."""
    atoms = crystal()
    profile = stress_profile([atoms], CALCULATOR, num_bins=6, smearing=smearing)
    atoms.calc = CALCULATOR
    expected = atoms.get_stress() * GPA
    assert abs(expected[0]) > 0.01
    np.testing.assert_allclose(profile.stress, np.tile(expected, (6, 1)), atol=1e-9)
    np.testing.assert_allclose(profile.average, expected, atol=1e-12)
    assert profile.in_plane == pytest.approx(np.full(6, expected[:2].mean()))


@pytest.mark.parametrize("pbc", [True, (True, True, False)])
@pytest.mark.parametrize("smearing", [0.0, 0.7])
def test_bins_add_up_to_the_stress(smearing, pbc):
    atoms = crystal(rattle=0.1)
    atoms.pbc = pbc
    atoms.positions[:3, 2] += 40.0 if atoms.pbc[2] else 0.0
    profile = stress_profile([atoms], CALCULATOR, num_bins=17, smearing=smearing)
    atoms.calc = CALCULATOR
    area, width = np.linalg.norm(np.cross(*atoms.cell[:2])), np.diff(profile.edges)[0]
    total = profile.stress.sum(0) * area * width
    np.testing.assert_allclose(total, atoms.get_stress() * atoms.get_volume() * GPA, atol=1e-9)


def test_two_atoms_by_hand():
    """Half of r dφ/dr for each atom, at its height."""
    atoms = Atoms("Ar2", positions=[[2, 2, 3.0], [2, 2, 6.5]], cell=[20, 20, 12], pbc=(True, True, False))
    profile = stress_profile([atoms], CALCULATOR, num_bins=11)
    power = (3.4 / 3.5) ** 6
    virial = 4 * 0.0104 * (-12 * power**2 + 6 * power)
    width = 5.5 / 11
    expected = np.zeros(11)
    expected[[2, 9]] = 0.5 * virial / (400.0 * width) * GPA
    np.testing.assert_allclose(profile.edges[[0, -1]], [2.0, 7.5])
    np.testing.assert_allclose(profile.normal, expected, atol=1e-12)
    np.testing.assert_allclose(profile.stress[:, [0, 1, 3, 4, 5]], 0.0, atol=1e-12)
    np.testing.assert_allclose(profile.von_mises, np.abs(expected), atol=1e-12)
    value, height = profile.largest(profile.normal)
    assert value == pytest.approx(expected[2])
    assert height == pytest.approx(profile.heights[2])


def test_kinetic_part():
    """The sum is ASE's stress with the ideal gas; without interaction a gas has the pressure N k T/V."""
    atoms = crystal(rattle=0.1)
    atoms.set_momenta(np.random.default_rng(1).normal(size=(len(atoms), 3)))
    profile = stress_profile([atoms], CALCULATOR, kinetic=True)
    atoms.calc = CALCULATOR
    np.testing.assert_allclose(profile.average, atoms.get_stress(include_ideal_gas=True) * GPA, atol=1e-12)
    gas = LennardJones(epsilon=0.0)
    difference = stress_profile([atoms], gas, kinetic=True).average[:3].sum()
    assert -difference == pytest.approx(2 * atoms.get_kinetic_energy() / atoms.get_volume() * GPA)


def test_snapshots_are_averaged():
    frames = [crystal(rattle=0.02 * number) for number in range(1, 17)]
    together = stress_profile(frames, CALCULATOR, num_bins=6)
    single = [stress_profile([atoms], CALCULATOR, num_bins=6).stress for atoms in frames]
    np.testing.assert_allclose(together.stress, np.mean(single, 0), atol=1e-12)
    assert together.errors.shape == (6, 6)
    assert stress_profile(frames[:3], CALCULATOR).errors is None


def test_weights_are_those_of_a_gaussian():
    weights = bin_weights(np.array([0.2, 9.9]), np.linspace(0, 10, 6), 1.0, 10.0)
    np.testing.assert_allclose(weights.sum(0), 1.0)
    rng = np.random.default_rng(0)
    sample = (0.2 + rng.normal(size=400_000)) % 10
    np.testing.assert_allclose(weights[:, 0], np.histogram(sample, np.linspace(0, 10, 6))[0] / 400_000, atol=3e-3)


def test_model(tmp_path):
    """The trained potential's shares in the same profile; they add up to its stress."""
    potential = random_potential([6, 14, 50])
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, model_settings([6, 14, 50]), {"data": "none"}))
    atoms = fcc111("Si", (2, 2, 4), a=4.3, vacuum=6.0)
    atoms.numbers[atoms.positions[:, 2] > atoms.positions[:, 2].mean()] = 50
    atoms.pbc = True
    calculator = MHDNNCalculator(tmp_path / "model.pt")
    profile = stress_profile([atoms], calculator, num_bins=30, smearing=0.4)
    atoms.calc = calculator
    height = atoms.cell[2, 2]
    np.testing.assert_allclose(profile.stress.sum(0) * height / 30, atoms.get_stress() * height * GPA, atol=1e-8)


def test_report(tmp_path):
    report = interface_stress_report([crystal(rattle=0.1)], CALCULATOR, num_bins=12)
    report.write(tmp_path)
    assert report.values["largest_von_mises_in_bins_gpa"] > 0
    assert (tmp_path / "interface_stress.png").exists()


def strained_slabs(gap=3.4, strain=0.02):
    """Two slabs of three layers, (111) planes of argon across z, strained in the plane."""
    atoms = fcc111("Ar", (2, 2, 6), a=5.3, vacuum=10.0)
    atoms.set_cell(atoms.cell[:] * [[1 + strain], [1 + strain], [1.0]], scale_atoms=True)
    atoms.set_array("slab", 1 + (atoms.positions[:, 2] > atoms.positions[:, 2].mean()))
    atoms.positions[atoms.arrays["slab"] == 2, 2] += gap - 5.3 / np.sqrt(3)
    return atoms


def test_stress_of_slabs_depends_on_no_bins():
    """The same for every smearing and number of bins, where the largest stress in bins varies by more than two."""
    reports = [
        interface_stress_report([strained_slabs()], CALCULATOR, smearing=smearing, num_bins=bins).values
        for smearing, bins in ((0.0, 40), (0.25, 80), (1.0, 20))
    ]
    for key in ("slab_1_gpa", "slab_2_n_per_m", "traction_gpa", "cell_n_per_m"):
        for values in reports[1:]:
            np.testing.assert_allclose(values[key], reports[0][key], atol=1e-12)
    in_bins = [values["largest_in_plane_in_bins_gpa"] for values in reports]
    assert max(in_bins) > 2 * min(in_bins) > 0
    assert reports[1]["bin_width_angstrom"] < reports[0]["bin_width_angstrom"]
    # both slabs together are the whole, and so is the profile
    total = reports[0]["slab_1_n_per_m"] + reports[0]["slab_2_n_per_m"]
    np.testing.assert_allclose(total, reports[0]["cell_n_per_m"], atol=1e-12)
    np.testing.assert_allclose(reports[1]["profile_n_per_m"].sum(axis=0), total, atol=1e-10)


def test_stress_of_a_thick_slab_is_that_of_its_crystal():
    """Eight layers at the crystal's distance, strained: in GPa what the periodic crystal has, but for the surfaces."""
    thin, thick = (fcc111("Ar", (2, 2, n), a=5.3, vacuum=10.0) for n in (8, 9))
    for atoms in (thin, thick):
        atoms.set_cell(atoms.cell[:] * [[1.02], [1.02], [1.0]], scale_atoms=True)
    periodic = crystal(strain=0.02)
    periodic.calc = CALCULATOR
    expected = periodic.get_stress()[:2].mean() * GPA
    found = [interface_stress_report([atoms], CALCULATOR).values for atoms in (thin, thick)]
    # a layer more adds the crystal's stress times its distance
    force = found[1]["whole_n_per_m"][:2].mean() - found[0]["whole_n_per_m"][:2].mean()
    assert 10 * force / (5.3 / np.sqrt(3)) == pytest.approx(expected, rel=0.02)
    assert found[1]["whole_in_plane_gpa"] == pytest.approx(expected, rel=0.25)


@pytest.mark.parametrize("calculator", [CALCULATOR, EMT()])
def test_traction_is_the_slope_of_the_energy(calculator):
    """Finite differences of the energy by the gap and by a shift, for a calculator without per-atom stresses, too."""
    atoms = strained_slabs(gap=4.0)
    if isinstance(calculator, EMT):
        atoms.numbers[:] = 47
        atoms.set_cell(atoms.cell[:] * 4.09 / 5.3, scale_atoms=True)
    upper = atoms.arrays["slab"] == 2
    atoms.positions[upper, :2] += [0.3, 0.2]
    report = interface_stress_report([atoms], calculator)
    area = np.linalg.norm(np.cross(*atoms.cell[:2]))
    for axis in range(3):
        energies = []
        for step in (-1e-4, 1e-4):
            moved = atoms.copy()
            moved.positions[upper, axis] += step
            moved.calc = calculator
            energies.append(moved.get_potential_energy())
        slope = (energies[1] - energies[0]) / 2e-4 / area * GPA
        assert report.values["traction_gpa"][axis] == pytest.approx(slope, abs=1e-4)
    assert report.values["traction_gpa"][2] > 0.01
    assert bool(report.warnings) == isinstance(calculator, EMT)
    assert report.values["cell_n_per_m"] is not None


def test_wrong_arguments_are_named():
    atoms = crystal()
    with pytest.raises(ConfigError, match="`calculator`: expected one with ASE's property `stresses`, got EMT"):
        atomic_virials(fcc111("Al", (1, 1, 2), vacuum=4.0), EMT())
    with pytest.raises(DataError, match="`calculator`: expected one with `stresses`, got none"):
        atomic_virials(atoms)
    with pytest.raises(DataError, match="`kinetic`: expected velocities"):
        atomic_virials(atoms, CALCULATOR, kinetic=True)
    with pytest.raises(ConfigError, match="`num_bins`"):
        stress_profile([atoms], CALCULATOR, num_bins=0)
    with pytest.raises(DataError, match="`frames`: expected at least one"):
        stress_profile([], CALCULATOR)
    with pytest.raises(DataError, match="`frames`: expected one height"):
        stress_profile([atoms, crystal(layers=3)], CALCULATOR)
