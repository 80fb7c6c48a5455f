"""A mask cannot be invalid and can only narrow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edgeticket.ticket.mask import Mask

BOOLEANS = npst.arrays(np.bool_, npst.array_shapes(max_dims=4, max_side=6))
MASKS = st.dictionaries(st.text(min_size=1, max_size=8), BOOLEANS, max_size=4)


@given(MASKS)
def test_counts_are_exact(arrays: dict[str, np.ndarray]) -> None:
    mask = Mask(arrays)
    assert mask.kept == sum(int(array.sum()) for array in arrays.values())
    assert mask.total == sum(array.size for array in arrays.values())
    assert mask.density == (mask.kept / mask.total if mask.total else 1.0)
    assert list(mask) == list(arrays)
    assert len(mask) == len(arrays)


@given(MASKS, st.data())
def test_a_narrower_mask_is_taken_and_a_wider_one_refused(arrays: dict[str, np.ndarray], data: st.DataObject) -> None:
    mask = Mask(arrays)
    other = {name: data.draw(npst.arrays(np.bool_, array.shape)) for name, array in arrays.items()}
    narrower = mask.narrowed({name: array & other[name] for name, array in arrays.items()})
    assert all(not np.any(narrower[name] & ~mask[name]) for name in mask)
    revived = [name for name in arrays if np.any(other[name] & ~arrays[name])]
    if revived:
        with pytest.raises(ValueError, match="would revive pruned weights"):
            mask.narrowed(other)
    else:
        assert mask.narrowed(other) == Mask(other)


def test_only_booleans_are_taken() -> None:
    with pytest.raises(ValueError, match=r"mask of 'w' holds float32, not booleans"):
        Mask({"w": np.ones(3, np.float32)})  # type: ignore[dict-item]


def test_it_is_locked_and_no_alias_of_what_it_was_made_from() -> None:
    array = np.ones((2, 2), np.bool_)
    mask = Mask({"w": array})
    array[:] = False
    assert mask.kept == 4
    with pytest.raises(ValueError, match="read-only"):
        mask["w"][0, 0] = False
    with pytest.raises(TypeError):
        mask["w"] = array  # type: ignore[index]


def test_narrowing_needs_the_same_names_and_shapes() -> None:
    mask = Mask.ones({"a": (2, 3), "b": (4,)})
    with pytest.raises(ValueError, match="the same tensors"):
        mask.narrowed({"a": np.ones((2, 3), np.bool_)})
    with pytest.raises(ValueError, match=r"has shape \(3, 2\), not \(2, 3\)"):
        mask.narrowed({"a": np.ones((3, 2), np.bool_), "b": np.ones(4, np.bool_)})


def test_equality_hash_and_text() -> None:
    one, two = Mask.ones({"a": (2,), "b": (3,)}), Mask.ones({"b": (3,), "a": (2,)})
    assert one == two
    assert hash(one) == hash(two)
    assert one != Mask.ones({"a": (2,)})
    assert one != Mask({"a": np.array([True, False]), "b": np.ones(3, np.bool_)})
    assert one != "mask"
    assert repr(one) == "Mask(2 tensors, 5 of 5 weights kept)"
    assert Mask({}).density == 1.0
