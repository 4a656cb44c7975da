"""The loss by hand, its linear part beyond thresholds, and weights of structures."""

import dataclasses

import numpy as np
import pytest
import torch

from mhdnn.data.convert import convert
from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from mhdnn.deploy.export import read_checkpoint
from mhdnn.errors import ConfigError, DataError
from mhdnn.finite import first_not_finite
from mhdnn.prediction import Prediction, predict
from mhdnn.training.initialization import fit_reference_energies
from mhdnn.training.loss import Loss, MeanWeight, Ramp, Thresholds, build_loss, huber, weighted_mean
from mhdnn.training.ridge import ElementBasis, weighted_equations
from tests.builders import batch_of, labelled_batch, random_potential, structures
from tests.unit.test_training_guards import run, write_store

ELEMENTS = [6, 14, 50]


def test_loss_by_hand():
    batch = labelled_batch()
    sizes = batch.geometry.num_atoms_per_structure.double()
    prediction = Prediction(2 * sizes, torch.full_like(batch.labels.forces, 3.0), sizes[:, None].expand(2, 6), sizes)
    loss = Loss(Ramp(1.0, 100.0), force_weight=10.0, stress_weight=0.5)
    # energy error 2 eV/atom, force error 3 eV/Å, virial error 1 eV/atom
    assert loss(prediction, batch, progress=0.0).item() == pytest.approx(1 * 4 + 10 * 9 + 0.5)
    assert loss(prediction, batch, progress=0.5).item() == pytest.approx(10 * 4 + 10 * 9 + 0.5)
    assert loss(prediction, batch).item() == pytest.approx(100 * 4 + 10 * 9 + 0.5)


def test_missing_labels_leave_no_trace():
    values = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    mean = weighted_mean(values, torch.tensor([0.0, torch.nan, 0.0]), torch.ones(3))
    mean.backward()
    assert mean.item() == pytest.approx(5.0)
    assert values.grad.tolist() == [1.0, 0.0, 3.0]
    assert weighted_mean(values, torch.full((3,), torch.nan), torch.ones(3)).item() == 0.0


def test_a_prediction_that_is_no_number_is_not_perfect():
    values = torch.tensor([1.0, torch.nan])
    assert torch.isnan(weighted_mean(values, torch.zeros(2), torch.ones(2)))
    assert weighted_mean(values, torch.tensor([0.0, torch.nan]), torch.ones(2)).isnan()
    batch = labelled_batch()
    sizes = batch.geometry.num_atoms_per_structure.double()
    loss = Loss(Ramp(1.0, 100.0), force_weight=10.0, stress_weight=0.5)
    for name, shape in (("energy", (2,)), ("forces", batch.labels.forces.shape), ("virial", (2, 6))):
        prediction = Prediction(0 * sizes, 0 * batch.labels.forces, sizes[:, None].expand(2, 6), 0 * sizes)
        prediction = prediction._replace(**{name: torch.full(shape, torch.nan, dtype=torch.float64)})
        assert torch.isnan(loss(prediction, batch)), name
        assert first_not_finite(prediction._asdict(), batch.geometry) == (0, name)


def test_linear_beyond_the_threshold_by_hand():
    squares = torch.tensor([0.0, 0.25, 4.0, 9.0])
    # threshold 2: x² up to it, 2·2·3 - 4 = 8 at 3
    assert huber(squares, 2.0).tolist() == pytest.approx([0.0, 0.25, 4.0, 8.0])


def test_thresholds_of_the_loss_by_hand():
    batch = labelled_batch()
    sizes = batch.geometry.num_atoms_per_structure.double()
    volume = batch.geometry.volume
    # energy error 2 eV/atom, force error (3, 3, 3) eV/Å, stress error of 0.2 eV/Å³ in two components
    stress = torch.tensor([[0.2, 0, 0, 0.2, 0, 0]], dtype=torch.float64).expand(2, 6)
    prediction = Prediction(2 * sizes, torch.full_like(batch.labels.forces, 3.0), stress * volume[:, None], sizes)
    settings = {
        "energy_weight": {"start": 1.0, "end": 100.0}, "force_weight": 10.0, "stress_weight": 0.5,
        "thresholds": {"energy": 0.5, "force": 1.0, "stress": 0.1 * 160.2176634},
    }  # fmt: skip
    energy, force = 2 * 0.5 * 2 - 0.5**2, (2 * 27**0.5 - 1) / 3
    virial = (2 * 0.1 * 0.08**0.5 - 0.1**2) / 6 * ((volume / sizes) ** 2).mean().item()
    expected = 100 * energy + 10 * force + 0.5 * virial
    assert build_loss(settings)(prediction, batch).item() == pytest.approx(expected, rel=1e-9)
    squares = build_loss(settings | {"thresholds": None})(prediction, batch).item()
    assert squares == pytest.approx(100 * 4 + 10 * 9 + 0.5 * 0.08 / 6 * ((volume / sizes) ** 2).mean().item())


def test_gradient_is_continuous_at_the_threshold():
    def slope(x):
        value = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        huber(value**2, 0.7).backward()
        return value.grad.item()

    assert slope(0.7) == pytest.approx(1.4)
    assert slope(0.7 - 1e-9) == pytest.approx(slope(0.7 + 1e-9), abs=1e-8)
    assert slope(0.7 + 1.0) == pytest.approx(1.4)
    assert slope(0.0) == 0.0
    x = torch.tensor([-2.0, -0.3, 0.0, 0.5, 1.1], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: huber(x**2, 0.7), x)


