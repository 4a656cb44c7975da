"""The pair style against the ASE calculator: every kind of cell, short-ranged and with charges, 1 and 2 processes."""

import numpy as np
import pytest
from ase.build import graphene

from mhdnn import MHDNNCalculator
from mhdnn.deploy.model_file import load_model
from mhdnn.prediction import predict
from tests.builders import geometry_of, structures
from tests.lammps.runs import Frame, evaluate, header, run_lammps

pytestmark = pytest.mark.slow
RELATIVE = 1e-8  # energies, forces, stress and charges in float64
SHARES_OFF_MESH = 1e-6  # of atoms in the virial where a mesh meets open directions: equal to its accuracy (1e-8) only
BETWEEN_RANKS = 1e-9
CELLS = ["triclinic", "tiny", "slab", "sheet", "wire", "molecule", "tin_on_graphene"]


def structure(name):
    if name != "tin_on_graphene":
        return structures()[name]
    atoms = graphene(a=2.46, size=(3, 3, 1), vacuum=6.0)
    atoms.pbc = True
    tin = atoms[:2].copy()
    tin.numbers[:] = 50
    tin.positions += [[0.0, 1.42, 2.8], [2.46, 1.42, 3.0]]
    atoms += tin
    atoms.rattle(0.1, seed=3)
    return atoms


def assert_close(found, expected, relative, scale=None):
    scale = np.abs(expected).max() if scale is None else scale
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * scale)


def assert_same(result, atoms, model, total_charge=0.0, solver="auto"):
    """All numbers of LAMMPS are those of the ASE calculator and, without a volume, of `predict`."""
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    atoms = frame.as_lammps_has_it
    atoms.calc = MHDNNCalculator(model, total_charge=total_charge, solver=solver)
    energies = atoms.get_potential_energies()
    assert_close(result.energy, atoms.get_potential_energy(), RELATIVE, scale=np.abs(energies).sum())
    assert_close(result.energies, energies, RELATIVE)
    assert_close(result.forces, atoms.get_forces() @ frame.rotation.T, RELATIVE)
    potential, metadata = load_model(model)
    geometry = geometry_of(atoms, cutoff=metadata["cutoff"], total_charge=total_charge)
    expected = predict(potential, geometry, solver=solver, atomic_virials=True)
    assert_close(result.virials.sum(0), frame.tensor_to_ase(expected.virial[0].numpy()), RELATIVE)
    shares = SHARES_OFF_MESH if solver == "iterative" and not atoms.pbc.all() else RELATIVE
    assert_close(result.virials, frame.tensor_to_ase(expected.atomic_virials.numpy()), shares)
    if atoms.pbc.all():
        assert_close(result.stress, frame.tensor_to_ase(atoms.get_stress()), RELATIVE)
    if len(result.charges):
        assert_close(result.charges, atoms.get_charges(), RELATIVE)


@pytest.mark.parametrize("name", CELLS)
def test_short_range(short_range_model, tmp_path, name):
    atoms = structure(name)
    one = evaluate(tmp_path / "one", atoms, short_range_model)
    assert_same(one, atoms, short_range_model)
    two = evaluate(tmp_path / "two", atoms, short_range_model, ranks=2)
    for quantity in ("energy", "forces", "stress", "energies", "virials"):
        assert_close(getattr(two, quantity), getattr(one, quantity), BETWEEN_RANKS)


def test_contracted_functions(contracted_model, tmp_path):
    """Whose model file asks for the elements of the centres; on two processes there are ghosts beside them."""
    atoms = structure("slab")
    assert_same(evaluate(tmp_path / "one", atoms, contracted_model), atoms, contracted_model)
    assert_same(evaluate(tmp_path / "two", atoms, contracted_model, ranks=2), atoms, contracted_model)


def test_threads(short_range_model, tmp_path):
    """Blocks of atoms don't depend on each other: the same to the last digit, however many threads share them."""
    atoms = structure("triclinic").repeat(3)
    frame = Frame(atoms, sorted(set(atoms.symbols)))
    script = header(frame, tmp_path) + f"pair_style mhdnn\npair_coeff * * {short_range_model} C Si\n"
    script += 'run 0\nprint "RESULT $(pe:%.17g) $(pxx:%.17g) $(pxy:%.17g) $(fmax:%.17g)"\n'
    lines = set()
    for threads in ("1", "3"):
        output = run_lammps(tmp_path, script, OMP_NUM_THREADS=threads).stdout
        lines |= {line for line in output.splitlines() if line.startswith("RESULT")}
    assert len(lines) == 1


@pytest.mark.parametrize("solver", ["dense", "iterative"])
@pytest.mark.parametrize("name", [name for name in CELLS if name != "wire"])
def test_charges(charge_model, tmp_path, name, solver):
    atoms = structure(name)
    style = f"solver {solver} total_charge 0.5"
    one = evaluate(tmp_path / "one", atoms, charge_model, charges=True, style=style)
    assert_same(one, atoms, charge_model, total_charge=0.5, solver=solver)
    assert one.charges.sum() == pytest.approx(0.5, abs=1e-10)
    two = evaluate(tmp_path / "two", atoms, charge_model, charges=True, ranks=2, style=style)
    for quantity in ("energy", "forces", "stress", "energies", "virials", "charges"):
        assert_close(getattr(two, quantity), getattr(one, quantity), BETWEEN_RANKS)
