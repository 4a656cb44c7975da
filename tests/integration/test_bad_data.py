"""Datasets that can't be trained on or evaluated: the error names the file and what is wrong with it."""

import dataclasses

import h5py
import numpy as np
import pytest

from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from tests.integration.conftest import SMALL, run_mhdnn


def rewritten(source, target, **labels):
    """A copy of a store with other labels for every structure."""
    with StoreWriter(target, {}) as writer:
        for structure in StoreReader(source):
            writer.append(dataclasses.replace(structure, **labels))
    return target


def training_error(path, folder, *more):
    output = run_mhdnn(
        "train", f"data.train={path}", "trainer.max_epochs=1", f"hydra.run.dir={folder / 'run'}", *SMALL, *more,
        folder=folder, expect=1,
    )  # fmt: skip
    assert "Traceback" not in output
    assert not (folder / "run" / "model.pt").exists()
    return output


def test_missing_labels(emt_store, tmp_path):
    path = rewritten(emt_store, tmp_path / "bare.h5", energy=None, forces=None, stress=None)
    assert "`energy` or `forces` is needed" in training_error(path, tmp_path)


def test_nan_forces(emt_store, tmp_path):
    path = rewritten(emt_store, tmp_path / "nan.h5")
    with h5py.File(path, "r+") as file:
        file["forces"][3, 1] = np.nan
    output = training_error(path, tmp_path)
    assert "forces" in output
    assert "nan.h5" in output


def test_truncated_and_foreign_files(emt_store, tmp_path):
    cut = tmp_path / "cut.h5"
    cut.write_bytes(emt_store.read_bytes()[:2000])
    assert "cut.h5" in training_error(cut, tmp_path)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = np.zeros(3)
    assert "foreign.h5" in training_error(tmp_path / "foreign.h5", tmp_path)
    assert "missing.h5" in training_error(tmp_path / "missing.h5", tmp_path)


def test_periodic_without_a_cell(emt_store, tmp_path):
    path = rewritten(emt_store, tmp_path / "flat.h5")
    with h5py.File(path, "r+") as file:
        file["cell"][2] = 0.0
    output = training_error(path, tmp_path)
    assert "cell" in output


def test_unknown_element_in_the_test_set(emt_store, tmp_path):
    structures = list(StoreReader(emt_store))
    gold = np.full_like(structures[0].atomic_numbers, 79)
    with StoreWriter(tmp_path / "gold.h5", {}) as writer:
        writer.append(dataclasses.replace(structures[0], atomic_numbers=gold))
    assert "has Au" in training_error(emt_store, tmp_path, f"data.test={tmp_path / 'gold.h5'}")


def test_unknown_element_at_evaluation(trained, emt_store, tmp_path):
    structures = list(StoreReader(emt_store))
    numbers = structures[0].atomic_numbers.copy()
    numbers[0] = 79
    with StoreWriter(tmp_path / "gold.h5", {}) as writer:
        writer.append(dataclasses.replace(structures[0], atomic_numbers=numbers))
    output = tmp_path / "errors.json"
    text = run_mhdnn(
        "evaluate", f"model={trained / 'model.pt'}", f"data={tmp_path / 'gold.h5'}", f"output={output}",
        folder=tmp_path, expect=1,
    )  # fmt: skip
    assert "[79]" in text
    assert not output.exists()


@pytest.mark.parametrize("label", ["energy", "forces", "stress"])
def test_one_label_may_be_missing(label, emt_store, tmp_path):
    path = rewritten(emt_store, tmp_path / "some.h5", **{label: None})
    run_mhdnn(
        "train", f"data.train={path}", "trainer.max_epochs=1", "report=true",
        f"hydra.run.dir={tmp_path / 'run'}", *SMALL, folder=tmp_path,
    )  # fmt: skip
    assert (tmp_path / "run" / "model.pt").exists()


def test_open_reference_energies_are_named_with_the_remedy(emt_store, tmp_path):
    with StoreWriter(tmp_path / "half.h5", {}) as writer:
        for structure in StoreReader(emt_store):
            numbers = np.where(np.arange(structure.num_atoms) % 2, 28, 29)
            writer.append(dataclasses.replace(structure, atomic_numbers=numbers))
    words = [
        "train", f"data.train={tmp_path / 'half.h5'}", "trainer.max_epochs=1",
        f"hydra.run.dir={tmp_path / 'run'}", *SMALL,
    ]  # fmt: skip
    output = run_mhdnn(*words, folder=tmp_path)
    assert "reference energies are not determined: Ni and Cu occur only in the ratio 1:1" in output
    assert "initialization.reference_energies={Ni: ...,Cu: ...}" in output
    output = run_mhdnn(*words, "initialization.reference_energies={Ni: -1.5,Cu: -2}", folder=tmp_path)
    assert "not determined" not in output
