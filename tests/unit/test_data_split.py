"""Splits: whole groups on one side, every family everywhere, the same for the same seed."""

from collections import Counter

import numpy as np
import pytest

from mhdnn.data.split import assign_split, store_split, write_parts
from mhdnn.data.store import Dispersion, StoreReader, StoreWriter
from mhdnn.errors import ConfigError, DataError
from mhdnn.structure import Structure

GROUPS = [f"{family}/{member}" for family in ("bulk", "slab") for member in range(20) for _ in range(5)]


def write(path, groups):
    with StoreWriter(path, {"functional": "PBE"}) as writer:
        for number, group in enumerate(groups):
            structure = Structure(
                np.array([3]),
                np.array([[number, 0.0, 0.0]]),
                np.zeros((3, 3)),
                np.zeros(3, bool),
                energy=0.5,
                group=group,
            )
            writer.append(structure, Dispersion(energy=float(number)))
    return path


def parts_of(groups, split):
    return {group: {part for own, part in zip(groups, split, strict=True) if own == group} for group in set(groups)}


class TestByGroup:
    @pytest.mark.parametrize("seed", range(5))
    def test_whole_groups_and_every_family(self, seed):
        split = assign_split(GROUPS, 0.1, 0.2, seed, "group")
        assert all(len(parts) == 1 for parts in parts_of(GROUPS, split).values())
        assert Counter(split.tolist()) == {"train": 140, "validation": 20, "test": 40}
        for family in ("bulk", "slab"):
            own = split[[group.startswith(family) for group in GROUPS]]
            assert Counter(own.tolist()) == {"train": 70, "validation": 10, "test": 20}

    def test_same_seed_same_split_whatever_the_order(self):
        first = assign_split(GROUPS, 0.1, 0.1, 3, "group")
        order = np.random.default_rng(0).permutation(len(GROUPS))
        second = assign_split([GROUPS[i] for i in order], 0.1, 0.1, 3, "group")
        np.testing.assert_array_equal(second, first[order])
        assert (assign_split(GROUPS, 0.1, 0.1, 4, "group") != first).any()

    def test_the_split_does_not_change_between_versions(self):
        split = assign_split([f"a/{number}" for number in range(10)], 0.1, 0.2, 0, "group")
        held_out = {part: np.flatnonzero(split == part).tolist() for part in ("validation", "test")}
        assert held_out == {"test": [2, 3], "validation": [5]}  # the first by sha256 of 0:a/0, 0:a/1, ...

    def test_groups_of_unequal_size_keep_to_the_fractions(self):
        groups = [f"a/{number}" for number in range(30) for _ in range(1 + number)]
        split = assign_split(groups, 0.1, 0.1, 0, "group")
        counts = Counter(split.tolist())
        assert counts["validation"] / len(groups) == pytest.approx(0.1, abs=0.05)
        assert counts["test"] / len(groups) == pytest.approx(0.1, abs=0.05)

    def test_one_huge_group_trains(self):
        groups = ["a/huge"] * 1000 + [f"a/{number}" for number in range(10)]
        for seed in range(5):
            split = assign_split(groups, 0.05, 0.05, seed, "group")
            assert (split[:1000] == "train").all()
            assert {"validation", "test"} <= set(split[1000:])

    def test_families_of_one_group_are_pooled(self):
        groups = [f"run{number}" for number in range(20) for _ in range(3)]
        split = assign_split(groups, 0.1, 0.1, 0, "group")
        assert Counter(split.tolist()) == {"train": 48, "validation": 6, "test": 6}
        assert all(len(parts) == 1 for parts in parts_of(groups, split).values())

    def test_small_family_beside_a_large_one_trains(self):
        groups = [f"bulk/{number}" for number in range(10)] + ["rare/0"]
        split = assign_split(groups, 0.1, 0.1, 0, "group")
        assert split[-1] == "train"
        assert set(split) == {"train", "validation", "test"}

    @pytest.mark.parametrize("groups", [["a"] * 50, ["a", "b", "c", "d"] * 10, ["a/0", "a/1", "b/0", "b/1"] * 5])
    def test_too_few_groups(self, groups):
        with pytest.raises(DataError, match="at least 5 groups .*split `--by structure`"):
            assign_split(groups, 0.1, 0.1, 0, "group")

    def test_nothing_held_out(self):
        assert set(assign_split(["a"] * 5, 0.0, 0.0, 0, "group")) == {"train"}

    def test_validation_only(self):
        assert Counter(assign_split(GROUPS, 0.1, 0.0, 0, "group").tolist()) == {"train": 180, "validation": 20}


