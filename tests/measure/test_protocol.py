"""Requests and answers survive JSON, whatever is no message is refused, and paths can be those of another machine."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import broken_models
import numpy as np
import pytest
from fake_hosts import LONG_S

from edgeticket.measure import wire
from edgeticket.measure.feed import read_feed, write_feed
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import (
    Answer,
    Arm,
    BlocksAnswer,
    BlocksRequest,
    Failure,
    LoadAnswer,
    LoadRequest,
    OutputsAnswer,
    OutputsRequest,
    PortsAnswer,
    PortsRequest,
    Request,
    RuntimePort,
    Slot,
    TimedBlock,
    TryAnswer,
    TryRequest,
    relocated,
)

ARMS = {"candidate": Arm("a.onnx", "OtherProvider", 0.05), "baseline": Arm("b.onnx")}
BLOCKS = BlocksRequest(ARMS, "f.npz", 2, 7, 3, Slot(1, 2.0, 3), False, True, True, False, None, True)
TRY = TryRequest(ARMS, "f.npz", True, {"x": (1, 3)})
OUTPUTS = OutputsRequest(ARMS, "f.npz", "y", {"candidate": 4, "baseline": None}, {"candidate": "a.npy"})
MESSAGES: list[tuple[Request[Any], Any]] = [
    (
        BLOCKS,
        BlocksAnswer(
            (TimedBlock({"a": 1.5}, "throttled", {"a": (1.0, 2.0)}), TimedBlock({"a": 2.5})),
            (1, 3),
            2,
            {"a": 0.05},
            {"a": 9},
            "no",
        ),
    ),
    (BlocksRequest(ARMS, "f.npz"), BlocksAnswer((), None)),
    (LoadRequest(ARMS, "f.npz", 2), LoadAnswer(1.0, 2.0, None)),
    (PortsRequest(ARMS), PortsAnswer((RuntimePort("x", "tensor(float)", (None, 4)),), ())),
    (TRY, TryAnswer(True)),
    (OUTPUTS, OutputsAnswer()),
]


@pytest.mark.parametrize(("request_", "answer"), MESSAGES, ids=lambda value: type(value).__name__)
def test_a_message_survives_json(request_: Request[Any], answer: Any) -> None:
    assert wire.request_from_json(wire.request_to_json(request_)) == request_
    assert wire.answer_from_json(wire.answer_to_json(answer), request_) == answer
    failure = Failure("failed in run 3", "candidate")
    assert wire.answer_from_json(wire.answer_to_json(failure), request_) == failure


def test_every_kind_of_request_is_tried_here() -> None:
    assert {type(request) for request, _ in MESSAGES} == set(wire.ANSWERS)
    assert all(type(answer) is wire.ANSWERS[type(request)] for request, answer in MESSAGES)


@pytest.mark.parametrize(
    "change", [{"kind": "dance"}, {"kind": None}, {"more": 1}, {"threads": ...}, {"slot": 5}, {"arms": {"a": {}}}]
)
def test_what_is_no_request_is_refused(change: dict[str, Any]) -> None:
    given = json.loads(wire.request_to_json(BLOCKS)) | change
    with pytest.raises(ValueError, match=r"no (request|BlocksRequest|Slot|Arm)"):
        wire.request_from_json(json.dumps({key: value for key, value in given.items() if value is not ...}))


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"drawn": true, "more": 1}', '{"error": "no"}'])
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  json's own is one
        wire.answer_from_json(text, TRY)


def test_every_path_of_a_request_is_moved_and_nothing_else() -> None:
    assert relocated(OUTPUTS, lambda path: f"/there/{path}") == OutputsRequest(
        {"candidate": Arm("/there/a.onnx", "OtherProvider", 0.05), "baseline": Arm("/there/b.onnx")},
        "/there/f.npz",
        "y",
        {"candidate": 4, "baseline": None},
        {"candidate": "/there/a.npy"},
    )
    assert relocated(PortsRequest(ARMS), str.upper).arms["baseline"].path == "B.ONNX"


@dataclass(frozen=True)
class Elsewhere:
    """A machine that sees one folder alone, as a board would: files are carried there, and what it wrote is fetched."""

    folder: Path

    def ask(self, request: Request[Answer], limit_s: float) -> Answer:
        there: dict[str, Path] = {}

        def place(path: str) -> str:
            there[path] = self.folder / f"{len(there)}-{Path(path).name}"
            if Path(path).exists():
                shutil.copy(path, there[path])
            return str(there[path])

        answer = LOCAL.ask(relocated(request, place), limit_s)
        for name in request.writes:
            held = getattr(request, name)
            for path in [held] if isinstance(held, str) else held.values():
                shutil.copy(there[path], path)
        return answer


def test_another_machine_can_answer_with_files_of_its_own(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    board, arms = Elsewhere(there), {"a": Arm(str(broken_models.good(here / "m.onnx")))}
    drawn = str(here / "drawn.npz")
    assert board.ask(TryRequest(arms, drawn, draw=True), LONG_S).drawn
    assert read_feed(drawn)["x"].shape == (1, 4)
    samples = write_feed(here / "samples.npz", {"x": np.ones((3, 4), np.float32)})
    out = {"a": str(here / "a.npy")}
    board.ask(OutputsRequest(arms, samples, "y", {"a": 1}, out), LONG_S)
    assert np.load(out["a"]).shape == (3, 4)
    assert board.ask(LoadRequest(arms, drawn), LONG_S).load_ms > 0
    assert {path.name.partition("-")[2] for path in there.iterdir()} == {"m.onnx", "drawn.npz", "samples.npz", "a.npy"}
