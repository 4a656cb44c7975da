"""The dataset check finds what was broken on purpose, and nothing in a sound set."""

import h5py
import numpy as np
import pytest
from rich.console import Console

from mhdnn.data.check import check, energy_outliers, structure_hash
from mhdnn.data.commands import print_check
from mhdnn.data.store import StoreReader, StoreWriter
from mhdnn.errors import DataError
from mhdnn.structure import Structure
from mhdnn.units import BOHR


def crystal(seed: int, scale: float = 1.0) -> Structure:
    """Eight carbon atoms of diamond, shaken by 0.03 Å, on springs of 15 eV/Å² to their sites."""
    rng = np.random.default_rng(seed)
    corner = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]])
    fractional = np.concatenate([corner, corner + 1]) / 4
    moves = rng.normal(scale=0.03, size=(8, 3))
    moves -= moves.mean(axis=0)
    return Structure(
        atomic_numbers=np.full(8, 6),
        positions=(fractional * 3.57 + moves) * scale,
        cell=3.57 * scale * np.eye(3),
        pbc=np.ones(3, bool),
        energy=-72.0 + 7.5 * float((moves**2).sum()),
        forces=-15.0 * moves,
        stress=rng.normal(scale=0.01, size=6),
        group=f"diamond/{seed}",
    )


def write(path, structures):
    with StoreWriter(path, {"functional": "PBE"}) as writer:
        for structure in structures:
            writer.append(structure)
    return path


@pytest.fixture
def crystals():
    return [crystal(seed) for seed in range(30)]


def warnings_of(tmp_path, structures):
    report = check(write(tmp_path / "a.h5", structures))
    assert report.errors == []
    return " | ".join(report.warnings)


class TestSound:
    def test_numbers(self, tmp_path, crystals):
        report = check(write(tmp_path / "a.h5", crystals))
        assert report.errors == []
        assert report.warnings == []
        assert (report.num_structures, report.num_atoms, report.num_groups) == (30, 240, 30)
        assert report.elements == {"C": 240}
        assert report.families == {"diamond": 30}
        assert report.labels == {"energy": 30, "forces": 30, "stress": 30}
        energies = np.array([s.energy for s in crystals]) / 8
        assert report.energy_per_atom == pytest.approx((energies.min(), np.median(energies), energies.max()))
        forces = np.concatenate([s.forces for s in crystals])
        assert report.force_rms == pytest.approx(np.sqrt((forces**2).mean()))
        assert report.force_max == pytest.approx(max(np.linalg.norm(force) for force in forces))
        stresses = np.array([s.stress for s in crystals]) * 160.2176634
        assert report.stress_range == pytest.approx((stresses.min(), stresses.max()))

    def test_printed(self, tmp_path, crystals):
        crystals[3].energy = 400.0
        console = Console(record=True, width=100)
        print_check(check(write(tmp_path / "a.h5", crystals)), console)
        text = console.export_text()
        assert "C 240" in text
        assert "GPa" in text
        assert "functional" in text
        assert "warning: 1 have an energy far from the others of their composition: 3" in text

    def test_texts_of_the_file_are_printed_as_they_are(self, tmp_path, crystals):
        crystals[3].energy, crystals[4].group = 1e300, "[red]"
        with StoreWriter(tmp_path / "[red].h5", {"source": "[/bold] and [0, 1]"}) as writer:
            for structure in crystals:
                writer.append(structure)
        console = Console(record=True, width=120)
        print_check(check(tmp_path / "[red].h5"), console)
        text = console.export_text()
        for part in ("[red].h5", "[/bold] and [0, 1]", "[red] 1", "to 1.25e+299,"):
            assert part in text

    def test_molecules_and_slabs(self, tmp_path):
        water = Structure(
            np.array([8, 1, 1]),
            np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]),
            np.zeros((3, 3)),
            np.zeros(3, bool),
            energy=-14.2,
        )
        graphene = Structure(
            np.array([6, 6]),
            np.array([[0, 0, 0], [1.23, 0.71, 0]]),
            np.array([[2.46, 0, 0], [1.23, 2.13, 0], [0, 0, 0]]),
            np.array([True, True, False]),
            energy=-18.4,
        )
        atom = Structure(np.array([6]), np.zeros((1, 3)), np.zeros((3, 3)), np.zeros(3, bool), energy=-1.3)
        hydrogen = Structure(
            np.array([1, 1]), np.array([[0, 0, 0], [0.74, 0, 0]]), np.zeros((3, 3)), np.zeros(3, bool), energy=-6.7
        )
        report = check(write(tmp_path / "a.h5", [water, graphene, atom, hydrogen]))
        assert report.errors == []
        assert report.warnings == []


