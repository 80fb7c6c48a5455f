"""Nothing is read from a ticket's folder that was not verified, bit by bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from edgeticket.errors import FolderError, InputError, IntegrityError
from edgeticket.files import sha256, write_atomic
from edgeticket.ticket import store
from edgeticket.ticket.kinds import At
from edgeticket.ticket.pruning import PrunableLayer
from edgeticket.ticket.record import (
    FORMAT,
    VERSION,
    Choice,
    Point,
    Record,
    RecordedInput,
    RecordedMetric,
    RecordedOutput,
    Round,
)


def make(
    folder: Path, *, ticket: int | None = 1, validation: float = 97.0, rounds: int = 3, uint8: bool = True
) -> Record:
    """A small ticket, written as `find` writes it."""
    inputs = np.arange(12, dtype=np.uint8).reshape(4, 3)
    test = {"inputs": inputs, "targets": np.array([0, 1, 0, 1])}
    test |= {"scale": np.float32(0.5).reshape(()), "offset": np.float32(-1).reshape(())}
    files = dict([store.write_arrays(folder, "test.safetensors", test)])
    files["graph.onnx"] = write_atomic(folder / "graph.onnx", b"a graph")
    results = []
    for number in range(rounds):
        keep = np.arange(6).reshape(2, 3) < 6 - number
        for name, arrays in (
            ("mask", {"fc.weight": keep}),
            ("early_stop", {"fc.weight": np.full((2, 3), number, np.float32) * keep, "steps": np.array(7)}),
            ("end", {"fc.weight": np.full((2, 3), 10.0 + number, np.float32) * keep, "steps": np.array(9)}),
        ):
            files |= dict([store.write_arrays(folder, store.round_file(number, name), arrays)])
        early = Point(100 * number, 0.25, validation + number / 8, 0.5, 96.0)
        end = Point(400, 0.125, validation - number, 0.5, 96.5)
        results.append(Round(number, int(keep.sum()), 6, early, end, 1.5, "2026-01-01T00:00:00+00:00"))
    record = Record(
        format=FORMAT,
        version=VERSION,
        task="small",
        settings={"--seed": 0, "task.lr": 0.1},
        choice=Choice(0.5, At.EARLY_STOP),
        provenance={"versions": {"torch": "2"}},
        metric=RecordedMetric("accuracy", "%", higher_is_better=True, builtin=True),
        input=RecordedInput("input", "float32", (3,), 0.5, -1.0, "as given", 40),
        output=RecordedOutput("output", (2,)),
        layers=[PrunableLayer("fc.weight", "output", (2, 3), 0.1)],
        files=files,
        rounds=results,
        ticket=ticket,
    )
    store.write_record(folder, record)
    return record


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = make(tmp_path)
    assert store.read_record(tmp_path) == record


def test_ticket_json_is_json(tmp_path: Path) -> None:
    make(tmp_path)
    document = json.loads((tmp_path / store.RECORD).read_bytes())
    assert document["record"]["format"] == FORMAT
    assert len(document["sha256"]) == 64


def test_one_flipped_bit_anywhere_in_ticket_json_is_refused(tmp_path: Path) -> None:
    make(tmp_path, rounds=1)
    path = tmp_path / store.RECORD
    whole = path.read_bytes()
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 1 << (position % 8)
        path.write_bytes(altered)
        with pytest.raises(IntegrityError, match=r"ticket\.json: truncated or altered, not loaded"):
            store.read_record(tmp_path)


def test_a_truncated_or_longer_ticket_json_is_refused(tmp_path: Path) -> None:
    make(tmp_path, rounds=1)
    path = tmp_path / store.RECORD
    whole = path.read_bytes()
    for altered in [whole[:cut] for cut in range(0, len(whole), 7)] + [whole[:-1], whole + b"\n", whole + whole]:
        path.write_bytes(altered)
        with pytest.raises(IntegrityError):
            store.read_record(tmp_path)


def test_a_sealed_document_that_is_no_record_is_refused_in_words(tmp_path: Path) -> None:
    for body in (b"[]", b"3", b"null"):
        sealed = b'{"record":\n' + body + b'\n,"sha256":"' + sha256(body).encode() + b'"}\n'
        (tmp_path / store.RECORD).write_bytes(sealed)
        with pytest.raises(FolderError, match=r"ticket\.json: format version None"):
            store.read_record(tmp_path)


def test_one_flipped_bit_in_any_listed_file_is_named(tmp_path: Path) -> None:
    record = make(tmp_path)
    store.verify_all(tmp_path, record)
    for name in record.files:
        whole = (tmp_path / name).read_bytes()
        for position in (0, 8, len(whole) // 2, len(whole) - 1):
            altered = bytearray(whole)
            altered[min(position, len(whole) - 1)] ^= 4
            (tmp_path / name).write_bytes(altered)
            with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
                store.verify_all(tmp_path, record)
        (tmp_path / name).write_bytes(whole[:-1])
        with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
            store.verify_all(tmp_path, record)
        (tmp_path / name).write_bytes(whole)
    store.verify_all(tmp_path, record)


def test_a_missing_or_unlisted_file_is_named(tmp_path: Path) -> None:
    record = make(tmp_path)
    (tmp_path / "rounds/01/mask.safetensors").unlink()
    with pytest.raises(IntegrityError, match=r"rounds/01/mask\.safetensors: missing"):
        store.read_ticket(tmp_path)
    with pytest.raises(IntegrityError, match=r"rounds/09/mask\.safetensors: not listed in ticket\.json"):
        store.read_mask(tmp_path, record, 9)


def test_a_newer_format_and_another_document_are_refused(tmp_path: Path) -> None:
    record = make(tmp_path)
    store.write_record(tmp_path, dataclasses.replace(record, version=VERSION + 1))
    with pytest.raises(FolderError, match=rf"format version {VERSION + 1}, this edgeticket reads {VERSION}"):
        store.read_record(tmp_path)
    store.write_record(tmp_path, dataclasses.replace(record, format="something"))
    with pytest.raises(FolderError, match="holds 'something', not 'edgeticket-ticket'"):
        store.read_record(tmp_path)


def test_a_record_whose_fields_do_not_fit_is_refused(tmp_path: Path) -> None:
    make(tmp_path)
    body = b'{"version": 1, "format": "edgeticket-ticket", "task": 3}'
    sealed = b'{"record":\n' + body + b'\n,"sha256":"' + sha256(body).encode() + b'"}\n'
    (tmp_path / store.RECORD).write_bytes(sealed)
    with pytest.raises(IntegrityError, match=r"ticket\.json: its fields are not a ticket's"):
        store.read_record(tmp_path)


def test_no_ticket_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"no ticket\.json in it and no trial-N folders.*edgeticket find"):
        store.read_ticket(tmp_path)
    with pytest.raises(FolderError, match=r"no ticket\.json in it"):
        store.read_record(tmp_path / "not there")


# -- arrays and checkpoints --------------------------------------------------------------------------------------------

ARRAYS = st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]).flatmap(
    lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, max_side=4))
)


@given(st.dictionaries(st.text("abc./0", min_size=1, max_size=6), ARRAYS, max_size=4))
@settings(deadline=None)
def test_arrays_come_back_bit_by_bit_and_in_shape(arrays: dict[str, np.ndarray]) -> None:
    data = store.encode_arrays(arrays)
    assert data == store.encode_arrays(dict(reversed(arrays.items())))
    back = store.decode_arrays(data, Path("x"))
    assert list(back) == sorted(arrays)
    for name, array in arrays.items():
        assert (back[name].shape, back[name].dtype) == (array.shape, array.dtype)
        assert back[name].tobytes() == array.tobytes()


def test_strided_arrays_are_written_in_order() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert np.array_equal(store.decode_arrays(store.encode_arrays({"a": array}), Path("x"))["a"], array)


def test_bytes_that_are_no_safetensors_are_refused() -> None:
    for data in (b"", b"\xff" * 40, store.encode_arrays({"a": np.ones(3)})[:-1]):
        with pytest.raises(IntegrityError, match="x: not a whole safetensors file"):
            store.decode_arrays(data, Path("x"))


def test_only_the_newest_checkpoint_is_left_and_read(tmp_path: Path) -> None:
    assert store.read_checkpoint(tmp_path) is None
    for sequence in (1, 2, 3):
        store.write_checkpoint(tmp_path, {"a": np.array(sequence)}, {"label": "round-0", "sequence": sequence})
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1
    found = store.read_checkpoint(tmp_path)
    assert found is not None
    assert (int(found[0]["a"]), found[1]) == (3, {"label": "round-0", "sequence": 3})
    store.clear_checkpoints(tmp_path)
    assert store.read_checkpoint(tmp_path) is None


def test_of_two_checkpoints_that_a_kill_left_the_newer_counts(tmp_path: Path) -> None:
    for sequence in (9, 10, 2):
        data = store.encode_arrays({"a": np.array(sequence)}, {"label": "round-0", "sequence": sequence})
        write_atomic(tmp_path / f"checkpoint-{sha256(data)}.safetensors", data)
    found = store.read_checkpoint(tmp_path)
    assert found is not None
    assert found[1]["sequence"] == 10


def test_one_flipped_bit_anywhere_in_a_checkpoint_is_named(tmp_path: Path) -> None:
    store.write_checkpoint(tmp_path, {"a": np.arange(4.0)}, {"label": "round-0", "sequence": 1})
    (path,) = tmp_path.glob("checkpoint-*")
    whole = path.read_bytes()
    for position in range(len(whole)):
        altered = bytearray(whole)
        altered[position] ^= 1 << (position % 8)
        path.write_bytes(altered)
        with pytest.raises(IntegrityError, match=f"{path.name}: truncated or altered.*Delete it"):
            store.read_checkpoint(tmp_path)
    path.write_bytes(whole[:-1])
    with pytest.raises(IntegrityError):
        store.read_checkpoint(tmp_path)
    path.write_bytes(whole)
    path.rename(tmp_path / "checkpoint-1.safetensors")
    with pytest.raises(IntegrityError):
        store.read_checkpoint(tmp_path)


# -- reading a ticket --------------------------------------------------------------------------------------------------


def test_the_chosen_round_is_read_at_the_point_compared(tmp_path: Path) -> None:
    record = make(tmp_path)
    ticket = store.read_ticket(tmp_path)
    assert (ticket.round.number, ticket.mask.kept, ticket.graph) == (1, 5, b"a graph")
    assert float(ticket.weights["fc.weight"].max()) == 1.0
    assert float(ticket.dense_weights["fc.weight"].max()) == 0.0
    assert ticket.weights["steps"].shape == ()
    store.write_record(tmp_path, dataclasses.replace(record, choice=Choice(0.5, At.END)))
    ticket = store.read_ticket(tmp_path)
    assert float(ticket.weights["fc.weight"].max()) == 11.0
    assert float(ticket.dense_weights["fc.weight"].max()) == 10.0


def test_uint8_test_inputs_are_scaled_as_the_network_saw_them(tmp_path: Path) -> None:
    make(tmp_path)
    test = store.read_ticket(tmp_path).test
    assert test.inputs.dtype == np.float32
    assert np.array_equal(test.inputs, np.arange(12, dtype=np.float32).reshape(4, 3) * 0.5 - 1)
    assert test.stored["inputs"].dtype == np.uint8
    assert test.of == 40


def test_a_scale_a_channel_follows_the_second_axis() -> None:
    inputs = np.ones((2, 3, 4, 4), np.uint8)
    scaled = store.scaled(inputs, np.array([1, 2, 3], np.float32), np.array([0, 0, 1], np.float32))
    assert scaled[:, :, 0, 0].tolist() == [[1, 2, 4]] * 2
    assert scaled.dtype == np.float32


def test_another_round_can_be_read_and_a_missing_one_is_named(tmp_path: Path) -> None:
    make(tmp_path, ticket=None)
    assert store.read_ticket(tmp_path, 2).round.number == 2
    with pytest.raises(InputError, match=r"no round is a ticket at this tolerance.*--round 1\.\.2"):
        store.read_ticket(tmp_path)
    for number in (3, -1):
        with pytest.raises(InputError, match=f"there is no round {number}; it holds rounds 0 to 2"):
            store.read_ticket(tmp_path, number)


def test_of_several_trials_the_best_by_validation_is_read(tmp_path: Path) -> None:
    make(tmp_path / "trial-0", validation=97.0)
    make(tmp_path / "trial-2", validation=98.0)
    make(tmp_path / "trial-10", validation=99.0, ticket=None)
    (tmp_path / "trial-x").mkdir()
    assert [path.name for path in store.trials(tmp_path)] == ["trial-0", "trial-2", "trial-10"]
    assert store.read_ticket(tmp_path).path.name == "trial-2"
    assert store.read_ticket(tmp_path, 1).path.name == "trial-10"


def test_a_metric_where_less_is_better_picks_the_smallest(tmp_path: Path) -> None:
    for number, validation in enumerate((0.5, 0.25)):
        record = make(tmp_path / f"trial-{number}", validation=validation)
        metric = dataclasses.replace(record.metric, higher_is_better=False)
        store.write_record(tmp_path / f"trial-{number}", dataclasses.replace(record, metric=metric))
    assert store.read_ticket(tmp_path).path.name == "trial-1"
