"""Small networks for the tests of the passes: a builder, and two ways to compare what a rewrite did to the outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from proofs import check_stored_weights
from widened import widened

from edgeticket import runtime
from edgeticket.graph.proving.static.unchanged import HeldNumbers, hold_to_original
from edgeticket.graph.simplify import UNCHANGED, Simplified, simplify

Array = NDArray[Any]
OLD_ONNX = tuple(int(part) for part in onnx.__version__.split(".")[:2]) < (1, 23)
COPIES = hasattr(ir.Model, "clone")  # what the oldest onnx-ir that is allowed does not have


class Net:
    """Nodes one after the other; every method returns the name of a value. Weights are float32 unless asked."""

    def __init__(self, shape: tuple[int | str, ...] = ("n", 3, 6, 6), dtype: type = np.float32, seed: int = 0) -> None:
        self.dtype, self.rng = np.dtype(dtype), np.random.default_rng(seed)
        self.input_shape = shape
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, Array] = {}
        self.inputs: dict[str, tuple[int | str, ...]] = {"x": shape}

    def const(self, array: Any, name: str | None = None, *, kept: bool = False) -> str:
        """An initializer; floats take the network's type, but where it is `kept`."""
        array = np.asarray(array)
        if array.dtype.kind == "f" and not (kept and array.dtype == np.float32):
            array = array.astype(self.dtype)
        name = name or f"w{len(self.weights)}"
        self.weights[name] = array
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> str:
        """Any node; the name of its first output."""
        number = len(self.nodes)
        names = [f"v{number}" if index == 0 else f"v{number}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, f"n{number}", domain=domain, **attributes))
        return names[0]

    def conv(self, x: str, weight: Array, bias: Array | None = None, name: str | None = None, **attributes: Any) -> str:
        """Conv with a stored weight [M, C/g, k, k] and bias [M]."""
        tensors = [self.const(weight, name), *([] if bias is None else [self.const(bias)])]
        return self.op("Conv", x, *tensors, **attributes)

    def gemm(self, x: str, weight: Array, bias: Array | None = None, name: str | None = None, **attributes: Any) -> str:
        """Gemm with a stored weight [M, K] (transB)."""
        tensors = [self.const(weight, name), *([] if bias is None else [self.const(bias)])]
        return self.op("Gemm", x, *tensors, transB=1, **attributes)

    def batchnorm(self, x: str, channels: int, gamma: Array | None = None) -> str:
        """Batch normalisation with random statistics."""
        scale = self.rng.normal(size=channels) if gamma is None else gamma
        parts = [scale, self.normal(channels), self.normal(channels), self.rng.uniform(0.5, 2, channels)]
        return self.op("BatchNormalization", x, *[self.const(part) for part in parts])

    def normal(self, *shape: int) -> Array:
        """Random numbers."""
        return self.rng.normal(size=shape)

    def model(self, *outputs: str, opset: int = 18, extra: str | None = None) -> onnx.ModelProto:
        """The network with these outputs, their shapes left to inference."""
        kind = helper.np_dtype_to_tensor_dtype(self.dtype)
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in self.inputs.items()],
            [helper.make_tensor_value_info(name, kind, None) for name in outputs],
            [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
        )
        imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(extra, 1)] if extra else [])
        return helper.make_model(graph, opset_imports=imports, ir_version=10)


class ConvTranspose(OpRun):
    """Two spatial axes, with groups: onnx.reference cannot reshape the weight of a grouped one."""

    op_domain = ""

    def _run(self, x: Array, w: Array, b: Array | None = None, **attributes: Any) -> tuple[Array]:
        groups = attributes.get("group") or 1
        stride, pads = attributes.get("strides") or [1, 1], attributes.get("pads") or [0] * 4
        kernel, outputs = w.shape[2:], w.shape[1]
        size = [(x.shape[2 + axis] - 1) * stride[axis] + kernel[axis] for axis in range(2)]
        made = np.zeros((x.shape[0], groups, outputs, *size), x.dtype)
        image, weight = x.reshape(x.shape[0], groups, -1, *x.shape[2:]), w.reshape(groups, -1, *w.shape[1:])
        for i, j in np.ndindex(*x.shape[2:]):
            patch = np.einsum("ngc,gcmkl->ngmkl", image[..., i, j], weight)
            top, left = i * stride[0], j * stride[1]
            made[..., top : top + kernel[0], left : left + kernel[1]] += patch
        result = made.reshape(x.shape[0], -1, *size)
        result = result[..., pads[0] : size[0] - pads[2], pads[1] : size[1] - pads[3]]
        return (result if b is None else result + b[:, None, None],)


