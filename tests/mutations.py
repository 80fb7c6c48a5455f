"""Small models of several kinds, and seeded damage to them: what a broken exporter, tool or download may leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Change = Callable[[onnx.ModelProto, np.random.Generator], None]
X = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 6, 6])
ML = (helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3))


def _weight(rng: np.random.Generator, *shape: int) -> np.ndarray:
    array = rng.standard_normal(shape).astype(np.float32)
    array[rng.random(shape) < 0.7] = 0
    return array


def _model(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], outputs: list[onnx.ValueInfoProto]) -> bytes:
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", [X], outputs, tensors)
    return bytes(helper.make_model(graph, opset_imports=ML, ir_version=9).SerializeToString())


def convolutions() -> bytes:
    """Conv, batch-norm, a residual sum, pooling, shape arithmetic, Gemm."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c1", "s", "b", "m", "v"], ["n1"]),
        helper.make_node("Relu", ["n1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"]),
        helper.make_node("Add", ["c2", "r1"], ["a"]),
        helper.make_node("GlobalAveragePool", ["a"], ["p"]),
        helper.make_node("Shape", ["p"], ["sh"]),
        helper.make_node("Gather", ["sh", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "axes"], ["u"]),
        helper.make_node("Concat", ["u", "rest"], ["to"], axis=0),
        helper.make_node("Reshape", ["p", "to"], ["f"]),
        helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(_weight(rng, 3, 8), "")),
        helper.make_node("Gemm", ["f", "k"], ["y"], transB=1),
    ]
    weights = {"w1": _weight(rng, 8, 4, 3, 3), "b1": _weight(rng, 8), "w2": _weight(rng, 8, 8, 1, 1)}
    weights |= {name: np.ones(8, np.float32) for name in "sbmv"}
    weights |= {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])}
    return _model(nodes, weights, [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])])


def classifier() -> bytes:
    """Flatten, two layers, a class's name and a sequence of maps."""
    rng = np.random.default_rng(1)
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("MatMul", ["f", "w1"], ["m"]),
        helper.make_node("Add", ["m", "b1"], ["h"]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("MatMul", ["t", "w2"], ["l"]),
        helper.make_node("Softmax", ["l"], ["p"]),
        helper.make_node("ArgMax", ["p"], ["i"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder", ["i"], ["label"], domain="ai.onnx.ml", keys_int64s=[0, 1], values_strings=["no", "yes"]
        ),
        helper.make_node("ZipMap", ["p"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]),
    ]
    weights = {"w1": _weight(rng, 144, 9), "b1": _weight(rng, 9), "w2": _weight(rng, 9, 2)}
    kind = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.STRING, ["n"]),
        helper.make_value_info("z", helper.make_sequence_type_proto(kind)),
    ]
    return _model(nodes, weights, outputs)


def branches() -> bytes:
    """An If whose branches read outer values, one of them a weight of int8."""
    rng = np.random.default_rng(2)
    out = [helper.make_tensor_value_info("r", TensorProto.FLOAT, None)]
    then = helper.make_graph([helper.make_node("MatMul", ["f", "w"], ["r"])], "then", [], out)
    other = helper.make_graph(
        [
            helper.make_node("Cast", ["q"], ["c8"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["c8", "scale"], ["d"]),
            helper.make_node("MatMul", ["f", "d"], ["r"]),
        ],
        "else",
        [],
        out,
    )
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Greater", ["top", "limit"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other),
    ]
    weights = {"w": _weight(rng, 144, 5), "q": rng.integers(-3, 4, (144, 5)).astype(np.int8)}
    weights |= {"scale": np.array(0.1, np.float32), "limit": np.array(0.5, np.float32)}
    return _model(nodes, weights, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])


KINDS = {"convolutions": convolutions(), "classifier": classifier(), "branches": branches()}


