"""Which structures train, validate and test."""

import numpy as np
import pytest
import torch

from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.dataset import collate
from mhdnn.data.writer import StoreWriter
from mhdnn.dispersion import Dispersion
from mhdnn.errors import ConfigError, DataError
from mhdnn.structure import Structure


def store(path, groups, split=None, **attributes):
    rng = np.random.default_rng(0)
    with StoreWriter(path, attributes) as writer:
        for number, group in enumerate(groups):
            structure = Structure(
                np.array([6, 6]), rng.normal(size=(2, 3)) + [[0, 0, 0], [3, 0, 0]], np.zeros((3, 3)), np.zeros(3, bool),
                energy=float(number), group=group,
            )  # fmt: skip
            part = Dispersion(energy=-0.1) if attributes else None
            writer.append(structure, part, split=split[number] if split else None)
    return str(path)


def module(train, validation=None, test=None, **changes):
    options = {
        "cutoff": 4.0, "validation_fraction": 0.2, "split_by": "auto", "split_seed": 0, "dispersion": True,
        "batch_size": 2, "num_workers": 0, "cache_megabytes": 1,
    }  # fmt: skip
    return StoreDataModule(train, validation, test, **{**options, **changes})


def test_groups_stay_together(tmp_path):
    groups = [f"family/{number // 3}" for number in range(60)]
    data = module(store(tmp_path / "a.h5", groups))
    sides = [{groups[index] for index in data.indices[part]} for part in ("train", "validation")]
    assert not sides[0] & sides[1]
    assert len(data.indices["validation"]) == pytest.approx(12, abs=3)


@pytest.mark.parametrize("groups", [["one/0"] * 20, ["plain"] * 20])
def test_few_groups_are_split_by_structure(groups, tmp_path):
    data = module(store(tmp_path / "a.h5", groups))
    assert len(data.indices["validation"]) == 4
    assert len(data.indices["train"]) == 16


def test_few_groups_are_an_error_where_groups_were_asked_for(tmp_path):
    with pytest.raises(DataError, match="groups"):
        module(store(tmp_path / "a.h5", ["one/0"] * 20), split_by="group")
    with pytest.raises(ConfigError, match="auto, group or structure"):
        module(store(tmp_path / "a.h5", ["one/0"] * 20), split_by="family")


def test_a_handful_trains_whole(tmp_path):
    data = module(store(tmp_path / "a.h5", ["x"] * 3))
    assert list(data.indices) == ["train"]
    assert data.val_dataloader() == []


def test_written_split_is_used(tmp_path):
    split = ["train", "test", "validation", "train"]
    data = module(store(tmp_path / "a.h5", list("abcd"), split))
    assert {part: indices.tolist() for part, indices in data.indices.items()} == {
        "train": [0, 3], "validation": [2], "test": [1],
    }  # fmt: skip


def test_stores_of_their_own(tmp_path):
    train, test = store(tmp_path / "a.h5", ["x"] * 12), store(tmp_path / "b.h5", ["x"] * 5)
    data = module(train, validation=test, test=test)
    assert [len(data.indices[part]) for part in ("train", "validation", "test")] == [12, 5, 5]
    assert data.paths()["test"].name == "b.h5"


def test_order_depends_on_seed_and_epoch_alone(tmp_path):
    path = store(tmp_path / "a.h5", ["x"] * 12)

    def order(epoch, seed):
        loader = module(path, validation_fraction=0, seed=seed).train_dataloader()
        loader.sampler.set_epoch(epoch)
        return [int(index) for batch in loader for index in batch.geometry.dataset_index]

    assert order(3, 0) == order(3, 0)
    assert order(3, 0) != order(4, 0)
    assert order(3, 0) != order(3, 1)
    assert sorted(order(3, 0)) == list(range(12))


def test_sample_is_about_as_large_as_asked_for(tmp_path):
    data = module(store(tmp_path / "a.h5", ["x"] * 300), validation_fraction=0)
    batches = list(data.sample(500))
    assert sum(batch.geometry.num_atoms for batch in batches) == pytest.approx(500, abs=2)
    assert max(batch.geometry.num_atoms for batch in batches) <= 201


