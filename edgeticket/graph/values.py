"""Small helpers on onnx-ir values: constants that nobody can override, names, ownership, known operators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgeticket.graph.origins import COMPUTED, Step, add_step, origins_of, set_origins
from edgeticket.graph.protos import STANDARD

Array = NDArray[Any]
TINY = {np.dtype(np.float32): float(np.finfo(np.float32).tiny), np.dtype(np.float64): float(np.finfo(np.float64).tiny)}
HALF_AND_SINGLE = frozenset(kind.numpy() for kind in (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16))
_UNROUNDED = "edgeticket.unrounded"  # of a value's `meta`: float64 numbers beside the rounded ones
_TAKEN = "edgeticket.names"  # in a graph's meta: the names that values bear -> the number given out last


def is_constant(value: ir.Value | None) -> bool:
    """An initializer that is no graph input: a graph input's default may be overridden by whoever runs the model."""
    return value is not None and value.is_initializer() and not value.is_graph_input() and value.const_value is not None


def constant(value: ir.Value | None) -> Array | None:
    """The numbers of a constant, read-only; None where the value is not one."""
    if value is None or not is_constant(value):
        return None
    assert value.const_value is not None
    return value.const_value.numpy()


def unrounded(value: ir.Value) -> Array | None:
    """The float64 numbers of which a constant holds the rounding; None where it was not computed by us."""
    kept: Array | None = value.meta.get(_UNROUNDED)
    return kept


def exact(value: ir.Value) -> Array:
    """A constant's numbers in float64, before any rounding of ours: what later passes compute from."""
    kept, array = unrounded(value), constant(value)
    assert array is not None
    return array.astype(np.float64) if kept is None else kept


def tensor_of(array: Array, name: str | None) -> ir.TensorProtocol:
    """The array as onnx-ir has it, in the order of C. (`ir.tensor` guesses what it is given, ten times as slowly.)"""
    return ir.Tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)


def set_constant(value: ir.Value, array: Array, unrounded: Array | None = None) -> None:
    """Give an initializer new numbers, of the same type and maybe another shape.

    `unrounded` are the float64 numbers that `array` is the rounding of; without them `array` is taken as it is. Where
    numbers are only picked or dropped, use `change_constant`, which keeps what was unrounded, and the origin.
    """
    assert value.dtype is None or ir.DataType.from_numpy(array.dtype) == value.dtype
    value.const_value = tensor_of(array, value.name)
    value.shape = ir.Shape(array.shape)
    keep_unrounded(value, array, unrounded)
    set_origins(value, COMPUTED)


def change_constant(value: ir.Value, change: Step) -> None:
    """Keep a part of an initializer, or zero one: `change` is applied to what is rounded and to what is not.

    The proof applies it to the given model's constant (origins.py), so it may hold masks and no more of the graph.
    """
    array, kept, origins = constant(value), unrounded(value), origins_of(value)
    assert array is not None
    set_constant(value, change(array), None if kept is None else change(kept))
    set_origins(value, add_step(origins, change))


