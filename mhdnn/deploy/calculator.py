"""The ASE calculator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ConfigError, ModelError
from mhdnn.neighbors import NeighborPairs, find_pairs, pair_vectors
from mhdnn.potential import forces_from_pairs, pair_virials


class MHDNNCalculator(Calculator):
    """A trained model as an ASE calculator: energy, free energy, atomic energies, forces, stress.

    Neighbours are searched within cutoff + skin and kept until an atom has moved by half the skin.
    The stress is per volume of the given cell (with its vacuum) and needs three cell vectors.

    :param model: path of a model file
    :param device: cpu or cuda
    :param skin: Å
    :raises ModelError: if the file is no model
    :raises ConfigError: if the skin is negative
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, model: str | Path, device: str = "cpu", skin: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if skin < 0:
            raise ConfigError(f"`skin`: expected a length of at least 0 Å, got {skin}")
        self.device = torch.device(device)
        self.potential, self.metadata = load_model(model, self.device)
        self.cutoff = float(self.metadata["cutoff"])
        self.skin = skin
        self.num_neighbor_searches = 0
        self._pairs: NeighborPairs | None = None
        self._searched: Atoms | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Called by ASE; fills ``self.results``.

        :raises ModelError: if the model does not know an element
        """
        super().calculate(atoms, properties, system_changes)
        self._check_elements()
        vectors, center, neighbor = self._pairs_within_cutoff()
        vectors.requires_grad_()
        numbers = torch.as_tensor(self.atoms.numbers, dtype=torch.long, device=self.device)
        energies = self.potential(vectors, center, neighbor, numbers)
        (gradient,) = torch.autograd.grad(energies.sum(), vectors, allow_unused=True)
        gradient = torch.zeros_like(vectors) if gradient is None else gradient
        forces = forces_from_pairs(gradient, center, neighbor, len(numbers))
        energies = energies.detach()
        energy = float(energies.sum())
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "energies": energies.cpu().numpy(),
            "forces": forces.cpu().numpy(),
        }
        if self.atoms.cell.rank == 3:
            virial = pair_virials(vectors.detach(), gradient).sum(0).cpu().numpy()
            self.results["stress"] = virial / self.atoms.get_volume()

    def _check_elements(self) -> None:
        unknown = sorted(set(self.atoms.get_chemical_symbols()) - set(self.metadata["elements"]))
        if unknown:
            raise ModelError(
                f"`atoms`: the model does not know {', '.join(unknown)}; it was trained for "
                f"{', '.join(self.metadata['elements'])}. Train on data that contain all elements"
            )

    def _pairs_within_cutoff(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pair vectors, centres and neighbours, from the kept list if it still holds."""
        if not self._list_holds():
            self._pairs = find_pairs(self.atoms.positions, self.atoms.cell[:], self.atoms.pbc, self.cutoff + self.skin)
            self._searched = self.atoms.copy()
            self.num_neighbor_searches += 1
        center, neighbor, shifts = (torch.as_tensor(x, device=self.device) for x in self._pairs or ())
        positions = torch.as_tensor(self.atoms.positions, device=self.device)
        vectors = pair_vectors(positions, center, neighbor, shifts)
        near = torch.nonzero((vectors * vectors).sum(1) < self.cutoff**2).squeeze(1)
        return vectors[near], center[near], neighbor[near]

    def _list_holds(self) -> bool:
        """Whether no pair can have come within the cutoff since the last search."""
        last = self._searched
        if last is None or len(last) != len(self.atoms) or not np.array_equal(last.pbc, self.atoms.pbc):
            return False
        if not np.array_equal(last.cell[:], self.atoms.cell[:]):
            return False
        moved = np.linalg.norm(self.atoms.positions - last.positions, axis=1)
        return bool(2 * moved.max(initial=0.0) < self.skin)
