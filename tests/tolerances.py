"""Named tolerances: what a comparison may differ by, and why."""

ROUND_OFF = 1e-10
"""Two orders of summation of the same float64 terms (relative to the largest value)."""

FINITE_DIFFERENCE = 1e-6
"""Central differences in float64 with a step near the optimum (relative)."""

SINGLE_PRECISION = 2e-4
"""The same formula in float32 and float64 (relative to the largest value)."""

SAME_FUNCTION = 1e-9
"""Another program's value of the same function in float64 (relative to the largest value)."""

HANG = 3600.0
"""Seconds after which a process of seconds hangs, however busy the machine is."""
