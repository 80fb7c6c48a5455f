"""The stored file's nodes against the plan's: faults that neither an output nor a constant shows are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from nets import Net, zero_rows
from onnx import TensorProto, helper, numpy_helper
from proofs import prove_feeds
from quantized_models import qdq_network, qoperator_network
from storage_models import convnet, lenet

from edgeticket import api
from edgeticket.errors import ProofError
from edgeticket.graph.proving.feeds.probes import probes
from edgeticket.graph.proving.static.stored_file import check_stored_file
from edgeticket.graph.serialize import serialize
from edgeticket.graph.short_names import with_short_names
from edgeticket.graph.simplify import Simplified, simplify
from edgeticket.graph.storing import storage

BFLOAT16 = np.dtype(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))
Fault = Callable[[onnx.ModelProto], None]


def _sparse(net: Net, *shape: int) -> Any:
    weight = net.normal(*shape)
    weight[net.rng.random(shape) < 0.8] = 0
    return weight


def classes(dtype: Any = np.float32) -> onnx.ModelProto:
    """A convolution, a slope, and the class with the highest score; 80 % zeros."""
    net = Net(("n", 2, 8, 8), dtype=dtype, seed=5)
    maps = net.conv("x", _sparse(net, 16, 2, 3, 3), net.normal(16), pads=[1, 1, 1, 1])
    maps = net.op("LeakyRelu", maps, alpha=0.01)
    maps = net.conv(maps, _sparse(net, 16, 16, 1, 1), net.normal(16), dilations=[1, 1])
    maps = net.op("MaxPool", net.op("LeakyRelu", maps, alpha=0.2), kernel_shape=[8, 8])
    scores = net.gemm(net.op("Flatten", maps), _sparse(net, 10, 16), net.normal(10))
    model = net.model(net.op("ArgMax", scores, axis=1))
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


def _branch(name: str, alpha: float) -> onnx.GraphProto:
    out = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    nodes = [
        helper.make_node("LeakyRelu", ["w"], [f"{name}_slope"], alpha=alpha),
        helper.make_node("Sub", [f"{name}_slope", "offset"], [name]),
    ]
    return helper.make_graph(nodes, name, [], [out])


def choice() -> onnx.ModelProto:
    """Two branches, of which made-up flags take one; a difference; an operator of another domain; two outputs."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 6])
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 6]) for name in ("y", "z")]
    nodes = [
        helper.make_node("Relu", ["x"], ["w"]),
        helper.make_node("If", ["flag"], ["v"], then_branch=_branch("yes", 0.1), else_branch=_branch("no", 0.2)),
        helper.make_node("Sub", ["v", "w"], ["y"]),
        helper.make_node("Scaler", ["v"], ["z"], domain="ai.onnx.ml", offset=[0.5], scale=[2.0]),
    ]
    offset = numpy_helper.from_array(np.float32(0.25), "offset")
    graph = helper.make_graph(nodes, "choice", [x, flag], outputs, [offset])
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def looped() -> onnx.ModelProto:
    """A loop with a sparse weight of its own, which rests in the main graph, and a scan."""
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(24, 24)).astype(np.float32)
    weight[rng.random(weight.shape) < 0.9] = 0
    any_shape = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("state", "next", "row", "sum")
    ]
    step = helper.make_tensor_value_info("step", TensorProto.INT64, [])
    go, again = (helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("go", "again"))
    product = helper.make_node("MatMul", ["state", "inner"], ["product"])
    nodes = [product, helper.make_node("Tanh", ["product"], ["next"]), helper.make_node("Identity", ["go"], ["again"])]
    tensors = [numpy_helper.from_array(weight, "inner")]
    body = helper.make_graph(nodes, "body", [step, go, any_shape[0]], [again, any_shape[1]], tensors)
    add = [helper.make_node("Add", ["row", "state"], ["sum"]), helper.make_node("Elu", ["sum"], ["next"], alpha=0.5)]
    scan = helper.make_graph(add, "scan", [any_shape[0], any_shape[2]], [any_shape[1]])
    main = [
        helper.make_node("Loop", ["times", "", "x"], ["looped"], body=body),
        helper.make_node("Scan", ["start", "looped"], ["y"], body=scan, num_scan_inputs=1),
    ]
    stored = [numpy_helper.from_array(np.array(3), "times"), numpy_helper.from_array(np.zeros(24, np.float32), "start")]
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", ["n", 24]), ("y", [24]))
    )
    graph = helper.make_graph(main, "loops", [x], [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def called() -> onnx.ModelProto:
    """A local function that is called often, so that it stays one."""
    slope = onnx.AttributeProto(name="alpha", type=onnx.AttributeProto.FLOAT, ref_attr_name="slope")
    leaky = helper.make_node("LeakyRelu", ["a"], ["b"])
    leaky.attribute.append(slope)
    body = [leaky, *[helper.make_node("Tanh", [f"{'b' * n}"], [f"{'b' * (n + 1)}"]) for n in range(1, 12)]]
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", "Slope", ["a"], ["b" * 12], body, imports[:1], ["slope"])
    nodes = [helper.make_node("Slope", [f"v{n}"], [f"v{n + 1}"], domain="own", slope=0.1) for n in range(20)]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("v0", "v20"))
    graph = helper.make_graph(nodes, "called", [x], [y])
    return helper.make_model(graph, functions=[function], opset_imports=imports, ir_version=10)


def _plan(model: onnx.ModelProto, **options: Any) -> Simplified:
    return with_short_names(simplify(model, **options))


def _check(plan: Simplified, file: onnx.ModelProto, encoded: Any = None) -> tuple[str, ...]:
    return check_stored_file(serialize(file), plan.layers, plan.model, encoded or {}, lossy=bool(encoded))


def _refused(model: onnx.ModelProto, fault: Fault, said: str) -> None:
    """The file of a model is as it was planned, and with a fault it is not."""
    plan = _plan(model)
    file = storage.store(plan.model).model
    _check(plan, file)
    fault(file)
    with pytest.raises(ProofError, match=said):
        _check(plan, file)


def _nodes(model: onnx.ModelProto, op_type: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == op_type]


def _attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return next(attribute for attribute in node.attribute if attribute.name == name)


@pytest.mark.parametrize("how", ["dense", "gaps", "sparse-initializer", "auto"])
@pytest.mark.parametrize("weights", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize(
    "model",
    [
        classes(), classes(np.float16), classes(BFLOAT16), choice(), looped(), called(), lenet(), convnet(),
        qdq_network(np.int8, True), qoperator_network(np.uint8, False),
    ],
    ids=["classes", "fp16", "bf16", "if", "loop", "function", "lenet", "convnet", "qdq", "qoperator"],
)  # fmt: skip
def test_what_storage_writes_is_the_planned_graph(model: onnx.ModelProto, how: Any, weights: Any) -> None:
    plan = _plan(model)
    stored = storage.store(plan.model, storage=how, weights=weights)
    encoded = {tensor.name: tensor.weights for tensor in stored.tensors if tensor.rounded}
    assert _check(plan, stored.model, encoded) == ()


def test_functions_that_stay_are_held_to_the_plan() -> None:
    plan = _plan(called(), inline=False)
    file = storage.store(plan.model).model
    assert file.functions
    _check(plan, file)
    slope = next(node for node in file.functions[0].node if node.op_type == "Tanh")
    slope.op_type = "Sin"
    with pytest.raises(ProofError, match=r"in the exported file Sin .* stands where Tanh .* was planned"):
        _check(plan, file)


def alpha(file: onnx.ModelProto) -> None:
    """A slope that is 1e-4 more."""
    _attribute(_nodes(file, "LeakyRelu")[0], "alpha").f += 1e-4


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BFLOAT16], ids=["fp32", "fp16", "bf16"])
def test_a_slope_that_no_output_shows_is_refused(dtype: Any) -> None:
    """Nothing but a class is given out: float32 and float16 are the same on every input that is tried."""
    original = classes(dtype)
    plan = _plan(original)
    file = storage.store(plan.model).model
    alpha(file)
    if dtype != BFLOAT16:  # which the runtime does not convolve
        made = probes(original)
        found = prove_feeds(original, serialize(file), [probe.feed for probe in made], simplified=plan)
        assert found.proved, "the outputs tell: this test needs another fault"
    with pytest.raises(ProofError, match=r"LeakyRelu 'v?\w+': its attribute 'alpha' is 0\.0101\d*, planned was 0\.01"):
        _check(plan, file)


