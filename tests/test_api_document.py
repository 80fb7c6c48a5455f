"""docs/api.md and docs/first_ticket.py do what they say: their examples are run, in a folder of their own."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

from engine_library import needs_library

import edgeticket

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
# Fewer processes than a measurement needs: what is tried here is that the examples run.
QUICK = "from edgeticket.benchmark import bench\nbench.PROCESSES, bench.FEWEST, bench.LOADS = 2, 2, 1\n"


def run(script: Path) -> str:
    """What a script prints in a process and a folder of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script], cwd=script.parent, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_library
def test_the_examples_run_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "examples.py").write_text(QUICK + "\n".join(BLOCKS), encoding="utf-8")
    said = run(tmp_path / "examples.py")
    for sentence in (
        "Ticket: round",
        "Same outputs",
        "golden",
        "latency",
        "claimed",
        "(1, 10)",
        "two-clouds",
        "6 of 6 1.0",
    ):
        assert sentence in said
    assert re.search(r"nowhere\.onnx.* 2$", said, re.MULTILINE)
    assert (tmp_path / "runs" / "digits" / "artifact" / "report.html").exists()


def test_every_public_name_has_its_example() -> None:
    taken = {alias.name for block in BLOCKS for alias in imports(block)}
    code = {node.id for block in BLOCKS for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Name)}
    told = {
        "request",
        "InputError",
        "IntegrityError",
        "ProofError",
        "__version__",
    }  # in words, or that speak for themselves
    assert set(edgeticket.__all__) - told == taken & code
    for name in set(edgeticket.__all__) - {"__version__"}:
        assert f"`{name}" in PAGE or f"## {name}" in PAGE, name


def imports(block: str) -> list[ast.alias]:
    """The names that a block takes from edgeticket."""
    found = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    return [alias for node in found if node.module == "edgeticket" for alias in node.names]


SHOW = """
import ast, sys
from pathlib import Path
drawn = []
space = {"__name__": "__main__"}
for cell in Path(sys.argv[1]).read_text(encoding="utf-8").split("\\n# %%"):
    tree = ast.parse(cell.partition("\\n")[2] if not cell.startswith(" [markdown]") else "")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), space)
    shown = eval(compile(ast.Expression(last.value), "cell", "eval"), space) if last else None
    if shown is not None:
        drawn.append(type(shown).__name__)
        assert shown._repr_html_().startswith("<div>") and "<table>" in shown._repr_html_()
        print(shown._repr_html_())
print(*drawn)
"""


@needs_library
def test_the_notebook_runs_cell_by_cell_and_its_results_are_drawn(tmp_path: Path) -> None:
    code = ROOT / "docs" / "first_ticket.py"
    (tmp_path / "show.py").write_text(SHOW.replace("sys.argv[1]", repr(str(code))), encoding="utf-8")
    said = run(tmp_path / "show.py")
    assert said.splitlines()[-1] == "Found Exported Outcome Inspection"
    assert "<td>round 0</td><td>100.00 %</td>" in said
    (right,) = re.findall(r"digits \[(.*)\] read as \[(.*)\]", said)
    assert right[0].split()[0] == right[1].split()[0]


def test_the_readme_leads_to_both() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(docs/api.md)" in readme
    assert "(docs/first_ticket.py)" in readme
