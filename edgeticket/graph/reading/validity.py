"""What is wrong with a graph that the runtime refuses: operators against their definitions, then types and shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx

from edgeticket.errors import InputError, ModelError
from edgeticket.graph.inference import inferred
from edgeticket.graph.protos import STANDARD
from edgeticket.graph.serialize import LIMIT_BYTES
from edgeticket.text import one_line

_LONGEST = 300


def fault_of(model: onnx.ModelProto) -> str:
    """Why the model breaks the standard, in one line; '' where it does not, or nobody can say.

    An operator that onnx does not know breaks nothing: it may be the runtime's own.
    """
    context = type(onnx.checker.DEFAULT_CONTEXT)()
    context.ir_version = model.ir_version
    context.opset_imports = {entry.domain.replace("ai.onnx", "", 1): entry.version for entry in model.opset_import}
    for number, node in enumerate(model.graph.node):
        if node.domain in STANDARD and not any(part.HasField("g") or part.graphs for part in node.attribute):
            try:
                onnx.checker.check_node(node, context)
            except Exception as error:  # a ValidationError, or what the C++ below it raises
                if said := _said(error):
                    name = node.name or next((output for output in node.output if output), "")
                    return f"node {number} ({node.op_type} {name!r}): {said}"
    if model.ByteSize() > LIMIT_BYTES:
        return ""
    try:
        inferred(model, strict=True)
    except Exception as error:  # likewise
        return _said(error)
    return ""


@contextmanager
def blamed_on_faults(model: onnx.ModelProto) -> Iterator[None]:
    """What fails on a model that breaks the standard is the model's fault.

    Raises:
        ModelError: in place of an error that is no InputError, where the model breaks the standard.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if fault := fault_of(model):
            raise ModelError(invalid(fault)) from error
        raise


def invalid(fault: str) -> str:
    """The sentence on a model that breaks the standard."""
    return f"no valid ONNX model: {fault}. Export it again."


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    unknown = "No Op registered" in text or "No opset import" in text or "not a registered" in text
    return "" if unknown else one_line(text, _LONGEST).rstrip(" .")
