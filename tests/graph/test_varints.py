"""varints.py: whole numbers of constants come back, and never take more bytes than raw ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgeticket import runtime
from edgeticket.graph.short_names import with_short_names
from edgeticket.graph.simplify import simplify
from edgeticket.graph.storing.varints import varint_bytes, write_varints

WHOLE = st.one_of(st.integers(0, 200), st.integers(-3, 3), st.integers(-(2**31), 2**31 - 1))


def _graph(*tensors: onnx.TensorProto, nodes: tuple[onnx.NodeProto, ...] = ()) -> onnx.GraphProto:
    return helper.make_graph(nodes, "g", [], [], tensors)


@given(st.lists(WHOLE, max_size=40), st.sampled_from([np.int32, np.int64]))
def test_numbers_come_back_in_no_more_bytes(numbers: list[int], dtype: Any) -> None:
    array = np.array(numbers, dtype)
    tensor = numpy_helper.from_array(array, "a")
    graph = _graph(tensor)
    write_varints(graph)
    [written] = graph.initializer
    assert numpy_helper.to_array(written).tobytes() == array.tobytes()
    assert written.ByteSize() <= tensor.ByteSize()


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40))
def test_the_bytes_are_those_of_protobuf(numbers: list[int]) -> None:
    tensor = onnx.TensorProto(int64_data=numbers)
    length = varint_bytes(np.array(numbers, np.int64))
    assert tensor.ByteSize() == 1 + (1 if length < 128 else 2) + length  # the field's tag and length


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint8, np.bool_, np.float16])
def test_other_types_stay_as_they_are(dtype: Any) -> None:
    graph = _graph(numpy_helper.from_array(np.ones(9, dtype), "a"))
    before = graph.SerializeToString()
    write_varints(graph)
    assert graph.SerializeToString() == before


def test_constants_of_bodies_are_written_so_too_and_the_runtime_reads_them() -> None:
    pads = numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "")
    body = helper.make_graph(
        [helper.make_node("Constant", [], ["p"], value=pads), helper.make_node("Pad", ["x", "p"], ["b"])],
        "body", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
    )  # fmt: skip
    other = helper.make_graph(
        [helper.make_node("Pad", ["x", "outer"], ["c"])], "other", [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, None)],
    )  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node("If", ["which"], ["y"], then_branch=body, else_branch=other)], "g",
        [helper.make_tensor_value_info("which", TensorProto.BOOL, []),
         helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([0, 0, 2, 0, 0, 0, 0, 2]), "outer")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    short = with_short_names(simplify(model)).model
    again = onnx.ModelProto.FromString(short.SerializeToString())
    write_varints(again.graph)
    assert again.ByteSize() == short.ByteSize()
    written = onnx.ModelProto.FromString(model.SerializeToString())
    write_varints(written.graph)
    assert model.ByteSize() - written.ByteSize() >= 2 * (64 - 8)  # eight numbers of a byte in place of eight
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    for which in (True, False):
        feed = {"which": np.array(which), "x": x}
        before, after = (
            runtime.run(runtime.cpu_session(each.SerializeToString()), feed)["y"] for each in (model, short)
        )
        assert np.array_equal(before, after)