def test_a_structure_without_volume_has_no_stress_to_learn():
    """Its threshold of the virial is zero, at which a root would have no derivative."""
    batch = batch_of(structures()["molecule"])
    energy, forces = batch.labels.energy.nan_to_num(), batch.labels.forces.nan_to_num()
    batch, virial = batch.with_labels(energy=energy, forces=forces), batch.labels.stress.nan_to_num().requires_grad_()
    loss = Loss(Ramp(1.0, 1.0), 1.0, 1.0, thresholds=Thresholds(1.0, 1.0, 1.0))
    loss(Prediction(energy, forces + 1.0, virial, energy), batch).backward()
    assert virial.grad.abs().max() == 0.0


@pytest.mark.parametrize("thresholds", [None, Thresholds(1e-3, 1e-2, 1e-4)])
def test_weight_two_is_the_structure_twice(thresholds):
    other = random_potential(ELEMENTS, seed=1)
    once, twice = (labelled_batch(repeats=repeats) for repeats in (1, 2))
    sizes = once.geometry.num_atoms_per_structure.double()
    once.labels.weight[0] = 2.0
    mean = MeanWeight(1.5, float((once.labels.weight * sizes).sum() / sizes.sum()))
    weighted = Loss(Ramp(3.0, 3.0), 1.0, 0.5, thresholds=thresholds, mean_weight=mean)
    plain = dataclasses.replace(weighted, mean_weight=MeanWeight())
    expected = plain(predict(other, twice.geometry), twice)
    assert weighted(predict(other, once.geometry), once).item() == pytest.approx(expected.item(), rel=1e-12)
    assert plain(predict(other, once.geometry), once).item() != pytest.approx(expected.item(), rel=1e-3)


def test_fits_before_training_have_the_weights():
    potential = random_potential(ELEMENTS)
    batch = labelled_batch(potential)
    basis = ElementBasis(potential.short_range.network)
    plain, _ = weighted_equations(potential, basis, batch, 3.0, 5.0, 7.0)
    batch.labels.weight[:] = 4.0
    rows, _ = weighted_equations(potential, basis, batch, 3.0, 5.0, 7.0)
    assert torch.allclose(rows, 2.0 * plain, rtol=1e-12, atol=0)
    counts, energies = np.array([[1, 2], [2, 1], [1, 1]]), np.array([1.0, 2.0, 3.0])
    twice = fit_reference_energies(counts[[0, 1, 2, 2]], energies[[0, 1, 2, 2]])
    np.testing.assert_allclose(fit_reference_energies(counts, energies, np.array([1.0, 1.0, 2.0])), twice, rtol=1e-10)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("data") / "small.h5")


def weighted_store(store, path, weights):
    """The store with these weights; a structure of weight None is not in it."""
    reader = StoreReader(store)
    with StoreWriter(path, {}) as writer:
        for number, structure in enumerate(reader):
            weight = weights.get(number, 1.0)
            if weight is not None:
                writer.append(dataclasses.replace(structure, weight=weight), split=reader.split[number])
    return path


def trained_weights(store, folder, *overrides):
    run(store, folder, "trainer.max_epochs=2", *overrides)
    return read_checkpoint(folder / "checkpoints/last.ckpt")["state_dict"]


def test_weight_zero_is_the_structure_left_out(store, tmp_path):
    """To the same bits, whether the weight stands in the store or among the settings."""
    zero = {1: 0.0, 3: 0.0}
    without = trained_weights(weighted_store(store, tmp_path / "fewer.h5", dict.fromkeys(zero)), tmp_path / "a")
    stored = trained_weights(weighted_store(store, tmp_path / "zero.h5", zero), tmp_path / "b")
    named = trained_weights(store, tmp_path / "c", "data.weights={tiny/1: 0, tiny/3: 0}")
    for name, value in without.items():
        assert torch.equal(value, stored[name]), name
        assert torch.equal(value, named[name]), name


def test_weights_of_groups_that_are_not_there(store, tmp_path):
    with pytest.raises(ConfigError, match=r"`data.weights.tinny`: no such group or family; did you mean tiny"):
        run(store, tmp_path, "data.weights={tinny: 2.0}")
    with pytest.raises(ConfigError, match=r"`data.weights.tiny`: expected .* at least 0"):
        run(store, tmp_path, "data.weights={tiny: -1.0}")
    with pytest.raises(DataError, match="all training structures have the weight 0"):
        run(store, tmp_path, "data.weights={tiny: 0}")


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_weights_that_are_none(weight, store, tmp_path):
    with pytest.raises(DataError, match="`weight` must be a finite number, at least 0"):
        weighted_store(store, tmp_path / "wrong.h5", {2: weight})


def test_weights_of_sources(store, tmp_path):
    """From the info of an extended XYZ file, by either name, into the dataset and out of it again."""
    atoms = structures()["tiny"]
    lines = []
    for number, info in enumerate(("weight=2.5", "config_weight=0.5", "")):
        atoms.rattle(0.02, seed=number)
        rows = "\n".join(f"{a.symbol} {a.x} {a.y} {a.z}" for a in atoms)
        cell = " ".join(str(x) for x in atoms.cell[:].ravel())
        header = f'Lattice="{cell}" Properties=species:S:1:pos:R:3 energy={number} {info} pbc="T T T"'
        lines += [str(len(atoms)), header, rows]
    path = tmp_path / "source.xyz"
    path.write_text("\n".join(lines) + "\n")
    report = convert([path], tmp_path / "data.h5")
    assert "weights of 2" in report.source_lines[0]
    reader = StoreReader(tmp_path / "data.h5")
    assert [structure.weight for structure in reader] == [2.5, 0.5, None]
    assert reader.weights().tolist() == [2.5, 0.5, 1.0]
    path.write_text("\n".join(lines).replace("weight=2.5", "weight=heavy", 1) + "\n")
    with pytest.raises(DataError, match="`weight` must be a number"):
        convert([path], tmp_path / "again.h5")
