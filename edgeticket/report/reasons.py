"""Why something was not done: what stays dense, what was not removed, what is not proved, what the engine leaves.

What was changed that a caller sees, such as the operator set, is said beside it.

These sentences stand on the screen after an export, where somebody reads them; what went well is in the report alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgeticket.graph.passes.note import NEGATIVE_ZEROS, NO_ZEROS
from edgeticket.report.content import Content
from edgeticket.text import listing, plural

MOST_REASONS = 6
LONGEST_LETTERS = 300  # of one sentence
LABELS = {"remove-dead": "not removed", "upgrade": "stays dense"}  # a pass -> what its refusals are called
SEEN_BY_CALLERS = ("upgrade",)  # passes after which inputs or the operator set are others


@dataclass(frozen=True)
class Reason:
    """One sentence, and in a word or two what it is about."""

    label: str
    sentence: str


def reasons(content: Content) -> list[Reason]:
    """What the user lost, and why; the gravest first, each once, and in the end how many more there are."""
    found = list(dict.fromkeys([*_proof(content), *_dense(content), *_passes(content), *_engine(content)]))
    shown = [Reason(each.label, _cut(each.sentence)) for each in found[:MOST_REASONS]]
    left = len(found) - len(shown)
    return [*shown, *([Reason("and", f"{plural(left, 'more reason')}, which report.md has")] if left else [])]


def _proof(content: Content) -> Iterator[Reason]:
    if content.manifest.proof.verdict == "not proved":
        yield Reason("not proved", content.manifest.proof.reason)


def _dense(content: Content) -> Iterator[Reason]:
    """What the storage declined, for the whole file and by tensor, and the other remarks of the export."""
    if _pruned(content):
        for note in content.storage_notes:
            yield Reason("stored" if NEGATIVE_ZEROS in note else "stays dense", note)
    yield from (Reason("note", remark) for remark in content.remarks if remark not in content.storage_notes)
    by_note: dict[str, list[str]] = {}
    for tensor in content.manifest.tensors:
        if tensor.note and tensor.storage == "dense" and not tensor.lossless:
            by_note.setdefault(tensor.note.removeprefix("stored dense: "), []).append(content.parameter(tensor.name))
    for note, names in by_note.items():
        yield Reason("stays dense", f"{listing(names)}: {note}")


def _passes(content: Content) -> Iterator[Reason]:
    """What the passes declined, and what they changed that a caller sees; that there are no zeros is said beside."""
    for each in content.passes:
        name, sentence = str(each["pass_name"]), str(each["sentence"])
        if not each["changed"] and sentence != NO_ZEROS:
            yield Reason(LABELS.get(name, "left alone"), sentence)
        elif each["changed"] and name in SEEN_BY_CALLERS:
            yield Reason("changed", sentence)


def _engine(content: Content) -> Iterator[Reason]:
    state = None if content.engine is None else content.engine["state"]
    if content.engine is None or not (_pruned(content) or state != "claims nothing"):
        return
    if state != "ran":
        yield Reason("sparse engine", str(content.engine["sentence"]))
    elif 2 * content.engine["claimed"] < content.engine["nodes"]:
        some = f"it takes {content.engine['claimed']} of {plural(content.engine['nodes'], 'node')}"
        yield Reason("sparse engine", f"{some}; `edgeticket inspect` says why it leaves the others")


def _pruned(content: Content) -> bool:
    """Whether there are zeros, or none that are known of: a dense network loses nothing by staying dense."""
    return bool(content.zeros[0]) or not content.manifest.layers


def _cut(sentence: str) -> str:
    """The sentence, or as many of its whole parts, or words, as there is room for."""
    if len(sentence) <= LONGEST_LETTERS:
        return sentence
    start = sentence[: LONGEST_LETTERS - 4]
    parts, words = start.rpartition("; ")[0], start.rpartition(" ")[0]
    return f"{parts}; ..." if len(parts) > LONGEST_LETTERS // 2 else f"{words or start} ..."
