"""What two models, and two nodes, are compared by: imports, ports, functions, attributes; differences in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, helper, numpy_helper

from edgeticket.graph.protos import STANDARD, nodes_of
from edgeticket.graph.proving.static.scopes import equal
from edgeticket.text import one_line

_BODIES = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
_LONGEST = 80


def outline_differs(file: onnx.ModelProto, planned: onnx.ModelProto) -> str:
    """What a model is beside its nodes, where the file differs from the plan: a sentence, or ''."""
    if file.ir_version < planned.ir_version:  # sparse initializers raise it
        return f"the exported file has IR version {file.ir_version}, planned was {planned.ir_version}"
    used = {node.domain for node in nodes_of(file.graph)}
    if said := _imports_differ(file, planned, used, "the exported file"):
        return said
    for what in ("input", "output"):
        ports, its_ports = getattr(planned.graph, what), getattr(file.graph, what)
        texts, its_texts = ([f"{port.name}: {type_text(port.type)}" for port in each] for each in (ports, its_ports))
        if texts != its_texts:
            return f"the exported file has the {what}s {', '.join(its_texts)}; planned were {', '.join(texts)}"
    listed, its_listed = (Counter(_key(each) for each in model.functions) for model in (planned, file))
    if listed != its_listed or max(listed.values(), default=1) > 1:
        names = [", ".join(name for _, name, _ in each) or "none" for each in (its_listed, listed)]
        return f"the exported file has the functions {names[0]}; planned were {names[1]}"
    return _functions_differ(file, planned)


def _functions_differ(file: onnx.ModelProto, planned: onnx.ModelProto) -> str:
    found = {_key(each): each for each in file.functions}
    for function in planned.functions:
        other, name = found[_key(function)], f"the exported function {function.name!r}"
        if said := _imports_differ(other, function, {node.domain for node in other.node}, name):
            return said
        for what in ("input", "output"):
            if len(getattr(function, what)) != len(getattr(other, what)):
                return f"{name} has {len(getattr(other, what))} {what}s, planned were {len(getattr(function, what))}"
        defaults, others = ({each.name: each for each in f.attribute_proto} for f in (function, other))
        if set(function.attribute) != set(other.attribute) or set(defaults) != set(others):
            return f"{name} takes other attributes than were planned"
        for key, attribute in defaults.items():
            if said := attribute_differs(attribute, others[key]):
                return f"{name}: {said}"
    return ""


def _key(function: onnx.FunctionProto) -> tuple[str, str, str]:
    return function.domain, function.name, function.overload


def _imports_differ(file: Any, planned: Any, used: set[str], where: str) -> str:
    """Of models and of functions. What rebuilds constants may need an import that the plan does not have."""
    versions, its_versions = _imports(planned), _imports(file)
    for domain in versions | its_versions:
        version, its = versions.get(domain), its_versions.get(domain)
        if version != its and not (version is None and domain in used):
            wanted = "none" if version is None else f"{version}"
            return f"{where} imports version {its or 'none'} of {domain or 'ai.onnx'}, planned was {wanted}"
    return ""


def _imports(holder: Any) -> dict[str, int]:
    return {"" if each.domain in STANDARD else each.domain: each.version for each in holder.opset_import}


def type_text(given: onnx.TypeProto) -> str:
    """A type as people read it, whole: two types are the same if these are."""
    if given.HasField("tensor_type") and not given.denotation:
        tensor = given.tensor_type
        name = onnx.TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type in _TYPES else str(tensor.elem_type)
        if not tensor.HasField("shape"):
            return f"{name.lower()} of any shape"
        dims = [dim.dim_param or (str(dim.dim_value) if dim.HasField("dim_value") else "?") for dim in tensor.shape.dim]
        return f"{name.lower()}[{', '.join(dims)}]"
    return " ".join(str(given).split()) or "of no type"


_TYPES = frozenset(onnx.TensorProto.DataType.values())


def kind(node: onnx.NodeProto) -> tuple[str, str, str]:
    """What a node computes but for its attributes: its domain, operator and overload."""
    return "" if node.domain in STANDARD else node.domain, node.op_type, node.overload


def operator(node: onnx.NodeProto) -> str:
    """A node as messages call it: its operator, and its name or that of what it makes."""
    domain = "" if node.domain in STANDARD else f"{node.domain}."
    name = node.name or next((output for output in node.output if output), "")
    return f"{domain}{node.op_type} {name!r}"


def trimmed(names: Sequence[str]) -> list[str]:
    """Inputs or outputs without the empty ones at the end, which mean nothing."""
    kept = list(names)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def bodies(node: onnx.NodeProto) -> Iterator[tuple[str, onnx.GraphProto]]:
    """The bodies of a node by name, in the order of their names."""
    for attribute in sorted(node.attribute, key=lambda each: each.name):
        for body in [attribute.g] if attribute.type == AttributeProto.GRAPH else attribute.graphs:
            yield f"the body {attribute.name!r}", body


def attributes_differ(planned: onnx.NodeProto, stored: onnx.NodeProto) -> str:
    """The first attribute in which two nodes differ, in a clause; '' if there is none. Bodies are only counted."""
    wanted, found = ({each.name: each for each in node.attribute} for node in (planned, stored))
    for name in [*wanted, *(each for each in found if each not in wanted)]:
        if name not in found:
            return f"its attribute {name!r} is missing, planned was {_shown(wanted[name])}"
        if name not in wanted:
            return f"its attribute {name!r} is {_shown(found[name])}, planned was none"
        if said := attribute_differs(wanted[name], found[name]):
            return said
    return ""


def attribute_differs(planned: AttributeProto, stored: AttributeProto, was: str = "planned was") -> str:
    """How two attributes of one name differ, in a clause; '' if they do not. Bodies are only counted."""
    if planned.type in _BODIES and planned.type == stored.type and len(planned.graphs) == len(stored.graphs):
        return ""
    if plain_bytes(planned) == plain_bytes(stored):
        return ""
    tensors = planned.type == stored.type == AttributeProto.TENSOR and planned.t.data_type == stored.t.data_type
    if tensors and equal(numpy_helper.to_array(planned.t), numpy_helper.to_array(stored.t)):
        return ""
    return f"its attribute {planned.name!r} is {_shown(stored)}, {was} {_shown(planned)}"


def plain_bytes(attribute: AttributeProto) -> bytes:
    """An attribute without what nobody computes with: doc strings, the name of a tensor."""
    plain = AttributeProto()
    plain.CopyFrom(attribute)
    plain.ClearField("doc_string")
    if plain.HasField("t"):
        plain.t.ClearField("name")
        plain.t.ClearField("doc_string")
    return bytes(plain.SerializeToString(deterministic=True))


def _shown(attribute: AttributeProto) -> str:
    if attribute.ref_attr_name:
        return f"that of {attribute.ref_attr_name!r}"
    try:
        value = helper.get_attribute_value(attribute)
    except ValueError:
        return "of no known kind"
    if isinstance(value, onnx.TensorProto):
        array = numpy_helper.to_array(value)
        value = array.tolist() if array.size == 1 else f"{array.dtype}{list(array.shape)}"
    elif isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return one_line(np.float32(value) if isinstance(value, float) else value, _LONGEST)
