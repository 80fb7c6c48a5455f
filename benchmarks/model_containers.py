"""Models for docs/models.md by what contains their weights: subgraphs, functions, other files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from model_kinds import FIRST, IN, LAST, MATRICES, OUT
from model_trial import Case
from model_types import SIZES, matrices, model, node, plain, value
from onnx import TensorProto, helper, numpy_helper


def containers() -> Iterator[Case]:
    """Where weights may lie: in branches, bodies, functions, other files, and in what order nodes may stand."""
    yield Case("If, weights in both branches", branches(inside=True))
    yield Case("If, branches that read weights of the graph around them", branches(inside=False))
    yield Case("Loop, weights in its body", loop())
    yield Case("Scan, weights in its body", scan())
    yield Case("weights in Constant nodes", constant_nodes())
    yield Case("two weights that are equal", equal())
    yield Case("weights that nodes compute from small constants", computed())
    yield Case("a function of the model", function())
    yield Case("external data beside the model", plain(), external)
    yield Case("the same as links into a cache", plain(), linked)
    yield Case("nodes in no topological order", model(matrices()[::-1], MATRICES, IN, OUT))


def body(
    name: str,
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    nodes: list[onnx.NodeProto],
    *,
    inside: bool = True,
) -> onnx.GraphProto:
    """A subgraph, which holds the matrices where `inside`."""
    held = [numpy_helper.from_array(array, key) for key, array in MATRICES.items()] if inside else []
    return helper.make_graph(nodes, name, inputs, outputs, held)


def branches(*, inside: bool) -> onnx.ModelProto:
    """One branch is the network, the other its negative."""
    yes = body("yes", [], [value("t", ("n", LAST))], matrices(y="t"), inside=inside)
    no = body("no", [], [value("e", ("n", LAST))], [*matrices(y="m"), node("Neg", ["m"], ["e"])], inside=inside)
    chosen = node("If", ["flag"], ["y"], then_branch=yes, else_branch=no)
    return model([chosen], {} if inside else MATRICES, [*IN, value("flag", (), TensorProto.BOOL)], OUT)


def loop() -> onnx.ModelProto:
    """Three turns, each of which adds the network's output."""
    inputs = [value("turn", (), TensorProto.INT64), value("on", (), TensorProto.BOOL), value("sum", ("n", LAST))]
    nodes = [*matrices(y="m"), node("Add", ["sum", "m"], ["total"]), node("Identity", ["on"], ["still"])]
    turns = body("body", inputs, [value("still", (), TensorProto.BOOL), value("total", ("n", LAST))], nodes)
    constants = {"three": np.int64(3), "true": np.bool_(True), "zero": np.zeros((1, LAST), np.float32)}
    return model(
        [node("Loop", ["three", "true", "zero"], ["y"], body=turns)],
        constants,
        [value("x", (1, FIRST))],
        [value("y", (1, LAST))],
    )


def scan() -> onnx.ModelProto:
    """The network over the rows of its input."""
    nodes = [*matrices(x="row", y="m"), node("Identity", ["state"], ["next"])]
    rows = body(
        "body", [value("state", (1,)), value("row", (1, FIRST))], [value("next", (1,)), value("m", (1, LAST))], nodes
    )
    scanned = node("Scan", ["start", "x"], ["end", "y"], body=rows, num_scan_inputs=1)
    return model(
        [scanned], {"start": np.zeros(1, np.float32)}, [value("x", ("n", 1, FIRST))], [value("y", ("n", 1, LAST))]
    )


def constant_nodes() -> onnx.ModelProto:
    """Weights as attributes of nodes, as older exporters write them."""
    made = [node("Constant", [], [name], value=numpy_helper.from_array(array)) for name, array in MATRICES.items()]
    return model([*made, *matrices()], {}, IN, OUT)


def equal() -> onnx.ModelProto:
    """The network, and beside it a product with a copy of its first matrix."""
    ends = IN, [*OUT, value("z", ("n", SIZES[1]))]
    return model([*matrices(), node("MatMul", ["x", "copy"], ["z"])], {**MATRICES, "copy": MATRICES["a"].copy()}, *ends)


def computed() -> onnx.ModelProto:
    """A table of cosines [100, 64], made of two ranges, beside the weights: evaluated, it is larger than its nodes."""
    nodes = [
        node("Range", ["zero", "rows", "one"], ["row"]),
        node("Range", ["zero", "width", "one"], ["place"]),
        node("Unsqueeze", ["row", "axis"], ["column"]),
        node("Mul", ["column", "place"], ["angle"]),
        node("Cos", ["angle"], ["table"]),
        node("Gather", ["table", "numbers"], ["x"]),
        *matrices(),
    ]
    numbers = {"zero": np.float32(0), "one": np.float32(1), "rows": np.float32(100), "width": np.float32(FIRST)}
    constants = {**numbers, "axis": np.array([1]), **MATRICES}
    return model(nodes, constants, [value("numbers", ("n",), TensorProto.INT64)], OUT)


def function() -> onnx.ModelProto:
    """The network as a function that is called with its weights."""
    imports = [helper.make_opsetid("", 17)]
    called = helper.make_function("own", "Network", ["x", *"abc"], ["y"], matrices(), imports)
    made = model([node("Network", ["x", *"abc"], ["y"], domain="own")], MATRICES, IN, OUT, functions=[called])
    made.opset_import.append(helper.make_opsetid("own", 1))
    return made


def external(asked: onnx.ModelProto, path: Path) -> None:
    """Weights in a file of their own beside the model."""
    kept = onnx.ModelProto()
    kept.CopyFrom(asked)
    onnx.save(kept, path, save_as_external_data=True, location="weights.bin", size_threshold=0)


def linked(asked: onnx.ModelProto, path: Path) -> None:
    """Model and data are links into a cache of blobs, as model hubs lay them."""
    blobs = path.parent.parent / "blobs"
    blobs.mkdir()
    external(asked, path)
    for number, name in enumerate(("model.onnx", "weights.bin")):
        (path.parent / name).rename(blobs / f"{number}")
        (path.parent / name).symlink_to(Path("..", "blobs", f"{number}"))
