"""Of which kind the labels of a dataset are: energies free or extrapolated, charges of which scheme."""

from __future__ import annotations

from mhdnn.data.schema import ENERGY_KINDS, Record
from mhdnn.errors import DataError

KIND_NAMES = {"free": "free energy", "extrapolated": "energy extrapolated to zero smearing"}


class LabelKind:
    """Of which kind a label of all structures is; two kinds are refused, since one potential can't fit both.

    :param label: ``energy`` or ``charges``
    :param attribute: name of the kind in `Record` and among the root attributes
    :param stated: what the user says of sources that don't tell
    :param remedy: how to read all sources alike
    """

    def __init__(self, label: str, attribute: str, stated: str | None, remedy: str) -> None:
        self.label, self.attribute, self.remedy = label, attribute, remedy
        self.stated = stated
        self.known = stated
        self.source = f"`--attribute {attribute}`"
        self.missing = False

    @property
    def of_all(self) -> str | None:
        return None if self.missing else self.known

    def add(self, record: Record, name: str) -> None:
        """:raises DataError: if an earlier structure has a label of another kind"""
        if getattr(record.structure, self.label) is None:
            return
        kind = getattr(record, self.attribute) or self.stated
        if kind is None:
            self.missing = True
        elif self.known is None:
            self.known, self.source = kind, name
        elif kind.lower() != self.known.lower():
            raise DataError(
                f"{name}: `{self.label}` is the {KIND_NAMES.get(kind, kind)}, but {self.source} has the "
                f"{KIND_NAMES.get(self.known, self.known)}, and one potential can't fit both; {self.remedy}, or make "
                "two datasets"
            )


def energy_kind(stated: str | None) -> LabelKind:
    """:raises DataError: if it is none of `ENERGY_KINDS`"""
    if stated is not None and stated not in ENERGY_KINDS:
        raise DataError(f"attribute `energy_kind` must be one of {', '.join(ENERGY_KINDS)}, found {stated!r}")
    remedy = (
        "read the outputs again with the same `--energy-key` (`free_energy`, which the forces belong to, or `energy`)"
    )
    return LabelKind("energy", "energy_kind", stated, remedy)


def charge_scheme(stated: str | None) -> LabelKind:
    remedy = "read the outputs again with `--charges-key` and a scheme that all of them print"
    return LabelKind("charges", "charge_scheme", stated, remedy)
