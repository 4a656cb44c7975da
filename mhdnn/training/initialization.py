r"""What is set directly, before gradient descent: reference energies and the scaling of functions.

Reference energies are the least-squares solution of :math:`E \approx \sum_i E_{ref}(Z_i)`; the linear part
of the network is a ridge regression on energies, forces and virials with the weights of the loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase.data import chemical_symbols
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress

from mhdnn.data.compositions import remedy, undetermined
from mhdnn.data.datamodule import StoreDataModule
from mhdnn.data.joined import source_of
from mhdnn.errors import ConfigError, DataError
from mhdnn.factory import build_potential
from mhdnn.potential import Potential
from mhdnn.prediction import SeenAtoms, has_charges, predict_known
from mhdnn.structure import Batch, Geometry
from mhdnn.training.charges import fit_charge_scaling
from mhdnn.training.domain import fit_charge_range, fit_domain, forget_functions, training_set
from mhdnn.training.offsets import SourceOffsets, atomic_numbers_of, composition_of, sources_in
from mhdnn.training.ridge import fit_linear_part, left_over

console = Console()


def fit_reference_energies(
    composition: np.ndarray, energies: np.ndarray, weights: np.ndarray | None = None, more: np.ndarray | None = None
) -> np.ndarray:
    """Energy of each element, the smallest of the least-squares solutions.

    :param composition: atoms of each element, shape (num_structures, num_elements)
    :param energies: shape (num_structures,), eV; NaN where a structure has none
    :param weights: of the structures, shape (num_structures,); None for equal ones
    :param more: further columns of the equations, shape (num_structures, num_columns)
    :return: shape (num_elements + num_columns,), eV
    :raises DataError: if no structure has an energy
    """
    known = np.isfinite(energies)
    if not known.any():
        raise DataError("`energy`: no structure of the training set has one; expected at least one")
    counts = composition[known].astype(np.float64)
    share = (1.0 if weights is None else np.sqrt(weights[known])) / counts.sum(axis=1)
    rows = counts if more is None else np.hstack([counts, more[known]])
    solution, *_ = np.linalg.lstsq(rows * share[:, None], energies[known] * share, rcond=1e-8)
    return solution


ROUND_OFF_MARGIN = 30.0
"""Standard deviation of a function that is told from round-off, in units of the round-off."""


def fit_scaling(potential: Potential, batches: Iterable[Batch]) -> None:
    r"""Set the mean and inverse standard deviation of every function over all atoms.

    Functions that vary by no more than their round-off get the scale zero. The round-off of a function is what a
    rotation of everything changes of it, which in exact numbers is nothing: a function of small values is kept, one
    that is a constant, or zero by symmetry, is not.

    :raises DataError: if there is no atom
    """
    count = 0
    total = torch.zeros(potential.descriptor.num_functions, dtype=torch.float64)
    squares, noise = torch.zeros_like(total), torch.zeros_like(total)
    offset = None
    for batch in batches:
        values, turned = (unscaled_functions(potential, batch.geometry, rotation) for rotation in (None, ROTATION))
        if offset is None:  # sums of squares about a typical value, not about zero
            offset = values.mean(0)
        total += (values - offset).sum(0)
        squares += ((values - offset) ** 2).sum(0)
        noise += ((values - turned) ** 2).sum(0)
        count += len(values)
    if offset is None or count == 0:
        raise DataError("training set: expected at least one atom, got none")
    mean = total / count
    deviation = torch.sqrt(torch.clamp(squares / count - mean**2, min=0.0))
    smallest = torch.finfo(potential.function_scale.dtype).tiny ** 0.5  # the inverse must be a number
    constant = deviation <= torch.clamp(ROUND_OFF_MARGIN * torch.sqrt(noise / count), min=smallest)
    scale = torch.where(constant, torch.zeros_like(deviation), 1.0 / torch.where(constant, 1.0, deviation))
    potential.function_mean.copy_(offset + mean)
    potential.function_scale.copy_(scale)


def _rotation(axis: tuple[float, float, float], angle: float) -> torch.Tensor:
    """Rodrigues' formula, shape (3, 3)."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return torch.tensor(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


ROTATION = _rotation((0.3, -0.7, 0.5), 1.1)
"""About no axis of symmetry."""


