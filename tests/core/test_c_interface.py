"""The C interface with arguments that are wrong: a sentence and a code, never a crash, and no trace in what follows."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from mhdnn.deploy.core_library import INTEGERS, LONGS, NOT_FINITE, CAtoms, CResult, pointer
from mhdnn.deploy.model_file import metadata_of, save_model
from tests.builders import (
    charge_settings,
    geometry_of,
    model_settings,
    random_charge_potential,
    random_potential,
    structures,
)
from tests.core.test_models import DOUBLE, ELEMENTS, model_with

FAILED = 1


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Model files without and with charges."""
    folder = tmp_path_factory.mktemp("models")
    potential = random_charge_potential(ELEMENTS)
    save_model(potential, folder / "charges.pt", metadata_of(potential, charge_settings(ELEMENTS), {}))
    return {False: model_with(folder / "short.pt", {}), True: folder / "charges.pt"}


@pytest.fixture
def short(core, files):
    model = core.model(files[False])
    yield model
    core.close(model)


@pytest.fixture
def charged(core, files):
    model = core.model(files[True])
    yield model
    core.close(model)


class Call:
    """Arguments of ``mhdnn_compute`` for a small crystal, of which a test changes some."""

    def __init__(self, atoms: Atoms | None = None) -> None:
        atoms = structures()["triclinic"] if atoms is None else atoms
        geometry = geometry_of(atoms)
        self.numbers = np.ascontiguousarray(atoms.numbers, dtype=np.int32)
        self.pairs = np.stack([geometry.center_index.numpy(), geometry.neighbor_index.numpy()], 1).astype(np.int64)
        self.positions, self.cell = atoms.positions.copy(), np.ascontiguousarray(atoms.cell[:])
        self.periodic = np.ascontiguousarray(atoms.pbc, dtype=np.int32)
        self.vectors = np.ascontiguousarray(geometry.pair_vectors().numpy())
        self.shifts = np.ascontiguousarray(geometry.cell_shifts.numpy())
        self.energies, self.forces = np.zeros(len(atoms)), np.zeros((len(atoms), 3))
        self.result = CResult(energies=pointer(self.energies), forces=pointer(self.forces))

    def run(self, core: Any, model: Any, **changes: Any) -> int:
        atoms = CAtoms(
            len(self.numbers), pointer(self.numbers, INTEGERS), len(self.pairs), pointer(self.pairs, LONGS),
            pointer(self.vectors), pointer(self.positions), pointer(self.cell), pointer(self.periodic, INTEGERS),
            0.0, pointer(self.shifts), 0,
        )  # fmt: skip
        for name, value in changes.items():
            setattr(atoms, name, value)
        return core.compute(model, atoms, self.result)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_pairs_come_in_any_order(core, short, num_threads):
    """Also of so many atoms that several threads share them."""
    atoms = structures()["triclinic"] * (4, 4, 4)
    ordered, shuffled = Call(atoms), Call(atoms)
    assert len(atoms) > 128
    order = np.random.default_rng(0).permutation(len(shuffled.pairs))
    for name in ("pairs", "shifts", "vectors"):
        setattr(shuffled, name, np.ascontiguousarray(getattr(shuffled, name)[order]))
    core.set_num_threads(num_threads)
    try:
        assert ordered.run(core, short, vectors=None) == shuffled.run(core, short, vectors=None) == 0
        np.testing.assert_allclose(shuffled.energies, ordered.energies, rtol=1e-12)
        np.testing.assert_allclose(shuffled.forces, ordered.forces, atol=1e-11)
        shuffled.positions[-1] = np.nan
        assert shuffled.run(core, short, vectors=None) == FAILED
        assert b"its vector is not a number" in core.last_error()
    finally:
        core.set_num_threads(0)


WITHOUT = [
    ({"atomic_numbers": None}, "expected atomic numbers, got NULL"),
    ({"pairs": None}, "expected pairs, got NULL"),
    ({"vectors": None, "shifts": None}, "expected vectors of the pairs, or positions and shifts, got NULL"),
    ({"vectors": None, "positions": None}, "expected vectors of the pairs, or positions and shifts, got NULL"),
    ({"num_atoms": -1}, "expected 0 to 2147483647 atoms and their pairs, got -1 and"),
    ({"num_atoms": 2**40}, "expected 0 to 2147483647 atoms and their pairs, got 1099511627776 and"),
    ({"num_pairs": -1}, "expected 0 to 2147483647 atoms and their pairs, got"),
    ({"num_atoms": 3}, "expected atoms 0 to 2, got"),
]
WITH_CHARGES = [
    ({"positions": None}, "the model has charges: expected positions, cell and periodic, got NULL"),
    ({"cell": None}, "the model has charges: expected positions, cell and periodic, got NULL"),
    ({"periodic": None}, "the model has charges: expected positions, cell and periodic, got NULL"),
    ({"solver": 3}, "solver: expected 0, 1 or 2, got 3"),
    ({"solver": -1}, "solver: expected 0, 1 or 2, got -1"),
    ({"total_charge": float("nan")}, "expected finite numbers and a finite total charge, got NaN"),
    ({"num_atoms": 0, "num_pairs": 0}, "expected at least one atom, got none"),
]


