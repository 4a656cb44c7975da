"""Labels under the names, in the units and in the layouts that programs of the field write."""

import ase.db
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from mhdnn.data.ase_bridge import LabelKeys, record_from_atoms
from mhdnn.data.convert import convert
from mhdnn.data.label_names import label_of, looks_like_label
from mhdnn.data.store import StoreReader
from mhdnn.errors import DataError
from tests.unit.test_data_convert import converted, frame, from_text

HARTREE, BOHR = 27.211386245988, 0.529177210903  # written out: an independent copy of the constants
EXACT = {"rtol": 1e-12, "atol": 1e-14}
FORCES = "species:S:1:pos:R:3:{}:R:3"
ROW = "H 0 0 0 1 2 3"


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "energy", "Energy", "ENERGY", "TotEnergy", "total_energy", "Total-Energy", "potential_energy", "REF_energy",
            "REF_Energy", "ref_energy", "dft_energy", "DFT_energy", "energy_dft", "energy_ref", "vasp_energy", "Etot",
            "toten", "PBE_energy", "r2scan_energy", "qm_energy", "dft_total_energy",
        ],
    )  # fmt: skip
    def test_energies(self, tmp_path, name):
        assert from_text(tmp_path, frame(f"{name}=-1.5"))[0].energy == -1.5

    @pytest.mark.parametrize("name", ["forces", "force", "Force", "FORCES", "dft_force", "DFT_forces", "REF_forces"])
    def test_forces(self, tmp_path, name):
        (structure,) = from_text(tmp_path, frame("", FORCES.format(name), ROW))
        assert structure.forces.tolist() == [[1, 2, 3]]

    @pytest.mark.parametrize("name", ["Virial", "virial", "VIRIAL", "dft_virial", "REF_virials"])
    def test_virials(self, tmp_path, name):
        (structure,) = from_text(tmp_path, frame(f'energy=1 {name}="-125 0 0 0 -250 0 0 0 -375"'))
        np.testing.assert_allclose(structure.stress, [1, 2, 3, 0, 0, 0], **EXACT)

    @pytest.mark.parametrize(
        "name", ["charges", "charge", "Charge", "hirshfeld_charges", "REF_charges", "mbis", "DDEC6"]
    )
    def test_charges(self, tmp_path, name):
        name = name if "charge" in name.lower() else f"{name}_charges"
        rows = "H 0 0 0 0.25\nH 0 0 1 -0.25"
        (structure,) = from_text(tmp_path, frame("charge=0", f"species:S:1:pos:R:3:{name}:R:1", rows))
        assert structure.charges.tolist() == [0.25, -0.25]
        assert structure.total_charge == 0.0

    @pytest.mark.parametrize(
        "name", ["mace_energy", "MACE_forces", "gap_energy", "nep_force", "nequip_energy", "pred_energy", "energy_ml"]
    )
    def test_predictions_of_models_are_no_labels_and_named(self, tmp_path, name):
        assert not label_of(name)
        assert looks_like_label(name)
        (tmp_path / "in.xyz").write_text(frame(f"{name}=1 REF_energy=2", "species:S:1:pos:R:3:gap_force:R:3", ROW))
        report = convert([tmp_path / "in.xyz"], tmp_path / "out.h5")
        assert StoreReader(tmp_path / "out.h5")[0].energy == 2.0
        assert set(report.sources[0].unused) == {name, "gap_force"}
        assert any("no structure has forces" in message for message in report.warnings)

    @pytest.mark.parametrize(
        "name", ["kinetic_energy", "energy_weight", "force_mask", "energy_sigma", "time", "dipole"]
    )
    def test_what_is_no_label(self, name):
        assert not label_of(name)
        assert not looks_like_label(name)

    def test_total_energies_of_molecular_dynamics_hold_the_kinetic_energy(self, tmp_path):
        text = frame("total_energy=-1 kinetic_energy=0.5 potential_energy=-1.5")
        assert from_text(tmp_path, text)[0].energy == -1.5
        with pytest.raises(DataError, match=r"found no label \(not used: total_energy\)"):
            from_text(tmp_path, frame("total_energy=-1 kinetic_energy=0.5"))

    def test_columns_of_plain_xyz_are_named(self, tmp_path):
        (tmp_path / "in.xyz").write_text("1\nenergy=1\nH 0 0 0 1 2 3\n")
        report = convert([tmp_path / "in.xyz"], tmp_path / "out.h5")
        assert set(report.sources[0].unused) == {"column 5", "column 6", "column 7"}

    def test_a_key_without_value(self, tmp_path):
        with pytest.raises(DataError, match="`energy` must be numbers, found 'True'"):
            from_text(tmp_path, frame("energy"))

    def test_one_key_twice(self, tmp_path):
        with pytest.raises(DataError, match="`energy` stands twice"):
            from_text(tmp_path, frame("energy=1 energy=2"))
        with pytest.raises(DataError, match="`energy` and `Energy` hold different values"):
            from_text(tmp_path, frame("energy=1 Energy=2"))


