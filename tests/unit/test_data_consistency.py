"""Labels that contradict the energies, on copper of ASE's EMT, whose forces and stress are exact derivatives."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT

from mhdnn.data import consistency
from mhdnn.data.check import check
from mhdnn.data.consistency import Consistency
from mhdnn.data.store import StoreWriter
from tests.builders import structure_of

GPA = 1 / 160.21766208


def labelled(atoms):
    atoms.calc = EMT()
    stress = atoms.get_stress() if atoms.pbc.all() else None
    return structure_of(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces(), stress=stress)


def strained(seed):
    atoms = bulk("Cu", cubic=True, a=3.6)
    noise = np.random.default_rng(seed).normal(scale=0.015, size=(3, 3))
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + 0.5 * (noise + noise.T)), scale_atoms=True)
    return labelled(atoms)


def shaken(seed):
    atoms = bulk("Cu", cubic=True, a=3.6)
    atoms.rattle(0.04, seed=seed)
    atoms.positions[0] += atoms.cell[1]  # as after crossing a boundary
    return labelled(atoms)


@pytest.fixture(scope="module")
def copper():
    return [strained(seed) for seed in range(20)] + [shaken(seed) for seed in range(20)]


def verdicts(structures, forces=1.0, stress=1.0, pressure=0.0):
    comparison = Consistency()
    for number, structure in enumerate(structures):
        changes = {}
        if structure.forces is not None:
            changes["forces"] = forces * structure.forces
        if structure.stress is not None:
            changes["stress"] = stress * structure.stress + pressure * GPA * np.array([1, 1, 1, 0, 0, 0])
        comparison.add(number, replace(structure, **changes))
    return {verdict.label: verdict for verdict in comparison.verdicts()}


def test_exact_derivatives_agree(copper):
    found = verdicts(copper)
    assert set(found) == {"forces", "stress"}
    for verdict in found.values():
        assert not verdict.contradicts
        assert verdict.ratio < 0.05
        assert verdict.factor == pytest.approx(1, abs=0.05)
    assert found["stress"].offset == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("factor", [-1.0, 0.5, 0.529177, 25.7])
@pytest.mark.parametrize("label", ["forces", "stress"])
def test_the_wrong_one_is_named_with_its_factor(copper, label, factor):
    found = verdicts(copper, **{label: factor})
    other = "stress" if label == "forces" else "forces"
    assert found[label].contradicts
    assert found[label].factor == pytest.approx(1 / factor, rel=0.05)
    assert not found[other].contradicts


def test_a_pressure_that_is_missing(copper):
    found = verdicts(copper, pressure=-3.0)
    assert found["stress"].contradicts
    assert found["stress"].factor == pytest.approx(1, abs=0.05)
    assert found["stress"].offset == pytest.approx(3, abs=0.5)
    assert "loss.stress_weight=0" in found["stress"].text()
    assert not found["forces"].contradicts


def test_small_errors_of_convergence_pass(copper):
    assert not any(verdict.contradicts for verdict in verdicts(copper, pressure=0.1).values())


def test_energies_of_another_unit(copper):
    scaled = [replace(structure, energy=structure.energy / 27.2114) for structure in copper]
    found = verdicts(scaled)
    assert found["forces"].contradicts
    assert found["stress"].contradicts


def test_slabs_and_structures_without_forces_or_stress():
    slabs = []
    for seed in range(8):
        atoms = fcc111("Cu", (2, 2, 2), a=3.6, vacuum=None)
        atoms.pbc = (True, True, False)
        atoms.cell[2] = 0.0
        atoms.rattle(0.03, seed=seed)
        slabs.append(labelled(atoms))
    assert not verdicts(slabs)["forces"].contradicts
    assert verdicts(slabs, forces=-1.0)["forces"].contradicts
    only_stress = [replace(strained(seed), forces=None) for seed in range(8)]
    assert not verdicts(only_stress)["stress"].contradicts
    assert verdicts(only_stress, stress=-1.0)["stress"].contradicts
    assert verdicts([replace(strained(seed), stress=None) for seed in range(8)]) == {}


def test_other_charges_are_other_energies(copper):
    charged = [replace(s, energy=s.energy + 5.0 * (n % 2), total_charge=float(n % 2)) for n, s in enumerate(copper)]
    assert not any(verdict.contradicts for verdict in verdicts(charged).values())


def test_work_is_bounded(copper, monkeypatch):
    monkeypatch.setattr(consistency, "EARLIER_STRUCTURES", 3)
    monkeypatch.setattr(consistency, "MOST_COMPARED_ATOMS", 100)
    comparison = Consistency()
    for number, structure in enumerate(copper):
        comparison.add(number, structure)
    assert 0 < len(comparison.pairs) < 40
    assert all(pair.second - pair.first <= 3 for pair in comparison.pairs)


def test_check_names_it(copper, tmp_path):
    with StoreWriter(tmp_path / "a.h5") as writer:
        for structure in copper:
            writer.append(replace(structure, stress=-structure.stress))
    (text,) = [text for text in check(tmp_path / "a.h5").warnings if "contradict" in text]
    assert text.startswith("stress contradicts the energies: in ")
    assert "they would agree best multiplied by -1.0" in text


def test_a_family_from_elsewhere_is_named():
    """A ninth of the structures has forces of the other sign; neither medians nor factor of all pairs show it."""
    others = [replace(shaken(seed), group=f"others/{seed}") for seed in range(200, 220)]
    flipped = [replace(structure, forces=-structure.forces) for structure in others]
    sound = [replace(shaken(seed), group=f"copper/{seed}") for seed in range(160)]
    assert not any(verdict.contradicts for verdict in _verdicts_by_family(sound + others))
    (found,) = [verdict for verdict in _verdicts_by_family(sound + flipped) if verdict.contradicts]
    assert (found.label, found.family) == ("forces", "others")
    assert found.factor == pytest.approx(-1, abs=0.1)
    assert "forces of the family 'others' contradict the energies" in found.text()


def _verdicts_by_family(structures):
    comparison = Consistency()
    for number, structure in enumerate(structures):
        comparison.add(number, structure)
    return comparison.verdicts()
