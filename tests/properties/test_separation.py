"""Work of separation and gap curves against sums by hand and closed forms."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.calculator import CalculationFailed, Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms

from mhdnn.errors import ConfigError, DataError, PropertyError
from mhdnn.properties.energies import Energies
from mhdnn.properties.gap_curve import (
    DEFAULT_GAPS,
    analyse_gap_curve,
    compute_gap_curve,
    gap_curve_report,
    universal_energy,
)
from mhdnn.properties.interfaces import gap_of, slabs_of, with_gap
from mhdnn.properties.separation import (
    at_equilibrium_gap,
    map_registry,
    registry_map_report,
    separate,
    separate_relaxed,
    separation_report,
    work_of_separation,
)
from tests.properties.toys import CosineRegistry, square_pair

EV_PER_SQUARE_ANGSTROM = 16.02176634  # J/m²


def stacked_slabs(gap=3.3):
    """Two slabs of fcc argon of different thickness, 2 x 2, the upper one out of registry."""
    lower, upper = (fcc111("Ar", (2, 2, layers), a=5.3, vacuum=0.0) for layers in (2, 3))
    upper.positions += [0.7, 0.4, lower.positions[:, 2].max() + gap - upper.positions[:, 2].min()]
    atoms = lower + upper
    atoms.set_array("slab", np.repeat([1, 2], [len(lower), len(upper)]))
    atoms.cell[2] = [0, 0, 60]
    atoms.pbc = (True, True, False)
    return atoms


def lennard_jones(distances, epsilon, sigma, cutoff):
    """ASE's: shifted to zero at the cutoff."""
    powers = (sigma / distances) ** 6
    shift = (sigma / cutoff) ** 6
    return np.where(distances < cutoff, 4 * epsilon * (powers**2 - powers - shift**2 + shift), 0.0)


def test_equals_the_sum_over_pairs_across_the_interface():
    atoms = stacked_slabs()
    parameters = {"epsilon": 0.0104, "sigma": 3.4, "rc": 9.0}
    found = separate(atoms, LennardJones(**parameters))
    labels = atoms.arrays["slab"]
    lower, upper = atoms.positions[labels == 1], atoms.positions[labels == 2]
    total = 0.0
    for first in range(-3, 4):
        for second in range(-3, 4):
            shift = first * atoms.cell[0] + second * atoms.cell[1]
            distances = np.linalg.norm(upper[None] + shift - lower[:, None], axis=2)
            total -= lennard_jones(distances, 0.0104, 3.4, 9.0).sum()
    area = np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1]))
    assert total > 0.1
    assert found.work == pytest.approx(total / area * EV_PER_SQUARE_ANGSTROM, abs=1e-10)
    assert separate(atoms, LennardJones(**parameters), area=1.0).work == pytest.approx(
        total * EV_PER_SQUARE_ANGSTROM, abs=1e-9
    )


def test_work_of_given_energies():
    assert work_of_separation(-1.0, -2.0, -3.5, 10.0) == pytest.approx(0.05 * EV_PER_SQUARE_ANGSTROM)
    with pytest.raises(DataError, match="`area`"):
        work_of_separation(-1.0, -2.0, -3.5, 0.0)


def test_cleavage_of_a_crystal_is_twice_its_surface_energy():
    """Two halves of an Al crystal in contact on both sides: area 2 A, and W = 2 γ of the relaxed slab's creation."""
    crystal = fcc111("Al", (1, 1, 6), a=3.99, vacuum=None)
    crystal.pbc = True
    crystal.cell[2] = [0, 0, 6 * 3.99 / np.sqrt(3)]
    crystal.set_array("slab", np.repeat([1, 2], 3))
    area = np.linalg.norm(np.cross(crystal.cell[0], crystal.cell[1]))
    found = separate(crystal, EMT(), area=2 * area)
    slab = crystal[:3]
    slab.calc = EMT()
    whole = bulk("Al", a=3.99)
    whole.calc = EMT()
    surface_energy = (slab.get_potential_energy() - 3 * whole.get_potential_energy()) / (2 * area)
    assert found.work == pytest.approx(2 * surface_energy * EV_PER_SQUARE_ANGSTROM, abs=1e-10)


