"""Every source format gives the same structure as written by hand or as ASE reads it."""

import subprocess
import sys

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from mhdnn.cli import main
from mhdnn.data.ase_bridge import LabelKeys, atoms_from_structure, structure_from_atoms, voigt_stress
from mhdnn.data.convert import convert
from mhdnn.data.readers import ReadOptions, detect_format
from mhdnn.data.store import StoreReader
from mhdnn.errors import ConfigError, DataError

HARTREE, BOHR = 27.211386245988, 0.529177210903  # written out: an independent copy of the constants
EXACT = {"rtol": 1e-12, "atol": 1e-14}

TWO_FRAMES = """\
2
Lattice="4.0 0.0 0.0 0.5 5.0 0.0 0.0 0.0 6.0" Properties=species:S:1:pos:R:3:forces:R:3 \
energy=-1.5 stress="1 2 3 2 4 5 3 5 6" pbc="T T F" config_type=slab
Li 0.0 0.1 0.2 1.0 2.0 3.0
C  1.5 1.6 1.7 -1.0 -2.0 -3.0
1

H 0.0 0.0 0.0
"""


def frame(info: str, columns: str = "species:S:1:pos:R:3", rows: str = "H 0 0 0") -> str:
    return f'{len(rows.splitlines())}\nLattice="5 0 0 0 5 0 0 0 5" Properties={columns} {info}\n{rows}\n'


def converted(tmp_path, sources, keys=None, **options):
    """The structures after a conversion."""
    read = ReadOptions(
        options.pop("format", None), options.pop("units", None), keys or LabelKeys(), options.pop("group", None)
    )
    convert([sources] if not isinstance(sources, list) else sources, tmp_path / "out.h5", read, **options)
    return list(StoreReader(tmp_path / "out.h5"))


def from_text(tmp_path, text, keys=None, name="in.xyz", **options):
    (tmp_path / name).write_text(text)
    return converted(tmp_path, tmp_path / name, keys, **options)


