"""Electrostatics of Gaussian charges with every boundary condition: potentials, energies and charge equilibration.

The core (``mhdnn/core/electrostatics``) computes them; `mhdnn.electrostatics.reference` has the formulas once more in
plain torch, for the tests and for machines without a compiler.
"""

from mhdnn.electrostatics.system import ChargeHistory, CoulombSystem, build_coulomb

__all__ = ["ChargeHistory", "CoulombSystem", "build_coulomb"]
