"""Results show themselves: aligned text, escaped HTML, and no more rows than one reads."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from edgeticket.tables import MOST_ROWS, ShowsTable, Table

SMALL = Table("a < b", ("name", "value"), [("x", "1"), ("longer", "<b>")], ["it's & so"], ("sum", "3"))


def test_text_is_aligned_with_its_header_and_footer() -> None:
    assert SMALL.text().splitlines() == ["a < b", "name    value", "x       1", "longer  <b>", "sum     3", "it's & so"]


def test_html_is_escaped() -> None:
    html = SMALL.html()
    assert html.startswith("<div><p><strong>a &lt; b</strong></p><table><thead><tr><th>name</th>")
    assert "<td>&lt;b&gt;</td>" in html
    assert html.endswith("<tr><td>sum</td><td>3</td></tr></tbody></table><p>it&#x27;s &amp; so</p></div>")


@pytest.mark.parametrize("rows", [MOST_ROWS, MOST_ROWS + 1])
def test_a_long_table_is_cut_and_says_so(rows: int) -> None:
    table = Table("long", rows=[(str(number),) for number in range(rows)], footer=("sum",))
    cut = rows > MOST_ROWS
    assert ("... and 1 more row" in table.text()) is ("... and 1 more row" in table.html()) is cut
    assert table.html().count("<tr>") == MOST_ROWS + 1
    assert table.text().splitlines()[MOST_ROWS + 1] == "sum"


def test_a_table_without_rows_is_its_title_and_sentences() -> None:
    table = Table("nothing", ("name",), sentences=["no model"])
    assert table.text() == "nothing\nno model"
    assert "<table>" not in table.html()


def test_a_result_is_its_table() -> None:
    @dataclass(frozen=True, repr=False)
    class Result(ShowsTable):
        @property
        def table(self) -> Table:
            return SMALL

    assert repr(Result()) == str(Result()) == SMALL.text()
    assert Result()._repr_html_() == SMALL.html()
