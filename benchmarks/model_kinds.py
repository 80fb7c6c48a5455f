"""Models for docs/models.md by the shapes and the kinds of their inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from model_trial import Case
from model_types import SIZES, matrices, model, node, plain, pruned, value, weights
from onnx import TensorProto, helper

FIRST, LAST = SIZES[0], SIZES[-1]
MATRICES = dict(zip("abc", weights(), strict=True))
IN, OUT = [value("x", ("n", FIRST))], [value("y", ("n", LAST))]
GIVEN = {"input_shapes": {"x": (2, 3, 40, 24)}}


def shapes() -> Iterator[Case]:
    """The shapes that inputs may have, fixed, free, or not known at all."""
    yield Case("fixed batch of 1", ended((1, FIRST), (1, LAST)))
    yield Case("free batch", plain())
    yield Case("every axis free", ended(("n", "width"), ("n", "classes")))
    yield Case("free height and width", images("n", 3, "height", "width"))
    yield Case("the same, `--input-shape x=2x3x40x24`", images("n", 3, "height", "width"), options=GIVEN)
    yield Case("axes of size -1", negative())
    yield Case("unknown rank of the input", ended(None, ("n", LAST)))
    yield Case("unknown rank of the output", ended(("n", FIRST), None))
    yield Case("two inputs, each with its free batch", two_inputs("n", "m"))
    yield Case("two inputs of different length", two_inputs(1, "m"))
    yield Case("two inputs, their batch at different places", state())
    yield Case("a free length that a window of 1,024 reads", window())
    yield Case("a scalar input beside the data", scalar())
    yield Case("a batch of size 0", ended((0, FIRST), (0, LAST)))
    yield Case("no input at all", model(matrices(x="a0"), {**MATRICES, "a0": np.ones((1, FIRST), np.float32)}, [], OUT))


def ended(given: tuple[int | str, ...] | None, made: tuple[int | str, ...] | None) -> onnx.ModelProto:
    """The matrix network whose input and output are declared so."""
    return model(matrices(), MATRICES, [value("x", given)], [value("y", made)])


def images(*shape: int | str) -> onnx.ModelProto:
    """Two convolutions and the mean over what is left of the image."""
    rng = np.random.default_rng(0)
    constants = {"a": pruned(rng, 32, 3, 3, 3), "b": pruned(rng, 64, 32, 3, 3), "c": pruned(rng, 64, LAST)}
    nodes = [
        node("Conv", ["x", "a"], ["h"], pads=[1] * 4),
        node("Relu", ["h"], ["i"]),
        node("Conv", ["i", "b"], ["j"], pads=[1] * 4, strides=[2, 2]),
        node("GlobalAveragePool", ["j"], ["k"]),
        node("Flatten", ["k"], ["l"]),
        node("MatMul", ["l", "c"], ["y"]),
    ]
    return model(nodes, constants, [value("x", shape)], OUT)


def negative() -> onnx.ModelProto:
    """Free axes as some exporters write them."""
    made = plain()
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    return made


def two_inputs(first: int | str, second: int | str) -> onnx.ModelProto:
    """The sum of two inputs through the network."""
    ends = [value("x1", (first, FIRST)), value("x2", (second, FIRST))], [value("y", ("rows", LAST))]
    return model([node("Add", ["x1", "x2"], ["x"]), *matrices()], MATRICES, *ends)


def state() -> onnx.ModelProto:
    """Rows, and a state whose batch is its second axis, as recurrent networks have it."""
    half = FIRST // 2
    nodes = [node("Squeeze", ["h0", "first"], ["h1"]), node("Concat", ["x0", "h1"], ["x"], axis=1), *matrices()]
    inputs = [value("x0", ("batch", half)), value("h0", (1, "batch", half))]
    return model(nodes, {"first": np.array([0]), **MATRICES}, inputs, [value("y", ("batch", LAST))])


def window() -> onnx.ModelProto:
    """Sound, read through windows of 1,024 samples that advance by 512."""
    nodes = [
        node("Unsqueeze", ["x0", "axis"], ["x1"]),
        node("Conv", ["x1", "windows"], ["x2"], strides=[512]),
        node("ReduceMean", ["x2"], ["x"], axes=[2], keepdims=0),
        *matrices(),
    ]
    windows = pruned(np.random.default_rng(1), FIRST, 1, 1024)
    return model(nodes, {"axis": np.array([1]), "windows": windows, **MATRICES}, [value("x0", ("n", "samples"))], OUT)


def scalar() -> onnx.ModelProto:
    """A number that scales the data."""
    return model(
        [node("Mul", ["x0", "gain"], ["x"]), *matrices()], MATRICES, [value("x0", ("n", FIRST)), value("gain", ())], OUT
    )


def kinds() -> Iterator[Case]:
    """What inputs and outputs may be beside float32 tensors."""
    yield Case("int64 input that reads a table", embedding(TensorProto.INT64))
    yield Case("boolean mask as input", masked())
    yield Case("uint8 image as input", bytes_in())
    yield Case("strings as input (LabelEncoder)", strings())
    yield Case("strings as input (OneHotEncoder)", categories())
    yield Case(
        "class numbers as output (ArgMax)",
        model(
            [*matrices(y="s"), node("ArgMax", ["s"], ["y"], axis=1, keepdims=0)],
            MATRICES,
            IN,
            [value("y", ("n",), TensorProto.INT64)],
        ),
    )
    yield Case("strings as output (LabelEncoder)", labels())
    yield Case("sequence of maps as output (ZipMap)", maps())
    yield Case("sequence of tensors as output", sequence(optional=False))
    yield Case("optional tensor as output", sequence(optional=True))
    yield Case("a weight that is an output too", model(matrices(), MATRICES, IN, [*OUT, value("a", (FIRST, SIZES[1]))]))
    yield Case("an input that is an output", model(matrices(), MATRICES, IN, [*OUT, value("x", ("n", FIRST))]))


def embedding(kind: int) -> onnx.ModelProto:
    """Rows of a table through the network."""
    table = pruned(np.random.default_rng(1), 500, FIRST)
    return model(
        [node("Gather", ["table", "rows"], ["x"]), *matrices()],
        {"table": table, **MATRICES},
        [value("rows", ("n",), kind)],
        OUT,
    )


def masked() -> onnx.ModelProto:
    """Rows that a mask leaves out become 0."""
    nodes = [node("Where", ["mask", "x0", "zero"], ["x"]), *matrices()]
    return model(
        nodes,
        {"zero": np.float32(0), **MATRICES},
        [value("x0", ("n", FIRST)), value("mask", ("n", 1), TensorProto.BOOL)],
        OUT,
    )


def bytes_in() -> onnx.ModelProto:
    """Bytes that are cast and scaled."""
    nodes = [node("Cast", ["x0"], ["x1"], to=TensorProto.FLOAT), node("Div", ["x1", "top"], ["x"]), *matrices()]
    return model(nodes, {"top": np.float32(255), **MATRICES}, [value("x0", ("n", FIRST), TensorProto.UINT8)], OUT)


def strings() -> onnx.ModelProto:
    """Words that are looked up, and rows of a table read by their numbers."""
    table = pruned(np.random.default_rng(1), 500, FIRST)
    encoder = node(
        "LabelEncoder",
        ["words"],
        ["rows"],
        domain="ai.onnx.ml",
        keys_strings=["red", "green"],
        values_int64s=[1, 2],
        default_int64=0,
    )
    return model(
        [encoder, node("Gather", ["table", "rows"], ["x"]), *matrices()],
        {"table": table, **MATRICES},
        [value("words", ("n",), TensorProto.STRING)],
        OUT,
    )


def categories() -> onnx.ModelProto:
    """Three categories in a column that scikit-learn's ColumnTransformer picks: any other word is an error."""
    encoder = node(
        "OneHotEncoder", ["column"], ["wide"], domain="ai.onnx.ml", cats_strings=["red", "green", "blue"], zeros=0
    )
    nodes = [
        node("Gather", ["words", "first"], ["column"], axis=1),
        encoder,
        node("Reshape", ["wide", "shape"], ["codes"]),
        node("Concat", ["codes", "numbers"], ["x"], axis=1),
        *matrices(),
    ]
    constants = {"first": np.array([0]), "shape": np.array([-1, 3]), **MATRICES}
    inputs = [value("words", ("n", 1), TensorProto.STRING), value("numbers", ("n", FIRST - 3))]
    return model(nodes, constants, inputs, OUT)


