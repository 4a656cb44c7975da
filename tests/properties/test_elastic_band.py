"""Paths on surfaces whose saddle points are known."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixedLine
from ase.geometry import find_mic
from ase.optimize import BFGS

from mhdnn.errors import ConfigError, DataError, PropertyError
from mhdnn.properties import elastic_band
from mhdnn.properties.band_file import BandFile
from mhdnn.properties.elastic_band import BandSettings, minimum_energy_path
from mhdnn.properties.energy_profile import EnergyProfile
from mhdnn.properties.path_symmetry import exchange_of_ends
from tests.properties.toys import CosinePotential

QUICK = BandSettings(num_images=5, max_force=0.01)


def ion(*place):
    return Atoms("Li", [place], cell=[9.0, 10.5, 12.0], pbc=True)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("num_images", [4, 5])
def test_cosine(axis, num_images):
    """The barrier along each axis, over the border of the cell; with four images one has to climb."""
    start, end = np.zeros(3), np.zeros(3)
    end[axis] = CosinePotential.periods[axis]
    start[axis] = 2 * end[axis] + end[axis]
    path = minimum_energy_path(ion(*start), ion(*end), CosinePotential(), BandSettings(num_images, 0.003))
    assert path.profile.barrier == pytest.approx(CosinePotential.barriers[axis], abs=2e-4)
    assert path.profile.reverse_barrier == pytest.approx(CosinePotential.barriers[axis], abs=2e-4)
    assert path.profile.ion_path_length == pytest.approx(CosinePotential.periods[axis])
    assert not path.bent
    assert not path.ridge
    assert not len(path.profile.intermediate_minima)


def test_path_leaves_a_ridge():
    """The diagonal leads over the maximum, 0.3 + 0.5; the path goes round, over one saddle after the other."""
    path = minimum_energy_path(ion(0, 0, 0), ion(3.0, 3.5, 0), CosinePotential(), BandSettings(7, 0.02))
    assert path.bent
    assert not path.ridge
    assert path.profile.barrier == pytest.approx(0.5, abs=5e-3)
    assert len(path.profile.intermediate_minima) == 1
    way = path.profile.positions[:, 0] / CosinePotential.periods
    nearest_corner = np.linalg.norm(way - np.round(way), axis=1)[1:-1].min()
    assert nearest_corner < 0.15


def vacancy_hop():
    copper = bulk("Cu", cubic=True) * (2, 2, 2)
    neighbor = int(np.argmin([9.0, *copper.get_distances(0, range(1, len(copper)), mic=True)]))
    initial, final = copper.copy(), copper.copy()
    final.positions[neighbor] = copper.positions[0]
    for atoms in (initial, final):
        del atoms[0]
    return initial, final


def test_half_of_a_symmetric_path_is_enough(monkeypatch):
    """The same path as with all images calculated, for half of the calculations."""
    settings = BandSettings(num_images=3, max_force=0.1)
    half = minimum_energy_path(*vacancy_hop(), EMT(), settings)
    monkeypatch.setattr(elastic_band, "exchange_of_ends", lambda *arguments: None)
    whole = minimum_energy_path(*vacancy_hop(), EMT(), settings)
    assert half.symmetric
    assert not whole.symmetric
    np.testing.assert_allclose(half.profile.energies, whole.profile.energies, atol=1e-5)
    assert half.num_calculations <= 0.67 * whole.num_calculations + 4


def test_mirrored_forces_are_those_of_the_calculator():
    """The operation exchanges the ends; energy and forces of a random configuration's image, against a calculation."""
    initial, final = vacancy_hop()
    exchange = exchange_of_ends(initial, final, 0.1)
    assert exchange is not None
    for one, other in ((initial, final), (final, initial)):
        away = find_mic(exchange.positions(one.positions) - other.positions, one.cell, one.pbc)[1]
        np.testing.assert_allclose(away, 0.0, atol=1e-9)
    moved = initial.copy()
    moved.rattle(0.1, seed=3)
    image = moved.copy()
    image.positions = exchange.positions(moved.positions)
    moved.calc, image.calc = EMT(), EMT()
    assert image.get_potential_energy() == pytest.approx(moved.get_potential_energy(), abs=1e-9)
    np.testing.assert_allclose(image.get_forces(), exchange.vectors(moved.get_forces()), atol=1e-9)


