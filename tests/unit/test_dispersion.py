"""The correction beside a model: derivatives, what is added when, what is refused. Its values: tests/lammps."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError

from mhdnn import MHDNNCalculator
from mhdnn.data.ase_bridge import structure_from_atoms
from mhdnn.data.store import StoreWriter
from mhdnn.deploy.model_file import metadata_of, save_model
from mhdnn.dispersion import DAMPINGS, DispersionCorrection
from mhdnn.errors import ConfigError, ModelError
from mhdnn.evaluation.command import evaluate
from tests.builders import model_settings, random_potential, structures
from tests.differences import assert_close, numerical_forces, numerical_virial
from tests.tolerances import ROUND_OFF

ELEMENTS = [6, 14, 50]
CORRECTION = DispersionCorrection("bj", "pbe")


def benzene() -> Atoms:
    """In a cell so wide that no image is within the cutoff: its edge would be seen by differences."""
    atoms = molecule("C6H6")
    atoms.rotate(30, "x")
    atoms.rotate(40, "y")
    atoms.set_cell([[70, 0, 0], [5, 70, 0], [3, -8, 70]])
    atoms.pbc = True
    return atoms


@pytest.mark.parametrize("damping", DAMPINGS)
def test_derivatives(damping):
    pytest.importorskip("dftd3")
    correction, atoms = DispersionCorrection(damping, "pbe"), benzene()

    def energy(moved: Atoms) -> float:
        return 100.0 * correction.labels(moved).energy  # of a size that `assert_close` compares

    labels = correction.labels(atoms)
    assert_close(100.0 * labels.forces[:3], numerical_forces(energy, atoms, [0, 1, 2]))
    assert_close(100.0 * labels.stress * atoms.get_volume(), numerical_virial(energy, atoms))
    assert correction.atomic_energies(atoms).sum() == pytest.approx(labels.energy, rel=ROUND_OFF)


def test_molecule_has_no_stress():
    pytest.importorskip("dftd3")
    atoms = molecule("C6H6")
    labels = CORRECTION.labels(atoms)
    assert labels.stress is None
    assert labels.energy == pytest.approx(CORRECTION.labels(benzene()).energy, rel=1e-9)


@pytest.mark.parametrize("text", ["", "pbe", "d4 bj pbe", "d3 pbe", "d3 bj pbe atm"])
def test_names(text):
    assert str(DispersionCorrection.parse("D3 BJ PBE")) == "d3 bj pbe"
    with pytest.raises(ConfigError, match="expected `d3 DAMPING FUNCTIONAL`"):
        DispersionCorrection.parse(text)


def test_unknown_functional():
    pytest.importorskip("dftd3")
    with pytest.raises(ConfigError, match="no parameters for d3 bj nonsense"):
        DispersionCorrection("bj", "nonsense").labels(benzene())


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The same potential trained with dispersion (""), without, and without one that is not D3."""
    folder, potential = tmp_path_factory.mktemp("models"), random_potential(ELEMENTS)
    for number, left_out in enumerate(["", "d3 bj pbe", "d4 pbe"]):
        settings = {**model_settings(ELEMENTS), "dispersion_left_out": left_out}
        training = {"attributes": {"dispersion": left_out or "d3 bj pbe"}}
        save_model(potential, folder / f"{number}.pt", metadata_of(potential, settings, training))
    return [folder / f"{number}.pt" for number in range(3)]


@pytest.mark.parametrize("name", ["triclinic", "molecule"])
def test_calculator_adds_what_the_model_leaves_out(name, models):
    pytest.importorskip("dftd3")
    atoms = structures()[name]
    part = CORRECTION.labels(atoms)
    found = []
    for model, options in ((models[1], {}), (models[1], {"dispersion": "none"}), (models[0], {})):
        atoms.calc = MHDNNCalculator(model, **options)
        stress = atoms.get_stress() if part.stress is not None else np.zeros(6)
        found.append((atoms.get_potential_energy(), atoms.get_forces(), stress))
        assert atoms.get_potential_energies().sum() == pytest.approx(found[-1][0], rel=ROUND_OFF)
        assert atoms.get_potential_energy(force_consistent=True) == found[-1][0]
    (energy, forces, stress), alone, with_it = found
    assert energy == pytest.approx(alone[0] + part.energy, rel=ROUND_OFF)
    np.testing.assert_allclose(forces, alone[1] + part.forces, atol=ROUND_OFF)
    if part.stress is not None:
        np.testing.assert_allclose(stress, alone[2] + part.stress, atol=ROUND_OFF)
    assert alone[0] == with_it[0]


def test_no_shares_of_the_stress_with_dispersion(models):
    atoms = structures()["triclinic"]
    atoms.calc = MHDNNCalculator(models[1])
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stresses()


def test_refused(models):
    with pytest.raises(ConfigError, match="trained on labels with d3 bj pbe"):
        MHDNNCalculator(models[0], dispersion="d3 bj pbe")
    with pytest.raises(ModelError, match="'d4 pbe', which can't be added here"):
        MHDNNCalculator(models[2])
    assert MHDNNCalculator(models[2], dispersion="none").dispersion is None


def test_evaluation_compares_like_with_like(models, tmp_path):
    """A dataset of the model's own numbers has no errors, whether the model holds the correction or not."""
    pytest.importorskip("dftd3")
    atoms = structures()["triclinic"]
    for model in models[:2]:
        atoms.calc = MHDNNCalculator(model)
        atoms.get_potential_energy()  # its results become the labels
        data = tmp_path / f"{model.stem}.h5"
        with StoreWriter(data, {"dispersion": "d3 bj pbe"}) as writer:
            writer.append(structure_from_atoms(atoms), CORRECTION.labels(atoms))
        errors = evaluate(model, data)
        assert errors["energy_mae_mev_per_atom"] < 1e-6
        assert errors["force_mae_ev_per_angstrom"] < ROUND_OFF