def labels() -> onnx.ModelProto:
    """The name of the likeliest class."""
    encoder = node(
        "LabelEncoder",
        ["number"],
        ["y"],
        domain="ai.onnx.ml",
        keys_int64s=[0, 1],
        values_strings=["red", "green"],
        default_string="other",
    )
    return model(
        [*matrices(y="s"), node("ArgMax", ["s"], ["number"], axis=1, keepdims=0), encoder],
        MATRICES,
        IN,
        [value("y", ("n",), TensorProto.STRING)],
    )


def maps() -> onnx.ModelProto:
    """A map from class to probability for each row, as scikit-learn's converters end."""
    nodes = [
        *matrices(y="s"),
        node("Softmax", ["s"], ["p"], axis=1),
        node("ZipMap", ["p"], ["y"], domain="ai.onnx.ml", classlabels_int64s=list(range(LAST))),
    ]
    kind = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    return model(nodes, MATRICES, IN, [helper.make_value_info("y", helper.make_sequence_type_proto(kind))])


def sequence(*, optional: bool) -> onnx.ModelProto:
    """The rows of the result as a sequence, or the result as an optional tensor."""
    last = node("Optional", ["s"], ["y"]) if optional else node("SplitToSequence", ["s"], ["y"], axis=0)
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    kind = helper.make_optional_type_proto(tensor) if optional else helper.make_sequence_type_proto(tensor)
    return model([*matrices(y="s"), last], MATRICES, IN, [helper.make_value_info("y", kind)])
