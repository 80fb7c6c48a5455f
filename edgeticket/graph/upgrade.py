"""Older files made ready for packing: weights that are no inputs, and the operator set that rebuilds them.

IR version 3 demands that every initializer is a graph input too, and exporters kept to that after version 4 had freed
them: ONNX Runtime then takes no weight for constant, and fuses nothing. They leave the list of inputs, but for what a
caller is likely to give (the states of recurrent layers), and but for files that list some and not others by choice.

Packing needs opset 11. A lower one is raised by itself where every operator of the model means the same in 11. Where
attributes have become inputs (Clip, Pad, Slice, TopK), onnx.version_converter rewrites them, and Upsample into Resize,
which gets the coordinates that Upsample has (the converter leaves them at their defaults, which are others). What else
differs is converted only when asked to, and the proof decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import onnx
from onnx import version_converter

from edgeticket.graph.passes.note import Note
from edgeticket.graph.protos import STANDARD, bodies_of, nodes_of, standard_version
from edgeticket.text import listing, one_line, plural

NAME = "upgrade"
OPSET = 11
_FREE_IR = 4  # from here on an initializer need not be a graph input
_STATES = {"LSTM": (4, 5, 6), "GRU": (4, 5), "RNN": (4, 5)}

# Operators of opset 7 to 10 whose later versions, up to 11, only take more: axes from behind, more types, defaults.
_WIDENED = frozenset([
    "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast", "Compress", "Concat", "Constant", "Conv",
    "ConvTranspose", "DepthToSpace", "Equal", "Flatten", "Gather", "Gemm", "Greater", "Hardmax", "If", "Less",
    "LogSoftmax", "Loop", "LpPool", "MatMul", "Max", "MaxPool", "MaxUnpool", "Mean", "Min", "OneHot", "PRelu",
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", "Softmax", "Split", "Squeeze", "Sum", "Unsqueeze", "Where",
])  # fmt: skip
_REWRITTEN = frozenset(["Clip", "Pad", "Slice", "TopK"])  # attributes that became inputs, nothing else
_ENLARGING = frozenset(["Resize", "Upsample"])


def upgrade(model: onnx.ModelProto, *, convert: bool) -> tuple[onnx.ModelProto, list[Note]]:
    """The model, or a copy with constant weights and opset 11; `convert` takes risks, which the proof judges."""
    model, notes = _constant_weights(model)
    upgraded, more = _raised(model, convert)
    return upgraded, notes + more


def _constant_weights(model: onnx.ModelProto) -> tuple[onnx.ModelProto, list[Note]]:
    """Initializers that are inputs too, off the list of inputs."""
    given = {tensor.name for tensor in model.graph.initializer}
    listed = {value.name for value in model.graph.input} & given
    if not listed or (model.ir_version >= _FREE_IR and (listed != given or len(given) == 1)):
        return model, []
    states = {
        node.input[index]
        for node in nodes_of(model.graph)
        for index in _STATES.get(node.op_type, ())
        if index < len(node.input)
    }
    freed = listed - states
    if not freed:
        return model, []
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    kept = [value for value in changed.graph.input if value.name not in freed]
    del changed.graph.input[:]
    changed.graph.input.extend(kept)
    changed.ir_version = max(model.ir_version, _FREE_IR)
    why = "IR version 3 had to list them" if model.ir_version < _FREE_IR else "the file lists every initializer there"
    sentence = f"took {plural(len(freed), 'weight')} off the inputs, so that they are constant ({why})"
    return changed, [Note(NAME, len(freed), sentence)]


def _raised(model: onnx.ModelProto, convert: bool) -> tuple[onnx.ModelProto, list[Note]]:
    version = standard_version(model)
    if not 0 < version < OPSET or model.functions:  # functions, where they could not be inlined, have an opset too
        return model, []
    read = _read(model.graph)
    differing = [node for node in nodes_of(model.graph) if not _same(node, version, read)]
    if not differing:
        return _bumped(model), [
            Note(NAME, 1, f"raised opset {version} to {OPSET}, where every operator means the same")
        ]
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    risky = [node for node in differing if node.op_type not in _REWRITTEN and not _enlarges(node, known)]
    way_out = "--upgrade-opset converts what it can, and the proof judges it"
    if not convert and (version < 7 or risky):
        why = f"{_kinds(risky or differing)} may mean another thing in {OPSET}, which packing needs"
        return model, [Note(NAME, 0, f"kept opset {version}: {why}; {way_out}")]
    try:
        converted = version_converter.convert_version(model, OPSET)
        for node in converted.graph.node:
            if node.op_type == "Resize":
                _as_upsample_did(node)
        _check_nodes(converted)
    except Exception as error:  # the converter is C++ and raises what it likes; a model above 2 GB is too large for it
        sentence = f"kept opset {version}: onnx cannot convert {_kinds(differing)} ({one_line(error)})"
        return model, [Note(NAME, 0, sentence)]
    if not convert and not _only_rewritten(model, converted):
        return model, [Note(NAME, 0, f"kept opset {version}: converting it changes other nodes too; {way_out}")]
    del converted.graph.value_info[:]
    converted.ir_version = max(model.ir_version, _oldest_ir())
    return converted, [Note(NAME, 1, f"converted opset {version} to {OPSET}, and with it {_kinds(differing)}")]


def _check_nodes(model: onnx.ModelProto) -> None:
    """Each node by itself: the checker of whole models refuses what every runtime loads, outputs without a shape, say.

    Raises:
        onnx.checker.ValidationError: a node is none of this operator set.
    """
    context = onnx.checker.C.CheckerContext()
    context.ir_version = max(model.ir_version, _oldest_ir())
    context.opset_imports = {entry.domain: entry.version for entry in model.opset_import}
    for node in model.graph.node:
        if node.domain in STANDARD:
            onnx.checker.check_node(node, context)


def _kinds(nodes: list[onnx.NodeProto]) -> str:
    return listing(sorted({node.op_type for node in nodes}))


def _read(graph: onnx.GraphProto) -> set[str]:
    """The names that something reads, outputs among them."""
    names = {value.name for value in graph.output}
    for node in nodes_of(graph):
        names.update(node.input)
        names.update(value.name for body in bodies_of(node) for value in body.output)
    return names


def _same(node: onnx.NodeProto, version: int, read: set[str]) -> bool:
    """Whether the node, as it stands, means the same in opset 11."""
    if node.domain not in STANDARD:
        return True
    try:
        before = onnx.defs.get_schema(node.op_type, version, "")
        after = onnx.defs.get_schema(node.op_type, OPSET, "")
    except onnx.defs.SchemaError:
        return False
    if before.since_version == after.since_version:
        return not after.deprecated
    surplus = [entry for entry in node.attribute if entry.name not in after.attributes]
    if after.deprecated or version < 7 or not all(_by_default(entry, before) for entry in surplus):
        return False
    if node.op_type == "Dropout":  # the mask was no boolean
        return read.isdisjoint(node.output[1:])
    if node.op_type in ("NonMaxSuppression", "Scan", "Slice", "TopK"):
        return before.since_version >= 9
    return node.op_type in _WIDENED


def _by_default(entry: onnx.AttributeProto, schema: onnx.defs.OpSchema) -> bool:
    """An attribute that says what would hold without it, such as BatchNormalization's spatial=1."""
    known = schema.attributes.get(entry.name)
    return known is not None and onnx.helper.get_attribute_value(entry) == onnx.helper.get_attribute_value(
        known.default_value
    )


