"""Stress-strain curves to failure against lattice sums, a Morse bond, finite differences and elastic constants."""

import itertools
import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.elastic_tensor import rotated
from mhdnn.properties.elasticity import elastic_constants
from mhdnn.properties.fracture.bonds import find_bonds
from mhdnn.properties.fracture.loading import PullSettings, load
from mhdnn.properties.fracture.pulling import pull_to_failure
from mhdnn.properties.fracture.report import fracture_report
from mhdnn.properties.fracture.stress_strain import strength_of, values_of, work_of
from mhdnn.properties.relaxation import relaxed
from tests.properties.toys import square_pair

GPA = 160.2176634  # 1 eV/Å³
NEWTON_PER_METER = 16.02176634  # 1 eV/Å²
CUTOFF = 2.9  # of Lennard-Jones with σ = 1, between shells at rest
SPACING = 1.5496  # of the fcc crystal, near rest


def lattice_sum(direction: np.ndarray, strains: np.ndarray) -> np.ndarray:
    """Stress along a unit vector of a Lennard-Jones crystal (ε = σ = 1) in uniaxial strain, by its own small loop.

    The energy of an atom is half the sum over all others; its derivative by e with F = 1 + e n n, by the volume at
    rest of an atom, is the Cauchy stress, since the area across n stays.
    """
    reach = range(-4, 5)
    sites = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    vectors = SPACING * np.array(
        [np.add(cell, site) for cell in itertools.product(reach, reach, reach) for site in sites]
    )
    vectors = vectors[np.linalg.norm(vectors, axis=1) > 0.1]
    along = vectors @ direction
    stresses = []
    for strain in strains:
        lengths = np.sqrt((vectors**2).sum(axis=1) + (2 * strain + strain**2) * along**2)
        near = lengths < CUTOFF
        r = lengths[near]
        slope = 24.0 / r * (r**-6 - 2.0 * r**-12)
        stresses.append(0.5 * (slope * (1 + strain) * along[near] ** 2 / r).sum() / (SPACING**3 / 4))
    return np.array(stresses)


@pytest.mark.parametrize(
    ("direction", "frame"), [((1, 0, 0), "direction"), ((1, 1, 1), "plane"), ((2, -1, 1), "cartesian")]
)
def test_ideal_strength_of_a_lennard_jones_crystal(direction, frame):
    """Every point of the curve to round-off, the maximum to the smoothness of the cut sum."""
    settings = PullSettings(direction, frame, lateral="fixed", relax_first=False, strain_step=0.02, stop_below=0.7)
    pull = pull_to_failure(bulk("Ar", cubic=True, a=SPACING), LennardJones(rc=CUTOFF), settings)
    unit = np.array(direction) / np.linalg.norm(direction)
    np.testing.assert_allclose(pull.stress, lattice_sum(unit, pull.strains), rtol=1e-9, atol=1e-10)
    found = strength_of(pull.strains, pull.stress)
    fine = np.linspace(0.0, pull.strains[-1], 2001)
    assert found.is_reached
    assert found.stress == pytest.approx(lattice_sum(unit, fine).max(), rel=0.01)


@pytest.mark.parametrize(
    "settings",
    [
        PullSettings((1, 1, 0), "direction", lateral="fixed"),
        PullSettings((1, 0, 0)),
        PullSettings((1, 1, 1), "plane", mode="shear", shear_direction=(1, 1, -2)),
        PullSettings((0, 0, 1), mode="shear", shear_direction=(1, 0, 0), lateral="fixed", relax_ions=False),
    ],
    ids=["uniaxial strain", "uniaxial stress", "relaxed shear", "simple shear"],
)
def test_work_is_the_difference_of_energies(settings):
    """Whatever relaxes beside; EMT's stress has kinks, at which no spline is exact."""
    pull = pull_to_failure(bulk("Cu", cubic=True), EMT(), settings)
    taken = pull.energies - pull.energies[0]
    np.testing.assert_allclose(work_of(pull), taken, atol=2e-3 * taken.max())


