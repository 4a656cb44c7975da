"""The command `barrier`: crystals whose barriers are known, given paths, interruptions, several calculators."""

import json

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.cli import main
from mhdnn.errors import ConfigError, DataError
from mhdnn.properties.barrier import barrier_report
from tests.properties.toys import CosinePotential


def host() -> Atoms:
    """One site at the corner of a cell whose edges are the periods of the toy potential; argon keeps out of the way."""
    a, b, c = CosinePotential.periods
    return Atoms("Ar", [[a / 2, b / 2, c / 2]], cell=[a, b, c], pbc=True)


def corner() -> Atoms:
    atoms = host()
    atoms.append("H")
    return atoms


def search(calculator, **changes):
    settings = {"ion": "H", "sites": corner(), "num_images": 3, "max_force": 0.01, "max_length": 4.0, "min_length": 3.0}
    return barrier_report(host(), calculator, **(settings | changes))


def test_barriers_through_a_crystal():
    """Three paths, one along each axis, 0.3, 0.5 and 0.8 eV: the crystal opens in one dimension after the other."""
    report = search(CosinePotential())
    values = report.values
    assert values["num_distinct_paths"] == 3
    np.testing.assert_allclose(values["barriers_ev"], [0.3, 0.5, 0.8], atol=1e-3)
    np.testing.assert_allclose(values["hop_lengths_angstrom"], [3.0, 3.5, 4.0], atol=1e-6)
    for name, barrier in zip(("1d", "2d", "3d", "along_a", "along_b", "along_c"), [0.3, 0.5, 0.8] * 2, strict=True):
        assert values[f"percolating_barrier_{name}_ev"] == pytest.approx(barrier, abs=1e-3)
    assert [path["hops_from_first_site"] for path in values["paths"]] == [2, 2, 2]
    assert not report.warnings
    assert len(report.structures) == 3 * 5
    assert report.structures[6].get_potential_energy() > 0


def test_shortest_hops_that_lead_through():
    report = search(CosinePotential(), max_length=None)
    assert report.values["num_distinct_paths"] == 1
    assert report.values["max_length_angstrom"] == pytest.approx(3.0)
    assert np.isnan(report.values["percolating_barrier_2d_ev"])


def test_vacancy_of_a_metal(tmp_path, monkeypatch):
    """EMT copper: one path with twelve hops; the cubic cell gives the barrier of the primitive one (same supercell)."""
    monkeypatch.chdir(tmp_path)
    settings = {"ion": "Cu", "num_images": 1, "max_force": 0.05, "min_length": 7.0}
    values = barrier_report(bulk("Cu", a=3.6, cubic=True), EMT(), **settings).values
    assert values["mechanism"] == "vacancy"
    assert values["num_atoms"] == 31
    assert values["paths"][0]["hops_from_first_site"] == 12
    assert values["paths"][0]["halves_are_mirror_images"]
    assert values["percolating_barrier_3d_ev"] == values["barriers_ev"][0]
    assert 0.6 < values["barriers_ev"][0] < 0.9  # EMT's is 0.7, measured 0.7


def test_interstitial_sites_are_found():
    """Hydrogen in nickel by EMT rests in octahedral and tetrahedral holes, and hops from one to the other."""
    settings = {"ion": "H", "num_images": 1, "max_force": 0.05, "min_length": 4.5, "min_distance": 1.4}
    values = barrier_report(bulk("Ni", a=3.52, cubic=True), EMT(), **settings).values
    assert values["num_inequivalent_sites"] == 2
    assert values["num_sites"] == 3
    assert values["paths"][0]["length_angstrom"] == pytest.approx(3.52 * np.sqrt(3) / 4, abs=1e-3)
    assert min(values["site_energies_ev"]) == 0.0


def test_killed_search_continues(tmp_path):
    """One path at most is lost, and the result is that of a search without interruption."""
    undisturbed = CosinePotential()
    whole = search(undisturbed).values
    journal = tmp_path / "steps.json"
    first = CosinePotential(most_calculations=undisturbed.num_calculations - 3)
    with pytest.raises(KeyboardInterrupt):
        search(first, journal=journal)
    second = CosinePotential()
    values = search(second, journal=journal).values
    assert second.num_calculations < 0.6 * undisturbed.num_calculations
    np.testing.assert_allclose(values["barriers_ev"], whole["barriers_ev"], atol=1e-6)
    assert not list(tmp_path.glob("*_band.json"))


