"""Random networks over every operator that channels are followed through, with dead ones: the same function is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from nets import OLD_ONNX, Array, same
from test_random_nets import Here, RandomNet

MAP_STEPS = (
    "conv", "pointwise", "relu", "add-constant", "residual", "concat", "batchnorm", "depthwise", "resize", "pad",
    "pad-channels", "split", "split-again", "slice", "crop", "gather", "side-by-side", "transposed", "grouped",
    "grouped-transposed", "shuffle", "depth-to-space", "space-to-depth", "instance", "group-norm", "softmax", "where",
    "expand", "shared", "channel-sum", "tokens", "attention", "mixer", "as-rows", "norm", "sigmoid", "dead-residual",
    "decide", "masks", "pool-of-squares",
)  # fmt: skip
ENDS = ("flatten", "last", "tokens", "sequence", "mean")
OPSETS = (11, 12, 13, 15, 17, 18, 20, 21, 22)


class WideNet(RandomNet):
    """Every operator, written as an opset has it."""

    def __init__(self, seed: int, opset: int) -> None:
        super().__init__(seed, np.float64)
        self.opset = opset

    def ints(self, *numbers: int) -> str:
        """A constant vector."""
        return self.net.const(np.array(numbers, np.int64))

    def reduced(self, kind: str, value: str, axes: list[int], keepdims: int) -> str:
        """A reduction: axes are an input since opset 18, in sums since 13."""
        if self.opset >= (13 if kind == "ReduceSum" else 18):
            return self.net.op(kind, value, self.ints(*axes), keepdims=keepdims)
        return self.net.op(kind, value, axes=axes, keepdims=keepdims)

    def cut(self, value: str, axis: int, start: int, end: int, step: int = 1) -> str:
        """A Slice of one axis."""
        return self.net.op("Slice", value, self.ints(start), self.ints(end), self.ints(axis), self.ints(step))

    def parts(self, value: str, axis: int, sizes: list[int]) -> list[str]:
        """A Split."""
        if self.opset < 13:
            first = self.net.op("Split", value, outputs=len(sizes), axis=axis, split=sizes)
        else:
            first = self.net.op("Split", value, self.ints(*sizes), outputs=len(sizes), axis=axis)
        return [first, *[f"{first}_{index}" for index in range(1, len(sizes))]]

    def some(self, kinds: list[int]) -> int:
        """One of these numbers."""
        return int(self.rng.choice(kinds))

    def wide_step(self, kind: str, here: Here) -> Here:
        """One more operator, or a small group."""
        net, op, rng, count, size = self.net, self.net.op, self.rng, here.channels, here.size
        if kind == "resize":
            mode = str(rng.choice(["nearest", "linear", "cubic"]))
            scales = net.const(np.array([1, 1, 2, 1.5], np.float32), kept=True)
            # What nobody reads here; the reference of an old onnx takes no empty one.
            roi = net.const(np.zeros(8 if OLD_ONNX else 0, np.float32), kept=True)
            name = op(
                "Resize", here.name, roi, scales, mode=mode, exclude_outside=int(mode == "cubic" and rng.random() < 0.5)
            )
            return replace(here, name=self.cut(self.cut(name, 2, 1, size + 1), 3, 0, size))
        if kind == "pad":
            mode = str(rng.choice(["constant", "edge", "reflect"])) if size > 1 else "constant"
            inputs = [self.ints(0, 0, 1, 0, 0, 0, 1, 0)]
            if mode == "constant" and rng.random() < 0.5:
                inputs.append(net.const(np.array(self.some([0, 1, 2]) / 2)))
            return replace(here, name=self.cut(op("Pad", here.name, *inputs, mode=mode), 2, 0, size))
        if kind == "pad-channels":
            before, after = self.some([0, 1]), self.some([0, 2])
            filling = net.const(np.array(self.some([0, 3]) / 2))
            return replace(here, name=op("Pad", here.name, self.ints(0, before, 0, 0, 0, after, 0, 0), filling),
                           channels=count + before + after)  # fmt: skip
        if kind in ("split", "split-again"):
            if count < 2:
                return here
            first = self.some([*range(1, count)])
            left, right = self.parts(here.name, 1, [first, count - first])
            if kind == "split":
                kept = self.conv(Here(left, first, size), 3)
                return Here(op("Concat", right, kept.name, axis=1), count - first + kept.channels, size)
            return Here(right, count - first, size)
        if kind == "slice":
            start, end, step = self.some([0, 1]), self.some([count, 2**40, max(2, count - 1)]), self.some([1, 1, 2])
            left = len(range(count)[start:end:step])
            if not left:
                return here
            return Here(self.cut(here.name, 1, start, end, step), left, size)
        if kind == "crop":
            return (
                here
                if size < 3
                else replace(here, name=self.cut(self.cut(here.name, 2, 0, -1), 3, 1, size), size=size - 1)
            )
        if kind == "gather":
            places = rng.integers(-count, count, self.some([1, 2, count, count + 1]))
            return Here(op("Gather", here.name, self.ints(*places.tolist()), axis=1), len(places), size)
        if kind == "side-by-side":
            other = self.conv(here, 1, outputs=count)
            name = op("Concat", here.name, other.name, axis=2)
            return replace(here, name=self.cut(name, 2, size // 2, size // 2 + size))
        return self._layer(kind, here)

    def _layer(self, kind: str, here: Here) -> Here:
        net, op, rng, count, size = self.net, self.net.op, self.rng, here.channels, here.size
        if kind in ("transposed", "grouped-transposed", "grouped"):
            groups = 1 if kind == "transposed" else next((g for g in (2, 3, 5) if count % g == 0), 1)
            made = groups * self.some([1, 2, 3])
            rows = made if kind == "grouped" else count
            weight = self.weight(rows, (count if kind == "grouped" else made) // groups, 3, 3)
            bias = self.bias(made)
            inputs = [net.const(weight), *([] if bias is None else [net.const(bias)])]
            name = op("Conv" if kind == "grouped" else "ConvTranspose", here.name, *inputs, group=groups, pads=[1] * 4)
            return Here(name, made, size)
        if kind == "shuffle":
            groups = next((g for g in (2, 3, 5) if count % g == 0), 1)
            name = op("Reshape", here.name, self.ints(0, groups, count // groups, size, size))
            name = op("Transpose", name, perm=[0, 2, 1, 3, 4])
            return replace(here, name=op("Reshape", name, self.ints(0, count, size, -1)))
        if kind == "depth-to-space":
            wide = self.conv(here, 1, outputs=4 * self.some([1, 2]))
            mode = str(rng.choice(["DCR", "CRD"]))
            name = op("DepthToSpace", wide.name, blocksize=2, mode=mode)
            return Here(self.cut(self.cut(name, 2, 0, size), 3, 0, size), wide.channels // 4, size)
        if kind == "space-to-depth":
            return here if size % 2 else Here(op("SpaceToDepth", here.name, blocksize=2), 4 * count, size // 2)
        if kind == "instance":
            scale = net.normal(count) * (rng.random(count) < 0.7)
            return replace(
                here, name=op("InstanceNormalization", here.name, net.const(scale), net.const(net.normal(count)))
            )
        if kind == "group-norm":
            groups = next((g for g in (2, 3) if count % g == 0), 1)
            name = op("Reshape", here.name, self.ints(0, groups, -1))
            name = op("InstanceNormalization", name, net.const(np.ones(groups)), net.const(np.zeros(groups)))
            name = op("Reshape", name, self.ints(0, count, size, size))
            return replace(here, name=op("Mul", name, net.const(net.normal(count, 1, 1))))
        if kind == "softmax":
            axis = 3 if self.opset < 13 else self.some([2, 3, -1])
            return replace(here, name=op("Softmax", here.name, axis=axis))
        if kind == "where":
            other = self.conv(here, 1, outputs=count)
            return replace(here, name=op("Where", op("Greater", here.name, other.name), other.name, here.name))
        if kind == "expand":
            mean = self.reduced("ReduceMean", here.name, [2, 3], 1)
            return replace(here, name=op("Expand", mean, self.ints(1, count if rng.random() < 0.5 else 1, size, size)))
        if kind == "shared":
            weight, bias = net.const(self.weight(self.some([2, 4]), count, 3, 3)), self.bias(4)
            made = net.weights[weight].shape[0]
            inputs = [weight] if bias is None else [weight, net.const(bias[:made])]
            both = [op("Conv", value, *inputs, pads=[1] * 4) for value in (here.name, op("Sigmoid", here.name))]
            return Here(op(str(rng.choice(["Add", "Max"])), *both), made, size)
        if kind == "channel-sum":
            total = self.reduced(str(rng.choice(["ReduceSum", "ReduceL2"])), here.name, [1], 1)
            return replace(here, name=op("Mul", here.name, op("Sigmoid", total)))
        if kind == "norm":
            kinds = ["L1", "L2", "Max", "Sum", "SumSquare", "LogSumExp"]
            norm = self.reduced(f"Reduce{rng.choice(kinds)}", here.name, [2, 3], 1)
            return replace(here, name=op("Sub", here.name, norm))
        if kind == "decide":
            above = op(str(rng.choice(["Greater", "Less"])), here.name, net.const(np.array(self.some([0, 1]) / 2)))
            return replace(here, name=op("Where", above, here.name, op("Mul", here.name, net.const(np.array(0.1)))))
        if kind == "masks":
            bounds = [
                op("Greater", here.name, net.const(np.array(-0.25))),
                op("Less", here.name, net.const(np.array(1.5))),
            ]
            mask = op("Not", op(str(rng.choice(["And", "Or", "Xor"])), *bounds))
            return replace(here, name=op("Sub", here.name, op("Cast", mask, to=onnx.TensorProto.DOUBLE)))
        if kind == "pool-of-squares":
            pads = [1, 1, 0, 0] if rng.random() < 0.5 else [0] * 4
            name = op("LpPool", here.name, kernel_shape=[2, 2], pads=pads, p=self.some([1, 2]))
            return replace(here, name=name, size=size - (not any(pads))) if size > 1 else here
        return self._matrices(kind, here)

    def _matrices(self, kind: str, here: Here) -> Here:
        net, op, count, size = self.net, self.net.op, here.channels, here.size
        if kind == "tokens":
            name = op("Transpose", op("Reshape", here.name, self.ints(0, count, size * size)), perm=[0, 2, 1])
            made = self.some([2, 5])
            name = op("MatMul", name, net.const(self.weight(made, count).T))
            name = op("Add", name, net.const(net.normal(made)))
            name = op("Transpose", op("Tanh", name), perm=[0, 2, 1])
            return Here(op("Reshape", name, self.ints(0, 0, size, size)), made, size)
        if kind == "mixer":
            name = op("Reshape", here.name, self.ints(0, count, size * size))
            weight = self.weight(size * size, size * size)
            left = self.rng.random() < 0.3
            name = (
                op("MatMul", net.const(self.weight(count, count)), name)
                if left
                else op("MatMul", name, net.const(weight))
            )
            return replace(here, name=op("Reshape", name, self.ints(-1, count, size, size)))
        if kind == "attention":
            heads = self.some([1, 2, 3])
            width = 2 * heads
            rows = op("Transpose", op("Reshape", here.name, self.ints(0, count, size * size)), perm=[0, 2, 1])

            def part(perm: list[int]) -> str:
                value = op("MatMul", rows, net.const(self.weight(width, count).T))
                bias = net.normal(width) * (self.rng.random(width) < 0.5)
                split = op("Reshape", op("Add", value, net.const(bias)), self.ints(0, 0, heads, 2))
                return op("Transpose", split, perm=perm)

            scores = op("MatMul", part([0, 2, 1, 3]), part([0, 2, 3, 1]))
            if self.rng.random() < 0.7:
                scores = op("Softmax", scores, axis=3)
            mixed = op("Transpose", op("MatMul", scores, part([0, 2, 1, 3])), perm=[0, 2, 1, 3])
            joined = op("Transpose", op("Reshape", mixed, self.ints(0, 0, width)), perm=[0, 2, 1])
            return Here(op("Reshape", joined, self.ints(0, width, size, size)), width, size)
        if kind == "as-rows":
            whole = count * size * size
            rows = net.gemm(op("Flatten", here.name), self.weight(8, whole), self.bias(8))
            return Here(op("Reshape", op("Relu", rows), self.ints(-1, 2, 2, 2)), 2, 2)
        if kind == "batchnorm" and self.opset < 14:
            kind = "scale"  # onnx.reference mixes the batch's own statistics in
        return self.step(kind, here)

    def end(self, kind: str, here: Here) -> str:
        """The output."""
        net, op, count, size = self.net, self.net.op, here.channels, here.size
        last = op("Transpose", here.name, perm=[0, 2, 3, 1])
        if kind == "flatten":
            return net.gemm(op("Flatten", here.name), self.weight(3, count * size * size), self.bias(3))
        if kind == "last":
            whole = op("Flatten", last) if self.rng.random() < 0.5 else op("Reshape", last, self.ints(0, -1))
            return net.gemm(whole, self.weight(3, count * size * size), self.bias(3))
        if kind == "tokens":
            rows = op("Reshape", last, self.ints(0, size * size, count))
            return op("MatMul", op("Gather", rows, net.const(np.array(0)), axis=1), net.const(self.weight(3, count).T))
        if kind == "mean":
            return net.gemm(self.reduced("ReduceMean", here.name, [2, 3], 0), self.weight(3, count), self.bias(3))
        rows = op("Transpose", op("Reshape", here.name, self.ints(0, count, -1)), perm=[2, 0, 1])
        parts: list[Array] = [self.weight(12, count)[None], net.normal(1, 12, 3)]
        if self.rng.random() < 0.5:
            parts.append(net.normal(1, 24))
        return op("LSTM", rows, *[net.const(part) for part in parts], hidden_size=3)


def build(seed: int, opset: int, steps: list[str], end: str, second: bool) -> onnx.ModelProto:
    """The network of these steps; with `second`, an inner value is an output too."""
    random = WideNet(seed, opset)
    here = random.conv(Here("x", 3, 6), 3, outputs=random.some([2, 4, 6]))
    inner = here
    for number, kind in enumerate(steps):
        here = random.wide_step(kind, here)
        inner = here if number == len(steps) // 2 else inner
    output = random.end(end, here)
    return random.net.model(output, *([inner.name] if second else []), opset=opset)


STEPS = {
    "seed": st.integers(0, 2**32 - 1),
    "opset": st.sampled_from(OPSETS),
    "steps": st.lists(st.sampled_from(MAP_STEPS), min_size=1, max_size=6),
    "end": st.sampled_from(ENDS),
    "second": st.booleans(),
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(**STEPS)
def test_exact_in_float64(seed: int, opset: int, steps: list[str], end: str, second: bool) -> None:
    result = same(build(seed, opset, steps, end, second), 1e-10)
    removed = sum(np.prod(layer.shape_before) - np.prod(layer.shape_after) for layer in result.layers)
    event("something removed" if removed else "nothing removed")


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("kind", MAP_STEPS)
def test_each_operator_between_two_layers(kind: str, opset: int) -> None:
    for seed in range(3):
        same(build(seed, opset, ["relu", kind], "flatten", False), 1e-10)
