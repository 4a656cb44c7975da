r"""`mhdnn data select`: the structures that teach a model most of a pool, unlike each other and what is labelled.

Atoms are points in the principal axes of the model's functions, in units of the radius :math:`d_Z` of the training set
(`mhdnn.uncertainty.model`), :math:`x_i = V^TG_i/d_{Z_i}`; :math:`\delta_i` is the distance of an atom of the pool from
the nearest one that is known and of the same element. Known are the landmarks of the model, the atoms of what is
labelled already, and of what has been chosen. The next structure S is the one that brings the atoms of the pool most
nearer to what is known,

.. math:: \max_S \sum_i \Bigl(\delta_i - \min\bigl(\delta_i, \min_{n\in S}|x_i - x_n|\bigr)\Bigr)

(greedy facility location, within 1 - 1/e of the best choice: Nemhauser, Wolsey, Fisher 1978,
https://doi.org/10.1007/BF01588971). So one structure stands for its likes, and what is unlike all others counts by how
far it is. The **novelty** of a structure is the largest :math:`\delta` of its atoms; duplicates have none left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track

from mhdnn.data.dataset import StructureDataset, collate
from mhdnn.data.store import StoreReader
from mhdnn.data.writer import StoreWriter
from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ConfigError, DataError, ModelError
from mhdnn.evaluation.plots import save_figure, style_axes
from mhdnn.files import is_same_file, refuse_to_overwrite
from mhdnn.prediction import SeenAtoms
from mhdnn.uncertainty.prediction import has_error_model

LEAST_NOVELTY = 0.05
"""Of the radius of the training set, below which a structure is a duplicate."""
MOST_TARGETS = 4000
"""Atoms of the pool, drawn at random, that are to be brought near."""
FARTHEST = 100.0
"""Distance that counts of an atom whose element is not known at all, in radii."""


@dataclass
class AtomsOfPool:
    """Atoms of some structures as points.

    :param points: :math:`V^TG/d_Z`, shape (num_atoms, num_axes)
    :param element: shape (num_atoms,)
    :param structure: shape (num_atoms,)
    """

    points: torch.Tensor
    element: torch.Tensor
    structure: torch.Tensor

    @property
    def num_structures(self) -> int:
        return int(self.structure.max()) + 1


def points_of(script: Any, metadata: dict[str, Any], path: Path) -> AtomsOfPool:
    """Points of all structures of a dataset.

    :raises DataError: if an element is unknown to the model
    """
    reader = StoreReader(path)
    unknown = sorted(set(reader.elements()) - set(metadata["atomic_numbers"]))
    if unknown:
        raise DataError(f"{path}: has atomic numbers {unknown} that the model doesn't know; leave these structures out")
    dataset = StructureDataset(reader, np.arange(len(reader)), metadata["cutoff"], 0)
    if len(dataset) == 0:
        raise DataError(f"{path}: has no structure")
    points, elements, structures = [], [], []
    for number in track(range(len(dataset)), f"functions of {path.name}", transient=True):
        atoms = SeenAtoms(script, collate([dataset[number]]).geometry)
        with torch.no_grad():
            features = script.uncertainty.features(atoms.functions.detach())[:, 1:].double()
        radius = script.uncertainty.radius.index_select(0, atoms.element_index)
        points.append(features / radius.unsqueeze(1))
        elements.append(atoms.element_index)
        structures.append(torch.full_like(atoms.element_index, number))
    reader.close()
    return AtomsOfPool(torch.cat(points), torch.cat(elements), torch.cat(structures))


class Novelty:
    """Distance of each atom of a pool from the nearest known atom of its element."""

    def __init__(self, pool: AtomsOfPool) -> None:
        self.pool = pool
        self.distances = torch.full((len(pool.points),), torch.inf, dtype=torch.float64)

    def learn(self, points: torch.Tensor, element: torch.Tensor) -> None:
        """Points are known now."""
        for number in torch.unique(element).tolist():
            own = torch.nonzero(self.pool.element == number).squeeze(1)
            known = points[element == number]
            for rows in own.split(4096):
                nearest = torch.cdist(self.pool.points[rows], known).amin(1)
                self.distances[rows] = torch.minimum(self.distances[rows], nearest)

    def of_structures(self) -> torch.Tensor:
        """Largest of the atoms of each structure, shape (num_structures,)."""
        result = torch.zeros(self.pool.num_structures, dtype=torch.float64)
        return result.scatter_reduce(0, self.pool.structure, self.distances, "amax")


class Reach:
    """How near each structure of a pool comes to some of its atoms.

    :ivar targets: these atoms, shape (num_targets,)
    :ivar distances: of the nearest atom of the same element, shape (num_structures, num_targets), at most `FARTHEST`
    """

    def __init__(self, pool: AtomsOfPool) -> None:
        order = torch.randperm(len(pool.points), generator=torch.Generator().manual_seed(0))
        self.targets = order[:MOST_TARGETS].sort().values
        self.distances = torch.full((pool.num_structures, len(self.targets)), FARTHEST)
        points, element = pool.points.float(), pool.element[self.targets]
        for number in torch.unique(element).tolist():
            columns = torch.nonzero(element == number).squeeze(1)
            nearest = self.distances[:, columns]
            for rows in torch.nonzero(pool.element == number).squeeze(1).split(1024):
                found = torch.cdist(points[rows], points[self.targets[columns]])
                nearest.scatter_reduce_(0, pool.structure[rows].unsqueeze(1).expand_as(found), found, "amin")
            self.distances[:, columns] = nearest

    def gains(self, novelty: Novelty) -> torch.Tensor:
        """By how much all targets together come nearer with each structure, shape (num_structures,)."""
        now = novelty.distances[self.targets].float().clamp(max=FARTHEST)
        return (now - torch.minimum(now, self.distances)).sum(1)


def choose(novelty: Novelty, num: int) -> Iterator[tuple[int, float]]:
    """Structures one after the other, with their novelty when they were chosen."""
    pool = novelty.pool
    reach = Reach(pool)
    for _ in range(num):
        values = novelty.of_structures()
        gains = torch.where(values < LEAST_NOVELTY, -1.0, reach.gains(novelty))
        number = int(gains.argmax())
        if float(gains[number]) < 0:
            return
        yield number, float(values[number])
        own = pool.structure == number
        novelty.learn(pool.points[own], pool.element[own])


def select(
    pool: Path, model: Path, num: int = 50, labelled: Path | None = None, output: Path | None = None
) -> list[int]:
    """Choose the structures of a pool that should be labelled next; writes them and a picture.

    :param pool: dataset of candidates; labels are not needed
    :param model: path of a model file with uncertainties
    :param num: how many structures; fewer, where the rest are duplicates; nothing is written if all are
    :param labelled: dataset of what has labels, beside the landmarks of the model's training set
    :param output: dataset of the chosen structures in their order; default: NAME_selected.h5 beside the pool
    :raises ConfigError: if an argument is out of range, or the output is what is read
    :raises ModelError: if the model has no uncertainties
    """
    if num < 1:
        raise ConfigError(f"`num`: expected at least 1, got {num}")
    output = output or pool.with_name(f"{pool.stem}_selected.h5")
    picture = output.with_suffix(".png")
    for written in (output, picture):
        refuse_to_overwrite([pool, model, labelled], written)
    if is_same_file(output, picture):
        raise ConfigError(f"`output`: expected a dataset, as in chosen.h5, got {output}, which the map is written to")
    script, metadata = load_model(model)
    if not has_error_model(script):
        raise ModelError(f"{model}: has no uncertainties (it is of an older version, or exported); train it again")
    candidates = points_of(script, metadata, pool)
    novelty = Novelty(candidates)
    for points, element in known_points(script, metadata, labelled):
        novelty.learn(points, element)
    chosen = list(choose(novelty, num))
    console = Console(soft_wrap=True, highlight=False)
    if not chosen:
        console.print(f"{pool}: all structures have a novelty below {LEAST_NOVELTY}: duplicates of what is known")
        return []
    numbers = [number for number, _ in chosen]
    write_chosen(pool, numbers, output)
    save_figure(map_figure(script, candidates, numbers), picture)
    console.print(f"{output}: {len(chosen)} of {candidates.num_structures} structures; map: {picture}")
    novelties = [value for _, value in chosen]
    console.print(f"novelty: {min(novelties):.3g} to {max(novelties):.3g}; above 1 is unlike the training set")
    if len(chosen) < num:
        console.print(f"the others have a novelty below {LEAST_NOVELTY} beside these: they are duplicates")
    return numbers


def known_points(
    script: Any, metadata: dict[str, Any], labelled: Path | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Landmarks of the model, and atoms that are labelled, with their elements."""
    model = script.uncertainty
    for number in range(len(metadata["elements"])):
        points = model.landmarks[number].double() / model.radius[number]
        if not bool(points.any()):  # the training set had no such atom
            continue
        yield points, torch.full((len(points),), number, dtype=torch.long)
    if labelled is not None:
        known = points_of(script, metadata, labelled)
        yield known.points, known.element


