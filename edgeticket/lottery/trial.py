"""Iterative magnitude pruning, one trial (Frankle & Carbin 2019, section 2; late resetting: 1903.01611;
learning-rate rewinding: Renda 2020).

    θ = θ0;  m = 1
    for each round n:  θ' = train(m ⊙ θ);  record;  m = prune(m, θ')

A trial is its folder: whatever ticket.json lists is done, a checkpoint says where the running round stands, and
everything else follows from the settings. So the same command on the same folder goes on where it was.
"""

from __future__ import annotations

import dataclasses
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgeticket import text
from edgeticket.errors import EdgeticketError, FolderError, InputError, IntegrityError, TaskError
from edgeticket.files import clean_temporaries, sha256, write_atomic
from edgeticket.lottery import trace
from edgeticket.lottery.checkpoint import Checkpoints, interval
from edgeticket.lottery.network import (
    derived_seed,
    make_network,
    multiplications,
    prunable_layers,
    uncovered_weights,
    weights_of,
)
from edgeticket.lottery.settings import Goal, Settings, completed, deciding, defaults, unknown, versions
from edgeticket.lottery.task import Data, Task
from edgeticket.lottery.train import Evaluation, Snapshot, Tensors, Trainer, network_inputs, split
from edgeticket.lottery.watcher import Watcher
from edgeticket.ticket import store
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.metrics import METRICS
from edgeticket.ticket.pruning import Layer, densities, prune, random_like, rounds_until
from edgeticket.ticket.record import FORMAT, VERSION, Control, Point, Record, Round
from edgeticket.version import __version__

Array = NDArray[Any]
WORTH_THREADS = 10**9  # multiplications a batch: LeNet-300-100 has 16 million, Conv-2 2.6 billion


