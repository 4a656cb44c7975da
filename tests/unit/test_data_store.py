"""The HDF5 store: what goes in comes out, broken files are refused, nothing is lost on failure."""

import h5py
import numpy as np
import pytest

from mhdnn.data.schema import SCHEMA_VERSION
from mhdnn.data.store import Dispersion, StoreReader, StoreWriter, validate_structure
from mhdnn.errors import DataError
from mhdnn.structure import Structure

CUBE = np.diag([4.0, 5.0, 6.0])


def make_structure(seed: int, num_atoms: int = 3, labelled: bool = True, **changes) -> Structure:
    rng = np.random.default_rng(seed)
    structure = Structure(
        atomic_numbers=rng.choice([3, 6, 50], num_atoms),
        positions=rng.normal(size=(num_atoms, 3)),
        cell=CUBE + rng.normal(scale=0.1, size=(3, 3)),
        pbc=np.array([True, True, False]),
        group=f"family{seed % 2}/{seed}",
    )
    if labelled:
        structure.energy = float(rng.normal())
        structure.forces = rng.normal(size=(num_atoms, 3))
        structure.stress = rng.normal(size=6)
        structure.charges = rng.normal(size=num_atoms)
        structure.total_charge = 1.0
    for name, value in changes.items():
        setattr(structure, name, value)
    return structure


def write(path, structures, **options):
    with StoreWriter(path, options.pop("attributes", None)) as writer:
        for structure in structures:
            writer.append(structure, **options)
    return path


def assert_same(found: Structure, expected: Structure) -> None:
    for name, value in vars(expected).items():
        if value is None:
            assert getattr(found, name) is None, name
        else:
            np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


@pytest.fixture
def store(tmp_path):
    structures = [make_structure(seed, num_atoms=2 + seed % 3) for seed in range(7)]
    return write(tmp_path / "data.h5", structures), structures


class TestRoundTrip:
    def test_structures_come_back_exactly(self, store):
        path, structures = store
        reader = StoreReader(path)
        assert len(reader) == 7
        for index, structure in enumerate(structures):
            assert_same(reader[index], structure)
        for found, structure in zip(reader, structures, strict=True):
            assert_same(found, structure)
        assert_same(reader[-1], structures[-1])
        with pytest.raises(IndexError, match="no structure 7"):
            reader[7]

    def test_types(self, store):
        structure = StoreReader(store[0])[0]
        assert structure.atomic_numbers.dtype == np.int64
        assert structure.pbc.dtype == bool
        assert type(structure.energy) is float
        assert type(structure.group) is str
        structure.positions[0] = 0.0  # the caller owns its arrays

    def test_layout_is_schema_1(self, store):
        with h5py.File(store[0]) as file:
            assert file.attrs["schema_version"] == SCHEMA_VERSION == 1
            assert file["offsets"][:].tolist() == [0, 2, 5, 9, 11, 14, 18, 20]
            assert file["atomic_numbers"].shape == (20,)
            assert file["atomic_numbers"].dtype == np.uint8
            assert file["positions"].shape == (20, 3)
            assert file["stress"].shape == (7, 6)
            assert file["positions"].compression == "gzip"
            assert set(file) == {
                *("offsets", "atomic_numbers", "positions", "cell", "pbc", "group"),
                *("energy", "forces", "stress", "charges", "total_charge"),
            }

    def test_attributes(self, tmp_path):
        path = write(tmp_path / "a.h5", [make_structure(0)], attributes={"functional": "PBE", "licence": "CC0"})
        assert StoreReader(path).attributes == {"functional": "PBE", "licence": "CC0"}

    def test_scalars_and_compositions(self, store):
        path, structures = store
        reader = StoreReader(path)
        assert reader.num_atoms.tolist() == [2, 3, 4, 2, 3, 4, 2]
        assert reader.groups == [s.group for s in structures]
        np.testing.assert_array_equal(reader.energies(), [s.energy for s in structures])
        assert reader.elements() == sorted({int(z) for s in structures for z in s.atomic_numbers})
        expected = [[list(s.atomic_numbers).count(z) for z in (50, 3, 6)] for s in structures]
        np.testing.assert_array_equal(reader.composition([50, 3, 6]), expected)

    def test_composition_refuses_unknown_element(self, store):
        with pytest.raises(DataError, match="has atomic number .*expected only"):
            StoreReader(store[0]).composition([1])


