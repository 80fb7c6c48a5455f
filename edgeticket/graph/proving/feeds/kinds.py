"""What else an input may be than numbers of a known shape: texts, optionals, tensors of an unknown rank.

Texts are drawn from the model's own vocabulary, since those are the ones that it tells apart. Sequences and maps are
not made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeticket.graph.protos import bodies_of
from edgeticket.graph.reading.source import type_name

Array = NDArray[np.generic]

# The attributes of ONNX's and the runtime's operators that hold the texts which they take.
_VOCABULARIES = frozenset(["pool_strings", "keys_strings", "cats_strings", "string_vocabulary", "stopwords"])
_SPLIT = frozenset(["Tokenizer", "StringSplit", "RegexFullMatch"])  # they read whole sentences
_WORDS = ("the", "lottery", "ticket", "Wins", "2", "é")
_MOST_WORDS = 4096
_LONGEST_SENTENCE = 6
_MADE = "fiubU"  # numpy's kinds


def tensor_type(value: onnx.ValueInfoProto) -> onnx.TypeProto.Tensor | None:
    """The tensor that an input takes, for an optional the one inside; None where it takes no tensor."""
    kind = value.type.optional_type.elem_type if value.type.HasField("optional_type") else value.type
    return kind.tensor_type if kind.HasField("tensor_type") else None


def contradiction(value: onnx.ValueInfoProto, shape: Sequence[int]) -> str:
    """Why no runtime takes an input of this shape, or nothing. A size of 0 is often meant as an open one."""
    kind = tensor_type(value)
    if kind is None or not kind.HasField("shape"):
        return ""
    if len(kind.shape.dim) != len(shape):
        return f"the model declares {len(kind.shape.dim)} axes for it"
    for axis, (dim, number) in enumerate(zip(kind.shape.dim, shape, strict=True)):
        if dim.HasField("dim_value") and dim.dim_value > 0 and dim.dim_value != number:
            return f"axis {axis} is {dim.dim_value} in the model"
    return ""


def dtype_of(kind: onnx.TypeProto.Tensor) -> np.dtype[np.generic] | None:
    """The type of an array for such an input, texts as unicode; None where none is made up."""
    if kind.elem_type == onnx.TensorProto.STRING:
        return np.dtype(np.str_)
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except (KeyError, ValueError):  # a type that this onnx does not know
        return None
    return dtype if dtype.kind in _MADE else None


def unmade(graph: onnx.GraphProto) -> str:
    """A sentence on the first input that no numbers or texts are made up for, whatever its shape; '' without one."""
    defaults = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        kind = tensor_type(value)
        if value.name not in defaults and (kind is None or dtype_of(kind) is None):
            what = type_name(value.type) or "of no type"
            return f"no inputs could be made up: {value.name!r} is {what}, and only numpy's numbers and texts are"
    return ""


def dimension(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    """A number, or the name of an open dimension; some exporters write -1 for one."""
    return int(dim.dim_value) if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param


def guessed_dims(graph: onnx.GraphProto, name: str) -> tuple[str, ...]:
    """The axes, all open, of an input whose rank the file does not say: as the first layer that reads it wants them."""
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose") and len(node.input) > 1 and node.input[0] == name:
            return ("",) * ranks.get(node.input[1], 4)
    return ("", "")


def vocabulary(graph: onnx.GraphProto) -> tuple[str, ...]:
    """The texts that the graph's operators know, in the order of the file, and a few that they do not.

    Where an operator takes any other text for an error, none is added: scikit-learn's encoders are written so.
    """
    known_alone = any(
        node.op_type == "OneHotEncoder" and any(entry.name == "zeros" and entry.i == 0 for entry in node.attribute)
        for node in graph.node
    )
    found = dict.fromkeys(() if known_alone else _WORDS)
    for text in _texts(graph):
        if len(found) >= _MOST_WORDS:
            break
        found[text] = None
    return tuple(found) or _WORDS


def known(words: tuple[str, ...]) -> tuple[str, ...]:
    """Of a vocabulary, the texts that the graph's operators know: some refuse any other."""
    return tuple(word for word in words if word not in _WORDS) or words


def splits(graph: onnx.GraphProto) -> bool:
    """Does an operator take sentences apart?"""
    return any(node.op_type in _SPLIT for node in graph.node)


def texts(rng: np.random.Generator, shape: tuple[int, ...], words: tuple[str, ...], kind: str, *, whole: bool) -> Array:
    """Words, or where `whole` sentences of them, as an array of unicode.

    The kind 'zeros' is the empty text, or the first word where the model knows its own words alone.
    """
    if kind == "zeros":
        return np.full(shape, "" if words[0] == _WORDS[0] else words[0])
    if kind == "ones":
        return np.full(shape, words[-1])
    count = int(np.prod(shape, dtype=np.int64))
    lengths = rng.integers(1, _LONGEST_SENTENCE + 1, count) if whole else np.ones(count, np.int64)
    drawn = [" ".join(words[index] for index in rng.integers(0, len(words), length)) for length in lengths]
    return np.array(drawn, np.str_).reshape(shape)


def _texts(graph: onnx.GraphProto) -> Iterator[str]:
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.STRING:
            yield from (each.decode("utf-8", "replace") for each in tensor.string_data)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in _VOCABULARIES:
                yield from (each.decode("utf-8", "replace") for each in attribute.strings)
            for tensor in (attribute.t, *attribute.tensors):
                if tensor.data_type == onnx.TensorProto.STRING:
                    yield from (each.decode("utf-8", "replace") for each in tensor.string_data)
        for body in bodies_of(node):
            yield from _texts(body)