class TestExtxyz:
    def test_by_hand(self, tmp_path):
        (structure,) = from_text(tmp_path, TWO_FRAMES.split("1\n\nH")[0])
        assert structure.atomic_numbers.tolist() == [3, 6]
        assert structure.positions.tolist() == [[0, 0.1, 0.2], [1.5, 1.6, 1.7]]
        assert structure.cell.tolist() == [[4, 0, 0], [0.5, 5, 0], [0, 0, 6]]
        assert structure.pbc.tolist() == [True, True, False]
        assert structure.energy == -1.5
        assert structure.forces.tolist() == [[1, 2, 3], [-1, -2, -3]]
        assert structure.stress.tolist() == [1, 4, 6, 5, 3, 2]  # xx yy zz yz xz xy
        assert structure.charges is None
        assert structure.total_charge is None
        assert structure.group == "slab"

    def test_as_ase_reads_it(self, tmp_path):
        images = []
        rng = np.random.default_rng(0)
        for number in range(3):
            atoms = bulk("Cu", cubic=True) * (1, 1, number + 1)
            atoms.rattle(0.1, seed=number)
            labels = {"energy": -3.0 * number, "forces": rng.normal(size=(len(atoms), 3)), "stress": rng.normal(size=6)}
            atoms.calc = SinglePointCalculator(atoms, **labels)
            images.append(atoms)
        ase.io.write(tmp_path / "in.extxyz", images)
        structures = converted(tmp_path, tmp_path / "in.extxyz")
        for structure, atoms in zip(structures, ase.io.read(tmp_path / "in.extxyz", ":"), strict=True):
            np.testing.assert_array_equal(structure.positions, atoms.positions)
            np.testing.assert_array_equal(structure.forces, atoms.get_forces())
            np.testing.assert_array_equal(structure.stress, atoms.get_stress())
            assert structure.energy == atoms.get_potential_energy()
            assert structure.group == "in"

    def test_compressed_and_with_blank_lines_between_frames(self, tmp_path):
        import gzip

        with gzip.open(tmp_path / "in.xyz.gz", "wt") as file:
            file.write(frame("energy=1") + "\n\n" + frame("energy=2"))
        assert [s.energy for s in converted(tmp_path, tmp_path / "in.xyz.gz")] == [1.0, 2.0]

    @pytest.mark.parametrize(
        "stress",
        [
            'stress="1 0 0 0 2 0 0 0 3"',
            'stress="1 2 3 0 0 0"',
            'REF_stress="1 2 3 0 0 0"',
            'virial="-125 0 0 0 -250 0 0 0 -375"',
            'virials="-125 0 0 0 -250 0 0 0 -375"',
        ],
    )
    def test_stress_in_every_form(self, tmp_path, stress):
        (structure,) = from_text(tmp_path, frame(f"energy=1 {stress}"))  # the volume is 125 Å³
        np.testing.assert_allclose(structure.stress, [1, 2, 3, 0, 0, 0], **EXACT)

    def test_charges(self, tmp_path):
        rows = "H 0 0 0 0.25\nH 0 0 1 -0.25"
        (structure,) = from_text(tmp_path, frame("total_charge=-0.0", "species:S:1:pos:R:3:charge:R:1", rows))
        assert structure.charges.tolist() == [0.25, -0.25]
        assert str(structure.total_charge) == "0.0"

    def test_usual_names_of_reference_labels(self, tmp_path):
        text = frame("REF_energy=-2", "species:S:1:pos:R:3:REF_forces:R:3", "H 0 0 0 1 2 3")
        (structure,) = from_text(tmp_path, text)
        assert structure.energy == -2.0
        assert structure.forces.tolist() == [[1, 2, 3]]

    def test_chosen_keys(self, tmp_path):
        text = frame("energy=1 free_energy=2 mine=3 origin=here", "species:S:1:pos:R:3:f:R:3", "H 0 0 0 1 2 3")
        assert from_text(tmp_path, text, LabelKeys(energy="free_energy"))[0].energy == 2.0
        (structure,) = from_text(tmp_path, text, LabelKeys(energy="mine", forces="f", group="origin"))
        assert (structure.energy, structure.group) == (3.0, "here")
        assert structure.forces.tolist() == [[1, 2, 3]]

    def test_group_option(self, tmp_path):
        assert from_text(tmp_path, frame("energy=1 group=a"), group="b")[0].group == "b"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (TWO_FRAMES, r"in\.xyz: frame 1: expected one of energy, forces.*found no label"),
            (frame("energy=1") + frame("energy=nan"), "frame 1: `energy` must be finite"),
            (frame("energy=1") + "3\nenergy=1\nH 0 0 0\n", "frame 1: expected 3 atoms, found 1 before the end"),
            (frame("energy=1") + "H 0 0 0\n", "frame 0: expected 1 atoms, found 2 before the end of the frame"),
            ("H 0 0 0\n" + frame("energy=1"), "frame 0: expected the number of atoms, found 'H 0 0 0'"),
            (frame("energy=1", rows="Q 0 0 0"), "frame 0: expected an element, found 'Q'"),
            (frame("energy=1", rows="H 0 0"), "frame 0: atom 0: expected 4 columns"),
            (frame("energy=1 REF_energy=2"), "`energy` and `REF_energy` hold different values"),
            (frame("energy=many"), "`energy` must be numbers"),
            (frame('energy=1 REF_stress="1 2 3"'), "6 or 9 components"),
            (frame('energy=1 REF_stress="1 2 0 0 1 0 0 0 1"'), "must be symmetric"),
            ('1\nenergy=1 virial="1 0 0 0 1 0 0 0 1"\nH 0 0 0\n', "`virial` needs a cell with a volume"),
            ('1\nLattice="5 0 0 5 0 0 0 0 5" energy=1\nH 0 0 0\n', "linearly dependent"),
            ("", "no structure was written"),
        ],
    )
    def test_refused(self, tmp_path, text, message):
        with pytest.raises(DataError, match=message):
            from_text(tmp_path, text, format="extxyz")
        assert not (tmp_path / "out.h5").exists()

    def test_key_that_is_nowhere(self, tmp_path):
        text = frame("energy=1", "species:S:1:pos:R:3:forces:R:3", "H 0 0 0 1 2 3")
        with pytest.raises(DataError, match="`--energy-key` enrgy: no structure has it"):
            from_text(tmp_path, text, LabelKeys(energy="enrgy"))

    def test_structures_without_labels_are_kept_on_request(self, tmp_path, capsys):
        """What LAMMPS dumps has grades and no labels; its group is the file's name."""
        dump = frame("step=100 uncertainty=0.5", "species:S:1:pos:R:3:grade:R:1", "H 0 0 0 0.5\nH 0 0 1 0.4")
        (tmp_path / "unc.xyz").write_text(dump + frame("energy=1"))
        arguments = ["data", "convert", str(tmp_path / "unc.xyz"), str(tmp_path / "pool.h5")]
        assert main(arguments) == 1
        assert "found no label (not used: grade)" in (told := capsys.readouterr().err)
        assert "`--keep-unlabelled`" in told
        assert main([*arguments, "--keep-unlabelled"]) == 0
        assert "2 structures with energy of 1; 1 structure without labels; not used: `grade`" in capsys.readouterr().out
        dumped, labelled = StoreReader(tmp_path / "pool.h5")
        assert dumped.positions.tolist() == [[0, 0, 0], [0, 0, 1]]
        assert [dumped.energy, dumped.forces, dumped.stress, dumped.charges] == [None] * 4
        assert (dumped.group, labelled.energy) == ("unc", 1.0)

    def test_what_is_broken_is_no_candidate(self, tmp_path):
        (tmp_path / "in.xyz").write_text(frame("", rows="H nan 0 0"))
        with pytest.raises(DataError, match="`positions` must be finite"):
            convert([tmp_path / "in.xyz"], tmp_path / "out.h5", ReadOptions(keep_unlabelled=True))

    def test_a_key_that_is_nowhere_among_candidates(self, tmp_path):
        (tmp_path / "in.xyz").write_text(frame(""))
        read = ReadOptions(keys=LabelKeys(energy="enrgy"), keep_unlabelled=True)
        with pytest.raises(DataError, match="`--energy-key` enrgy: no structure has it"):
            convert([tmp_path / "in.xyz"], tmp_path / "out.h5", read)

    def test_skip_invalid_counts(self, tmp_path):
        (tmp_path / "in.xyz").write_text(frame("energy=nan") + TWO_FRAMES + frame("energy=3"))
        report = convert([tmp_path / "in.xyz"], tmp_path / "out.h5", skip_invalid=True)
        assert (report.num_structures, report.num_atoms, report.skipped) == (2, 3, 2)
        assert report.labels == {"energy": 2, "forces": 1, "stress": 1}
        assert "frame 0: `energy` must be finite" in report.reasons[0]
        assert "frame 2" in report.reasons[1]


