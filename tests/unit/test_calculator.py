"""The ASE calculator: the potential's own numbers, derivatives as ASE sees them, neighbour lists, errors."""

import pickle
import shutil

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress

from mhdnn import MHDNNCalculator
from mhdnn.deploy.guard import ExtrapolationWarning
from mhdnn.deploy.model_file import METADATA_FILE, load_model, metadata_of, save_model
from mhdnn.errors import ConfigError, ModelError, NotFiniteError
from mhdnn.prediction import predict
from mhdnn.training.domain import fit_domain
from tests.builders import (
    batch_of,
    charge_settings,
    geometry_of,
    model_settings,
    random_charge_potential,
    random_potential,
    structures,
)
from tests.tolerances import FINITE_DIFFERENCE, ROUND_OFF

ELEMENTS = [6, 14, 50]


@pytest.fixture(scope="module")
def potential():
    return random_potential(ELEMENTS)


@pytest.fixture(scope="module")
def model_path(potential, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.pt"
    save_model(potential, path, metadata_of(potential, model_settings(ELEMENTS), {"data": "none"}))
    return path


@pytest.mark.parametrize("name", list(structures()))
def test_same_numbers_as_the_potential(name, potential, model_path):
    atoms = structures()[name]
    expected = predict(potential, geometry_of(atoms))
    atoms.calc = MHDNNCalculator(model_path)
    assert atoms.get_potential_energy() == pytest.approx(expected.energy.item(), abs=ROUND_OFF)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    np.testing.assert_allclose(atoms.get_potential_energies(), expected.atomic_energies, atol=ROUND_OFF)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=ROUND_OFF)
    if atoms.cell.rank == 3:
        np.testing.assert_allclose(atoms.get_stress(), expected.virial[0] / atoms.get_volume(), atol=ROUND_OFF)
    else:
        with pytest.raises(PropertyNotImplementedError):
            atoms.get_stress()


def test_derivatives_through_ase(model_path):
    atoms = structures()["triclinic"]
    atoms.calc = MHDNNCalculator(model_path)
    forces, stress = atoms.get_forces(), atoms.get_stress()
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(forces, numerical, atol=FINITE_DIFFERENCE * np.abs(numerical).max())
    numerical = calculate_numerical_stress(atoms, eps=1e-4)
    np.testing.assert_allclose(stress, numerical, atol=FINITE_DIFFERENCE * np.abs(numerical).max())


def test_skin_saves_searches_and_changes_nothing(model_path):
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=1)
    lazy, eager = MHDNNCalculator(model_path, skin=1.0), MHDNNCalculator(model_path, skin=0.0)
    rng = np.random.default_rng(0)
    for _ in range(12):
        atoms.positions += rng.normal(0, 0.03, atoms.positions.shape)
        other = atoms.copy()
        atoms.calc, other.calc = lazy, eager
        assert atoms.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=ROUND_OFF)
        np.testing.assert_allclose(atoms.get_forces(), other.get_forces(), atol=ROUND_OFF)
    assert lazy.num_neighbor_searches < 6
    assert eager.num_neighbor_searches == 12


@pytest.mark.parametrize("change", ["cell", "pbc", "atoms"])
def test_list_is_searched_again_when_it_must(change, model_path):
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=1)
    calculator = MHDNNCalculator(model_path, skin=1.0)
    atoms.calc = calculator
    atoms.get_potential_energy()
    if change == "cell":
        atoms.set_cell(atoms.cell[:] * 1.01)
    elif change == "pbc":
        atoms.pbc = (True, True, False)
    else:
        del atoms[0]
    fresh = atoms.copy()
    fresh.calc = MHDNNCalculator(model_path)
    assert atoms.get_potential_energy() == pytest.approx(fresh.get_potential_energy(), abs=ROUND_OFF)
    assert calculator.num_neighbor_searches == 2


def test_unknown_element_is_named(model_path):
    atoms = Atoms("SiAu", positions=[[0, 0, 0], [2.3, 0, 0]], calculator=MHDNNCalculator(model_path))
    with pytest.raises(ModelError, match=r"does not know Au; it was trained for C, Si, Sn"):
        atoms.get_potential_energy()


