"""A small network with dead channels, which the operators of docs/models.md are put into."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from model_trial import Case
from model_types import Array, model, node, value

CHANNELS, DEAD, CONSTANT = 6, (1, 4), 1.5  # the dead channels are 1.5 whatever the input is
Nodes = list[onnx.NodeProto]


class Draft:
    """A convolution or a Gemm whose channels 1 and 4 are constant, what follows, and a layer that reads the result."""

    def __init__(self, rank: int = 4) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: Nodes = []
        self.constants: dict[str, Array] = {}
        self.rank = rank
        self.h = self.first()

    def const(self, array: Any) -> str:
        """An initializer; floats are float32."""
        array = np.asarray(array)
        name = f"w{len(self.constants)}"
        self.constants[name] = array.astype(np.float32) if array.dtype.kind == "f" else array
        return name

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """A node; the name of its output, or their names."""
        names = [f"v{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(node(kind, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def near(self, *shape: int) -> Array:
        """Small numbers: what a layer adds to its bias of 1.5 leaves the result positive."""
        return self.rng.uniform(-0.1, 0.1, shape)

    def first(self) -> str:
        """[2, 6, 8, 8] of a convolution, or [2, 6] or [2, 5, 6] of a matrix product with the channels last."""
        if self.rank == 4:
            weight = self.near(CHANNELS, 3, 3, 3)
            weight[list(DEAD)] = 0
            return str(self.op("Conv", "x", self.const(weight), self.const(np.full(CHANNELS, CONSTANT)), pads=[1] * 4))
        weight = self.near(3, CHANNELS)
        weight[:, list(DEAD)] = 0
        return str(self.op("Add", self.op("MatMul", "x", self.const(weight)), self.const(np.full(CHANNELS, CONSTANT))))

    def zero(self) -> str:
        """The first layer's result with dead channels that are 0: what samples beyond the border has zeros there."""
        return str(self.op("Sub", self.h, self.const(CONSTANT)))

    def read(self, h: str, channels: int = CHANNELS) -> str:
        """The layer that reads: a convolution of 1 by 1, or a matrix product."""
        if self.rank == 4:
            return str(self.op("Conv", h, self.const(self.rng.standard_normal((2, channels, 1, 1)))))
        return str(self.op("MatMul", h, self.const(self.rng.standard_normal((channels, 2)))))

    def flat(self, h: str, width: int) -> str:
        """A Gemm that reads a vector."""
        return str(self.op("Gemm", h, self.const(self.rng.standard_normal((2, width))), transB=1))

    def case(self, name: str, y: str) -> Case:
        """The model, of whatever shape `y` has."""
        shapes: dict[int, tuple[int, ...]] = {2: (2, 3), 3: (2, 5, 3), 4: (2, 3, 8, 8)}
        self.nodes.append(node("Identity", [y], ["y"]))
        ends = [value("x", shapes[self.rank])], [value("y", None)]
        made = model(self.nodes, self.constants, *ends, self.version())
        made.opset_import.extend(
            onnx.helper.make_opsetid(domain, 1)
            for domain in sorted({each.domain for each in self.nodes} - {entry.domain for entry in made.opset_import})
        )
        return Case(name, made)

    def version(self) -> tuple[int, int]:
        """An operator set that has all operators, 20 unless one is younger or was given up, and its format."""
        own = {each.op_type for each in self.nodes if not each.domain}
        if "Upsample" in own:
            return 9, 9
        opset = next(opset for opset in range(20, 99) if all(_has(kind, opset) for kind in own))
        return opset, 9 if opset == 20 else 10


def _has(kind: str, opset: int) -> bool:
    """Whether an operator set has the operator, and has not given it up."""
    return onnx.defs.has(kind, opset, "") and not onnx.defs.get_schema(kind, opset, "").deprecated
