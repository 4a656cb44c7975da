"""The symmetry-function operators ``torch.ops.mhdnn.*``: compiled, or in plain torch without a compiler."""

from mhdnn.kernels.loading import OperatorState, in_plain_torch, load_operators, operator_state

__all__ = ["OperatorState", "in_plain_torch", "load_operators", "operator_state"]
