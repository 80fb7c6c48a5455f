"""Nodes and numbers in float64: constants, inputs, and the types that operators are told to produce.

float32, float16 and bfloat16 become float64. Integers stay what they are, so that weights stored in 8 bits are the
same numbers, and what was rounded to them in the graph still is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edgeticket.artifact.numbers import flushed
from edgeticket.graph.values import HALF_AND_SINGLE

Array = NDArray[Any]
NARROW = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def widened_node(node: onnx.NodeProto) -> onnx.NodeProto:
    """A copy of a node with its attributes in float64; subgraphs stay as they are."""
    wide = onnx.NodeProto()
    wide.CopyFrom(node)
    if wide.op_type == "ConstantOfShape" and not wide.attribute:
        zero = numpy_helper.from_array(np.zeros(1, np.float64))
        wide.attribute.append(onnx.helper.make_attribute("value", zero))
    if wide.op_type == "Constant":
        _widen_float_constant(wide)
    for attribute in tuple(wide.attribute):
        if attribute.name == "auto_pad" and attribute.s == b"VALID":
            wide.attribute.remove(attribute)  # the same as no padding; the reference pads it up to onnx 1.22
        if attribute.name in ("to", "dtype") and attribute.i in NARROW:
            attribute.i = TensorProto.DOUBLE
        if attribute.HasField("t"):
            _widen_tensor(attribute.t)
    return wide


def wide(array: Array) -> Array:
    """The same numbers in float64; what is no float stays as it is."""
    return array.astype(np.float64) if array.dtype in HALF_AND_SINGLE else array


def as_read(array: Array) -> Array:
    """An array in float64 as the runtime reads it (runtime.py): with zeros for denormal float32 and float64 numbers."""
    return wide(flushed(array, half=False))


def _widen_float_constant(node: onnx.NodeProto) -> None:
    """value_float and value_floats have no float64 form; a tensor has."""
    for attribute in node.attribute:
        if attribute.name not in ("value_float", "value_floats"):
            continue
        value = attribute.f if attribute.name == "value_float" else list(attribute.floats)
        tensor = numpy_helper.from_array(np.asarray(value, np.float64))
        attribute.CopyFrom(onnx.helper.make_attribute("value", tensor))


def _widen_tensor(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in NARROW:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