@pytest.fixture(scope="module")
def narrow_model(tmp_path_factory):
    """A model that was trained on one crystal."""
    path, potential, atoms = tmp_path_factory.mktemp("model") / "narrow.pt", random_potential(ELEMENTS), bulk("Si")
    fit_domain(potential, [batch_of(atoms)])
    save_model(potential, path, metadata_of(potential, model_settings(ELEMENTS), {}))
    return path


def compress(atoms: Atoms, num_steps: int) -> None:
    for _ in range(num_steps):
        atoms.set_cell(atoms.cell[:] * 0.99, scale_atoms=True)
        atoms.get_potential_energy()


def test_extrapolation_is_warned_of(narrow_model):
    atoms = bulk("Si", cubic=True)
    atoms.calc = calculator = MHDNNCalculator(narrow_model)
    atoms.get_potential_energy()
    assert not calculator.outside_training.any()
    with pytest.warns(ExtrapolationWarning, match="atoms .*are outside the range of the training data") as caught:
        compress(atoms, num_steps=12)
    assert calculator.num_extrapolations == 12
    assert calculator.outside_training.all()
    assert len(caught) == 2  # the first and the tenth
    assert "8 of 8 atoms (Si8, the first is number 0)" in str(caught[0].message)


def test_extrapolation_stops_or_is_not_looked_for(narrow_model):
    atoms = bulk("Si", a=5.0)
    atoms.calc = MHDNNCalculator(narrow_model, extrapolation="stop")
    with pytest.raises(ModelError, match="2 of 2 atoms"):
        atoms.get_potential_energy()
    atoms.calc = MHDNNCalculator(narrow_model, extrapolation="off")
    atoms.get_potential_energy()
    assert atoms.calc.num_extrapolations == 0
    with pytest.raises(ConfigError, match="expected one of warn, off, stop, got 'on'"):
        MHDNNCalculator(narrow_model, extrapolation="on")


@pytest.mark.parametrize("choice", ["off", "warn", "stop"])
@pytest.mark.parametrize("kind", ["positions", "cell", "total charge"])
def test_what_is_no_number_always_stops(narrow_model, choice, kind):
    atoms = bulk("Si", cubic=True)
    atoms.calc = MHDNNCalculator(narrow_model, extrapolation=choice)
    atoms.get_potential_energy()
    if kind == "positions":
        atoms.positions[3, 1] = np.nan
    elif kind == "cell":
        atoms.cell[2, 0] = np.inf
    else:
        atoms.info["total_charge"] = np.nan
    with pytest.raises(
        NotFiniteError, match=r"position of atom 3 is NaN|cell vector 2 is NaN|`total_charge`: expected"
    ):
        atoms.get_potential_energy()


def test_reason_of_the_first_atom(narrow_model):
    """What the first atom has that no atom of the training set had."""
    near = Atoms("CSi2", positions=[[0, 0, 30], [0, 0, 0], [0.5, 0, 0]])
    near.calc = MHDNNCalculator(narrow_model, extrapolation="stop")
    with pytest.raises(ModelError, match=r"3 of 3 atoms \(CSi2.* \(C: no C in the training data\); train on such"):
        near.get_potential_energy()
    del near[0]
    with pytest.raises(ModelError, match=r"\(Si: Si-Si at 0\.5000 Å, of the training data at least 2\.351 Å\)"):
        near.get_potential_energy()
    assert near.calc.outside_training.tolist() == [True, True]
    wide = bulk("Si", a=5.6)
    wide.calc = near.calc
    with pytest.raises(ModelError, match=r"\(Si: neighbours \(smooth count\) .*|\(Si: `.*`.*, of the training data"):
        wide.get_potential_energy()


def rattle(atoms: Atoms, num_steps: int) -> None:
    for seed in range(num_steps):
        atoms.rattle(0.01, seed=seed)
        atoms.get_potential_energy()


