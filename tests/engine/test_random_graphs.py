"""Random graphs through real sessions: beside float64 within what float32 may differ, and beside the CPU provider."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from float64 import Array, Float64, tolerances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import Drawn, images, rows
from small_models import feed, model, node, session, sparse

from edgeticket import runtime

bounded = settings(
    max_examples=400, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
BATCHES = st.integers(1, 5)
# A batch that the model states, or leaves open; optimised by ONNX Runtime before our provider sees it, or not.
FORMS = st.tuples(st.sampled_from(["N", "N", 1, 3]), st.booleans(), st.sampled_from([1, 1, 2]))


def assert_all_claimed(made: ort.InferenceSession) -> None:
    left = [
        f"{node.op_type} {node.name}"
        for subgraph in made.get_provider_graph_assignment_info()
        if subgraph.ep_name != runtime.EP_NAME
        for node in subgraph.get_nodes()
    ]
    assert left == []


def close(found: Array, exact: Array, tolerance: Array) -> None:
    assert found.shape == exact.shape
    off = np.abs(found - exact) / tolerance
    assert (off <= 1).all(), (
        f"{np.count_nonzero(~(off <= 1))} of {off.size}, up to {off.max():.3g} times what is allowed"
    )


def compare(proto: onnx.ModelProto, batch: int, optimize: bool, threads: int) -> None:
    stated = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    feeds = feed(proto, seed=batch, N=stated or batch)
    made = session(proto, claim="always", optimize=optimize, pool=threads, threads=str(threads))
    assert_all_claimed(made)
    exact, tolerance = Float64(proto, feeds).outputs, tolerances(proto, feeds)
    names = [output.name for output in made.get_outputs()]
    cpu = runtime.run(runtime.cpu_session(proto.SerializeToString()), feeds)
    for name, found in zip(names, made.run(names, feeds), strict=True):
        close(found, exact[name], tolerance[name])
        close(found, cpu[name].astype(np.float64), 2 * tolerance[name])


@bounded
@given(st.data())
def test_images(data: st.DataObject) -> None:
    batch, optimize, threads = data.draw(FORMS)
    compare(data.draw(images(batch)), data.draw(BATCHES), optimize, threads)


@bounded
@given(st.data())
def test_rows(data: st.DataObject) -> None:
    batch, optimize, threads = data.draw(FORMS)
    compare(data.draw(rows(batch)), data.draw(BATCHES), optimize, threads)


@pytest.mark.parametrize("leading", [3, 100])
def test_a_bias_of_rows_that_could_be_images(leading: int) -> None:
    """Found by test_rows: fewer rows than outputs divided by 0, more wrote behind the bias."""
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])]
    constants = {"w": sparse(1, 20, 57), "b": sparse(2, 57)}
    proto = model(nodes, {"x": ["N", leading, 20]}, {"y": ["N", leading, 57]}, constants)
    compare(proto, 2, optimize=False, threads=1)


NOT_FINITE = np.array([np.nan, np.inf, -np.inf], np.float32)


@bounded
@given(st.data())
def test_what_is_not_finite_goes_through(data: st.DataObject) -> None:
    """A convolution or a product: NaN and infinity come out where they meet a nonzero weight, as from the CPU provider.

    Where they meet zeros alone, the CPU provider says NaN (0 times infinity); so may a dense kernel, and a sparse one
    says what the other inputs give.
    """
    drawn = Drawn(data.draw)
    if drawn.one_of(True, False):
        drawn.shapes["x"] = [drawn.number(1, 24), *(drawn.number(1, 20) for _ in range(drawn.one_of(2, 1)))]
        drawn.conv("x")
    else:
        drawn.shapes["x"] = [*(drawn.number(1, 5) for _ in range(drawn.number(0, 1))), drawn.size()]
        drawn.dense("x")
    proto = drawn.finished("N")
    feeds = feed(proto, N=data.draw(BATCHES))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    places = rng.random(feeds["x"].shape) < 0.02
    feeds["x"][places] = rng.choice(NOT_FINITE, int(places.sum()))
    made = session(proto, claim="always")
    assert_all_claimed(made)
    name = made.get_outputs()[0].name
    found, exact = made.run([name], feeds)[0], Float64(proto, feeds).outputs[name]
    cpu = runtime.run(runtime.cpu_session(proto.SerializeToString()), feeds)[name]
    near = np.abs(found - np.where(np.isfinite(exact), exact, 0)) <= tolerances(proto, feeds)[name]
    same = np.where(np.isfinite(exact), near, (found == exact) | (np.isnan(found) & np.isnan(exact)))
    assert (same | (np.isnan(found) & np.isnan(cpu))).all()
    assert not np.isfinite(found[~np.isfinite(exact)]).any()
