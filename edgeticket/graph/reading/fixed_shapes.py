"""The shape of an input, written into the graph: --fix-shape.

A dimension's name means one number everywhere in a graph, so that what is given for one input fixes the same name in
other inputs, in outputs and in the annotations of inner values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import onnx

from edgeticket.errors import InputError
from edgeticket.graph.intermediate import to_ir
from edgeticket.graph.passes.canonicalise import canonicalise
from edgeticket.graph.passes.fold_constants import fold_constants
from edgeticket.graph.passes.fold_shapes import fold_shapes
from edgeticket.graph.protos import without_default
from edgeticket.graph.values import shape_of


def with_fixed_shapes(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    """A copy of the model whose inputs have these shapes, and outputs what follows from them.

    Raises:
        InputError: there is no such input, or it is declared with another shape.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    inputs = {value.name: value for value in without_default(fixed.graph)}
    numbers: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in inputs:
            raise InputError(f"there is no input {name!r} to give a shape; the inputs are {', '.join(sorted(inputs))}")
        _fix(inputs[name], shape, numbers)
    for value in _values(fixed.graph):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in numbers:
                dim.dim_value = numbers[dim.dim_param]
    _fix_outputs(fixed)
    return fixed


def _fix(value: onnx.ValueInfoProto, shape: Sequence[int], numbers: dict[str, int]) -> None:
    """Write `shape` into an input; what its names stand for is added to `numbers`."""
    kind = value.type.tensor_type
    declared = list(kind.shape.dim) if kind.HasField("shape") else [onnx.TensorShapeProto.Dimension()] * len(shape)
    asked = f"--input-shape {value.name}={'x'.join(map(str, shape))}"
    if not value.type.HasField("tensor_type"):
        raise InputError(f"{asked}: the input is no tensor, so it has no shape to be fixed")
    if len(declared) != len(shape):
        raise InputError(f"{asked}: the model declares {len(declared)} axes for it, not {len(shape)}; give as many")
    for axis, (dim, number) in enumerate(zip(declared, shape, strict=True)):
        known = numbers.get(dim.dim_param) if dim.dim_param else None
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            known = dim.dim_value
        if known not in (None, number):
            said = f"and {dim.dim_param!r} is {known} in another input" if dim.dim_param else f"where it has {known}"
            raise InputError(f"{asked}: axis {axis} would be {number}, {said}; give the same number")
        if dim.dim_param:
            numbers[dim.dim_param] = number
    kind.shape.ClearField("dim")
    kind.shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=number) for number in shape)


def _fix_outputs(model: onnx.ModelProto) -> None:
    """Give open axes of the outputs the numbers that follow from the inputs."""
    found = _inferred(model)
    for value in model.graph.output:
        shape = found.get(value.name)
        if shape is None or not value.type.HasField("tensor_type"):
            continue
        declared = value.type.tensor_type.shape
        if not value.type.tensor_type.HasField("shape"):
            declared.dim.extend(onnx.TensorShapeProto.Dimension() for _ in shape)
        if len(declared.dim) == len(shape):
            for dim, number in zip(declared.dim, shape, strict=True):
                if number is not None:
                    dim.dim_value = number


def _inferred(proto: onnx.ModelProto) -> dict[str, list[int | None]]:
    """The shapes of the outputs that follow from the inputs', shape arithmetic included, annotations aside."""
    try:
        model = to_ir(proto)
        for run in (fold_constants, fold_shapes, canonicalise):
            run(model)
    except Exception:  # simplify will say it: a shape that is not known stays open
        return {}
    shapes = {value.name or "": shape_of(value) for value in model.graph.outputs}
    return {
        name: [dim if isinstance(dim, int) else None for dim in shape]
        for name, shape in shapes.items()
        if shape is not None
    }


def _values(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    yield from graph.input
    yield from graph.output
    yield from graph.value_info
