"""The report of an export: one content, written as JSON, Markdown and one self-contained HTML page."""

from __future__ import annotations

from edgeticket.report.content import Content, Score
from edgeticket.report.render import html, json_document, markdown

__all__ = ["Content", "Score", "html", "json_document", "markdown"]