def _node(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.NodeProto:
    return model.graph.node[int(rng.integers(len(model.graph.node)))]


def _tensor(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.TensorProto:
    return model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]


def _blank_an_input(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = _node(model, rng)
    if node.input:
        node.input[int(rng.integers(len(node.input)))] = ""


def _drop_inputs(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = _node(model, rng)
    del node.input[int(rng.integers(len(node.input) + 1)) :]


def _add_an_input(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    _node(model, rng).input.append(str(rng.choice(["x", "", "c1", "f"])))


def _read_something_else(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = _node(model, rng)
    names = ["x", *(tensor.name for tensor in model.graph.initializer), *(n.output[0] for n in model.graph.node)]
    if node.input:
        node.input[int(rng.integers(len(node.input)))] = names[int(rng.integers(len(names)))]


def _another_operator(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    names = ["Conv", "MatMul", "Flatten", "Reshape", "Concat", "Identity", "Split", "Gather", "Dropout", "Constant", ""]
    _node(model, rng).op_type = str(rng.choice(names))


def _another_domain(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    _node(model, rng).domain = str(rng.choice(["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "no.where"]))


def _no_attributes(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    del _node(model, rng).attribute[:]


def _empty_attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = _node(model, rng)
    node.attribute.add(name=str(rng.choice(["axis", "pads", "group", "value", "perm", "transB", "to"])))


def _strange_attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    names = ("axis", "group", "strides", "pads", "transB", "alpha", "value", "kernel_shape", "value_int")
    name = str(rng.choice(names))
    values: list[Any] = [-7, 10**12, [0], [-1, 5, 3], [1] * 9, 0.5, "no", [0.5]]
    node = _node(model, rng)
    kept = [each for each in node.attribute if each.name != name]
    changed = helper.make_attribute(name, values[int(rng.integers(len(values)))])
    del node.attribute[:]
    node.attribute.extend([*kept, changed])


def _strange_dims(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    entries = [*model.graph.input, *model.graph.output, *model.graph.value_info]
    kind = entries[int(rng.integers(len(entries)))].type.tensor_type
    kind.shape.ClearField("dim")
    for _ in range(int(rng.integers(0, 6))):
        number = int(rng.choice([-1, 0, 1, 3, 4, 10**9]))
        kind.shape.dim.add(dim_value=number)


def _strange_type(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    entries = [*model.graph.input, *model.graph.output]
    entry = entries[int(rng.integers(len(entries)))]
    if rng.random() < 0.3:
        entry.ClearField("type")
    else:
        entry.type.tensor_type.elem_type = int(rng.integers(0, 30))


def _reshape_a_tensor(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    tensor = _tensor(model, rng)
    size = int(np.prod(tensor.dims))
    shapes = [[size], [1, size], [size, 1, 1, 1], [1] * 6 + [size], [size, 0][: 1 + (size == 0)]]
    dims = shapes[int(rng.integers(len(shapes)))]
    del tensor.dims[:]
    tensor.dims.extend(dims)


def _retype_a_tensor(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    tensor = _tensor(model, rng)
    array = numpy_helper.to_array(tensor)
    kind = [np.float16, np.float64, np.int32, np.int64, np.bool_, np.complex64][int(rng.integers(6))]
    tensor.CopyFrom(numpy_helper.from_array(array.astype(kind), tensor.name))


def _drop_a_tensor(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    del model.graph.initializer[int(rng.integers(len(model.graph.initializer)))]


def _shuffle_nodes(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    nodes = [model.graph.node[int(index)] for index in rng.permutation(len(model.graph.node))]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _another_output(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    names = ["x", *(tensor.name for tensor in model.graph.initializer), *(n.output[0] for n in model.graph.node)]
    model.graph.output[0].name = names[int(rng.integers(len(names)))]


def _versions(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    model.opset_import[0].version = int(rng.choice([0, 1, 6, 7, 11, 13, 21, 99]))
    model.ir_version = int(rng.choice([1, 3, 4, 10, 13, 99]))


CHANGES: tuple[Change, ...] = (
    _blank_an_input, _drop_inputs, _add_an_input, _read_something_else, _another_operator, _another_domain,
    _no_attributes, _empty_attribute, _strange_attribute, _strange_dims, _strange_type, _reshape_a_tensor,
    _retype_a_tensor, _drop_a_tensor, _shuffle_nodes, _another_output, _versions,
)  # fmt: skip


def mutated(kind: str, seed: int) -> onnx.ModelProto:
    """The model of a kind with one to three changes that the seed decides."""
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    model = onnx.ModelProto.FromString(KINDS[kind])
    for _ in range(int(rng.integers(1, 4))):
        if model.graph.node and model.graph.initializer and model.graph.output:
            CHANGES[int(rng.integers(len(CHANGES)))](model, rng)
    return model