def check_refusal(core, model, call, changes, sentence, code=FAILED):
    """The sentence; nothing of these atoms is known afterwards, and the next calculation is as before."""
    assert call.run(core, model) == 0, core.error()
    expected = call.forces.copy()
    assert call.run(core, model, **changes) == code
    assert sentence in str(core.error())
    core.why_outside(model, 0)
    assert "no such atom in the last calculation, or it failed" in str(core.error())
    call.forces[:] = 0.0
    assert Call.run(call, core, model) == 0, core.error()
    np.testing.assert_allclose(call.forces, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("changes", "sentence"), WITHOUT)
@pytest.mark.parametrize("charges", [False, True])
def test_arguments_of_all_models(core, short, charged, charges, changes, sentence):
    check_refusal(core, charged if charges else short, Call(), changes, sentence)


@pytest.mark.parametrize(("changes", "sentence"), WITH_CHARGES)
def test_arguments_of_models_with_charges(core, charged, changes, sentence):
    check_refusal(core, charged, Call(), changes, sentence)


@pytest.mark.parametrize(
    ("array", "value", "sentence"),
    [
        ("pairs", -1, "pair 0: expected atoms 0 to"),
        ("pairs", 10**12, "pair 0: expected atoms 0 to"),
        ("numbers", 8, "atom 0 has the atomic number 8, which the model was not trained for"),
        ("numbers", -1, "atom 0 has the atomic number -1"),
        ("vectors", np.nan, "pair 0: its vector is not a number"),
        ("vectors", np.inf, "pair 0: its vector is not a number"),
    ],
)
@pytest.mark.parametrize("charges", [False, True])
def test_numbers_of_all_models(core, short, charged, charges, array, value, sentence):
    check_numbers(core, charged if charges else short, array, value, sentence)


@pytest.mark.parametrize(
    ("array", "value", "sentence"),
    [
        ("positions", np.nan, "positions: expected finite numbers, got NaN or infinity"),
        ("positions", np.inf, "positions: expected finite numbers, got NaN or infinity"),
        ("cell", np.nan, "expected linearly independent vectors"),
        ("cell", np.inf, "expected linearly independent vectors"),
    ],
)
def test_numbers_of_models_with_charges(core, charged, array, value, sentence):
    check_numbers(core, charged, array, value, sentence)


def check_numbers(core, model, array, value, sentence):
    call = Call()
    good = getattr(call, array)
    bad = good.copy()
    bad.flat[0] = value
    kind = {"pairs": LONGS, "numbers": INTEGERS}.get(array)
    argument = {"numbers": "atomic_numbers"}.get(array, array)
    given = pointer(bad, kind) if kind else pointer(bad)
    check_refusal(core, model, call, {argument: given}, sentence)


@pytest.mark.parametrize("vectors", [np.zeros((3, 3)), np.ones((3, 3))], ids=["zero", "parallel"])
def test_cells_without_volume(core, charged, vectors):
    check_refusal(core, charged, Call(), {"cell": pointer(vectors)}, "expected linearly independent vectors")


def test_a_wire(core, charged):
    periodic = np.array([1, 0, 0], dtype=np.int32)
    sentence = "expected no, two or three periodic directions, got one"
    check_refusal(core, charged, Call(), {"periodic": pointer(periodic, INTEGERS)}, sentence)


def test_positions_that_are_no_numbers(core, short):
    positions = Call().positions
    positions[0] = np.nan
    sentence = "its vector is not a number"
    check_refusal(core, short, Call(), {"vectors": None, "positions": pointer(positions)}, sentence)


def test_atoms_at_the_same_place(core, short):
    vectors = Call().vectors
    vectors[0] = 0.0
    sentence = "the energy is not a number; look for atoms at the same place"
    check_refusal(core, short, Call(), {"vectors": pointer(vectors)}, sentence, NOT_FINITE)


def test_charges_at_the_same_place(core, charged):
    """They have the same code, and the same remedy."""
    vectors = Call().vectors
    vectors[0] = 0.0
    sentence = "is not a number; look for atoms at the same place"
    check_refusal(core, charged, Call(), {"vectors": pointer(vectors)}, sentence, NOT_FINITE)


