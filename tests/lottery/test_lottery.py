"""One trial: what each round starts from and prunes, what is chosen, and what a second run may change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_task import rich, tiny
from torch import nn

from edgeticket.errors import FolderError, InputError, IntegrityError, TaskError, TrainingError
from edgeticket.lottery.goal import Goal
from edgeticket.lottery.network import derived_seed
from edgeticket.lottery.settings import Settings
from edgeticket.lottery.snapshot import Snapshot
from edgeticket.lottery.summary import verdict
from edgeticket.lottery.task import Task
from edgeticket.lottery.trial import Lottery
from edgeticket.lottery.watcher import Silent
from edgeticket.ticket import store
from edgeticket.ticket.kinds import At
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.metrics import Metric
from edgeticket.ticket.pruning import kept_counts, prune
from edgeticket.ticket.record import Choice, Record, RecordedMetric, RecordedOutput

pytestmark = pytest.mark.usefixtures("traced_once")


class Spy(Silent):
    """Counts what is trained."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.plans: list[tuple[int, int]] = []
        self.notes: list[str] = []

    def training(self, label: str, density: float, start: int, stop: int) -> None:
        self.trained.append(f"{label} from {start}")

    def plan(self, trainings: int, done: int) -> None:
        self.plans.append((trainings, done))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def lottery(
    folder: Path, task: Task = tiny, spy: Spy | None = None, goal: dict[str, Any] | None = None, **settings: Any
) -> Lottery:
    return Lottery(
        task, task.data([]), folder, Settings(**settings), Goal(**{"rounds": 2, **(goal or {})}), spy or Spy()
    )


def arrays(folder: Path, record: Record, number: int, name: str) -> dict[str, np.ndarray]:
    return store.read_arrays(folder, record, store.round_file(number, name))