class TestAseBridge:
    def test_there_and_back(self):
        atoms = bulk("NaCl", "rocksalt", 5.6)
        labels = {"energy": 1.0, "forces": np.ones((2, 3)), "stress": np.arange(6.0), "charges": np.array([0.5, -0.5])}
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info = {"group": "salt/1", "total_charge": 1}
        back = atoms_from_structure(structure_from_atoms(atoms))
        assert back == atoms
        assert back.info == {"group": "salt/1", "total_charge": 1.0}
        assert back.get_potential_energy() == 1.0
        np.testing.assert_array_equal(back.get_forces(), labels["forces"])
        np.testing.assert_array_equal(back.get_stress(), labels["stress"])
        np.testing.assert_array_equal(back.get_charges(), labels["charges"])

    def test_forces_are_not_changed_by_constraints(self):
        atoms = molecule("H2O")
        atoms.set_constraint(FixAtoms([0]))
        atoms.calc = SinglePointCalculator(atoms, forces=np.ones((3, 3)))
        assert structure_from_atoms(atoms).forces.tolist() == np.ones((3, 3)).tolist()

    def test_nothing_known(self):
        structure = structure_from_atoms(Atoms("H"), group="default")
        assert structure.energy is None
        assert structure.group == "default"
        assert atoms_from_structure(structure).calc is None

    def test_zero_stress_of_a_molecule_is_no_label(self):
        atoms = molecule("H2O")
        atoms.calc = SinglePointCalculator(atoms, stress=np.zeros(6))
        assert structure_from_atoms(atoms).stress is None
        atoms.calc = SinglePointCalculator(atoms, stress=np.ones(6))
        with pytest.raises(DataError, match="needs a cell with a volume"):
            structure_from_atoms(atoms)

    def test_voigt_order_is_that_of_ase(self):
        from ase.stress import full_3x3_to_voigt_6_stress

        tensor = np.array([[1.0, 6, 5], [6, 2, 4], [5, 4, 3]])
        np.testing.assert_array_equal(voigt_stress(tensor), full_3x3_to_voigt_6_stress(tensor))


