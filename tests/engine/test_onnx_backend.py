"""The operator tests that the onnx package ships, for every operator that the provider takes, in real sessions.

There the weights are inputs of the graph: here they are initialisers, as in a model to be run, as they are and with
90 % zeros. `LEFT` names every case that is left to the CPU provider, with the reason given for it: all the others have
to be claimed.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from float64 import Float64, tolerances
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from small_models import claimed, reasons, session

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # some cases overflow on purpose while they are made
    from onnx.backend.test.case.node import collect_testcases
    from onnx.backend.test.case.test_case import TestCase as Case

    _ALL = collect_testcases(None)

Feeds = dict[str, NDArray[np.generic]]

ROOT = Path(__file__).resolve().parents[2]
_TABLE = (ROOT / "export/src/onnx/operators/operators.h").read_text()
OPERATORS = set(re.findall(r'\{"(\w+)", Op::', _TABLE))  # that the plugin reads
CONSTANT = {  # operator -> its inputs that are constants in a model; of the others none is
    "Clip": (1, 2),
    "Conv": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (1,),
    "ReduceMean": (1,),
    "Reshape": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
}
_REASONS = {
    "x is not float32": (
        *(f"add_{kind}" for kind in ("int8", "int16", "uint8", "uint16", "uint32", "uint64")),
        *("clip_default_int8_inbounds", "clip_default_int8_max", "clip_default_int8_min", "maxpool_2d_uint8"),
    ),
    "x has 5 dimensions": (
        *("averagepool_3d_default", "averagepool_3d_dilations_small", "maxpool_3d_default", "maxpool_3d_dilations"),
        *("maxpool_3d_dilations_use_ref_impl", "maxpool_3d_dilations_use_ref_impl_large"),
        *(
            f"averagepool_3d_dilations_large_count_include_pad_is_{pad}_ceil_mode_is_{ceil}"
            for pad in (0, 1)
            for ceil in (False, True)
        ),
    ),
    "the operands differ in rank": ("add_bcast",),
    "the output's size does not follow from ceil_mode": (
        *("averagepool_2d_ceil_last_window_starts_on_pad", "maxpool_2d_ceil_output_size_reduce_by_one"),
    ),
    "the indices of the largest are asked for": (
        *("maxpool_with_argmax_2d_precomputed_pads", "maxpool_with_argmax_2d_precomputed_strides"),
    ),
    "its bounds are not in order": ("clip_min_greater_than_max",),
    "it moves elements between items": (
        *("flatten_axis0", "flatten_axis2", "flatten_negative_axis2", "flatten_negative_axis4"),
        "reshape_reordered_all_dims",
    ),
    "the size of reshaped, [3, 4, 0], is not known before it runs": ("reshape_allowzero_reordered",),
    "reshaped has 1 dimensions": ("reshape_one_dim",),
    "transA is set": ("gemm_all_attributes", "gemm_transposeA"),
    "the bias [3, 4] differs from row to row": ("gemm_default_matrix_bias",),
    "the right operand b is not a matrix": (
        *("matmul_1d_1d", "matmul_1d_3d", "matmul_3d", "matmul_4d", "matmul_4d_1d", "matmul_bcast"),
    ),
    "the mean is over axes [], not over all of height and width": (
        *("reduce_mean_default_axes_keepdims_example", "reduce_mean_default_axes_keepdims_random"),
    ),
    "the mean is over axes [1], not over all of height and width": tuple(
        f"reduce_mean_{form}_{data}"
        for form in ("do_not_keepdims", "keepdims", "negative_axes_keepdims")
        for data in ("example", "random")
    ),
}
LEFT = {name: reason for reason, names in _REASONS.items() for name in names}
NEWEST_OPSET = 21  # that every supported runtime guarantees; no operator here has changed its float32 form since


def taken(case: Case) -> bool:
    nodes = case.model.graph.node
    return (
        len(nodes) == 1 and nodes[0].domain == "" and nodes[0].op_type in OPERATORS and len(case.data_sets or []) == 1
    )


CASES = {case.name.removeprefix("test_"): case for case in _ALL if taken(case)}


def has_weights(case: Case) -> bool:
    return case.model.graph.node[0].op_type in ("Conv", "Gemm", "MatMul")


def with_constants(case: Case, zeros: float, *positions: int) -> tuple[onnx.ModelProto, Feeds]:
    """The case's model with its weights inside, this share of them zero, and the inputs that are left.

    The inputs at `positions` become constants, or those that CONSTANT names.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(case.model)
    node = proto.graph.node[0]
    node.name = "it"
    proto.ir_version = 10
    for opset in proto.opset_import:
        opset.version = min(opset.version, NEWEST_OPSET)
    assert case.data_sets is not None
    feeds = dict(zip((value.name for value in proto.graph.input), case.data_sets[0][0], strict=True))
    for position in positions or CONSTANT.get(node.op_type, ()):
        name = node.input[position] if position < len(node.input) else ""
        if not name:
            continue
        array = np.array(feeds.pop(name))
        if position == 1 and has_weights(case):
            array.flat[np.random.default_rng(0).permutation(array.size)[: int(zeros * array.size)]] = 0
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    kept = [value for value in proto.graph.input if value.name in feeds]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    return proto, feeds


