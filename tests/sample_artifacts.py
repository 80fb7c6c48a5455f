"""Small models and tickets for tests of what is exported. Nothing here is random from run to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeticket.files import write_atomic
from edgeticket.ticket import store
from edgeticket.ticket.kinds import At
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.record import (
    FORMAT,
    VERSION,
    Choice,
    Point,
    Record,
    RecordedInput,
    RecordedMetric,
    RecordedOutput,
    Round,
)

SHAPES = {"fc1.weight": (64, 30), "fc1.bias": (30,), "fc2.weight": (30, 10), "fc2.bias": (10,)}
PRUNED = ("fc1.weight", "fc2.weight")
Arrays = dict[str, NDArray[Any]]


def weights(seed: int, density: float = 1.0, dead: int = 0) -> Arrays:
    """Weights of a small network; the first `dead` hidden units have no incoming weight."""
    rng = np.random.default_rng(seed)
    made = {name: rng.normal(size=shape).astype(np.float32) / 4 for name, shape in SHAPES.items()}
    for name in PRUNED:
        made[name] *= rng.random(SHAPES[name]) < density
    made["fc1.weight"][:, :dead] = 0
    return made


def network(parameters: Arrays | None, domain: str = "") -> onnx.ModelProto:
    """x [n, 64] -> y [n, 10]; parameters are initializers, or graph inputs where None."""
    nodes = [
        helper.make_node("MatMul", ["x", "fc1.weight"], ["h"]),
        helper.make_node("Add", ["h", "fc1.bias"], ["a"]),
        helper.make_node("Relu", ["a"], ["r"], domain=domain),
        helper.make_node("MatMul", ["r", "fc2.weight"], ["o"]),
        helper.make_node("Add", ["o", "fc2.bias"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])]
    if parameters is None:
        inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in SHAPES.items()]
    initializers = [numpy_helper.from_array(array, name) for name, array in (parameters or {}).items()]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def onnx_file(folder: Path, name: str = "small.onnx", **options: Any) -> Path:
    """A pruned network as an ONNX file, 5 of its 30 hidden units dead."""
    path = folder / name
    onnx.save(network(weights(0, 0.2, dead=5), **options), path)
    return path


def ticket(folder: Path, seed: int = 0, *, builtin: bool = True, chosen: int | None = 1, metric: float = 98.0) -> Path:
    """A ticket's folder as `find` would leave it: a dense round and a pruned one, 700 test samples of uint8."""
    rng = np.random.default_rng(100 + seed)
    dense, pruned = weights(seed), weights(seed, 0.2, dead=5)
    mask = Mask({name: pruned[name] != 0 for name in PRUNED})
    pixels = rng.integers(0, 256, (700, 64), dtype=np.uint8)
    scale, offset = np.float32(1 / 255), np.float32(-0.5)
    hidden = np.maximum(
        0, store.scaled(pixels, np.asarray(scale), np.asarray(offset)) @ pruned["fc1.weight"] + pruned["fc1.bias"]
    )
    targets = (hidden @ pruned["fc2.weight"] + pruned["fc2.bias"]).argmax(axis=1)
    targets[::20] = rng.integers(0, 10, len(targets[::20]))  # not all are right
    files: dict[str, str] = {}
    test = {"inputs": pixels, "targets": targets, "scale": np.asarray(scale), "offset": np.asarray(offset)}
    graph = folder / "graph.onnx"
    folder.mkdir(parents=True)
    files["graph.onnx"] = write_atomic(graph, network(None).SerializeToString())
    files |= dict([store.write_arrays(folder, "test.safetensors", test)])
    for number, values in enumerate((dense, pruned)):
        kept: Arrays = {name: np.ones(SHAPES[name], np.bool_) if number == 0 else mask[name] for name in PRUNED}
        for part, arrays in (("mask", kept), ("early_stop", values), ("end", values)):
            files |= dict([store.write_arrays(folder, store.round_file(number, part), arrays)])
    point = Point(100, 0.1, metric, 0.1, 97.5)
    rounds = [
        Round(0, mask.total, mask.total, point, point, 1.0, "now"),
        Round(1, mask.kept, mask.total, point, point, 1.0, "now"),
    ]
    record = Record(
        format=FORMAT,
        version=VERSION,
        task="small",
        settings={"--seed": seed, "--rewind": "init"},
        choice=Choice(0.5, At.EARLY_STOP),
        provenance={"versions": {"torch": "0"}, "created": "2026-11-01"},
        metric=RecordedMetric("accuracy" if builtin else "f1", "%", higher_is_better=True, builtin=builtin),
        input=RecordedInput(
            name="x",
            dtype="float32",
            shape=(64,),
            scale=float(scale),
            offset=float(offset),
            preprocessing="pixels / 255 - 0.5",
            test_size=700,
        ),
        output=RecordedOutput("y", (10,)),
        layers=[],
        files=files,
        rounds=rounds,
        ticket=chosen,
    )
    store.write_record(folder, record)
    return folder
