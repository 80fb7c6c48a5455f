"""A user's damaged model is the user's: one sentence that names the file and the place, and never a verdict."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from nets import Net, zero_rows
from onnx import helper

from edgeticket import api
from edgeticket.errors import EdgeticketError, Exit, InputError, ModelError, ProofError
from edgeticket.graph.proving.static.stored_file import check_stored_file
from edgeticket.graph.reading.load import load_model, parse_model
from edgeticket.graph.reading.validity import blamed_on_faults
from edgeticket.graph.serialize import serialize
from edgeticket.graph.storing.storage import store


def _network() -> onnx.ModelProto:
    net = Net(("batch", 2, 6, 6), seed=1)
    weight = zero_rows(net.normal(6, 2, 3, 3), 1)
    weight[net.rng.random(weight.shape) < 0.8] = 0
    maps = net.op("Relu", net.batchnorm(net.conv("x", weight, net.normal(6), pads=[1] * 4), 6))
    return net.model(net.op("Softmax", net.gemm(net.op("Flatten", maps), net.normal(4, 216)), axis=1))


def test_a_node_without_inputs_is_the_users(tmp_path: Path) -> None:
    """No pass can read it, and its weight has no reader: that was taken for a fault of the export."""
    model = _network()
    del model.graph.node[0].input[:]
    path = tmp_path / "broken.onnx"
    onnx.save(model, path)
    with pytest.raises(
        ModelError, match=r"broken\.onnx: no valid ONNX model: node 0 \(Conv 'n0'\): .*has input size 0"
    ):
        api.export(path, out=tmp_path / "out", bench=False)


def test_a_constant_that_nothing_reads_is_found_in_the_file() -> None:
    model = _network()
    weight = np.zeros((40, 40), np.float32)
    weight[3, 4] = 1
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "unread"))
    file = store(model, storage="gaps", unfolded=lambda *_: frozenset()).model
    assert "unread" not in {tensor.name for tensor in file.graph.initializer}
    check_stored_file(serialize(file), (), model, {}, lossy=False)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Conv", "op_type of node 0 of the model"),
        ("n2", "name of node 2 of the model"),
        ("v1", "output of node 1 of the model"),
        ("pads", "name of attribute 0 of node 0 of the model"),
        ("w3", "input of node 1 of the model"),
        ("batch", "dim_param of input 0 of the model"),
        ("net", "name of the model"),
    ],
)
def test_a_text_that_is_no_utf_8_is_named_with_its_place(text: str, place: str, tmp_path: Path) -> None:
    data = bytearray(serialize(_network()))
    at = bytes(data).index(bytes([len(text)]) + text.encode()) + 1
    data[at] = 0xFF
    path = tmp_path / "odd.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=rf"odd\.onnx: {place} is no UTF-8 text") as caught:
        load_model(path)
    assert caught.value.exit_code == Exit.USAGE
    with pytest.raises(ModelError, match=r"odd\.onnx"):
        api.export(path, out=tmp_path / "out", bench=False)


def test_texts_of_functions_and_bodies_are_looked_at() -> None:
    end = onnx.ValueInfoProto(name="b")
    body = helper.make_graph([helper.make_node("Exp", ["a"], ["b"])], "inside", [], [end])
    choice = helper.make_node("If", ["a"], ["c"], then_branch=body)
    model = _network()
    model.functions.append(helper.make_function("own", "F", ["a"], ["c"], [choice], []))
    data = serialize(model).replace(b"\x06inside", b"\x06ins\xffde")
    with pytest.raises(ModelError, match="name of attribute 0 of node 0 of function 0 of the model is no UTF-8"):
        parse_model(data, "it")


def test_a_function_that_reads_what_nothing_computes_is_refused_where_it_is_read() -> None:
    model = _network()
    nodes = [helper.make_node("Exp", ["a"], ["b"]), helper.make_node("Add", ["b", "lost"], ["c"], "sum")]
    model.functions.append(helper.make_function("own", "F", ["a"], ["c"], nodes, []))
    with pytest.raises(ModelError, match="node 'sum' of the function 'F' reads 'lost', which nothing in it computes"):
        parse_model(serialize(model), "it")


def test_an_input_of_no_type_is_refused_at_once() -> None:
    model = _network()
    model.graph.input[0].type.tensor_type.Clear()
    with pytest.raises(ModelError, match="it: the input 'x' has no type"):
        parse_model(serialize(model), "it")


def test_only_a_model_that_breaks_the_standard_is_blamed() -> None:
    broken = _network()
    del broken.graph.node[0].input[:]
    for error in (ProofError("weights differ"), IndexError("tuple index out of range")):
        with pytest.raises(ModelError, match=r"^no valid ONNX model"), blamed_on_faults(broken):
            raise error
        with pytest.raises(type(error), match=str(error)), blamed_on_faults(_network()):
            raise error
    with pytest.raises(InputError, match=r"^no such shape$"), blamed_on_faults(broken):
        raise InputError("no such shape")


_TEXTS = ("", "é", "x", "Conv", "a" * 300, "\x00b", "ai.onnx", "com.microsoft", " ")
_NUMBERS = (0, -1, 1, 2, 7, 11, 99, 2**31 - 1, -(2**31))


def _fields(message: Any) -> Iterator[tuple[Any, Any]]:
    for field, value in message.ListFields():
        yield message, field
        if field.message_type is not None:
            for part in value if hasattr(value, "__len__") else [value]:
                yield from _fields(part)


def _mutated(rng: random.Random) -> tuple[onnx.ModelProto, str]:
    """The network with one field of it cleared, doubled, left out or given another value."""
    model = _network()
    message, field = rng.choice(list(_fields(model)))
    value, what = getattr(message, field.name), f"{message.DESCRIPTOR.name}.{field.name}"
    other: Any = rng.choice(_TEXTS if field.type == field.TYPE_STRING else _NUMBERS)
    if field.type == field.TYPE_BYTES:
        other = value[:-1]
    if hasattr(value, "add") or hasattr(value, "append"):
        place = rng.randrange(len(value))
        if field.message_type is not None and rng.random() < 0.3:
            value.add().CopyFrom(value[place])
        elif field.message_type is not None and rng.random() < 0.3:
            value[place].Clear()
        elif field.message_type is None and rng.random() < 0.5:
            value[place] = other
        else:
            del value[place]
    elif field.message_type is not None or rng.random() < 0.2:
        message.ClearField(field.name)
    elif field.type == field.TYPE_UINT64 or (
        field.type == field.TYPE_ENUM and other not in field.enum_type.values_by_number
    ):
        setattr(message, field.name, 1)
    else:
        setattr(message, field.name, other)
    return model, what


@pytest.mark.parametrize("seed", range(40))
def test_one_damaged_field_is_exported_or_refused_in_a_sentence(seed: int, tmp_path: Path) -> None:
    """Exported, not proved, or refused as the user's file; no other error, and never as a file of ours."""
    model, what = _mutated(random.Random(seed))
    path = tmp_path / "damaged.onnx"
    path.write_bytes(serialize(model))
    code, said = _exported(path, tmp_path / "out")
    assert code in (Exit.YES, Exit.USAGE, Exit.INCONCLUSIVE), f"{what}: {said}"
    if code == Exit.USAGE:
        assert "damaged.onnx" in said, f"{what}: {said}"
        assert "\n" not in said


def _exported(path: Path, out: Path) -> tuple[Exit, str]:
    """The exit code that the command would have, and what it would say."""
    try:
        return api.export(path, out=out, bench=False).exit_code, ""
    except EdgeticketError as error:
        return error.exit_code, str(error)
