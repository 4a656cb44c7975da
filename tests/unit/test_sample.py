"""Candidates of a pool: what each recipe does to a structure, by hand; distances; the same seed gives the same."""

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, graphene, molecule
from ase.calculators.emt import EMT
from ase.data import covalent_radii
from ase.md.langevin import Langevin

from mhdnn.active.recipes import Ingredients, nearest_of, parse
from mhdnn.active.sample import sample
from mhdnn.arguments import Structures
from mhdnn.cli import main
from mhdnn.data.store import StoreReader
from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.interfaces import gap_of
from mhdnn.properties.structures.particles import nanoparticle


def made(tmp_path, source, **arguments):
    output = tmp_path / "pool.h5"
    sample(Structures([source]), output, **arguments)
    return list(StoreReader(output))


def two_sheets() -> Atoms:
    lower = graphene(vacuum=0.0)
    lower.set_cell([*lower.cell[:2], [0, 0, 20.0]])
    upper = lower.copy()
    upper.positions[:, 2] += 3.4
    atoms = lower + upper
    atoms.set_array("slab", np.array([1, 1, 2, 2]))
    atoms.positions[:, 2] += 5.0
    atoms.pbc = (True, True, False)
    return atoms


def test_rattled_by_the_standard_deviation(tmp_path):
    crystal = bulk("Cu", cubic=True).repeat(3)
    moved = [one.positions - crystal.positions for one in made(tmp_path, crystal, recipe=["rattle:0.08"], num=20)]
    assert np.std(moved) == pytest.approx(0.08, rel=0.03)
    assert np.mean(moved) == pytest.approx(0.0, abs=0.005)


@pytest.mark.parametrize("kind", ["strain", "shear"])
def test_cells_are_deformed_up_to_the_amount(tmp_path, kind):
    crystal = bulk("Cu")
    tensors = []
    for one in made(tmp_path, crystal, recipe=[f"{kind}:0.05"], num=40, rattled=0.0):
        tensors.append(np.linalg.solve(crystal.cell[:], one.cell) - np.eye(3))
        np.testing.assert_allclose(one.positions, crystal.positions @ (tensors[-1] + np.eye(3)), atol=1e-12)
    tensors = np.array(tensors)
    diagonal = np.eye(3, dtype=bool)
    changed, same = (tensors[:, diagonal], tensors[:, ~diagonal])[:: 1 if kind == "strain" else -1]
    np.testing.assert_allclose(same, 0.0, atol=1e-12)
    np.testing.assert_allclose(tensors, tensors.transpose(0, 2, 1), atol=1e-12)
    assert np.abs(changed).max() <= 0.05
    assert np.abs(changed).max() > 0.045
    assert changed.mean() == pytest.approx(0.0, abs=0.01)


def test_a_sheet_is_strained_in_its_plane_only(tmp_path):
    sheet = two_sheets()
    for one in made(tmp_path, sheet, recipe=["strain", "shear"], num=4, rattled=0.0):
        np.testing.assert_allclose(one.positions[:, 2], sheet.positions[:, 2], atol=1e-12)
        np.testing.assert_allclose(one.cell[2], sheet.cell[2], atol=1e-12)
        assert np.abs(one.cell[:2] - sheet.cell[:2]).max() > 1e-3


def test_vacancies_and_insertions(tmp_path):
    crystal = bulk("Si", cubic=True).repeat(2)
    vacancies = made(tmp_path, crystal, recipe=["vacancy"], num=4, rattled=0.0)
    assert [len(crystal) - one.num_atoms for one in vacancies] == [1, 2, 1, 2]
    for one in made(tmp_path, crystal, recipe=["insertion:2"], ion="Li", num=3, rattled=0.0):
        assert (one.atomic_numbers == 3).sum() == 2
        atoms = Atoms(one.atomic_numbers, one.positions, cell=one.cell, pbc=True)
        distances = atoms.get_all_distances(mic=True)[-2:]
        assert distances[distances > 0].min() >= 1.5


def test_dimers_by_covalent_radii(tmp_path):
    for one in made(tmp_path, bulk("NaCl", "rocksalt", a=5.6), recipe=["dimer:1.2"], num=10):
        length = np.linalg.norm(one.positions[1] - one.positions[0])
        assert length == pytest.approx(1.2 * covalent_radii[one.atomic_numbers].sum())
        assert not one.pbc.any()