LATTICE = "4 0 0 0.5 5 0 0 0 6"


class TestGeometry:
    @pytest.mark.parametrize(
        "key", [f'{name}="{LATTICE}"' for name in ("lattice", "LATTICE", "Lattice", "cell", "Lattice_vectors")]
        + [f"lattice={{{LATTICE}}}", f"lattice='{LATTICE}'", "Lattice=[4, 0, 0, 0.5, 5, 0, 0, 0, 6]",
           "Lattice=[[4, 0, 0], [0.5, 5, 0], [0, 0, 6]]"],
    )  # fmt: skip
    def test_lattice_whatever_its_case(self, tmp_path, key):
        (structure,) = from_text(tmp_path, f"1\n{key} PROPERTIES=Species:s:1:Pos:r:3 Energy=1\nh 0 0 0\n")
        assert structure.cell.tolist() == [[4, 0, 0], [0.5, 5, 0], [0, 0, 6]]
        assert structure.pbc.all()
        assert structure.atomic_numbers.tolist() == [1]

    @pytest.mark.parametrize("pbc", ['"T T F"', '"1 1 0"', "[True, True, False]", '"true true false"', "TTF"])
    def test_periodicity(self, tmp_path, pbc):
        (structure,) = from_text(tmp_path, f'1\nlattice="{LATTICE}" PBC={pbc} energy=1\nH 0 0 0\n')
        assert structure.pbc.tolist() == [True, True, False]

    def test_atomic_numbers(self, tmp_path):
        (structure,) = from_text(tmp_path, frame("energy=1", "Z:I:1:pos:R:3", "8 0 0 0"))
        assert structure.atomic_numbers.tolist() == [8]

    @pytest.mark.parametrize(
        ("comment", "message"),
        [
            ('lattice="4 0 0 0 5 0" energy=1', "`lattice` must be nine numbers"),
            ("lattice=cubic energy=1", "`lattice` must be nine numbers"),
            ('box="4 5 6" energy=1', "`box` must be nine numbers"),
            (f'lattice="{LATTICE}" pbc="T T" energy=1', "`pbc` must be three times T or F"),
            (f'lattice="{LATTICE}" pbc="yes" energy=1', "`pbc` must be three times T or F"),
            ("Properties=species:S:1:x:R:3 energy=1", "must have three columns `pos`"),
            ("Properties=x:S:1:pos:R:3 energy=1", "must have a column of elements"),
            ("Properties=species:S:1:pos:R energy=1", "must be NAME:TYPE:COLUMNS"),
            ("Properties=species:S:1:pos:Q:3 energy=1", "must be NAME:TYPE:COLUMNS"),
            ("Properties=species:S:1:pos:R:3000000000 energy=1", "must be NAME:TYPE:COLUMNS"),
        ],
    )
    def test_refused(self, tmp_path, comment, message):
        with pytest.raises(DataError, match=message):
            from_text(tmp_path, f"1\n{comment}\nH 0 0 0\n")