def absolute(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores of pruning by magnitude."""
    return {name: np.abs(array) for name, array in weights.items()}


def starts_of(found: Lottery) -> list[Snapshot]:
    """Where every training starts from, recorded as it happens."""
    seen: list[Snapshot] = []
    train: Callable[..., Snapshot] = found.trainer.train

    def watched(snapshot: Snapshot, mask: Mask, seed: int, **others: Any) -> Snapshot:
        seen.append(snapshot)
        return train(snapshot, mask, seed, **others)

    found.trainer.train = watched  # type: ignore[method-assign]
    return seen


def equal(one: Any, two: Any) -> bool:
    return bool(one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one))


def strip(record: Record) -> Record:
    """Without what may differ: seconds and dates."""

    def plain(result: Any) -> Any:
        return dataclasses.replace(result, seconds=0.0, started="")

    return dataclasses.replace(
        record,
        provenance={},
        rounds=[plain(item) for item in record.rounds],
        controls=[plain(item) for item in record.controls],
    )


# -- what each round starts from ---------------------------------------------------------------------------------------


def test_every_round_starts_from_theta0_and_prunes_the_trained_weights(tmp_path: Path) -> None:
    found = lottery(tmp_path, rich, goal={"rounds": 3})
    starts = starts_of(found)
    record = found.run()
    rewind = store.read_arrays(tmp_path, record, "rewind.safetensors")
    assert equal(rewind, found.theta0)
    assert rewind["1.num_batches_tracked"].shape == ()
    assert len(starts) == 4
    for start in starts:
        assert (start.iteration, start.optimizer) == (0, {})
        assert equal(start.weights, found.theta0), "batch-norm statistics too"
    for number in range(1, 4):
        before = store.read_mask(tmp_path, record, number - 1)
        mask = store.read_mask(tmp_path, record, number)
        trained = arrays(tmp_path, record, number - 1, "end")
        assert mask == prune(before, absolute(trained), found.layers, "layer", number)
        counts = kept_counts(found.layers, "layer", number)
        assert {name: int(array.sum()) for name, array in mask.items()} == counts
        assert (record.rounds[number].kept, record.rounds[number].total) == (mask.kept, mask.total)
        for name in ("early_stop", "end"):
            weights = arrays(tmp_path, record, number, name)
            assert all(np.count_nonzero(weights[layer][~mask[layer]]) == 0 for layer in mask)
            assert weights.keys() == found.theta0.keys()


def test_every_round_sees_the_same_batches(tmp_path: Path) -> None:
    """Rewound with the whole mask, a round would repeat the dense training bit by bit."""
    found = lottery(tmp_path, rich, goal={"rounds": 0})
    record = found.run()
    trained = found.trainer.train(found._rewound(record, 1), Mask({}), derived_seed(0, "train"))
    assert equal(trained.weights, arrays(tmp_path, record, 0, "end"))


def test_rewinding_to_k_restores_weights_moments_and_schedule(tmp_path: Path) -> None:
    found = lottery(tmp_path, rich, rewind="12")
    starts = starts_of(found)
    record = found.run()
    assert [start.iteration for start in starts] == [0, 12, 12, 12]
    theta_k = store.read_arrays(tmp_path, record, "rewind.safetensors")
    moments = store.read_arrays(tmp_path, record, "rewind-optimizer.safetensors")
    random_state = moments.pop("random_state")
    assert not equal(theta_k, found.theta0)
    assert moments
    assert int(theta_k["1.num_batches_tracked"]) == 12
    for start in starts[1:]:
        assert equal(start.weights, theta_k)
        assert equal(start.optimizer, moments)
        assert np.array_equal(start.random_state, random_state), "dropout goes on as it did at k"
    reference = lottery(tmp_path / "reference", rich).trainer
    straight = reference.train(
        reference.start(found.theta0, derived_seed(0, "train")), Mask({}), derived_seed(0, "train"), stop=12
    )
    assert equal(straight.weights, theta_k)
    assert equal(straight.optimizer, moments)
    dense = lottery(tmp_path / "dense", rich, goal={"rounds": 0}).run()
    assert equal(arrays(tmp_path, record, 0, "end"), arrays(tmp_path / "dense", dense, 0, "end"))
    assert min(iteration for iteration, *_ in arrays(tmp_path, record, 1, "curve")["curve"]) > 12


def test_learning_rate_rewinding_keeps_the_trained_weights(tmp_path: Path) -> None:
    found = lottery(tmp_path, rich, rewind="lr")
    starts = starts_of(found)
    record = found.run()
    assert [start.iteration for start in starts] == [0, 0, 0]
    for number in (1, 2):
        assert equal(starts[number].weights, arrays(tmp_path, record, number - 1, "end"))


def test_one_shot_prunes_every_round_from_the_dense_network(tmp_path: Path) -> None:
    found = lottery(tmp_path, one_shot=True, goal={"rounds": 3})
    record = found.run()
    dense, ones = arrays(tmp_path, record, 0, "end"), store.read_mask(tmp_path, record, 0)
    for number in (1, 2, 3):
        assert store.read_mask(tmp_path, record, number) == prune(ones, absolute(dense), found.layers, "layer", number)


def test_the_invariant_holds_in_every_file_with_momentum_and_a_global_scope(tmp_path: Path) -> None:
    task = dataclasses.replace(rich, scope="global", rates={"conv": 0.4, "linear": 0.4, "output": 0.0})
    record = lottery(tmp_path, task).run()
    for number in (1, 2):
        mask = store.read_mask(tmp_path, record, number)
        assert mask["8.weight"].all()
        for name in ("early_stop", "end"):
            weights = arrays(tmp_path, record, number, name)
            assert all(np.count_nonzero(weights[layer][~mask[layer]]) == 0 for layer in mask)


# -- controls ----------------------------------------------------------------------------------------------------------


def test_controls_train_the_same_counts_from_other_weights(tmp_path: Path) -> None:
    found = lottery(tmp_path, goal={"controls": ("reinit", "random-mask"), "control_trials": 2, "control_rounds": (2,)})
    seen: list[tuple[Snapshot, Mask]] = []
    train = found.trainer.train

    def watched(snapshot: Snapshot, mask: Mask, seed: int, **others: Any) -> Snapshot:
        seen.append((snapshot, mask))
        return train(snapshot, mask, seed, **others)

    found.trainer.train = watched  # type: ignore[method-assign]
    record = found.run()
    assert [(c.kind, c.round, c.trial) for c in record.controls] == [
        ("reinit", 2, 0),
        ("reinit", 2, 1),
        ("random-mask", 2, 0),
        ("random-mask", 2, 1),
    ]
    mask = store.read_mask(tmp_path, record, 2)
    for (start, used), control in zip(seen[3:], record.controls, strict=True):
        assert (control.kept, control.total) == (mask.kept, mask.total)
        assert all(used[name].sum() == mask[name].sum() for name in mask)
        assert (used == mask) == (control.kind == "reinit")
        assert equal(start.weights, found.theta0) == (control.kind == "random-mask")
    assert seen[3][0].weights["0.weight"].tobytes() != seen[4][0].weights["0.weight"].tobytes(), "trials differ"
    assert seen[5][1] != seen[6][1]
    rounds_alone = lottery(tmp_path / "alone").run()
    assert strip(record).rounds == strip(rounds_alone).rounds, "controls change nothing"


def test_controls_can_be_added_later_and_raised(tmp_path: Path) -> None:
    lottery(tmp_path).run()
    spy = Spy()
    goal = {"controls": ("reinit",), "control_trials": 1}
    record = lottery(tmp_path, spy=spy, goal=goal).run()
    assert spy.trained == ["reinit of round 1, trial 0 from 0", "reinit of round 2, trial 0 from 0"]
    assert spy.plans == [(5, 3)]
    spy = Spy()
    more = lottery(tmp_path, spy=spy, goal={**goal, "control_trials": 2}).run()
    assert spy.trained == ["reinit of round 1, trial 1 from 0", "reinit of round 2, trial 1 from 0"]
    assert more.controls[:2] == record.controls


# -- the choice --------------------------------------------------------------------------------------------------------


def test_the_ticket_is_the_sparsest_round_within_the_tolerance(tmp_path: Path) -> None:
    validation = {0: 90.0, 1: 91.0, 2: 89.6, 3: 80.0, 4: 89.5, 5: 89.4}
    record = lottery(tmp_path, goal={"rounds": 5}).run()
    made = dataclasses.replace(
        record,
        rounds=[
            dataclasses.replace(
                result,
                early_stop=dataclasses.replace(result.early_stop, validation_metric=validation[result.number]),
                end=dataclasses.replace(result.end, validation_metric=90.0 - result.number),
            )
            for result in record.rounds
        ],
    )

    def chosen(**goal: Any) -> int | None:
        return lottery(tmp_path, goal={"rounds": 5, **goal})._choose(made).ticket

    assert chosen() == 4, "0.5 points is still within"
    assert chosen(tolerance=0.49) == 2
    assert chosen(tolerance=0.0) == 1
    assert chosen(tolerance=10.0) == 5
    assert chosen(at="end", tolerance=2.0) == 2
    assert chosen(at="end", tolerance=0.5) is None, "never round 0"
    assert chosen(rounds=3) == 4, "a round that is there is never forgotten"


def test_no_ticket_is_a_result(tmp_path: Path) -> None:
    record = lottery(tmp_path, goal={"rounds": 0}).run()
    assert record.ticket is None
    assert store.read_record(tmp_path).ticket is None
    assert verdict(record).startswith("No ticket: only the dense network was trained, and a ticket is a pruned round")
    one = dataclasses.replace(record, rounds=[*record.rounds, dataclasses.replace(record.rounds[0], number=1)])
    assert verdict(one).startswith("No ticket: no round of 1 comes within 0.5 points of dense on validation")


def test_less_is_better_for_an_error(tmp_path: Path) -> None:
    def wrong(outputs: np.ndarray, targets: np.ndarray) -> np.float32:
        return np.float32(np.mean(outputs.argmax(1) != targets))

    task = dataclasses.replace(tiny, metric=Metric("error rate", wrong, higher_is_better=False, unit=""))
    record = lottery(tmp_path, task, goal={"tolerance": 1.0}).run()
    assert record.ticket == 2
    assert record.metric == RecordedMetric("error rate", "", higher_is_better=False, builtin=False)
    assert lottery(tmp_path, task, goal={"tolerance": 1.0}).run() == record


# -- the same folder again ---------------------------------------------------------------------------------------------


def test_a_finished_run_repeated_trains_and_writes_nothing(tmp_path: Path) -> None:
    record = lottery(tmp_path, rich).run()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    spy = Spy()
    assert lottery(tmp_path, rich, spy=spy).run() == record
    assert spy.trained == []
    assert spy.plans == [(3, 3)]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("rewind", ["init", "12", "lr"])
def test_more_rounds_later_are_the_rounds_of_one_run(tmp_path: Path, rewind: str) -> None:
    spy = Spy()
    lottery(tmp_path / "a", rich, rewind=rewind, goal={"rounds": 1}).run()
    grown = lottery(tmp_path / "a", rich, spy=spy, rewind=rewind, goal={"rounds": 3}).run()
    assert [label.partition(" from")[0] for label in spy.trained] == ["round 2", "round 3"]
    whole = lottery(tmp_path / "b", rich, rewind=rewind, goal={"rounds": 3}).run()
    assert strip(grown) == strip(whole), "file hashes included"


def test_the_tolerance_may_change_without_training(tmp_path: Path) -> None:
    lottery(tmp_path).run()
    spy = Spy()
    record = lottery(tmp_path, spy=spy, goal={"tolerance": 100.0, "at": "end"}).run()
    assert spy.trained == []
    assert (record.ticket, record.choice) == (2, Choice(100.0, At.END))
    assert store.read_record(tmp_path) == record


@pytest.mark.parametrize(
    ("task", "settings", "line"),
    [
        (tiny, {"seed": 1}, "--seed: 0 there, 1 asked for"),
        (tiny, {"rewind": "5"}, "--rewind: 'init' there, '5' asked for"),
        (tiny, {"one_shot": True}, "--one-shot: False there, True asked for"),
        (tiny, {"threads": 2}, "--threads: 1 there, 2 asked for"),
        (tiny.with_numbers({"lr": 0.03}), {}, "task.lr: 0.02 there, 0.03 asked for"),
        (tiny.with_numbers({"iterations": 31}), {}, "task.iterations: 30 there, 31 asked for"),
        (tiny.with_numbers({"rates.linear": 0.3}), {}, "task.rates.linear: 0.2 there, 0.3 asked for"),
        (dataclasses.replace(tiny, keep=("0.*",)), {}, "task.keep: [] there, ['0.*'] asked for"),
        (dataclasses.replace(tiny, milestones=(9,)), {}, "task.milestones: [] there, [9] asked for"),
        (dataclasses.replace(tiny, optimizer=torch.optim.SGD), {}, "task.optimizer: 'Adam' there, 'SGD' asked for"),
        (dataclasses.replace(tiny, name="other"), {}, "task: 'tiny' there, 'other' asked for"),
    ],
)
def test_other_settings_are_refused_with_the_difference(
    tmp_path: Path, task: Task, settings: dict[str, Any], line: str
) -> None:
    lottery(tmp_path, goal={"rounds": 0}).run()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FolderError) as caught:
        lottery(tmp_path, task, **settings).run()
    assert line in str(caught.value)
    assert "made with other settings; nothing was changed" in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_other_data_are_refused(tmp_path: Path) -> None:
    lottery(tmp_path, goal={"rounds": 0}).run()
    data = tiny.data([])
    data.train[1][0] = (data.train[1][0] + 1) % 3
    with pytest.raises(FolderError, match=r"data \(sha256\): "):
        lottery(tmp_path, dataclasses.replace(tiny, data=lambda _folders: data)).run()


def test_settings_that_json_changes_are_still_the_same(tmp_path: Path) -> None:
    task = dataclasses.replace(tiny, optimizer_args={"betas": (0.9, 0.99)})
    record = lottery(tmp_path, task, goal={"rounds": 0}).run()
    assert lottery(tmp_path, task, goal={"rounds": 0}).run() == record


def test_other_package_versions_are_said(tmp_path: Path) -> None:
    record = lottery(tmp_path, goal={"rounds": 0}).run()
    store.write_record(tmp_path, dataclasses.replace(record, provenance={"versions": {"torch": "1.0"}}))
    spy = Spy()
    lottery(tmp_path, spy=spy, goal={"rounds": 0}).run()
    assert len(spy.notes) == 1
    assert "Other package versions" in spy.notes[0]


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_nan_loss_keeps_the_rounds_so_far(tmp_path: Path) -> None:
    found = lottery(tmp_path)
    train, calls = found.trainer.train, []

    def fail_later(*arguments: Any, **others: Any) -> Snapshot:
        calls.append(1)
        if len(calls) == 3:
            raise TrainingError("the training loss is nan")
        return train(*arguments, **others)

    found.trainer.train = fail_later  # type: ignore[method-assign]
    with pytest.raises(TrainingError):
        found.run()
    assert len(store.read_record(tmp_path).rounds) == 2
    assert strip(lottery(tmp_path).run()) == strip(lottery(tmp_path / "whole").run())


def test_an_error_in_the_tasks_own_code_is_a_sentence(tmp_path: Path) -> None:
    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise KeyError("weights")

    with pytest.raises(TaskError, match=r"fails on the first validation examples: KeyError: 'weights'"):
        lottery(tmp_path, dataclasses.replace(tiny, loss=loss))

    def augment(_inputs: torch.Tensor, _generator: torch.Generator) -> torch.Tensor:
        raise KeyError("images")

    with pytest.raises(TaskError, match=r"training fails in the task's own code: KeyError: 'images'"):
        lottery(tmp_path, dataclasses.replace(tiny, augment=augment)).run()


@pytest.mark.parametrize("name", ["rounds/00/mask.safetensors", "graph.onnx", "rewind.safetensors", "ticket.json"])
def test_a_flipped_bit_is_named_and_nothing_is_trained(tmp_path: Path, name: str) -> None:
    lottery(tmp_path, goal={"rounds": 1}).run()
    altered = bytearray((tmp_path / name).read_bytes())
    altered[len(altered) // 2] ^= 16
    (tmp_path / name).write_bytes(altered)
    spy = Spy()
    with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
        lottery(tmp_path, spy=spy).run()
    assert spy.trained == []


def test_a_folder_that_lost_its_ticket_json_is_not_begun_anew(tmp_path: Path) -> None:
    lottery(tmp_path, goal={"rounds": 1}).run()
    (tmp_path / store.RECORD).unlink()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(IntegrityError, match=r"ticket\.json: missing, though the folder holds rounds"):
        lottery(tmp_path).run()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(FolderError, match=r"holds something else \(thesis\.tex\)"):
        lottery(tmp_path).run()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_killed_beginning_left_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "test.safetensors").write_bytes(b"half")
    (tmp_path / ".tmp-abc.safetensors").write_bytes(b"half")
    assert strip(lottery(tmp_path).run()) == strip(lottery(tmp_path / "x").run())
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_graph_that_does_not_read_a_masked_weight_is_refused_before_training(tmp_path: Path) -> None:
    class Ignored(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.ignored = torch.nn.Linear(6, 3), torch.nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.ignored(x)
            return self.used(x)  # type: ignore[no-any-return]

    with pytest.raises(TaskError, match=r"the traced graph does not read ignored\.weight under its name"):
        lottery(tmp_path, dataclasses.replace(tiny, model=Ignored))
    assert list(tmp_path.iterdir()) == []


# -- resuming inside a round -------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for SIGKILL where a process of its own would be slow."""


@pytest.mark.parametrize("rewind", ["init", "12"])
def test_killed_at_every_checkpoint_and_every_write_it_ends_the_same(
    tmp_path: Path, rewind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each atomic write in turn (checkpoints, files of a round, ticket.json) the process is gone."""
    monkeypatch.setenv("EDGETICKET_CHECKPOINT_SECONDS", "0")
    goal = {"rounds": 1, "controls": ("random-mask",), "control_trials": 1}
    whole = lottery(tmp_path / "whole", rich, rewind=rewind, goal=goal).run()
    from edgeticket.lottery import opening as module

    write, left = store.write_atomic, 0

    def dying(path: Path, data: bytes) -> str:
        nonlocal left
        digest = write(path, data)
        left -= 1
        if left == 0:
            raise Killed
        return digest

    monkeypatch.setattr(store, "write_atomic", dying)
    monkeypatch.setattr(module, "write_atomic", dying)
    deaths, folder = 0, tmp_path / "killed"
    for patience in [1, 2, 3, 4, 2, 1, 5, 3, 1, 2, 7, 1, 1, 2, 3, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10**9]:
        left = patience
        try:
            ended = lottery(folder, rich, rewind=rewind, goal=goal).run()
            break
        except Killed:
            deaths += 1
    assert deaths >= 8
    assert strip(ended) == strip(whole)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert names == sorted(
        str(path.relative_to(tmp_path / "whole")) for path in (tmp_path / "whole").rglob("*") if path.is_file()
    )
    assert not any("checkpoint" in name for name in names)


def test_a_checkpoint_interval_that_is_no_number_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGETICKET_CHECKPOINT_SECONDS", "often")
    with pytest.raises(Exception, match="EDGETICKET_CHECKPOINT_SECONDS=often: give seconds"):
        lottery(tmp_path).run()


def test_the_ticket_is_read_back_for_export(tmp_path: Path) -> None:
    record = lottery(tmp_path, goal={"keep_test": 30}).run()
    ticket = store.read_ticket(tmp_path, 2)
    assert ticket.mask == store.read_mask(tmp_path, record, 2)
    assert ticket.test.inputs.shape == (30, 6)
    assert ticket.test.inputs.dtype == np.float32
    assert ticket.test.stored["inputs"].dtype == np.uint8
    assert ticket.test.of == 100
    assert record.input.scale == 1 / 128
    assert record.output == RecordedOutput("output", (3,))


# -- a task that was edited, or built in a way that numbers would hide ------------------------------------------------


def tanh_mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def twice(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return 2 * nn.functional.cross_entropy(outputs, targets)


def edited(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return 3 * nn.functional.cross_entropy(outputs, targets)


edited.__qualname__ = "twice"


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [
        ({}, {"model": tanh_mlp}, "code of network"),
        ({"loss": twice}, {"loss": edited}, "code of loss"),
        ({"schedule": lambda i: 1.0}, {"schedule": lambda i: 0.5}, "code of schedule"),
        ({"augment": lambda x, g: x}, {"augment": lambda x, g: x + 0}, "code of augment"),
    ],
    ids=["model", "loss", "schedule", "augment"],
)
def test_an_edited_task_does_not_go_on_in_the_old_folder(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], part: str
) -> None:
    lottery(tmp_path, dataclasses.replace(tiny, **before), goal={"rounds": 1}).run()
    lottery(tmp_path, dataclasses.replace(tiny, **before), goal={"rounds": 1}).run()
    with pytest.raises(FolderError, match=part):
        lottery(tmp_path, dataclasses.replace(tiny, **after)).run()


def test_after_a_failure_before_the_first_round_other_settings_are_welcome(tmp_path: Path) -> None:
    wild = dataclasses.replace(tiny, optimizer=torch.optim.SGD, lr=1e30)
    with pytest.raises(TrainingError, match="Lower the learning rate"):
        lottery(tmp_path, wild).run()
    record = lottery(tmp_path, wild.with_numbers({"lr": 0.1}), goal={"rounds": 0}).run()
    assert record.settings["task.lr"] == 0.1


def test_half_a_point_means_nothing_for_a_metric_that_is_not_in_percent(tmp_path: Path) -> None:
    f1 = Metric("f1", lambda outputs, targets: float(np.mean(outputs.argmax(1) == targets)))
    task = dataclasses.replace(tiny, metric=f1)
    with pytest.raises(InputError, match="--tolerance"):
        lottery(tmp_path, task)
    assert not list(tmp_path.iterdir())
    assert lottery(tmp_path, task, goal={"tolerance": 0.05, "rounds": 0}).run().choice.tolerance == 0.05


def test_a_metric_that_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    task = dataclasses.replace(tiny, loss=lambda o, t: (o[:, 0] - t).square().mean(), model=lambda: nn.Linear(6, 1))
    with pytest.raises(TaskError, match="a score for each class"):
        lottery(tmp_path, task)
    assert not list(tmp_path.iterdir())


def test_subclasses_are_pruned_and_what_is_not_is_said(tmp_path: Path) -> None:
    class Own(nn.Linear):
        pass

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = nn.Parameter(torch.eye(8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ self.matrix

    task = dataclasses.replace(tiny, name="own", model=lambda: nn.Sequential(Own(6, 8), Scaled(), nn.Linear(8, 3)))
    spy = Spy()
    record = lottery(tmp_path, task, spy=spy, goal={"rounds": 0}).run()
    assert [layer.name for layer in record.layers] == ["0.weight", "2.weight"]
    assert any("1.matrix" in note for note in spy.notes)
    assert record.provenance["not covered by the mask"] == ["1.matrix"]


def test_another_keep_test_is_said_to_be_ignored(tmp_path: Path) -> None:
    lottery(tmp_path, goal={"rounds": 0, "keep_test": 30}).run()
    spy = Spy()
    lottery(tmp_path, goal={"rounds": 0, "keep_test": 31}, spy=spy).run()
    assert any("--keep-test is ignored" in note for note in spy.notes)


def test_layers_keep_their_own_learning_rates_under_a_schedule(tmp_path: Path) -> None:
    def two_rates(parameters: list[nn.Parameter], lr: float) -> torch.optim.Optimizer:
        frozen, free = parameters[:2], parameters[2:]
        return torch.optim.SGD([{"params": frozen, "lr": 0.0 * lr}, {"params": free}], lr=lr)

    task = dataclasses.replace(tiny, optimizer=two_rates, schedule=lambda i: 0.5)
    found = lottery(tmp_path, task, goal={"rounds": 0})
    record = found.run()
    end = arrays(tmp_path, record, 0, "end")
    assert np.array_equal(end["0.weight"], found.theta0["0.weight"])
    assert not np.array_equal(end["4.weight"], found.theta0["4.weight"])