class TestLabels:
    def test_a_label_that_begins_late_or_ends_early_is_missing_elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.setattr("mhdnn.data.writer.BUFFERED_STRUCTURES", 2)  # several blocks
        structures = [make_structure(seed, labelled=seed in (3, 4)) for seed in range(7)]
        structures[0].energy = 0.5
        reader = StoreReader(write(tmp_path / "a.h5", structures))
        for index, structure in enumerate(structures):
            assert_same(reader[index], structure)
        assert reader.labels == {"energy", "forces", "stress", "charges", "total_charge"}
        assert np.isnan(reader.energies()).tolist() == [False, True, True, False, False, True, True]

    def test_label_that_none_has_is_absent(self, tmp_path):
        reader = StoreReader(write(tmp_path / "a.h5", [make_structure(0, labelled=False, energy=1.0)]))
        assert reader.labels == {"energy"}
        with h5py.File(tmp_path / "a.h5") as file:
            assert "forces" not in file

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_partly_missing_forces_are_an_error(self, store, value):
        with h5py.File(store[0], "r+") as file:
            file["forces"][3, 1] = value  # second structure
        reader = StoreReader(store[0])
        assert reader[0].forces is not None
        with pytest.raises(DataError, match=r"data\.h5: array `forces`, structure 1: expected finite"):
            reader[1]
        with pytest.raises(DataError, match="structure 1"):
            list(reader)

    def test_all_nan_is_missing(self, store):
        with h5py.File(store[0], "r+") as file:
            file["forces"][2:5] = np.nan
            file["energy"][1] = np.nan
        structure = StoreReader(store[0])[1]
        assert structure.forces is None
        assert structure.energy is None
        assert structure.stress is not None

    @pytest.mark.parametrize(("array", "value"), [("positions", np.nan), ("atomic_numbers", 0), ("cell", np.inf)])
    def test_broken_geometry(self, store, array, value):
        with h5py.File(store[0], "r+") as file:
            file[array][0] = value
        with pytest.raises(DataError, match=f"structure 0: `{array}`"):
            StoreReader(store[0])[0]


class TestDispersionAndSplit:
    def test_dispersion_is_stored_and_subtracted(self, tmp_path):
        structure = make_structure(0)
        part = Dispersion(-0.25, np.full((3, 3), 0.5), np.full(6, 0.125))
        path = write(tmp_path / "a.h5", [structure, structure], dispersion=part)
        assert_same(StoreReader(path)[1], structure)
        np.testing.assert_array_equal(StoreReader(path).record(1).dispersion.forces, part.forces)
        bare = StoreReader(path, subtract_dispersion=True)
        assert bare[1].energy == structure.energy + 0.25
        np.testing.assert_array_equal(bare[1].forces, structure.forces - 0.5)
        np.testing.assert_array_equal(bare[1].stress, structure.stress - 0.125)
        np.testing.assert_array_equal(bare.energies(), [structure.energy + 0.25] * 2)

    def test_dispersion_that_is_not_there_can_not_be_subtracted(self, store, tmp_path):
        with pytest.raises(DataError, match="array `dispersion_energy` is missing"):
            StoreReader(store[0], subtract_dispersion=True)
        with StoreWriter(tmp_path / "a.h5") as writer:
            part = Dispersion(1.0, np.ones((3, 3)), np.ones(6))
            writer.append(make_structure(0), part)
            writer.append(make_structure(1))
        with pytest.raises(DataError, match="`dispersion_energy`, structure 1"):
            StoreReader(tmp_path / "a.h5", subtract_dispersion=True)[1]

    def test_split(self, tmp_path):
        with StoreWriter(tmp_path / "a.h5") as writer:
            writer.append(make_structure(0), split="test")
            writer.append(make_structure(1), split="train")
        assert StoreReader(tmp_path / "a.h5").split.tolist() == ["test", "train"]

    def test_no_split(self, store):
        assert StoreReader(store[0]).split is None

    def test_split_of_some_structures_only(self, tmp_path):
        writer = StoreWriter(tmp_path / "a.h5").__enter__()
        writer.append(make_structure(0))
        writer.append(make_structure(1), split="train")
        with pytest.raises(DataError, match="for some structures only"):
            writer.__exit__(None, None, None)
        assert list(tmp_path.iterdir()) == []


