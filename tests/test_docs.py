"""What the documents name exists: paths, links and make targets. Their lines fit, and every page can be reached."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeticket.engine import ISAS

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("benchmarks", "docs", "edgeticket", "export", "runtime_tests", "tests")
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")])
}
# Where a path may begin: `lottery/trial.py` is told from the package on, `simd/` from the engine's sources on.
BEGINNINGS = (ROOT, ROOT / "edgeticket", ROOT / "export" / "src")
SOURCE = (".c", ".cmake", ".cpp", ".h", ".md", ".py", ".toml")
# What these name lies with a user or in an artifact, or is written by a command that was not run.
ELSEWHERE = {"my_task.py", "my_task.py:task", "verify/", "verify/run.py", "docs/results/conv2-cifar10.json"}
NAMES = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts}


def prose(text: str) -> Iterator[str]:
    """The lines that are neither code nor within a fence."""
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield line


def spans(text: str) -> list[str]:
    """What stands in backticks, over the ends of lines too."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", "\n".join(prose(text)))]


def paths(text: str) -> set[str]:
    """The words in backticks that can only mean a path of the repository."""
    words = {word.strip(",;:()'\"") for span in spans(text) for word in span.split()}
    plain = {word for word in words if re.fullmatch(r"[\w.*/-]+", word) and not word.startswith(("-", "/"))}
    return {
        word
        for word in plain - ELSEWHERE
        if word.endswith((*SOURCE, "/")) or ("/" in word and word.partition("/")[0] in FOLDERS)
    }


def exists(path: str, here: Path) -> bool:
    if "*" in path:
        return any(True for begin in (*BEGINNINGS, here) for _ in begin.glob(path if "/" in path else f"**/{path}"))
    return any((begin / path).exists() for begin in (*BEGINNINGS, here)) or path in NAMES


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_exists(name: str) -> None:
    document = DOCUMENTS[name]
    assert {path for path in paths(document.read_text(encoding="utf-8")) if not exists(path, document.parent)} == set()


def links(document: Path) -> set[Path]:
    """The files that a document links to, but for the web's."""
    found = re.findall(r"\]\(([^)#\s]+)", "\n".join(prose(document.read_text(encoding="utf-8"))))
    return {(document.parent / link).resolve() for link in found if "://" not in link}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    assert {link for link in links(DOCUMENTS[name]) if not link.exists()} == set()


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, ahead = set(), {ROOT / "README.md"}
    while ahead:
        seen |= ahead
        ahead = {link for page in ahead for link in links(page) if link.suffix == ".md"} - seen
    assert set(DOCUMENTS.values()) - seen <= {ROOT / "CHANGELOG.md"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_exists(name: str) -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = DOCUMENTS[name].read_text(encoding="utf-8")
    named = {span.split()[1] for span in spans(text) if span.startswith("make ")}
    named |= set(re.findall(r"^ {4}make ([\w-]+)", text, re.MULTILINE))
    assert {target for target in named if not re.search(rf"^(\S+ )*{target}( \S+)*:", rules, re.MULTILINE)} == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_lines_fit(name: str) -> None:
    """Rows of tables and code may be longer."""
    lines = prose(DOCUMENTS[name].read_text(encoding="utf-8"))
    assert [line for line in lines if len(line) > 120 and not line.startswith(("|", "<!--"))] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_sentence_stands_twice(name: str) -> None:
    """Merges double paragraphs; tables and short sentences may repeat themselves."""
    text = " ".join(line for line in prose(DOCUMENTS[name].read_text(encoding="utf-8")) if not line.startswith("|"))
    sentences = Counter(re.split(r"(?<=[.:;]) ", " ".join(text.split())))
    assert [each for each, count in sentences.items() if count > 1 and len(each) > 60] == []


def test_the_documents_that_sources_point_at_exist() -> None:
    sources = [
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".cpp", ".h", ".py", ".txt", ".toml"} and "fixtures" not in path.parts
    ]
    pointed = {
        found
        for path in [*sources, ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / "action.yml"]
        for found in re.findall(r"\bdocs/[\w./-]+\.md\b", path.read_text(encoding="utf-8"))
    }
    assert "docs/performance/designs.md" in pointed
    assert {found for found in pointed if not (ROOT / found).exists()} == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see `tests/nowhere.py`", {"tests/nowhere.py"}),
        ("run `python benchmarks/gone.py --run` and `make x`", {"benchmarks/gone.py"}),
        ("the folder `edgeticket/gone/`, not `runs/demo`, `ticket.json` or `a / b`", {"edgeticket/gone/"}),
        ("    `tests/nowhere.py` in code is nobody's promise", set()),
    ],
)
def test_what_looks_like_a_path(text: str, found: set[str]) -> None:
    assert paths(text) == found
    assert not any(exists(path, ROOT) for path in found)


def test_the_engines_page_names_the_instruction_sets_that_there_are() -> None:
    (row,) = re.findall(r"^\| `isa` \| (.+?) \|", DOCUMENTS["docs/engine.md"].read_text(encoding="utf-8"), re.MULTILINE)
    assert tuple(re.findall(r"`(\w+)`", row)) == ISAS
