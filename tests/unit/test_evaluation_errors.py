"""Errors of predictions against numbers worked out by hand."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from mhdnn.errors import DataError, NotFiniteError
from mhdnn.evaluation.command import _chosen
from mhdnn.evaluation.errors import (
    CHARGE,
    ENERGY,
    FORCE,
    STRESS,
    compute_errors,
    errors_by_element,
    errors_by_family,
    structure_errors,
    worst_structures,
    write_errors,
)
from mhdnn.evaluation.predictions import Predictions

ALL_KEYS = {
    "num_structures", "num_atoms", "energy_mae_mev_per_atom", "energy_rmse_mev_per_atom",
    "force_mae_ev_per_angstrom", "force_rmse_ev_per_angstrom", "stress_mae_gpa", "stress_rmse_gpa",
    "charge_mae_e", "charge_rmse_e",
}  # fmt: skip


def make_predictions(**changes: object) -> Predictions:
    """Two structures: one carbon atom; one carbon and one tin atom.

    Energy errors +10 and -20 meV/atom; force errors 0.3 on one component of the first atom and 0.6 on
    one of the last, of nine; stress error 0.001 eV/Å³ on one of twelve; charge errors 0.1, 0, -0.2 e.
    """
    forces_error = np.array([[0.3, 0, 0], [0, 0, 0], [0, -0.6, 0]])
    stress_error = np.zeros((2, 6))
    stress_error[1, 4] = 0.001
    forces, stress = np.arange(9.0).reshape(3, 3), np.full((2, 6), 0.02)
    arguments: dict[str, object] = {
        "num_atoms": np.array([1, 2]),
        "groups": ["isolated", "slab/7"],
        "atomic_numbers": np.array([6, 6, 50]),
        "energy_reference": np.array([-9.0, -12.0]),
        "energy_predicted": np.array([-8.99, -12.04]),
        "forces_reference": forces,
        "forces_predicted": forces + forces_error,
        "stress_reference": stress,
        "stress_predicted": stress + stress_error,
        "charges_reference": np.array([0.0, 0.5, -0.5]),
        "charges_predicted": np.array([0.1, 0.5, -0.7]),
    }
    return Predictions(**(arguments | changes))  # type: ignore[arg-type]


def test_errors_by_hand() -> None:
    errors = compute_errors(make_predictions())
    assert set(errors) == ALL_KEYS
    assert errors["num_structures"] == 2
    assert errors["num_atoms"] == 3
    assert errors["energy_mae_mev_per_atom"] == pytest.approx((10 + 20) / 2)
    assert errors["energy_rmse_mev_per_atom"] == pytest.approx(math.sqrt((100 + 400) / 2))
    assert errors["force_mae_ev_per_angstrom"] == pytest.approx(0.9 / 9)
    assert errors["force_rmse_ev_per_angstrom"] == pytest.approx(math.sqrt((0.09 + 0.36) / 9))
    assert errors["stress_mae_gpa"] == pytest.approx(0.16021766208 / 12)
    assert errors["stress_rmse_gpa"] == pytest.approx(0.16021766208 / math.sqrt(12))
    assert errors["charge_mae_e"] == pytest.approx(0.1)
    assert errors["charge_rmse_e"] == pytest.approx(math.sqrt(0.05 / 3))


def test_values_are_plain_python_numbers() -> None:
    for value in compute_errors(make_predictions()).values():
        assert type(value) in (int, float)


def test_absent_labels_have_no_key() -> None:
    predictions = make_predictions(stress_reference=None, charges_predicted=None)
    missing = {"stress_mae_gpa", "stress_rmse_gpa", "charge_mae_e", "charge_rmse_e"}
    assert set(compute_errors(predictions)) == ALL_KEYS - missing


def test_label_of_nothing_but_nan_has_no_key() -> None:
    predictions = make_predictions(energy_reference=np.full(2, np.nan))
    assert not any(key.startswith("energy") for key in compute_errors(predictions))


def test_rows_without_reference_are_ignored() -> None:
    forces = make_predictions().forces_reference
    assert forces is not None
    forces = forces.copy()
    forces[0] = np.nan
    predictions = make_predictions(energy_reference=np.array([np.nan, -12.0]), forces_reference=forces)
    errors = compute_errors(predictions)
    assert errors["num_structures"] == 2
    assert errors["energy_mae_mev_per_atom"] == pytest.approx(20.0)
    assert errors["force_mae_ev_per_angstrom"] == pytest.approx(0.6 / 6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_prediction_that_is_not_a_number_is_refused(value: float) -> None:
    with pytest.raises(NotFiniteError, match="`energy`: 1 predictions are NaN or infinite"):
        compute_errors(make_predictions(energy_predicted=np.array([value, -12.0])))
    unlabelled = make_predictions(energy_predicted=np.array([value, -12.0]), energy_reference=np.array([np.nan, -12.0]))
    assert compute_errors(unlabelled)["num_structures"] == 2


def test_errors_leave_the_predictions_unchanged() -> None:
    predictions, untouched = make_predictions(), make_predictions()
    compute_errors(predictions)
    worst_structures(predictions, FORCE)
    np.testing.assert_array_equal(predictions.forces_predicted, untouched.forces_predicted)
    np.testing.assert_array_equal(predictions.energy_predicted, untouched.energy_predicted)


def test_errors_by_family() -> None:
    table = errors_by_family(make_predictions())
    assert list(table) == ["isolated", "slab"]
    assert table["isolated"]["energy_mae_mev_per_atom"] == pytest.approx(10.0)
    assert table["slab"]["energy_mae_mev_per_atom"] == pytest.approx(20.0)
    assert table["isolated"]["force_mae_ev_per_angstrom"] == pytest.approx(0.1)
    assert table["slab"]["num_atoms"] == 2


def test_errors_by_element() -> None:
    table = errors_by_element(make_predictions())
    assert list(table) == ["C", "Sn"]
    assert table["C"]["num_atoms"] == 2
    assert table["C"]["force_mae_ev_per_angstrom"] == pytest.approx(0.3 / 6)
    assert table["Sn"]["force_rmse_ev_per_angstrom"] == pytest.approx(math.sqrt(0.36 / 3))
    assert table["Sn"]["charge_mae_e"] == pytest.approx(0.2)


def test_structure_errors() -> None:
    predictions = make_predictions()
    np.testing.assert_allclose(structure_errors(predictions, ENERGY), [10.0, -20.0])
    np.testing.assert_allclose(structure_errors(predictions, FORCE), [math.sqrt(0.03), math.sqrt(0.06)])


def test_worst_structures_come_first_and_carry_their_dataset_index() -> None:
    worst = worst_structures(make_predictions(dataset_index=np.array([41, 17])), ENERGY)
    assert [entry.index for entry in worst] == [17, 41]
    assert worst[0].group == "slab/7"
    assert worst[0].error == pytest.approx(-20.0)
    assert len(worst_structures(make_predictions(), FORCE, count=1)) == 1
    assert worst_structures(make_predictions(forces_reference=None), FORCE) == []


def test_structure_without_reference_is_not_among_the_worst() -> None:
    worst = worst_structures(make_predictions(energy_reference=np.array([np.nan, -12.0])), ENERGY)
    assert [entry.index for entry in worst] == [1]


def test_selection_keeps_atoms_with_their_structure() -> None:
    chosen = make_predictions().select(np.array([False, True]))
    np.testing.assert_array_equal(chosen.atomic_numbers, [6, 50])
    np.testing.assert_array_equal(chosen.dataset_index, [1])
    assert chosen.groups == ["slab/7"]
    assert chosen.stress_reference is not None
    assert chosen.stress_reference.shape == (1, 6)


@pytest.mark.parametrize(("group", "family"), [("a/b/c", "a"), ("a", "a"), ("", "unnamed"), ("/b", "unnamed")])
def test_families(group: str, family: str) -> None:
    assert Predictions(np.array([1]), [group], np.array([6])).families == [family]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(DataError, match=r"`forces_predicted` must have shape \(3, 3\), got \(9,\)"):
        make_predictions(forces_predicted=np.zeros(9))
    with pytest.raises(DataError, match="`groups` must name 2 structures"):
        make_predictions(groups=["one"])


def test_written_errors_are_read_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    errors = compute_errors(make_predictions())
    path = tmp_path / "new" / "errors.json"
    write_errors(path, {"test": errors})
    assert json.loads(path.read_text()) == {"test": errors}
    assert list(path.parent.iterdir()) == [path]


def test_infinite_errors_are_written_as_null(tmp_path) -> None:  # type: ignore[no-untyped-def]
    write_errors(tmp_path / "errors.json", {"energy": math.inf, "force": 1.5})
    assert json.loads((tmp_path / "errors.json").read_text()) == {"energy": None, "force": 1.5}


def test_failed_write_leaves_the_old_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "errors.json"
    write_errors(path, {"a": 1})
    with pytest.raises(TypeError):
        write_errors(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_keys_of_quantities() -> None:
    keys = {q.key(s) for q in (ENERGY, FORCE, STRESS, CHARGE) for s in ("mae", "rmse")}
    assert keys == ALL_KEYS - {"num_structures", "num_atoms"}


def test_a_split_that_there_is_not():
    reader = SimpleNamespace(path="data.h5", split=np.array(["train", "test", "train"]))
    with pytest.raises(DataError, match="data.h5: no structure has split 'foo'; it has test, train$"):
        _chosen(reader, "foo")
