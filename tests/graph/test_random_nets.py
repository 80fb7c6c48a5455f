"""Random networks with dead rows, columns and filters: what simplify makes of them is the same function."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import onnx
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from nets import Array, Net, same, same_on_runtime

MAP_STEPS = (
    "conv", "conv", "pointwise", "depthwise", "multiplier", "batchnorm", "relu", "sigmoid", "add-constant", "leaky",
    "scale", "residual", "dead-residual", "concat", "dead-concat", "maxpool", "avgpool", "gate", "transposed-twice",
)  # fmt: skip
ROW_STEPS = ("gemm", "gemm", "matmul", "batchnorm", "relu", "tanh", "row-residual", "row-concat", "plain")


@dataclass(frozen=True)
class Here:
    """A value [n, channels, size, size], or [n, channels] where size is 0."""

    name: str
    channels: int
    size: int


class RandomNet:
    """Draws weights from a seed; the same seed and steps give the same network in float32 and float64."""

    def __init__(self, seed: int, dtype: type) -> None:
        self.net = Net(("n", 3, 6, 6), dtype, seed)
        self.rng = self.net.rng

    def weight(self, *shape: int) -> Array:
        """Multiples of 1/16 with zero elements, rows and columns."""
        weight = np.round(self.rng.normal(size=shape) * 8) / 16
        weight[self.rng.random(shape) < self.rng.choice([0.2, 0.7])] = 0
        weight[self.rng.random(shape[0]) < 0.35] = 0
        if shape[1] > 1:
            weight[:, self.rng.random(shape[1]) < 0.2] = 0
        return weight

    def bias(self, count: int) -> Array | None:
        """None, zeros, or numbers of which some are zero."""
        kind = self.rng.integers(4)
        if kind == 0:
            return None
        bias = np.round(self.rng.normal(size=count) * 8) / 16
        bias[self.rng.random(count) < (1.0 if kind == 1 else 0.4)] = 0
        return bias

    def conv(self, here: Here, kernel: int, *, dead: bool = False, outputs: int | None = None) -> Here:
        """A convolution that keeps the size, padded with zeros where the kernel is larger than 1."""
        count = outputs or int(self.rng.integers(1, 6))
        weight, bias = self.weight(count, here.channels, kernel, kernel), self.bias(count)
        if dead:
            weight[:] = 0
        name = self.net.conv(here.name, weight, bias, pads=[kernel // 2] * 4, kernel_shape=[kernel, kernel])
        return replace(here, name=name, channels=count)

    def step(self, kind: str, here: Here) -> Here:
        """One more operator, or a small group."""
        net, op, rng = self.net, self.net.op, self.rng
        count = here.channels
        if kind == "conv":
            return self.conv(here, 3)
        if kind == "pointwise":
            return self.conv(here, 1)
        if kind in ("depthwise", "multiplier"):
            weight = self.weight(count * (2 if kind == "multiplier" else 1), 1, 3, 3)
            pads = [1] * 4 if rng.random() < 0.5 or here.size < 4 else [0] * 4
            name = net.conv(here.name, weight, self.bias(len(weight)), group=count, pads=pads)
            return Here(name, len(weight), here.size if pads[0] else here.size - 2)
        if kind == "batchnorm":
            return replace(here, name=net.batchnorm(here.name, count))
        if kind in ("relu", "sigmoid", "tanh"):
            return replace(here, name=op(kind.capitalize(), here.name))
        if kind == "leaky":
            return replace(here, name=op("LeakyRelu", here.name, alpha=0.25))
        if kind in ("add-constant", "scale"):
            constant = np.round(net.normal(*[count, 1, 1] if rng.random() < 0.7 else [1, count, 1, 1]) * 4) / 8
            return replace(here, name=op("Add" if kind == "add-constant" else "Mul", here.name, net.const(constant)))
        if kind in ("residual", "dead-residual"):
            other = self.conv(self.conv(here, 3), 3, dead="dead" in kind, outputs=count)
            return replace(here, name=op("Add", *rng.permutation([here.name, other.name]).tolist()))
        if kind in ("concat", "dead-concat"):
            other = self.conv(here, 1, dead="dead" in kind)
            return Here(op("Concat", here.name, other.name, axis=1), count + other.channels, here.size)
        if kind == "gate":
            pooled = Here(op("GlobalAveragePool", here.name), count, 1)
            gate = op("Sigmoid", self.conv(pooled, 1, outputs=count).name)
            return replace(here, name=op("Mul", here.name, gate))
        if kind == "transposed-twice":
            turned = op("Relu", op("Transpose", here.name, perm=[0, 2, 3, 1]))
            return replace(here, name=op("Transpose", turned, perm=[0, 3, 1, 2]))
        return self._pool(kind, here)

    def _pool(self, kind: str, here: Here) -> Here:
        if here.size < 2:
            return here
        pad = int(self.rng.random() < 0.5)
        kernel = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [pad] * 4}
        include = {"count_include_pad": int(self.rng.random() < 0.5)} if kind == "avgpool" else {}
        name = self.net.op("AveragePool" if kind == "avgpool" else "MaxPool", here.name, **kernel, **include)
        return Here(name, here.channels, (here.size + 2 * pad - 2) // 2 + 1)

    def flat(self, kind: str, here: Here) -> Here:
        """From maps to rows, as different exporters write it."""
        net, op = self.net, self.net.op
        whole = here.channels * here.size * here.size
        if kind == "flatten":
            return Here(op("Flatten", here.name), whole, 0)
        if kind == "reshape":
            return Here(op("Reshape", here.name, net.const(np.array([-1, whole]))), whole, 0)
        if kind == "dynamo":
            batch = op("Reshape", op("Squeeze", op("Shape", "x", start=0, end=1)), net.const(np.array([-1])))
            target = op("Concat", batch, net.const(np.array([whole])), axis=0)
            return Here(op("Reshape", here.name, target, allowzero=1), whole, 0)
        if kind == "script":
            batch = op("Gather", op("Shape", here.name), net.const(np.array(0)), axis=0)
            batch = op("Unsqueeze", batch, net.const(np.array([0])))
            return Here(op("Reshape", here.name, op("Concat", batch, net.const(np.array([-1])), axis=0)), whole, 0)
        if kind == "mean":
            return Here(op("ReduceMean", here.name, net.const(np.array([-1, -2])), keepdims=0), here.channels, 0)
        squeezed = op("Squeeze", op("GlobalMaxPool", here.name), net.const(np.array([2, 3])))
        return Here(squeezed, here.channels, 0)

    def row_step(self, kind: str, here: Here) -> Here:
        """One more operator on rows."""
        net, op, count = self.net, self.net.op, here.channels
        if kind == "gemm":
            outputs = int(self.rng.integers(1, 7))
            scales = {} if self.rng.random() < 0.5 else {"alpha": 0.5, "beta": 2.0}
            return replace(here, name=net.gemm(here.name, self.weight(outputs, count), self.bias(outputs), **scales),
                           channels=outputs)  # fmt: skip
        if kind == "matmul":
            outputs = int(self.rng.integers(1, 7))
            name = op("MatMul", here.name, net.const(self.weight(outputs, count).T))
            if (bias := self.bias(outputs)) is not None:
                name = op("Add", *self.rng.permutation([name, net.const(bias)]).tolist())
            return replace(here, name=name, channels=outputs)
        if kind == "plain":
            return replace(here, name=op("MatMul", here.name, net.const(self.weight(3, count).T)), channels=3)
        if kind == "row-residual":
            other = net.gemm(here.name, self.weight(count, count), self.bias(count))
            return replace(here, name=op("Add", here.name, other))
        if kind == "row-concat":
            other = net.gemm(here.name, self.weight(2, count), self.bias(2))
            return replace(here, name=op("Concat", other, here.name, axis=1), channels=count + 2)
        return self.step(kind, here)


def build(seed: int, maps: list[str], flat: str, rows: list[str], dtype: type, second: bool) -> onnx.ModelProto:
    """The network of these steps; with `second`, an inner value is an output too."""
    random = RandomNet(seed, dtype)
    here = random.conv(Here("x", 3, 6), 3)
    inner = here
    for number, kind in enumerate(maps):
        here = random.step(kind, here)
        inner = here if number == len(maps) // 2 else inner
    here = random.flat(flat, here)
    for kind in rows:
        here = random.row_step(kind, here)
    here = random.row_step("gemm", here)
    return random.net.model(here.name, *([inner.name] if second and inner.name != here.name else []))


STEPS = {
    "seed": st.integers(0, 2**32 - 1),
    "maps": st.lists(st.sampled_from(MAP_STEPS), max_size=6),
    "flat": st.sampled_from(["flatten", "reshape", "dynamo", "script", "mean", "squeeze"]),
    "rows": st.lists(st.sampled_from(ROW_STEPS), max_size=3),
    "second": st.booleans(),
}
QUICK = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@QUICK
@given(**STEPS)
def test_exact_in_float64(seed: int, maps: list[str], flat: str, rows: list[str], second: bool) -> None:
    result = same(build(seed, maps, flat, rows, np.float64, second))
    removed = sum(np.prod(layer.shape_before) - np.prod(layer.shape_after) for layer in result.layers)
    event("something removed" if removed else "nothing removed")
    for layer in result.layers:
        assert layer.nonzeros_after <= layer.nonzeros_before


@settings(QUICK, max_examples=40)
@given(**STEPS)
def test_within_rounding_on_the_runtime(seed: int, maps: list[str], flat: str, rows: list[str], second: bool) -> None:
    model, wide = (build(seed, maps, flat, rows, dtype, second) for dtype in (np.float32, np.float64))
    same_on_runtime(model, wide)


@QUICK
@given(seed=st.integers(0, 2**32 - 1), flat=st.sampled_from(["flatten", "reshape", "dynamo", "mean"]))
def test_what_is_dead_goes(seed: int, flat: str) -> None:
    """A chain without barriers: every filter and unit that is zero with bias 0 must be gone."""
    rng = np.random.default_rng(seed)
    net = RandomNet(seed, np.float64)
    first, last = net.net.normal(6, 3, 3, 3), net.net.normal(5, 6)
    dead = rng.random(6) < 0.5
    dead[rng.integers(6)] = False
    first[dead] = 0
    here = Here(net.net.op("Relu", net.net.conv("x", first, None, "first", pads=[1] * 4)), 6, 6)
    here = net.flat(flat, replace(here, name=net.net.conv(here.name, net.net.normal(6, 6, 3, 3), None, "middle")[:],
                                  size=4))  # fmt: skip
    unread = rng.random(6) < 0.3
    unread[rng.integers(6)] = False
    spread = np.repeat(last, here.channels // 6, axis=1)
    spread[:, np.repeat(unread, here.channels // 6)] = 0
    result = same(net.net.model(net.net.gemm(here.name, spread, net.net.normal(5), "last")))
    after = {layer.name: layer.shape_after for layer in result.layers}
    kept, read = int((~dead).sum()), int((~unread).sum())
    assert after["first"] == (kept, 3, 3, 3)
    assert after["middle"] == (read, kept, 3, 3)
    assert after["last"] == (5, read * here.channels // 6)