def test_interrupted_relaxations_continue(tmp_path):
    """The interface is relaxed and kept, the slabs fail; the second run starts with them, and gives the same."""
    atoms = fcc111("Al", (1, 1, 6), a=4.0, vacuum=8.0)
    atoms.set_array("slab", np.repeat([1, 2], 3))

    class Slabs(EMT):
        def calculate(self, *arguments, **keywords):
            super().calculate(*arguments, **keywords)
            if len(self.atoms) == 3 and self.fails:
                raise KeyboardInterrupt

        def description(self):
            return {"class": "EMT"}

    calculator = Slabs()
    calculator.fails = True
    with pytest.raises(KeyboardInterrupt):
        separate_relaxed(atoms, calculator, 1e-3, journal=tmp_path / "steps.json")
    assert list(json.loads((tmp_path / "steps.json").read_text())["results"]) == ["interface"]
    calculator.fails = False
    continued = separate_relaxed(atoms, calculator, 1e-3, journal=tmp_path / "steps.json")
    assert continued.work == pytest.approx(separate_relaxed(atoms, EMT(), 1e-3).work, abs=1e-9)


def test_relaxed_slabs():
    """Relaxation lowers all three energies; fixed atoms stay."""
    atoms = fcc111("Al", (1, 1, 6), a=4.0, vacuum=8.0)
    atoms.set_array("slab", np.repeat([1, 2], 3))
    atoms.set_constraint(FixAtoms([0]))
    rigid, relaxed = separate(atoms, EMT()), separate_relaxed(atoms, EMT(), max_force=1e-3)
    for name in ("energy_1", "energy_2", "energy_12"):
        assert getattr(relaxed, name) < getattr(rigid, name)
    np.testing.assert_allclose(relaxed.atoms.positions[0], atoms.positions[0])
    together = relaxed.atoms.copy()
    together.calc = EMT()
    assert np.abs(together.get_forces()[1:]).max() < 1e-3
    parts = []
    for part in slabs_of(relaxed.atoms):
        part.calc = EMT()
        parts.append(part.get_potential_energy())
    assert relaxed.energy_1 < parts[0] + 1e-9
    assert relaxed.energy_2 < parts[1] + 1e-9
    with pytest.raises(PropertyError, match="expected a relaxation"):
        separate_relaxed(atoms, EMT(), max_force=1e-6, max_steps=1)


class TenFour(Calculator):
    """Two planes whose atoms are smeared out: W(d) in closed form, eV."""

    implemented_properties = ["energy"]

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] = 0.0 if len(self.atoms) == 1 else ten_four(gap_of(self.atoms), 2.5)


def ten_four(gap, length, epsilon=0.01, sigma=3.0):
    """Energy of an atom over a plane of density 1/length², eV: 2π ε σ² ρ [2/5 (σ/d)^10 - (σ/d)^4]."""
    return 2 * np.pi * epsilon * sigma**2 / length**2 * (0.4 * (sigma / gap) ** 10 - (sigma / gap) ** 4)


