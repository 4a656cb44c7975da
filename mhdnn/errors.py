"""Errors that a user can act on: each names the thing, what was expected, what came, and the remedy."""


class MHDNNError(Exception):
    """Base of all errors that mhdnn raises on purpose; the command line prints it without a traceback."""


class DataError(MHDNNError, ValueError):
    """A dataset or structure is not what it should be."""


class UnconvergedError(DataError):
    """The electronic structure of a frame did not converge; such frames are left out and counted."""


class ConfigError(MHDNNError, ValueError):
    """A setting is missing, misspelt or contradicts another."""


class ModelError(MHDNNError, ValueError):
    """A model file or checkpoint can't be used as asked."""


class OutputError(MHDNNError, OSError):
    """A result can't be written: the disk is full, the folder read-only."""


class NotFiniteError(MHDNNError, ArithmeticError):
    """A number that should be one is not: a prediction, a loss or a gradient is NaN or infinite."""


class BuildError(MHDNNError):
    """Something that mhdnn compiles on the user's machine could not be compiled."""


class ElectrostaticsError(MHDNNError, RuntimeError):
    """Charges or potentials could not be computed: the system is not convex or the solver did not converge."""


class PropertyError(MHDNNError, RuntimeError):
    """A property could not be computed: a relaxation did not converge, or the structure does not have it."""
