"""What a file is compared on: made-up inputs, usual and extreme, or a whole test set in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.graph.protos import without_default
from edgeticket.graph.proving import reference

Array = NDArray[Any]
Feed = Mapping[str, Array]


@dataclass(frozen=True)
class ProofInputs:
    """Feeds, which need no common batch size.

    Errors are measured on the `usual` ones, of which float64 runs as many as the budget allows. An `extreme` one counts
    where it can testify. A `whole` set is held to the original in float32; `count` are its samples, and with `again`
    the usual feeds are some of them.
    """

    usual: Sequence[Feed]
    extreme: Sequence[Feed] = ()
    whole: Sequence[Feed] = ()
    count: int | None = None
    again: bool = False


def whole_set(original: onnx.ModelProto, inputs: Feed, batch: int = 256) -> ProofInputs:
    """A whole set: `inputs` maps each input's name to [n, ...].

    A model of fixed batch size gets batches of that size, the last one filled up with its last row.
    """
    fixed = _fixed_batch(original)
    feeds = list(_batches(inputs, fixed or batch, pad=fixed is not None))
    count = min(len(array) for array in inputs.values())
    rows = np.unique(np.linspace(0, max(count - 1, 0), reference.rows_within_budget(original)).astype(np.int64))
    if not count or not len(rows):
        return ProofInputs(feeds[:1], whole=feeds[1:], count=count)
    spread = list(_batches({name: array[rows] for name, array in inputs.items()}, fixed or len(rows), pad=True))
    return ProofInputs(spread, whole=feeds, count=count, again=True)


def _fixed_batch(model: onnx.ModelProto) -> int | None:
    """The batch size that a model's inputs insist on."""
    first = [
        int(value.type.tensor_type.shape.dim[0].dim_value)
        for value in without_default(model.graph)
        if value.type.tensor_type.shape.dim
    ]
    return first[0] if first and first[0] > 0 and len(set(first)) == 1 else None


def _batches(inputs: Feed, batch: int, *, pad: bool) -> Iterator[Feed]:
    count = min(len(array) for array in inputs.values())
    for start in range(0, count, max(batch, 1)):
        rows: Iterable[int] = range(start, min(start + batch, count))
        taken = np.asarray(rows)
        if pad and len(taken) < batch:
            taken = np.concatenate([taken, np.full(batch - len(taken), taken[-1])])
        yield {name: array[taken] for name, array in inputs.items()}
