"""OUTCAR, vasprun.xml and ML_AB of one small MD whose energies, forces and stresses belong together."""

import bz2
import gzip
import lzma
import re

import numpy as np
import pytest

from mhdnn.data.readers import detect_format
from mhdnn.errors import DataError, UnconvergedError
from tests.unit.data.codes import outputs, physics
from tests.unit.data.codes.reading import KILOBAR, differences, outcomes, records, structures, voigt, works

STEPS = physics.steps(3)
WRITERS = {"OUTCAR": outputs.outcar, "vasprun.xml": outputs.vasprun, "ML_AB": outputs.ml_ab}
FORMATS = {"OUTCAR": "vasp-outcar", "vasprun.xml": "vasp-xml", "ML_AB": "vasp-mlab"}
FILES = list(WRITERS)


@pytest.fixture
def write(tmp_path):
    def write(name, steps=STEPS, **options):
        folder = tmp_path / "run7"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(WRITERS[name](steps, **options))
        return folder / name

    return write


def test_energies_and_labels_of_the_fixture_belong_together():
    """The other tests compare with these numbers: F is what forces and stress are the derivatives of, E0 is not."""
    for first, second in zip(STEPS, STEPS[1:], strict=False):
        work = -((first.forces + second.forces) / 2 * (second.positions - first.positions)).sum()
        assert second.free - first.free == pytest.approx(work, abs=2e-4)
        assert abs(second.extrapolated - first.extrapolated - work) > 5e-4


@pytest.mark.parametrize("name", FILES)
class TestLabels:
    def test_structure(self, write, name):
        found = structures(write(name))
        assert len(found) == 3
        for structure, step in zip(found, STEPS, strict=True):
            assert structure.atomic_numbers.tolist() == list(physics.NUMBERS)
            np.testing.assert_allclose(structure.cell, step.cell, atol=1e-7)
            np.testing.assert_allclose(structure.positions, step.positions, atol=1e-5)
            assert structure.pbc.all()
            assert structure.group == "run7"

    def test_energy_is_what_forces_are_the_gradient_of(self, write, name):
        found = structures(write(name))
        np.testing.assert_allclose(differences(found), works(found), atol=2e-4)

    def test_stress_is_the_gradient_with_respect_to_strain(self, write, name):
        found = structures(write(name, physics.steps(3, strained=True)))
        np.testing.assert_allclose(differences(found), works(found), atol=5e-4)
        without = [structure.stress[:3].copy() for structure in found]
        for structure in found:
            structure.stress[:3] *= -1
        assert np.abs(differences(found) - works(found)).max() > 2e-3
        assert np.abs(without).max() > 0.01

    def test_by_hand(self, write, name):
        for record, step in zip(records(write(name)), STEPS, strict=True):
            assert record.energy_kind == "free"
            assert record.structure.energy == pytest.approx(step.free, abs=1e-7)
            np.testing.assert_allclose(record.structure.forces, step.forces, atol=1e-6)
            np.testing.assert_allclose(record.structure.stress, voigt(step.stress), atol=1e-8)

    @pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
    def test_compressed(self, write, name, suffix, module):
        path = write(name)
        packed = path.with_name(path.name + suffix)
        packed.write_bytes(module.compress(path.read_bytes()))
        path.unlink()
        assert [s.energy for s in structures(packed)] == pytest.approx([step.free for step in STEPS], abs=1e-7)

    def test_recognised_by_its_content(self, write, name):
        path = write(name)
        other = path.rename(path.with_name("renamed"))
        assert detect_format(other) == FORMATS[name]

    def test_cut(self, write, name):
        path = write(name)
        text = path.read_text()
        path.write_text(text[: int(len(text) * 0.8)])
        first, second, third = outcomes(path)
        assert second.structure.energy == pytest.approx(STEPS[1].free, abs=1e-7)
        assert first.structure.energy == pytest.approx(STEPS[0].free, abs=1e-7)
        assert isinstance(third, DataError)
        assert f"{path}: frame 2" in str(third)

    def test_no_step(self, write, name):
        path = write(name, [])
        with pytest.raises(DataError, match="expected at least one .*, found none"):
            records(path)


