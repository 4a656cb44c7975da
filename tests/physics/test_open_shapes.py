"""Open structures of every shape: long, flat, oblique, far apart; what they cost, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mhdnn.errors import ElectrostaticsError
from tests.coulomb import OPEN, Case


def case_at(positions: np.ndarray, pbc=OPEN, cell=None) -> Case:
    """Charges near these places."""
    generator = torch.Generator().manual_seed(0)
    count = len(positions)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    charges = uniform(count) - 0.5
    return Case(
        torch.from_numpy(positions) + 0.3 * uniform(count, 3),
        torch.zeros(3, 3, dtype=torch.float64) if cell is None else torch.from_numpy(cell),
        pbc, 0.5 + 0.4 * uniform(count), charges - charges.mean(), 4.0 * uniform(count), 5.0 + uniform(count),
        torch.zeros(1, dtype=torch.float64),
    )  # fmt: skip


def chain(count: int, direction: tuple[float, float, float] = (1.0, 0.0, 0.0)) -> np.ndarray:
    return np.outer(1.3 * np.arange(count), np.array(direction) / np.linalg.norm(direction))


def sheet(edge: int) -> np.ndarray:
    x, y = np.meshgrid(1.5 * np.arange(edge), 1.5 * np.arange(edge))
    return np.stack([x.ravel(), y.ravel(), 0.0 * x.ravel()], 1)


def shapes() -> dict[str, np.ndarray]:
    cube = np.stack(np.meshgrid(*3 * [1.8 * np.arange(4)]), -1).reshape(-1, 3)
    return {
        "chain": chain(450),
        "chain along z": chain(410, (0.0, 0.0, 1.0)),
        "oblique chain": chain(420, (1.0, 1.0, 1.0)),
        "sheet": sheet(20),
        "two far apart": np.concatenate([cube, cube + [700.0, 30.0, -5.0]]),
    }


@pytest.mark.parametrize("accuracy", [1e-5, 1e-8])
@pytest.mark.parametrize("name", list(shapes()))
def test_mesh_is_the_sum_over_pairs(name, accuracy):
    """Potential and forces to the accuracy."""
    case = case_at(shapes()[name])
    found = []
    for solver in ("iterative", "dense"):
        free = replace(case, positions=case.positions.clone().requires_grad_())
        system = free.build(accuracy, solver)
        (gradient,) = torch.autograd.grad(system.energy(case.charges).sum(), free.positions)
        found.append((system.potential(case.charges).detach(), gradient))
    for tolerance, mine, theirs in zip((3, 10), *found, strict=True):
        assert float((mine - theirs).abs().max()) < tolerance * accuracy * float(theirs.abs().max())


def test_charges_of_a_chain():
    """Longer than what used to be the limit of the dense matrix."""
    case = case_at(chain(450))
    charges = [case.equilibrate(case.build(1e-6, solver)) for solver in ("iterative", "dense", "auto")]
    for other in charges[1:]:
        assert float((charges[0] - other).abs().max()) < 1e-6 * float(charges[0].abs().max())


@pytest.mark.parametrize(("positions", "iterates"), [(chain(500), False), (sheet(22), False), (chain(3200), True)])
def test_automatic_choice(positions, iterates):
    case = case_at(positions)
    system = case.build(1e-6, "auto")
    case.equilibrate(system)
    assert bool(system.iterations) == iterates


def test_too_large_for_the_memory():
    """Refused before anything is allocated."""
    case = case_at(sheet(1000))
    with pytest.raises(ElectrostaticsError, match="`solver`: expected .* got a dense matrix of 1000000 atoms, .* GB"):
        case.build(1e-6, "dense")
