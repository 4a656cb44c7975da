"""What a model predicted for a set of structures, beside the reference; shapes and units, once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np

from mhdnn.errors import DataError
from mhdnn.structure import family_of

UNNAMED_FAMILY = "unnamed"
NO_COLUMNS = ("num_atoms", "groups", "forces_quantile", "energy_quantile")


@dataclass
class Predictions:
    """Reference and predicted labels of several structures, concatenated.

    S structures, N atoms in total. A label that the dataset or the model lacks is None; where only
    some structures have a reference, the others hold NaN and are left out of every error.

    :param num_atoms: atoms of each structure, shape (S,), int
    :param groups: where each structure comes from, ``family`` or ``family/member``, length S
    :param atomic_numbers: shape (N,), int
    :param energy_reference: total energy, shape (S,), eV
    :param energy_predicted: total energy, shape (S,), eV
    :param forces_reference: shape (N, 3), eV/Å
    :param forces_predicted: shape (N, 3), eV/Å
    :param stress_reference: Voigt xx yy zz yz xz xy, tension positive, shape (S, 6), eV/Å³
    :param stress_predicted: as the reference
    :param charges_reference: shape (N,), e
    :param charges_predicted: shape (N,), e
    :param forces_uncertainty: expected errors of forces (`mhdnn.uncertainty`), shape (N,), eV/Å
    :param energy_uncertainty: expected errors of total energies, shape (S,), eV
    :param forces_quantile: 90 % of errors are expected to be below so many of them
    :param energy_quantile: the same
    :param dataset_index: position of each structure in its dataset, shape (S,), int; 0 … S-1 if None
    :raises DataError: if an array's shape contradicts the others
    """

    num_atoms: np.ndarray
    groups: list[str] = field(repr=False)
    atomic_numbers: np.ndarray = field(repr=False)
    energy_reference: np.ndarray | None = field(default=None, repr=False)
    energy_predicted: np.ndarray | None = field(default=None, repr=False)
    forces_reference: np.ndarray | None = field(default=None, repr=False)
    forces_predicted: np.ndarray | None = field(default=None, repr=False)
    stress_reference: np.ndarray | None = field(default=None, repr=False)
    stress_predicted: np.ndarray | None = field(default=None, repr=False)
    charges_reference: np.ndarray | None = field(default=None, repr=False)
    charges_predicted: np.ndarray | None = field(default=None, repr=False)
    dataset_index: np.ndarray | None = field(default=None, repr=False)
    forces_uncertainty: np.ndarray | None = field(default=None, repr=False)
    energy_uncertainty: np.ndarray | None = field(default=None, repr=False)
    forces_quantile: float | None = None
    energy_quantile: float | None = None

    def __post_init__(self) -> None:
        self.num_atoms = np.asarray(self.num_atoms)
        structures, atoms = len(self.num_atoms), int(self.num_atoms.sum())
        if len(self.groups) != structures:
            raise DataError(f"`groups` must name {structures} structures, got {len(self.groups)}")
        trailing = {"forces": (3,), "stress": (6,)}
        for name in (f.name for f in fields(self) if f.name not in NO_COLUMNS):
            value = getattr(self, name)
            if value is None:
                continue
            kind = name.split("_")[0]
            rows = atoms if kind in ("atomic", "forces", "charges") else structures
            expected = (rows,) if name.endswith("uncertainty") else (rows, *trailing.get(kind, ()))
            value = np.asarray(value)
            if value.shape != expected:
                raise DataError(f"`{name}` must have shape {expected}, got {value.shape}")
            setattr(self, name, value)

    @property
    def num_structures(self) -> int:
        return len(self.num_atoms)

    @property
    def structure_index(self) -> np.ndarray:
        """Structure of each atom, shape (N,)."""
        return np.repeat(np.arange(self.num_structures), self.num_atoms)

    @property
    def families(self) -> list[str]:
        """Family of each structure, length S."""
        return [family_of(group).strip() or UNNAMED_FAMILY for group in self.groups]

    def select(self, structures: np.ndarray) -> Predictions:
        """The same for some of the structures.

        :param structures: which to keep, shape (S,), bool
        """
        structures = np.asarray(structures, dtype=bool)
        atoms = structures[self.structure_index]
        index = np.arange(self.num_structures) if self.dataset_index is None else self.dataset_index
        chosen: dict[str, object] = {
            "num_atoms": self.num_atoms[structures],
            "groups": [group for group, keep in zip(self.groups, structures, strict=True) if keep],
            "atomic_numbers": self.atomic_numbers[atoms],
            "dataset_index": index[structures],
        }
        for name in ("energy", "forces", "stress", "charges"):
            mask = atoms if name in ("forces", "charges") else structures
            for side in ("reference", "predicted"):
                value = getattr(self, f"{name}_{side}")
                chosen[f"{name}_{side}"] = None if value is None else value[mask]
        for name, mask in (("forces_uncertainty", atoms), ("energy_uncertainty", structures)):
            value = getattr(self, name)
            chosen[name] = None if value is None else value[mask]
        return replace(self, **chosen)  # type: ignore[arg-type]
