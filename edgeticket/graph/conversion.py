"""A source becomes a file: simplified, stored, serialised, and held to the plan; with what its bytes stand beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeticket.graph.baseline import Baseline, dense_baseline, plainly
from edgeticket.graph.loading import Loading
from edgeticket.graph.proving.static.stored_file import check_stored_file
from edgeticket.graph.reading.source import Source, stamp
from edgeticket.graph.serialize import serialize
from edgeticket.graph.short_names import with_short_names
from edgeticket.graph.simplify import Simplified, simplify
from edgeticket.graph.smallest import functions_left_where_smaller
from edgeticket.graph.storing import storage
from edgeticket.graph.storing.archives import Archives
from edgeticket.graph.storing.encoding import WEIGHTS, Weights
from edgeticket.graph.storing.tensors import TensorReader


@dataclass(frozen=True)
class Converted:
    """The model after simplification, as it is stored, and serialised.

    `model` is the file to be exported, `fp32` the same network where some values are stored rounded, else None;
    `dense` is the dense network as its user would deploy it.
    """

    simplified: Simplified
    stored: storage.Stored
    model: bytes
    fp32: bytes | None
    dense: Baseline
    sizes: Mapping[str, int]  # of the files that the report compares
    unchecked: tuple[str, ...]  # weights too large to be rebuilt outside the runtime


def convert(
    source: Source, kind: storage.Storage, weights: Weights, loading: Loading, *, upgrade_opset: bool, timed: bool
) -> Converted:
    """Simplify, store, and hold the stored file to the plan; `loading` begins with the file when that is written.

    Raises:
        ProofError: the file does not hold the planned weights.
    """
    simplified = with_short_names(
        simplify(source.masked, upgrade_opset=upgrade_opset, unpruned=source.ticket is None and not upgrade_opset)
    )
    unpruned = simplified.unpruned
    read = TensorReader(simplified.model)
    stored = storage.store(simplified.model, storage=kind, weights=weights, read=read)
    inlined = simplified
    simplified, stored = functions_left_where_smaller(source.masked, (simplified, stored), kind, weights)
    for each in (simplified.model, stored.model):
        stamp(each, source.stamp)
    model = stored.serialized()
    rounded = any(tensor.rounded for tensor in stored.tensors)
    dense = dense_baseline(source, unpruned, timed=timed)  # it asks the runtime, which is then busy for a while
    loading.written(model, simplified.model, rounded=rounded)
    encoded = {t.name: kind for t in stored.tensors if t.rounded for kind in WEIGHTS if t.weights == kind}
    unchecked = check_stored_file(model, simplified.layers, simplified.model, encoded, lossy=rounded)
    fp32 = serialize(simplified.model) if rounded else None
    masked = plainly(source, source.masked, removal=False) if source.ticket else None
    read = read if simplified is inlined else TensorReader(simplified.model)
    sizes = _sizes(dense, masked, read, model)
    return Converted(simplified, stored, model, fp32, dense, sizes, unchecked)


def _sizes(dense: Baseline, masked: bytes | None, read: TensorReader, exported: bytes) -> dict[str, int]:
    """The bytes of every file the report compares: the dense network first, the exported file last.

    `masked` is the pruned network without what export does for it, None where the dense one may be it; `read` has the
    tensors of the simplified one.
    """
    archives = Archives()
    archives.add("original", dense.smallest)
    if dense.given is not None and dense.given != dense.smallest:
        archives.add("given", dense.given)
    if masked is not None:
        archives.add("masked", masked)
    storage.add_storages(archives, read)
    archives.add("exported", exported)
    return archives.sizes()