def unscaled_functions(potential: Potential, geometry: Geometry, rotation: torch.Tensor | None) -> torch.Tensor:
    """Unscaled symmetry functions, of turned pair vectors if asked for, float64 on the CPU."""
    with torch.no_grad():
        atoms = SeenAtoms(potential, geometry)
        if rotation is not None:
            atoms.vectors = atoms.vectors @ rotation.T.to(atoms.vectors)
        return atoms.symmetry_functions.to("cpu", torch.float64)


@dataclass
class Initialization:
    """What is fitted directly, before stages of a training that starts from nothing.

    :param settings: from which `mhdnn.factory.build_potential` made the potential
    :param config: of the training
    :param offsets: reference energies of the sources, or None
    """

    potential: Potential
    settings: Mapping[str, Any]
    data: StoreDataModule
    config: DictConfig
    offsets: SourceOffsets | None

    def functions(self) -> None:
        """Before the first stage: scaling of the functions, ranges, repulsion of nuclei."""
        with busy("scaling of symmetry functions") as progress:
            self.scale_functions()
            fit_domain(self.potential, training_set(self.data, progress))
            fit_repulsion(self.potential, self.config.repulsion, self.known_distances())
            forget_functions(self.potential)

    def scale_functions(self) -> None:
        """From the spread of the functions."""
        fit_scaling(self.potential, self.scaling_sample())

    def scaling_sample(self) -> Iterator[Batch]:
        """Structures that scales are found from."""
        return self.data.sample(self.config.initialization.scaling_atoms)

    def known_distances(self) -> torch.Tensor | None:
        """Shortest distances of other structures than the training set's, as `fit_repulsion` takes them."""
        return None

    def scale_energies(self) -> None:
        """Reference energies and the scale of energies."""
        set_reference_energies(self.potential, self.data, self.config.initialization.reference_energies, self.offsets)
        self.potential.short_range.network.output_scale.fill_(energy_scale(self.data))

    def renew_network(self) -> None:
        """The short-range network as at the start: it has served to learn functions, without charges."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            first = build_potential(self.settings)
        self.potential.short_range.network.load_state_dict(first.short_range.network.state_dict())

    def charges(self) -> None:
        """Before charges are trained: their scale."""
        fit_charge_scaling(self.potential, self.scaling_sample())

    def energies(self) -> None:
        """Before energies are trained: ranges of charges, which are known now, reference energies, the linear part."""
        with busy("ridge regression of the linear part") as progress:
            if has_charges(self.potential):
                fit_charge_range(self.potential, training_set(self.data, progress))
            self.fit_energies()

    def fit_energies(self) -> None:
        """Reference energies, energy scale and linear part."""
        self.scale_energies()
        fit_linear(self.potential, self.data, self.config, self.offsets)


@contextmanager
def busy(description: str) -> Iterator[Progress]:
    """A bar without end."""
    with Progress(console=console, transient=True) as progress:
        progress.add_task(description, total=None)
        yield progress


def fit_repulsion(potential: Potential, fractions: Mapping[str, Any], known: torch.Tensor | None = None) -> None:
    """Radii of the repulsion of nuclei, from the shortest distances in the training set.

    :param fractions: of these, ``inner`` and ``outer``
    :param known: shortest distances of other structures, shape (num_elements, num_elements), Å; infinite: none
    """
    if potential.repulsion is None:
        return
    shortest = potential.domain.distance_range[1]
    shortest = torch.where(shortest < potential.cutoff, shortest, torch.inf)
    if known is not None:
        shortest = torch.minimum(shortest, known)
    potential.repulsion.set_radii(shortest, float(fractions["inner"]), float(fractions["outer"]))


def without_known(potential: Potential, batches: Iterable[Batch]) -> Iterator[Batch]:
    """Batches with energies, forces and stress of what the network has to learn."""
    return (left_over(batch, predict_known(potential, batch.geometry)) for batch in batches)


OFFSET_SCALE = 100.0
"""eV: the unit of offsets in the ridge regression, whose penalty then hardly holds them."""


def fit_linear(
    potential: Potential, data: StoreDataModule, config: DictConfig, offsets: SourceOffsets | None = None
) -> None:
    """The network's linear part, if it has one, of what repulsion and electrostatics leave over; offsets with it.

    Beside functions that are learned it starts at zero: fitted to functions that move away, it holds them back (forces
    of TiO2 after 40 epochs: an error of 0.083 instead of 0.075 eV/Å). With charges, functions were learned before.
    Offsets of sources are fitted with a linear part all the same, else they were those of what the structures are.
    """
    if not potential.short_range.network.linear_skip:
        return
    starts_at_zero = potential.descriptor.is_learned() and not has_charges(potential)
    if starts_at_zero and offsets is None:
        return
    batches: Iterable[Batch] = data.sample(config.initialization.ridge_atoms)
    if has_charges(potential) or potential.repulsion is not None:
        batches = without_known(potential, batches)
    weights = (config.initialization.ridge_energy_weight, config.loss.force_weight, config.loss.stress_weight)
    if offsets is None:
        fit_linear_part(potential, batches, *weights)
        return

    def columns(geometry: Geometry) -> torch.Tensor:
        return OFFSET_SCALE * offsets.columns(composition_of(potential, geometry), sources_in(data, geometry))

    shifted = (
        batch.with_labels(energy=batch.labels.energy - offsets_in(potential, data, offsets, batch.geometry))
        for batch in batches
    )
    found = fit_linear_part(potential, shifted, *weights, columns)
    with torch.no_grad():
        offsets.free.add_(OFFSET_SCALE * found.of_energies)
        if starts_at_zero:
            potential.short_range.network.linear_weight.zero_()


def set_reference_energies(
    potential: Potential, data: StoreDataModule, choice: Any, offsets: SourceOffsets | None = None
) -> None:
    """Reference energies by least squares, those of further sources with them, or as given for every element."""
    reader = data.train_reader
    numbers = atomic_numbers_of(potential)
    if choice == "keep":
        raise ConfigError(
            "`initialization.reference_energies`: keep is for a training that starts from a model (`init`)"
        )
    if choice == "fit":
        if "energy" not in reader.labels:
            return
        chosen = data.indices["train"]
        counts, known = reader.composition(numbers)[chosen], reader.energies()[chosen]
        for text in undetermined(counts[np.isfinite(known)], numbers):
            console.print(
                f"warning: reference energies are not determined: {text}; {remedy(numbers)}",
                markup=False,
                soft_wrap=True,
            )
        more = columns_of_offsets(data, offsets, counts)
        energies = fit_reference_energies(counts, known, data.weights["train"][chosen], more)
        if offsets is not None:
            with torch.no_grad():
                offsets.free.copy_(torch.from_numpy(energies[len(numbers) :]))
    else:
        symbols = [chemical_symbols[number] for number in numbers]
        missing = [symbol for symbol in symbols if symbol not in choice]
        if missing:
            raise ConfigError(f"`initialization.reference_energies`: no energy is given for {missing}")
        energies = np.array([float(choice[symbol]) for symbol in symbols])
    potential.short_range.reference_energies.copy_(torch.as_tensor(energies[: len(numbers)], dtype=torch.float64))


def columns_of_offsets(data: StoreDataModule, offsets: SourceOffsets | None, counts: np.ndarray) -> np.ndarray | None:
    """`SourceOffsets.columns` of all training structures; None without offsets.

    :param counts: their composition
    """
    if offsets is None:
        return None
    source = np.asarray(source_of(data.train_reader, data.indices["train"]))
    return offsets.columns(torch.from_numpy(counts), torch.from_numpy(source)).numpy()


def offsets_in(potential: Potential, data: StoreDataModule, offsets: SourceOffsets, geometry: Geometry) -> torch.Tensor:
    """Offsets in the energies of training structures, shape (num_structures,), eV."""
    return offsets.energies(composition_of(potential, geometry), sources_in(data, geometry)).detach()


def energy_scale(data: StoreDataModule) -> float:
    """Root mean square of the forces (eV/Å), or one where there are none."""
    squares, count = 0.0, 0
    for batch in data.sample(10_000):
        known = batch.labels.forces[torch.isfinite(batch.labels.forces)]
        squares += float((known**2).sum())
        count += len(known)
    return (squares / count) ** 0.5 if count and squares > 0 else 1.0