def test_other_stresses_vanish_without_constraint():
    pull = pull_to_failure(bulk("Cu"), EMT(), PullSettings((1, 2, 3), largest_strain=0.1, max_force=1e-4))
    others = pull.stresses.copy()
    others[:, 0, 0] = 0.0
    assert np.abs(others).max() * GPA < 2e-3
    assert pull.stress[-1] * GPA > 3
    clamped = PullSettings((1, 2, 3), largest_strain=0.1, max_force=1e-4, relax_ions=False)
    np.testing.assert_allclose(pull_to_failure(bulk("Cu"), EMT(), clamped).stress, pull.stress, atol=1e-5)  # one atom


@pytest.mark.parametrize(("lateral", "tolerance"), [("fixed", 0.01), ("relaxed", 0.01)])
def test_first_slopes_are_elastic_constants(lateral, tolerance):
    """C66 in the turned axes of a simple shear, 1/S66 of a relaxed one; E along a direction likewise."""
    copper = relaxed(bulk("Cu"), EMT(), 1e-5, cell=True)
    stiffness = elastic_constants(copper, EMT()).stiffness
    for settings in (
        PullSettings((1, 1, 1), lateral=lateral, strain_step=0.002, largest_strain=0.008, max_force=1e-5),
        PullSettings((1, 1, 1), mode="shear", shear_direction=(1, 1, -2), lateral=lateral, strain_step=0.002,
                     largest_strain=0.008, max_force=1e-5),
    ):  # fmt: skip
        pull = pull_to_failure(copper, EMT(), settings)
        turned = rotated(stiffness, pull.loading.axes)
        place = 0 if settings.mode == "tension" else 5
        expected = turned[place, place] if lateral == "fixed" else 1.0 / np.linalg.inv(turned)[place, place]
        assert strength_of(pull.strains, pull.stress).modulus == pytest.approx(expected, rel=tolerance)


class MorseLayers(Calculator):
    """Two planes that are bound by D ((1 - exp(-a (d - d0)))² - 1), their means moving as rigid bodies."""

    implemented_properties = ["energy", "forces"]
    depth, decay, distance = 0.8, 1.6, 3.1

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        lower, upper = (self.atoms.numbers == number for number in (6, 14))
        gap = self.atoms.positions[upper, 2].mean() - self.atoms.positions[lower, 2].mean()
        decayed = np.exp(-self.decay * (gap - self.distance))
        slope = 2 * self.depth * self.decay * (1 - decayed) * decayed
        forces = np.zeros((len(self.atoms), 3))
        forces[upper, 2], forces[lower, 2] = -slope / upper.sum(), slope / lower.sum()
        self.results.update(energy=self.depth * ((1 - decayed) ** 2 - 1), forces=forces)


def test_layers_that_are_pulled_apart():
    """Largest traction D a/2 per area, at ln 2/a beyond the minimum; no stress is asked for."""
    settings = PullSettings((0, 0, 1), lateral="fixed", strain_step=0.02, largest_strain=1.0, stop_below=0.05)
    report = fracture_report([square_pair(gap=3.2)], MorseLayers(), settings)
    values = report.values
    assert values["kind"] == "grips"
    assert values["strength_gpa"] == pytest.approx(0.8 * 1.6 / 2 / 2.5**2 * GPA, rel=1e-3)
    assert values["opening_at_strength_angstrom"] == pytest.approx(np.log(2) / 1.6, abs=0.01)
    assert values["length_between_grips_angstrom"] == pytest.approx(3.1, abs=0.01)
    np.testing.assert_allclose(values["work_of_stress_ev"], values["energies_ev"] - values["energies_ev"][0], atol=1e-3)