def test_gaps_and_registries(tmp_path):
    atoms = two_sheets()
    for one, change in zip(made(tmp_path, atoms, recipe=["gap"], num=3, rattled=0.0), (-0.5, -0.2, 0.3), strict=True):
        assert np.ptp(one.positions[:, 2]) == pytest.approx(gap_of(atoms) + change)
    for one in made(tmp_path, atoms, recipe=["registry:0.5"], num=10, rattled=0.0):
        shift = one.positions - atoms.positions
        np.testing.assert_allclose(shift[:2], 0.0, atol=1e-12)
        np.testing.assert_allclose(shift[2], shift[3], atol=1e-12)
        fractions = np.linalg.solve(atoms.cell[:].T, shift[2])
        assert fractions[2] == pytest.approx(0.0)
        assert (fractions[:2] >= 0).all()
        assert (fractions[:2] <= 0.5).all()


def test_amounts_from_a_range_and_changes_one_after_the_other(tmp_path):
    atoms = two_sheets()
    pool = made(tmp_path, atoms, recipe=["registry:1+gap:-0.6..1.5"], num=40, rattled=0.0)
    shifts = np.array([one.positions - atoms.positions for one in pool])
    np.testing.assert_allclose(shifts[:, 2], shifts[:, 3], atol=1e-12)
    upper = shifts[:, 2] - shifts[:, 0]
    assert np.ptp(upper[:, 2]) > 1.8
    assert -0.6 <= upper[:, 2].min() <= upper[:, 2].max() <= 1.5
    assert len(np.unique(upper[:, :2].round(6), axis=0)) == 40
    assert {one.group for one in pool} == {"registry/1+gap:-0.6..1.5"}
    crystal = bulk("Si", cubic=True).repeat(2)
    pool = made(tmp_path, crystal, recipe=["vacancy:1..3"], num=30, rattled=0.0)
    assert {len(crystal) - one.num_atoms for one in pool} == {1, 2, 3}
    pool = made(tmp_path, crystal, recipe=["strain+vacancy"], num=4, rattled=0.0)
    assert [one.group for one in pool] == [f"strain/{e}+vacancy:{n}" for e, n in ((0.02, 1), (0.06, 2)) * 2]
    assert [len(crystal) - one.num_atoms for one in pool] == [1, 2, 1, 2]


EMT_NAME = "ase.calculators.emt:EMT"


def test_molecular_dynamics_is_that_of_ase(tmp_path):
    crystal = bulk("Cu", cubic=True)
    (one,) = made(tmp_path, crystal, recipe=["md:700"], num=1, seed=5, calculator=EMT_NAME, steps=30, time_step=2.0)
    generator = np.random.default_rng([5, 0])
    atoms = crystal.copy()
    atoms.calc = EMT()
    atoms.set_momenta(np.sqrt(units.kB * 700.0 * atoms.get_masses())[:, None] * generator.normal(size=(4, 3)))
    friction = 0.02 / units.fs
    Langevin(
        atoms, 2.0 * units.fs, temperature_K=700.0, friction=friction, fixcm=False, rng=generator
    ).run(30)  # fmt: skip
    np.testing.assert_allclose(one.positions, atoms.positions, atol=1e-12)
    assert one.group == "md/700"
    assert one.forces is None


def test_melts_are_disordered_and_cold(tmp_path):
    crystal = bulk("Cu", cubic=True).repeat(2)
    settings = tmp_path / "emt.yaml"
    settings.write_text("asap_cutoff: true\n")
    (one,) = made(
        tmp_path, crystal, recipe=["melt:6000"], num=1, calculator=EMT_NAME, settings=settings, steps=300, time_step=3.0
    )
    moved = Atoms(one.atomic_numbers, one.positions, cell=one.cell, pbc=True)
    distances = moved.get_all_distances(mic=True)[np.triu_indices(32, 1)]
    sites = crystal.get_all_distances(mic=True)[np.triu_indices(32, 1)]
    empty = (distances > 2.9) & (distances < 3.3)  # no shell of the crystal is there
    assert not ((sites > 2.9) & (sites < 3.3)).any()
    assert empty.sum() > 10


