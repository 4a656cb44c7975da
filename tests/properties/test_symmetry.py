"""Crystal axes: tensors by hand, whatever frame the crystal is given in, and pymatgen's axes of the same standard."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.spacegroup import crystal
from pymatgen.core.tensors import Tensor
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.spatial.transform import Rotation

from mhdnn.properties.elastic_tensor import invariant_stiffnesses, rotated
from mhdnn.properties.elasticity import elasticity_report
from mhdnn.properties.symmetry import crystal_axes, crystal_system

TOLERANCE = 1e-3

CRYSTALS = {
    "cubic": bulk("Cu"),
    "tetragonal": crystal(
        ["Ti", "O"], [(0, 0, 0), (0, 0, 0.2081)], spacegroup=141, cellpar=[3.785, 3.785, 9.514, 90, 90, 90]
    ),
    "orthorhombic": crystal(
        ["Mg", "Si", "O", "O", "O"],
        [
            (0.9915, 0.2774, 0.25),
            (0.4262, 0.0940, 0.25),
            (0.7657, 0.0913, 0.25),
            (0.22, 0.4474, 0.25),
            (0.28, 0.16, 0.03),
        ],
        spacegroup=62,
        cellpar=[4.752, 10.193, 5.977, 90, 90, 90],
    ),
    "hexagonal": bulk("Mg", "hcp", a=3.2, c=5.2),
    "trigonal": crystal(
        ["Al", "O"], [(0, 0, 0.3522), (0.3064, 0, 0.25)], spacegroup=167, cellpar=[4.759, 4.759, 12.993, 90, 90, 120]
    ),
    "monoclinic": crystal(
        ["Zr", "O", "O"],
        [(0.2754, 0.0395, 0.2083), (0.0700, 0.3317, 0.3447), (0.4496, 0.7569, 0.4792)],
        spacegroup=14,
        cellpar=[5.150, 5.212, 5.317, 90, 99.23, 90],
    ),
    "triclinic": Atoms("LiOH", [[0, 0, 0], [1.1, 1.3, 0.9], [2.0, 1.0, 2.2]], cell=[4, 5, 6, 81, 84, 77], pbc=True),
}


def stiffness_of(atoms: Atoms) -> np.ndarray:
    """Any that has the crystal's symmetry; turned crystals get turned ones."""
    generator = np.random.default_rng(3)
    general = generator.normal(size=(6, 6))
    basis = invariant_stiffnesses(atoms, TOLERANCE)
    return sum(np.vdot(one, general + general.T) * one for one in basis)


@pytest.mark.parametrize("system", CRYSTALS)
def test_the_axes_of_the_standard(system):
    """The same tensor as in pymatgen's axes, in whatever frame the crystal is."""
    atoms = CRYSTALS[system]
    assert crystal_system(atoms, TOLERANCE) == system
    stiffness = stiffness_of(atoms)
    expected = rotated(stiffness, np.array(Tensor.get_ieee_rotation(AseAtomsAdaptor.get_structure(atoms))))
    found = rotated(stiffness, crystal_axes(atoms, TOLERANCE))
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(stiffness).max())
    turn = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell[:] @ turn.T, scale_atoms=True)
    again = rotated(rotated(stiffness, turn), crystal_axes(turned, TOLERANCE))
    np.testing.assert_allclose(again, expected, atol=1e-6 * np.abs(stiffness).max())


@pytest.mark.parametrize("system", CRYSTALS)
def test_supercells_have_the_axes_of_their_crystal(system):
    atoms = CRYSTALS[system]
    stiffness = stiffness_of(atoms)
    large = atoms.copy()
    large.set_cell(np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1]]) @ atoms.cell[:])
    found = rotated(stiffness, crystal_axes(large * (2, 1, 1), TOLERANCE))
    np.testing.assert_allclose(found, rotated(stiffness, crystal_axes(atoms, TOLERANCE)), atol=1e-6)


def test_a_short_tetragonal_axis_is_z():
    """Rutile with its fourfold axis along x."""
    rutile = crystal(
        ["Ti", "O"], [(0, 0, 0), (0.3053, 0.3053, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )
    rutile.rotate(90, "y", rotate_cell=True)
    np.testing.assert_allclose(np.abs(crystal_axes(rutile, TOLERANCE)[2]), [1, 0, 0], atol=1e-9)


def test_trigonal_crystals_with_their_twofold_axis_between_the_vectors():
    """P-31m: x along the twofold axis, so that C15 = 0 and C14 is not."""
    atoms = crystal(["Ca", "O"], [(1 / 3, 2 / 3, 0.2), (0.3, 0, 0.4)], spacegroup=162, cellpar=[5, 5, 6, 90, 90, 120])
    assert crystal_system(atoms, TOLERANCE) == "trigonal"
    found = rotated(stiffness_of(atoms), crystal_axes(atoms, TOLERANCE))
    assert abs(found[0, 4]) < 1e-9
    assert abs(found[0, 3]) > 0.1


def test_copper_in_another_frame():
    """EMT copper: C11 = 172.6 GPa in crystal axes, whatever frame a file has; as given it is the tensor turned."""
    atoms = bulk("Cu")
    turned = Atoms("Cu", cell=atoms.cell.cellpar(), pbc=True)
    values = elasticity_report(turned, EMT()).values
    expected = elasticity_report(atoms, EMT()).values["elastic_constants_gpa"]
    np.testing.assert_allclose(values["elastic_constants_gpa"], expected, atol=0.05)
    np.testing.assert_allclose(expected[[0, 0, 3], [0, 1, 3]], [172.6, 115.4, 89.9], atol=0.1)
    given = values["elastic_constants_as_given_gpa"]
    assert given[0, 0] > 220
    np.testing.assert_allclose(rotated(given, values["crystal_axes"]), values["elastic_constants_gpa"], atol=1e-9)
    # C11' along n of a cubic crystal: C11 - 2 (C11 - C12 - 2 C44) (n1² n2² + n2² n3² + n3² n1²)
    c11, c12, c44 = expected[[0, 0, 3], [0, 1, 3]]
    x, y, z = values["crystal_axes"][:, 0] ** 2
    assert given[0, 0] == pytest.approx(c11 - 2 * (c11 - c12 - 2 * c44) * (x * y + y * z + z * x), rel=1e-3)