def run_reference(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    """The outputs in numpy."""
    evaluator = ReferenceEvaluator(model, new_ops=[ConvTranspose])
    return [np.asarray(output) for output in evaluator.run(None, inputs)]


def zero_rows(weight: Array, *rows: int) -> Array:
    """A copy whose rows (filters, units) are zero."""
    weight = np.array(weight)
    weight[list(rows)] = 0
    return weight


def feed(model: onnx.ModelProto, seed: int = 1, batch: int = 2) -> dict[str, Array]:
    """Random inputs of the model's type; symbolic dimensions become `batch`."""
    rng = np.random.default_rng(seed)
    made = {tensor.name for tensor in model.graph.initializer}
    arrays: dict[str, Array] = {}
    for entry in model.graph.input:
        if entry.name not in made:
            kind = entry.type.tensor_type
            shape = [dim.dim_value or batch for dim in kind.shape.dim]
            arrays[entry.name] = rng.normal(size=shape).astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return arrays


def same(model: onnx.ModelProto, tolerance: float = 1e-12) -> Simplified:
    """Simplify a float64 model and compare it in onnx.reference: nothing but the rounding of float64 may differ."""
    before = model.SerializeToString()
    result = simplify(model)
    assert UNCHANGED not in sentences(result)
    assert model.SerializeToString() == before, "simplify changed its argument"
    assert simplify(model).model.SerializeToString() == result.model.SerializeToString(), "not deterministic"
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(result.model))
    inputs = feed(model)
    expected, found = (run_reference(widened(which), inputs) for which in (model, result.model))
    for a, b in zip(expected, found, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=0, atol=tolerance * max(1.0, float(np.abs(a).max(initial=0))))
    check_stored_weights(result.model.SerializeToString(), result.layers)
    assert hold_to_original(model, result) == HeldNumbers()
    return result


def same_on_runtime(model: onnx.ModelProto, doubled: onnx.ModelProto) -> Simplified:
    """Simplify a float32 model and run both on ONNX Runtime. `doubled` is the same network in float64.

    The tolerance is the rounding error that the original itself shows against float64, times 8, and 64 steps of the
    largest output for what its samples did not show.
    """
    result = simplify(model)
    assert UNCHANGED not in sentences(result)
    assert hold_to_original(model, result) == HeldNumbers()
    inputs = feed(model)
    wide = {name: array.astype(np.float64) for name, array in inputs.items()}
    exact = run_reference(doubled, wide)
    before = runtime.run(runtime.cpu_session(model.SerializeToString()), inputs)
    after = runtime.run(runtime.cpu_session(result.model.SerializeToString()), inputs)
    for reference, (name, a) in zip(exact, before.items(), strict=True):
        error = float(np.abs(a - reference).max(initial=0))
        scale = float(np.abs(reference).max(initial=0))
        assert np.abs(after[name] - a).max(initial=0) <= 8 * error + 64 * np.finfo(np.float32).eps * max(1.0, scale)
    return result


def shapes(result: Simplified) -> dict[str, tuple[int, ...]]:
    """Layer name -> shape after."""
    return {layer.name: layer.shape_after for layer in result.layers}


def sentences(result: Simplified) -> str:
    """All notes as one text."""
    return "\n".join(note.sentence for note in result.notes)


def ops(result: Simplified) -> list[str]:
    """The operators left."""
    return [node.op_type for node in result.model.graph.node]