def test_the_periodic_cell_makes_no_difference_to_grips():
    """A slab that lies over the boundary of its cell."""
    slab = fcc111("Cu", (1, 1, 5), vacuum=6.0, periodic=True)
    settings = PullSettings((0, 0, 1), strain_step=0.05, largest_strain=0.2, lateral="fixed")
    expected = pull_to_failure(slab, EMT(), settings)
    slab.positions[:, 2] += 12.0
    slab.wrap()
    np.testing.assert_allclose(pull_to_failure(slab, EMT(), settings).stress, expected.stress, atol=1e-6)


def test_a_layer_is_measured_by_length():
    """Stress of a copper layer by the derivative of the energy, whatever the vacuum."""
    settings = PullSettings((1, 0, 0), lateral="fixed", strain_step=0.01, largest_strain=0.05)
    for vacuum in (5.0, 9.0):
        pull = pull_to_failure(fcc111("Cu", (1, 1, 1), vacuum=vacuum), EMT(), settings)
        area = np.linalg.norm(np.cross(*pull.loading.atoms.cell[:2]))
        slope = (pull.energies[4] - pull.energies[2]) / 0.02 / area
        values = values_of(pull)
        assert values["stresses_n_per_m"][3] == pytest.approx(slope * NEWTON_PER_METER, rel=0.01)
        assert 1.9 < values["thickness_angstrom"] < 2.64  # spheres of the covalent radius


def test_what_breaks_is_found_where_it_is_weak():
    """A slab of which every other atom of the fifth plane is missing."""
    slab = fcc111("Cu", (2, 1, 9), vacuum=6.0)
    plane = np.unique(np.round(slab.positions[:, 2], 3))[4]
    del slab[int(np.flatnonzero(np.abs(slab.positions[:, 2] - plane) < 0.01)[0])]
    report = fracture_report([slab], EMT(), PullSettings((0, 0, 1), lateral="fixed", max_force=0.02, strain_step=0.04))
    values = report.values
    broken = values["first_broken_bonds"]
    assert values["first_broken_strain"] >= values["strain_at_strength"]
    assert broken
    # planes are 2.07 Å apart: bonds within the weak plane and to its neighbours
    assert all(abs(pair["center_angstrom"][2] - plane) < 1.5 for pair in broken)
    assert {tuple(pair["elements"]) for pair in broken} == {("Cu", "Cu")}
    assert values["num_broken_bonds"][-1] >= len(broken)
    assert values["mean_coordination"][-1] < values["mean_coordination"][0]


@pytest.mark.parametrize(
    ("atoms", "number"),
    [
        (graphene(a=2.46, vacuum=8.0), 3),
        (bulk("Si"), 4),
        (bulk("Cu"), 12),
        (bulk("Fe"), 14),
        (bulk("Ar", a=5.3, cubic=True), 12),
        (bulk("NaCl", "rocksalt", a=5.64), 6),
    ],
    ids=["graphene", "diamond", "copper", "iron", "argon", "rocksalt"],
)
def test_coordination(atoms, number):
    bonds = find_bonds(atoms)
    coordination = bonds.coordination(np.zeros(len(bonds.first), dtype=bool), len(atoms))
    assert coordination.tolist() == [number] * len(atoms)
    np.testing.assert_allclose(bonds.stretches(atoms), 1.0)


class Counting(LennardJones):
    """Counts its calculations, and fails at one strain."""

    calculations, failing = 0, None

    def calculate(self, atoms=None, *arguments, **keywords):
        self.calculations += 1
        if self.failing is not None and abs(atoms.cell[0, 0] / SPACING - self.failing) < 0.01:
            raise CalculationFailed("no convergence")
        super().calculate(atoms, *arguments, **keywords)


def pulled(calculator, journal, largest, **changes):
    settings = PullSettings((1, 0, 0), lateral="fixed", relax_first=False, largest_strain=largest, **changes)
    return fracture_report([bulk("Ar", cubic=True, a=SPACING)], calculator, settings, journal)