def test_paths_without_symmetry():
    initial, final = vacancy_hop()
    initial.symbols[4] = final.symbols[4] = "Ag"
    assert exchange_of_ends(initial, final, 0.1) is None
    initial, final = vacancy_hop()
    for atoms in (initial, final):
        atoms.set_constraint(FixAtoms([7]))
    assert exchange_of_ends(initial, final, 0.1) is None


def gold_on_aluminium(x: float):
    slab = fcc100("Al", size=(2, 2, 3))
    add_adsorbate(slab, "Au", 1.7, "hollow")
    slab.center(axis=2, vacuum=4.0)
    slab.set_constraint(FixAtoms(mask=slab.get_tags() > 1))
    slab.positions[-1, 0] += x * slab.cell[0, 0] / 2
    return slab


def test_adatom_hops_over_the_bridge():
    """The saddle point between two hollows is the bridge by symmetry: relaxed there, without a band.

    The well-known example of ASE's documentation; the barrier of EMT is 0.37 eV.
    """
    path = minimum_energy_path(gold_on_aluminium(0), gold_on_aluminium(1), EMT(), BandSettings(3, 0.01))
    energies = []
    for place in (0.0, 0.5):
        atoms = gold_on_aluminium(place)
        atoms.set_constraint([*atoms.constraints, FixedLine(len(atoms) - 1, (0, 0, 1))])
        atoms.calc = EMT()
        BFGS(atoms, logfile=None).run(fmax=1e-3)
        energies.append(atoms.get_potential_energy())
    assert path.profile.barrier == pytest.approx(energies[1] - energies[0], abs=2e-3)
    assert path.profile.barrier == pytest.approx(0.37, abs=0.01)
    assert path.symmetric


def test_unsymmetric_profile():
    """A cubic through four images with forces: E = 6 s² - 4 s³ has its maximum, 2, at s = 1, and falls to -8."""
    images = []
    for s in (0.0, 0.6, 1.4, 2.0):
        image = ion(s, 0, 0)
        force = [[-(12 * s - 12 * s**2), 0.0, 0.0]]
        image.calc = SinglePointCalculator(image, energy=6 * s**2 - 4 * s**3, forces=np.array(force))
        images.append(image)
    profile = EnergyProfile(images)
    assert profile.barrier == pytest.approx(2.0)
    assert profile.reaction_energy == pytest.approx(24.0 - 32.0)
    assert profile.reverse_barrier == pytest.approx(10.0)


def test_band_continues_from_its_file(tmp_path):
    """An interrupted band starts from its last images: all in all hardly more calculations than without."""
    start, end = ion(0.1, 0, 0), ion(3.0, 3.4, 0)
    settings = BandSettings(5, 0.003)
    undisturbed = CosinePotential()
    whole = minimum_energy_path(start, end, undisturbed, settings)
    file = tmp_path / "band.json"
    first = CosinePotential(most_calculations=undisturbed.num_calculations - 50)
    with pytest.raises(KeyboardInterrupt):
        minimum_energy_path(start, end, first, settings, file=BandFile(file))
    assert file.is_file()
    second = CosinePotential()
    path = minimum_energy_path(start, end, second, settings, file=BandFile(file))
    assert path.profile.barrier == pytest.approx(whole.profile.barrier, abs=1e-3)
    assert second.num_calculations < 0.5 * undisturbed.num_calculations
    # a file of another band, or half of one, is of no use and does no harm
    for content in ('{"ends": ["x", "y"], "climbing": true, "positions": []}', "{"):
        file.write_text(content)
        assert not BandFile(file).restore([start, start, end])


def test_bad_input():
    with pytest.raises(DataError, match="the same atoms in the same order"):
        minimum_energy_path(ion(0, 0, 0), bulk("Cu"), CosinePotential(), QUICK)
    with pytest.raises(PropertyError, match="relax to one"):
        minimum_energy_path(gold_on_aluminium(0.0), gold_on_aluminium(0.15), EMT(), QUICK)
    with pytest.raises(PropertyError, match="within 2 steps"):
        minimum_energy_path(ion(0, 0, 0), ion(3.0, 3.5, 0), CosinePotential(), BandSettings(5, 0.01, max_steps=2))
    with pytest.raises(ConfigError, match="`num_images`"):
        BandSettings(num_images=0)