class TestUnits:
    COLUMNS = FORCES.format("force")

    def test_of_each_label(self, tmp_path):
        info = 'energy=-1 energy-unit=Hartree force-unit=Ha/bohr stress="1 2 3 4 5 6" stress-unit=GPa'
        (structure,) = from_text(tmp_path, frame(info, self.COLUMNS, ROW))
        assert structure.energy == pytest.approx(-HARTREE, rel=1e-12)
        np.testing.assert_allclose(structure.forces, np.array([[1, 2, 3]]) * HARTREE / BOHR, rtol=1e-12)
        np.testing.assert_allclose(structure.stress, np.arange(1, 7) / 160.2176634, rtol=1e-12)
        assert structure.cell[0, 0] == 5.0

    @pytest.mark.parametrize("key", ["energy_unit", "energy_units", "EnergyUnit", "unit_energy", "units_of_energy"])
    def test_spellings_of_the_key(self, tmp_path, key):
        assert from_text(tmp_path, frame(f"energy=1 {key}=meV"))[0].energy == 1e-3

    @pytest.mark.parametrize("energy", ["energy_meV=1", "energy='1 meV'", '"energy [meV]"=1', "energy(meV)=1"])
    def test_beside_the_name_or_the_number(self, tmp_path, energy):
        assert from_text(tmp_path, frame(energy))[0].energy == 1e-3

    def test_lengths_and_systems(self, tmp_path):
        (structure,) = from_text(tmp_path, frame("energy=1 units=hartree-bohr", self.COLUMNS, "H 1 0 0 1 2 3"))
        assert structure.energy == pytest.approx(HARTREE)
        assert structure.cell[1, 1] == pytest.approx(5 * BOHR)
        assert structure.positions[0, 0] == pytest.approx(BOHR)
        assert structure.forces[0, 2] == pytest.approx(3 * HARTREE / BOHR)

    def test_a_length_alone(self, tmp_path):
        (structure,) = from_text(tmp_path, frame("energy=1 units=angstrom", self.COLUMNS, ROW))
        assert (structure.energy, structure.cell[0, 0]) == (1.0, 5.0)

    def test_a_virial_is_an_energy(self, tmp_path):
        info = 'energy=1 energy-unit=hartree virial="125 0 0 0 125 0 0 0 125"'
        (structure,) = from_text(tmp_path, frame(info))
        assert structure.stress[0] == pytest.approx(-HARTREE)

    def test_in_a_database(self, tmp_path):
        atoms = molecule("H2O")
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
        with ase.db.connect(tmp_path / "in.db") as database:
            database.write(atoms, energy_unit="hartree")
        assert converted(tmp_path, tmp_path / "in.db")[0].energy == pytest.approx(-HARTREE)

    @pytest.mark.parametrize(
        ("info", "message"),
        [
            ("energy=1 energy-unit=furlong", "frame 0: `energy-unit`: unknown unit `furlong` of energy"),
            ("energy=1 energy-unit=eV/A", "unknown unit `eV/A` of energy"),
            ("energy=1 energy-unit=eV/atom", "unknown unit `eV/atom`"),
            ("energy=1 units=cgs", "units 'cgs' are not understood"),
            ("energy=1 energy-unit=hartree", "names the unit of energy, but not of `force`; add .*`force-unit=...`"),
        ],
    )
    def test_refused(self, tmp_path, info, message):
        with pytest.raises(DataError, match=message):
            from_text(tmp_path, frame(info, self.COLUMNS, ROW))


class TestStress:
    def test_equal_in_different_shapes(self, tmp_path):
        six = '"1 2 3 4 5 6"'
        nine = '"1 6 5 6 2 4 5 4 3"'
        for first, second in ((six, nine), (nine, six), (nine, nine)):
            (structure,) = from_text(tmp_path, frame(f"energy=1 stress={first} REF_stress={second}"))
            assert structure.stress.tolist() == [1, 2, 3, 4, 5, 6]

    def test_contradicting_virial(self, tmp_path):
        stress = 'stress="1 0 0 0 1 0 0 0 1"'
        (structure,) = from_text(tmp_path, frame(f'energy=1 {stress} virial="-125 0 0 0 -125.01 0 0 0 -125"'))
        assert structure.stress.tolist() == [1, 1, 1, 0, 0, 0]
        contradicting = frame(f'energy=1 {stress} virial="125 0 0 0 125 0 0 0 125"')
        with pytest.raises(DataError, match="`stress` and `virial` contradict each other"):
            from_text(tmp_path, contradicting)
        (structure,) = from_text(tmp_path, contradicting, LabelKeys(virial="virial"))
        assert structure.stress[0] == pytest.approx(-1.0)
        (structure,) = from_text(tmp_path, contradicting, LabelKeys(stress="stress"))
        assert structure.stress[0] == 1.0


