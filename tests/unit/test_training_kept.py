"""What a stage keeps of its structures gives the numbers that computing them anew gives."""

from typing import Any

import numpy as np
import pytest
import torch

from mhdnn.data.dataset import StructureDataset, collate
from mhdnn.potential import Potential
from mhdnn.prediction import predict, predict_charges
from mhdnn.structure import Batch, Geometry
from mhdnn.training.kept import LARGEST, KeptStructures, kept_charges, predict_kept
from tests.builders import batch_of, random_charge_potential, random_potential, structure_of, structures

SCREENING = {"inner": 0.5, "outer": 4.0, "function": "cosine"}
REPULSION = {"inner": 0.5, "outer": 0.9}


def charged_batch() -> Batch:
    """Molecule, slabs and crystals with total charges."""
    many = structures()
    del many["wire"]
    return batch_of(*many.values(), total_charge=[0.0, 1.0, 0.0, -0.5, 0.3])


def potential_with_charges(trained: bool, screening: Any) -> Potential:
    potential = random_charge_potential([6, 14, 50], repulsion=REPULSION, screening=screening)
    for name, parameter in potential.named_parameters():
        parameter.requires_grad_(parameter.numel() > 0 and (trained or not name.startswith("charge_model.")))
    return repelling(potential)


def repelling(potential: Potential) -> Potential:
    """With nuclei that repel each other at the distances of the structures."""
    assert potential.repulsion is not None
    potential.repulsion.set_radii(torch.full((3, 3), 3.0, dtype=torch.float64), 0.5, 0.9)
    return potential


def loss_of(prediction: Any) -> torch.Tensor:
    values = (prediction.energy, prediction.forces, prediction.virial)
    return torch.stack([(value**2).mean() for value in values]).sum()


def gradients(potential: Potential, prediction: Any) -> torch.Tensor:
    trained = [parameter for parameter in potential.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(loss_of(prediction), trained, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found])


class Store:
    """Of structures in memory, as much of a data module as is asked for."""

    def __init__(self, sizes: list[int], cache_megabytes: float) -> None:
        rng = np.random.default_rng(0)
        chains = [np.cumsum(rng.uniform(1.3, 1.6, (size, 1)), 0) * [1.0, 0.0, 0.0] for size in sizes]
        many = [structures()["molecule"][[0] * size] for size in sizes]
        for atoms, positions in zip(many, chains, strict=True):
            atoms.positions = positions + 0.1 * rng.normal(size=positions.shape)
        source = [structure_of(atoms, energy=0.0, total_charge=0.0) for atoms in many]
        self.train_reader = type("Reader", (), {"num_atoms": np.array(sizes)})
        self.cache_megabytes = cache_megabytes
        self._dataset = StructureDataset(source, np.arange(len(sizes)), 4.5)

    def dataset(self, part: str) -> StructureDataset:
        assert part == "train"
        return self._dataset

    def geometry(self, *numbers: int) -> Geometry:
        return collate([self._dataset[number] for number in numbers]).geometry


@pytest.mark.parametrize("screening", [None, SCREENING])
@pytest.mark.parametrize("trained", [False, True])
def test_charges(trained: bool, screening: Any) -> None:
    potential, batch = potential_with_charges(trained, screening), charged_batch()
    store = KeptStructures(potential)
    assert store.is_possible
    assert store.charges_stay is not trained
    store._structures = dict(enumerate(store.computed(batch.geometry)))
    kept = store.of(batch.geometry)
    assert kept is not None
    expected = predict(potential, batch.geometry, create_graph=True)
    found = predict_kept(potential, batch.geometry, kept)
    for name in ("energy", "forces", "virial", "atomic_energies", "charges"):
        scale = float(getattr(expected, name).detach().abs().max())
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-12 * scale)
    expected_gradients = gradients(potential, expected)
    error = (gradients(potential, found) - expected_gradients).norm() / expected_gradients.norm()
    assert error < 1e-11


def test_without_charges() -> None:
    potential = repelling(random_potential([6, 14, 50], repulsion=REPULSION))
    batch = batch_of(*structures().values())
    store = KeptStructures(potential)
    store._structures = dict(enumerate(store.computed(batch.geometry)))
    kept = store.of(batch.geometry)
    assert kept is not None
    expected = predict(potential, batch.geometry, create_graph=True)
    found = predict_kept(potential, batch.geometry, kept)
    torch.testing.assert_close(found.forces, expected.forces, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.virial, expected.virial, rtol=0, atol=1e-10)
    torch.testing.assert_close(gradients(potential, found), gradients(potential, expected), rtol=1e-9, atol=1e-9)


def test_charges_alone() -> None:
    potential, geometry = potential_with_charges(True, None), charged_batch().geometry
    store = KeptStructures(potential, for_forces=False)
    store._structures = dict(enumerate(store.computed(geometry)))
    kept = store.of(geometry)
    assert kept is not None
    assert kept.responses == ()
    found, expected = kept_charges(potential, geometry, kept), predict_charges(potential, geometry)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_functions_that_are_learned_are_not_kept() -> None:
    channels = random_potential([6, 14, 50], channels="learned")
    store = KeptStructures(channels)
    assert not store.is_possible
    store.fill(Store([3], 100.0))  # type: ignore[arg-type]
    assert len(store) == 0


def test_memory_and_size_are_bounded() -> None:
    potential = random_potential([6, 14, 50])
    sizes = [4, LARGEST + 1, 4, 4]
    everything = KeptStructures(potential)
    store = Store(sizes, 100.0)
    everything.fill(store)  # type: ignore[arg-type]
    assert len(everything) == 3
    assert everything.of(store.geometry(0, 1)) is None
    one = everything.of(store.geometry(0))
    assert one is not None
    few = KeptStructures(potential)
    store = Store(sizes, 2.5 * one.num_bytes / 2**20)
    few.fill(store)  # type: ignore[arg-type]
    assert len(few) == 2
    assert few.of(store.geometry(0, 3)) is None
    assert few.of(store.geometry(2, 0)) is not None


def test_a_structure_twice_in_a_batch() -> None:
    potential, geometry = potential_with_charges(True, SCREENING), charged_batch().geometry
    store = KeptStructures(potential)
    store._structures = dict(enumerate(store.computed(geometry)))
    atoms = next(iter(structures().values()))  # the first of the batch
    twice = batch_of(atoms, atoms, total_charge=[0.0, 0.0]).geometry
    twice.dataset_index = torch.zeros(2, dtype=torch.int64)
    kept = store.of(twice)
    assert kept is not None
    found, expected = predict_kept(potential, twice, kept), predict(potential, twice, create_graph=True)
    torch.testing.assert_close(found.charges, expected.charges, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients(potential, found), gradients(potential, expected), rtol=1e-9, atol=1e-9)