def compare(proto: onnx.ModelProto, feeds: Feeds) -> NDArray[np.generic]:
    """The claimed node's output, within what float32 may differ from float64."""
    made = session(proto, claim="always")
    made.disable_fallback()
    assert claimed(made) == {"it"}
    found = made.run(None, feeds)[0]
    name = proto.graph.output[0].name
    exact = Float64(proto, feeds).outputs[name]
    assert found.shape == exact.shape
    assert (np.abs(found - exact) <= tolerances(proto, feeds)[name]).all()
    return np.asarray(found)


@pytest.mark.parametrize("name", sorted(CASES.keys() - LEFT.keys()))
def test_claimed(name: str) -> None:
    """Beside float64, beside what onnx says: that shows the float64 reference itself to be right."""
    case = CASES[name]
    found = compare(*with_constants(case, 0))
    assert case.data_sets is not None
    np.testing.assert_allclose(found, case.data_sets[0][1][0], rtol=case.rtol, atol=1e-6)


@pytest.mark.parametrize("name", sorted(n for n in CASES.keys() - LEFT.keys() if has_weights(CASES[n])))
def test_claimed_with_nine_of_ten_weights_zero(name: str) -> None:
    proto, feeds = with_constants(CASES[name], 0.9)
    weight = numpy_helper.to_array(proto.graph.initializer[0])
    assert 0 < np.count_nonzero(weight == 0) < weight.size
    compare(proto, feeds)


@pytest.mark.parametrize("form", ["do_not_keepdims", "keepdims", "negative_axes_keepdims"])
def test_a_mean_over_the_image_is_claimed(form: str) -> None:
    """onnx has means over other axes alone: its cases, over the last axis, which is all of a 1-d image."""
    proto, feeds = with_constants(CASES[f"reduce_mean_{form}_random"], 0)
    axis = -1 if form.startswith("negative") else 2
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([axis]), "axes"))
    sizes = (3, 2) if form == "do_not_keepdims" else (3, 2, 1)
    output = proto.graph.output[0]
    output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, sizes))
    compare(proto, feeds)


def test_an_addend_that_is_constant() -> None:
    """The same for every item: claimed; as large as the batch: not."""
    compare(*with_constants(CASES["add_bcast"], 0, 1))


def test_an_addend_that_differs_from_item_to_item(tmp_path: Path) -> None:
    proto, _ = with_constants(CASES["add"], 0, 1)
    reason = "the addend [3, 4, 5] is not the same for every item of [3, 4, 5]"
    assert reasons(proto, tmp_path, claim="always") == {"it": reason}


@pytest.mark.parametrize("name", sorted(LEFT))
def test_left_to_the_cpu_provider(name: str, tmp_path: Path) -> None:
    proto, _ = with_constants(CASES[name], 0)
    assert reasons(proto, tmp_path, claim="always") == {"it": LEFT[name]}


def test_no_operator_is_left_out_and_none_is_only_left() -> None:
    """Every operator has cases, and every operator has one that is claimed, ReduceMean by the variant below."""
    assert len(OPERATORS) >= 17
    assert {case.model.graph.node[0].op_type for case in CASES.values()} == OPERATORS
    assert LEFT.keys() <= CASES.keys()
    claims = {CASES[name].model.graph.node[0].op_type for name in CASES.keys() - LEFT.keys()}
    assert OPERATORS - claims == {"ReduceMean"}


def test_the_document_names_every_operator() -> None:
    document = (ROOT / "docs/engine.md").read_text()
    section = document[document.index("## What it runs") : document.index("## What it does not")]
    assert {name for name in OPERATORS if not re.search(rf"\b{name}\b", section)} == set()
