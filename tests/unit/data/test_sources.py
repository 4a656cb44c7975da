"""DeePMD, SPICE, ANI and Chargemol files written by hand, and folders."""

import gzip

import h5py
import numpy as np
import pytest

from mhdnn.cli import main
from mhdnn.data.ase_bridge import LabelKeys
from mhdnn.data.convert import convert
from mhdnn.data.readers import ReadOptions, detect_format
from mhdnn.data.store import StoreReader
from mhdnn.errors import DataError
from tests.unit.data.code_samples import cp2k
from tests.unit.test_data_convert import converted, frame

HARTREE, BOHR = 27.211386245988, 0.529177210903  # written out: an independent copy of the constants
BOX = np.diag([2.0, 3.0, 4.0]).ravel()
RNG = np.random.default_rng(0)
COORD, FORCE, ENERGY = RNG.normal(size=(2, 9)), RNG.normal(size=(2, 9)), RNG.normal(size=2)
VIRIAL = np.tile(np.diag([24.0, 48.0, -24.0]).ravel(), (2, 1))
ARRAYS = {"coord": COORD, "force": FORCE, "energy": ENERGY, "virial": VIRIAL, "box": np.tile(BOX, (2, 1))}


def check_deepmd(structures, group):
    assert len(structures) == 2
    assert structures[1].atomic_numbers.tolist() == [3, 6, 6]
    np.testing.assert_array_equal(structures[1].positions.ravel(), COORD[1])
    np.testing.assert_array_equal(structures[1].forces.ravel(), FORCE[1])
    assert structures[1].energy == ENERGY[1]
    np.testing.assert_allclose(structures[0].stress, [-1, -2, 1, 0, 0, 0], rtol=1e-12)  # -virial / 24 Å³
    assert structures[0].group == group


class TestDeepmd:
    @pytest.fixture
    def raw(self, tmp_path):
        folder = tmp_path / "carbide"
        folder.mkdir()
        (folder / "type.raw").write_text("1 0 0\n")
        (folder / "type_map.raw").write_text("C Li\n")
        for name, array in ARRAYS.items():
            np.savetxt(folder / f"{name}.raw", array, fmt="%.18e")
        return folder

    @pytest.fixture
    def hdf5(self, tmp_path):
        with h5py.File(tmp_path / "all.h5", "w") as file:
            system = file.create_group("metals/C2Li")
            system["type.raw"] = [1, 0, 0]
            system["type_map.raw"] = np.array(["C", "Li"], dtype="S")
            for name, array in ARRAYS.items():
                system[f"set.000/{name}.npy"] = array
        return tmp_path / "all.h5"

    def test_raw_text(self, tmp_path, raw):
        check_deepmd(converted(tmp_path, raw), "carbide")

    def test_hdf5(self, tmp_path, hdf5):
        assert detect_format(hdf5) == "deepmd"
        check_deepmd(converted(tmp_path, hdf5), "C2Li")

    def test_hdf5_without_cell(self, tmp_path, hdf5):
        with h5py.File(hdf5, "r+") as file:
            file["metals/C2Li/nopbc"] = True
            del file["metals/C2Li/set.000/box.npy"]
        assert not converted(tmp_path, hdf5)[0].pbc.any()

    def test_arrays_that_are_not_used_are_named(self, tmp_path, raw):
        (raw / "atom_ener.raw").write_text("1 2 3\n4 5 6\n")
        assert convert([raw], tmp_path / "out.h5").sources[0].unused == {"atom_ener": 2}

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("coord.raw", "1 2 3\n", "coord.raw: expected 1 frames of 9 numbers"),
            ("coord.raw", "1 2 3\n1 2\n", "coord.raw: expected numbers, as many in each line"),
            ("energy.raw", "one\ntwo\n", "energy.raw: expected numbers"),
            ("type.raw", "a b c\n", "type.raw: expected numbers"),
            ("type.raw", "", "type.raw: expected one whole number for each atom"),
            ("type.raw", "0 1 5\n", "expected types 0 to 1 of type_map.raw, found 0 to 5"),
            ("type_map.raw", "C Xx\n", "expected element symbols, found 'Xx'"),
        ],
    )
    def test_broken_text(self, tmp_path, raw, name, text, message):
        (raw / name).write_text(text)
        with pytest.raises(DataError, match=message):
            converted(tmp_path, raw)

    def test_broken_numpy(self, tmp_path, raw):
        part = raw / "set.000"
        part.mkdir()
        for name, array in ARRAYS.items():
            np.save(part / f"{name}.npy", array)
        check_deepmd(converted(tmp_path, raw), "carbide")
        np.save(part / "real_atom_types.npy", np.array([[0, 1, -1], [0, 2, 0]]))
        with pytest.raises(DataError, match="`real_atom_types` must be -1 .* to 1, found 0 to 2"):
            converted(tmp_path, raw)
        np.save(part / "real_atom_types.npy", np.array([["C", "C", "C"]] * 2))
        with pytest.raises(DataError, match=r"real_atom_types.npy: expected 2 frames of 3 numbers, found .* of <U1"):
            converted(tmp_path, raw)
        (part / "real_atom_types.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': nonsense")
        with pytest.raises(DataError, match="is no complete numpy array"):
            converted(tmp_path, raw)

    def test_hdf5_without_type_map(self, tmp_path, hdf5):
        with h5py.File(hdf5, "r+") as file:
            del file["metals/C2Li/type_map.raw"]
        with pytest.raises(DataError, match="type_map.raw: is missing"):
            converted(tmp_path, hdf5)