def test_total_charge_outside_is_told_once(tmp_path):
    potential, atoms = random_charge_potential(ELEMENTS), structures()["molecule"]
    fit_domain(potential, [batch_of(atoms, atoms, total_charge=[0.0, 1.0])])
    save_model(potential, tmp_path / "model.pt", metadata_of(potential, charge_settings(ELEMENTS), {}))
    for total_charge in (-3.0, 2.0, 8.0):
        atoms.calc = MHDNNCalculator(tmp_path / "model.pt", total_charge=total_charge, extrapolation="stop")
        with pytest.raises(ModelError, match=r"total charge .* e, of the training data 0\.000 to 1\.000 e"):
            atoms.get_potential_energy()
    atoms.calc = MHDNNCalculator(tmp_path / "model.pt", total_charge=8.0)
    with pytest.warns(ExtrapolationWarning) as caught:
        rattle(atoms, num_steps=3)
    assert sum("`total_charge`" in str(warning.message) for warning in caught) == 1


def test_metadata_travels(model_path):
    _, metadata = load_model(model_path)
    assert metadata["elements"] == ["C", "Si", "Sn"]
    assert metadata["cutoff"] == 4.5
    assert metadata["dtype"] == "float64"
    assert metadata["training"] == {"data": "none"}
    domain = metadata["training_domain"]
    assert not domain["complete"]
    assert len(metadata["functions"]) == len(domain["function_minimum"]["Si"])


@pytest.fixture(scope="module")
def charged_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "charges.pt"
    save_model(
        random_charge_potential(ELEMENTS),
        path,
        metadata_of(random_charge_potential(ELEMENTS), charge_settings(ELEMENTS), {}),
    )
    return path


def energy_of(path, atoms, **options):
    atoms = atoms.copy()
    atoms.calc = MHDNNCalculator(path, extrapolation="off", **options)
    return atoms.get_potential_energy()


@pytest.mark.parametrize("how", ["set", "attribute", "info", "info taken away"])
def test_another_total_charge_is_another_energy(charged_path, how):
    atoms = structures()["molecule"]
    neutral, ion = (energy_of(charged_path, atoms, total_charge=charge) for charge in (0.0, 1.0))
    atoms.calc = calculator = MHDNNCalculator(charged_path, extrapolation="off")
    if how == "info taken away":
        atoms.info["total_charge"] = -1.0
        calculator.total_charge = 1.0
    first = atoms.get_potential_energy()
    if how == "set":
        assert calculator.set(total_charge=1.0) == {"total_charge": 1.0}
        assert calculator.get_property("energy") == ion  # of the atoms that it has
    elif how == "attribute":
        calculator.total_charge = 1.0
    elif how == "info":
        atoms.info["total_charge"] = 1.0
    else:
        del atoms.info["total_charge"]
    assert first == neutral or how == "info taken away"
    assert atoms.get_potential_energy() == ion != first


@pytest.mark.parametrize("value", ["x", None, [1.0, 2.0]])
def test_total_charges_that_are_none(charged_path, value):
    with pytest.raises(ConfigError, match="`total_charge`: expected a number in e, got"):
        MHDNNCalculator(charged_path, total_charge=value)
    atoms = structures()["molecule"]
    atoms.calc = MHDNNCalculator(charged_path, extrapolation="off")
    atoms.info["total_charge"] = value
    for _ in range(2):
        with pytest.raises(ConfigError, match="`total_charge`: expected a number in e, got"):
            atoms.get_potential_energy()


def test_what_an_open_model_can_be_set(model_path, charged_path):
    with pytest.raises(ConfigError, match="`total_charge`: the model has no charges, .* got 3"):
        MHDNNCalculator(model_path, total_charge=3)
    with pytest.raises(ConfigError, match="`total_charge`: the model has no charges"):
        MHDNNCalculator(model_path).set(total_charge=3)
    with pytest.raises(ConfigError, match="`solver`: expected one of auto, dense, iterative, got 'nonsense'"):
        MHDNNCalculator(model_path, solver="nonsense")
    for name in ("nonsense", "skin"):
        with pytest.raises(ConfigError, match=f"`{name}`: an open model can be set another total_charge only"):
            MHDNNCalculator(charged_path).set(**{name: 3, "total_charge": 1.0})


