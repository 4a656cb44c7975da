"""Several files as one: order, names, offsets, and what an epoch draws of them."""

import numpy as np
import pytest

from mhdnn.data.joined import JoinedStores, names_of_sources, open_stores, source_of
from mhdnn.data.sampling import FractionSampler
from mhdnn.data.store import StoreReader
from mhdnn.errors import ConfigError, DataError
from tests.unit.test_datamodule import module, store


def test_structures_in_the_order_of_the_files(tmp_path):
    paths = [store(tmp_path / "a.h5", ["x"] * 3), store(tmp_path / "b.h5", ["y"] * 4)]
    joined, parts = open_stores(paths), [StoreReader(path) for path in paths]
    expected = [structure.energy for part in parts for structure in part]
    assert [joined[index].energy for index in range(len(joined))] == expected
    assert [structure.energy for structure in joined.select([1, 2, 3, 6])] == [
        expected[index] for index in (1, 2, 3, 6)
    ]
    assert joined.groups == ["x"] * 3 + ["y"] * 4
    np.testing.assert_array_equal(joined.energies(), expected)
    np.testing.assert_array_equal(joined.composition([6]), [[2]] * 7)
    assert source_of(joined, np.arange(7)).tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert joined.name_of(4) == f"{paths[1]}: structure 1"
    with pytest.raises(IndexError, match="no structure 7"):
        joined[7]
    assert isinstance(open_stores(paths[:1]), StoreReader)


def test_files_of_one_name_are_told_by_their_folders(tmp_path):
    (tmp_path / "old").mkdir()
    paths = [store(tmp_path / "a.h5", ["x"] * 3), store(tmp_path / "old/a.h5", ["y"] * 4)]
    assert names_of_sources(open_stores(paths)) == paths
    with pytest.raises(ConfigError, match="is named twice"):
        open_stores([paths[0], paths[0]])


def test_each_file_has_its_own_split(tmp_path):
    split = ["train", "test", "validation", "train"]
    paths = [store(tmp_path / "a.h5", list("abcd"), split), store(tmp_path / "b.h5", ["x"] * 20)]
    data = module(paths)
    assert data.indices["test"].tolist() == [1]
    assert data.indices["validation"][0] == 2
    assert len(data.indices["validation"]) == 1 + 4
    assert len(data.indices["train"]) == 2 + 16


def test_offsets_are_taken_from_energies(tmp_path):
    paths = [store(tmp_path / "a.h5", ["x"] * 12), store(tmp_path / "b.h5", ["y"] * 12)]
    data = module(paths, offsets=True)
    kept = data.dataset("train")[0][1]  # what was read before must not stay
    data.subtract_offsets(np.array([[0.0], [1.5]]), [6])
    assert isinstance(data.train_reader, JoinedStores)
    energies = [data.train_reader[index].energy for index in range(24)]
    assert energies == [float(n) for n in range(12)] + [n - 3.0 for n in range(12)]
    assert [structure.energy for structure in data.train_reader.select([11, 12])] == [11.0, -3.0]
    assert data.train_reader.energies().tolist() == energies
    assert data.dataset("train")[0][1] is not kept


def test_levels_that_differ_are_refused(tmp_path):
    paths = [
        store(tmp_path / "a.h5", ["x"] * 12, functional="PBE"),
        store(tmp_path / "b.h5", ["x"] * 12, functional="x"),
    ]
    with pytest.raises(DataError, match=r"`functional` must be the same .*a\.h5 PBE, .*b\.h5 x; .*data\.offsets=true"):
        module(paths)
    assert module(paths, offsets=True).num_sources == 2
    with pytest.raises(ConfigError, match="there is one training store"):
        module(paths[0], offsets=True)
    with pytest.raises(ConfigError, match=r"`data\.test`: with `data\.offsets` expected one file"):
        module([*paths, store(tmp_path / "c.h5", ["x"] * 12)], None, paths, offsets=True)
    with pytest.raises(ConfigError, match="expected one number for each training store"):
        module(paths[0], fractions=[0.5, 1.0])


def test_fractions_of_an_epoch():
    source = np.repeat([0, 1], [100, 10])
    sampler = FractionSampler(source, [0.3, 2.5], seed=1)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 30 + 25
    counts = np.bincount(drawn, minlength=110)
    assert counts[:100].max() == 1
    assert sorted(counts[100:]) == [2] * 5 + [3] * 5
    assert list(sampler) == drawn
    sampler.set_epoch(1)
    assert set(sampler) != set(drawn)


def test_processes_share_an_epoch():
    source = np.zeros(11, dtype=int)
    shares = [list(FractionSampler(source, [1.0], 0, 2, rank)) for rank in (0, 1)]
    assert [len(share) for share in shares] == [6, 6]
    assert set(shares[0]) | set(shares[1]) == set(range(11))