def test_failed_path_is_left_out():
    """It is named, and the others give what they can."""

    class NoWayAlongC(CosinePotential):
        def calculate(self, atoms=None, properties=None, system_changes=()):
            super().calculate(atoms, properties, system_changes)
            if 1.0 < self.atoms.positions[-1, 2] % 4.0 < 3.0:
                raise ArithmeticError("no convergence")

    report = search(NoWayAlongC())
    assert len(report.warnings) == 1
    assert "path 3, 4.000 Å" in report.warnings[0]
    assert np.isnan(report.values["percolating_barrier_3d_ev"])
    assert report.values["percolating_barrier_2d_ev"] == pytest.approx(0.5, abs=1e-3)


def band(scale: float = 1.0) -> list[Atoms]:
    images = []
    for x in np.linspace(0.0, 3.0, 5):
        image = Atoms("Li", [[x, 0, 0]], cell=[9.0, 10.5, 12.0], pbc=True)
        image.calc = CosinePotential()
        results = {"energy": scale * image.get_potential_energy(), "forces": scale * image.get_forces()}
        image.calc = SinglePointCalculator(image, **results)
        images.append(image)
    return images


def test_energies_of_files_beside_a_calculator(tmp_path, monkeypatch):
    """A band of another program with twice the energies."""
    monkeypatch.chdir(tmp_path)
    ase.io.write("dft.extxyz", band(2.0))
    calculators = "calculators=file,tests.properties.toys:CosinePotential"
    assert main(["properties", "barrier", calculators, "images=dft.extxyz", "output=out"]) == 0
    values = json.loads((tmp_path / "out/barrier.json").read_text())
    np.testing.assert_allclose(values["barrier_ev"], [0.6, 0.3], atol=1e-6)
    assert (tmp_path / "out/file/barrier.pdf").stat().st_size > 0
    assert len(ase.io.read(tmp_path / "out/CosinePotential/barrier.extxyz", ":")) == 5


def test_two_structures_by_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, image in (("start", band()[0]), ("end", band()[-1])):
        image.calc = None
        ase.io.write(f"{name}.extxyz", image)
    words = ["initial=start.extxyz", "final=end.extxyz", "num_images=3", "journal=steps.json", "output=out"]
    assert main(["properties", "barrier", "calculator=tests.properties.toys:CosinePotential", *words]) == 0
    values = json.loads((tmp_path / "out/barrier.json").read_text())
    assert values["barrier_ev"] == pytest.approx(0.3, abs=1e-3)
    assert values["halves_are_mirror_images"] is True
    assert "barrier_ev" in capsys.readouterr().out
    ase.io.write("end.extxyz", band()[1])
    assert main(["properties", "barrier", "calculator=tests.properties.toys:CosinePotential", *words]) == 1
    assert "`final`" in capsys.readouterr().err


def test_monotonic_profile_is_no_barrier():
    report = barrier_report(images=band()[:3])
    assert "no saddle point" in report.warnings[0]


def test_bad_input():
    with pytest.raises(ConfigError, match="either a crystal, two structures"):
        barrier_report(calculator=EMT())
    with pytest.raises(ConfigError, match="`calculator`"):
        barrier_report(host())
    with pytest.raises(ConfigError, match="give the other"):
        barrier_report(calculator=EMT(), initial=host())
    with pytest.raises(DataError, match="at least three"):
        barrier_report(images=band()[:2])
    with pytest.raises(DataError, match="same atoms"):
        barrier_report(images=[*band()[:2], host()])
    with pytest.raises(ConfigError, match="`mechanism`"):
        barrier_report(host(), EMT(), mechanism="exchange")
    with pytest.raises(ConfigError, match="for a vacancy"):
        barrier_report(host(), EMT(), mechanism="vacancy")
    with pytest.raises(ConfigError, match="`sites`: expected Li"):
        barrier_report(host(), EMT(), sites=corner())
    with pytest.raises(ConfigError, match="`min_distance`"):
        barrier_report(host(), EMT(), min_distance=5.0)
    with pytest.raises(ConfigError, match="`ion`"):
        barrier_report(host(), EMT(), ion="Lithium")
