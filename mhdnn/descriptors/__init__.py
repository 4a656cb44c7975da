"""Atom-centred symmetry functions."""

# the operators in plain torch are there, should nothing be compiled
from mhdnn.descriptors import contracted_reference, reference
from mhdnn.descriptors.symmetry_functions import SymmetryFunctions, build_descriptor

__all__ = ["SymmetryFunctions", "build_descriptor", "contracted_reference", "reference"]