def test_forces_that_are_no_numbers(core, tmp_path):
    """Energies may be finite where forces are not: large weights, and atoms that nearly meet, in single precision."""
    potential, path = random_potential(ELEMENTS), tmp_path / "model.pt"
    with torch.no_grad():
        potential.short_range.network.linear_weight.mul_(1e20)
    save_model(potential, path, metadata_of(potential, model_settings(ELEMENTS), {}))
    model = core.model(path, "float32")
    call = Call()
    first, last = call.pairs[0]
    near = np.array([1e-22, 0.0, 0.0])
    back = np.flatnonzero((call.pairs == [last, first]).all(1))[0]
    call.vectors[0], call.vectors[back] = near, -near
    assert call.run(core, model) == NOT_FINITE
    assert np.isfinite(call.result.energy)
    assert not np.isfinite(call.forces).all()
    assert "the force on atom" in str(core.error())
    core.close(model)


def test_a_model_from_its_bytes(core, files):
    """The same numbers; NULL and bytes that are no model are refused."""
    content = files[True].read_bytes()
    model = core.open_content(content, len(content), b"the model", b"model")
    call, found = Call(), []
    for opened in (core.model(files[True]), model):
        assert call.run(core, opened) == 0, core.error()
        found.append(call.forces.copy())
        core.close(opened)
    np.testing.assert_array_equal(*found)
    assert not core.open_content(content, len(content) - 1, b"the model", b"model")
    assert "the model: " in str(core.error())
    assert not core.open_content(content, -1, b"the model", b"model")
    assert "size: expected at least 0 bytes, got -1" in str(core.error())
    assert not core.open_content(None, 0, b"the model", b"model")
    assert "expected content, a path and a dtype, got NULL" in str(core.error())


def test_no_atoms(core, short):
    call = Call()
    assert call.run(core, short, num_atoms=0, num_pairs=0, atomic_numbers=None, pairs=None, vectors=None) == 0
    assert call.result.energy == 0.0


def test_null_pointers(core, short):
    call, nothing = Call(), ctypes.c_void_p()
    core.close(nothing)
    assert call.run(core, nothing) == FAILED
    assert "expected a model, atoms and a result, got NULL" in str(core.error())
    assert core.compute(short, None, call.result) == FAILED
    assert core.compute(short, CAtoms(), None) == FAILED
    assert not core.open(None, b"model")
    assert not core.open(b"model.pt", None)
    assert "expected a path and a dtype, got NULL" in str(core.error())
    for name, result in (("cutoff", ctypes.c_double), ("num_functions", ctypes.c_int), ("has_charges", ctypes.c_int)):
        function = core.functions[f"mhdnn_{name}"]  # an own one, with types of its own
        function.restype, function.argtypes = result, [ctypes.c_void_p]
        assert not core.open(None, None)
        assert function(nothing) == 0
        assert "expected a model, got NULL" in str(core.error())
    assert "expected a model, got NULL" in core.why_outside(nothing, 0).decode()


def test_atoms_that_there_are_not(core, short):
    for atom in (-1, 0, 10**6):
        core.why_outside(short, atom)
        assert "no such atom" in str(core.error())
    call = Call()
    assert call.run(core, short) == 0
    core.why_outside(short, len(call.numbers))
    assert "no such atom" in str(core.error())


def test_two_models_at_once(core, files, short, charged):
    """Each with its own atoms and memory, whatever the other does between."""
    calls = {name: Call(structures()[name]) for name in ("triclinic", "slab")}
    alone = {}
    for charges in (False, True):
        for name, call in calls.items():
            model = core.model(files[charges])
            assert call.run(core, model) == 0
            alone[charges, name] = call.forces.copy()
            core.close(model)
    for name in ("triclinic", "slab", "slab", "triclinic"):
        for charges, model in ((False, short), (True, charged)):
            assert calls[name].run(core, model) == 0
            np.testing.assert_allclose(calls[name].forces, alone[charges, name], rtol=0, atol=1e-9)


@pytest.mark.parametrize("count", [-3, 0, 1, 2, 5, 10**9])
def test_numbers_of_threads(core, short, count):
    call = Call()
    assert call.run(core, short) == 0
    expected = call.forces.copy()
    core.set_num_threads(count)
    try:
        assert call.run(core, short) == 0
    finally:
        core.set_num_threads(0)
    np.testing.assert_allclose(call.forces, expected, rtol=0, atol=DOUBLE * np.abs(expected).max())


def test_errors_belong_to_a_thread(core, short):
    Call().run(core, short, num_atoms=-1)
    found = []
    thread = threading.Thread(target=lambda: found.append(core.last_error()))
    thread.start()
    thread.join()
    assert found == [b""]
    assert "got -1" in str(core.error())
