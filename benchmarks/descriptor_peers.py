"""Other programs on the systems of benchmarks/descriptors.py; each is optional.

DScribe (double precision, one thread) finds its own neighbours; that can't be left out, but is timed alone with
its G1 (a sum of cutoff functions). Its G4 and G5 are the very functions that are called narrow and wide here, which
is checked before they are timed. Its derivatives are differences of displaced atoms.

TorchANI gets the pairs as mhdnn does (each once: its own form), so its neighbour search is left out. Its angular
functions have no third side either, but one η and ζ, and as many angles and distances as make the same
number of functions. The network is mhdnn's; forces come from autograd.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from descriptor_systems import (
    ANGULAR,
    DIFFERENCES,
    ENERGY_AND_FORCES,
    NUM_RADIAL,
    SEARCH_AND_FUNCTIONS,
    System,
    descriptor_settings,
    gaussians,
    network_settings,
    record_of,
)
from timing import Timing, repeat

from mhdnn.factory import build_network, build_potential
from mhdnn.potential import DTYPES, default_dtype, forces_from_pairs

os.environ.setdefault("TORCHANI_NO_WARN_EXTENSIONS", "1")  # its extensions need CUDA

ANGLES = {"silicon": (3, 6), "water": (1, 6)}
"""Distances and angles of TorchANI's angular functions."""


def is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def same_functions(system: System, method: str, theirs: np.ndarray) -> None:
    """Check DScribe's values (its G1 left out) against mhdnn's by their sums and sums of squares over each atom.

    :raises RuntimeError: if they differ
    """
    settings = {"atomic_numbers": system.elements, "cutoff": system.cutoff, "dtype": "float64"}
    descriptor = descriptor_settings(system.name, method, system.cutoff)
    potential = build_potential({**settings, "descriptor": descriptor, "network": network_settings()})
    geometry = system.geometry
    with torch.no_grad():
        functions = potential.scaled_functions(
            system.vectors, geometry.center_index, geometry.neighbor_index, system.element_index, geometry.num_atoms
        ).numpy()
    for power in (1, 2):
        ours, other = (functions**power).sum(1), (theirs**power).sum(1)
        if not np.allclose(ours, other, rtol=1e-6):
            raise RuntimeError(f"{system.name}, {method}: DScribe's functions are not mhdnn's: {other[0]}, {ours[0]}")


def acsf(system: System, method: str | None) -> Any:
    """DScribe's descriptor with the same functions; only its G1 if there is no method."""
    from dscribe.descriptors import ACSF

    if method is None:
        return ACSF(r_cut=system.cutoff, species=system.elements, periodic=True)
    settings = descriptor_settings(system.name, method, system.cutoff)
    radial, angular = settings["radial"], ANGULAR[system.name]
    products = list(itertools.product(angular["etas"], angular["zetas"], angular["lambdas"]))
    return ACSF(
        r_cut=system.cutoff,
        g2_params=list(itertools.product(radial["etas"], radial["shifts"])),
        species=system.elements,
        periodic=True,
        **{"g4_params" if method == "narrow" else "g5_params": products},
    )


def dscribe_records(system: System, budget: float) -> Iterator[dict[str, Any]]:
    """DScribe's functions without derivatives, and what the neighbour search takes of it."""
    search = acsf(system, None)
    search_timing = repeat(partial(search.create, system.atoms, n_jobs=1), budget)
    for method in ("wide", "narrow"):
        peer = acsf(system, method)
        width = 1 + NUM_RADIAL[system.name]  # G1 and G2 of each element stand first
        values = peer.create(system.atoms, n_jobs=1)
        first = [width * element for element in range(len(system.elements))]
        same_functions(system, method, np.delete(values, first, axis=1))
        yield record_of(
            system,
            "dscribe",
            method,
            "float64",
            values.shape[1],
            repeat(partial(peer.create, system.atoms, n_jobs=1), budget),
            SEARCH_AND_FUNCTIONS,
            search_us_per_atom=1e6 * search_timing.median / len(system.atoms),
        )


def dscribe_derivatives(system: System, method: str) -> dict[str, Any]:
    """Derivatives by the position of one atom, of those functions that depend on it."""
    peer = acsf(system, method)
    geometry = system.geometry
    centers = sorted({0, *geometry.neighbor_index[geometry.center_index == 0].tolist()})
    options = {"centers": centers, "include": [0], "attach": True, "return_descriptor": False, "method": "numerical"}
    timing = repeat(lambda: peer.derivatives(system.atoms, **options), 0.0)
    of_all = Timing(*(len(system.atoms) * seconds for seconds in timing))
    return record_of(system, "dscribe", method, "float64", peer.get_number_of_features(), of_all, DIFFERENCES)


class TorchANIPotential:
    """TorchANI's functions with mhdnn's network.

    :param system: its pairs are taken once for all
    """

    def __init__(self, system: System, dtype: str) -> None:
        from torchani.aev import AEVComputer, ANIAngular, ANIRadial

        geometry = system.geometry
        once = geometry.center_index < geometry.neighbor_index  # the cells are so large that no atom sees its own image
        self.vectors = system.vectors[once].to(DTYPES[dtype]).requires_grad_()
        self.center_index, self.neighbor_index = geometry.center_index[once], geometry.neighbor_index[once]
        self.indices = torch.stack([self.neighbor_index, self.center_index])  # its vectors point to the first
        self.element_index = system.element_index
        radial = gaussians(NUM_RADIAL[system.name], system.cutoff)
        num_distances, num_angles = ANGLES[system.name]
        distances = gaussians(num_distances, system.cutoff)
        angles = [math.pi * (index + 0.5) / num_angles for index in range(num_angles)]
        self.functions = AEVComputer(
            ANIRadial(radial["etas"][0], radial["shifts"], system.cutoff),
            ANIAngular(distances["etas"][0], 8.0, distances["shifts"], angles, system.cutoff),
            num_species=len(system.elements),
        ).to(DTYPES[dtype])
        with default_dtype(DTYPES[dtype]):
            self.network = build_network(network_settings(), system.elements, self.functions.out_dim)
        self.network.requires_grad_(False)

    def energy_and_forces(self) -> tuple[torch.Tensor, torch.Tensor]:
        from torchani.neighbors import Neighbors

        neighbors = Neighbors(self.indices, self.vectors.norm(2, -1), self.vectors)
        elements = self.element_index.unsqueeze(0)
        coordinates = self.vectors.new_zeros(1, elements.shape[1], 3)  # not read: the pairs are given
        functions = self.functions.compute_from_neighbors(elements, coordinates, neighbors).squeeze(0)
        energy = self.network(functions, self.element_index).sum()
        (gradient,) = torch.autograd.grad(energy, self.vectors)
        forces = forces_from_pairs(gradient, self.center_index, self.neighbor_index, elements.shape[1])
        return energy, forces


def torchani_record(system: System, dtype: str, budget: float) -> dict[str, Any]:
    """TorchANI's time in this precision, with as many threads as torch has now."""
    peer = TorchANIPotential(system, dtype)
    timing = repeat(peer.energy_and_forces, budget)
    return record_of(system, "torchani", "wide", dtype, peer.functions.out_dim, timing, ENERGY_AND_FORCES)