class Lottery:
    """One trial in its folder. `run()` does what is left to do and returns the Record."""

    def __init__(
        self,
        task: Task,
        data: Data,
        folder: Path,
        settings: Settings,
        goal: Goal,
        watcher: Watcher,
        cores: int = 1,
    ) -> None:
        self.task, self.folder, self.goal, self.watcher = task, folder, goal, watcher
        self.device = torch.device(settings.device)
        if self.device.type == "cuda":
            torch.use_deterministic_algorithms(True, warn_only=True)
        network = make_network(task, derived_seed(settings.seed, "init"))
        self.theta0 = weights_of(network)
        example = torch.from_numpy(network_inputs(data, data.train[0][:2]).copy())  # a network may work in place
        self.layers: list[Layer] = prunable_layers(task, network, example)
        if settings.threads == 0:
            worth = multiplications(network, example) * task.batch_size >= WORTH_THREADS
            settings = dataclasses.replace(settings, threads=cores if worth else 1)
        self.settings = settings
        torch.set_num_threads(settings.threads)
        self.uncovered = uncovered_weights(network, self.layers)
        self.graph = trace.trace(network, example, task.name)
        self._check_traced()
        self.data = data
        tensors: Tensors = split(data, task, settings.seed, self.device)
        self.trainer = Trainer(task, network, tensors, self.device)
        self._checkpoints = Checkpoints(folder)
        self.tolerance = self._tolerance()
        self._try_metric()

    def run(self) -> Record:
        """Go on from where the folder stands to the goal.

        Raises:
            FolderError: the folder was made with other settings.
            IntegrityError: a file in it is truncated or altered.
            TrainingError: the loss is not finite; the finished rounds stay.
        """
        self._refuse_foreign()
        clean_temporaries(self.folder)
        record = self._open()
        last = self.last_round()
        controls = self._control_jobs(record, last)
        done = sum(n <= last for n in range(len(record.rounds)))
        self.watcher.plan(last + 1 + len(controls) + len(record.controls), done + len(record.controls))
        for number in range(len(record.rounds), last + 1):
            record = self._round(record, number)
        record = self._choose(record)
        for kind, number, trial in controls:
            record = self._control(record, kind, number, trial)
        return record

    def last_round(self) -> int:
        """The round the goal ends with."""
        if self.goal.rounds is not None:
            by_rounds = self.goal.rounds
            if self.goal.until is None:
                return by_rounds
            return min(by_rounds, rounds_until(self.layers, self.task.scope, self.goal.until))
        until = self.task.until if self.goal.until is None else self.goal.until
        return rounds_until(self.layers, self.task.scope, until)

    def densities(self) -> list[float]:
        """The planned density of every round."""
        return densities(self.layers, self.task.scope, self.last_round())

    def _tolerance(self) -> float:
        """0.5 points by default, which mean something in percent only."""
        metric = self.task.metric_of
        if self.goal.tolerance is not None:
            return self.goal.tolerance
        if metric.unit != "%":
            raise InputError(
                f"task {self.task.name!r}: its metric {metric.name!r} is not in percent, so 0.5 points mean nothing "
                "for it: say with --tolerance, in the metric's own unit, how much worse than dense a ticket may be"
            )
        return 0.5

    def _try_metric(self) -> None:
        """Loss and metric on a few examples, before anything is trained or written."""
        inputs, targets = self.trainer.data.validation
        try:
            self.trainer.evaluate((inputs[:8], targets[:8]))
        except EdgeticketError:
            raise
        except Exception as error:
            raise TaskError(
                f"task {self.task.name!r}: its loss or metric fails on the first validation examples: "
                f"{type(error).__name__}: {error}"
            ) from error

    # -- the folder ------------------------------------------------------------------------------------------------

    def _refuse_foreign(self) -> None:
        """A folder without ticket.json may hold what a killed `_create` left, and nothing else."""
        if not self.folder.exists() or (self.folder / store.RECORD).exists():
            return
        begun = {"test.safetensors", "graph.onnx", "rewind.safetensors"}
        names = sorted(path.name for path in self.folder.iterdir())
        other = [name for name in names if name not in begun and not name.startswith(".tmp-")]
        if any(name == "rounds" or name.startswith("checkpoint-") for name in other):
            raise IntegrityError(
                f"{self.folder / store.RECORD}: missing, though the folder holds rounds of a ticket. "
                "Restore it from a copy, or delete the folder and start again"
            )
        if other:
            raise FolderError(f"{self.folder}: holds something else ({other[0]}); choose another --out")

    def _open(self) -> Record:
        if not (self.folder / store.RECORD).exists():
            return self._create()
        record = store.read_record(self.folder)
        if not record.rounds and store.read_checkpoint(self.folder) is None:
            return self._create()  # nothing was trained: nothing binds a second attempt to the first one's settings
        wanted = deciding(self.settings, self.task, self.data, self.theta0, self.trainer.network)
        if newer := unknown(record.settings, wanted, self.task):
            raise FolderError(
                f"{self.folder}: a newer edgeticket than this one ({__version__}) wrote it, with settings that are "
                f"unknown here: {text.listing(newer)}; nothing was changed. Go on with the version that wrote it, "
                "or use another --out"
            )
        there = completed(record.settings, defaults(self.settings, self.task, self.trainer.network))
        same_versions = record.provenance["versions"] == versions()
        if not same_versions:  # compiled code differs between versions of Python, the traced graph between exporters
            wanted |= {key: value for key, value in there.items() if key.startswith("code of ")}
        different = [
            f"  {key}: {there.get(key)!r} there, {wanted.get(key)!r} asked for"
            for key in sorted({*there, *wanted})
            if there.get(key) != wanted.get(key)
        ]
        if record.task != self.task.name:
            different.insert(0, f"  task: {record.task!r} there, {self.task.name!r} asked for")
        if not different and same_versions and sha256(self.graph) != record.files["graph.onnx"]:
            different = ["  the network's forward: its traced graph is another one"]
        if different:
            raise FolderError(
                f"{self.folder}: made with other settings; nothing was changed.\n"
                + "\n".join(different)
                + "\nUse the settings it was made with, or another --out"
            )
        if not same_versions:
            self.watcher.note(
                "Other package versions than the finished rounds had: going on, but bits agree within one set only"
            )
        store.verify_all(self.folder, record)
        kept = len(store.read_arrays(self.folder, record, "test.safetensors")["targets"])
        if self.goal.keep_test is not None and kept != min(self.goal.keep_test, len(self.data.test[0])):
            self.watcher.note(f"--keep-test is ignored: the folder was begun with {kept} test examples")
        return record

    def _create(self) -> Record:
        task, data, metric = self.task, self.data, self.task.metric_of
        keep = len(data.test[0]) if self.goal.keep_test is None else min(self.goal.keep_test, len(data.test[0]))
        test = {"inputs": data.test[0][:keep], "targets": data.test[1][:keep]}
        if data.scale is not None:
            test |= {"scale": data.scale, "offset": data.offset}
        files = dict([store.write_arrays(self.folder, "test.safetensors", test)])
        files["graph.onnx"] = write_atomic(self.folder / "graph.onnx", self.graph)
        if not self.settings.rewind_iteration:
            files |= dict([store.write_arrays(self.folder, "rewind.safetensors", self.theta0)])
        record = Record(
            format=FORMAT,
            version=VERSION,
            task=task.name,
            settings=deciding(self.settings, self.task, self.data, self.theta0, self.trainer.network),
            choice={"tolerance": self.tolerance, "at": self.goal.at},
            provenance={
                "versions": versions(),
                "machine": platform.machine(),
                "cpu": torch.backends.cpu.get_cpu_capability(),
                "not covered by the mask": self.uncovered,
                "created": _now(),
            },
            metric={
                "name": metric.name,
                "unit": metric.unit,
                "higher_is_better": metric.higher_is_better,
                "builtin": METRICS.get(metric.name) is metric,
            },
            input={
                "name": trace.INPUT,
                "dtype": str(network_inputs(data, data.test[0][:1]).dtype),
                "shape": list(data.test[0].shape[1:]),
                "scale": None if data.scale is None else data.scale.tolist(),
                "offset": None if data.offset is None else data.offset.tolist(),
                "preprocessing": data.preprocessing,
                "test_size": len(data.test[0]),
            },
            output={"name": trace.OUTPUT, "shape": trace.output_shape(self.graph)},
            layers=[{**dataclasses.asdict(layer), "shape": list(layer.shape)} for layer in self.layers],
            files=files,
        )
        store.write_record(self.folder, record)
        if self.uncovered:
            self.watcher.note(
                f"not prunable, and not counted in 'weights left': {text.listing(self.uncovered)} "
                "(only weights of Linear and Conv layers are)"
            )
        return record

    def _check_traced(self) -> None:
        missing = [layer.name for layer in self.layers if layer.name not in trace.parameter_names(self.graph)]
        if missing:
            raise TaskError(
                f"task {self.task.name!r}: the traced graph does not read {', '.join(missing)} under its name, "
                "so its mask could not be exported; give the layer its weight as a plain parameter"
            )

    # -- training ----------------------------------------------------------------------------------------------------

    def _round(self, record: Record, number: int) -> Record:
        """Train round `number`, write its files, then list them."""
        mask = self._mask(record, number)
        resumed = self._checkpoints.resume(f"round-{number}")
        snapshot = resumed or self._rewound(record, number)
        began = _now()
        seed = derived_seed(self.settings.seed, "train")
        self.watcher.training(f"round {number}", mask.density, snapshot.iteration, self.task.iterations)
        k = self.settings.rewind_iteration
        if number == 0 and k and snapshot.iteration < k:
            snapshot = self._train(f"round-{number}", snapshot, mask, seed, stop=k)
            record = self._keep_rewind_point(record, snapshot)
        final = self._train(f"round-{number}", snapshot, mask, seed)
        early, end = self._points(final)
        arrays = {
            "mask": dict(mask),
            "early_stop": final.best,
            "end": final.weights,
            "curve": {"curve": np.array(final.curve, np.float64)},
        }
        files = dict(
            store.write_arrays(self.folder, store.round_file(number, name), value) for name, value in arrays.items()
        )
        result = Round(number, mask.kept, mask.total, early, end, final.seconds, began)
        record = self._choose(
            dataclasses.replace(record, files={**record.files, **files}, rounds=[*record.rounds, result]), write=True
        )
        store.clear_checkpoints(self.folder)
        self.watcher.finished_round(record, result)
        return record

    def _mask(self, record: Record, number: int) -> Mask:
        if number == 0:
            return Mask.ones({layer.name: layer.shape for layer in self.layers})
        source = 0 if self.settings.one_shot else number - 1
        trained = store.read_arrays(self.folder, record, store.round_file(source, "end"))
        return prune(store.read_mask(self.folder, record, source), trained, self.layers, self.task.scope, number)

    def _rewound(self, record: Record, number: int) -> Snapshot:
        """Where a round starts: θ0, θk with its optimiser and schedule, or the trained weights at iteration 0."""
        seed, k = derived_seed(self.settings.seed, "train"), self.settings.rewind_iteration
        if number == 0:
            return self.trainer.start(self.theta0, seed)
        if self.settings.rewind == "lr":
            source = 0 if self.settings.one_shot else number - 1
            return self.trainer.start(store.read_arrays(self.folder, record, store.round_file(source, "end")), seed)
        snapshot = self.trainer.start(store.read_arrays(self.folder, record, "rewind.safetensors"), seed, k)
        if k:
            arrays = store.read_arrays(self.folder, record, "rewind-optimizer.safetensors")
            snapshot.random_state = arrays.pop("random_state")
            snapshot.optimizer = arrays
        return snapshot

    def _keep_rewind_point(self, record: Record, snapshot: Snapshot) -> Record:
        assert snapshot.random_state is not None
        files = dict(
            [
                store.write_arrays(self.folder, "rewind.safetensors", snapshot.weights),
                store.write_arrays(
                    self.folder,
                    "rewind-optimizer.safetensors",
                    {**snapshot.optimizer, "random_state": snapshot.random_state},
                ),
            ]
        )
        record = dataclasses.replace(record, files={**record.files, **files})
        store.write_record(self.folder, record)
        return record

    def _train(self, label: str, snapshot: Snapshot, mask: Mask, seed: int, stop: int | None = None) -> Snapshot:
        try:
            return self.trainer.train(
                snapshot,
                mask,
                seed,
                stop=stop,
                progress=self.watcher.iteration,
                checkpoint=lambda point: self._checkpoints.save(label, point),
                checkpoint_seconds=interval(),
            )
        except (EdgeticketError, MemoryError):
            raise
        except Exception as error:
            raise TaskError(
                f"task {self.task.name!r}: training fails in the task's own code: {type(error).__name__}: {error}. "
                "Check its loss, optimiser, schedule and augmentation; finished rounds are kept"
            ) from error

    def _points(self, final: Snapshot) -> tuple[Point, Point]:
        """The network at early stopping and at the end, on validation and test."""
        curve = {iteration: Evaluation(loss, metric) for iteration, loss, metric in final.curve}
        early = min(curve, key=lambda iteration: (curve[iteration].loss, iteration))
        points = []
        for iteration, weights in ((early, final.best), (max(curve), final.weights)):
            test = self.trainer.evaluate_weights(weights, self.trainer.data.test)
            at = curve[iteration]
            points.append(Point(iteration, at.loss, at.metric, test.loss, test.metric))
        return points[0], points[1]

    def _choose(self, record: Record, write: bool = False) -> Record:
        """The ticket: the sparsest round within the tolerance of dense on validation; never round 0."""
        choice = {"tolerance": self.tolerance, "at": self.goal.at}
        metric, dense, chosen = self.task.metric_of, record.rounds[0].at(self.goal.at).validation_metric, None
        for result in record.rounds[1:]:
            # a hair above the tolerance is the rounding of a percentage, not a worse network
            if metric.loss_against(result.at(self.goal.at).validation_metric, dense) <= self.tolerance + 1e-9:
                chosen = result.number
        changed = dataclasses.replace(record, choice=choice, ticket=chosen)
        if write or changed != record:
            store.write_record(self.folder, changed)
        return changed

    # -- controls ------------------------------------------------------------------------------------------------------

    def _control_jobs(self, record: Record, last: int) -> list[tuple[str, int, int]]:
        """What is left to run: (kind, round, trial)."""
        there = {(control.kind, control.round, control.trial) for control in record.controls}
        rounds = self.goal.control_rounds or tuple(range(1, last + 1))
        return [
            (kind, number, trial)
            for kind in self.goal.controls
            for trial in range(self.goal.control_trials)
            for number in rounds
            if number <= last and (kind, number, trial) not in there
        ]

    def _control(self, record: Record, kind: str, number: int, trial: int) -> Record:
        """The paper's controls: the round's mask on fresh weights, or a random mask of the same counts."""
        mask = store.read_mask(self.folder, record, number)
        seed = derived_seed(self.settings.seed, kind, number, trial)
        if kind == "random-mask":
            mask = random_like(mask, derived_seed(seed, "mask"))
        label = f"{kind}-{number}-{trial}"
        snapshot = self._checkpoints.resume(label)
        if snapshot is None and kind == "random-mask" and self.settings.rewind != "lr":
            snapshot = self._rewound(record, number)
        elif snapshot is None:
            snapshot = self.trainer.start(weights_of(make_network(self.task, derived_seed(seed, "init"))), seed)
        began = _now()
        self.watcher.training(
            f"{kind} of round {number}, trial {trial}", mask.density, snapshot.iteration, self.task.iterations
        )
        final = self._train(label, snapshot, mask, derived_seed(seed, "train"))
        early, end = self._points(final)
        result = Control(kind, number, trial, mask.kept, mask.total, early, end, final.seconds, began)
        record = dataclasses.replace(record, controls=[*record.controls, result])
        store.write_record(self.folder, record)
        store.clear_checkpoints(self.folder)
        self.watcher.finished_control(record, result)
        return record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