def test_a_pull_continues_and_goes_farther(tmp_path):
    calculator = Counting(rc=CUTOFF)
    pulled(calculator, tmp_path / "journal.json", 0.1)
    before = calculator.calculations
    continued = pulled(calculator, tmp_path / "journal.json", 0.2)
    fresh = Counting(rc=CUTOFF)
    whole = pulled(fresh, None, 0.2)
    assert calculator.calculations - before < fresh.calculations
    np.testing.assert_allclose(continued.values["stresses_gpa"], whole.values["stresses_gpa"], rtol=1e-10)
    assert any("strength is not known" in text for text in pulled(Counting(rc=CUTOFF), None, 0.06).warnings)


def test_a_pull_survives_a_strain_that_fails():
    calculator = Counting(rc=CUTOFF)
    calculator.failing = 1.04
    report = pulled(calculator, None, 0.2)
    assert report.warnings[0].startswith("strain 0.04 failed and is left out")
    assert len(report.values["strains"]) == 10
    whole = pulled(Counting(rc=CUTOFF), None, 0.2)
    np.testing.assert_allclose(report.values["stresses_gpa"][2:], whole.values["stresses_gpa"][3:], rtol=1e-9)


class WithoutGold(EMT):
    def calculate(self, atoms=None, *arguments, **keywords):
        if "Au" in atoms.symbols:
            raise CalculationFailed("no convergence")
        super().calculate(atoms, *arguments, **keywords)


def test_every_charge_state(tmp_path):
    """Frames with the number of their ions, as `charging` writes them; a frame that fails is left out."""
    frames = []
    for number in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.symbols[:number] = "Ag"
        atoms.info["num_ions"] = number
        atoms.calc = SinglePointCalculator(atoms, energy=1.0)
        frames.append(atoms)
    frames.append(bulk("Au", cubic=True))
    settings = PullSettings((0, 0, 1), lateral="fixed", strain_step=0.05, largest_strain=0.5)
    report = fracture_report(frames, WithoutGold(), settings, tmp_path / "journal.json")
    assert report.values["num_states"] == 3
    assert report.warnings[0].startswith("state 3 failed and is left out")
    strengths = report.values["strength_gpa"]
    assert strengths[0] > strengths[1] > strengths[2]  # silver is weaker
    assert report.curves["strength"].x.tolist() == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.glob("*.json")) == [f"journal_{number}.json" for number in range(3)]
    report.write(tmp_path / "out")
    assert len(json.loads((tmp_path / "out/fracture.json").read_text())["states"]) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "bending"}, "`mode`: expected tension or shear"),
        ({"lateral": "free"}, "`lateral`: expected relaxed or fixed"),
        ({"strain_step": 0.9}, "`strain_step`: expected a number between"),
        ({"shear_direction": (1, 0, 0)}, "`shear_direction`: expected one for mode=shear"),
        ({"mode": "shear", "shear_direction": (0, 1, 1)}, "`shear_direction`: expected one in the plane across"),
        ({"frame": "hexagonal"}, "`frame`: expected one of cartesian, direction, plane"),
        ({"direction": (0, 0, 0)}, "`direction`: expected three numbers that are not all zero"),
        ({"stop_below": 1.0}, "`stop_below`"),
        ({"bond_stretch": 0.9}, "`bond_stretch`"),
    ],
)
def test_settings_that_mean_nothing(changes, message):
    with pytest.raises(ConfigError, match=message):
        load(bulk("Cu", cubic=True), PullSettings(**({"direction": (0, 0, 1)} | changes)))


def test_structures_that_cannot_be_pulled_so():
    sheet = graphene(a=2.46, vacuum=8.0)
    with pytest.raises(ConfigError, match="`grip`: expected grips that are apart"):
        load(sheet, PullSettings((0, 0, 1)))
    with pytest.raises(ConfigError, match="in the plane of the slab or along its normal"):
        load(sheet, PullSettings((1, 0, 1)))
    with pytest.raises(ConfigError, match="three cell vectors"):
        load(Atoms("Cu"), PullSettings((1, 0, 0)))
    with pytest.raises(DataError, match="`strains`: expected at least 4"):
        strength_of(np.arange(3.0), np.arange(3.0))