def pads(file: onnx.ModelProto) -> None:
    """The border is all on one side."""
    _attribute(_nodes(file, "Conv")[0], "pads").ints[:] = [0, 0, 2, 2]


def strides(file: onnx.ModelProto) -> None:
    """Every other place is left out, which a MaxPool over all of them may hide."""
    _nodes(file, "Conv")[1].attribute.append(helper.make_attribute("strides", [2, 2]))


def dilations(file: onnx.ModelProto) -> None:
    """A kernel of one place has no distances."""
    _attribute(_nodes(file, "Conv")[1], "dilations").ints[:] = [2, 3]


def groups(file: onnx.ModelProto) -> None:
    """The groups are said to be two."""
    _nodes(file, "Conv")[0].attribute.append(helper.make_attribute("group", 2))


def axis(file: onnx.ModelProto) -> None:
    """The class is looked for along another axis."""
    _attribute(_nodes(file, "ArgMax")[0], "axis").i = -1


def operator(file: onnx.ModelProto) -> None:
    """Another operator with the same attributes."""
    _nodes(file, "LeakyRelu")[0].op_type = "Elu"


def domain(file: onnx.ModelProto) -> None:
    """An operator of another domain that has the same name."""
    _nodes(file, "Flatten")[0].domain = "com.microsoft"


