"""action.yml and the GitLab template do what they say: their scripts are run, with a stand-in for the command."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from edgeticket.cli import main

ROOT = Path(__file__).resolve().parent.parent


def action() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8")))


def run_action(tmp_path: Path, code: int, **inputs: str) -> tuple[subprocess.CompletedProcess[str], list[str], str]:
    """The composite step with `python -m edgeticket` replaced by a script that notes its arguments."""
    step = action()["runs"]["steps"][0]
    given = {name: str(spec.get("default", "")) for name, spec in action()["inputs"].items()} | inputs
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 0\nprintf "%s\\n" "$@" > {tmp_path}/arguments\nexit {code}\n')
    fake.chmod(0o755)
    environment = {**os.environ, "GITHUB_OUTPUT": str(tmp_path / "output")}
    for name, value in step["env"].items():
        found = re.fullmatch(r"\$\{\{ inputs\.([\w-]+) \}\}", value)
        environment[name] = given[found[1]] if found else str(ROOT)
    environment["PYTHON"] = str(fake)
    done = subprocess.run(["bash", "-c", step["run"]], env=environment, capture_output=True, text=True, check=False)
    arguments = (tmp_path / "arguments").read_text().splitlines()
    return done, arguments, (tmp_path / "output").read_text()


@pytest.mark.parametrize(
    ("code", "inconclusive", "exits", "verdict"),
    [
        (0, "pass", 0, "pass"),
        (1, "pass", 1, "regression"),
        (3, "pass", 0, "inconclusive"),
        (3, "fail", 3, "inconclusive"),
        (4, "pass", 4, ""),
    ],
)
def test_the_action_passes_the_verdict_on(
    tmp_path: Path, code: int, inconclusive: str, exits: int, verdict: str
) -> None:
    done, _, output = run_action(tmp_path, code, candidate="a", baseline="b", inconclusive=inconclusive)
    assert done.returncode == exits, done.stderr
    assert output == f"verdict={verdict}\nexit-code={code}\n"


def test_the_action_quotes_what_it_is_given(tmp_path: Path) -> None:
    _, arguments, _ = run_action(tmp_path, 0, candidate="$(touch gone); a b", baseline="b", args="--seed 3")
    assert arguments[:5] == ["-m", "edgeticket", "check", "$(touch gone); a b", "--baseline"]
    assert arguments[-2:] == ["--seed", "3"]


def options_of_check() -> set[str]:
    return set(re.findall(r"--[a-z-]+", CliRunner().invoke(main, ["check", "--help"]).output))


@pytest.mark.parametrize("path", ["action.yml", "docs/ci/edgeticket.gitlab-ci.yml"])
def test_every_option_exists(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    command = text[text.index("edgeticket check") :]
    assert set(re.findall(r"(?<=\s)--[a-z-]+(?=\s)", command)) <= options_of_check()


def test_the_template_is_yaml_and_lets_an_open_verdict_pass() -> None:
    job = yaml.safe_load((ROOT / "docs/ci/edgeticket.gitlab-ci.yml").read_text(encoding="utf-8"))[".edgeticket"]
    assert job["allow_failure"] == {"exit_codes": 3}
    assert "$CANDIDATE" in job["script"][1]


def test_documents_name_the_commands_that_exist() -> None:
    text = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    for command in set(re.findall(r"edgeticket (check|trend|bench|compare)\b", text)):
        assert command in main.commands