class TestSources:
    def test_merging_datasets_keeps_dispersion_and_common_attributes(self, tmp_path):
        from mhdnn.data.store import Dispersion, StoreWriter

        structure = structure_from_atoms(molecule("H2O"))
        structure.energy = -14.0
        for name, source in (("a", "here"), ("b", "there")):
            attributes = {"functional": "PBE", "source": source}
            with StoreWriter(tmp_path / f"{name}.h5", attributes) as writer:
                writer.append(structure, Dispersion(energy=-0.5), split="test")
        report = convert([tmp_path / "a.h5", tmp_path / "b.h5"], tmp_path / "out.h5", attributes={"licence": "CC0"})
        assert report.num_structures == 2
        merged = StoreReader(tmp_path / "out.h5")
        assert merged.attributes == {"functional": "PBE", "licence": "CC0"}
        assert merged.record(1).dispersion.energy == -0.5
        assert merged.split is None

    def test_several_files_of_several_formats(self, tmp_path):
        (tmp_path / "one.xyz").write_text(frame("energy=1"))
        atoms = molecule("H2O")
        atoms.calc = SinglePointCalculator(atoms, energy=-14.0)
        ase.io.write(tmp_path / "two.traj", atoms)
        structures = converted(tmp_path, [tmp_path / "one.xyz", tmp_path / "two.traj"])
        assert [s.group for s in structures] == ["one", "two"]

    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("a.xyz", "2\n", "extxyz"),
            ("a.extxyz", "2\n", "extxyz"),
            ("input.data", "begin\n", "n2p2"),
            ("run.log", " CP2K| version", "cp2k"),
            ("OUTCAR.3", "", "vasp-outcar"),
            ("vasprun.xml", "<?xml", "vasp-xml"),
            ("pw.log", "     Program PWSCF v.7.2", "qe"),
            ("a.data", "\x89HDF\r\n\x1a\n", "mhdnn"),
        ],
    )
    def test_recognised(self, tmp_path, name, content, expected):
        (tmp_path / name).write_bytes(content.encode("latin1"))
        assert detect_format(tmp_path / name) == expected

    def test_unknown_format(self, tmp_path):
        (tmp_path / "a.what").write_text("something else\n")
        with pytest.raises(DataError, match="not recognised; give `--format`, one of extxyz"):
            converted(tmp_path, tmp_path / "a.what")

    def test_paths_that_make_no_sense(self, tmp_path):
        source = tmp_path / "a.xyz"
        source.write_text(frame("energy=1"))
        with pytest.raises(DataError, match=r"destination comes last and must end in \.h5"):
            convert([source], tmp_path / "b.xyz")
        with pytest.raises(DataError, match="no such file or folder"):
            convert([tmp_path / "nowhere.xyz"], tmp_path / "b.h5")
        with pytest.raises(ConfigError, match="`destination`: expected another file than .*, which is read"):
            convert([tmp_path / "b.h5"], tmp_path / "b.h5")
        with pytest.raises(DataError, match="at least one source"):
            convert([], tmp_path / "b.h5")

    def test_a_source_behind_a_link_is_not_overwritten(self, tmp_path):
        from_text(tmp_path, frame("energy=1"))
        data, link = tmp_path / "out.h5", tmp_path / "link.h5"
        before = data.read_bytes()
        link.symlink_to(data)
        for source, destination in ((link, data), (data, link), (tmp_path / "b/../out.h5", data)):
            with pytest.raises(ConfigError, match="which is read"):
                convert([source], destination)
        assert data.read_bytes() == before
        assert link.is_symlink()

    def test_the_destination_is_no_source_of_its_folder(self, tmp_path):
        """By whatever link the folder is given."""
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs/in.xyz").write_text(frame("energy=1"))
        (tmp_path / "link").symlink_to(tmp_path / "runs")
        for _ in range(2):
            report = convert([tmp_path / "link"], tmp_path / "runs/all.h5")
            assert report.num_structures == 1

    def test_failure_leaves_the_old_dataset(self, tmp_path):
        from_text(tmp_path, frame("energy=1"))
        before = (tmp_path / "out.h5").read_bytes()
        with pytest.raises(DataError):
            from_text(tmp_path, frame("energy=2") + frame("energy=nan"))
        assert (tmp_path / "out.h5").read_bytes() == before


