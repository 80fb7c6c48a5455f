"""A mask says which weights are left. It cannot be invalid, and it can only narrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]


class Mask(Mapping[str, BoolArray]):
    """Tensor name -> boolean array of the tensor's shape; True means the weight is kept.

    Immutable: arrays are copied in and locked. Two masks are equal if their names, shapes and bits are.

    Raises:
        ValueError: an array is not boolean.
    """

    __slots__ = ("_arrays",)

    def __init__(self, arrays: Mapping[str, BoolArray]) -> None:
        copied: dict[str, BoolArray] = {}
        for name, array in arrays.items():
            if array.dtype != np.bool_:
                raise ValueError(f"mask of {name!r} holds {array.dtype}, not booleans")
            copied[name] = np.array(array, order="C", copy=True)
            copied[name].setflags(write=False)
        self._arrays = MappingProxyType(copied)

    @classmethod
    def ones(cls, shapes: Mapping[str, tuple[int, ...]]) -> Mask:
        """The mask of a dense network."""
        return cls({name: np.ones(shape, np.bool_) for name, shape in shapes.items()})

    def __getitem__(self, name: str) -> BoolArray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return self.keys() == other.keys() and all(np.array_equal(self[n], other[n]) for n in self)

    def __hash__(self) -> int:
        return hash(tuple((name, array.tobytes()) for name, array in sorted(self.items())))

    def __repr__(self) -> str:
        return f"Mask({len(self)} tensors, {self.kept} of {self.total} weights kept)"

    @property
    def kept(self) -> int:
        """The number of weights left, exact."""
        return sum(int(np.count_nonzero(array)) for array in self.values())

    @property
    def total(self) -> int:
        """The number of weights the mask covers."""
        return sum(array.size for array in self.values())

    @property
    def density(self) -> float:
        """kept / total; 1 for an empty mask."""
        return self.kept / self.total if self.total else 1.0

    def narrowed(self, arrays: Mapping[str, BoolArray]) -> Mask:
        """A mask with fewer weights.

        Raises:
            ValueError: names or shapes differ, or a weight that was pruned would come back.
        """
        if arrays.keys() != self.keys():
            raise ValueError("a narrower mask must name the same tensors")
        for name, array in arrays.items():
            if array.shape != self[name].shape:
                raise ValueError(f"mask of {name!r} has shape {array.shape}, not {self[name].shape}")
            if bool(np.any(array & ~self[name])):
                raise ValueError(f"mask of {name!r} would revive pruned weights")
        return Mask(arrays)