def write_chosen(pool: Path, numbers: list[int], output: Path) -> None:
    """The chosen structures, in the order of the choice, with their labels, dispersion parts and splits."""
    reader = StoreReader(pool)
    with StoreWriter(output, {key: str(value) for key, value in reader.attributes.items()}) as writer:
        for number in numbers:
            record = reader.record(number)
            writer.append(record.structure, record.dispersion, record.split)
    reader.close()


def map_figure(script: Any, pool: AtomsOfPool, chosen: list[int]) -> Figure:
    """First two principal axes: landmarks of the training set, atoms of the pool, and of what was chosen."""
    figure = Figure(figsize=(5.5, 4.5), layout="constrained")
    axes = figure.subplots()
    style_axes(axes)
    model = script.uncertainty
    landmarks = (model.landmarks.double() / model.radius.view(-1, 1, 1)).flatten(0, 1)
    is_chosen = torch.isin(pool.structure, torch.tensor(chosen, dtype=torch.long))
    for points, label, color, size in (
        (pool.points[~is_chosen], "pool", "#b8bec6", 6), (landmarks, "training set", "#3b6ea8", 8),
        (pool.points[is_chosen], "chosen", "#d1495b", 10),
    ):  # fmt: skip
        axes.scatter(points[:, 0], points[:, 1], s=size, color=color, label=label, linewidths=0, rasterized=True)
    axes.set(xlabel="first principal axis (radius of the training set)", ylabel="second")
    axes.legend(fontsize="small")
    return figure
