"""Griffith's criterion from energies alone: what a longer crack in a strip between grips costs."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, cut
from ase.constraints import FixAtoms
from matscipy.fracture_mechanics.crack import CubicCrystalCrack

from mhdnn.properties.fracture.cleavage import cleave
from mhdnn.properties.relaxation import relaxed
from tests.lammps.runs import has_lammps
from tests.properties.test_crack import JOULE, StillingerWeber

LATTICE, GRIP, STRAIN, VACUUM = 5.431, 4.0, 0.05, 10.0


def oriented() -> Atoms:
    """Silicon with x along [11-2], y along [111], z along [1-10]."""
    cell = cut(bulk("Si", cubic=True, a=LATTICE), a=(0.5, 0.5, -1), b=(1, 1, 1), c=(0.5, -0.5, 0))
    axes = cell.cell[:] / np.linalg.norm(cell.cell[:], axis=1, keepdims=True)
    turned = Atoms(cell.numbers, cell.positions @ axes.T, cell=np.diag(cell.cell.lengths()), pbc=True)
    turned.wrap()
    return turned


def strip(length: int, crack: float, strain: float = STRAIN) -> tuple[Atoms, float]:
    """A strip of so many periods, strained along y, with a crack from its left end; length 1 is periodic along x.

    :return: it, with the grips held, and the area of one period of the plane
    """
    cell = oriented()
    atoms = cell.repeat((length, 4, 1))
    height = atoms.cell[1, 1]
    levels = np.unique(atoms.positions[:, 1].round(3))
    gaps = np.diff(levels)
    wide = levels[:-1][gaps > 1.5] + gaps[gaps > 1.5] / 2  # between bilayers, where one bond for each atom is cut
    middle = wide[np.abs(wide - height / 2).argmin()]
    heights = (atoms.positions[:, 1] - middle + height / 2) % height - height / 2
    left = atoms.positions[:, 0] < crack
    # behind the crack the halves are as they were, moved with their grips
    strained = np.where(left, heights + np.sign(heights) * strain * height / 2, heights * (1 + strain))
    atoms.positions[:, 1] = strained + height / 2 * (1 + strain) + VACUUM
    atoms.cell[1, 1] = height * (1 + strain) + 2 * VACUUM
    atoms.pbc = (length == 1, False, True)
    if length > 1:
        atoms.positions[:, 0] += VACUUM
        atoms.cell[0, 0] += 2 * VACUUM
    outwards = np.abs(strained)
    atoms.set_constraint(FixAtoms(mask=outwards > outwards.max() - GRIP))
    return atoms, float(cell.cell[0, 0] * cell.cell[2, 2])


@pytest.mark.slow
@pytest.mark.skipif(not has_lammps(), reason="no LAMMPS in this environment")
def test_a_longer_crack_costs_its_surfaces_less_what_the_strip_held():
    """dE/da = 2γ - W: at W = 2γ it costs nothing, which is Griffith's criterion; K follows from 2γ."""
    calculator = StillingerWeber()

    def energy(length, crack, strain=STRAIN):
        atoms, _ = strip(length, crack, strain)
        return relaxed(atoms, calculator, 0.01).get_potential_energy()

    period, area = oriented().cell[0, 0], strip(1, 0.0)[1]
    held = (energy(1, 0.0) - energy(1, 0.0, 0.0)) / area
    cost = (energy(14, 7.3 * period) - energy(14, 6.3 * period)) / area
    release = cost + held
    surfaces = cleave(bulk("Si", a=LATTICE), StillingerWeber(), (1, 1, 1), thickness=9.0).relaxed_energy
    assert 0.2 * release < held < 0.5 * release  # neither is a correction to the other
    assert release == pytest.approx(surfaces, rel=0.01)
    theirs = CubicCrystalCrack([1, 1, 1], [1, -1, 0], C11=151.4, C12=76.4, C44=56.4)
    toughness = theirs.k1g(10.0 * 0.5 * release * JOULE) * 1e-2
    assert toughness == pytest.approx(0.615, rel=0.01)
