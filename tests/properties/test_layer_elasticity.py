"""Layers against lattice sums and second derivatives of the energy."""

import itertools
import math
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.optimize import BFGS
from scipy.optimize import brentq

from mhdnn.errors import ConfigError
from mhdnn.properties.elastic_tensor import invariant_stiffnesses
from mhdnn.properties.elasticity import StrainSettings
from mhdnn.properties.layer_elasticity import layer_elastic_constants, layer_elasticity_report, layer_moduli
from mhdnn.properties.relaxation import relaxed

CUTOFF = 4.9  # between two shells of neighbours


def sums_of_triangular_lattice(spacing: float) -> tuple[float, float, float]:
    """Tension and C11, C12 per area of a Lennard-Jones layer (ε = σ = 1), by Born's sums for u(r²)."""
    steps = np.array(list(itertools.product(range(-9, 10), repeat=2)), dtype=float)
    points = spacing * steps @ np.array([[1.0, 0.0], [0.5, math.sqrt(3) / 2]])
    square = (points**2).sum(axis=1)
    inside = (square > 1e-9) & (square < CUTOFF**2)
    x, y, s = *(points[inside] ** 2).T, square[inside]
    slope, curvature = 4 * (-6 * s**-7 + 3 * s**-4), 4 * (42 * s**-8 - 12 * s**-5)
    area = spacing**2 * math.sqrt(3) / 2
    return tuple(
        float((term).sum() / (2 * area)) for term in (2 * slope * x, 4 * curvature * x * x, 4 * curvature * x * y)
    )


def test_lennard_jones_layer_against_lattice_sums():
    spacing = brentq(lambda a: sums_of_triangular_lattice(a)[0], 1.05, 1.2, xtol=1e-13)
    _, c11, c12 = sums_of_triangular_lattice(spacing)
    layer = Atoms("Ar", cell=[[spacing, 0, 0], [spacing / 2, spacing * math.sqrt(3) / 2, 0], [0, 0, 8]], pbc=(1, 1, 0))
    found, errors = layer_elastic_constants(layer, LennardJones(rc=CUTOFF), StrainSettings(largest_strain=0.002))
    expected = [[c11, c12, 0], [c12, c11, 0], [0, 0, (c11 - c12) / 2]]
    np.testing.assert_allclose(found, expected, atol=1e-5 * c11)
    assert np.max(errors) < 1e-4 * c11
    # the height of the cell says nothing about the layer
    layer.cell[2, 2] = 23.0
    higher, _ = layer_elastic_constants(layer, LennardJones(rc=CUTOFF), StrainSettings(largest_strain=0.002))
    np.testing.assert_allclose(higher, found, rtol=1e-9, atol=1e-9)


def test_alloy_layers_against_second_derivatives():
    """Two layers of two elements, whose atoms move when the cell is strained."""
    layer = fcc111("Cu", (1, 1, 2), vacuum=8.0)
    layer.symbols[1] = "Au"
    layer = relaxed(layer, EMT(), 1e-6, cell=[True, True, False, False, False, True])

    def energy(strain: np.ndarray) -> float:
        deformation = np.eye(3)
        deformation[:2, :2] += strain - 0.5 * strain @ strain
        strained = layer.copy()
        strained.set_cell(layer.cell[:] @ deformation, scale_atoms=True)
        strained.calc = EMT()
        BFGS(strained, logfile=None).run(fmax=1e-6)
        return strained.get_potential_energy()

    found, _ = layer_elastic_constants(layer, EMT(), StrainSettings(max_force=1e-6))
    area, step = np.linalg.norm(np.cross(*layer.cell[:2])), 2e-3
    both, one = np.eye(2), np.diag([1.0, 0.0])
    shear = np.array([[0, 0.5], [0.5, 0]])
    for strain, expected in ((one, found[0, 0]), (shear, found[2, 2]), (both, 2 * (found[0, 0] + found[0, 1]))):
        curvature = (energy(step * strain) + energy(-step * strain) - 2 * energy(0 * strain)) / step**2
        assert curvature / area == pytest.approx(expected, rel=5e-3)


def test_moduli_by_hand():
    """Graphene's C11 = 358, C12 = 60 N/m: E = (C11² - C12²)/C11, ν = C12/C11, G = (C11 - C12)/2 in every direction."""
    stiffness = np.array([[358.0, 60, 0], [60, 358, 0], [0, 0, 149]])
    for angle in (0.0, 0.3, 1.2):
        values = layer_moduli(stiffness, angle)
        assert values["youngs_modulus"] == pytest.approx((358**2 - 60**2) / 358)
        assert values["poisson_ratio"] == pytest.approx(60 / 358)
        assert values["shear_modulus"] == pytest.approx(149)
    square = np.diag([100.0, 50, 20])
    assert layer_moduli(square, np.pi / 2)["youngs_modulus"] == pytest.approx(50)
    # 1/E(45°) = (1/100 + 1/50 + 1/20)/4
    assert layer_moduli(square, np.pi / 4)["youngs_modulus"] == pytest.approx(4 / (0.01 + 0.02 + 0.05))


def test_report(tmp_path):
    layer = fcc111("Cu", (1, 1, 1), a=3.7, vacuum=6.0)
    report = layer_elasticity_report(layer, EMT())
    values = report.values
    stiffness = values["elastic_constants_n_per_m"]
    assert values["born_stable"]
    assert values["layer_modulus_n_per_m"] == pytest.approx((stiffness[0, 0] + stiffness[0, 1]) / 2)
    assert values["youngs_modulus_x_n_per_m"] == pytest.approx(values["youngs_modulus_y_n_per_m"])
    assert values["cell_angstrom"][2][2] == pytest.approx(layer.cell[2, 2])
    report.write(tmp_path)
    assert (tmp_path / "layer_elasticity.png").is_file()


def test_unstable_layer():
    """A square net of copper shears into a triangular one."""
    net = relaxed(Atoms("Cu", cell=[2.4, 2.4, 12], pbc=(1, 1, 0)), EMT(), 1e-4, cell=[True, True, *[False] * 4])
    values = layer_elasticity_report(net, EMT(), relax_cell=False).values
    assert not values["born_stable"]
    assert values["elastic_constants_n_per_m"][2, 2] < 0
    assert "youngs_modulus_x_n_per_m" not in values


def test_bad_input(monkeypatch):
    touching = bulk("Cu", cubic=True)
    for atoms in (bulk("Cu"), Atoms("Cu", cell=[3, 3, 0], pbc=(1, 1, 0)), Atoms("Cu", cell=[3, 3, 9]), touching):
        with pytest.raises(ConfigError, match="expected a layer"):
            layer_elastic_constants(atoms, EMT())
    monkeypatch.setitem(sys.modules, "spglib", None)
    with pytest.raises(ConfigError, match=r"pip install mhdnn\[properties\]"):
        invariant_stiffnesses(bulk("Cu"))
