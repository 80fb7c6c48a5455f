"""action.yml and the GitLab template do what they say: their scripts are run, with a stand-in for the command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
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


def test_the_action_reads_options_on_several_lines(tmp_path: Path) -> None:
    _, arguments, _ = run_action(tmp_path, 0, candidate="a", baseline="b", args="--seed 3\n--max-macs-regression 0\n")
    assert arguments[-4:] == ["--seed", "3", "--max-macs-regression", "0"]
    _, arguments, _ = run_action(tmp_path, 0, candidate="a", baseline="b", args="")
    assert arguments[-1] == "--github"


def options_of_check() -> set[str]:
    return set(re.findall(r"--[a-z-]+", CliRunner().invoke(main, ["check", "--help"]).output))


@pytest.mark.parametrize("path", ["action.yml", "docs/ci/edgeticket.gitlab-ci.yml"])
def test_every_option_exists(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    command = text[text.index("edgeticket check") :]
    assert set(re.findall(r"(?<=\s)--[a-z-]+(?=\s)", command)) <= options_of_check()


def template() -> dict[str, Any]:
    text = (ROOT / "docs/ci/edgeticket.gitlab-ci.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)[".edgeticket"])


def example() -> dict[str, Any]:
    """The jobs in the template's head."""
    head = (ROOT / "docs/ci/edgeticket.gitlab-ci.yml").read_text(encoding="utf-8").split("\n.edgeticket:")[0]
    lines = [line[1:].removeprefix(" ") for line in head.splitlines()]
    return dict(yaml.safe_load("\n".join(line for line in lines if line.startswith("  "))))


def test_the_template_lets_an_open_verdict_pass() -> None:
    assert template()["allow_failure"] == {"exit_codes": 3}
    assert "$CANDIDATE" in template()["script"][-1]


def test_the_templates_example_sets_variables_that_there_are() -> None:
    jobs = example()
    assert jobs["model-gate"]["needs"] == ["export"]
    given = jobs["model-gate"]["variables"]
    assert given.keys() <= template()["variables"].keys()
    assert given["BASELINE_JOB"] in jobs
    assert given["CANDIDATE"] == jobs["export"]["artifacts"]["paths"][0]
    assert given["BASELINE"] == f"baseline/{given['CANDIDATE']}"


def fakes(folder: Path, **scripts: str) -> str:
    """A search path on which the named commands are these shell scripts."""
    (folder / "bin").mkdir()
    for name, body in scripts.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / "bin" / name).chmod(0o755)
    return f"{folder / 'bin'}:{os.environ['PATH']}"