def test_particles_on_a_sheet(tmp_path):
    sheet = graphene(vacuum=10.0)
    for one in made(tmp_path, sheet, recipe=["particle:6"], particle="Si", num=2, rattled=0.0):
        silicon = one.atomic_numbers == 14
        assert silicon.sum() == (nanoparticle("Si", diameter=6.0).numbers == 14).sum()
        gap = one.positions[silicon, 2].min() - one.positions[~silicon, 2].max()
        assert 2.2 <= gap <= 3.6
        ball = Atoms(one.atomic_numbers, one.positions, cell=one.cell, pbc=one.pbc)[silicon]
        images = ball.get_all_distances(mic=False)
        assert images.max() <= 6.0
        assert np.linalg.norm(one.cell[:2], axis=1).min() >= 6.0 + 8.0 - 3.0  # spheres of nuclei, 8 Å apart


def test_no_atoms_are_too_close(tmp_path):
    assert nearest_of(bulk("Cu"), 1.5) == pytest.approx(3.61 / 2**0.5 / 2 / covalent_radii[29])
    for one in made(tmp_path, bulk("Cu", cubic=True), recipe=["rattle:0.35"], num=10, nearest=0.75):
        assert nearest_of(Atoms(one.atomic_numbers, one.positions, cell=one.cell, pbc=True), 1.0) >= 0.75
    with pytest.raises(PropertyError, match=r"rattle/0\.2 gave atoms closer"):
        made(tmp_path, bulk("Cu", cubic=True), recipe=["rattle:0.2"], nearest=0.99)


def test_command_is_reproducible(tmp_path, capsys):
    ase.io.write(tmp_path / "cu.extxyz", bulk("Cu", cubic=True))
    pools = []
    for name, seed in (("a.h5", 3), ("b.h5", 3), ("c.h5", 4)):
        arguments = [f"output={tmp_path / name}", "num=9", f"seed={seed}", "recipe=rattle,strain,shear,vacancy"]
        assert main(["data", "sample", str(tmp_path / "cu.extxyz"), *arguments]) == 0
        pools.append(list(StoreReader(tmp_path / name)))
    assert [one.group for one in pools[0]][:5] == [
        "rattle/0.03",
        "strain/0.02",
        "shear/0.02",
        "vacancy/1",
        "rattle/0.1",
    ]
    for one, again, other in zip(*pools, strict=True):
        np.testing.assert_array_equal(one.positions, again.positions)
        assert not np.allclose(one.positions, other.positions)
    assert "9 structures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"recipe": ["boil"]}, ConfigError, "boil"),
        ({"recipe": ["rattle:much"]}, ConfigError, "after the colon"),
        ({"recipe": ["rattle:"]}, ConfigError, "after the colon"),
        ({"recipe": ["gap:2..1"]}, ConfigError, "from the smaller to the larger"),
        ({"recipe": ["gap:1..nan"]}, ConfigError, "after the colon"),
        ({"recipe": ["registry+"]}, ConfigError, "expected some of"),
        ({"recipe": ["vacancy:0.5"]}, ConfigError, "whole numbers"),
        ({"recipe": ["insertion"]}, ConfigError, "`ion`"),
        ({"recipe": ["insertion"], "ion": "Xx"}, ConfigError, "`ion`: expected the symbol .* got 'Xx'; as in ion=Li"),
        ({"recipe": ["insertion"], "ion": "li"}, ConfigError, "`ion`: expected the symbol of an element, got 'li'"),
        ({"ion": "X"}, ConfigError, "`ion`: expected the symbol of an element, got 'X'"),
        ({"recipe": ["particle"], "particle": "Fe"}, ConfigError, "`particle`: expected one of Si, .* got 'Fe'"),
        ({"seed": -1}, ConfigError, "`seed`: expected 0 or more, got -1"),
        ({"num": 0}, ConfigError, "`num`"),
        ({"recipe": ["particle"]}, ConfigError, "`particle`: expected an element"),
        ({"recipe": ["md"]}, ConfigError, "`calculator`: expected a calculator"),
        ({"recipe": ["md"], "calculator": "no:where"}, ConfigError, "no:where"),
        ({"recipe": ["md"], "calculator": EMT_NAME, "steps": 0}, ConfigError, "`steps`"),
        ({"recipe": ["md"], "calculator": EMT_NAME, "time_step": -1.0}, ConfigError, "`time_step`"),
        ({"recipe": ["strain"]}, PropertyError, "molecule"),
        ({"recipe": ["vacancy:3"]}, PropertyError, "more than 3"),
        ({"recipe": ["insertion"], "ion": "Li"}, PropertyError, "cell vectors"),
    ],
)
def test_what_is_refused(tmp_path, arguments, error, words):
    with pytest.raises(error, match=words):
        sample(Structures([molecule("H2O")]), tmp_path / "pool.h5", **arguments)
    assert not (tmp_path / "pool.h5").exists()