class TestMolecules:
    """Water, twice: bohr and Hartree as in SPICE, Å and Hartree as in ANI."""

    POSITIONS = RNG.normal(size=(2, 3, 3))
    GRADIENT = RNG.normal(size=(2, 3, 3))
    ENERGIES = np.array([-76.4, -76.3])
    CHARGES = np.tile([-0.8, 0.4, 0.4], (2, 1))

    def spice(self, path, **units):
        with h5py.File(path, "w") as file:
            group = file.create_group("water-1")
            group["atomic_numbers"] = np.array([8, 1, 1], dtype="i2")
            for name, array, unit in (
                ("conformations", self.POSITIONS, "bohr"),
                ("dft_total_energy", self.ENERGIES, "hartree"),
                ("dft_total_gradient", self.GRADIENT, "hartree/bohr"),
                ("mbis_charges", self.CHARGES[..., None], "elementary_charge"),
                ("formation_energy", self.ENERGIES + 76, "hartree"),
            ):
                group[name] = array
                group[name].attrs["units"] = units.get(name, unit)
        return path

    def ani(self, path, level=""):
        with h5py.File(path, "w") as file:
            group = file.create_group("h2o/h2o-0")
            group["species"] = np.array(["O", "H", "H"], dtype="S")
            group["coordinates"] = self.POSITIONS.astype("f4")
            group[f"{level}energy" if level else "energies"] = self.ENERGIES
            group[f"{level}forces"] = -self.GRADIENT
        return path

    def test_spice(self, tmp_path):
        first, second = converted(tmp_path, self.spice(tmp_path / "spice.hdf5"))
        np.testing.assert_allclose(first.positions, self.POSITIONS[0] * BOHR, rtol=1e-12)
        np.testing.assert_allclose(second.forces, -self.GRADIENT[1] * HARTREE / BOHR, rtol=1e-12)
        assert second.energy == pytest.approx(-76.3 * HARTREE, rel=1e-12)
        np.testing.assert_allclose(first.charges, [-0.8, 0.4, 0.4], rtol=1e-12)
        assert first.atomic_numbers.tolist() == [8, 1, 1]
        assert first.group == "spice/water-1"
        assert not first.pbc.any()

    def test_units_of_the_attributes_are_obeyed(self, tmp_path):
        units = {"conformations": "angstrom", "dft_total_energy": "kJ/mol", "dft_total_gradient": "eV/angstrom"}
        first, _ = converted(tmp_path, self.spice(tmp_path / "a.h5", **units))
        np.testing.assert_allclose(first.positions, self.POSITIONS[0], rtol=1e-12)
        assert first.energy == pytest.approx(-76.4 * 0.010364269656, rel=1e-9)
        np.testing.assert_allclose(first.forces, -self.GRADIENT[0], rtol=1e-12)
        with pytest.raises(DataError, match="dft_total_energy: unknown unit `cal` of energy"):
            converted(tmp_path, self.spice(tmp_path / "b.h5", dft_total_energy="cal"))

    def test_ani(self, tmp_path):
        first, _ = converted(tmp_path, self.ani(tmp_path / "ani.h5"))
        np.testing.assert_allclose(first.positions, self.POSITIONS[0], rtol=1e-6)
        assert first.energy == pytest.approx(-76.4 * HARTREE, rel=1e-12)
        np.testing.assert_allclose(first.forces, -self.GRADIENT[0] * HARTREE, rtol=1e-12)
        assert first.group == "ani/h2o h2o-0"

    def test_unknown_units_are_asked_for(self, tmp_path, capsys):
        source = self.ani(tmp_path / "ani.h5")
        with h5py.File(source, "r+") as file:
            file["h2o/h2o-0/energies"][:] = self.ENERGIES * HARTREE
        with pytest.raises(DataError, match="has no attribute `units`; give `--units`, one of ev-angstrom"):
            converted(tmp_path, source)
        assert main(["data", "convert", str(source), str(tmp_path / "out.h5"), "--units", "ev-angstrom"]) == 0
        structure = StoreReader(tmp_path / "out.h5")[0]
        assert structure.energy == pytest.approx(-76.4 * HARTREE)
        np.testing.assert_allclose(structure.forces, -self.GRADIENT[0], rtol=1e-12)

    def test_several_levels_of_theory(self, tmp_path):
        source = self.ani(tmp_path / "ani1x.h5", "wb97x_dz.")
        assert converted(tmp_path, source)[1].energy == pytest.approx(-76.3 * HARTREE)
        with h5py.File(source, "r+") as file:
            file["h2o/h2o-0/ccsd(t)_cbs.energy"] = [np.nan, -76.35]
        with pytest.raises(DataError, match="may all be the energy; say which is meant with `--energy-key"):
            converted(tmp_path, source)
        first, second = converted(tmp_path, source, LabelKeys(energy="ccsd(t)_cbs.energy"))
        assert first.energy is None
        assert second.energy == pytest.approx(-76.35 * HARTREE)

    def test_broken(self, tmp_path):
        source = self.spice(tmp_path / "a.h5")
        with h5py.File(source, "r+") as file:
            del file["water-1/dft_total_energy"]
            file["water-1/dft_total_energy"] = np.zeros(5)
        with pytest.raises(DataError, match=r"expected energy of shape \(2,\), found float64 of shape \(5,\)"):
            converted(tmp_path, source)
        with h5py.File(source, "r+") as file:
            del file["water-1/atomic_numbers"]
            file["water-1/atomic_numbers"] = [8, 1]
        with pytest.raises(DataError, match=r"expected positions of shape \(conformations, 2 atoms, 3\)"):
            converted(tmp_path, source)