def test_gap_curve_of_two_lennard_jones_planes():
    """One atom per Å² is smooth at 3 Å (waves fall off as e^(-2π d/a)): the 10-4 potential."""
    length = 1.0
    atoms = square_pair(length=length, height=60.0)
    gaps = np.linspace(2.6, 4.4, 46)
    curve = compute_gap_curve(atoms, LennardJones(epsilon=0.01, sigma=3.0, rc=40.0), gaps)
    expected = ten_four(gaps, length) / length**2 * EV_PER_SQUARE_ANGSTROM
    np.testing.assert_allclose(curve.energies, expected, atol=2e-4 * np.abs(expected).max())
    # of the 10-4 potential: d0 = σ, W = 6π/5 ε σ² ρ², curvature 2πεσ²ρ²·(44 - 20)/σ²
    depth = 1.2 * np.pi * 0.01 * 9.0 * EV_PER_SQUARE_ANGSTROM
    assert curve.equilibrium_gap == pytest.approx(3.0, abs=2e-3)
    assert curve.work == pytest.approx(depth, rel=1e-3)
    assert curve.stiffness == pytest.approx(2 * np.pi * 0.01 * 24.0 * 160.2176634, rel=1e-2)
    # the traction 8πεσρ² [(σ/d)^5 - (σ/d)^11] is largest where (σ/d)^6 = 5/11
    ratio = (5 / 11) ** (1 / 6)
    assert curve.strength_gap == pytest.approx(3.0 / ratio, abs=0.03)
    assert curve.strength == pytest.approx(8 * np.pi * 0.01 * 3 * (ratio**5 - ratio**11) * 160.2176634, rel=1e-2)


def test_universal_curve_is_found_again():
    gaps = np.linspace(1.8, 7.0, 20)
    exact = universal_energy(gaps, 0.52, 2.7, 0.61, 0.05)
    curve = analyse_gap_curve(gaps[::-1], exact[::-1])
    assert (curve.fit.work, curve.fit.gap, curve.fit.length, curve.fit.cubic) == pytest.approx((0.52, 2.7, 0.61, 0.05))
    assert curve.fit.rms_error < 1e-9
    assert curve.work == pytest.approx(0.52, rel=5e-3)
    assert curve.equilibrium_gap == pytest.approx(2.7, abs=0.02)


def test_the_universal_curve_has_no_hump():
    """The 10-4 potential decays by a power: the fit stays below zero beyond the minimum, and says that it is worse."""
    gaps = np.array([2.6, 2.8, 3.0, 3.2, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0])
    long_range = analyse_gap_curve(gaps, ten_four(gaps, 1.0))
    fine = np.linspace(long_range.fit.gap, 40.0, 2000)
    energies = long_range.fit.energy(fine)
    assert energies.max() <= 0.0
    assert (np.diff(energies) >= 0).all()
    short = analyse_gap_curve(gaps, universal_energy(gaps, 0.5, 3.0, 0.5, 0.05))
    assert short.fit.quality == pytest.approx(1.0, abs=1e-9)
    assert long_range.fit.quality < 0.999
    # spline: slope of the 10-4 potential
    there = np.array([3.4])
    slope = (ten_four(3.401, 1.0) - ten_four(3.399, 1.0)) / 0.002 * 10.0
    assert long_range.traction(there)[0] == pytest.approx(slope, rel=0.05)


def test_the_fit_of_a_potential_that_ends_has_no_hump():
    """Morse's curve cut off at 5 Å; without bounds the fit rises to +0.031 J/m² beyond it."""
    gaps = np.array(DEFAULT_GAPS)
    morse = -0.3 * (2 * np.exp(-0.6 * (gaps - 3)) - np.exp(-1.2 * (gaps - 3)))
    energies = morse * np.cos(0.5 * np.pi * np.clip((gaps / 5.0) ** 4, 0.0, 1.0)) ** 2
    fit = analyse_gap_curve(gaps, energies).fit
    fine = np.linspace(fit.gap, 30.0, 2000)
    assert fit.energy(fine).max() <= 0.0
    assert (np.diff(fit.energy(fine)) >= 0).all()
    assert fit.quality < 0.995
    warnings = gap_curve_report(square_pair(), Ending(), gaps=list(gaps)).warnings
    assert any("universal curve misses" in text for text in warnings)


class Ending(TenFour):
    """Morse's curve with a cutoff."""

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if len(self.atoms) == 2:
            gap = gap_of(self.atoms)
            morse = -2 * np.exp(-0.6 * (gap - 3)) + np.exp(-1.2 * (gap - 3))
            self.results["energy"] = morse * np.cos(0.5 * np.pi * min((gap / 5.0) ** 4, 1.0)) ** 2