@pytest.mark.parametrize("name", ["OUTCAR", "ML_AB"])
def test_cut_archive(write, name):
    path = write(name)
    packed = path.with_name(path.name + ".gz")
    content = gzip.compress(path.read_bytes(), compresslevel=0)
    packed.write_bytes(content[: int(len(content) * 0.8)])
    *good, broken = outcomes(packed, format=FORMATS[name])
    assert len(good) == 2
    assert "frame 2" in str(broken)


class TestKindOfEnergy:
    @pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml"])
    def test_extrapolated_on_request(self, write, name):
        for record, step in zip(records(write(name), energy="energy"), STEPS, strict=True):
            assert record.energy_kind == "extrapolated"
            assert record.structure.energy == pytest.approx(step.extrapolated, abs=1e-7)

    def test_not_printed(self, write):
        with pytest.raises(DataError, match="does not print the energy extrapolated"):
            records(write("ML_AB"), energy="energy")

    def test_unknown_key(self, write):
        with pytest.raises(DataError, match="found `--energy-key REF_energy`"):
            records(write("OUTCAR"), energy="REF_energy")

    def test_vasprun_without_the_work_of_the_pressure(self, write):
        path = write("vasprun.xml", pressure=25.0)
        assert [s.energy for s in structures(path)] == pytest.approx([step.free for step in STEPS], abs=1e-7)
        extrapolated = [s.energy for s in structures(path, energy="energy")]
        assert extrapolated == pytest.approx([step.extrapolated for step in STEPS], abs=1e-7)


class TestConvergence:
    @pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml"])
    def test_as_many_iterations_as_allowed(self, write, name):
        path = write(name, iterations=[15, 4, 15], most=15)
        first, second, third = outcomes(path)
        assert isinstance(first, UnconvergedError)
        assert "15" in str(first)
        assert isinstance(third, UnconvergedError)
        assert second.structure.energy == pytest.approx(STEPS[1].free, abs=1e-7)
        assert len(records(path, keep_unconverged=True)) == 3

    def test_told_by_vasp(self, write):
        path = write("OUTCAR")
        text = path.read_text().replace("loop because EDIFF is reached", "loop EDIFF was not reached (unconverged)", 1)
        path.write_text(text)
        assert [isinstance(outcome, UnconvergedError) for outcome in outcomes(path)] == [True, False, False]


class TestForceFields:
    def test_steps_of_a_force_field_in_outcar(self, write):
        path = write("OUTCAR", between=outputs.ML_STEP * 3)
        assert [s.energy for s in structures(path)] == pytest.approx([step.free for step in STEPS], abs=1e-7)

    def test_force_field_alone(self, write):
        path = write("OUTCAR", [])
        path.write_text(path.read_text() + outputs.ML_STEP)
        with pytest.raises(
            DataError, match="expected at least one ab-initio step .there are steps of a machine-learned"
        ):
            records(path)

    def test_vasprun(self, write):
        path = write("vasprun.xml", iterations=[5, 0, 5], incar='<i type="logical" name="ML_LMLFF"> T </i>')
        assert [s.energy for s in structures(path)] == pytest.approx([STEPS[0].free, STEPS[2].free], abs=1e-7)


