"""What is read, encoded and tried once for all storages of a model gives the files that each would have by itself."""

from __future__ import annotations

from typing import get_args

import numpy as np
import onnx
import pytest
from storage_models import convnet, lenet, model, node, product, pruned

from edgeticket import runtime
from edgeticket.artifact.golden import LoadedModel
from edgeticket.graph.serialize import serialize
from edgeticket.graph.storing import codebook, layout, storage
from edgeticket.graph.storing.archives import Archives
from edgeticket.graph.storing.encoding import Weights
from edgeticket.graph.storing.layout import Trials
from edgeticket.graph.storing.storage import STORAGES, Stored, store
from edgeticket.graph.storing.tensors import TensorReader
from edgeticket.graph.storing.writer import Writer

VARIANTS = {
    "dense": ("dense", "fp32"), "sparse-initializer": ("sparse-initializer", "fp32"), "gaps": ("gaps", "fp32"),
    "gaps-fp16": ("gaps", "fp16"), "gaps-int8": ("gaps", "int8"),
}  # fmt: skip


def _sums(scale: float = 1.0) -> onnx.ModelProto:
    """Constants that are added: none of them has channels that int8 could scale."""
    rng = np.random.default_rng(1)
    weights = {f"w{place}": np.float32(scale) * pruned(rng, (4, 8), 6 + place % 3) for place in range(40)}
    nodes = [node("Add", [f"v{place}" if place else "x", f"w{place}"], [f"v{place + 1}"]) for place in range(40)]
    nodes[-1].output[0] = "y"
    return model(nodes, weights, {"x": (4, 8)})


def _large() -> onnx.ModelProto:
    """Weights beyond fp16, which bfloat16 holds exactly: in fp32 they may rest so, asked for as fp16 they may not."""
    rng = np.random.default_rng(2)
    wide = pruned(rng, (64, 64), 900)
    return product((np.ldexp(np.rint(wide * 64), 20)).astype(np.float32))


MODELS = [lenet(), convnet(18), _sums(), _sums(1e6), _large()]
NAMES = ["lenet", "convnet", "sums", "large sums", "large weights"]


def _stored(proto: onnx.ModelProto, kind: storage.Storage, weights: Weights, read: TensorReader | None) -> Stored:
    return store(
        proto, storage=kind, weights=weights, unfolded=lambda *_: frozenset(), alike=lambda *_: True, read=read
    )


@pytest.mark.parametrize("proto", MODELS, ids=NAMES)
def test_tensors_that_were_read_for_another_storage_are_stored_the_same(proto: onnx.ModelProto) -> None:
    shared = TensorReader(proto)
    asked = [(kind, weights) for kind in STORAGES for weights in get_args(Weights)]
    for kind, weights in (*asked, *reversed(asked)):
        once, again = (_stored(proto, kind, weights, read) for read in (None, shared))
        assert again.serialized() == once.serialized(), (kind, weights)
        assert again.tensors == once.tensors


def test_tensors_of_another_model_are_not_taken_for_those_of_this_one() -> None:
    honest, other = lenet(), lenet(nonzeros=(8275, 1056, 207))
    found = _stored(other, "auto", "fp32", TensorReader(honest))
    assert found.serialized() == _stored(other, "auto", "fp32", None).serialized()
    assert found.serialized() != _stored(honest, "auto", "fp32", None).serialized()


@pytest.mark.parametrize("proto", MODELS, ids=NAMES)
def test_a_report_compares_the_files_that_each_storage_gives(
    proto: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: dict[str, bytes] = {}
    monkeypatch.setattr(Archives, "add", lambda _, name, data: added.update({name: data}))
    read = TensorReader(proto)
    _stored(proto, "auto", "fp32", read)  # as an export has read and tried them
    storage.add_storages(Archives(), read)
    assert list(added) == list(VARIANTS)
    for name, (kind, weights) in VARIANTS.items():
        assert added[name] == _stored(proto, kind, weights, None).serialized(), name  # type: ignore[arg-type]


def test_a_group_is_written_for_trial_once_in_each_coding(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = layout.rebuild.write_group

    def counted(writer: Writer, tensors: object, coding: str) -> object:
        written.append(coding)
        return write(writer, tensors, coding)  # type: ignore[arg-type]

    monkeypatch.setattr(layout.rebuild, "write_group", counted)
    read = TensorReader(lenet())
    [first, *_], *_ = (found for found in read.survey("fp32", {}, Writer(set(), 18), packed=False).encodings)
    trials, writer = Trials(), Writer(set(), 18)
    found = [trials.smallest(writer, [first]) for _ in range(3)]
    assert sorted(written) == ["packed", "uint8"]
    assert len(set(found)) == 1
    assert writer.empty, "a trial leaves the writer alone"


@pytest.mark.parametrize("size", range(1, 40))
def test_no_table_is_missed_because_a_tensor_is_small(size: int) -> None:
    values = np.full(size, 0.5, np.float32)
    smaller = size + 4 + codebook._TABLE_BYTES < 4 * size
    assert (codebook._table(values) is not None) == smaller


@pytest.mark.parametrize("proto", [lenet(), convnet(18)], ids=NAMES[:2])
def test_packed_and_dense_files_without_rewrites_give_the_same_outputs(proto: onnx.ModelProto) -> None:
    """What golden tolerances are measured with may be stored densely: the numbers are the same, bit by bit."""
    packed = store(proto).serialized()
    assert packed != serialize(proto)
    shapes = {port.name: [d if isinstance(d, int) else 3 for d in port.shape] for port in _ports(packed)}
    feed = {n: np.random.default_rng(0).normal(size=shape).astype(np.float32) for n, shape in shapes.items()}
    found = [LoadedModel.load(data, optimize=False).run(feed) for data in (packed, serialize(proto))]
    assert [array.tobytes() for array in found[0]] == [array.tobytes() for array in found[1]]


def _ports(data: bytes) -> list[object]:
    return list(runtime.cpu_session(data).get_inputs())
