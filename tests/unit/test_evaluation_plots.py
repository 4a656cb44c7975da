"""Figures are drawn from any predictions without a warning (pytest makes warnings errors)."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from mhdnn.errors import DataError
from mhdnn.evaluation.errors import ENERGY, FORCE, QUANTITIES, STRESS, errors_by_family
from mhdnn.evaluation.learning_curves import learning_figure, read_curves
from mhdnn.evaluation.plots import (
    LEGEND_LIMIT,
    SCATTER_LIMIT,
    family_colors,
    family_figure,
    histogram_figure,
    parity_figure,
    plain,
    save_figure,
)
from mhdnn.evaluation.predictions import Predictions

PNG = b"\x89PNG\r\n\x1a\n"


def random_predictions(num_structures: int, families: list[str], atoms: int = 3) -> Predictions:
    random = np.random.default_rng(1)
    num_atoms = np.full(num_structures, atoms)
    total = int(num_atoms.sum())
    energy, forces = random.normal(-9, 1, num_structures) * atoms, random.normal(0, 1, (total, 3))
    stress, charges = random.normal(0, 0.01, (num_structures, 6)), random.normal(0, 0.1, total)
    return Predictions(
        num_atoms,
        [f"{families[s % len(families)]}/{s}" for s in range(num_structures)],
        random.choice([6, 50], total),
        energy, energy + random.normal(0, 0.01, num_structures),
        forces, forces + random.normal(0, 0.1, (total, 3)),
        stress, stress + random.normal(0, 0.001, (num_structures, 6)),
        charges, charges + random.normal(0, 0.01, total),
    )  # fmt: skip


def assert_drawn(figure: Figure | None, folder: Path) -> None:
    assert figure is not None
    assert save_figure(figure, folder / "plots" / "figure.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda q: q.name)
@pytest.mark.parametrize(("structures", "families"), [(1, ["only"]), (5, ["a$b", "_hidden"]), (8, ["", "x"])])
def test_parity(quantity, structures, families, tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert_drawn(parity_figure(random_predictions(structures, families), quantity, "Title"), tmp_path)


def test_one_atom_predicted_exactly(tmp_path: Path) -> None:
    zero, number = np.zeros(1), np.array([1])
    predictions = Predictions(number, ["atom"], np.array([6]), zero, zero, np.zeros((1, 3)), np.zeros((1, 3)))
    for quantity in (ENERGY, FORCE):
        assert_drawn(parity_figure(predictions, quantity), tmp_path)
    assert_drawn(histogram_figure(predictions, QUANTITIES), tmp_path)
    assert_drawn(family_figure(errors_by_family(predictions), QUANTITIES), tmp_path)


def test_many_points_become_a_density(tmp_path: Path) -> None:
    predictions = random_predictions(SCATTER_LIMIT // 9 + 10, ["a", "b"])
    figure = parity_figure(predictions, FORCE)
    assert figure is not None
    assert not figure.legends
    assert_drawn(figure, tmp_path)
    scatter = parity_figure(predictions, ENERGY)
    assert scatter is not None
    assert len(scatter.legends) == 1


def test_many_equal_points(tmp_path: Path) -> None:
    predictions = random_predictions(1, ["a"], atoms=SCATTER_LIMIT)
    predictions.forces_reference = predictions.forces_predicted = np.zeros((SCATTER_LIMIT, 3))
    assert_drawn(parity_figure(predictions, FORCE), tmp_path)


def test_absent_and_missing_labels() -> None:
    predictions = random_predictions(3, ["a"])
    predictions.stress_predicted = None
    predictions.energy_reference = np.full(3, np.nan)
    assert parity_figure(predictions, STRESS) is None
    assert parity_figure(predictions, ENERGY) is None
    assert histogram_figure(predictions, (STRESS, ENERGY)) is None
    assert family_figure(errors_by_family(predictions), (STRESS, ENERGY)) is None


def test_many_families_share_a_colour(tmp_path: Path) -> None:
    families = [f"family {number:02d}" for number in range(40)]
    predictions = random_predictions(80, families)
    figure = parity_figure(predictions, ENERGY, colors=family_colors(predictions.families))
    assert figure is not None
    assert len(figure.legends[0].get_texts()) == LEGEND_LIMIT + 1
    assert_drawn(figure, tmp_path)


def test_largest_family_comes_first() -> None:
    assert list(family_colors(["b", "a", "c", "c"])) == ["c", "a", "b"]


def test_names_are_shown_as_they_are() -> None:
    assert plain("__a$") == r"a\$"
    assert plain("__") == "unnamed"
    assert len(plain("x" * 99)) == 30


def write_metrics(path: Path) -> Path:
    path.write_text(
        "epoch,lr-AdamW,step,train_loss_step,train_loss_epoch,validation_energy_mae_mev_per_atom,"
        "val_force_rmse_ev_per_angstrom,unrelated\n"
        ",0.001,0,,,,,\n"
        "0,,3,4.0,,,,1\n"
        "0,,3,2.0,,,,1\n"
        "0,,3,,3.0,20.0,0.5,\n"
        ",0.0005,4,,,,,\n"
        "1,,7,,1.5,10.0,nan,\n"
        ",0.0001,8,,,,,\n"
    )
    return path


def test_curves_are_read(tmp_path: Path) -> None:
    curves = {curve.panel: curve for curve in read_curves(write_metrics(tmp_path / "metrics.csv"))}
    assert list(curves) == [("loss", ""), ("energy", "meV/atom"), ("force", "eV/Å"), ("learning rate", "")]
    np.testing.assert_allclose(curves["loss", ""].value, [3.0, 1.5])
    np.testing.assert_allclose(curves["energy", "meV/atom"].epoch, [0, 1])
    np.testing.assert_allclose(curves["learning rate", ""].value, [0.001, 0.0005])
    assert curves["force", "eV/Å"].stage == "validation"
    assert curves["force", "eV/Å"].name == "RMSE"
    np.testing.assert_allclose(curves["force", "eV/Å"].value, [0.5])


def test_equal_learning_rates_are_one_curve(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,lr-Adam/pg1,lr-Adam/pg2,lr-Adam/pg3,train_loss\n,0,1,1,2,\n0,1,,,,5.0\n")
    names = [curve.name for curve in read_curves(path)]
    assert names == ["", "lr-Adam/pg1", "lr-Adam/pg3"]


def test_learning_curves_are_drawn(tmp_path: Path) -> None:
    assert_drawn(learning_figure(write_metrics(tmp_path / "metrics.csv"), "Learning"), tmp_path)


def test_curve_without_positive_values(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train_loss,val_loss\n0,1,-1.0,0.0\n1,2,-2.0,0.0\n2,3,-2.0,1.")
    assert_drawn(learning_figure(path), tmp_path)


def test_file_without_curves(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,hp_metric\n0,1,2\n")
    assert learning_figure(path) is None
    path.write_text("time,loss\n0,1\n")
    with pytest.raises(DataError, match="expected a column `epoch`"):
        learning_figure(path)
