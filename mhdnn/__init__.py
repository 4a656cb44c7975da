"""Machine-learned interatomic potentials for battery electrodes, from DFT data to molecular dynamics."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhdnn.deploy.calculator import MHDNNCalculator

__version__ = "0.2.0"
__all__ = ["MHDNNCalculator", "__version__"]


def __getattr__(name: str) -> Any:
    """The calculator, on first use: LAMMPS asks this package for its plugin at each start without waiting for torch."""
    if name == "MHDNNCalculator":
        from mhdnn.deploy.calculator import MHDNNCalculator

        return MHDNNCalculator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