def bias_left_out(file: onnx.ModelProto) -> None:
    """The bias rests in the file, and no node reads it."""
    del _nodes(file, "Conv")[0].input[2:]


def bias_of_another(file: onnx.ModelProto) -> None:
    """Two layers read one bias, which has the shape of both."""
    first, second = _nodes(file, "Conv")
    first.input[2] = second.input[2]


def node_added(file: onnx.ModelProto) -> None:
    """A node that no output needs."""
    file.graph.node.append(helper.make_node("Tan", ["x"], ["unread"]))


def node_between(file: onnx.ModelProto) -> None:
    """A node between two of the plan's."""
    node = _nodes(file, "Flatten")[0]
    file.graph.node.insert(list(file.graph.node).index(node), helper.make_node("Relu", [node.input[0]], ["between"]))
    _nodes(file, "Flatten")[0].input[0] = "between"


def opset(file: onnx.ModelProto) -> None:
    """Another version of the standard."""
    file.opset_import[0].version += 1


def import_added(file: onnx.ModelProto) -> None:
    """A domain that no node is of."""
    file.opset_import.append(helper.make_opsetid("com.example", 1))


def ir_version(file: onnx.ModelProto) -> None:
    """An older form of file, in which every initializer is an input."""
    file.ir_version = 3


def output_renamed(file: onnx.ModelProto) -> None:
    """The only output has another name."""
    _nodes(file, "ArgMax")[0].output[0] = file.graph.output[0].name = "renamed"


