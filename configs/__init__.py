"""Hydra configuration of `mhdnn train`, shipped with the package."""
