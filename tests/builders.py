"""Small potentials, structures and datasets that the tests share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule

from mhdnn.data.dataset import collate
from mhdnn.factory import build_potential
from mhdnn.neighbors import find_pairs
from mhdnn.potential import Potential
from mhdnn.prediction import predict
from mhdnn.structure import Batch, Geometry, Structure


def legendre_settings(cross_terms: bool = True, max_degree: int = 3, num: int = 2) -> dict[str, Any]:
    radial = {"num": num, "first": 1.0, "last": None, "width": 0.8}
    return {"kind": "legendre", "max_degree": max_degree, "cross_terms": cross_terms, "radial": radial}


def behler_settings(kind: str) -> dict[str, Any]:
    radial = {"etas": [0.01, 0.06], "shifts": [0.0, 1.2]}
    return {"kind": kind, "radial": radial, "zetas": [1, 2, 4], "lambdas": [-1, 1]}


def contracted_settings(**changes: Any) -> dict[str, Any]:
    """A small contracted descriptor; ``changes`` of its angular part."""
    gaussians = {"num": 3, "first": 1.0, "last": None, "width": 0.8}
    angular = {
        "kind": "contracted",
        "num_densities": 3,
        "max_degree": 3,
        "four_body": {"max_degree": 2, "num_densities": 2},
        "radial": gaussians,
        "cutoff": None,
    }
    return {
        "cutoff_function": "polynomial",
        "radial": {"kind": "contracted", **gaussians, "num_functions": 4, "cutoff": None},
        "angular": {"contracted": {**angular, **changes}},
    }


def model_settings(atomic_numbers: list[int], **changes: Any) -> dict[str, Any]:
    """Settings of a small model; ``changes`` of descriptor and network keys."""
    descriptor = {
        "cutoff_function": "cosine",
        "channels": "resolved",
        "num_channels": 2,
        "radial": {"num": 4, "first": 1.0, "last": None, "width": 0.8},
        "angular": {"legendre": legendre_settings()},
    }
    network = {
        "kind": "shared",
        "species_feature": "atomic_number",
        "embedding_dimension": 3,
        "hidden": [8, 8],
        "activation": "silu",
        "linear_skip": True,
    }
    settings = {"atomic_numbers": atomic_numbers, "cutoff": 4.5, "dtype": "float64", "repulsion": None}
    for key, value in changes.items():
        place = next((group for group in (settings, descriptor, network) if key in group), None)
        assert place is not None, key
        place[key] = value
    return {**settings, "descriptor": descriptor, "network": network}


def random_potential(atomic_numbers: list[int], seed: int = 0, **changes: Any) -> Potential:
    """A potential with random weights (the linear part too) and plausible scaling."""
    torch.manual_seed(seed)
    potential = build_potential(model_settings(atomic_numbers, **changes))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        weight = potential.short_range.network.linear_weight
        weight.copy_(0.05 * torch.randn(weight.shape, generator=generator, dtype=torch.float64))
        potential.function_scale.fill_(0.5)
        potential.short_range.reference_energies.copy_(
            torch.randn(len(atomic_numbers), generator=generator, dtype=torch.float64)
        )
    return potential


def charge_settings(atomic_numbers: list[int], repulsion: Any = None, **changes: Any) -> dict[str, Any]:
    """Settings of a small model with charges; ``changes`` of its group ``charges``."""
    settings = model_settings(atomic_numbers, repulsion=repulsion)
    network = {**settings["network"], "linear_skip": False}
    charges = {"widths": "covalent", "initial_hardness": 10.0, "screening": None, "accuracy": 1e-8, "network": network}
    return {**settings, "charges": {**charges, **changes}}


def random_charge_potential(atomic_numbers: list[int], seed: int = 0, **changes: Any) -> Potential:
    """A potential with charges of some tenths of e and random weights."""
    torch.manual_seed(seed)
    potential = build_potential(charge_settings(atomic_numbers, **changes))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in (
            potential.short_range.network.linear_weight,
            potential.charge_model.network.perceptron[-1].weight,
        ):
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        potential.charge_model.electronegativity_shift.copy_(
            torch.linspace(-3, 3, len(atomic_numbers), dtype=torch.float64)
        )
        potential.charge_model.network.output_scale.fill_(10.0)
        potential.function_scale.fill_(0.5)
    return potential


def structures() -> dict[str, Atoms]:
    """Cells of every kind, rattled: triclinic, tiny (cutoff > L/2), slab, wire, molecule; up to 3 elements."""
    triclinic = bulk("Si", cubic=True)
    triclinic.set_cell(triclinic.cell @ np.array([[1, 0.2, 0.1], [0, 1.1, -0.15], [0, 0, 0.95]]), scale_atoms=True)
    triclinic.numbers[::2] = 6
    tiny = bulk("Si", "diamond", a=5.2)
    tiny.numbers[1] = 50
    slab = fcc111("Al", (1, 1, 3), vacuum=None, a=4.05)
    slab.center(vacuum=6.0, axis=2)
    slab.pbc = (True, True, False)
    slab.numbers[:] = [6, 14, 50]
    sheet = graphene(size=(2, 2, 1), vacuum=5.0)
    sheet.pbc = (True, True, False)
    wire = Atoms("SiCSi", positions=[[0, 0, 0], [1.6, 0.3, 0.1], [3.2, 0, 0.4]], cell=[4.9, 0, 0], pbc=(1, 0, 0))
    alone = molecule("CH3CH2OH")
    alone.numbers[alone.numbers == 1] = 14
    alone.numbers[alone.numbers == 8] = 50
    alone.positions *= 1.3
    result = {
        "triclinic": triclinic, "tiny": tiny, "slab": slab, "sheet": sheet, "wire": wire, "molecule": alone,
    }  # fmt: skip
    for seed, atoms in enumerate(result.values()):
        atoms.rattle(0.08, seed=seed)
    return result


def structure_of(atoms: Atoms, **labels: Any) -> Structure:
    return Structure(
        atoms.numbers.astype(np.int64), atoms.positions.copy(), atoms.cell[:].copy(), atoms.pbc.copy(), **labels
    )


def geometry_of(*many: Atoms, cutoff: float = 4.5, total_charge: float | list[float] | None = None) -> Geometry:
    """Some atoms with their pairs."""
    return batch_of(*many, cutoff=cutoff, total_charge=total_charge).geometry


def batch_of(*many: Atoms, cutoff: float = 4.5, total_charge: float | list[float] | None = None) -> Batch:
    """Some atoms with their pairs, all of whose labels are missing."""
    totals = total_charge if isinstance(total_charge, list) else [total_charge] * len(many)
    items = [
        (
            number,
            structure_of(atoms, total_charge=totals[number]),
            find_pairs(atoms.positions, atoms.cell[:], atoms.pbc, cutoff),
        )
        for number, atoms in enumerate(many)
    ]
    return collate(items)


def labelled_batch(potential: Potential | None = None, repeats: int = 1) -> Batch:
    """A batch whose labels a potential made (or zeros).

    :param repeats: how often the first structure is in it
    """
    batch = batch_of(*[structures()["triclinic"]] * repeats, structures()["tiny"])
    if potential is None:
        zeros = torch.zeros_like(batch.labels.stress)
        return batch.with_labels(energy=zeros[:, 0], forces=0 * batch.geometry.positions, stress=zeros)
    made = predict(potential, batch.geometry)
    return batch.with_labels(energy=made.energy, forces=made.forces, stress=batch.geometry.stress(made.virial))
