"""Atom-centred symmetry functions."""

from mhdnn.descriptors.symmetry_functions import SymmetryFunctions, build_descriptor

__all__ = ["SymmetryFunctions", "build_descriptor"]