DDEC6 = """\
    2
jmolscript: load "" {1 1 1} spacegroup "x,y,z" unitcell [{ 4.0 0.0 0.0 }, { 0.5 5.0 0.0 }, { 0.0 0.0 6.0 }]
Na     0.000000     0.100000     0.200000     0.843200
Cl     2.000000     2.500000     3.000000    -0.843200

 Chargemol version 3.5
See ddec.sourceforge.net for latest version.
Number of radial integration shells =    100
atom number, atomic symbol, x, y, z, net_charge, dipole_x, dipole_y, dipole_z
    1 Na     0.000000     0.100000     0.200000     0.843200     0.0     0.0    0.0
 2020/01/01  00:00:00
"""
DDEC6_NAME = "DDEC6_even_tempered_net_atomic_charges.xyz"


class TestChargemol:
    @pytest.mark.parametrize("name", [DDEC6_NAME, "renamed.xyz"])
    def test_charges_and_cell(self, tmp_path, name):
        (tmp_path / name).write_text(DDEC6)
        (structure,) = converted(tmp_path, tmp_path / name)
        assert structure.charges.tolist() == [0.8432, -0.8432]
        assert structure.cell.tolist() == [[4, 0, 0], [0.5, 5, 0], [0, 0, 6]]
        assert structure.positions[1].tolist() == [2.0, 2.5, 3.0]
        assert structure.atomic_numbers.tolist() == [11, 17]
        assert structure.pbc.all()

    def test_molecule(self, tmp_path):
        head, _, rest = DDEC6.split("\n", 2)
        for comment in ("Nonperiodic system", ""):
            (tmp_path / DDEC6_NAME).write_text("\n".join([head, comment, rest]))
            assert not converted(tmp_path, tmp_path / DDEC6_NAME)[0].pbc.any()

    def test_other_files_of_the_program_are_no_charges(self, tmp_path):
        (tmp_path / "DDEC6_even_tempered_atomic_spin_moments.xyz").write_text(DDEC6.replace("net_charge", "moment"))
        with pytest.raises(DataError, match="expected 2 atoms"):
            converted(tmp_path, tmp_path / "DDEC6_even_tempered_atomic_spin_moments.xyz")

    def test_cut(self, tmp_path):
        (tmp_path / DDEC6_NAME).write_text(DDEC6[:200])
        with pytest.raises(DataError, match="found 1 of '2' atoms; the file is cut"):
            converted(tmp_path, tmp_path / DDEC6_NAME)


