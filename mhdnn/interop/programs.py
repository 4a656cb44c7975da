"""The short-range model as a program of `torch.export` (``.pt2``), beside TorchScript.

Energies and their derivatives by the pair vectors come out of one graph without autograd, for any number of atoms and
pairs. The operators ``torch.ops.mhdnn`` stand in the graph: a program that loads it must have loaded their library
(`mhdnn.kernels.load_operators` in Python). Not in it: neighbour search, charges, ensembles, the guard of the training
domain, expected errors, and the check that all elements are known.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

from mhdnn.deploy.model_file import load_model
from mhdnn.errors import ConfigError
from mhdnn.factory import build_potential
from mhdnn.files import refuse_to_overwrite
from mhdnn.kernels import load_operators
from mhdnn.potential import Potential
from mhdnn.prediction import has_charges, num_members
from mhdnn.repulsion import Repulsion


class PairProgram(nn.Module):
    """Atomic energies and pair gradients of a potential."""

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential

    def forward(
        self,
        vectors: torch.Tensor,
        center_index: torch.Tensor,
        neighbor_index: torch.Tensor,
        element_index: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        r"""Energies, and what `mhdnn.potential.forces_from_pairs` and `pair_virials` take.

        :param vectors: from centre to neighbour, shape (num_pairs, 3), Å, float64
        :param center_index: ascending, shape (num_pairs,)
        :param neighbor_index: shape (num_pairs,)
        :param element_index: place of each atom's element among those of the model, shape (num_atoms,)
        :return: atomic energies, shape (num_atoms,), eV, and :math:`\partial E/\partial\mathbf r_{ij}`, shape
            (num_pairs, 3), eV/Å, float64
        """
        potential, num_atoms = self.potential, element_index.shape[0]
        leaf = vectors.detach().requires_grad_()
        functions = potential.scaled_functions(leaf, center_index, neighbor_index, element_index, num_atoms)
        energies = potential.energies_of(functions, element_index)
        if potential.repulsion is not None:
            first, second = element_index[center_index], element_index[neighbor_index]
            repulsion = repulsion_everywhere(potential.repulsion, leaf, first, second)
            energies = energies.index_add(0, center_index, 0.5 * repulsion)
        (gradient,) = torch.autograd.grad(energies.sum(), leaf)
        return energies.detach(), gradient


def repulsion_everywhere(
    repulsion: Repulsion, vectors: torch.Tensor, first: torch.Tensor, second: torch.Tensor
) -> torch.Tensor:
    """`Repulsion.pair_energies` of all pairs, zero beyond: how many are near may not decide the shape of a graph."""
    near = vectors.detach().square().sum(1) < repulsion.outer[first, second] ** 2
    inside = torch.where(near.unsqueeze(1), vectors, torch.ones_like(vectors))
    energies = repulsion.pair_energies(inside.to(torch.float64), first, second)
    return torch.where(near, energies, torch.zeros_like(energies))


def eager_potential(model: Path | str) -> Potential:
    """The potential of a model file as a module of Python, instead of TorchScript.

    :raises ModelError: if the file is no model
    """
    script, metadata = load_model(model)
    potential = build_potential(metadata["settings"])
    potential.load_state_dict(script.state_dict())
    return potential.eval().requires_grad_(False)


def exported_program(potential: Potential) -> torch.export.ExportedProgram:
    """The graph of `PairProgram`.

    :raises ConfigError: if the potential has charges or is an ensemble
    """
    if has_charges(potential):
        raise ConfigError("`model`: expected a short-range potential, got one with charges; use the model file itself")
    if num_members(potential) > 1:
        raise ConfigError("`model`: expected one network, got an ensemble; use the model file itself")
    frozen = copy.deepcopy(potential).eval().requires_grad_(False)
    example = _example(frozen)
    graph = make_fx(PairProgram(frozen), tracing_mode="symbolic", _allow_non_fake_inputs=True)(*example)
    for name, parameter in list(graph.named_parameters()):  # the exporter loses parameters of traced graphs
        delattr(graph, name)
        graph.register_buffer(name, parameter.detach())
    pairs, atoms = torch.export.Dim("num_pairs", min=2), torch.export.Dim("num_atoms", min=2)
    return torch.export.export(graph, example, dynamic_shapes=({0: pairs}, {0: pairs}, {0: pairs}, {0: atoms}))


def _example(potential: Potential) -> tuple[torch.Tensor, ...]:
    """Some atoms, each the neighbour of the others."""
    num_atoms = 5
    points = 0.4 * potential.cutoff * torch.rand(num_atoms, 3, generator=torch.Generator().manual_seed(0)).double()
    center, neighbor = (~torch.eye(num_atoms, dtype=torch.bool)).nonzero(as_tuple=True)
    elements = torch.arange(num_atoms) % len(potential.domain.symbols)
    return points[neighbor] - points[center], center, neighbor, elements


def save_program(model: Path | str, output: Path | str) -> Path:
    """Write the program of a model file; returns its path.

    :raises ModelError: if the file is no model
    :raises ConfigError: if it has charges or is an ensemble, or the output is the model
    """
    refuse_to_overwrite([Path(model)], Path(output))
    torch.export.save(exported_program(eager_potential(model)), str(output))
    return Path(output)


def load_program(path: Path | str) -> nn.Module:
    """The program of a file as a module; its arguments and results are those of `PairProgram`."""
    load_operators()
    return torch.export.load(str(path)).module()
