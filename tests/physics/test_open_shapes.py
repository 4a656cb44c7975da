"""Open structures of every shape: long, flat, oblique, far apart; what they cost, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import erf

from mhdnn.electrostatics import assembly, costs
from mhdnn.electrostatics.direct import DirectBlock
from mhdnn.electrostatics.open_kernel import quadrature
from mhdnn.electrostatics.particle_mesh import ParticleMeshBlock
from mhdnn.electrostatics.plan import plan_mesh
from mhdnn.errors import ElectrostaticsError
from tests.coulomb import OPEN, PERIODIC, SLAB, Case

CPU = torch.device("cpu")


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
    """Potential and forces to the accuracy, and no more memory than a small structure may take."""
    case = case_at(shapes()[name])
    found = []
    for solver in ("iterative", "dense"):
        free = replace(case, positions=case.positions.clone().requires_grad_())
        system = free.build(accuracy, solver)
        (gradient,) = torch.autograd.grad(system.energy(case.charges).sum(), free.positions)
        found.append((system.potential(case.charges).detach(), gradient))
    plan = plan_mesh(case.positions, case.widths, case.cell, torch.tensor(OPEN), accuracy, None)
    assert plan.cost(len(case.positions)).bytes < 3e8
    for tolerance, mine, theirs in zip((3, 10), *found, strict=True):
        assert float((mine - theirs).abs().max()) < tolerance * accuracy * float(theirs.abs().max())


def test_charges_of_a_chain():
    """Longer than what used to be the limit of the dense matrix."""
    case = case_at(chain(450))
    charges = [case.equilibrate(case.build(1e-6, solver)) for solver in ("iterative", "dense", "auto")]
    for other in charges[1:]:
        assert float((charges[0] - other).abs().max()) < 1e-6 * float(charges[0].abs().max())


@pytest.mark.parametrize("reach", [1.0, 40.0, 5000.0])
def test_sum_of_gaussians(reach):
    for smearing in (0.8, 20.0):
        nodes, weights = quadrature(smearing, reach)
        r = np.concatenate([np.linspace(1e-4, reach, 400), np.geomspace(1e-2, reach, 100)])
        values = np.exp(-np.square(np.multiply.outer(r, nodes))) @ weights
        np.testing.assert_allclose(values, erf(r / (2**0.5 * smearing)) / r, rtol=0, atol=1e-12 / smearing)


@pytest.mark.parametrize(
    ("positions", "block"),
    [(chain(500), DirectBlock), (sheet(22), DirectBlock), (chain(3200), ParticleMeshBlock)],
)
def test_automatic_choice(positions, block):
    case = case_at(positions)
    assert isinstance(case.build(1e-6, "auto").blocks[0], block)


def test_cost_of_large_structures():
    """Gigabytes that depend on the number of atoms, hardly on the shape."""
    for positions, pbc, cell in (
        (chain(20000), OPEN, None),
        (chain(8000, (1.0, -1.0, 1.0)), OPEN, None),
        (sheet(120), OPEN, None),
        (sheet(100), SLAB, np.diag([150.0, 150.0, 0.0])),
        (sheet(60), PERIODIC, np.diag([90.0, 90.0, 400.0])),
    ):
        case = case_at(positions, pbc, cell)
        plan = plan_mesh(case.positions, case.widths, case.cell, torch.tensor(pbc), 1e-6, None)
        count = len(positions)
        assert plan.cost(count).bytes < 3e9
        assert assembly.prefers_mesh(plan, count, any(pbc), CPU)


def test_too_large_for_the_memory(monkeypatch):
    """Refused before anything is allocated; `auto` takes what fits."""
    case = case_at(chain(900))
    for solver, free, words in (
        ("dense", 1.5e8, "0.1 GB of free memory, got dense matrices of 1 structures with up to 900 atoms, .* 0.2 GB; "
                         "choose solver='iterative'"),
        ("iterative", 3e7, r"900 atoms on a mesh of \d+ x \d+ x \d+ points, .*; ask for less accuracy"),
        ("auto", 3e7, "choose solver='iterative' or 'auto'"),
    ):  # fmt: skip
        monkeypatch.setattr(costs, "available_memory", lambda device, free=free: free)
        monkeypatch.setattr(assembly, "available_memory", lambda device, free=free: free)
        with pytest.raises(ElectrostaticsError, match=words):
            case.build(1e-6, solver)
    monkeypatch.setattr(costs, "available_memory", lambda device: 1.5e8)
    monkeypatch.setattr(assembly, "available_memory", lambda device: 1.5e8)
    assert isinstance(case.build(1e-6, "auto").blocks[0], ParticleMeshBlock)


def test_memory_of_this_machine():
    assert 1e6 < costs.available_memory(CPU) < 1e14
