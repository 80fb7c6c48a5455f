"""A Task cannot be built wrong, and says what is wrong in a sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_task import blobs, mlp, rich, tiny

from edgeticket.errors import DataError, TaskError
from edgeticket.lottery.load import default_folder, load_task
from edgeticket.lottery.task import Data, Task, parse_settings
from edgeticket.lottery.tasks import TASKS
from edgeticket.ticket.metrics import Metric

GOOD: dict[str, Any] = {
    "name": "mine",
    "model": mlp,
    "data": blobs,
    "lr": 0.1,
    "iterations": 10,
    "batch_size": 5,
    "validation": 20,
}


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("name", "", "a text"),
        ("name", 3, "a text"),
        ("model", 3, "callable"),
        ("data", None, "callable"),
        ("loss", "cross_entropy", "callable"),
        ("optimizer", "adam", "callable"),
        ("schedule", 0.1, "callable, or None"),
        ("augment", "flip", "callable, or None"),
        ("iterations", 0, "a whole number above 0"),
        ("iterations", 1.5, "a whole number above 0"),
        ("batch_size", True, "a whole number above 0"),
        ("eval_every", -1, "a whole number above 0"),
        ("validation", 0, "a whole number above 0"),
        ("warmup", -1, "a whole number of iterations"),
        ("lr", 0, "a number above 0"),
        ("lr", float("inf"), "a number above 0"),
        ("lr", float("nan"), "a number above 0"),
        ("lr", "0.1", "a number above 0"),
        ("gamma", -0.1, "a number above 0"),
        ("until", 0, "a density between 0 and 1"),
        ("until", 3.6, "a density between 0 and 1"),
        ("scope", "all", "'layer' or 'global'"),
        ("metric", "f1", "a Metric or one of accuracy, top5, mae, mse"),
        ("rates", {"fc": 0.2}, "a mapping from conv, linear, output to a share"),
        ("rates", {"conv": 1.0}, "shares from 0 up to, not including, 1"),
        ("rates", 0.2, "a mapping from names to numbers"),
        ("optimizer_args", [0.9], "a mapping from names to numbers"),
        ("milestones", (0.5,), "a tuple of iterations"),
        ("milestones", 100, "a tuple of iterations"),
        ("keep", "*downsample*", "a tuple of patterns"),
    ],
)
def test_every_field_is_checked(field: str, value: object, rule: str) -> None:
    with pytest.raises(TaskError) as caught:
        Task(**{**GOOD, field: value})
    assert f"{field} is {value!r}; it must be {rule}" in str(caught.value)


def test_a_global_scope_has_one_rate() -> None:
    with pytest.raises(TaskError, match="one rate for all where the scope is global"):
        Task(**GOOD, scope="global", rates={"conv": 0.2, "linear": 0.1})
    assert Task(**GOOD, scope="global", rates={"conv": 0.2, "linear": 0.0}).scope == "global"


def test_twenty_lines_are_enough_and_the_rest_has_defaults() -> None:
    task = Task(**GOOD)
    assert task.metric_of.name == "accuracy"
    assert task.lr_is_constant
    assert task.rates == {"conv": 0.2, "linear": 0.2, "output": 0.1}


def test_a_list_of_milestones_counts_like_a_tuple() -> None:
    task = Task(**GOOD, milestones=[4, 8])  # type: ignore[arg-type]
    assert task.numbers()["milestones"] == [4, 8]
    assert [round(task.lr_at(i), 6) for i in (3, 4, 8)] == [0.1, 0.01, 0.001]


def test_the_learning_rate_warms_up_steps_and_follows_the_schedule() -> None:
    task = Task(**GOOD, warmup=4, milestones=(6,), gamma=0.5, schedule=lambda i: 1.0 if i < 8 else 2.0)
    rates = [task.lr_at(i) for i in range(10)]
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.05, 0.05, 0.1, 0.1])
    assert not task.lr_is_constant


def test_set_reaches_every_number() -> None:
    changed = rich.with_numbers({"lr": 0.5, "iterations": 12.0, "rates.linear": 0.5, "optimizer_args.momentum": 0})
    assert (changed.lr, changed.iterations, changed.rates["linear"], changed.rates["conv"]) == (0.5, 12, 0.5, 0.2)
    assert changed.optimizer_args == {"momentum": 0, "weight_decay": 1e-2}
    assert type(changed.iterations) is int
    assert rich.lr == 0.05
    scalars = {name for name, value in rich.numbers().items() if not isinstance(value, list)}
    assert all(rich.with_numbers({name: rich.numbers()[name]}).numbers() == rich.numbers() for name in scalars)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"learning_rate": 0.1}, "--set learning_rate: task 'tiny' has no such number; it has lr, warmup"),
        ({"milestones": 3}, "has no such number"),
        ({"iterations": 1.5}, "--set iterations=1.5: it must be a whole number"),
        ({"iterations": float("inf")}, "it must be a whole number"),
        ({"iterations": float("nan")}, "it must be a whole number"),
        ({"lr": -1}, "lr is -1; it must be a number above 0"),
        ({"rates.conv": 1.5}, "shares from 0 up to"),
    ],
)
def test_set_refuses_in_a_sentence(changes: dict[str, float], sentence: str) -> None:
    with pytest.raises(TaskError) as caught:
        tiny.with_numbers(changes)
    assert sentence in str(caught.value)


def test_pairs_are_parsed() -> None:
    assert parse_settings(["lr=0.01", " iterations = 500"]) == {"lr": 0.01, "iterations": 500.0}
    for pair in ("lr", "lr=", "lr=fast", "lr:0.1"):
        with pytest.raises(TaskError, match="write NAME=NUMBER"):
            parse_settings([pair])


def test_the_builtin_tasks_have_the_papers_settings() -> None:
    expected = {
        "lenet-mnist": (50_000, 60, torch.optim.Adam, 1.2e-3, {"linear": 0.2, "output": 0.1}, "layer"),
        "conv2-cifar10": (20_000, 60, torch.optim.Adam, 2e-4, {"conv": 0.1, "linear": 0.2, "output": 0.1}, "layer"),
        "conv4-cifar10": (25_000, 60, torch.optim.Adam, 3e-4, {"conv": 0.1, "linear": 0.2, "output": 0.1}, "layer"),
        "conv6-cifar10": (30_000, 60, torch.optim.Adam, 3e-4, {"conv": 0.15, "linear": 0.2, "output": 0.1}, "layer"),
        "resnet20-cifar10": (30_000, 128, torch.optim.SGD, 0.03, {"conv": 0.2}, "global"),
        "vgg19-cifar10": (112_000, 64, torch.optim.SGD, 0.1, {"conv": 0.2}, "global"),
    }
    assert ["lenet-digits", *expected] == list(TASKS)
    for name, settings in expected.items():
        task = TASKS[name]
        assert (
            task.iterations,
            task.batch_size,
            task.optimizer,
            task.lr,
            dict(task.rates),
            task.scope,
        ) == settings
        assert (task.validation, task.eval_every, task.metric) == (5_000, 100, "accuracy")
    assert (TASKS["resnet20-cifar10"].warmup, TASKS["resnet20-cifar10"].milestones) == (20_000, (20_000, 25_000))
    assert TASKS["vgg19-cifar10"].warmup == 10_000
    assert all(TASKS[name].optimizer_args["momentum"] == 0.9 for name in ("resnet20-cifar10", "vgg19-cifar10"))
    assert TASKS["resnet20-cifar10"].optimizer_args["weight_decay"] == 1e-4


# -- Data --------------------------------------------------------------------------------------------------------------

X, Y = np.zeros((4, 3), np.uint8), np.zeros(4, np.int64)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"train": (X, Y[:3]), "test": (X, Y)}, "train set: 4 inputs but 3 targets"),
        ({"train": (X, Y), "test": (X[:0], Y[:0])}, "test set: 0 inputs but 0 targets"),
        ({"train": (X, Y), "test": (X[:, :2], Y)}, "train inputs have shape (3,), test inputs (2,)"),
        ({"train": (X, Y), "test": (X, Y), "scale": 1.0}, "scale and offset go together"),
        (
            {"train": (X / 2.0, Y), "test": (X / 2.0, Y), "scale": 1.0, "offset": 0.0},
            "scale and offset are for uint8 inputs; these are float32",
        ),
        ({"train": (X, Y), "test": (X / 2.0, Y)}, "test inputs are float32 (train: uint8)"),
        ({"train": (X, Y.astype(str)), "test": (X, Y.astype(str))}, "train targets are <U21"),
        (
            {"train": (X, Y), "test": (X, Y), "scale": [1.0, 2.0], "offset": 0.0},
            "scale has shape [2], inputs [4, 3]: give a number, or one value a channel",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError) as caught:
        Data(**arguments)
    assert sentence in str(caught.value)


def test_tensors_doubles_and_read_only_arrays_are_taken() -> None:
    locked = X / 2.0
    locked.setflags(write=False)
    data = Data((torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)), (locked, Y))
    assert data.train[0].dtype == data.test[0].dtype == np.float32
    assert Data((X, Y), (X, Y), 0.5, 1).scale.shape == ()
    frozen = X.copy()
    frozen.setflags(write=False)
    torch.from_numpy(Data((frozen, Y), (frozen, Y)).train[0])  # warns where the array is not writable


# -- finding a task ----------------------------------------------------------------------------------------------------

HEAD = "from tiny_task import mlp, blobs\nfrom edgeticket import Task\n"


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", {**sys.modules})


def test_a_task_is_found_by_name_file_or_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEAD + (
        "def make():\n    return Task(name='made', model=mlp, data=blobs, lr=1, iterations=2, batch_size=3,"
        " validation=4)\nmine = make()\n"
    )
    path = write(tmp_path, "own_task_1.py", text)
    assert load_task("lenet-digits") is TASKS["lenet-digits"]
    assert load_task(f"{path}:mine").name == "made"
    assert load_task(f"{path}:make").name == "made"
    monkeypatch.chdir(tmp_path)
    assert load_task("own_task_1:mine").name == "made"
    assert load_task(tiny) is tiny


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        ("import not_there_xyz\n", "mine", "ModuleNotFoundError: No module named 'not_there_xyz' (line 1)"),
        ("x = 1\nraise ValueError('boom')\n", "mine", "does not import: ValueError: boom (line 2)"),
        ("import sys\nsys.exit(0)\n", "mine", "does not import: SystemExit"),
        ("def f(:\n", "mine", "line 1: invalid syntax; the task file does not parse"),
        (HEAD + "other = 3\n", "mine", "has no name 'mine'; it holds no Task"),
        (HEAD + "mine = 3\n", "mine", "is a int, not an edgeticket.Task nor a function that returns one"),
        (HEAD + "class mine: pass\n", "mine", "is a type, not an edgeticket.Task"),
        (HEAD + "def mine():\n    raise KeyError('k')\n", "mine", "calling mine() failed: KeyError: 'k'"),
        (HEAD + "mine = Task(name='m', model=mlp, data=blobs, lr=-1, iterations=1, batch_size=1, validation=1)\n",
         "mine", "lr is -1"),
        (HEAD + "mine = Task(name='m')\n", "mine", "TypeError"),
        ("from tiny_task import tiny as one, rich as two\n", "mine", "it holds one, two"),
    ],
)  # fmt: skip
def test_a_task_file_that_is_wrong_is_a_sentence(tmp_path: Path, text: str, name: str, sentence: str) -> None:
    path = write(tmp_path, "wrong_task.py", text)
    with pytest.raises(TaskError) as caught:
        load_task(f"{path}:{name}")
    assert sentence in str(caught.value)
    assert "wrong_task.py" in str(caught.value) or "lr is" in str(caught.value)


@pytest.mark.parametrize("reference", [None, 3, Path("task.py")])
def test_what_is_no_text_and_no_task_is_told_what_to_give(reference: Any) -> None:
    with pytest.raises(TaskError, match=r"give a Task, the name of a built-in task, or .*file\.py:name"):
        load_task(reference)


@pytest.mark.parametrize("reference", ["lenet", "x.py", "x.py:", ":x", ""])
def test_what_is_no_reference_is_told_how_to_write_one(reference: str) -> None:
    with pytest.raises(TaskError, match=r"is no built-in task \(`edgeticket tasks` lists them\).*file\.py:name"):
        load_task(reference)


def test_a_file_or_module_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"nowhere\.py: there is no such file"):
        load_task(f"{tmp_path / 'nowhere.py'}:task")
    with pytest.raises(TaskError, match="no_such_module_xyz: does not import: ModuleNotFoundError"):
        load_task("no_such_module_xyz:task")


def test_the_default_folder_is_a_safe_name() -> None:
    assert default_folder("lenet-digits", TASKS["lenet-digits"]) == Path("runs/lenet-digits")
    for name, folder in (("a/b c", "a-b-c"), ("../x", "-x"), ("..", "task")):
        assert default_folder("f.py:t", Task(**{**GOOD, "name": name})) == Path("runs") / folder


def test_a_metric_of_ones_own() -> None:
    own = Metric("own", lambda o, t: 1.0)
    assert Task(**GOOD, metric=own).metric_of is own


def test_set_reaches_the_numbers_in_a_list() -> None:
    assert rich.with_numbers({"milestones.0": 30}).milestones == (30,)
    with pytest.raises(TaskError, match="has no such number"):
        rich.with_numbers({"milestones.1": 30})
    with pytest.raises(TaskError, match="whole number"):
        rich.with_numbers({"milestones.0": 30.5})
