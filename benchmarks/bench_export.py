"""`make bench-export`: how long an export takes of models with thousands of nodes, step by step.

Four models, made here from a seed: convolutions with batch-norm; matrix products; one constant for each node; and a
network as PyTorch's exporter traces it, with its Constant, Expand and CastLike nodes. All are residual, with weights so
small that their outputs depend on their inputs after a thousand layers, and each is proved. The steps are those of
edgeticket/exporter.py, in seconds of processor time of all threads; latency is not measured. Sessions that are made
ahead on another thread (edgeticket/graph/loading.py) count where the export is meanwhile. The best of `--runs` is
shown, and the shortest time by the clock, which is shorter where a second core makes those sessions.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgeticket import api, exporter
from edgeticket.graph import conversion

STEPS = {
    "read_source": "read", "simplify": "simplify", "check_stored_file": "rebuild",
    "dense_baseline": "dense", "prove_source": "prove", "_seal": "golden outputs, engine",
    "_content": "report", "write_artifact": "write", "_sizes": "sizes",
}  # fmt: skip
HOMES = dict.fromkeys(("simplify", "check_stored_file", "dense_baseline", "_sizes"), conversion)  # not exporter.py
CHANNELS = 16
SCALE = 1e-3  # of the weights that are not zero: a sum over a thousand layers stays near 1


class Model:
    """Nodes one after the other, and weights of which four fifths are zero."""

    def __init__(self, shape: tuple[int | str, ...]) -> None:
        self.rng, self.shape = np.random.default_rng(0), shape
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node; its output's name."""
        self.nodes.append(helper.make_node(kind, list(inputs), [f"v{len(self.nodes)}"], **attributes))
        return f"v{len(self.nodes) - 1}"

    def sparse(self, *shape: int) -> str:
        """A weight."""
        drawn = self.rng.standard_normal(shape).astype(np.float32)
        drawn[self.rng.random(shape) < 0.8] = 0
        return self.const(drawn * np.float32(SCALE))

    def positive(self) -> str:
        """A number above 0 for each channel."""
        return self.const((0.5 + np.abs(self.rng.standard_normal(CHANNELS))).astype(np.float32))

    def zeros(self) -> str:
        """A zero for each channel."""
        return self.const(np.zeros(CHANNELS, np.float32))

    def const(self, array: np.ndarray) -> str:
        """An initializer."""
        self.weights[f"w{len(self.weights)}"] = array
        return f"w{len(self.weights) - 1}"

    def saved(self, path: Path, output: str) -> Path:
        """Write the model down."""
        ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, self.shape) for name in ("x", output)]
        tensors = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        graph = helper.make_graph(self.nodes, path.stem, ports[:1], ports[1:], tensors)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
        return path


def convolutions(path: Path, nodes: int) -> Path:
    """Conv, BatchNormalization, Relu, and the sum with what came in."""
    model, value = Model(("n", CHANNELS, 4, 4)), "x"
    while len(model.nodes) < nodes:
        inner = model.add("Conv", value, model.sparse(CHANNELS, CHANNELS, 1, 1))
        statistics = (model.positive(), model.zeros(), model.zeros(), model.positive())
        inner = model.add("BatchNormalization", inner, *statistics)
        value = model.add("Add", value, model.add("Relu", inner))
    return model.saved(path, value)


def products(path: Path, nodes: int) -> Path:
    """MatMul, Add, Tanh, and the sum with what came in."""
    model, value = Model(("n", CHANNELS)), "x"
    while len(model.nodes) < nodes:
        inner = model.add("Add", model.add("MatMul", value, model.sparse(CHANNELS, CHANNELS)), model.zeros())
        value = model.add("Add", value, model.add("Tanh", inner))
    return model.saved(path, value)


def constants(path: Path, nodes: int) -> Path:
    """Sums with a constant each, most of it zeros, and products with one, most of it ones."""
    model, value = Model(("n", 4, 8)), "x"
    while len(model.nodes) < nodes:
        constant = model.sparse(4, 8)
        if len(model.nodes) % 2:
            value = model.add("Add", value, constant)
        else:
            model.weights[constant] += 1
            value = model.add("Mul", value, constant)
    return model.saved(path, value)


def traced(path: Path, nodes: int) -> Path:
    """Convolutions whose biases and statistics are computed by nodes, in a residual network."""
    model, value = Model(("n", CHANNELS, 4, 4)), "x"
    while len(model.nodes) < nodes:
        zero = model.add("Constant", value_float=0.0)
        spread = model.add("Expand", zero, model.add("Constant", value_ints=[CHANNELS]))
        bias = model.add("CastLike", spread, value)
        inner = model.add("Conv", value, model.sparse(CHANNELS, CHANNELS, 1, 1), bias)
        inner = model.add("BatchNormalization", inner, model.positive(), bias, bias, model.positive())
        value = model.add("Add", value, model.add("Identity", model.add("Relu", inner)))
    return model.saved(path, value)


MODELS: tuple[Callable[[Path, int], Path], ...] = (convolutions, products, constants, traced)


def timed(path: Path, out: Path) -> dict[str, float]:
    """Seconds of each step of one export, which must be proved, and of all."""
    spent = dict.fromkeys(STEPS, 0.0)
    kept = {name: getattr(HOMES.get(name, exporter), name) for name in STEPS}

    def watched(name: str) -> Callable[..., Any]:
        @wraps(kept[name])
        def run(*given: Any, **asked: Any) -> Any:
            began = time.process_time()
            try:
                return kept[name](*given, **asked)
            finally:
                spent[name] += time.process_time() - began

        return run

    try:
        for name in STEPS:
            setattr(HOMES.get(name, exporter), name, watched(name))
        began, clock = time.process_time(), time.perf_counter()
        proof = api.export(path, out=out, bench=False).manifest.proof
        if proof.verdict != "proved":
            raise SystemExit(f"{path.stem}: {proof.verdict}, {proof.reason}")
        return {**spent, "all": time.process_time() - began, "clock": time.perf_counter() - clock}
    finally:
        for name, function in kept.items():
            setattr(HOMES.get(name, exporter), name, function)


def main() -> None:
    """Export each model and print a table."""
    parser = argparse.ArgumentParser(prog="bench_export.py", description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=5000, help="how many at least (default 5000)")
    parser.add_argument("--runs", type=int, default=3, help="exports of each model (default 3)")
    given = parser.parse_args()
    steps = ", ".join(STEPS.values())
    print(f"seconds of processor time, the best of {given.runs}: {steps}, all; and by the clock")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for make in MODELS:
            path = make(folder / f"{make.__name__}.onnx", given.nodes)
            runs = [timed(path, folder / f"{make.__name__}-{run}") for run in range(given.runs)]
            best = min(runs, key=lambda each: each["all"]) | {"clock": min(each["clock"] for each in runs)}
            print(f"{make.__name__:14}", *(f"{seconds:7.2f}" for seconds in best.values()), flush=True)


if __name__ == "__main__":
    main()
