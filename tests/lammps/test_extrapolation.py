"""Atoms outside the training data in LAMMPS: marked as by the ASE calculator, on one and two processes, and refused."""

import warnings

import pytest
from ase import Atoms
from ase.build import bulk

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import load_model, save_model
from mhdnn.domain import rounded
from mhdnn.errors import ModelError
from mhdnn.interop.programs import eager_potential
from tests.builders import (
    structures,
)
from tests.lammps.conftest import ELEMENTS
from tests.lammps.fitted import save_fitted_models
from tests.lammps.runs import Frame, run_lammps
from tests.lammps.test_errors import message, script_for
from tests.unit.test_archive import RELEASED

COUNT = 'compute own all pair mhdnn\nthermo_style custom step c_own[1]\nrun 0\nprint "COUNT $(c_own[1])"\n'


@pytest.fixture(scope="module")
def fitted(pair_style, tmp_path_factory):
    """Models that were trained on the structures of the tests, as far as their ranges tell."""
    folder = tmp_path_factory.mktemp("fitted")
    save_fitted_models(folder)
    return folder


def cases() -> dict[str, Atoms]:
    """Structures with atoms that the models don't know."""
    hot = structures()["triclinic"].repeat((2, 2, 1))
    hot.rattle(0.2, seed=1)
    close = structures()["triclinic"].repeat((2, 2, 1))  # a pair on both sides of the plane between two processes
    close.positions[8] = close.positions[0] + [0.3, 0.1, 0.0]
    apart = bulk("Si", a=14.0)
    pure = bulk("Si", a=5.5, cubic=True)
    return {"hot": hot, "close": close, "apart": apart, "pure": pure, "known": structures()["tiny"]}


@pytest.mark.parametrize("name", list(cases()))
@pytest.mark.parametrize("model", ["short", "charges"])
def test_same_marks_and_words_as_in_ase(fitted, tmp_path, name, model):
    atoms = Frame(cases()[name], sorted(set(cases()[name].symbols))).as_lammps_has_it
    atoms.calc = MHDNNCalculator(fitted / f"{model}.pt")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        atoms.get_potential_energy()
    expected = int(atoms.calc.outside_training.sum())
    assert (expected == 0) == (name == "known")
    elements = " ".join(sorted(set(atoms.symbols)))
    for ranks in (1, 2):
        script = script_for(tmp_path, fitted / f"{model}.pt", atoms=atoms, elements=elements, after=COUNT)
        output = run_lammps(tmp_path, script, ranks).stdout
        assert f"COUNT {expected}\n" in output
        if expected:
            why = str(caught[0].message).split("training data (")[1].split(");")[0]
            assert ("that are Si 100.0 %" in why) == (name == "pure")
            assert f"{expected} atoms at step 0 are outside the range of the training data (atom" in output
            assert why in output
        else:
            assert "outside" not in output


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("atoms", "elements", "words"),
    [
        (Atoms("C", cell=[20, 20, 20], pbc=True), "C", "C: no neighbour within the cutoff"),
        (Atoms("Si2", [[0, 0, 0], [0, 0, 0.3]], cell=[20, 20, 20], pbc=True), "Si", "Si: Si-Si at 0.3000 Å"),
        (Atoms("Si2", [[0, 0, 0], [0, 0, 2.3]], cell=[20, 20, 20], pbc=True), "Si", "Si: neighbours (smooth count)"),
    ],
)
def test_stops(fitted, tmp_path, atoms, elements, words, ranks):
    script = script_for(tmp_path, fitted / "short.pt", "extrapolation stop", elements=elements, atoms=atoms)
    result = run_lammps(tmp_path, script, ranks, check=False)
    assert result.returncode != 0
    output = result.stdout + result.stderr
    assert f"{len(atoms)} atoms at step 0 are outside the range of the training data (atom 1, {words}" in output
    atoms = atoms.copy()
    atoms.calc = MHDNNCalculator(fitted / "short.pt", extrapolation="stop")
    with pytest.raises(ModelError) as caught:
        atoms.get_potential_energy()
    assert words in str(caught.value)