def run_template(
    folder: Path, status: str, body: bytes = b"", installed: bool = True, **given: str
) -> subprocess.CompletedProcess[str]:
    """The job's script in one shell, as a runner has it; the server answers with `status` and `body`."""
    (folder / "answer").write_bytes(body)
    here = '[ "$1" = -c ] && [ "$2" = "import edgeticket" ] && exit ' + str(int(not installed))
    python = f'{here}\n[ "$2" = edgeticket ] || [ "$2" = pip ] || exec {sys.executable} "$@"\n'
    python += 'printf "%s\\n" "$@" > "$2.arguments"'
    curl = 'printf "%s\\n" "$@" > curl.arguments\ncp answer baseline.zip\n'
    curl += "exit 6" if not status else f"printf {status}"
    known = {"CI_API_V4_URL": "API", "CI_PROJECT_ID": "7", "CI_DEFAULT_BRANCH": "a/b", "CI_JOB_TOKEN": "own"}
    environment = os.environ | {key: str(value) for key, value in template()["variables"].items()} | known | given
    script = "set -eo pipefail\n" + "\n".join(template()["script"])
    return subprocess.run(
        ["bash", "-c", script],
        env=environment | {"PATH": fakes(folder, python=python, curl=curl)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_template_fetches_the_baseline_to_where_it_is_looked_for(tmp_path: Path) -> None:
    given = example()["model-gate"]["variables"]
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as made:
        made.writestr(f"{given['CANDIDATE']}/manifest.json", "{}")
    done = run_template(tmp_path, "200", (tmp_path / "made.zip").read_bytes(), **given)
    assert done.returncode == 0, done.stderr
    asked = (tmp_path / "curl.arguments").read_text().splitlines()
    assert {"job=export", "JOB-TOKEN: own", "API/projects/7/jobs/artifacts/a%2Fb/download"} <= set(asked)
    arguments = (tmp_path / "edgeticket.arguments").read_text().splitlines()
    baseline = arguments[arguments.index("--baseline") + 1]
    assert (tmp_path / baseline / "manifest.json").exists()
    assert arguments[2:4] == ["check", "build/artifact"]


def test_without_a_baseline_yet_the_template_says_so_and_passes(tmp_path: Path) -> None:
    done = run_template(tmp_path, "404", b'{"message":"404 Not Found"}', BASELINE_JOB="export")
    assert done.returncode == 0
    assert "No baseline yet" in done.stdout
    assert not (tmp_path / "edgeticket.arguments").exists()


@pytest.mark.parametrize(
    ("status", "body", "named"),
    [("404", b'{"message":"404 Project Not Found"}', "404"), ("500", b"", "500"), ("", b"", "no answer")],
)
def test_a_baseline_that_cannot_be_fetched_is_no_pass(tmp_path: Path, status: str, body: bytes, named: str) -> None:
    done = run_template(tmp_path, status, body, BASELINE_JOB="export", BASELINE_TOKEN="secret")
    assert done.returncode == 2
    assert f"HTTP {named}" in done.stdout
    assert "BASELINE_TOKEN" in done.stdout
    assert "PRIVATE-TOKEN: secret" in (tmp_path / "curl.arguments").read_text()


@pytest.mark.parametrize(("named", "code"), [("", 2), ("edgeticket[export] @ git+https://HOST/it", 0)])
def test_the_template_installs_what_it_is_told(tmp_path: Path, named: str, code: int) -> None:
    done = run_template(tmp_path, "", installed=False, EDGETICKET=named)
    assert done.returncode == code
    if named:
        assert (tmp_path / "pip.arguments").read_text().splitlines()[-1] == named
    else:
        assert "Set EDGETICKET" in done.stdout


def workflow() -> dict[str, dict[str, Any]]:
    """The steps of the workflow that keeps its baseline as an artifact, by id or by what they use."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/ci.md").read_text(encoding="utf-8"), re.DOTALL)
    steps = yaml.safe_load(next(block for block in blocks if "model-baseline" in block))["jobs"]["model"]["steps"]
    return {step.get("id") or step.get("uses", "").split("@")[0] or step["run"]: step for step in steps}


@pytest.mark.parametrize("run", ["", "12"])
def test_the_workflow_compares_only_where_a_baseline_was_found(tmp_path: Path, run: str) -> None:
    gh = f'[ "$1" = api ] && echo {run} || printf "%s\\n" "$@" > download.arguments'
    environment = {**os.environ, "PATH": fakes(tmp_path, gh=gh), "GITHUB_OUTPUT": str(tmp_path / "output")}
    environment |= {"GITHUB_REPOSITORY": "me/it", "DEFAULT": "main"}
    script = "set -eo pipefail\n" + workflow()["baseline"]["run"]
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (tmp_path / "output").read_text() == f"found={run}\n"
    assert ("No baseline yet" in done.stdout) == (not run)
    assert (tmp_path / "download.arguments").exists() == bool(run)


def test_the_workflow_makes_its_first_baseline_without_one() -> None:
    """The step that uploads must not wait for a comparison, which needs what it uploads."""
    steps = workflow()
    compared, uploaded = steps["OWNER/edgeticket"], steps["actions/upload-artifact"]
    assert compared["if"] == "steps.baseline.outputs.found"
    assert steps["baseline"]["if"] == "github.ref_name != env.DEFAULT"
    assert uploaded["if"] == "github.ref_name == env.DEFAULT"
    assert uploaded["with"]["path"] == compared["with"]["candidate"]
    assert compared["with"].keys() <= action()["inputs"].keys()


def test_documents_name_the_commands_that_exist() -> None:
    text = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    for command in set(re.findall(r"edgeticket (check|trend|bench|compare)\b", text)):
        assert command in main.commands