class TestErrors:
    def test_broken_structures_are_all_named(self, tmp_path, crystals):
        path = write(tmp_path / "a.h5", crystals)
        with h5py.File(path, "r+") as file:
            file["forces"][8 * 4, 0] = np.nan
            file["positions"][8 * 9, 0] = np.inf
        report = check(path)
        assert len(report.errors) == 2
        assert "array `forces`, structure 4" in report.errors[0]
        assert "structure 9: `positions`" in report.errors[1]
        assert report.labels["energy"] == 28

    def test_no_label(self, tmp_path, crystals):
        for structure in crystals:
            structure.energy = structure.forces = structure.stress = None
        report = check(write(tmp_path / "a.h5", crystals))
        assert len(report.errors) == 1
        assert "no structure has a label" in report.errors[0]

    def test_atoms_at_the_same_place(self, tmp_path, crystals):
        crystals[2].positions[1] = crystals[2].positions[0] + [0.0, 3.57, 0.0]
        report = check(write(tmp_path / "a.h5", crystals))
        assert report.errors == [
            f"{tmp_path / 'a.h5'}: 1 have two atoms at the same place: 2; remove them, or correct the positions"
        ]

    def test_atoms_far_away_and_flat_cells(self, tmp_path, crystals):
        crystals[2].pbc[:], crystals[2].cell[:] = False, 0.0
        crystals[2].positions[1, 0] = 1e6
        crystals[3].cell[2] *= 1e-3
        crystals[3].positions[:, 2] *= 1e-3
        crystals[4].positions[1, 0] += 3.57 * 300_000
        report = check(write(tmp_path / "a.h5", crystals))
        assert len(report.errors) == 2
        assert "structure 2: `positions`: atom 1 is 1e+06 Å from the middle" in report.errors[0]
        assert "1 have two atoms at the same place: 3" in report.errors[1]
        assert "2 have atoms over 1000 Å away from the others, beyond the cell: 2, 4" in " | ".join(report.warnings)

    def test_unknown_split_words(self, tmp_path, crystals):
        with StoreWriter(tmp_path / "a.h5") as writer:
            for structure in crystals:
                writer.append(structure, split="validation")
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            file["split"][3:7] = "val"
        (error,) = check(tmp_path / "a.h5").errors
        assert "array `split`: expected train, validation, test, found 'val' of 4 structures" in error
        with pytest.raises(DataError, match="found 'val' of 4 structures; rename the words"):
            _ = StoreReader(tmp_path / "a.h5").split

    def test_file_that_can_not_be_read(self, tmp_path):
        (tmp_path / "a.h5").write_bytes(b"nothing")
        with pytest.raises(DataError):
            check(tmp_path / "a.h5")


