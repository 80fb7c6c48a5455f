"""Random models for the provider, drawn by hypothesis: what networks are made of, in every size that may go wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from float64 import ACTIVATIONS
from hypothesis import strategies as st
from numpy.typing import NDArray
from small_models import model

Array = NDArray[Any]
node = onnx.helper.make_node


@dataclass
class Drawn:
    """A model that grows node by node. Shapes are those of one item."""

    draw: st.DrawFn
    shapes: dict[str, list[int]] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def normal(self, *shape: int) -> Array:
        return np.random.default_rng(self.number(0, 99)).normal(size=shape).astype(np.float32)

    def constant(self, value: Array) -> str:
        self.constants[f"c{len(self.constants)}"] = value
        return f"c{len(self.constants) - 1}"

    def weights(self, *shape: int, rows: int = 0, columns: int = 1) -> str:
        """Any sparsity, with empty slices along the axes `rows` and `columns`."""
        weight = self.normal(*shape)
        rng = np.random.default_rng(self.number(0, 99))
        weight[rng.random(shape) < self.one_of(0.9, 0.0, 0.5, 0.98, 1.0)] = 0
        for axis in (rows, columns):
            if self.one_of(False, False, True):
                empty = rng.random(shape[axis]) < 0.5
                weight[tuple(empty if i == axis else slice(None) for i in range(len(shape)))] = 0
        return self.constant(weight)

    def add(self, op: str, inputs: list[str], shape: list[int], **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(node(op, inputs, [name], name=name, **attributes))
        self.read.update(inputs)
        self.shapes[name] = shape
        return name

    def size(self) -> int:
        return int(self.one_of(self.number(1, 12), self.number(1, 24), self.number(1, 70)))

    def window(self, image: list[int], pool: bool) -> tuple[dict[str, list[int]], list[int]]:
        """Attributes of a convolution or a pool over this image, and the sizes of what comes out."""
        found: dict[str, list[int]] = {"kernel_shape": [], "strides": [], "dilations": [], "pads": []}
        ends, sizes = [], []
        for size in image:
            dilation, stride = (1 if pool else self.one_of(1, 1, 2, 3)), self.one_of(1, 1, 2, 3)
            kernel = self.one_of(3, 1, 2, 4, 5, 6, 7)
            most = (kernel - 1) if pool else kernel * dilation
            begin, end = self.number(0, most), self.number(0, most)
            while (kernel - 1) * dilation + 1 > size + begin + end:
                kernel -= 1
            if pool:  # a window in the padding alone has no mean
                begin, end = min(begin, kernel - 1), min(end, kernel - 1)
            found["kernel_shape"].append(kernel)
            found["strides"].append(stride)
            found["dilations"].append(dilation)
            found["pads"].append(begin)
            ends.append(end)
            sizes.append((size + begin + end - (kernel - 1) * dilation - 1) // stride + 1)
        found["pads"] += ends
        if pool:
            del found["dilations"]
        return found, sizes

    def conv(self, x: str) -> str:
        channels, *image = self.shapes[x]
        divisors = [d for d in range(1, channels + 1) if channels % d == 0]
        groups = self.one_of(1, 1, channels, self.draw(st.sampled_from(divisors)))
        out = groups * (self.number(1, 2) if groups > 1 else self.size())
        attributes, sizes = self.window(image, pool=False)
        inputs = [x, self.weights(out, channels // groups, *attributes["kernel_shape"])]
        if self.one_of(True, False):
            inputs.append(self.constant(self.normal(out)))
        return self.add("Conv", inputs, [out, *sizes], group=groups, **attributes)

    def pool(self, x: str) -> str:
        attributes, sizes = self.window(self.shapes[x][1:], pool=True)
        more: dict[str, Any] = dict(attributes)
        op = self.one_of("MaxPool", "AveragePool")
        if op == "AveragePool":
            more["count_include_pad"] = self.number(0, 1)
        return self.add(op, [x], [self.shapes[x][0], *sizes], **more)

    def activation(self, x: str) -> str:
        op = self.one_of(*ACTIVATIONS, "Clip")
        inputs, attributes = [x], {}
        if op == "Clip":
            low, high = sorted(self.normal(2))
            inputs += [self.constant(np.array(low)), self.constant(np.array(high))]
        elif ACTIVATIONS[op].alpha is not None:
            attributes["alpha"] = self.one_of(0.01, 0.3, 1.5, -0.5)
        return self.add(op, inputs, self.shapes[x], **attributes)

    def addition(self, x: str) -> str:
        """Of a value before it that has the same shape, of the value itself, or of a constant."""
        shape = self.shapes[x]
        same = [name for name, other in self.shapes.items() if other == shape]
        other = self.one_of(*same, "constant")
        if other == "constant":
            other = self.constant(self.normal(*self.one_of(shape, [shape[0], *[1] * (len(shape) - 1)], shape[-1:])))
        return self.add("Add", [x, other] if self.one_of(True, False) else [other, x], shape)

    def map_node(self, x: str) -> str:
        return str(self.one_of(self.conv, self.conv, self.conv, self.pool, self.activation, self.addition)(x))

    def flattened(self, x: str) -> str:
        """Values of an image as one row, or its channels' means."""
        shape = self.shapes[x]
        match self.number(0, 3):
            case 0:
                return self.add("Flatten", [x], [int(np.prod(shape))])
            case 1:
                return self.add("Reshape", [x, self.constant(np.array([0, -1]))], [int(np.prod(shape))])
            case 2:
                mean = self.add("GlobalAveragePool", [x], [shape[0], *[1] * (len(shape) - 1)])
                return self.add("Flatten", [mean], shape[:1])
            case _:
                axes = self.constant(np.arange(2, len(shape) + 1))
                return self.add("ReduceMean", [x, axes], shape[:1], keepdims=0)

    def dense(self, x: str) -> str:
        """A Gemm; where rows have leading axes a MatMul and maybe the addition of its bias."""
        *leading, width = self.shapes[x]
        out = self.size()
        if not leading and self.one_of(True, False):
            transposed = self.number(0, 1)
            weight = self.weights(out, width) if transposed else self.weights(width, out)
            bias = [self.constant(self.normal(*self.one_of([out], [1, out], [1])))] if self.one_of(True, False) else []
            return self.add("Gemm", [x, weight, *bias], [out], transB=transposed, alpha=self.one_of(1.0, 0.5))
        y = self.add("MatMul", [x, self.weights(width, out)], [*leading, out])
        return self.add("Add", [y, self.constant(self.normal(out))], [*leading, out]) if self.one_of(True, False) else y

    def addition_of_row(self, x: str) -> str:
        same = [name for name, other in self.shapes.items() if other == self.shapes[x]]
        other = self.one_of(*same, "constant")
        other = self.constant(self.normal(self.shapes[x][-1])) if other == "constant" else other
        return self.add("Add", [x, other], self.shapes[x])

    def finished(self, batch: int | str) -> onnx.ModelProto:
        """Outputs are the values that nothing reads."""
        outputs = {name: [batch, *shape] for name, shape in self.shapes.items() if name not in self.read}
        return model(self.nodes, {"x": [batch, *self.shapes["x"]]}, outputs, self.constants)


