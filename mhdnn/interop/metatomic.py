"""The short-range model as a model of metatomic, for i-PI, PLUMED, GROMACS, LAMMPS, ASE and torch-sim.

It needs the extra ``metatomic``. Energies of structures and of atoms come from the model's TorchScript; forces and
stress are their derivatives, which the engine takes. Charges, expected errors and the guard of the training domain stay
behind.
"""

from pathlib import Path
from typing import Dict, List, Optional  # noqa: UP035  TorchScript reads them

import torch

from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ConfigError
from mhdnn.files import refuse_to_overwrite

try:
    from metatensor.torch import Labels, TensorBlock, TensorMap
    from metatomic.torch import (
        AtomisticModel,
        ModelCapabilities,
        ModelMetadata,
        ModelOutput,
        NeighborListOptions,
        System,
    )
except ImportError as error:
    raise ConfigError(
        "`metatomic-torch`: is not installed, expected for models of metatomic; pip install 'mhdnn[metatomic]'"
    ) from error

ENERGY = "energy"


class EnergyModel(torch.nn.Module):
    """A potential behind metatomic's interface.

    :param potential: TorchScript of a model file
    :param cutoff: Å
    """

    def __init__(self, potential: torch.jit.ScriptModule, cutoff: float) -> None:
        super().__init__()
        self.potential = potential
        self.options = NeighborListOptions(cutoff=cutoff, full_list=True, strict=True)

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:  # noqa: UP006
        """Full lists within the cutoff."""
        return [self.options]

    def forward(
        self,
        systems: List[System],  # noqa: UP006
        outputs: Dict[str, ModelOutput],  # noqa: UP006
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:  # noqa: UP006
        """Energies, eV: of structures, or of atoms where they are asked for."""
        results: Dict[str, TensorMap] = {}  # noqa: UP006
        if "energy" not in outputs:
            return results
        per_atom = outputs["energy"].sample_kind == "atom"
        values: List[torch.Tensor] = []  # noqa: UP006
        samples: List[torch.Tensor] = []  # noqa: UP006
        for number, system in enumerate(systems):
            energies = self.energies(system)
            atoms = torch.arange(len(energies), device=energies.device)
            if selected_atoms is not None:
                rows = selected_atoms.values[selected_atoms.column("system") == number]
                atoms = rows[:, 1].to(torch.long).to(energies.device)
            energies = energies.index_select(0, atoms)
            if per_atom:
                values.append(energies.unsqueeze(1))
                samples.append(torch.stack([torch.full_like(atoms, number), atoms], 1))
            else:
                values.append(energies.sum().reshape(1, 1))
                samples.append(torch.tensor([[number]], device=energies.device))
        names = ["system", "atom"] if per_atom else ["system"]
        device = values[0].device
        block = TensorBlock(
            values=torch.cat(values),
            samples=Labels(names, torch.cat(samples).to(torch.int32)),
            components=torch.jit.annotate(list[Labels], []),
            properties=Labels(["energy"], torch.tensor([[0]], dtype=torch.int32, device=device)),
        )
        keys = Labels(["_"], torch.tensor([[0]], dtype=torch.int32, device=device))
        results["energy"] = TensorMap(keys, [block])
        return results

    def energies(self, system: System) -> torch.Tensor:
        """Energies of the atoms of a system, shape (num_atoms,), eV."""
        pairs = system.get_neighbor_list(self.options)
        center = pairs.samples.column("first_atom").to(torch.long)
        neighbor = pairs.samples.column("second_atom").to(torch.long)
        order = torch.argsort(center, stable=True)
        vectors = pairs.values.reshape(-1, 3).index_select(0, order)
        numbers = system.types.to(torch.long)
        energies = self.potential(vectors, center.index_select(0, order), neighbor.index_select(0, order), numbers)
        return energies.to(system.positions.dtype)


def metatomic_model(model: Path | str) -> AtomisticModel:
    """The model of a model file.

    :raises ModelError: if the file is no model
    :raises ConfigError: if it has charges
    """
    script, metadata = load_model(model)
    if metadata["charges"]:
        raise ConfigError(f"`model`: expected a short-range potential, got one with charges ({model}); use mhdnn's own")
    cutoff = float(metadata["cutoff"])
    capabilities = ModelCapabilities(
        outputs={ENERGY: ModelOutput(unit="eV", sample_kind="atom")},
        atomic_types=[int(number) for number in metadata["atomic_numbers"]],
        interaction_range=cutoff,
        length_unit="angstrom",
        supported_devices=["cuda", "cpu"],
        dtype="float64",  # of positions and energies; the network keeps its own
    )
    about = ModelMetadata(name=Path(model).stem, description=f"mhdnn {metadata['mhdnn_version']}")
    return AtomisticModel(EnergyModel(script, cutoff).eval(), about, capabilities)


def save_metatomic(model: Path | str, output: Path | str) -> Path:
    """Write the model of a model file for metatomic; returns its path.

    The library of the operators is not in it: metatomic notes its path and loads it from there, so that it is to be run
    where mhdnn is installed.

    :raises ModelError: if the file is no model
    :raises ConfigError: if it has charges, or the output is the model
    """
    refuse_to_overwrite([Path(model)], Path(output))
    metatomic_model(model).save(str(output))
    return Path(output)
