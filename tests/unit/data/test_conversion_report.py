"""What a conversion says: unconverged structures, kinds of energy, and sources that lack something."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule

from mhdnn.data import readers
from mhdnn.data.ase_bridge import structure_from_atoms
from mhdnn.data.conversion_report import SHOWN_SOURCES, ConvertReport, SourceReport
from mhdnn.data.convert import convert
from mhdnn.data.readers import ReadOptions
from mhdnn.data.schema import Record
from mhdnn.data.store import StoreReader, StoreWriter
from mhdnn.errors import DataError, UnconvergedError


def water(energy: float | None = -14.0, forces: bool = True):
    structure = structure_from_atoms(molecule("H2O"))
    structure.energy = energy
    structure.forces = np.zeros((3, 3)) if forces else None
    return structure


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """A format whose files name the records that are read from them."""
    records: dict[str, list] = {}

    def frame(record, name, options):
        if record is None and not options.keep_unconverged:
            raise UnconvergedError(f"{name}: not converged")
        return Record(water()) if record is None else record

    def read(path: Path, options: ReadOptions):
        for record in records[path.name]:
            yield partial(frame, record, path, options)

    monkeypatch.setitem(readers.READERS, "fake", read)

    def add(name: str, *found):
        records[name] = list(found)
        (tmp_path / name).write_text("")
        return tmp_path / name

    return add


def run(tmp_path, *sources, **options):
    keep = options.pop("keep_unconverged", False)
    read = ReadOptions("fake", keep_unconverged=keep)
    return convert(sources, tmp_path / "out.h5", read, **options)


class TestUnconverged:
    def test_left_out_and_counted_for_each_source(self, tmp_path, fake):
        first = fake("a", Record(water(-1.0)), None, None)
        second = fake("b", Record(water(-2.0)))
        report = run(tmp_path, first, second)
        assert [s.energy for s in StoreReader(tmp_path / "out.h5")] == [-1.0, -2.0]
        assert [source.unconverged for source in report.sources] == [2, 0]
        assert report.source_lines[0].endswith("1 structure with energy, forces; 2 structures not converged, left out")
        assert any("`--keep-unconverged` keeps them" in message for message in report.warnings)
        assert report.skipped == 0

    def test_kept_on_request(self, tmp_path, fake):
        assert run(tmp_path, fake("a", None, None), keep_unconverged=True).num_structures == 2

    def test_none_left(self, tmp_path, fake):
        with pytest.raises(DataError, match="no structure was written; .* 1 that did not converge"):
            run(tmp_path, fake("a", None))


class TestEnergyKind:
    def test_written_where_all_have_it(self, tmp_path, fake):
        source = fake("a", Record(water(), energy_kind="free"), Record(water(None)))
        assert run(tmp_path, source).energy_kind == "free"
        reader = StoreReader(tmp_path / "out.h5")
        assert reader.attributes == {"energy_kind": "free"}
        assert reader.record(0).energy_kind == "free"

    def test_two_kinds_are_refused(self, tmp_path, fake):
        first, second = (
            fake("a", Record(water(), energy_kind="free")),
            fake("b", Record(water(), None, None, "extrapolated")),
        )
        with pytest.raises(
            DataError, match="b: frame 0: `energy` is the energy extrapolated .*a: frame 0 has the free"
        ):
            run(tmp_path, first, second, skip_invalid=True)
        assert not (tmp_path / "out.h5").exists()

    def test_unknown_beside_known_is_said(self, tmp_path, fake):
        source = fake("a", Record(water(), energy_kind="free"), Record(water()))
        report = run(tmp_path, source)
        assert any("some don't" in message for message in report.warnings)
        assert StoreReader(tmp_path / "out.h5").attributes == {}
        assert not run(tmp_path, fake("b", Record(water()))).warnings

    def test_stated_by_the_user(self, tmp_path, fake):
        stated = {"energy_kind": "extrapolated"}
        assert run(tmp_path, fake("a", Record(water())), attributes=stated).energy_kind == "extrapolated"
        with pytest.raises(DataError, match="but `--attribute energy_kind` has the energy extrapolated"):
            run(tmp_path, fake("b", Record(water(), energy_kind="free")), attributes=stated)
        with pytest.raises(DataError, match="must be one of free, extrapolated, found 'E0'"):
            run(tmp_path, fake("b", Record(water())), attributes={"energy_kind": "E0"})

    def test_datasets_of_two_kinds_are_not_merged(self, tmp_path):
        for kind in ("free", "extrapolated"):
            with StoreWriter(tmp_path / f"{kind}.h5", {"energy_kind": kind}) as writer:
                writer.append(water())
        with pytest.raises(DataError, match="one potential can't fit both"):
            convert([tmp_path / "free.h5", tmp_path / "extrapolated.h5"], tmp_path / "out.h5")
        convert([tmp_path / "free.h5"], tmp_path / "out.h5")
        assert StoreReader(tmp_path / "out.h5").attributes == {"energy_kind": "free"}

    def test_unknown_word_in_a_dataset(self, tmp_path):
        with StoreWriter(tmp_path / "a.h5", {"energy_kind": "total"}) as writer:
            writer.append(water())
        with pytest.raises(DataError, match="`energy_kind` must be one of free, extrapolated, found 'total'"):
            StoreReader(tmp_path / "a.h5")


class TestWhatIsSaid:
    def test_sources_without_structures_or_forces(self, tmp_path, fake):
        sources = [fake("a", Record(water())), fake("b"), fake("c", Record(water(forces=False), unused=("f_dft",)))]
        report = run(tmp_path, *sources)
        assert report.warnings == [
            f"{tmp_path / 'b'}: gave no structure",
            f"{tmp_path / 'c'}: 1 structure with energies without forces",
        ]
        assert report.source_lines[2] == f"{tmp_path / 'c'}: 1 structure with energy; not used: `f_dft`"

    def test_no_forces_at_all(self, tmp_path, fake):
        (message,) = run(tmp_path, fake("a", Record(water(forces=False)))).warnings
        assert "no structure has forces" in message

    def test_many_sources_that_gave_the_same_are_counted_together(self):
        sources = [SourceReport(Path(f"run{n}"), num_structures=1) for n in range(SHOWN_SOURCES + 1)]
        sources[5].unconverged = 3
        lines = ConvertReport(sources).source_lines
        assert lines == [
            f"run0, run1, run2, ... ({SHOWN_SOURCES} sources): 1 structure",
            "run5: 1 structure; 3 structures not converged, left out",
        ]

    def test_a_source_that_breaks_off_is_skipped_on_request(self, tmp_path):
        (tmp_path / "a.h5").write_text("no dataset")
        (tmp_path / "b.xyz").write_text("1\nenergy=2\nH 0 0 0\n")
        sources = [tmp_path / "a.h5", tmp_path / "b.xyz"]
        report = convert(sources, tmp_path / "out.h5", ReadOptions(), skip_invalid=True)
        assert report.num_structures == 1
        assert "a.h5" in report.reasons[0]

    def test_names_that_are_no_texts(self, tmp_path, capsys):
        import os

        from mhdnn.cli import main

        source = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.xyz")
        Path(source).write_text("1\nenergy=2\nH 0 0 0\n")
        assert main(["data", "convert", source, str(tmp_path / "out.h5"), "--group", "a"]) == 0
        assert "\\udcff.xyz: 1 structure with energy" in capsys.readouterr().out
