"""A model file in torch-sim: relaxations and molecular dynamics of many structures at a time.

It needs the extra ``torch-sim``. Energies, forces, stress and charges are those of `mhdnn.prediction.predict`, of all
structures in one batch. Expected errors and the guard of the training domain stay behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mhdnn.data.dataset import collate
from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ConfigError, ModelError
from mhdnn.neighbors import find_pairs
from mhdnn.prediction import predict
from mhdnn.structure import VOIGT, Geometry, Structure

try:
    import torch_sim
    from torch_sim.models.interface import ModelInterface
except ImportError as error:
    raise ConfigError(
        "`torch-sim-atomistic`: is not installed, expected for torch-sim; pip install 'mhdnn[torch-sim]' (Python 3.11 "
        "or newer)"
    ) from error


class TorchSimModel(ModelInterface):
    """A model as torch-sim takes it; neighbours are searched at each step, on the CPU.

    :param model: path of a model file
    :param device: cpu or cuda
    :param total_charge: of each structure, or of all of them, e; for models with charges
    :raises ModelError: if the file is no model
    """

    def __init__(self, model: Path | str, device: str = "cpu", total_charge: float | Sequence[float] = 0.0) -> None:
        super().__init__()
        self._device, self._dtype = torch.device(device), torch.float64
        self._compute_stress = self._compute_forces = True
        self.potential, self.metadata = load_model(model, self._device)
        self.total_charge = total_charge

    def forward(self, state: torch_sim.SimState | dict[str, Any], **_: Any) -> dict[str, torch.Tensor]:
        """Energies (eV), forces (eV/Å), stress (eV/Å³, positive under tension), and of models with them charges (e).

        The stress is NaN without a cell.

        :param state: positions and cells in Å; its cells have the vectors as columns
        :raises ModelError: if the model does not know an element
        :raises ConfigError: if there is not one total charge for each structure
        """
        if isinstance(state, dict):
            state = torch_sim.SimState(**state, masses=torch.ones_like(state["positions"][:, 0]))
        geometry = self._geometry(state)
        prediction = predict(self.potential, geometry)
        voigt = geometry.stress(prediction.virial)
        stress = voigt.new_empty(state.n_systems, 3, 3)
        for column, (row, other) in enumerate(VOIGT):
            stress[:, row, other] = stress[:, other, row] = voigt[:, column]
        found = {"energy": prediction.energy, "forces": prediction.forces, "stress": stress}
        if prediction.charges is not None:
            found["charges"] = prediction.charges
        return {name: values.to(state.positions) for name, values in found.items()}

    def _geometry(self, state: torch_sim.SimState) -> Geometry:
        unknown = sorted(set(state.atomic_numbers.tolist()) - set(self.metadata["atomic_numbers"]))
        if unknown:
            raise ModelError(
                f"`state`: the model does not know the atomic numbers {unknown}; it was trained for "
                f"{', '.join(self.metadata['elements'])}"
            )
        totals = self._total_charges(state.n_systems)
        numbers, positions = (values.detach().cpu().numpy() for values in (state.atomic_numbers, state.positions))
        cells, system = state.row_vector_cell.detach().cpu().double().numpy(), state.system_idx.cpu().numpy()
        periodic = torch.as_tensor(state.pbc).expand(3).numpy()
        items = []
        for index, (cell, total) in enumerate(zip(cells, totals, strict=True)):
            own = system == index
            structure = Structure(numbers[own], positions[own].astype(float), cell, periodic, total_charge=total)
            items.append((index, structure, find_pairs(structure.positions, cell, periodic, self.metadata["cutoff"])))
        return collate(items).geometry.to(self._device)

    def _total_charges(self, num_systems: int) -> list[float]:
        totals = np.asarray(self.total_charge, dtype=float)
        if totals.shape not in ((), (num_systems,)):
            raise ConfigError(
                f"`total_charge`: expected one for each structure ({num_systems}), or one number for all, got "
                f"{totals.size}"
            )
        return [float(total) for total in np.broadcast_to(totals, num_systems)]