def output_type(file: onnx.ModelProto) -> None:
    """The batch that was free is 4."""
    file.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (pads, r"Conv '\w+': its attribute 'pads' is \[0, 0, 2, 2\], planned was \[1, 1, 1, 1\]"),
        (strides, r"Conv '\w+': its attribute 'strides' is \[2, 2\], planned was none"),
        (dilations, r"Conv '\w+': its attribute 'dilations' is \[2, 3\], planned was \[1, 1\]"),
        (groups, r"Conv '\w+': its attribute 'group' is 2, planned was none"),
        (axis, r"ArgMax '\w+': its attribute 'axis' is -1, planned was 1"),
        (operator, r"Elu '\w+' stands where LeakyRelu '\w+' was planned"),
        (domain, r"com\.microsoft\.Flatten '\w+' stands where Flatten '\w+' was planned"),
        (bias_left_out, r"Conv '\w+' has 2 inputs, planned were 3"),
        (bias_of_another, r"Conv '\w+' reads the constant '\w+', which has other numbers than '\w+', planned here"),
        (node_added, r"holds a node that was not planned, Tan 'unread'"),
        (node_between, r"Relu 'between' stands where MaxPool '\w+' was planned"),
        (opset, r"imports version 19 of ai\.onnx, planned was 18"),
        (import_added, r"imports version 1 of com\.example, planned was none"),
        (ir_version, r"has IR version 3, planned was 10"),
        (output_renamed, r"has the outputs renamed: int64.*; planned were v\w+: int64"),
        (output_type, r"has the inputs x: float\[4, 2, 8, 8\]; planned were x: float\[n, 2, 8, 8\]"),
    ],
)
def test_a_node_or_port_that_is_not_planned_is_named(fault: Fault, said: str) -> None:
    _refused(classes(), fault, said)


def branch(file: onnx.ModelProto) -> None:
    """A slope in the branch that is seldom taken."""
    body = _attribute(_nodes(file, "If")[0], "else_branch").g
    _attribute(body.node[0], "alpha").f += 1e-4


def branches_swapped(file: onnx.ModelProto) -> None:
    """Each branch stands for the other."""
    first, second = _nodes(file, "If")[0].attribute
    first.name, second.name = second.name, first.name


def captured(file: onnx.ModelProto) -> None:
    """A branch reads the input where it read what was made of it."""
    body = _attribute(_nodes(file, "If")[0], "then_branch").g
    body.node[0].input[0] = "x"


def inputs_swapped(file: onnx.ModelProto) -> None:
    """w - v for v - w."""
    node = _nodes(file, "Sub")[0]
    node.input[:] = list(node.input)[::-1]


def ml_import(file: onnx.ModelProto) -> None:
    """Another version of the operators for trees and labels."""
    next(entry for entry in file.opset_import if entry.domain == "ai.onnx.ml").version = 2


def ports_turned(file: onnx.ModelProto) -> None:
    """Two outputs of one type in the other order."""
    first, second = (onnx.ValueInfoProto.FromString(port.SerializeToString()) for port in file.graph.output)
    del file.graph.output[:]
    file.graph.output.extend([second, first])


def makers_turned(file: onnx.ModelProto) -> None:
    """Two outputs of one type under each other's names."""
    first, second = _nodes(file, "Sub")[0], _nodes(file, "Scaler")[0]
    first.output[0], second.output[0] = second.output[0], first.output[0]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (branch, r"LeakyRelu '\w+': its attribute 'alpha' is 0\.2001\d*, planned was 0\.2"),
        (branches_swapped, r"LeakyRelu '\w+': its attribute 'alpha' is 0\.[12]\d*, planned was 0\.[12]"),
        (captured, r"LeakyRelu '\w+' reads 'x' in the exported file, planned was what Relu '\w+' computes"),
        (inputs_swapped, r"stands where (Relu|If) '\w+' was planned"),
        (ml_import, r"imports version 2 of ai\.onnx\.ml, planned was 3"),
        (ports_turned, r"has the outputs z: float\[n, 6\], y: float\[n, 6\]; planned were y"),
        (makers_turned, r"stands where (Sub|ai\.onnx\.ml\.Scaler) '[yz]' was planned"),
    ],
)
def test_bodies_and_wiring_are_compared(fault: Fault, said: str) -> None:
    _refused(choice(), fault, said)


def test_two_equal_inputs_may_be_swapped_and_two_that_commute_may_not() -> None:
    """x + f(x) and f(x) + x are one number, but not one graph: the plan says which."""
    net = Net(("n", 6))
    plan = _plan(net.model(net.op("Add", net.op("Exp", "x"), net.op("Tanh", "x"))))
    file = storage.store(plan.model).model
    node = _nodes(file, "Add")[0]
    node.input[:] = list(node.input)[::-1]
    with pytest.raises(ProofError, match=r"(Tanh|Exp) '\w+' stands where (Tanh|Exp) '\w+' was planned"):
        _check(plan, file)


