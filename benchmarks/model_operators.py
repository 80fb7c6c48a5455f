"""Models for docs/models.md with dead channels before an operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from model_codes import CODES
from model_draft import CHANNELS, Draft
from model_trial import Case
from model_types import node
from onnx import TensorProto

Build = Callable[[Draft], str]
PLAIN = (
    "Abs", "Acosh", "Asinh", "Atan", "Ceil", "Celu", "Cos", "Cosh", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu",
    "HardSigmoid", "HardSwish", "Hardmax", "Identity", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization",
    "MeanVarianceNormalization", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign",
    "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu",
)  # fmt: skip
WITHIN_ONE = ("Acos", "Asin", "Atanh")  # what they take lies between -1 and 1
COMPARED = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
BOOLEAN = ("And", "Or", "Xor")
TWO = ("Add", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum")
MAPS = ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
WINDOWS = ("AveragePool", "MaxPool", "LpPool")
REDUCED = (
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
)  # fmt: skip


def followed() -> Iterator[Case]:
    """A model for each operator through which dead channels may be looked for."""
    for kind in PLAIN:
        yield built(kind, lambda d, kind=kind: d.read(d.op(kind, d.h)))
    for kind in WITHIN_ONE:
        yield built(kind, lambda d, kind=kind: d.read(d.op(kind, d.op("Sigmoid", d.h))))
    for kind in COMPARED:
        yield built(kind, lambda d, kind=kind: d.read(chosen(d, d.op(kind, d.h, d.const(1.4)))))
    for kind in BOOLEAN:
        yield built(kind, lambda d, kind=kind: d.read(chosen(d, d.op(kind, *bounds(d)))))
    for kind in TWO:
        yield built(kind, lambda d, kind=kind: d.read(d.op(kind, d.h, d.const(1 + d.rng.random((1, CHANNELS, 1, 1))))))
    for kind in MAPS:
        yield built(kind, lambda d, kind=kind: d.read(d.op(kind, d.h)))
    for kind in WINDOWS:
        yield built(kind, lambda d, kind=kind: d.read(d.op(kind, d.h, kernel_shape=[2, 2], strides=[2, 2])))
    for kind in REDUCED:
        yield built(kind, lambda d, kind=kind: d.read(reduced(d, kind)))
    for name, (rank, build) in (OTHERS | CODES).items():
        yield built(name, build, rank)


def built(name: str, build: Build, rank: int = 4) -> Case:
    """The case of one operator."""
    draft = Draft(rank)
    return draft.case(name, build(draft))


def chosen(d: Draft, mask: str) -> str:
    """The maps where the mask is true, else 0."""
    return str(d.op("Where", mask, d.h, d.const(0.0)))


def bounds(d: Draft) -> tuple[str, str]:
    """Two masks."""
    return d.op("Greater", d.h, d.const(1.0)), d.op("Less", d.h, d.const(1.6))


def reduced(d: Draft, kind: str) -> str:
    """Over the image; the axes became an input."""
    return str(d.op(kind, d.h, d.const(np.array([2, 3])), keepdims=1))


def batchnorm(d: Draft) -> str:
    parts = [1 + d.rng.random(CHANNELS), d.near(CHANNELS), d.near(CHANNELS), 1 + d.rng.random(CHANNELS)]
    return d.read(d.op("BatchNormalization", d.op("Relu", d.h), *[d.const(part) for part in parts]))


def split(d: Draft) -> str:
    first, second = d.op("Split", d.h, d.const(np.array([3, 3])), outputs=2, axis=1)
    return d.op("Concat", d.read(first, 3), d.read(second, 3), axis=1)


def slices(d: Draft) -> str:
    first, second = (d.op("Slice", d.h, *[d.const(np.array([n])) for n in (start, start + 3, 1)]) for start in (0, 3))
    return str(d.op("Concat", d.read(first, 3), d.read(second, 3), axis=1))


def nhwc_flatten(d: Draft) -> str:
    turned = d.op("Transpose", d.op("Relu", d.h), perm=[0, 2, 3, 1])
    return d.flat(d.op("Flatten", turned), 8 * 8 * CHANNELS)


def reshape(d: Draft) -> str:
    shape = d.op("Shape", d.h)
    rows = d.op("Gather", shape, d.const(np.array([0])))
    return d.flat(d.op("Reshape", d.h, d.op("Concat", rows, d.const(np.array([-1])), axis=0)), 8 * 8 * CHANNELS)


def depthwise(d: Draft) -> str:
    return d.read(d.op("Conv", d.h, d.const(d.near(CHANNELS, 1, 1, 1)), group=CHANNELS))


def grouped_conv(d: Draft) -> str:
    return d.read(d.op("Conv", d.h, d.const(d.near(CHANNELS, 3, 1, 1)), group=2))


def transposed(d: Draft) -> str:
    return d.read(d.op("ConvTranspose", d.zero(), d.const(d.near(CHANNELS, 4, 2, 2)), strides=[2, 2]), 4)


def normalised(kind: str) -> Build:
    """Normalisation over what the channels are at inference."""

    def build(d: Draft) -> str:
        groups = {"num_groups": CHANNELS} if kind == "GroupNormalization" else {}
        count = groups.get("num_groups", CHANNELS)
        return d.read(d.op(kind, d.h, d.const(1 + d.rng.random(count)), d.const(d.near(count)), **groups))

    return build


def attention(d: Draft) -> str:
    """The dead channels are a query's and a key's: what they add to the scores is 0."""
    keys = d.op("MatMul", "x", d.const(d.near(3, CHANNELS)))
    scores = d.op("MatMul", d.zero(), d.op("Transpose", keys, perm=[0, 2, 1]))
    values = d.op("MatMul", "x", d.const(d.near(3, 4)))
    return str(d.op("MatMul", d.op("Softmax", scores, axis=-1), values))


def foreign(d: Draft) -> str:
    """The input comes through an operator of another domain, behind which shape inference knows no ranks."""
    d.nodes[0].input[0] = "scaled"
    d.nodes.insert(0, node("Scaler", ["x"], ["scaled"], domain="ai.onnx.ml", offset=[0.5] * 3, scale=[2.0] * 3))
    return d.read(d.op("Relu", d.h))


def recurrent(kind: str, gates: int) -> Build:
    """A recurrent layer that reads the channels as its inputs."""

    def build(d: Draft) -> str:
        weight, state = d.const(d.near(1, 4 * gates, CHANNELS)), d.const(d.near(1, 4 * gates, 4))
        return str(d.op(kind, d.h, weight, state, hidden_size=4))

    return build


ROI = np.array([[0.0, 0, 6, 6]])  # a box of the maps


def padded(d: Draft, h: str = "", mode: str = "constant", filling: float | None = None, amount: int = 1) -> str:
    """The image with a border of `amount`; of the first layer where `h` names no other maps."""
    amounts = d.const(amount * np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    more = [] if filling is None else [d.const(filling)]
    return d.read(d.op("Pad", h or d.h, amounts, *more, mode=mode))


OTHERS: dict[str, tuple[int, Build]] = {
    "Cast": (4, lambda d: d.read(d.op("Cast", d.op("Cast", d.h, to=TensorProto.DOUBLE), to=TensorProto.FLOAT))),
    "Clip": (4, lambda d: d.read(d.op("Clip", d.h, d.const(0.0), d.const(6.0)))),
    "PRelu": (4, lambda d: d.read(d.op("PRelu", d.h, d.const(d.rng.random((CHANNELS, 1, 1)))))),
    "Pow": (4, lambda d: d.read(d.op("Pow", d.h, d.const(2.0)))),
    "Where": (4, lambda d: d.read(chosen(d, d.op("Greater", d.h, d.const(1.0))))),
    "Not": (4, lambda d: d.read(chosen(d, d.op("Not", d.op("Greater", d.h, d.const(1.6)))))),
    "IsNaN": (4, lambda d: d.read(chosen(d, d.op("Not", d.op("IsNaN", d.h))))),
    "IsInf": (4, lambda d: d.read(chosen(d, d.op("Not", d.op("IsInf", d.h))))),
    "BatchNormalization": (4, batchnorm),
    "InstanceNormalization": (4, normalised("InstanceNormalization")),
    "GroupNormalization": (4, normalised("GroupNormalization")),
    "LayerNormalization": (3, normalised("LayerNormalization")),
    "RMSNormalization": (3, lambda d: d.read(d.op("RMSNormalization", d.h, d.const(1 + d.rng.random(CHANNELS))))),
    "LRN": (4, lambda d: d.read(d.op("LRN", d.h, size=3))),
    "Conv": (4, lambda d: d.read(d.h)),
    "Conv (depthwise)": (4, depthwise),
    "Conv (2 groups)": (4, grouped_conv),
    "ConvTranspose": (4, transposed),
    "Gemm": (2, lambda d: d.flat(d.op("Relu", d.h), CHANNELS)),
    "MatMul (2 axes)": (2, lambda d: d.read(d.h)),
    "MatMul (behind another domain's operator)": (2, foreign),
    "MatMul (3 axes)": (3, lambda d: d.read(d.h)),
    "MatMul (attention)": (3, attention),
    "Concat": (4, lambda d: d.read(d.op("Concat", d.h, "x", axis=1), CHANNELS + 3)),
    "Split": (4, split),
    "Slice": (4, slices),
    "Gather": (4, lambda d: d.read(d.op("Gather", d.h, d.const(np.arange(CHANNELS)[::-1].copy()), axis=1))),
    "Conv (with zeros beyond the border)": (
        4,
        lambda d: d.op("Conv", d.h, d.const(d.rng.standard_normal((2, CHANNELS, 3, 3))), pads=[1] * 4),
    ),
    "Pad (reflect)": (4, lambda d: padded(d, mode="reflect")),
    "Pad (edge)": (4, lambda d: padded(d, mode="edge")),
    "Pad (wrap)": (4, lambda d: padded(d, mode="wrap")),
    "Pad (with 1.5)": (4, lambda d: padded(d, filling=1.5)),
    "Pad (with 0)": (4, padded),
    "Pad (with 0, channels at 0)": (4, lambda d: padded(d, d.zero())),
    "Pad (by less than nothing)": (4, lambda d: padded(d, amount=-1)),
    "Pad (of channels)": (
        4,
        lambda d: d.read(d.op("Pad", d.h, d.const(np.array([0, 1, 0, 0, 0, 1, 0, 0]))), CHANNELS + 2),
    ),
    "Resize": (4, lambda d: d.read(d.op("Resize", d.h, "", d.const(np.array([1.0, 1, 2, 2])), mode="nearest"))),
    "Upsample": (4, lambda d: d.read(d.op("Upsample", d.h, d.const(np.array([1.0, 1, 2, 2]))))),
    "GridSample": (4, lambda d: d.read(d.op("GridSample", d.zero(), d.const(d.near(2, 4, 4, 2))))),
    "RoiAlign": (
        4,
        lambda d: d.read(
            d.op("RoiAlign", d.zero(), d.const(ROI), d.const(np.array([0])), output_height=2, output_width=2)
        ),
    ),
    "MaxRoiPool": (
        4,
        lambda d: d.read(d.op("MaxRoiPool", d.zero(), d.const(np.hstack([[[0.0]], ROI])), pooled_shape=[2, 2])),
    ),
    "SpaceToDepth": (4, lambda d: d.read(d.op("SpaceToDepth", d.h, blocksize=2), 4 * CHANNELS)),
    "DepthToSpace": (
        4,
        lambda d: d.read(d.op("DepthToSpace", d.op("Concat", d.h, d.h, axis=1), blocksize=2), CHANNELS // 2),
    ),
    "Expand": (4, lambda d: d.read(d.op("Expand", d.op("GlobalAveragePool", d.h), d.const(np.array([1, 1, 2, 2]))))),
    "Flatten": (4, lambda d: d.flat(d.op("Flatten", d.h), 8 * 8 * CHANNELS)),
    "Transpose, then Flatten": (4, nhwc_flatten),
    "Reshape": (4, reshape),
    "Shape": (4, reshape),
    "Squeeze": (
        4,
        lambda d: d.flat(d.op("Squeeze", d.op("GlobalAveragePool", d.h), d.const(np.array([2, 3]))), CHANNELS),
    ),
    "Unsqueeze": (2, lambda d: d.read(d.op("Unsqueeze", d.h, d.const(np.array([1]))))),
    "Transpose": (3, lambda d: d.read(d.op("Transpose", d.op("Transpose", d.h, perm=[0, 2, 1]), perm=[0, 2, 1]))),
    "Softmax": (3, lambda d: d.read(d.op("Softmax", d.h, axis=-1))),
    "Softmax (over another axis)": (3, lambda d: d.read(d.op("Softmax", d.h, axis=1))),
    "LSTM": (3, recurrent("LSTM", 4)),
    "GRU": (3, recurrent("GRU", 3)),
    "RNN": (3, recurrent("RNN", 1)),
}