class TestByStructure:
    def test_fractions_in_every_family(self):
        groups = ["a"] * 100 + ["b"] * 50
        split = assign_split(groups, 0.1, 0.2, 0, "structure")
        assert Counter(split.tolist()) == {"train": 105, "validation": 15, "test": 30}
        assert Counter(split[:100].tolist()) == {"train": 70, "validation": 10, "test": 20}
        np.testing.assert_array_equal(split, assign_split(groups, 0.1, 0.2, 0, "structure"))
        assert (split != assign_split(groups, 0.1, 0.2, 1, "structure")).any()

    def test_small_sets_have_every_part(self):
        assert Counter(assign_split(["a"] * 3, 0.1, 0.1, 0, "structure").tolist()) == {
            "train": 1,
            "validation": 1,
            "test": 1,
        }
        with pytest.raises(DataError, match="too few"):
            assign_split(["a"] * 2, 0.1, 0.1, 0, "structure")


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.1, -0.1), (1.0, 0.0), (float("nan"), 0)])
def test_senseless_fractions(validation, test):
    with pytest.raises(DataError, match="must be fractions"):
        assign_split(GROUPS, validation, test, 0, "group")


def test_unknown_way():
    with pytest.raises(DataError, match="`by` must be"):
        assign_split(GROUPS, 0.1, 0.1, 0, "family")


class TestStored:
    def test_written_into_the_file_and_again(self, tmp_path):
        path = write(tmp_path / "a.h5", GROUPS)
        before = StoreReader(path)[17]
        for seed in (0, 1):
            split = assign_split(GROUPS, 0.1, 0.1, seed, "group")
            store_split(path, split)
            np.testing.assert_array_equal(StoreReader(path).split, split)
        assert StoreReader(path)[17].group == before.group
        assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]

    def test_does_not_fit(self, tmp_path):
        path = write(tmp_path / "a.h5", ["a", "b"])
        with pytest.raises(DataError, match="must have 2 entries"):
            store_split(path, np.array(["train"]))
        with pytest.raises(DataError, match="found 2 and \\['rest'\\]"):
            store_split(path, np.array(["train", "rest"]))

    def test_failure_leaves_the_file(self, tmp_path, monkeypatch):
        path = write(tmp_path / "a.h5", ["a", "b"])
        content = path.read_bytes()

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mhdnn.data.split.shutil.copyfile", full)
        with pytest.raises(DataError, match="No space left"):
            store_split(path, np.array(["train", "test"]))
        assert path.read_bytes() == content
        assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]

    def test_parts_as_files(self, tmp_path):
        path = write(tmp_path / "a.h5", ["a", "b", "c", "d"])
        files = write_parts(path, np.array(["train", "test", "train", "train"]), tmp_path / "parts")
        assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == ["test.h5", "train.h5"]
        train = StoreReader(files["train"])
        assert train.groups == ["a", "c", "d"]
        assert train.attributes == {"functional": "PBE"}
        assert train.record(1).dispersion.energy == 2.0
        assert StoreReader(files["test"])[0].positions[0, 0] == 1.0

    def test_parts_never_overwrite_their_source(self, tmp_path):
        path = write(tmp_path / "train.h5", ["a", "b"])
        (tmp_path / "link").symlink_to(tmp_path)
        for folder in (tmp_path, tmp_path / "link"):
            with pytest.raises(ConfigError, match="expected another file than .*, which is read"):
                write_parts(path, np.array(["train", "test"]), folder)
        assert len(StoreReader(path)) == 2