@st.composite
def images(draw: st.DrawFn, batch: int | str) -> onnx.ModelProto:
    """Convolutions, pools, residuals and activations over 1-d or 2-d maps; half of them with a fully connected tail."""
    drawn = Drawn(draw)
    drawn.shapes["x"] = [drawn.size(), *(drawn.size() for _ in range(drawn.one_of(2, 2, 2, 1)))]
    x = "x"
    for _ in range(drawn.number(1, 5)):
        x = drawn.map_node(x)
    if drawn.one_of(True, False):
        x = drawn.flattened(x)
        for _ in range(drawn.number(1, 2)):
            x = drawn.dense(x)
            if drawn.one_of(True, False):
                x = drawn.activation(x)
    return drawn.finished(batch)


@st.composite
def rows(draw: st.DrawFn, batch: int | str) -> onnx.ModelProto:
    """Fully connected layers over rows, with up to two axes before them beside the batch, as in transformers."""
    drawn = Drawn(draw)
    drawn.shapes["x"] = [*(drawn.number(1, 5) for _ in range(drawn.number(0, 2))), drawn.size()]
    x = drawn.dense("x")
    for _ in range(drawn.number(0, 4)):
        x = str(drawn.one_of(drawn.dense, drawn.activation, drawn.addition_of_row)(x))
    return drawn.finished(batch)
