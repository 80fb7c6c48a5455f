"""The largest table of which all rows have one sum, and all columns: against all tables there are."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgeticket.graph.channels.crossing import evenly


def largest(counts: np.ndarray, most: int) -> int:
    """The sum of the largest such table, found by trying all."""
    best = 0
    for entries in product(*(range(count + 1) for count in counts.reshape(-1))):
        table = np.array(entries).reshape(counts.shape)
        rows, columns = table.sum(axis=1), table.sum(axis=0)
        if np.ptp(rows) == np.ptp(columns) == 0 and rows[0] <= most:
            best = max(best, int(table.sum()))
    return best


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 2)])
def test_no_table_is_larger(shape: tuple[int, int]) -> None:
    @given(arrays(np.int64, shape, elements=st.integers(0, 2)), st.integers(0, 5))
    def check(counts: np.ndarray, most: int) -> None:
        table = evenly(counts, most)
        assert (table >= 0).all()
        assert (table <= counts).all()
        assert np.ptp(table.sum(axis=0)) == np.ptp(table.sum(axis=1)) == 0
        assert table.sum() == largest(counts, most)

    check()
