"""Machine-learned interatomic potentials for battery electrodes, from DFT data to molecular dynamics."""

__version__ = "0.1.0"

from mhdnn.deploy.calculator import MHDNNCalculator  # noqa: E402 (the model file records the version)

__all__ = ["MHDNNCalculator", "__version__"]