class SomeFail(TenFour):
    """Fails at gaps in a range."""

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if len(self.atoms) == 2 and 3.5 < gap_of(self.atoms) < 3.7:
            raise CalculationFailed("no convergence")
        if len(self.atoms) == 2 and 4.9 < gap_of(self.atoms) < 5.1:
            self.results["energy"] = np.nan


def test_a_curve_survives_points_that_fail(tmp_path):
    gaps = [2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 4.0, 5.0, 6.0]
    report = gap_curve_report(square_pair(), SomeFail(), gaps=gaps, journal=tmp_path / "steps.json")
    assert report.values["gaps_angstrom"].tolist() == [2.6, 2.8, 3.0, 3.2, 3.4, 4.0, 6.0]
    assert [warning.split(" failed")[0] for warning in report.warnings[:2]] == ["gap 3.6 Å", "gap 5 Å"]
    assert len(json.loads((tmp_path / "steps.json").read_text())["results"]) == 7 + 2
    assert gap_of(report.structures[0]) == pytest.approx(3.0, abs=0.02)
    with pytest.raises(PropertyError, match="expected at least 6 points, 5 are left; gap 3.55 Å failed"):
        gap_curve_report(square_pair(), SomeFail(), gaps=[2.6, 3.0, 3.4, 3.55, 3.6, 3.65, 4.0, 6.0])


@pytest.mark.parametrize(
    ("gaps", "energies", "message"),
    [
        ([1, 2, 3], [0, -1, 0], "at least 6"),
        ([1, 2, 3, 3, 4, 5], [0, -1, 0, 0, 0, 0], "different gaps"),
        ([1, 2, 3, 4, 5, 6], [-1, -0.9, -0.8, -0.5, -0.2, 0], "bound minimum inside of 1 to 6"),
        ([1, 2, 3, 4, 5, 6], [4, 3, 2, 1, 2, 3], "bound minimum"),
        ([1, 2, 3, 4, 5, 6], [4, 3, 2, -1, 2, 3], "gaps at which the slabs are bound, got 1"),
    ],
)
def test_curves_that_say_nothing_are_refused(gaps, energies, message):
    with pytest.raises(DataError, match=message):
        analyse_gap_curve(gaps, energies)


def test_equilibrium_gap():
    atoms = square_pair(gap=4.4)
    assert gap_of(at_equilibrium_gap(atoms, Energies(TenFour(), atoms))) == pytest.approx(3.0, abs=1e-3)
    assert gap_of(at_equilibrium_gap(square_pair(gap=2.5), Energies(TenFour(), atoms))) == pytest.approx(3.0, abs=1e-3)
    with pytest.raises(PropertyError, match="between 3.5 and 6 Å, downhill from 4.400 Å"):
        at_equilibrium_gap(atoms, Energies(TenFour(), atoms), 3.5, 6)


class Breaking(CosineRegistry):
    """Counts its calculations and breaks after some."""

    calls, most = 0, 10**6

    def calculate(self, *arguments, **keywords):
        if self.calls == self.most:
            raise KeyboardInterrupt
        self.calls += 1
        super().calculate(*arguments, **keywords)


def test_interrupted_scans_continue(tmp_path):
    atoms, gaps = square_pair(), np.linspace(2.4, 4.0, 9)
    calculator = Breaking()
    calculator.most = 5
    with pytest.raises(KeyboardInterrupt):
        compute_gap_curve(atoms, calculator, gaps, journal=tmp_path / "steps.json")
    calculator.most = 10**6
    continued = compute_gap_curve(atoms, calculator, gaps, journal=tmp_path / "steps.json")
    # nine gaps and two slabs; the structure itself, which is one of the gaps, once more after the interruption
    assert calculator.calls == 11 + 1
    np.testing.assert_allclose(continued.energies, compute_gap_curve(atoms, Breaking(), gaps).energies)
    atoms.info["total_charge"] = 1.0
    with pytest.raises(ConfigError, match="`total_charge`"):
        compute_gap_curve(atoms, calculator, gaps, journal=tmp_path / "steps.json")