def test_nothing_is_left_of_a_failure(charged_path):
    """Neither results nor charges of the atoms before, however the calculation is asked for."""
    good, bad = structures()["molecule"], structures()["molecule"]
    bad.positions[1] = bad.positions[0]
    calculator = MHDNNCalculator(charged_path, extrapolation="off")
    calculator.calculate(good, ["energy"])
    energy = calculator.results["energy"]
    for wrong in (bad, Atoms("Au")):
        with pytest.raises((NotFiniteError, ModelError)):
            calculator.calculate(wrong, ["energy"])
        assert calculator.results == {}
        with pytest.raises((NotFiniteError, ModelError)):
            calculator.get_property("energy", wrong)
        with pytest.raises(ModelError, match="nothing has been calculated"):
            calculator.electrostatic_potential([[0.0, 0.0, 9.0]])
    assert calculator.get_property("energy", good) == energy


def test_without_atoms(model_path):
    with pytest.raises(ConfigError, match="`atoms`: expected atoms, got None; attach"):
        MHDNNCalculator(model_path).get_potential_energy()


def test_elements_and_points_that_there_are_not(charged_path):
    atoms = structures()["molecule"]
    atoms.calc = calculator = MHDNNCalculator(charged_path, extrapolation="off")
    atoms.get_potential_energy()
    for numbers, name in (([6, 92], "U"), ([-1], "-1")):
        with pytest.raises(ModelError, match=f"`atomic_numbers`: the model does not know {name}; it was trained for C"):
            calculator.charge_widths(numbers)
    for points in ([0.0, 0.0, 8.0], [[0.0, 0.0]], np.zeros((1, 1, 3))):
        with pytest.raises(ConfigError, match=r"`points`: expected the shape \(num_points, 3\), got"):
            calculator.electrostatic_potential(points)
    with pytest.raises(NotFiniteError, match=r"`points`: .* as point 1"):
        calculator.electrostatic_potential([[0.0, 0.0, 8.0], [0.0, 0.0, np.nan]])


def test_a_pickle_opens_the_same_file_again(charged_path, tmp_path):
    path = tmp_path / "model.pt"
    shutil.copy(charged_path, path)
    atoms = structures()["molecule"]
    atoms.calc = MHDNNCalculator(path, skin=0.3, total_charge=1.0, solver="dense", extrapolation="off")
    energy = atoms.get_potential_energy()
    again = pickle.loads(pickle.dumps(atoms))
    assert again.calc.results["energy"] == energy
    again.calc.reset()
    assert again.get_potential_energy() == energy
    assert (again.calc.skin, again.calc.solver, again.calc.guard.choice) == (0.3, "dense", "off")
    assert again.calc.description() == atoms.calc.description()
    pickled = pickle.dumps(atoms.calc)
    save_model(random_potential(ELEMENTS), path, metadata_of(random_potential(ELEMENTS), model_settings(ELEMENTS), {}))
    with pytest.raises(ModelError, match="another file has taken the place of the one that was pickled"):
        pickle.loads(pickled)


def test_no_nan_comes_out(model_path):
    atoms = structures()["triclinic"]
    atoms.positions[1] = atoms.positions[0]
    atoms.calc = MHDNNCalculator(model_path, extrapolation="off")
    with pytest.raises(NotFiniteError, match=r"of C4Si4 is NaN or infinite; look for atoms at the same place"):
        atoms.get_forces()


def test_not_a_model_file(tmp_path, model_path):
    with pytest.raises(ModelError, match="no such model file"):
        MHDNNCalculator(tmp_path / "missing.pt")
    broken = tmp_path / "broken.pt"
    broken.write_bytes(model_path.read_bytes()[:1000])
    with pytest.raises(ModelError, match="not a model file"):
        MHDNNCalculator(broken)
    with pytest.raises(ConfigError, match="`device`: expected cpu or cuda, got 'gpu'"):
        MHDNNCalculator(model_path, device="gpu")
    with pytest.raises(ConfigError, match="skin"):
        MHDNNCalculator(model_path, skin=-1.0)
    with pytest.raises(ConfigError, match="skin"):
        MHDNNCalculator(model_path, skin="wide")
    with pytest.raises(ConfigError, match="`cutof, total_charg`: no keyword of MHDNNCalculator; expected model"):
        MHDNNCalculator(model_path, cutof=3.0, total_charg=1.0)
    assert METADATA_FILE == "metadata.json"  # C++ programs read it under this name
