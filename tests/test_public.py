"""The names users may rely on."""

from __future__ import annotations

import dataclasses
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

import edgeticket
from edgeticket import errors

ROOT = Path(__file__).resolve().parent.parent
HERE = {**os.environ, "PYTHONPATH": str(ROOT)}
SCRIPT = (ROOT / "tests" / "typed_script.py").read_text(encoding="utf-8")

FUNCTIONS = ["bench", "check", "compare", "export", "find", "inspect", "request", "session"]
CLASSES = ["Data", "EdgeticketError", "InputError", "IntegrityError", "Mask", "Metric", "ProofError", "Task"]
TRIAL = textwrap.dedent(
    """
    import os, sys
    import matplotlib, msgspec, numpy, onnx, onnx_ir, onnxruntime, safetensors, torch  # what is not ours is loaded once
    assert "edgeticket" not in sys.modules
    for order in sys.stdin.read().splitlines():
        child = os.fork()  # each order meets an interpreter in which nothing of edgeticket was imported
        if child == 0:
            try:
                exec(order)
                assert all(callable(getattr(edgeticket, name)) for name in NAMES), order
                assert not [name for name in NAMES if type(getattr(edgeticket, name)) is type(sys)], order
            except BaseException as error:
                print(f"{order}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, order
    """
)


def test_the_public_names_are_these() -> None:
    assert edgeticket.__all__ == sorted([*CLASSES, "__version__", *FUNCTIONS])
    assert all(getattr(edgeticket, name) is not None for name in edgeticket.__all__)


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    from edgeticket.lottery import api  # a part of the package that is loaded is no public name

    assert api.find is edgeticket.find
    assert [name for name in dir(edgeticket) if not name.startswith("_")] == sorted([*CLASSES, *FUNCTIONS])


def test_a_public_name_is_what_it_is_in_every_order_of_imports() -> None:
    names = [*CLASSES, *FUNCTIONS]
    modules = [f"edgeticket.{each.name}" for each in pkgutil.iter_modules(edgeticket.__path__)]
    modules += ["edgeticket.lottery.api", "edgeticket.benchmark.bench", "edgeticket.benchmark.compare"]
    modules += ["edgeticket.cli.find", "edgeticket.cli.inspect"]
    for other in ("__main__", "libedgeticket_ep"):  # a script, and the engine's library
        modules = [module for module in modules if module != f"edgeticket.{other}"]
    take = "import edgeticket; from edgeticket import "
    turned = [names[place:] + names[:place] for place in range(len(names))]
    orders = [take + ", ".join(order) for order in (*turned, *(order[::-1] for order in turned))]
    orders += [f"import {module}; {take}{', '.join(names)}" for module in modules]
    orders += [f"{take}{', '.join(names)}; import {module}" for module in modules]
    orders += [
        f"import {', '.join(modules)}; {take}{', '.join(names)}",
        "import edgeticket.lottery.api, edgeticket.runtime",
    ]
    orders += ["from edgeticket import *; import edgeticket", "import edgeticket; edgeticket.runtime.session"]
    done = subprocess.run(
        [sys.executable, "-c", f"NAMES = {names}\n{TRIAL}"],
        input="\n".join(orders),
        capture_output=True,
        text=True,
        env=HERE,
    )
    assert done.returncode == 0, done.stderr


def test_no_part_of_the_package_bears_a_public_name() -> None:
    """Importing a part sets it as an attribute of the package, where it would hide the function."""
    parts = {each.name for each in pkgutil.iter_modules(edgeticket.__path__)}
    assert not parts & {*CLASSES, *FUNCTIONS}