class TestFolders:
    def test_all_below(self, tmp_path, capsys):
        folder = tmp_path / "runs"
        (folder / "b" / "deeper").mkdir(parents=True)
        (folder / ".hidden").mkdir()
        (folder / "b" / "deeper" / "two.xyz").write_text(frame("energy=2"))
        (folder / ".hidden" / "no.xyz").write_text(frame("energy=9"))
        (folder / "a.xyz").write_text(frame("energy=1"))
        (folder / "path.xyz").write_text(frame("") * 3)
        for name in ("KPOINTS", "b/KPOINTS"):
            (folder / name).write_text("Automatic mesh\n0\nGamma\n 1 1 1\n")
        (folder / "POSCAR").write_text("H\n1.0\n5 0 0\n0 5 0\n0 0 5\nH\n1\nDirect\n0 0 0\n")
        store = folder / "all.h5"
        assert main(["data", "convert", str(folder), str(store)]) == 0
        text = capsys.readouterr().out
        assert [structure.energy for structure in StoreReader(store)] == [1.0, 2.0]
        assert "path.xyz: 0 structures; 3 structures without labels, left out" in text
        assert "not read (not recognised): KPOINTS (2), POSCAR" in text
        assert main(["data", "convert", str(folder), str(store)]) == 0  # the dataset itself is no source
        assert len(StoreReader(store)) == 2
        capsys.readouterr()
        assert main(["data", "convert", str(folder), str(store), "--keep-unlabelled"]) == 0
        assert "path.xyz: 3 structures; 3 structures without labels\n" in capsys.readouterr().out
        assert len(StoreReader(store)) == 5

    def test_one_calculation_is_read_once(self, tmp_path):
        from mhdnn.data.folders import sources_below

        for name in ("OUTCAR", "vasprun.xml"):
            (tmp_path / name).write_text("")
        sources, ignored = sources_below(tmp_path)
        assert sources == [tmp_path / "OUTCAR"]
        assert ignored == {tmp_path / "vasprun.xml": "the same calculation as the output beside it"}

    def test_other_calculations_in_one_folder_are_sources(self, tmp_path):
        from mhdnn.data.folders import sources_below

        for name in ("OUTCAR.a", "vasprun.a.xml.gz", "vasprun.b.xml"):
            path = tmp_path / name
            path.write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")
        sources, ignored = sources_below(tmp_path)
        assert sources == [tmp_path / "OUTCAR.a", tmp_path / "vasprun.b.xml"]
        assert list(ignored) == [tmp_path / "vasprun.a.xml.gz"]

    def test_files_of_cp2k_are_read_with_its_output(self, tmp_path, capsys):
        cp2k(tmp_path)
        assert main(["data", "convert", str(tmp_path), str(tmp_path / "all.h5")]) == 0
        text = capsys.readouterr().out
        assert "read with CP2K's output beside it" in text
        assert "gave no structure" not in text

    def test_nothing_found(self, tmp_path):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "INCAR").write_text("ENCUT = 500\n")
        with pytest.raises(DataError, match=r"in this folder or below it, found none \(INCAR\)"):
            convert([tmp_path / "runs"], tmp_path / "out.h5")

    def test_broken_sources_are_skipped_and_named(self, tmp_path):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "a.xyz").write_text(frame("energy=1"))
        (tmp_path / "runs" / "input.data").write_text("begin\nend\n")
        report = convert([tmp_path / "runs"], tmp_path / "out.h5", ReadOptions(), skip_invalid=True)
        assert report.num_structures == 1
        assert "input.data: n2p2 data does not say its units" in report.reasons[0]
        assert f"{tmp_path / 'runs' / 'input.data'}: gave no structure" in report.warnings

    def test_units_are_for_the_files_that_need_them(self, tmp_path):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "a.xyz").write_text(frame("energy=1"))
        (tmp_path / "runs" / "input.data").write_text("begin\natom 0 0 0 H 0 0 0 0 0\nenergy 1\nend\n")
        convert([tmp_path / "runs"], tmp_path / "out.h5", ReadOptions(units="hartree-bohr"))
        energies = [structure.energy for structure in StoreReader(tmp_path / "out.h5")]
        assert energies == pytest.approx([1.0, HARTREE])
