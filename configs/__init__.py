"""Hydra configuration of `mhdnn train`, shipped with the package."""

from omegaconf import OmegaConf

from mhdnn.data.bundled import bundled_path

# Hydra imports this module to find its files: whatever composes them knows the resolver
OmegaConf.register_new_resolver("bundled", lambda name: str(bundled_path(name)), replace=True)
