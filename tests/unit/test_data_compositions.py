"""What compositions leave open of the reference energies, against worked-out null spaces."""

import numpy as np
import pytest

from mhdnn.data.compositions import remedy, undetermined


@pytest.mark.parametrize(
    ("elements", "rows", "texts"),
    [
        ([3, 6], [[1, 2], [2, 4], [8, 16]], ["Li and C occur only in the ratio 1:2"]),
        ([3, 6], [[1, 2], [2, 4], [7, 16]], []),
        ([3, 27, 8], [[1, 1, 2], [2, 2, 4]], ["Li, Co and O occur only in the ratio 1:1:2"]),
        ([3, 27, 8], [[1, 1, 2], [0, 2, 4]], ["Co and O occur only in the ratio 1:2"]),
        ([3, 11, 8], [[2, 0, 1], [0, 2, 1], [1, 1, 1]], ["n(Li) + n(Na) = 2 n(O) in every structure"]),
        ([3, 11, 8], [[2, 0, 1], [0, 2, 1], [1, 1, 1], [0, 0, 2]], []),
        ([3, 11], [[2, 0], [5, 0]], ["no structure with an energy has Na"]),
        ([50], [[4], [8]], []),
    ],
)
def test_in_words(elements, rows, texts):
    counts = np.array(rows)
    assert undetermined(counts, elements) == texts
    assert (np.linalg.matrix_rank(counts) < len(elements)) == bool(texts)


def test_large_sets_are_exact():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, size=(5000, 5))
    assert undetermined(counts, [1, 6, 7, 8, 15]) == []
    counts[:, 4] = counts[:, 0] + 2 * counts[:, 1] + 3 * counts[:, 2]
    assert undetermined(counts, [1, 6, 7, 8, 15]) == ["n(H) + 2 n(C) + 3 n(N) = n(P) in every structure"]


def test_the_setting_is_written_out():
    assert remedy([3, 6]).endswith("initialization.reference_energies={Li: ...,C: ...}")