@pytest.mark.parametrize("source", [[], [Atoms()], [bulk("Cu"), Atoms()]])
def test_sources_without_atoms_are_refused(tmp_path, source):
    with pytest.raises(ConfigError, match="`source`: expected structures with atoms"):
        sample(Structures(source), tmp_path / "pool.h5")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rattle:-1", "rattle at least 0, got 'rattle:-1'; as in rattle:0.03"),
        ("rattle:-0.1..0.1", "rattle at least 0"),
        ("strain:-2", "strain at least 0 and less than 1"),
        ("strain:1.5", "strain at least 0 and less than 1"),
        ("strain:0.1..1", "strain at least 0 and less than 1"),
        ("shear:-0.1", "shear at least 0 and less than 0.5"),
        ("shear:0.5", "shear at least 0 and less than 0.5"),
        ("dimer:-1", "dimer greater than 0"),
        ("dimer:0..1", "dimer greater than 0"),
        ("registry:-1", "registry at least 0"),
        ("particle:0", "particle greater than 0"),
        ("md:-5", "md greater than 0"),
        ("melt:0", "melt greater than 0"),
        ("vacancy:0", "vacancy at least 1 and at most 1000000"),
        ("vacancy:1..1e30", "vacancy at least 1 and at most 1000000"),
        ("insertion:-2", "insertion at least 1"),
        ("registry:1+gap:-0.5+rattle:-1", "rattle at least 0"),
    ],
)
def test_amounts_without_a_meaning_are_refused(text, words):
    with pytest.raises(ConfigError, match=f"`recipe`: expected amounts of {words}"):
        parse(text, Ingredients("Li", "Si", EMT()))


@pytest.mark.parametrize(("kind", "amount"), [("strain", 0.99), ("shear", 0.49)])
def test_no_cell_is_turned_inside_out(tmp_path, kind, amount):
    pool = made(tmp_path, bulk("Cu"), recipe=[f"{kind}:{amount}"], num=300, rattled=0.0, nearest=0.0)
    assert min(np.linalg.det(one.cell) for one in pool) > 0
    assert np.linalg.det(np.eye(3) - 0.5 * (np.ones((3, 3)) - np.eye(3))) == pytest.approx(0.0)  # beyond: shear by 1/2


def test_what_is_read_is_not_overwritten(tmp_path, capsys):
    """The source, also one of several and behind a link, settings and a model."""
    names = ("a.extxyz", "b.extxyz")
    for name in names:
        ase.io.write(tmp_path / name, bulk("Cu", cubic=True))
    (tmp_path / "link.extxyz").symlink_to(tmp_path / "b.extxyz")
    a, b, link = (str(tmp_path / name) for name in (*names, "link.extxyz"))
    others = {"settings": tmp_path / "emt.yaml", "calculator": tmp_path / "model.pt"}
    for path in others.values():
        path.write_text("asap_cutoff: true\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    given = [
        ([a], a), ([a, b], b), ([f"{a},{b}"], b), ([str(tmp_path / "*.extxyz")], b), ([link], b), ([b], link),
        ([f"{a}@0"], a), *(([a, f"{key}={path}"], str(path)) for key, path in others.items()),
    ]  # fmt: skip
    for sources, output in given:
        assert main(["data", "sample", *sources, f"output={output}", "num=2", "recipe=rattle"]) == 1
        assert "`output`: expected another file than" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_the_source_carries_is_not_of_the_candidates(tmp_path):
    """Labels under their usual names, and its group: both belong to where the atoms were."""
    crystal = bulk("Cu", cubic=True)
    crystal.info |= {"group": "best", "config_type": "best", "REF_energy": -3.0, "dft_energy": -3.0, "energy": -3.0}
    crystal.info |= {"stress": np.ones(6), "charge": 2.0}
    for name in ("forces", "REF_forces", "charges"):
        crystal.set_array(name, np.ones((4, 3) if "forces" in name else 4))
    for one in made(tmp_path, crystal, recipe=["rattle:0.05"], num=3):
        assert one.group == "rattle/0.05"
        assert [one.energy, one.forces, one.stress, one.charges] == [None] * 4
        assert one.total_charge == 2.0