class TestOutcar:
    def test_columns_without_van_der_waals(self, write):
        path = write("OUTCAR", vdw=True)
        for record, step in zip(records(path), STEPS, strict=True):
            assert record.structure.energy == pytest.approx(step.free, abs=1e-7)
            np.testing.assert_allclose(record.structure.forces, step.forces, atol=1e-6)
        assert structures(path, energy="energy")[0].energy == pytest.approx(STEPS[0].extrapolated, abs=1e-7)

    def test_stress_as_it_is_printed_in_electronvolts(self, write):
        """The second print: energy of the whole cell, and the pressure, which is its mean."""
        path = write("OUTCAR")
        blocks = path.read_text().split("FORCE on cell")[1:]
        for structure, block in zip(structures(path), blocks, strict=True):
            volume = abs(np.linalg.det(structure.cell))
            printed = [float(x) for x in block.split("Total")[1].split("\n")[0].split()]
            order = [0, 1, 2, 5, 3, 4]  # of ours in XX YY ZZ XY YZ ZX
            np.testing.assert_allclose(-structure.stress[order] * volume, printed, atol=2e-5)
            pressure = float(block.split("external pressure =")[1].split()[0])
            assert -structure.stress[:3].mean() * KILOBAR == pytest.approx(pressure, abs=0.01)

    def test_total_charge(self, write):
        assert {s.total_charge for s in structures(write("OUTCAR"))} == {0.0}
        assert {s.total_charge for s in structures(write("OUTCAR", electrons=12.5))} == {0.5}
        assert {s.total_charge for s in structures(write("vasprun.xml", electrons=14.0))} == {-1.0}

    def test_symbols_from_the_list_of_pseudopotentials(self, write):
        path = write("OUTCAR")
        lines = [line for line in path.read_text().splitlines() if "TITEL" not in line and "POMASS =    7" not in line]
        names = [" POTCAR:    PAW_PBE Li_sv 10Sep2004", " POTCAR:    PAW_PBE O 08Apr2002"]
        path.write_text("\n".join([lines[0], *names, *names, *lines[1:]]))
        (first, *_) = structures(path)
        assert first.atomic_numbers.tolist() == [3, 8, 8]
        assert first.total_charge == 0.0

    def test_trace_alone_is_no_stress(self, write):
        path = write("OUTCAR")
        path.write_text(path.read_text().replace("ISIF   =      2", "ISIF   =      1"))
        (record, *_) = records(path)
        assert record.structure.stress is None
        assert record.unused == ("stress (its trace alone, ISIF = 1)",)

    def test_steps_without_positions(self, write):
        path = write("OUTCAR")
        head, first, second, third = path.read_text().replace(" POSITION ", "#POSITION ").split("#POSITION ")
        cut = second.index("FREE ENERGIE")
        path.write_text(f"{head} POSITION {first}{second[cut:]} POSITION {third}")
        _, broken, _ = outcomes(path)
        assert "read vasprun.xml instead" in str(broken)

    def test_head_is_missing(self, write):
        path = write("OUTCAR")
        path.write_text(path.read_text()[path.read_text().index("---") :])
        with pytest.raises(DataError, match="expected as many `TITEL` lines"):
            records(path)


class TestMlAb:
    def test_empty_stress(self, write):
        path = write("ML_AB", STEPS[:1])
        lines = path.read_text().splitlines()
        for title in ("     XX YY ZZ", "     XY YZ ZX"):
            lines[lines.index(title) + 2] = ""
        path.write_text("\n".join(lines))
        (structure,) = structures(path)
        assert structure.stress is None
        assert structure.forces.shape == (3, 3)

    def test_unknown_unit(self, write):
        path = write("ML_AB")
        path.write_text(path.read_text().replace("Stress (kbar)", "Stress (furlong)"))
        with pytest.raises(DataError, match="furlong"):
            records(path)


