"""What a conversion took from each source, what it left out, and how that is said."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mhdnn.data.schema import Record

TRAINING_LABELS = ("energy", "forces", "stress", "charges")
KEPT_REASONS = 20
"""Messages about skipped structures that are kept to be shown, of each source."""
SHOWN_SOURCES = 30
"""Sources that get a line of their own; of more, those that gave the same are counted together."""


def has_labels(record: Record) -> bool:
    """Whether a structure has anything to train on."""
    return any(getattr(record.structure, label) is not None for label in TRAINING_LABELS)


@dataclass
class SourceReport:
    """What one source gave.

    :param labels: structures that have each label
    :param unconverged: structures left out because their electronic structure did not converge
    :param skipped: structures left out because ``skip_invalid`` was asked for
    :param reasons: why, for the first of them
    :param unused: structures in which each name looks like a label and was not taken
    :param unlabelled: structures without any label, left out of files that were found in a folder
    :param candidates: structures without any label that are written
    :param weighted: structures that have a weight in the loss
    :param in_folder: whether it was found in a folder, and not named by the user
    """

    path: Path
    in_folder: bool = False
    num_structures: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    unconverged: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    candidates: int = 0
    weighted: int = 0

    def add(self, record: Record) -> None:
        """Count a structure that is written."""
        self.num_structures += 1
        self.labels.update(label for label in TRAINING_LABELS if getattr(record.structure, label) is not None)
        self.candidates += not has_labels(record)
        self.weighted += record.structure.weight is not None
        self.unused.update(record.unused)

    def skip(self, reason: str) -> None:
        """Count a structure, or the rest of the source, that is not written."""
        self.skipped += 1
        if len(self.reasons) < KEPT_REASONS:
            self.reasons.append(reason)

    @property
    def description(self) -> str:
        """One line: how many structures, with which labels, and what was left out."""
        count = self.num_structures
        labels = [label if own == count else f"{label} of {own}" for label, own in self.labels.items()]
        parts = [f"{_structures(count)}{' with ' if labels else ''}{', '.join(labels)}"]
        if self.candidates:
            parts.append(f"{_structures(self.candidates)} without labels")
        if self.weighted:
            parts.append(f"weights of {self.weighted}")
        if self.unconverged:
            parts.append(f"{_structures(self.unconverged)} not converged, left out")
        if self.unlabelled:
            parts.append(f"{_structures(self.unlabelled)} without labels, left out")
        if self.skipped:
            parts.append(f"{_structures(self.skipped)} skipped")
        if self.unused:
            parts.append(f"not used: {', '.join(f'`{name}`' for name in sorted(self.unused))}")
        return "; ".join(parts)


@dataclass
class ConvertReport:
    """What a conversion wrote, source by source.

    :param energy_kind: of all energies, one of `mhdnn.data.schema.ENERGY_KINDS`; None where not all sources tell
    :param kinds_told: whether some source tells
    :param ignored: files of folders that were not read, and why
    """

    sources: list[SourceReport] = field(default_factory=list)
    num_structures: int = 0
    num_atoms: int = 0
    energy_kind: str | None = None
    kinds_told: bool = False
    ignored: dict[Path, str] = field(default_factory=dict)

    @property
    def labels(self) -> Counter[str]:
        """Structures that have each label."""
        return sum((source.labels for source in self.sources), Counter())

    @property
    def unconverged(self) -> int:
        return sum(source.unconverged for source in self.sources)

    @property
    def skipped(self) -> int:
        return sum(source.skipped for source in self.sources)

    @property
    def reasons(self) -> list[str]:
        return [reason for source in self.sources for reason in source.reasons]

    @property
    def source_lines(self) -> list[str]:
        """What each source gave; of many, those that gave the same together."""
        if len(self.sources) <= SHOWN_SOURCES:
            return [f"{source.path}: {source.description}" for source in self.sources]
        alike: defaultdict[str, list[Path]] = defaultdict(list)
        for source in self.sources:
            alike[source.description].append(source.path)
        return [f"{_some(paths)}: {description}" for description, paths in alike.items()]

    @property
    def ignored_lines(self) -> list[str]:
        """Files of folders that were not read, those of the same name together."""
        alike: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for path, reason in self.ignored.items():
            alike[reason][path.name] += 1
        lines = []
        for reason, names in alike.items():
            shown = [f"{name} ({count})" if count > 1 else name for name, count in names.most_common(SHOWN_SOURCES)]
            more = " ..." if len(names) > SHOWN_SOURCES else ""
            lines.append(f"not read ({reason}): {', '.join(shown)}{more}")
        return lines

    @property
    def warnings(self) -> list[str]:
        """What the user should look at before training."""
        messages = [f"{source.path}: gave no structure" for source in self.sources if not source.num_structures]
        if self.unconverged:
            messages.append(
                f"{_structures(self.unconverged)} left out whose electronic structure did not converge; "
                "`--keep-unconverged` keeps them"
            )
        labels = self.labels
        if labels["energy"] and not labels["forces"]:
            messages.append(
                "no structure has forces: a potential would be trained on energies alone; if the sources hold "
                "forces, name them with `--forces-key`"
            )
        elif labels["forces"]:
            messages += _without_forces(self.sources)
        if self.kinds_told and self.energy_kind is None:
            messages.append(
                "some sources tell whether an energy is the free energy or extrapolated to zero smearing, and some "
                "don't; make sure that it is one of them, and say which with `--attribute energy_kind=free`"
            )
        return messages


def _without_forces(sources: Iterable[SourceReport]) -> list[str]:
    found = [source for source in sources if source.labels["forces"] < source.labels["energy"]]
    if not found:
        return []
    count = sum(source.labels["energy"] - source.labels["forces"] for source in found)
    return [f"{_some([source.path for source in found])}: {_structures(count)} with energies without forces"]


def _structures(count: int) -> str:
    return f"{count} structure{'' if count == 1 else 's'}"


def _some(paths: list[Path], shown: int = 3) -> str:
    """The first paths, and how many there are."""
    names = ", ".join(str(path) for path in paths[:shown])
    return names if len(paths) <= shown else f"{names}, ... ({len(paths)} sources)"