def test_an_order_that_the_standard_permits_and_other_names_are_no_difference() -> None:
    net = Net(("n", 6), seed=4)
    left, right = net.gemm("x", _sparse(net, 9, 6)), net.gemm("x", zero_rows(_sparse(net, 9, 6), 2))
    plan = _plan(net.model(net.op("Sub", net.op("Exp", left), net.op("Tanh", right))))
    file = storage.store(plan.model, storage="gaps").model
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in file.graph.node]
    del file.graph.node[:]
    file.graph.node.extend(reversed(nodes))
    made = {name for node in plan.model.graph.node for name in node.output} - {port.name for port in file.graph.output}
    for node in file.graph.node:
        node.input[:] = [f"{name}.other" if name in made else name for name in node.input]
        node.output[:] = [f"{name}.other" if name in made else name for name in node.output]
    _check(plan, file)


def test_constants_may_be_made_in_any_way() -> None:
    """As Constant nodes, by a chain of ours or of somebody else's: what counts is the numbers."""
    net = Net(("n", 6), seed=4)
    plan = _plan(net.model(net.op("Mul", net.gemm("x", _sparse(net, 9, 6)), net.const(np.linspace(0, 1, 9)))))
    file = onnx.ModelProto.FromString(serialize(plan.model))
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in file.graph.initializer}
    del file.graph.initializer[:]
    for number, (name, array) in enumerate(tensors.items()):
        half = numpy_helper.from_array(array * np.float32(0.5))
        file.graph.node.insert(0, helper.make_node("Add", [f"half{number}", f"half{number}"], [name]))
        file.graph.node.insert(0, helper.make_node("Constant", [], [f"half{number}"], value=half))
    _check(plan, file)


def test_a_constant_that_the_plan_computes_may_be_stored() -> None:
    """A table that the plan makes of a few numbers: as numbers, or by other nodes."""
    net = Net(("n", 1), seed=4)
    table = net.op("Range", *[net.const(np.array(number)) for number in (0, 600, 1)])
    plan = _plan(net.model(net.op("Add", "x", net.op("Cast", table, to=TensorProto.FLOAT))))
    assert _nodes(plan.model, "Range")
    file = onnx.ModelProto.FromString(serialize(plan.model))
    nodes = [node for node in file.graph.node if node.op_type == "Add"]
    [name] = [name for name in nodes[0].input if name != "x"]
    del file.graph.node[:]
    file.graph.node.extend(nodes)
    numbers = np.arange(600, dtype=np.float32)
    file.graph.initializer.append(numpy_helper.from_array(numbers, name))
    _check(plan, file)
    file.graph.initializer[-1].CopyFrom(numpy_helper.from_array(numbers + (numbers == 5), name))
    with pytest.raises(ProofError, match="has other numbers than"):
        _check(plan, file)


def test_two_random_numbers_are_not_one() -> None:
    net = Net(("n", 6))
    noise = [net.op("RandomNormalLike", "x") for _ in range(2)]
    plan = _plan(net.model(net.op("Sub", *noise)))
    file = onnx.ModelProto.FromString(serialize(plan.model))
    node = _nodes(file, "Sub")[0]
    node.input[1] = node.input[0]
    with pytest.raises(ProofError, match="stands for two nodes of the plan"):
        _check(plan, file)


@pytest.mark.parametrize("fault", [alpha, dilations, bias_of_another])
def test_export_writes_nothing_where_the_file_is_not_the_plan(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx.save(classes(), tmp_path / "net.onnx")
    honest = storage.store

    def dishonest(model: onnx.ModelProto, **options: Any) -> Any:
        stored = honest(model, **options)
        fault(stored.model)
        return stored

    monkeypatch.setattr(storage, "store", dishonest)
    with pytest.raises(ProofError):
        api.export(tmp_path / "net.onnx", out=tmp_path / "out", bench=False)
    assert not (tmp_path / "out").exists()
