"""How many threads symmetry functions take, and torch beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mhdnn.kernels.loading import load_operators


@contextmanager
def only_functions_in_parallel() -> Iterator[None]:
    """Within: symmetry functions take as many threads as torch has, torch's own operations one.

    Those are many and small: two threads of OpenMP are hardly faster than one on idle cores, and many times slower
    where another program is busy on one, as they wait for each other in loops of milliseconds (`core/threads.h`).
    """
    num_threads = torch.get_num_threads()
    if load_operators().kind != "compiled" or num_threads == 1:
        yield
        return
    torch.ops.mhdnn.set_num_threads(num_threads)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
        torch.ops.mhdnn.set_num_threads(0)