class TestFreeEnergy:
    def record(self, keys=None, **results):
        atoms = molecule("H2O")
        atoms.calc = SinglePointCalculator(atoms, **results)
        return record_from_atoms(atoms, keys)

    def test_is_taken_where_both_are_there(self):
        record = self.record(energy=-1.0, free_energy=-1.1)
        assert (record.structure.energy, record.energy_kind) == (-1.1, "free")

    def test_one_number_is_of_unknown_kind(self):
        assert self.record(energy=-1.0).energy_kind is None
        assert self.record(free_energy=-1.0).energy_kind == "free"

    def test_chosen(self):
        record = self.record(LabelKeys(energy="energy"), energy=-1.0, free_energy=-1.1)
        assert (record.structure.energy, record.energy_kind) == (-1.0, "extrapolated")
        record = self.record(LabelKeys(energy="free_energy"), energy=-1.0, free_energy=-1.1)
        assert (record.structure.energy, record.energy_kind) == (-1.1, "free")
        assert self.record(LabelKeys(energy="energy"), energy=-1.0, free_energy=-1.0).energy_kind == "free"

    def test_something_else_called_so(self):
        with pytest.raises(DataError, match="differ by more than smearing does"):
            self.record(energy=-1.0, free_energy=-3.0)

    def test_reaches_the_dataset(self, tmp_path):
        text = frame("energy=-1 free_energy=-1.1")
        assert from_text(tmp_path, text)[0].energy == -1.1
        assert StoreReader(tmp_path / "out.h5").attributes == {"energy_kind": "free"}


class TestBrokenFrames:
    @pytest.mark.parametrize(
        "broken",
        [
            "2\nenergy=2\nH 0 0 0\n",
            "1\nenergy=2\nH 0 0 0\nH 0 0 1\n",
            "1\nenergy=2\nH 0 x 0\n",
            "-5\n",
            "99999999999999999999\n",
            "99999999\nenergy=2\nH 0 0 0\n",
            "stray text\n",
        ],
    )
    def test_is_skipped_alone(self, tmp_path, broken):
        good = "1\nenergy={}\nH 0 0 0\n"
        (tmp_path / "in.xyz").write_text(good.format(1) + good.format(1.5) * (broken != "stray text\n") + broken)
        (tmp_path / "next.xyz").write_text(broken + good.format(3) + good.format(4))
        report = convert([tmp_path / "in.xyz", tmp_path / "next.xyz"], tmp_path / "out.h5", skip_invalid=True)
        energies = [structure.energy for structure in StoreReader(tmp_path / "out.h5")]
        assert energies[-2:] == [3.0, 4.0]
        assert report.skipped == 2
        if broken != "stray text\n":  # behind a frame it could be one of its atoms
            assert energies == [1.0, 1.5, 3.0, 4.0]
            assert "in.xyz: frame 2" in report.reasons[0]

    @pytest.mark.parametrize("first", [b"\xef\xbb\xbf1\n", b"1\n"])
    def test_byte_order_mark_and_latin1(self, tmp_path, first):
        (tmp_path / "in.xyz").write_bytes(first + b"energy=1 config_type=W\xfcrfel\nH 0 0 0\n")
        assert converted(tmp_path, tmp_path / "in.xyz")[0].group == "Würfel"

    def test_comment_that_is_a_number(self, tmp_path):
        (tmp_path / "in.xyz").write_text("1\n17\nH 0 0 0\n1\nenergy=2\nH 0 0 0\n")
        report = convert([tmp_path / "in.xyz"], tmp_path / "out.h5", skip_invalid=True)
        assert (report.num_structures, report.skipped) == (1, 1)


class TestInitialCharges:
    def read(self, charges):
        atoms = Atoms("NaCl", [[0, 0, 0], [0, 0, 2.5]])
        atoms.set_initial_charges(charges)
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
        return record_from_atoms(atoms)

    def test_partial_charges_are_taken(self):
        record = self.read([0.8, -0.8])
        assert record.structure.charges.tolist() == [0.8, -0.8]
        assert record.unused == ()

    def test_oxidation_states_are_not_and_named(self):
        record = self.read([1, -1])
        assert record.structure.charges is None
        assert record.unused == ("initial_charges",)
        assert self.read([0, 0]).unused == ()


class TestGroups:
    @pytest.mark.parametrize(
        ("name", "group"),
        [
            ("Li0.25CoO2.xyz", "Li0.25CoO2"),
            ("Li0.5CoO2.extxyz", "Li0.5CoO2"),
            ("T300.P1.0.xyz.gz", "T300.P1.0"),
            ("a.b", "a.b"),
            ("OUTCAR_Li0.5CoO2", "OUTCAR_Li0.5CoO2"),
        ],
    )
    def test_what_is_behind_a_dot_is_kept(self, name, group):
        from pathlib import Path

        from mhdnn.data.readers import default_group

        assert default_group(Path("runs") / name) == group
        for name in ("OUTCAR", "OUTCAR.3.gz", "vasprun.xml", "input.data"):
            assert default_group(Path("runs") / name) == "runs"


AENET = """\
# total energy = -100.5 eV

CRYSTAL
PRIMVEC
 4.0 0.0 0.0
 0.0 5.0 0.0
 0.0 0.0 6.0
PRIMCOORD
2 1
Ti 0.0 0.0 0.0  0.1 0.2 0.3
O  1.0 1.5 2.0 -0.1 -0.2 -0.3
"""


