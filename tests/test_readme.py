"""The README's task is short, and the commands below it do what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def edgeticket(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "edgeticket", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_task_of_the_readme_is_found_exported_and_checked(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    code = [line for line in block.splitlines() if line and not line.startswith(("import", "from"))]
    assert len(code) <= 20
    (tmp_path / "my_task.py").write_text(block, encoding="utf-8")
    found = edgeticket(tmp_path, "find", "my_task.py:task", "--rounds", "1", "--set", "iterations=200")
    assert "Ticket: round 1" in found
    assert "edgeticket find my_task.py:task" in README
    edgeticket(tmp_path, "export", "runs/my-digits", "--no-bench")
    assert (tmp_path / "runs" / "my-digits" / "artifact" / "report.html").exists()
    assert "pass" in edgeticket(tmp_path, "check", "runs/my-digits")


def test_what_the_readme_calls_exists() -> None:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^ +make ([a-z-]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", rules, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
