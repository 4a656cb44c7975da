"""From DFT outputs and datasets of other programs to one schema-1 file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from mhdnn.data.ase_bridge import atoms_from_structure
from mhdnn.data.charges import charges_from_electrons, check_charges
from mhdnn.data.conversion_report import TRAINING_LABELS, ConvertReport, SourceReport, has_labels
from mhdnn.data.folders import sources_below
from mhdnn.data.label_kinds import charge_scheme, energy_kind
from mhdnn.data.readers import UNITS, Frame, ReadOptions, detect_format, read_frames
from mhdnn.data.reading import decompressed
from mhdnn.data.schema import Record, validate_structure
from mhdnn.data.store import StoreReader, StoreWriter
from mhdnn.dispersion import Dispersion, DispersionCorrection
from mhdnn.errors import DataError, UnconvergedError
from mhdnn.files import refuse_to_overwrite
from mhdnn.structure import Structure

SUFFIXES = (".h5", ".hdf5")
DISPERSION_LABELS = ("energy", "forces", "stress")


@dataclass(frozen=True)
class DispersionChoice:
    """A dispersion correction whose part is worked out and kept beside the labels.

    :param included: whether the labels hold it already, else it is added to them
    """

    correction: DispersionCorrection
    included: bool

    def applied_to(self, record: Record) -> Record:
        """The record with the correction's part.

        :raises DataError: if it has one already
        """
        if record.dispersion is not None:
            raise DataError("has a dispersion part already; leave out `--dispersion` and `--add-dispersion`")
        structure = record.structure
        part = self.correction.labels(atoms_from_structure(structure))
        present = [label for label in DISPERSION_LABELS if getattr(structure, label) is not None]
        if not self.included:
            sums = {label: getattr(structure, label) + getattr(part, label) for label in present}
            structure = replace(structure, **sums)
        kept = Dispersion(**{label: getattr(part, label) for label in present})
        return record._replace(structure=structure, dispersion=kept)


def convert(
    sources: Sequence[str | Path],
    destination: str | Path,
    options: ReadOptions | None = None,
    attributes: Mapping[str, str] | None = None,
    skip_invalid: bool = False,
    progress: Callable[[Path, int], None] | None = None,
    dispersion: DispersionChoice | None = None,
) -> ConvertReport:
    """Read all sources, in order, into one dataset file; nothing is written if one fails.

    A folder stands for all calculations and datasets in and below it; structures there without labels are left out
    unless the options keep them.

    Attributes of sources that are dataset files are kept where all of them agree. Their splits are
    not: which structures are tested should be decided over the whole. The attributes ``energy_kind`` and
    ``charge_scheme`` are written where they are known of all energies and charges.

    :param attributes: root attributes such as code, functional, charge_scheme, source, licence
    :param skip_invalid: leave broken structures, and those without any label, out and count them
    :param progress: called with the source and the number of structures so far
    :param dispersion: correction that is named by the attribute ``dispersion``, and whose part is kept
    :raises DataError: naming the file and frame that is broken, has no label, or one of another kind
    :raises ConfigError: if the destination is a source, or the correction can't be computed
    """
    paths, target = [Path(source) for source in sources], Path(destination)
    options = options or ReadOptions()
    _check_paths(paths, target)
    report = ConvertReport()
    named = {"dispersion": str(dispersion.correction)} if dispersion else {}
    stated = dict(attributes or {}) | named
    kinds = (energy_kind(stated.pop("energy_kind", None)), charge_scheme(stated.pop("charge_scheme", None)))
    report.sources, report.ignored = _expanded(paths, target, options)
    with StoreWriter(target) as writer:
        for source in report.sources:
            for name, record in _records(source, options, skip_invalid, dispersion):
                if record is not None:
                    for kind in kinds:
                        kind.add(record, name)
                    writer.append(record.structure, record.dispersion)
                    source.add(record)
                if progress is not None:
                    progress(source.path, writer.num_structures)
        _check_something_written(writer, report)
        _check_keys_found(options, report)
        report.energy_kind, report.kinds_told = kinds[0].of_all, kinds[0].known is not None
        known = {kind.attribute: kind.of_all for kind in kinds if kind.of_all is not None}
        writer.attributes = _inherited_attributes(report.sources, options) | stated | known
    report.num_structures, report.num_atoms = writer.num_structures, writer.num_atoms
    return report


def _records(
    source: SourceReport, options: ReadOptions, skip_invalid: bool, dispersion: DispersionChoice | None
) -> Iterator[tuple[str, Record | None]]:
    """The name of each frame, and its record if it is to be written.

    A source that can't be read on ends if invalid ones are skipped.
    """
    frames: Iterator[tuple[int, Frame]] | None = None
    while True:
        try:
            frames = frames or enumerate(read_frames(source.path, _options_for(source, options)))
            number, frame = next(frames)
        except StopIteration:
            return
        except DataError as error:
            if not skip_invalid:
                raise
            source.skip(str(error))
            return
        name = f"{source.path}: frame {number}"
        record = _checked(frame, name, options, skip_invalid, source)
        yield name, None if record is None else _completed(record, name, options, dispersion)


def _options_for(source: SourceReport, options: ReadOptions) -> ReadOptions:
    """Without units for the files of a folder that say theirs."""
    if options.units is None or not source.in_folder or detect_format(source.path) in UNITS:
        return options
    return replace(options, units=None)


def _expanded(paths: Sequence[Path], target: Path, options: ReadOptions) -> tuple[list[SourceReport], dict[Path, str]]:
    """The sources, with what is in folders instead of the folders."""
    sources: list[SourceReport] = []
    ignored: dict[Path, str] = {}
    for path in paths:
        if not path.is_dir() or options.format is not None:
            sources.append(SourceReport(path))
            continue
        found, others = sources_below(path, [target])
        sources += [SourceReport(own, in_folder=True) for own in found]
        ignored |= others
    return sources, ignored


def _checked(frame: Frame, name: str, options: ReadOptions, skip_invalid: bool, source: SourceReport) -> Record | None:
    """The record if it is converged, valid and labelled, or kept nevertheless; None if it is left out."""
    try:
        record = frame()
        validate_structure(record.structure, name)
        record = record._replace(structure=_with_charges(record.structure, options, name))
        if not (options.keep_unlabelled or has_labels(record)):
            if source.in_folder:
                source.unlabelled += 1
                return None
            raise _without_label(record, name)
    except UnconvergedError:
        source.unconverged += 1
        return None
    except DataError as error:
        if not skip_invalid:
            raise
        source.skip(str(error))
        return None
    return record


def _without_label(record: Record, name: str) -> DataError:
    unused = f" (not used: {', '.join(record.unused)})" if record.unused else ""
    return DataError(
        f"{name}: expected one of {', '.join(TRAINING_LABELS)}, found no label{unused}; name its key (for "
        "example `--energy-key`), keep such structures as candidates with `--keep-unlabelled`, or leave them out with "
        "`--skip-invalid`"
    )


def _with_charges(structure: Structure, options: ReadOptions, name: str) -> Structure:
    """The structure with the charges and the total charge that the user stated; both are checked."""
    if structure.total_charge is None:
        structure = replace(structure, total_charge=options.total_charge)
    if options.valence_electrons:
        structure = charges_from_electrons(structure, options.valence_electrons, name)
    check_charges(structure, name)
    return structure


def _completed(record: Record, name: str, options: ReadOptions, dispersion: DispersionChoice | None) -> Record:
    """The record with the dispersion part and the group that were asked for."""
    if dispersion is not None:
        try:
            record = dispersion.applied_to(record)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
    if options.group is None:
        return record
    return record._replace(structure=replace(record.structure, group=options.group))


def _check_paths(sources: Sequence[Path], destination: Path) -> None:
    if not sources:
        raise DataError("expected at least one source before the destination, found none; give SRC... DST.h5")
    if destination.suffix not in SUFFIXES:
        raise DataError(
            f"{destination}: the destination comes last and must end in {' or '.join(SUFFIXES)}, "
            f"found {destination.suffix or 'no suffix'!r}; give SRC... DST.h5"
        )
    refuse_to_overwrite(sources, destination, "destination")


def _inherited_attributes(sources: Sequence[SourceReport], options: ReadOptions) -> dict[str, str]:
    """What all sources agree on, if all that gave structures are dataset files."""
    paths = [source.path for source in sources if source.num_structures]
    if not all(path.is_file() and (options.format or detect_format(path)) == "mhdnn" for path in paths):
        return {}
    with ExitStack() as stack:
        plain = [stack.enter_context(decompressed(path)) for path in paths]
        first, *others = [StoreReader(path).attributes for path in plain]
    agreed = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    return {key: value for key, value in agreed.items() if key != "energy_kind"}  # which the records have


def _check_something_written(writer: StoreWriter, report: ConvertReport) -> None:
    if writer.num_structures:
        return
    left_out = []
    if report.unconverged:
        left_out.append(f"{report.unconverged} that did not converge (`--keep-unconverged` keeps them)")
    if report.skipped:
        left_out.append(f"{report.skipped} that were skipped, the first because of {report.reasons[0]}")
    raise DataError(
        f"{writer.path}: no structure was written; expected at least one, found "
        f"{' and '.join(left_out) or 'none in any source'}; check the sources"
    )


def _check_keys_found(options: ReadOptions, report: ConvertReport) -> None:
    """A key that the user named and that no structure has is a mistake, not a missing label."""
    for label in ("energy", "forces", "stress", "virial", "charges"):
        key = getattr(options.keys, label)
        if key is not None and not report.labels["stress" if label == "virial" else label]:
            raise DataError(f"`--{label}-key` {key}: no structure has it; check the key's spelling")
