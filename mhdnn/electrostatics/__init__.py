"""Electrostatics of Gaussian charges: potentials, energies and charge equilibration with every boundary condition."""

from mhdnn.electrostatics.system import CoulombSystem, build_coulomb

__all__ = ["CoulombSystem", "build_coulomb"]