class TestBrokenFiles:
    def test_missing_file(self, tmp_path):
        with pytest.raises(DataError, match=r"nowhere\.h5: no such file"):
            StoreReader(tmp_path / "nowhere.h5")

    def test_every_truncation_is_noticed(self, store, tmp_path):
        content = store[0].read_bytes()
        cut = tmp_path / "cut.h5"
        for length in np.linspace(0, len(content) - 1, 40, dtype=int):
            cut.write_bytes(content[:length])
            with pytest.raises(DataError, match=r"cut\.h5: .*expected a complete HDF5 file"):
                StoreReader(cut)

    def test_damaged_bytes_name_the_array(self, store):
        content = bytearray(store[0].read_bytes())
        with h5py.File(store[0]) as file:
            chunk = file["forces"].id.get_chunk_info(0)
        content[chunk.byte_offset + 20 : chunk.byte_offset + 60] = bytes(40)
        store[0].write_bytes(content)
        with pytest.raises(DataError, match="`forces` can't be read"):
            StoreReader(store[0])[0]

    def test_text_file(self, tmp_path):
        (tmp_path / "a.h5").write_text("not HDF5 at all\n" * 100)
        with pytest.raises(DataError, match="mhdnn data convert"):
            StoreReader(tmp_path / "a.h5")

    def test_foreign_hdf5(self, tmp_path):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["weights"] = [1, 2]
        with pytest.raises(DataError, match=r"`schema_version` is missing, found arrays \['weights'\]"):
            StoreReader(tmp_path / "a.h5")

    def test_schema_of_the_future(self, store):
        with h5py.File(store[0], "r+") as file:
            file.attrs["schema_version"] = 2
        with pytest.raises(DataError, match="`schema_version` must be 1, found 2; update mhdnn"):
            StoreReader(store[0])

    @pytest.mark.parametrize("array", ["offsets", "positions", "cell", "group"])
    def test_missing_array(self, store, array):
        with h5py.File(store[0], "r+") as file:
            del file[array]
        with pytest.raises(DataError, match=f"array `{array}` is missing"):
            StoreReader(store[0])

    @pytest.mark.parametrize(
        ("array", "rows", "expected"),
        [
            ("positions", 19, r"`positions`: expected shape \(20, 3\), found shape \(19, 3\)"),
            ("energy", 6, r"`energy`: expected shape \(7,\)"),
            ("offsets", 3, r"`atomic_numbers`: expected shape \(5,\)"),
        ],
    )
    def test_wrong_length(self, store, array, rows, expected):
        with h5py.File(store[0], "r+") as file:
            file[array].resize(rows, axis=0)
        with pytest.raises(DataError, match=expected):
            StoreReader(store[0])

    @pytest.mark.parametrize("offsets", [[0, 3, 2, 9, 11, 14, 18, 20], [1, 2, 5, 9, 11, 14, 18, 20]])
    def test_offsets_not_ascending_from_zero(self, store, offsets):
        with h5py.File(store[0], "r+") as file:
            file["offsets"][:] = offsets
        with pytest.raises(DataError, match="`offsets`: expected 0 first and then ascending"):
            StoreReader(store[0])

    def test_group_in_place_of_array(self, store):
        with h5py.File(store[0], "r+") as file:
            del file["energy"]
            file.create_group("energy")
        with pytest.raises(DataError, match="`energy`: expected an array"):
            StoreReader(store[0])


class TestValidation:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"positions": np.zeros((2, 3))}, r"`positions` must have shape \(3, 3\), found \(2, 3\)"),
            ({"positions": np.full((3, 3), np.nan)}, "`positions` must be finite"),
            ({"atomic_numbers": np.array([1, 0, 3])}, "1 to 118, found 0"),
            ({"atomic_numbers": np.array([1, 119, 3])}, "found 119"),
            ({"atomic_numbers": np.array([1, 1.5, 3])}, "whole numbers"),
            ({"atomic_numbers": np.zeros(0, int), "positions": np.zeros((0, 3))}, "at least one atom"),
            ({"cell": np.zeros((3, 3))}, "vector a has zero length but the structure is periodic"),
            ({"cell": np.diag([3.0, 0.0, 0.0])}, "vector b has zero length"),
            ({"cell": np.array([[3.0, 1, 0], [6, 2, 0], [0, 0, 5]])}, "linearly dependent"),
            ({"cell": np.eye(2)}, "`cell` must have shape"),
            ({"pbc": True}, "`pbc` must have shape"),
            ({"stress": np.zeros((3, 3))}, r"`stress` must have shape \(6,\)"),
            ({"energy": np.inf}, "`energy` must be finite"),
            ({"charges": np.zeros(2)}, "`charges` must have shape"),
            ({"forces": "none"}, "`forces` must"),
            ({"group": None}, "`group` must be a text"),
        ],
    )
    def test_refused(self, changes, message):
        with pytest.raises(DataError, match=f"frame 7: .*{message}"):
            validate_structure(make_structure(0, **changes), "frame 7")

    def test_vectors_of_directions_that_are_not_periodic_do_not_matter(self):
        validate_structure(make_structure(0, cell=np.diag([3.0, 3.0, 0.0])))
        validate_structure(make_structure(0, cell=np.zeros((3, 3)), pbc=np.zeros(3, bool)))
        left_handed = np.diag([3.0, 3.0, -3.0])
        validate_structure(make_structure(0, cell=left_handed, pbc=np.ones(3, bool)))


@pytest.mark.parametrize("chosen", [range(7), [0, 2, 3, 6], [5], []])
@pytest.mark.parametrize("sparse", [1, 6])
def test_selected_structures_are_those_read_one_by_one(chosen, sparse, store, monkeypatch):
    """In blocks of three structures; where few of a block are asked for, each by itself."""
    monkeypatch.setattr("mhdnn.data.store.BLOCK_ATOMS", 9)
    monkeypatch.setattr("mhdnn.data.store.SPARSE", sparse)
    reader = StoreReader(store[0])
    found = list(reader.select(list(chosen)))
    assert len(found) == len(chosen)
    for structure, number in zip(found, chosen, strict=True):
        assert_same(structure, reader[number])


@pytest.mark.parametrize("numbers", [[3, 2], [1, 1], [-1, 2], [6, 7]])
def test_selected_structures_ascend(numbers, store):
    with pytest.raises(IndexError, match="ascending numbers of structures below 7"):
        list(StoreReader(store[0]).select(numbers))