class TestCommands:
    def run(self, *arguments) -> int:
        return main(["data", *map(str, arguments)])

    def test_convert_check_split(self, tmp_path, capsys):
        text = "".join(
            frame(f"energy=-{4 + n % 3 / 100} origin=a/{n}", rows=f"H 0 0 0\nH 0 0 0.7{n:02}") for n in range(20)
        )
        (tmp_path / "in.xyz").write_text(text)
        store = tmp_path / "a.h5"
        options = ["--group-key", "origin", "--attribute", "functional=PBE=0", "--attribute", "code=x"]
        assert self.run("convert", tmp_path / "in.xyz", store, *options) == 0
        assert "20 structures, 40 atoms; energy of 20" in capsys.readouterr().out
        assert StoreReader(store).attributes == {"functional": "PBE=0", "code": "x"}
        assert self.run("check", store) == 0
        assert "nothing suspicious" in capsys.readouterr().out
        assert self.run("split", store, "--test", "0.2") == 0
        assert "test: 4 structures of 4 groups" in capsys.readouterr().out
        assert sorted(StoreReader(store).split).count("test") == 4
        assert self.run("split", store, "--by", "structure", "--output", tmp_path / "parts") == 0
        assert len(StoreReader(tmp_path / "parts" / "train.h5")) == 16

    def test_check_fails_on_errors(self, tmp_path, capsys):
        import h5py

        from_text(tmp_path, frame("energy=1") * 2)
        with h5py.File(tmp_path / "out.h5", "r+") as file:
            file["energy"][0] = np.inf
        assert self.run("check", tmp_path / "out.h5") == 1
        assert "error: " in capsys.readouterr().out

    def test_skipped_structures_are_shown(self, tmp_path, capsys):
        (tmp_path / "in.xyz").write_text(frame("energy=1") + frame("") * 2)
        assert self.run("convert", tmp_path / "in.xyz", tmp_path / "a.h5", "--skip-invalid") == 0
        assert "2 structures skipped" in capsys.readouterr().out

    def test_keys_and_options_are_the_same(self, tmp_path):
        (tmp_path / "in.xyz").write_text(frame("energy=1 origin=x"))
        for number, options in enumerate((["--group-key", "origin"], ["--group-key=origin"], ["group_key=origin"])):
            assert self.run("convert", tmp_path / "in.xyz", tmp_path / f"{number}.h5", *options) == 0
            assert StoreReader(tmp_path / f"{number}.h5").groups == ["x"]

    def test_several_sources(self, tmp_path):
        for name in ("a.xyz", "b=1.xyz"):
            (tmp_path / name).write_text(frame("energy=1"))
        assert self.run("convert", tmp_path / "a.xyz", tmp_path / "b=1.xyz", tmp_path / "out.h5") == 0
        assert len(StoreReader(tmp_path / "out.h5")) == 2

    def test_reading_data_does_not_load_lightning(self):
        code = "import sys, mhdnn.data.commands; sys.exit('pytorch_lightning' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
