"""Tunnels through lattices whose holes are known."""

import math
import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mhdnn.errors import ConfigError, PropertyError
from mhdnn.properties.tunnels import widest_tunnel


@pytest.mark.parametrize(
    ("lattice", "cavity", "window"),
    [
        # simple cubic: the centre of the cube, through the centre of a face
        ("sc", math.sqrt(3) / 2, math.sqrt(2) / 2),
        # body-centred: the tetrahedral hole (1/2, 1/4, 0), through the triangle with sides 1, √3/2, √3/2
        ("bcc", math.sqrt(5) / 4, 3 / (4 * math.sqrt(2))),
        # face-centred: the octahedral hole, through the triangle of nearest neighbours
        ("fcc", 0.5, 1 / math.sqrt(6)),
    ],
)
@pytest.mark.parametrize("cubic", [False, True])
def test_cubic_lattices(lattice, cavity, window, cubic):
    a = 4.2
    atoms = bulk("Ar", lattice, a=a, cubic=cubic)
    atoms.rotate(40, (1, 2, -1), rotate_cell=True)
    atoms.positions += [0.3, 0.1, 0.7]
    tunnel = widest_tunnel(atoms)
    assert tunnel.cavity_radius == pytest.approx(cavity * a, rel=1e-6)
    assert tunnel.radius == pytest.approx(window * a, rel=1e-6)


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 1, 3)])
def test_square_tunnel(repeats):
    """Chains of atoms along z on a square net: the axis runs in the middle of four chains, a/√2 away.

    Between two neighbouring atoms of a chain it passes at the same height or half way between: the nearest centre is
    a/√2 away, when the axis is at an atom's height.
    """
    atoms = Atoms("Ar", cell=[7.0, 7.0, 2.5], pbc=True) * repeats
    tunnel = widest_tunnel(atoms)
    assert tunnel.radius == pytest.approx(7.0 / math.sqrt(2), rel=1e-6)
    assert tunnel.direction.tolist() == [0, 0, 1]
    assert tunnel.cavity_radius == pytest.approx(math.hypot(7.0 / math.sqrt(2), 1.25), rel=1e-6)


def test_hexagonal_tunnel_in_another_cell():
    """Honeycomb layers stacked in register: the tunnel through the hexagons is a bond length from six atoms.

    The cell is sheared along the tunnel, so that its direction is no cell vector.
    """
    bond, height = 3.0, 2.2
    a = math.sqrt(3) * bond
    atoms = Atoms("C2", cell=[[a, 0, 0], [-a / 2, a * math.sqrt(3) / 2, 0], [0, 0, height]], pbc=True)
    atoms.set_scaled_positions([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0]])
    sheared = atoms.copy()
    sheared.set_cell(np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1]]) @ atoms.cell[:])
    sheared.rotate(29, (1, 1, 0), rotate_cell=True)
    for structure, direction in ((atoms, [0, 0, 1]), (sheared, [1, 0, -1])):
        tunnel = widest_tunnel(structure)
        assert tunnel.radius == pytest.approx(bond, rel=1e-6)
        assert tunnel.direction.tolist() == direction


def test_large_structure_in_little_time():
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (4, 4, 4)
    atoms.rattle(0.1, seed=0)
    start = time.process_time()  # not that of others on the machine
    tunnel = widest_tunnel(atoms)
    assert time.process_time() - start < 20
    # the cube of four Na and four Cl, through its square face
    assert tunnel.radius == pytest.approx(5.64 / 2 / math.sqrt(2), rel=0.15)


def test_bad_input():
    with pytest.raises(ConfigError, match="three periodic directions"):
        widest_tunnel(Atoms("C", cell=[3, 3, 3], pbc=[True, True, False]))
    with pytest.raises(PropertyError, match="leave out the vacuum"):
        widest_tunnel(Atoms("C", cell=[40, 40, 40], pbc=True))
