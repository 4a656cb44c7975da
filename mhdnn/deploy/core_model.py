"""A model file in the core (`mhdnn/core`), for one structure at a time: energies, forces and all beside, without torch.

About twice as fast as `mhdnn.prediction.predict`, which knows more: GPUs, members of ensembles, shares in virials.
"""

from __future__ import annotations

import io
import os
import weakref
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from mhdnn.deploy.core_library import INTEGERS, LONGS, NOT_FINITE, CAtoms, CoreLibrary, CResult, core_library, pointer
from mhdnn.deploy.guard import ExtrapolationGuard
from mhdnn.deploy.plain_weights import WEIGHTS_TEXT
from mhdnn.electrostatics.system import solver_number
from mhdnn.neighbors import NeighborPairs
from mhdnn.prediction import Prediction, has_charges, num_members
from mhdnn.uncertainty.model import ErrorModel
from mhdnn.uncertainty.prediction import has_error_model


def core_model_of(content: bytes, path: Path, potential: Any, device: torch.device, solver: str) -> CoreModel | None:
    """The model file in the core, or None where `mhdnn.prediction.predict` is needed.

    That is: on a GPU, for ensembles, for files of versions without plain weights, and without a compiler.

    :param content: of the file
    :param path: of the file, for messages
    :param potential: of the file, scripted
    :param solver: of the charges: auto, dense or iterative
    """
    if device.type != "cpu" or num_members(potential) > 1 or not has_plain_weights(content):
        return None
    library = core_library()
    return None if library is None else CoreModel(library, content, path, potential, solver)


def has_plain_weights(content: bytes) -> bool:
    """Whether a model file has the records that the core reads."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return any(name.endswith(f"extra/{WEIGHTS_TEXT}") for name in archive.namelist())


class CoreModel:
    """An open model file.

    :param library: of the core
    :param content: of the file, kept for copies: another model may have its name by then
    :param path: of the file, for messages
    :param potential: of the file, scripted, for what the core leaves to Python
    :param solver: of the charges: auto, dense or iterative
    :raises CoreError: if the core can't read the file
    """

    def __init__(self, library: CoreLibrary, content: bytes, path: Path, potential: Any, solver: str) -> None:
        self.library, self.content, self.path = library, content, path
        self.potential, self.solver = potential, solver
        self.handle = library.open_content(content, len(content), os.fsencode(path), b"model")
        if not self.handle:
            raise library.error()
        weakref.finalize(self, library.close, self.handle)
        self.num_elements = int(potential.uncertainty.num_elements)
        self.num_functions = library.num_functions(self.handle)
        self.errors = _error_model(potential) if has_error_model(potential) else None
        self._pairs: tuple[NeighborPairs, np.ndarray] | None = None
        self._counted: tuple[np.ndarray, torch.Tensor] | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> CoreModel:
        """Another, since the core keeps what one has seen."""
        return CoreModel(self.library, self.content, self.path, self.potential, self.solver)

    def predict(
        self, atoms: Atoms, pairs: NeighborPairs, total_charge: float, guard: ExtrapolationGuard, num_threads: int
    ) -> Prediction:
        """As `mhdnn.prediction.predict`, with expected errors where the model knows them.

        :param pairs: of the atoms; those beyond the cutoff are left out
        :param total_charge: e, for a model with charges
        :param guard: marks atoms outside the training data, and may raise
        :param num_threads: of the core; torch's may be fewer meanwhile (`only_functions_in_parallel`)
        :raises CoreError: with what the core says
        """
        numbers = np.ascontiguousarray(atoms.numbers, dtype=np.int32)
        positions, cell, periodic = (
            np.ascontiguousarray(atoms.positions, dtype=np.float64),
            np.ascontiguousarray(atoms.cell[:], dtype=np.float64),
            np.ascontiguousarray(atoms.pbc, dtype=np.int32),
        )
        indices = self._indices(pairs)
        given = CAtoms(
            len(numbers), pointer(numbers, INTEGERS), len(indices), pointer(indices, LONGS), None, pointer(positions),
            pointer(cell), pointer(periodic, INTEGERS), total_charge, pointer(pairs.cell_shifts),
            solver_number(self.solver),
        )  # fmt: skip
        arrays = self._arrays(len(numbers))
        outside = np.zeros(len(numbers), dtype=np.int32)
        result = CResult(outside=pointer(outside, INTEGERS), **{name: pointer(arrays[name]) for name in arrays})
        self.library.set_num_threads(num_threads)
        code = self.library.compute(self.handle, given, result)
        if code not in (0, NOT_FINITE):
            raise self.library.error()
        if code == 0:
            guard.mark(outside.astype(bool), atoms.numbers, self._why_outside)
        return self._prediction(result, arrays, numbers)

    def _indices(self, pairs: NeighborPairs) -> np.ndarray:
        """Centre and neighbour beside each other; of the pairs that came last they are kept."""
        if self._pairs is None or self._pairs[0] is not pairs:
            self._pairs = (pairs, np.stack([pairs.center_index, pairs.neighbor_index], 1).astype(np.int64))
        return self._pairs[1]

    def _arrays(self, num_atoms: int) -> dict[str, np.ndarray]:
        """What the core fills."""
        arrays = {"energies": np.zeros(num_atoms), "forces": np.zeros((num_atoms, 3))}
        if has_charges(self.potential):
            arrays["charges"] = np.zeros(num_atoms)
        if self.errors is not None:
            arrays["force_errors"] = np.zeros(num_atoms)
            if self.errors.knows_energies():
                arrays["function_sums"] = np.zeros((self.num_elements, self.num_functions))
        return arrays

    def _why_outside(self, atom: int) -> str:
        return str(self.library.why_outside(self.handle, atom).decode())

    def _prediction(self, result: CResult, arrays: dict[str, np.ndarray], numbers: np.ndarray) -> Prediction:
        tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
        sums = tensors.get("function_sums")
        return Prediction(
            energy=torch.tensor([result.energy], dtype=torch.float64),
            forces=tensors["forces"],
            virial=torch.tensor([list(result.virial)], dtype=torch.float64),
            atomic_energies=tensors["energies"],
            charges=tensors.get("charges"),
            force_errors=tensors.get("force_errors"),
            energy_errors=None if sums is None else self._energy_errors(sums, numbers, tensors["force_errors"]),
        )

    def _energy_errors(self, sums: torch.Tensor, numbers: np.ndarray, force_errors: torch.Tensor) -> torch.Tensor:
        """Expected error of the energy, shape (1,), eV."""
        assert self.errors is not None
        dtype = self.errors.axes.dtype
        with torch.no_grad():
            grades = self.errors.grades_of_sums(sums.to(dtype), self._counts(numbers).to(dtype), 1)
            errors = self.errors.energy_errors(grades, torch.tensor([len(numbers)]))
            return self.errors.raised_energies(errors, force_errors, torch.zeros(len(numbers), dtype=torch.long))

    def _counts(self, numbers: np.ndarray) -> torch.Tensor:
        """Numbers of atoms of each element; of the atoms that came last they are kept."""
        if self._counted is None or not np.array_equal(self._counted[0], numbers):
            element = self.potential.element_index(torch.from_numpy(numbers).long())
            self._counted = (numbers, torch.bincount(element, minlength=self.num_elements))
        return self._counted[1]


def _error_model(potential: Any) -> ErrorModel:
    """The error model of a scripted potential, which may be of an older version, with the methods of this one."""
    given = potential.uncertainty
    model = ErrorModel(given.num_elements, len(given.axes), float(potential.cutoff))
    for name, values in given.state_dict().items():
        setattr(model, name, values)
    return model