class TestAenet:
    def test_energy_of_the_comment_and_forces(self, tmp_path):
        (structure,) = from_text(tmp_path, AENET, name="tio2.xsf")
        assert structure.energy == -100.5
        np.testing.assert_allclose(structure.forces, [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]], rtol=1e-12)
        assert structure.cell.tolist() == [[4, 0, 0], [0, 5, 0], [0, 0, 6]]

    def test_unit_of_the_comment(self, tmp_path):
        (structure,) = from_text(tmp_path, AENET.replace("-100.5 eV", "-1.0 Ha"), name="tio2.xsf")
        assert structure.energy == pytest.approx(-HARTREE)
        with pytest.raises(DataError, match="unknown unit"):
            from_text(tmp_path, AENET.replace("-100.5 eV", "-1.0 foe"), name="tio2.xsf")

    def test_of_xcrysden(self, tmp_path):
        (structure,) = from_text(tmp_path, AENET.split("\n", 1)[1], name="tio2.xsf")
        assert structure.energy is None
        np.testing.assert_allclose(structure.forces[0], np.array([0.1, 0.2, 0.3]) * HARTREE, rtol=1e-6)


N2P2 = "begin\nlattice 9 0 0\nlattice 0 9 0\nlattice 0 0 9\natom 1 2 3 H 0 0 0.1 0.2 0.3\nenergy {}\ncharge 0\nend\n"


class TestN2p2:
    @pytest.mark.parametrize(
        "text",
        [
            N2P2.replace(" ", "\t"),
            "# made by\n\n" + N2P2,
            N2P2.replace("9 0 0\n", "9 0 0 # a\n"),
            N2P2.replace("energy", " energy"),
        ],
    )
    def test_tabs_and_comments(self, tmp_path, text):
        (structure,) = from_text(tmp_path, text.format(-1), name="input.data", units="ev-angstrom")
        assert structure.energy == -1.0
        assert structure.forces.tolist() == [[0.1, 0.2, 0.3]]
        assert structure.cell[0].tolist() == [9, 0, 0]

    @pytest.mark.parametrize(
        "broken", [N2P2.format(2).replace("end\n", ""), N2P2.format("x"), "end\n", "energy 1\ncharge 0\n"]
    )
    def test_a_broken_block_is_skipped_alone(self, tmp_path, broken):
        from mhdnn.data.readers import ReadOptions

        (tmp_path / "input.data").write_text(N2P2.format(1) + broken + N2P2.format(3))
        read = ReadOptions(units="ev-angstrom")
        report = convert([tmp_path / "input.data"], tmp_path / "out.h5", read, skip_invalid=True)
        assert [structure.energy for structure in StoreReader(tmp_path / "out.h5")] == [1.0, 3.0]
        assert report.skipped == 1
        assert "frame 1" in report.reasons[0]

    @pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
    def test_compressed(self, tmp_path, suffix):
        import bz2
        import gzip
        import lzma

        module = {".gz": gzip, ".bz2": bz2, ".xz": lzma}[suffix]
        (tmp_path / f"input.data{suffix}").write_bytes(module.compress(N2P2.format(1).encode()))
        from mhdnn.data.readers import ReadOptions

        convert([tmp_path / f"input.data{suffix}"], tmp_path / "out.h5", ReadOptions(units="ev-angstrom"))
        assert StoreReader(tmp_path / "out.h5")[0].energy == 1.0


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_compressed_files_that_ase_reads(tmp_path, suffix):
    import bz2
    import gzip
    import lzma

    import ase.io

    atoms = molecule("H2O")
    atoms.calc = SinglePointCalculator(atoms, energy=-14.0)
    ase.io.write(tmp_path / "in.traj", atoms)
    module = {".gz": gzip, ".bz2": bz2, ".xz": lzma}[suffix]
    (tmp_path / f"in.traj{suffix}").write_bytes(module.compress((tmp_path / "in.traj").read_bytes()))
    (structure,) = converted(tmp_path, tmp_path / f"in.traj{suffix}")
    assert structure.energy == -14.0
    assert structure.group == "in"
    (tmp_path / f"cut.traj{suffix}").write_bytes(module.compress((tmp_path / "in.traj").read_bytes())[:-30])
    with pytest.raises(DataError, match=rf"cut\.traj\{suffix}"):
        converted(tmp_path, tmp_path / f"cut.traj{suffix}")