def test_part_of_the_training_set_is_spread_over_it(tmp_path):
    data = module(store(tmp_path / "a.h5", ["x"] * 300), validation_fraction=0)
    passes = data.thinned(10_000), data.thinned(100)
    whole, part = (torch.cat([batch.geometry.dataset_index for batch in one()]) for one in passes)
    assert whole.tolist() == list(range(300))
    assert 40 < len(part) < 60
    assert part.diff().min() > 0
    assert part.double().mean() == pytest.approx(150, abs=50)


def test_a_correction_that_is_left_out_must_be_named(tmp_path):
    named, other = (store(tmp_path / f"{name[:2]}.h5", ["x"] * 3, dispersion=name) for name in ("d3 bj pbe", "d4 pbe"))
    assert module(named).dispersion_left_out is None
    assert module(named, named, dispersion=False).dispersion_left_out == "d3 bj pbe"
    for train, validation in ((store(tmp_path / "a.h5", ["x"] * 3, source="here"), None), (named, other)):
        with pytest.raises(DataError, match="attribute `dispersion` must name the correction"):
            module(train, validation, dispersion=False)


def test_energies_without_forces_are_remarked(tmp_path):
    (remark,) = module(store(tmp_path / "a.h5", ["a"] * 20)).remarks
    assert "no structure has forces" in remark


def test_stores_of_two_kinds_of_energy_are_refused(tmp_path):
    for kind in ("free", "extrapolated"):
        store(tmp_path / f"{kind}.h5", ["a"] * 20, energy_kind=kind)
    module(str(tmp_path / "free.h5"), str(tmp_path / "free.h5"))
    with pytest.raises(
        DataError, match="`energy_kind` must be the same in all stores, found .*free.h5 free, .*extrapol"
    ):
        module(str(tmp_path / "free.h5"), str(tmp_path / "extrapolated.h5"))


@pytest.mark.parametrize("cache", [0, 1])
def test_a_pass_reads_blocks_and_gives_what_single_structures_are(cache, tmp_path, monkeypatch):
    data = module(store(tmp_path / "a.h5", [f"g/{n}" for n in range(20)]), cache_megabytes=cache)
    expected = [data.dataset("train")[index] for index in range(0, len(data.indices["train"]))]
    data = module(str(tmp_path / "a.h5"), cache_megabytes=cache)
    _ = data.dataset("train")[3]  # may be known before
    monkeypatch.setattr("mhdnn.data.datamodule.PASS_BATCH_ATOMS", 6)
    monkeypatch.setattr(data.train_reader, "record", lambda index: pytest.fail("read by itself"))
    batches = list(data.batches("train"))
    assert max(batch.geometry.num_structures for batch in batches) <= 4
    assert [number for batch in batches for number in batch.geometry.dataset_index.tolist()] == [
        n for n, _, _ in expected
    ]
    positions = np.concatenate([structure.positions for _, structure, _ in expected])
    np.testing.assert_array_equal(np.concatenate([batch.geometry.positions for batch in batches]), positions)


@pytest.mark.parametrize("cache", [0, 1])
def test_batches_of_the_loader_are_collated_structures(cache, tmp_path):
    path = store(tmp_path / "a.h5", [f"g/{n}" for n in range(23)])
    data = module(path, cache_megabytes=cache, batch_size=3, cutoff=20.0)  # each has its two pairs
    dataset, seen = data.dataset("train"), []
    rows = {int(number): row for row, number in enumerate(dataset.indices)}
    for _ in range(2):  # the second time from tensors that are kept
        for batch in data.train_dataloader():
            numbers = batch.geometry.dataset_index.tolist()
            expected = collate([dataset[rows[number]] for number in numbers])
            for own, other in ((batch.geometry, expected.geometry), (batch.labels, expected.labels)):
                for name, value in vars(own).items():
                    torch.testing.assert_close(value, getattr(other, name), rtol=0, atol=0, equal_nan=True)
            assert len(batch.geometry.center_index) == 2 * len(numbers)
            seen += numbers
    assert sorted(seen) == sorted(2 * dataset.indices.tolist())
    assert bool(dataset._tensors) is bool(cache)