def test_charges_outside(fitted, tmp_path):
    """A charge of its own on each atom of a large cell that was neutral in training."""
    atoms = structures()["triclinic"]
    atoms.calc = MHDNNCalculator(fitted / "charges.pt", total_charge=-4.0)
    with pytest.warns(UserWarning, match=r"charge -0\.\d+ e, of the training data"):
        atoms.get_potential_energy()
    expected = int(atoms.calc.outside_training.sum())
    script = script_for(tmp_path, fitted / "charges.pt", "total_charge -4", atoms=atoms, after=COUNT)
    for ranks in (1, 2):
        output = run_lammps(tmp_path, script, ranks).stdout
        assert f"COUNT {expected}\n" in output
        assert "e, of the training data" in output


@pytest.mark.parametrize("total_charge", [-3, 0.5, 8])
def test_total_charge(fitted, tmp_path, total_charge):
    style = f"total_charge {total_charge} extrapolation"
    found = message(tmp_path, script_for(tmp_path, fitted / "charges.pt", f"{style} stop"))
    assert f"(total charge {rounded(float(total_charge))} e, of the training data 0.000 e)" in found
    output = run_lammps(tmp_path, script_for(tmp_path, fitted / "charges.pt", f"{style} warn", after="run 0\nrun 0\n"))
    assert output.stdout.count("of the training data 0.000 e): charges and energies may be wrong") == 1
    output = run_lammps(tmp_path, script_for(tmp_path, fitted / "charges.pt", f"{style} off"))
    assert "training data" not in output.stdout


def test_forces_that_are_no_numbers(short_range_model, tmp_path):
    """Also with the guard off."""
    atoms = structures()["triclinic"]
    atoms.positions[1] = atoms.positions[0]
    found = message(tmp_path, script_for(tmp_path, short_range_model, "extrapolation off", atoms=atoms))
    assert "is not a number; look for atoms at the same place" in found


@pytest.mark.slow
def test_models_of_format_3_have_the_guard_of_then(torch_pair_style, tmp_path):
    """Ranges of all elements together; a sentence says that there are no others. Only libtorch reads these files."""
    tin = Atoms("Sn", cell=[20, 20, 20], pbc=True)
    model = RELEASED / "short_format3.pt"
    script = script_for(tmp_path, model, atoms=tin, elements="Sn", after=COUNT)
    output = run_lammps(tmp_path, script, plugin=torch_pair_style).stdout
    assert "has no ranges of elements, distances and charges" in output
    with pytest.warns(UserWarning, match="has no ranges of elements, distances and charges"):
        tin.calc = MHDNNCalculator(model)
    tin.get_potential_energy()
    assert f"COUNT {int(tin.calc.outside_training.sum())}\n" in output
    hot = bulk("Sn", "diamond", a=4.0, cubic=True)
    hot.calc = MHDNNCalculator(model)
    hot.get_potential_energy()
    script = script_for(tmp_path, model, atoms=hot, elements="Sn", after=COUNT)
    output = run_lammps(tmp_path, script, plugin=torch_pair_style).stdout
    assert f"COUNT {int(hot.calc.outside_training.sum())}\n" in output
    assert hot.calc.outside_training.all()


def test_functions_alone_outside(fitted, tmp_path):
    """Atoms whose distances and counts are known but one function isn't; those of the other elements are inside."""
    potential, metadata = eager_potential(fitted / "short.pt"), load_model(fitted / "short.pt")[1]
    ranges = potential.domain.function_range
    ranges[3, ELEMENTS.index(14), 0] = ranges[0, ELEMENTS.index(14), 0]
    model = tmp_path / "narrow.pt"
    save_model(potential, model, metadata)
    atoms = structures()["triclinic"]
    atoms.calc = MHDNNCalculator(model)
    with pytest.warns(UserWarning, match="of the training data"):
        atoms.get_potential_energy()
    expected = int(atoms.calc.outside_training.sum())
    assert expected == atoms.symbols.count("Si") > 0
    for dtype in ("float32", "float64"):
        output = run_lammps(tmp_path, script_for(tmp_path, model, f"dtype {dtype}", atoms=atoms, after=COUNT)).stdout
        assert f"COUNT {expected}\n" in output