def new_constant(graph: ir.Graph, base: str, array: Array, unrounded: Array | None = None) -> ir.Value:
    """A new initializer, named `base` or, where that is taken, `base_2`, `base_3` ...; see set_constant."""
    name = fresh_name(graph, base)
    tensor = tensor_of(array, name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    keep_unrounded(value, array, unrounded)
    set_origins(value, COMPUTED)
    graph.register_initializer(value)
    return value


def keep_unrounded(value: ir.Value, array: Array, unrounded: Array | None) -> None:
    """Keep the float64 numbers of which `array`, the value's constant, is the rounding; forget older ones."""
    value.meta.pop(_UNROUNDED, None)
    if unrounded is not None and not np.array_equal(array.astype(np.float64), unrounded, equal_nan=True):
        assert unrounded.shape == array.shape
        value.meta[_UNROUNDED] = unrounded


def fresh_name(graph: ir.Graph, base: str) -> str:
    """`base`, or the first of `base_2`, `base_3` ... that no value of the graph or its subgraphs bears or has borne.

    The names are gathered once, and what is given out is added to them: see forget_names.
    """
    taken: dict[str | None, int] | None = graph.meta.get(_TAKEN)
    if taken is None:
        taken = graph.meta[_TAKEN] = dict.fromkeys((value.name for value in all_values(graph)), 1)
    name, number = base, taken.get(base, 1)
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    if name != base:
        taken[base] = number
    taken[name] = 1
    return name


def forget_names(graph: ir.Graph) -> None:
    """Have the names gathered anew: called before each pass, as it may name values without fresh_name."""
    graph.meta.pop(_TAKEN, None)


def all_values(graph: ir.Graph) -> Iterator[ir.Value]:
    """Every value of the graph and its subgraphs."""
    for part in (graph, *graph.subgraphs()):
        yield from part.inputs
        yield from part.initializers.values()
        for node in part:
            yield from node.outputs


def stand_in(old: ir.Value, new: ir.Value) -> None:
    """`new` stands wherever `old` stood; where that is the graph's output, under its name."""
    if old.is_graph_output():
        name, new.type, new.shape = old.name, old.type, old.shape
        old.replace_all_uses_with(new, replace_graph_outputs=True)
        old.name = None
        new.name = name
    else:
        old.replace_all_uses_with(new)


def owned(node: ir.Node, index: int) -> ir.Value:
    """The constant at a node's input, made the node's own: copied where another node or the graph's output reads it."""
    value = node.inputs[index]
    assert value is not None
    if len(value.uses()) == 1 and not value.is_graph_output():
        return value
    array = constant(value)
    graph = node.graph
    assert array is not None
    assert isinstance(graph, ir.Graph)
    copy = new_constant(graph, value.name or "constant", array, unrounded(value))
    set_origins(copy, origins_of(value))
    node.replace_input_with(index, copy)
    return copy


def to_dtype(array: Array, dtype: np.dtype[Any]) -> Array:
    """Round float64 once to `dtype`, flushing what would be denormal. Not finite where the type cannot hold it."""
    with np.errstate(over="ignore", under="ignore"):
        rounded: Array = array.astype(dtype)
    if dtype in TINY:
        rounded[np.abs(rounded) < TINY[dtype]] = 0
    return rounded


def settle(model: ir.Model) -> dict[str, Array]:
    """Round every constant of the main graph that was computed from its float64 numbers, once; these, by name.

    Before, a constant that went through several passes may hold the sum of several roundings.
    """
    kept = {}
    for name, value in model.graph.initializers.items():
        array, numbers = constant(value), unrounded(value)
        if array is not None and numbers is not None:
            origins = origins_of(value)
            set_constant(value, to_dtype(numbers, array.dtype), numbers)
            set_origins(value, origins)
            kept[name] = numbers
    return kept


def remember_unrounded(model: ir.Model, numbers: Mapping[str, Array]) -> None:
    """Keep, for constants of the model's subgraphs, by name, the float64 numbers of which they are the rounding."""
    for graph in model.graph.subgraphs() if numbers else ():
        for name, value in graph.initializers.items():
            array = constant(value)
            if name in numbers and array is not None:
                keep_unrounded(value, array, numbers[name])


def opset(model: ir.Model) -> int:
    """The version of the standard's operators; 0 where the model imports none."""
    return next((version for domain, version in model.opset_imports.items() if domain in STANDARD), 0)


@cache
def _in_standard(op_type: str, version: int) -> bool:
    try:
        return not onnx.defs.get_schema(op_type, version, "").deprecated
    except onnx.defs.SchemaError:
        return False


def is_standard(node: ir.Node, version: int) -> bool:
    """Is this an operator of the ONNX standard that we know at this opset version?"""
    return node.domain in STANDARD and _in_standard(node.op_type, version)


def attribute(node: ir.Node, name: str, default: Any) -> Any:
    """A node's attribute as a plain Python value."""
    found = node.attributes.get(name)
    if found is None:
        return default
    if found.type == ir.AttributeType.STRING:
        return found.as_string()
    return tuple(found.value) if isinstance(found.value, (list, tuple)) else found.value


def set_attribute(node: ir.Node, name: str, value: int | float) -> None:
    """Give a node a number as attribute."""
    node.attributes[name] = ir.AttrInt64(name, value) if isinstance(value, int) else ir.AttrFloat32(name, value)


def nonzeros(array: Array) -> int:
    """How many elements are not zero."""
    return int(np.count_nonzero(array))


def shape_of(value: ir.Value) -> list[int | str | None] | None:
    """Numbers, names of symbolic dimensions, None for unknown ones; None where not even the rank is known."""
    if value.shape is None:
        return None
    return [dim if isinstance(dim, int) else dim.value for dim in value.shape]


def names(values: Iterable[ir.Value | None]) -> list[str]:
    """The names of values, for sentences."""
    return [value.name or "?" for value in values if value is not None]
