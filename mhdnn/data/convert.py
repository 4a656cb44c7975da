"""From DFT outputs and datasets of other programs to one schema-1 file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mhdnn.data.ase_bridge import atoms_from_structure
from mhdnn.data.readers import Frame, ReadOptions, read_frames
from mhdnn.data.schema import Dispersion, Record, validate_structure
from mhdnn.data.store import StoreReader, StoreWriter
from mhdnn.dispersion import DispersionCorrection
from mhdnn.errors import DataError

SUFFIXES = (".h5", ".hdf5")
TRAINING_LABELS = ("energy", "forces", "stress", "charges")
DISPERSION_LABELS = ("energy", "forces", "stress")
KEPT_SKIPPED = 20
"""Messages about skipped structures that are kept to be shown."""


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


@dataclass
class ConvertReport:
    """What a conversion wrote.

    :param labels: structures that have each label
    :param skipped: structures left out because ``skip_invalid`` was asked for
    :param reasons: why, for the first of them
    """

    num_structures: int = 0
    num_atoms: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)


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

    Attributes of sources that are dataset files are kept where all of them agree. Their splits are
    not: which structures are tested should be decided over the whole.

    :param attributes: root attributes such as code, functional, charge_scheme, source, licence
    :param skip_invalid: leave broken structures, and those without any label, out and count them
    :param progress: called with the source and the number of structures so far
    :param dispersion: correction that is named by the attribute ``dispersion``, and whose part is kept
    :raises DataError: naming the file and frame that is broken or has no label
    :raises ConfigError: if the correction can't be computed
    """
    paths, target = [Path(source) for source in sources], Path(destination)
    options = options or ReadOptions()
    _check_paths(paths, target)
    report = ConvertReport()
    named = {"dispersion": str(dispersion.correction)} if dispersion else {}
    with StoreWriter(target, _inherited_attributes(paths) | dict(attributes or {}) | named) as writer:
        for path in paths:
            for number, frame in enumerate(read_frames(path, options)):
                record = _checked(frame, f"{path}: frame {number}", options, skip_invalid, report, dispersion)
                if record is not None:
                    writer.append(record.structure, record.dispersion)
                    labels = [key for key in TRAINING_LABELS if getattr(record.structure, key) is not None]
                    report.labels.update(labels)
                if progress is not None:
                    progress(path, writer.num_structures)
        _check_keys_found(options, report)
    report.num_structures, report.num_atoms = writer.num_structures, writer.num_atoms
    return report


def _checked(
    frame: Frame,
    name: str,
    options: ReadOptions,
    skip_invalid: bool,
    report: ConvertReport,
    dispersion: DispersionChoice | None,
) -> Record | None:
    """The record if it is valid and labelled; None if it is not and is to be skipped."""
    try:
        record = frame()
        validate_structure(record.structure, name)
        if all(getattr(record.structure, label) is None for label in TRAINING_LABELS):
            raise DataError(
                f"{name}: expected one of {', '.join(TRAINING_LABELS)}, found no label; name its key (for "
                "example `--energy-key`), or leave such structures out with `--skip-invalid`"
            )
    except DataError as error:
        if not skip_invalid:
            raise
        report.skipped += 1
        if len(report.reasons) < KEPT_SKIPPED:
            report.reasons.append(str(error))
        return None
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
    for path in sources:
        if path.absolute() == destination.absolute():
            raise DataError(f"{path}: is both a source and the destination; choose another destination")


def _inherited_attributes(sources: Sequence[Path]) -> dict[str, str]:
    stores = [path for path in sources if path.suffix in SUFFIXES and path.is_file()]
    if not stores or len(stores) != len(sources):
        return {}
    first, *others = [StoreReader(path).attributes for path in stores]
    return {key: value for key, value in first.items() if all(o.get(key) == value for o in others)}


def _check_keys_found(options: ReadOptions, report: ConvertReport) -> None:
    """A key that the user named and that no structure has is a mistake, not a missing label."""
    for label in ("energy", "forces", "stress", "virial", "charges"):
        key = getattr(options.keys, label)
        if key is not None and not report.labels["stress" if label == "virial" else label]:
            raise DataError(f"`--{label}-key` {key}: no structure has it; check the key's spelling")