class TestBader:
    @pytest.fixture
    def analysis(self, tmp_path):
        """Analysis of the last step, with one atom moved by a lattice vector."""
        step = STEPS[-1]
        places = step.positions + np.array([[0, 0, 0], step.cell[1], [0, 0, 0]])
        rows = [
            f"{i + 1:5d}" + "".join(f"{x:12.6f}" for x in [*place, electrons, 1.0, 10.0])
            for i, (place, electrons) in enumerate(zip(places, (0.2, 6.3, 6.4), strict=True))
        ]
        rule = " " + "-" * 80
        (tmp_path / "run7").mkdir(exist_ok=True)
        path = tmp_path / "run7" / "ACF.dat"
        foot = [
            rule,
            "    VACUUM CHARGE:       0.1000",
            "    VACUUM VOLUME:  0.0",
            "    NUMBER OF ELECTRONS:   13.0000",
        ]
        path.write_text("\n".join(["    #   X   Y   Z   CHARGE   MIN DIST   ATOMIC VOL", rule, *rows, *foot]) + "\n")
        return path

    @pytest.mark.parametrize("name", ["OUTCAR", "vasprun.xml"])
    def test_charge_is_valence_less_electrons(self, write, analysis, name):
        first, _, last = records(write(name))
        assert first.structure.charges is None
        assert first.charge_scheme is None
        assert last.structure.charges == pytest.approx([0.8, -0.3, -0.4])
        assert last.charge_scheme == "bader"

    def test_of_another_structure(self, write, analysis):
        path = write("OUTCAR", physics.steps(2))
        with pytest.raises(DataError, match=r"ACF\.dat: expected the positions of the last step"):
            records(path)

    def test_of_another_density(self, write, analysis):
        analysis.write_text(analysis.read_text().replace("ELECTRONS:   13.0", "ELECTRONS:   43.0"))
        with pytest.raises(DataError, match=r"ACF\.dat: expected the 13\.0 electrons of the calculation, found 43\.0"):
            records(write("OUTCAR"))

    def test_broken(self, write, analysis):
        analysis.write_text("    #   X   Y\n    1  0.0  0.0  zero 0.1\n")
        with pytest.raises(DataError, match=r"ACF\.dat: can't be read"):
            records(write("OUTCAR"))


def test_energies_ahead_of_forces(write):
    """VASP 4.6 prints the energies of a step first, and the stress with two decimals."""
    text = outputs.outcar(STEPS[:2])
    head, *steps = text.split("------------------------ aborting loop")
    moved = []
    for step in steps:
        labels, energies = step.split("  FREE ENERGIE OF")
        last = energies.index("% ion-electron")
        moved.append(f"  FREE ENERGIE OF{energies[:last]}{labels}{energies[last:]}")
    text = "------------------------ aborting loop".join([head, *moved])
    path = write("OUTCAR", [])
    path.write_text(re.sub(r"(?m)^(  in kB .*)$", lambda line: re.sub(r"(\.\d\d)\d{3}", r"\1", line.group()), text))
    for structure, step in zip(structures(path), STEPS, strict=False):
        assert structure.energy == pytest.approx(step.free, abs=1e-7)
        np.testing.assert_allclose(structure.forces, step.forces, atol=1e-6)
        np.testing.assert_allclose(structure.stress * KILOBAR, voigt(step.stress) * KILOBAR, atol=0.011)


def test_energy_without_forces(write):
    """The structure is that of the head; a file that was cut does not pass for such a run."""
    text = outputs.outcar(STEPS[:1])
    head, _, energies = text.partition(" VOLUME and BASIS")
    start, end = head.index("-" * 39), energies.index("  FREE ENERGIE OF")
    cell = "".join("  " + "".join(f"{x:13.9f}" for x in [*v, 0.1, 0.2, 0.3]) + "\n" for v in STEPS[0].cell)
    places = "".join("".join(f"{x:12.8f}" for x in place) + "\n" for place in STEPS[0].positions)
    title = " position of ions in cartesian coordinates  (Angst):\n"
    geometry = f"      direct lattice vectors                 reciprocal\n{cell}\n{title}{places}\n"
    path = write("OUTCAR", [])
    path.write_text(head[:start] + geometry + head[start:] + energies[end:])
    with pytest.raises(DataError, match="the file ends within this step"):
        records(path)
    path.write_text(path.read_text() + " General timing and accounting informations for this job:\n")
    (structure,) = structures(path)
    assert structure.energy == pytest.approx(STEPS[0].free, abs=1e-7)
    assert structure.forces is None
    np.testing.assert_allclose(structure.positions, STEPS[0].positions, atol=1e-8)
    np.testing.assert_allclose(structure.cell, STEPS[0].cell, atol=1e-9)


def test_cell_against_the_printed_volume(write):
    path = write("OUTCAR")
    lines = path.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if "direct lattice vectors" in line) + 1
    path.write_text("\n".join([*lines[: first + 1], lines[first], *lines[first + 1 :]]))
    broken, *good = outcomes(path)
    assert "expected a cell of the printed" in str(broken)
    assert len(good) == 2
