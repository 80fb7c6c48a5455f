"""How often Python collects garbage is as before after an export, whatever became of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest
from nets import Net

from edgeticket import api
from edgeticket.errors import EdgeticketError
from edgeticket.graph import conversion
from edgeticket.graph.garbage import MANY_BYTES, collect, rarely_collected


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_it_is_rare_inside_and_as_before_after_an_error() -> None:
    gc.set_threshold(700, 11, 12)
    inside: list[tuple[int, ...]] = []

    def fails() -> None:
        with rarely_collected():
            inside.append(gc.get_threshold())
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert inside[0][0] > 700
    assert inside[0][1:] == (11, 12)
    assert gc.get_threshold() == (700, 11, 12)


@pytest.mark.parametrize("chosen", [0, 10_000_000])
def test_who_turned_it_off_or_made_it_rarer_keeps_that(chosen: int) -> None:
    gc.set_threshold(chosen)
    with rarely_collected():
        assert gc.get_threshold()[0] == chosen


def test_an_export_leaves_it_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    simplify = conversion.simplify
    monkeypatch.setattr(
        conversion, "simplify", lambda *given, **asked: seen.append(gc.get_threshold()[0]) or simplify(*given, **asked)
    )
    gc.set_threshold(701, 11, 12)
    net = Net()
    onnx.save(net.model(net.op("Relu", net.conv("x", net.normal(4, 3, 3, 3)))), tmp_path / "model.onnx")
    api.export(tmp_path / "model.onnx", out=tmp_path / "out", bench=False)
    assert seen[0] > 701
    assert gc.get_threshold() == (701, 11, 12)
    with pytest.raises(EdgeticketError):
        api.export(tmp_path / "none.onnx", bench=False)
    assert gc.get_threshold() == (701, 11, 12)


def test_a_graph_that_nobody_holds_is_let_go() -> None:
    gc.disable()
    try:
        net = Net()
        model = ir.from_proto(net.model(net.op("Relu", net.conv("x", net.normal(4, 3, 3, 3)))))
        left = weakref.ref(next(iter(model.graph)))
        del model
        assert left() is not None, "its nodes and values hold one another"
        collect(MANY_BYTES - 1)
        assert left() is not None, "it holds little: Python's own collector gets there"
        collect(MANY_BYTES)
        assert left() is None
    finally:
        gc.enable()