def _enlarges(node: onnx.NodeProto, known: Mapping[str, onnx.TensorProto]) -> bool:
    """Upsample, or a Resize of opset 10 that does the same: by constant scales of 1 and more."""
    if node.op_type not in _ENLARGING or len(node.input) != 2:
        return node.op_type == "Upsample"
    scales = known.get(node.input[1])
    return node.op_type == "Upsample" or (scales is not None and bool((onnx.numpy_helper.to_array(scales) >= 1).all()))


def _as_upsample_did(node: onnx.NodeProto) -> None:
    """Opset 11 takes other coordinates unless it is told these."""
    given = {entry.name for entry in node.attribute}
    for name, value in (("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor")):
        if name not in given:
            node.attribute.append(onnx.helper.make_attribute(name, value))


def _only_rewritten(before: onnx.ModelProto, after: onnx.ModelProto) -> bool:
    """Whether the converter touched only operators that are known to mean the same, and the constants for them."""
    old, new = (Counter(_text(node) for node in nodes_of(model.graph)) for model in (before, after))
    return {op_type for op_type, _ in new - old} <= {*_REWRITTEN, *_ENLARGING, "Constant"}


def _text(node: onnx.NodeProto) -> tuple[str, bytes]:
    """A node in bytes, without subgraphs: their nodes are looked at by themselves."""
    bare = onnx.NodeProto()
    bare.CopyFrom(node)
    for entry in bare.attribute:
        entry.ClearField("g")
        entry.ClearField("graphs")
    return node.op_type, bare.SerializeToString(deterministic=True)


def _bumped(model: onnx.ModelProto) -> onnx.ModelProto:
    raised = onnx.ModelProto()
    raised.CopyFrom(model)
    for node in nodes_of(raised.graph):
        if node.domain not in STANDARD:
            continue
        known = onnx.defs.get_schema(node.op_type, OPSET, "").attributes
        kept = [entry for entry in node.attribute if entry.name in known]
        if len(kept) < len(node.attribute):
            del node.attribute[:]
            node.attribute.extend(kept)
    for entry in raised.opset_import:
        if entry.domain in STANDARD:
            entry.version = OPSET
    raised.ir_version = max(model.ir_version, _oldest_ir())
    return raised


def _oldest_ir() -> int:
    return int(onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", OPSET)]))
