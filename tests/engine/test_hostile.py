"""Models that lie or ask for the absurd: left to the runtime, or an error in words; never a crash."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from small_models import claimed, feed, model, node, session, sparse

from edgeticket import runtime

HUGE = 2**62
BAD_BIAS = sparse(2, 4)


def opened(proto: onnx.ModelProto) -> set[str]:
    """What was claimed; nothing of a model that ONNX Runtime refuses by itself."""
    try:
        ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception:  # the bindings' classes have no base of their own
        with pytest.raises(Exception, match=r"."):
            session(proto, claim="always")
        return set()
    return claimed(session(proto, claim="always"))


def convolution(shape: list[int | str], weight: tuple[int, ...], **attributes: object) -> onnx.ModelProto:
    nodes = [node("Conv", ["x", "w"], ["y"], **attributes)]
    return model(nodes, {"x": shape}, {"y": [f"d{i}" for i in range(len(shape))]}, {"w": sparse(1, *weight)})


@pytest.mark.parametrize(
    "proto",
    [
        convolution(["N", 3, HUGE, HUGE], (4, 3, 3, 3)),
        convolution(["N", 3, 2**40, 2**40], (4, 3, 1, 1)),
        convolution(["N", 3, 2**31, 4], (4, 3, 1, 1)),
        convolution(["N", 3, 8, 8], (4, 3, 3, 3), pads=[HUGE, HUGE, HUGE, HUGE]),
        convolution(["N", 3, 8, 8], (4, 3, 3, 3), strides=[HUGE, 1]),
        convolution(["N", 3, 8, 8], (4, 3, 3, 3), dilations=[HUGE, HUGE]),
        pytest.param(
            convolution(["N", 3, 8, 8], (4, 3, 3, 3), strides=[0, 1]),
            marks=pytest.mark.skipif(
                runtime.VERSION.startswith("1.24."), reason="ONNX Runtime 1.24 itself divides by a stride of 0"
            ),
        ),
        convolution(["N", 3, 8, 8], (4, 3, 3, 3), pads=[-1, -1, -1, -1]),
        convolution(["N", 3, 8, 8], (4, 3, 3, 3), pads=[1, 1]),
        convolution(["N", 3, 8, 8], (4, 3, 3, 3), group=0),
        convolution(["N", 3, 8, 8], (4, 3, 3, 3), group=-1),
        convolution(["N", 3, 8, 8], (4, 3, 3, 3), kernel_shape=[5, 5]),
        convolution(["N", 3, 8, 8], (4, 3, 9, 9)),
        convolution(["N", 5, 8, 8], (4, 3, 3, 3)),
        convolution(["N", 3, 8, 8], (4, 3, 3)),
        convolution(["N", 3, 8, 0], (4, 3, 1, 1)),
        convolution(["N", 3, "H", "W"], (4, 3, 3, 3)),
        convolution(["N", 3, 8, 8], (4, 3, 1, 1), auto_pad="ODD"),
        model([node("Gemm", ["x", "w"], ["y"])], {"x": ["N", 7]}, {"y": ["N", 3]}, {"w": sparse(1, 9, 3)}),
        model(
            [node("Gemm", ["x", "w", "b"], ["y"])],
            {"x": ["N", 9]},
            {"y": ["N", 3]},
            {"w": sparse(1, 9, 3), "b": BAD_BIAS},
        ),
        model([node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 9]}, {"y": ["N"]}, {"w": sparse(1, 9)}),
        model(
            [node("MaxPool", ["x"], ["y"], kernel_shape=[HUGE, HUGE])], {"x": ["N", 3, 8, 8]}, {"y": ["N", 3, 1, 1]}, {}
        ),
        model(
            [node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], pads=[2, 2, 2, 2])],
            {"x": ["N", 3, 8, 8]},
            {"y": ["N", 3, 11, 11]},
            {},
        ),
        model(
            [node("Clip", ["x", "l", "h"], ["y"])],
            {"x": ["N", 8]},
            {"y": ["N", 8]},
            {"l": np.array(np.nan, np.float32), "h": np.array(1, np.float32)},
        ),
    ],
)
def test_absurd_attributes_and_shapes_are_not_claimed(proto: onnx.ModelProto) -> None:
    assert not opened(proto)


@pytest.mark.parametrize("claim", ["auto", "always", "timed"])
@pytest.mark.parametrize("far", [1000, 2**16, 2**16 + 1, 2**30, 2**31 - 1, 2**31])
def test_windows_that_reach_far_into_padding_are_not_laid_out(far: int, claim: str) -> None:
    """Three outputs in each direction, of which the middle one reads a pixel."""
    nodes = [node("Conv", ["x", "w"], ["y"], pads=[far] * 4, strides=[far] * 2)]
    proto = model(nodes, {"x": [1, 3, 8, 8]}, {"y": [1, 4, 3, 3]}, {"w": sparse(1, 4, 3, 1, 1)})
    x = feed(proto)["x"]
    try:
        expected = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(
            None, {"x": x}
        )
    except Exception:  # of the bindings
        pytest.skip("ONNX Runtime itself refuses it")
    made = session(proto, claim=claim)
    assert not claimed(made)
    np.testing.assert_array_equal(made.run(None, {"x": x})[0], expected[0])


@pytest.mark.parametrize("step", [2**30, 2**31])
def test_a_stride_beyond_the_image_is_not_laid_out(step: int) -> None:
    proto = model(
        [node("Conv", ["x", "w"], ["y"], strides=[step] * 2)],
        {"x": [1, 3, 8, 8]},
        {"y": [1, 4, 1, 1]},
        {"w": sparse(1, 4, 3, 1, 1)},
    )
    assert not opened(proto)


def test_rows_that_a_reshape_cannot_divide_are_an_error_in_words() -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Reshape", ["a", "to"], ["r"]), node("MatMul", ["r", "v"], ["y"])]
    constants = {"w": sparse(1, 16, 16), "to": np.array([-1, 3, 16]), "v": sparse(2, 16, 8)}
    proto = model(nodes, {"x": ["N", 16]}, {"y": ["M", 3, 8]}, constants)
    made = session(proto, claim="always", optimize=False)
    assert claimed(made) == {"a", "r", "y"}
    assert made.run(None, {"x": np.ones((6, 16), np.float32)})[0].shape == (2, 3, 8)
    for rows in (7, 8, 1, 2):
        with pytest.raises(Exception, match=f"does not hold {rows} items"):
            made.run(None, {"x": np.ones((rows, 16), np.float32)})


def test_as_many_rows_in_other_shapes_are_an_error_in_words() -> None:
    nodes = [node("MatMul", ["a", "w"], ["c"]), node("MatMul", ["b", "w"], ["d"]), node("Add", ["c", "d"], ["y"])]
    proto = model(nodes, {"a": ["N", "S", 4], "b": ["N", "S", 4]}, {"y": ["N", "S", 3]}, {"w": sparse(1, 4, 3)})
    made = session(proto, claim="always", optimize=False)
    assert claimed(made) == {"c", "d", "y"}
    with pytest.raises(Exception, match="the same number of rows, 12, in different shapes"):
        made.run(None, {"a": np.ones((2, 6, 4), np.float32), "b": np.ones((3, 4, 4), np.float32)})


def test_a_bias_that_beta_switches_off_is_not_read() -> None:
    proto = model(
        [node("Gemm", ["x", "w", "b"], ["y"], beta=0.0)],
        {"x": ["N", 4]},
        {"y": ["N", 3]},
        {"w": sparse(1, 4, 3), "b": np.full(3, np.nan, np.float32)},
    )
    made = session(proto, claim="always")
    assert claimed(made) == {"y"}
    assert np.isfinite(made.run(None, {"x": np.ones((2, 4), np.float32)})[0]).all()


def test_an_absurd_batch_is_an_error_of_memory() -> None:
    nodes = [node("MatMul", ["x", "w"], ["y"])]
    proto = model(nodes, {"x": ["N", "T", 1]}, {"y": ["N", "T", 2**20]}, {"w": sparse(1, 1, 2**20)})
    made = session(proto, claim="always")
    with pytest.raises(Exception, match=r"(?i)alloc|memory|size"):
        made.run(None, {"x": np.ones((2**10, 2**15, 1), np.float32)})
    assert made.run(None, {"x": np.ones((1, 2, 1), np.float32)})[0].shape == (1, 2, 2**20)


def test_a_shape_that_the_model_states_wrongly_is_checked_when_it_runs() -> None:
    """The output of a Reshape by a computed shape is declared [2, 8] and comes as [4, 4]."""
    nodes = [node("Reshape", ["x", "shape"], ["r"]), node("Gemm", ["r", "w"], ["y"])]
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, [2])
    proto = model(nodes, {"x": [16], "shape": shape}, {"y": [2, 3]}, {"w": sparse(1, 8, 3)})
    proto.graph.value_info.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, [2, 8]))
    made = session(proto, claim="always")
    assert claimed(made) == {"y"}
    x = np.ones(16, np.float32)
    assert made.run(None, {"x": x, "shape": np.array([2, 8])})[0].shape == (2, 3)
    with pytest.raises(Exception, match="input r has size 4 in dimension 1; the model says 8"):
        made.run(None, {"x": x, "shape": np.array([4, 4])})


def test_two_inputs_of_different_batches_are_an_error_in_words() -> None:
    """Both dimensions are called N, which the runtime does not enforce."""
    nodes = [node("MatMul", ["a", "w"], ["c"]), node("MatMul", ["b", "w"], ["d"]), node("Add", ["c", "d"], ["y"])]
    shape = {"a": ["N", 4], "b": ["N", 4]}
    proto = model(nodes, shape, {"y": ["N", 3]}, {"w": sparse(1, 4, 3)})
    made = session(proto, claim="always", optimize=False)
    assert claimed(made) == {"c", "d", "y"}
    with pytest.raises(Exception, match=r"have (2 and 5|5 and 2) items"):
        made.run(None, {"a": np.ones((2, 4), np.float32), "b": np.ones((5, 4), np.float32)})


def test_an_error_of_compute_raises_where_falling_back_is_allowed() -> None:
    """ORT_FAIL, not ORT_EP_FAIL: Python must not build the session again on the CPU provider."""
    nodes = [node("MatMul", ["a", "w"], ["c"]), node("Add", ["c", "b"], ["y"])]
    proto = model(nodes, {"a": ["N", 4], "b": ["N", 3]}, {"y": ["N", 3]}, {"w": sparse(1, 4, 3)})
    made = session(proto, claim="always", optimize=False)
    made.enable_fallback()
    with pytest.raises(Exception, match="EdgeTicketExecutionProvider: the inputs of a fused region"):
        made.run(None, {"a": np.ones((2, 4), np.float32), "b": np.ones((1, 3), np.float32)})
    assert "EdgeTicketExecutionProvider" in made.get_providers()


def test_names_with_quotes_and_control_characters(tmp_path: Path) -> None:
    odd = 'a"b\\c\n\t'
    proto = model([node("Gemm", ["x", "w"], [odd])], {"x": ["N", 4]}, {odd: ["N", 3]}, {"w": sparse(1, 4, 3)})
    path = tmp_path / "r.json"
    session(proto, claim="always", report=str(path))
    assert json.loads(path.read_text())[0]["name"] == odd


def test_random_bytes_in_the_weights() -> None:
    """Every bit pattern is a weight: NaN, infinity and denormals go through as the CPU provider has them."""
    weight = np.random.default_rng(0).integers(0, 2**32, (16, 16), np.uint32).view(np.float32)
    proto = model([node("Gemm", ["x", "w"], ["y"])], {"x": ["N", 16]}, {"y": ["N", 16]}, {"w": weight})
    x = feed(proto, N=2)["x"]
    with np.errstate(all="ignore"):
        exact = x.astype(np.float64) @ weight.astype(np.float64)
    found = session(proto, claim="always").run(None, {"x": x})[0]
    np.testing.assert_array_equal(np.isnan(found) | np.isinf(found), np.isnan(exact) | (np.abs(exact) > 3.4028235e38))


def test_a_process_that_ends_at_once() -> None:
    """No session is closed, no library unloaded by hand: the exit is clean all the same."""
    code = (
        "import numpy as np, edgeticket.runtime as rt, onnx\n"
        "from onnx import helper as h, numpy_helper as n\n"
        "i = h.make_tensor_value_info('x', 1, [1, 64]); o = h.make_tensor_value_info('y', 1, [1, 64])\n"
        "w = n.from_array(np.eye(64, dtype=np.float32), 'w')\n"
        "g = h.make_graph([h.make_node('MatMul', ['x', 'w'], ['y'])], 'g', [i], [o], [w])\n"
        "m = h.make_model(g, opset_imports=[h.make_opsetid('', 18)], ir_version=8).SerializeToString()\n"
        "s = rt.session(m, threads=2, provider_options={'claim': 'always'})\n"
        "print(rt.run(s, {'x': np.ones((1, 64), np.float32)})['y'].sum())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "64.0"), done.stderr