@pytest.mark.parametrize("relax_gap", [False, True])
def test_registry_map_of_a_cosine(relax_gap):
    atoms = square_pair(gap=3.0)
    found = map_registry(atoms, CosineRegistry(), 5, 2, relax_gap)
    assert found.work.shape == (5, 2)
    phase = 2 * np.pi / 2.5 * (0.3 + 0.5 * np.arange(5))
    gap = 3.0 + 0.1 * np.cos(phase) if relax_gap else 3.0
    energy = 0.7 * np.cos(phase) - 1.1 + 0.2 * (gap - 3.0 - 0.1 * np.cos(phase)) ** 2
    expected = -energy / 2.5**2 * EV_PER_SQUARE_ANGSTROM
    np.testing.assert_allclose(found.work, np.stack([expected, expected], 1), atol=1e-6 if relax_gap else 1e-10)
    np.testing.assert_allclose(found.gaps[:, 0], gap * np.ones(5), atol=2e-4)
    assert found.best_shift[0] == pytest.approx(0.5 * np.argmax(expected))
    assert found.corrugation == pytest.approx(np.ptp(expected), abs=1e-6)
    with pytest.raises(ConfigError, match="`num_1`"):
        map_registry(atoms, CosineRegistry(), 0, 2)


def test_a_map_survives_points_that_fail(tmp_path):
    """NaN where it fails; the structures of the others have their energies."""

    class Fails(CosineRegistry):
        def calculate(self, *arguments, **keywords):
            super().calculate(*arguments, **keywords)
            if len(self.atoms) == 2 and abs(self.atoms.positions[1, 0] - 1.3) < 0.01:
                raise CalculationFailed("no convergence")

    report = registry_map_report(square_pair(), Fails(), num_1=5, num_2=1, relax_gap=True)
    assert np.isnan(report.values["work_of_separation_j_per_m2"][:, 0]).tolist() == [False, False, True, False, False]
    assert report.values["corrugation_j_per_m2"] > 0
    assert len(report.warnings) == 1
    assert len(report.structures) == 4
    report.write(tmp_path)
    frames = ase.io.read(tmp_path / "registry_map.extxyz", ":")
    for atoms in frames:
        again = atoms.copy()
        again.calc = CosineRegistry()
        assert atoms.get_potential_energy() == pytest.approx(again.get_potential_energy(), abs=1e-6)


def test_map_covers_the_registry_cell_of_the_builder():
    atoms = square_pair()
    atoms.info["registry_cell"] = [[1.25, 0.0], [0.0, 2.5]]
    found = map_registry(atoms, CosineRegistry(), 2, 1)
    np.testing.assert_allclose(found.shifts[:, 0], [[0, 0], [0.625, 0]])


def test_reports(tmp_path):
    calculator = LennardJones(epsilon=0.01, sigma=3.0, rc=12.0)
    atoms = square_pair()
    del atoms.arrays["slab"]
    reports = [
        separation_report(with_gap_of(atoms), calculator, ["Si"], max_force=0.05),
        gap_curve_report(atoms, calculator, ["Si"]),
        registry_map_report(atoms, calculator, ["Si"], 3, 2),
    ]
    for report in reports:
        report.write(tmp_path)
        assert json.loads((tmp_path / f"{report.name}.json").read_text())
        assert (tmp_path / f"{report.name}.png").exists()
    assert reports[0].values["work_of_separation_relaxed_j_per_m2"] > 0
    assert reports[1].values["equilibrium_gap_angstrom"] == pytest.approx(2.9, abs=0.3)


def with_gap_of(atoms: Atoms) -> Atoms:
    labelled = square_pair()
    moved = with_gap(labelled, 2.9)
    del moved.arrays["slab"]
    return moved