class TestWarnings:
    def test_duplicates(self, tmp_path, crystals):
        copy = crystal(7)
        copy.positions += 1e-7  # as after printing with fewer digits
        contradiction = crystal(6)
        contradiction.energy += 1.0
        text = warnings_of(tmp_path, [*crystals, copy, contradiction])
        assert "2 are duplicates (first, later): (7, 30), (6, 31)" in text
        assert "1 are duplicates with energies over 1 meV/atom apart: (6, 31)" in text

    def test_net_force(self, tmp_path, crystals):
        crystals[7].forces[:, 0] += 0.05
        assert "1 have a net force above 0.01 eV/Å per atom: 7" in warnings_of(tmp_path, crystals)

    def test_close_atoms(self, tmp_path, crystals):
        crystals[2].positions[1] = crystals[2].positions[0] + [0.3, 0.4, 0.0]
        assert "1 have atoms nearer than 0.6 times their covalent radii: 2" in warnings_of(tmp_path, crystals)

    def test_close_to_the_own_image(self, tmp_path, crystals):
        chain = Structure(np.array([6]), np.zeros((1, 3)), np.diag([0.5, 0, 0]), np.array([1, 0, 0], bool), energy=-9.0)
        assert "nearer than" in warnings_of(tmp_path, [*crystals, chain])

    def test_energy_outliers(self, tmp_path, crystals):
        crystals[11].energy += 8.0
        text = warnings_of(tmp_path, crystals)
        assert "1 have an energy far from the others of their composition: 11" in text

    def test_charges(self, tmp_path, crystals):
        for structure in crystals:
            structure.charges, structure.total_charge = np.zeros(8), 0.0
        crystals[3].charges = np.full(8, 0.1)
        assert "1 have charges that miss the total charge by over 0.05 e: 3" in warnings_of(tmp_path, crystals)

    def test_numbers_of_electrons(self, tmp_path, crystals):
        for structure in crystals:
            structure.charges = np.full(8, 4.0)
        assert "30 have charges that are nowhere negative" in warnings_of(tmp_path, crystals)

    def test_reference_energies_that_are_open(self, tmp_path, crystals):
        for structure in crystals:
            structure.atomic_numbers[::2] = 14
        text = warnings_of(tmp_path, crystals)
        assert "reference energies are not determined: C and Si occur only in the ratio 1:1" in text
        assert "initialization.reference_energies={C: ...,Si: ...}" in text

    def test_bohr(self, tmp_path):
        text = warnings_of(tmp_path, [crystal(seed, 1 / BOHR) for seed in range(10)])
        assert "lengths look like bohr" in text

    def test_lengths_converted_twice(self, tmp_path):
        text = warnings_of(tmp_path, [crystal(seed, BOHR) for seed in range(10)])
        assert "lengths are not in Å" in text

    def test_hartree_energies(self, tmp_path, crystals):
        for structure in crystals:
            structure.energy /= 27.211386 * 2
        assert "median energy is -0.165 eV/atom" in warnings_of(tmp_path, crystals)

    def test_forces_and_stress_of_another_unit(self, tmp_path, crystals):
        for structure in crystals:
            structure.forces *= 100
            structure.stress *= 1602.1766  # kbar
        text = warnings_of(tmp_path, crystals)
        assert "the largest force is" in text
        assert "GPa or kbar" in text


def test_outliers_do_not_depend_on_reference_energies():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 20, size=(200, 2))
    energies = counts @ np.array([-19960.0, -430.0]) + counts.sum(axis=1) * rng.normal(scale=0.05, size=200)
    assert energy_outliers(energies, counts).tolist() == []
    energies[[17, 60]] += counts[[17, 60]].sum(axis=1) * np.array([2.0, -4.0])
    assert energy_outliers(energies, counts).tolist() == [60, 17]


def test_hash_sees_every_part():
    reference = structure_hash(crystal(0))
    assert structure_hash(crystal(0)) == reference
    for name, value in (("atomic_numbers", np.full(8, 14)), ("cell", 4 * np.eye(3)), ("pbc", np.zeros(3, bool))):
        changed = crystal(0)
        setattr(changed, name, value)
        assert structure_hash(changed) != reference


def test_split_is_counted(tmp_path, crystals):
    with StoreWriter(tmp_path / "a.h5") as writer:
        for structure in crystals:
            writer.append(structure, split="train")
    assert check(tmp_path / "a.h5").split == {"train": 30}
    assert StoreReader(tmp_path / "a.h5").split is not None