def test_help_names_each_public_function_with_its_arguments_and_words() -> None:
    done = subprocess.run([sys.executable, "-m", "pydoc", "edgeticket"], capture_output=True, text=True, env=HERE)
    assert done.returncode == 0, done.stderr
    shown = re.sub("\b.", "", done.stdout)
    functions = shown[shown.index("\nFUNCTIONS\n") : shown.index("\nDATA\n")]
    for name in FUNCTIONS:
        (signature,) = re.findall(rf"^    {name}(\(.*?\)) ->", functions, re.MULTILINE | re.DOTALL)
        expected = list(inspect.signature(getattr(edgeticket, name)).parameters)
        assert [each for each in expected if not re.search(rf"[ (*]{each}\b", signature)] == []
        assert "**asked" not in signature, "the arguments are those of the request"
        assert (getattr(edgeticket, name).__doc__ or "").splitlines()[0] in functions
    for name in CLASSES:
        assert re.search(rf"^    class {name}\(", shown, re.MULTILINE), name
    assert {"until", "rewind", "device"} <= set(inspect.signature(edgeticket.find).parameters)
    assert {"baseline", "max_latency", "engine"} <= set(inspect.signature(edgeticket.check).parameters)


def test_help_works_where_torch_is_not_installed() -> None:
    """A device has the base package alone: what needs torch is left out, and asking for it says what to install."""
    code = "import sys; sys.modules['torch'] = None\nimport importlib.util; find = importlib.util.find_spec\n"
    code += "importlib.util.find_spec = lambda name, package=None: None if name == 'torch' else find(name, package)\n"
    code += "import pydoc, edgeticket; print(pydoc.plain(pydoc.render_doc(edgeticket)))\n"
    code += "try: edgeticket.find\nexcept ImportError as error: print(type(error).__name__, error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=HERE)
    assert done.returncode == 0, done.stderr
    assert "\n    check(candidate" in done.stdout
    assert "\n    find(" not in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("MissingExtraError `edgeticket find` needs the package 'torch'")
    assert "pip install 'edgeticket[find]'" in last


def test_a_users_script_is_checked_by_types(tmp_path: Path) -> None:
    """As mypy finds an installed package: only what has py.typed is read, and a wrong argument is an error there."""
    venv.create(tmp_path / "venv", with_pip=False)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (site / "edgeticket").symlink_to(ROOT / "edgeticket")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    python = ["--python-executable", str(tmp_path / "venv/bin/python"), "--cache-dir", str(tmp_path / "cache")]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, *python, str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    wrong = ["find('x', untill=0.1)", "check('a', baseline='b', max_latncy=0.1)", "bench('a', second=3)", "export()"]
    wrong += ["find(3)", "compare('a.json')", "inspect('m', claim=1)", "Task()", "check('a').gates"]
    script.write_text(SCRIPT + "\n".join(wrong) + "\n")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    first = len(SCRIPT.splitlines()) + 1
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error:" in line}
    assert found == set(range(first, first + len(wrong))), done.stdout


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'edgeticket' has no attribute 'prune'"):
        edgeticket.prune  # noqa: B018


def test_the_version_is_one() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", edgeticket.__version__)
    changelog = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
    assert edgeticket.__version__ in changelog.read_text()


def test_the_tree_of_errors_is_the_one_drawn() -> None:
    """errors.py opens with the tree; every class in it stands there, with its exit code."""
    drawn = set(re.findall(r"(\w+Error)\b", errors.__doc__ or ""))
    defined = {
        name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
    }
    assert drawn == set(defined)
    assert {name: int(kind.exit_code) for name, kind in defined.items()} == {
        "EdgeticketError": 2,
        "InputError": 2,
        "TaskError": 2,
        "DataError": 2,
        "ModelError": 2,
        "FolderError": 2,
        "StorageError": 2,
        "MissingExtraError": 2,
        "EngineError": 2,
        "TrainingError": 2,
        "ProofError": 1,
        "IntegrityError": 4,
    }


def test_what_a_task_of_the_users_own_may_say_is_stable() -> None:
    assert [field.name for field in dataclasses.fields(edgeticket.Task)] == [
        "name", "model", "data", "loss", "metric", "optimizer", "optimizer_args", "lr", "warmup", "milestones",
        "gamma", "schedule", "iterations", "batch_size", "eval_every", "validation", "rates", "scope", "keep",
        "augment", "until", "description",
    ]  # fmt: skip
    assert [field.name for field in dataclasses.fields(edgeticket.Data)] == [
        "train",
        "test",
        "scale",
        "offset",
        "preprocessing",
    ]
