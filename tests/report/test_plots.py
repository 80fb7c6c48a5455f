"""Drawings that a page takes in: the same for the same data, in the page's colours."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from edgeticket.report import plots


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


def test_bars_hold_their_labels_and_values() -> None:
    svg = plots.bars([("dense", 10.0, "10 B"), ("this", 1.0, "1 B")], strong=1, title="Bytes")
    assert {"dense", "this", "10 B", "1 B", "Bytes"} <= set(texts(svg))
    assert svg.count("var(--strong)") == 1


def test_a_drawing_is_the_same_every_time() -> None:
    def draw() -> str:
        return plots.pairs([("a", 1.0, 2.0), ("b", 0.0, 0.0)], title="Zeros", names=("before", "after"))

    assert draw() == draw()


def test_missing_percentiles_are_not_drawn() -> None:
    full = plots.ranges([("a", 1.0, 2.0, 3.0, True)], title="ms")
    bare = plots.ranges([("a", 1.0, None, None, True)], title="ms")
    assert full.count("var(--strong)") > bare.count("var(--strong)") > 0


@pytest.mark.parametrize("name", ["a$b$c", "<b>&", "x" * 80, "_under_^score", "层权重", "שכבה"])
def test_any_name_can_be_a_label(name: str) -> None:
    found = texts(plots.pairs([(name, 1.0, 2.0)], title="t", names=("before", "after")))
    assert any(text == name or (text.startswith("…") and name.endswith(text[1:])) for text in found)


def test_it_scales_with_the_page() -> None:
    root = ET.fromstring(plots.bars([("a", 1.0, "1")], strong=0, title="t"))
    assert "viewBox" in root.attrib
    assert not {"width", "height"} & root.attrib.keys()
