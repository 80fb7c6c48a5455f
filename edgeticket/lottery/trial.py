"""Iterative pruning, by default by magnitude: one trial (Frankle & Carbin 2019, section 2; late resetting: 1903.01611;
learning-rate rewinding: Renda 2020).

    θ = θ0;  m = 1
    for each round n:  θ' = train(m ⊙ θ);  record;  m = prune(m, θ')

A trial is its folder: whatever ticket.json lists is done, a checkpoint says where the running round stands, and
everything else follows from the settings. So the same command on the same folder goes on where it was.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from edgeticket.errors import EdgeticketError, TaskError
from edgeticket.lottery.batches import split
from edgeticket.lottery.checkpoint import Checkpoints, interval
from edgeticket.lottery.criteria.scores import TrainedRound, scores
from edgeticket.lottery.goal import Goal, controls_left, last_round, round_of_ticket, tolerance_of
from edgeticket.lottery.network import derived_seed, make_network, weights_of
from edgeticket.lottery.opening import now, open_folder
from edgeticket.lottery.prepared import prepare
from edgeticket.lottery.settings import Settings
from edgeticket.lottery.snapshot import Snapshot
from edgeticket.lottery.task import Data, Task
from edgeticket.lottery.train import Evaluation, Trainer
from edgeticket.lottery.watcher import Watcher
from edgeticket.ticket import store
from edgeticket.ticket.kinds import At, ControlKind
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.pruning import PrunableLayer, densities, prune, random_like
from edgeticket.ticket.record import Choice, Control, Point, Record, Round


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
        self.task, self.data, self.folder, self.goal, self.watcher = task, data, folder, goal, watcher
        self.device = torch.device(settings.device)
        if self.device.type == "cuda":
            torch.use_deterministic_algorithms(True, warn_only=True)
        self.prepared = prepare(task, data, settings, cores)
        self.settings, self.theta0 = self.prepared.settings, self.prepared.theta0
        self.layers: list[PrunableLayer] = self.prepared.layers
        tensors = split(data, task, settings.seed, self.device)
        self.trainer = Trainer(task, self.prepared.network, tensors, self.device)
        self._checkpoints = Checkpoints(folder)
        self.choice = Choice(tolerance_of(goal, task), goal.at)
        self._try_metric()

    def run(self) -> Record:
        """Go on from where the folder stands to the goal.

        Raises:
            FolderError: the folder was made with other settings.
            IntegrityError: a file in it is truncated or altered.
            TrainingError: the loss is not finite; the finished rounds stay.
        """
        record = open_folder(self.folder, self.prepared, self.goal, self.choice, self.watcher)
        last = self.last_round()
        controls = controls_left(self.goal, record, last)
        done = sum(n <= last for n in range(len(record.rounds)))
        self.watcher.plan(last + 1 + len(controls) + len(record.controls), done + len(record.controls))
        for number in range(len(record.rounds), last + 1):
            record = self._round(record, number)
        record = self._choose(record)
        for kind, number, trial in controls:
            record = self._control(record, kind, number, trial)
        return record

    def last_round(self) -> int:
        """Return the round that the goal ends with."""
        return last_round(self.goal, self.task, self.layers)

    def densities(self) -> list[float]:
        """Return the planned density of every round."""
        return densities(self.layers, self.task.scope, self.last_round())

    def _try_metric(self) -> None:
        """Compute loss and metric on a few examples, before anything is trained or written."""
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

    # -- training ----------------------------------------------------------------------------------------------------

    def _round(self, record: Record, number: int) -> Record:
        """Train round `number`, write its files, then list them."""
        mask = self._mask(record, number)
        resumed = self._checkpoints.resume(f"round-{number}")
        snapshot = resumed or self._rewound(record, number)
        began = now()
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
            At.EARLY_STOP.file: final.best,
            At.END.file: final.weights,
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
        trained = TrainedRound(
            mask=store.read_mask(self.folder, record, source),
            weights=store.read_arrays(self.folder, record, store.round_file(source, At.END.file)),
            initial=self.theta0,
            seed=derived_seed(self.settings.seed, "criterion", number),
            trainer=self.trainer,
        )
        ranked = scores(self.settings.criterion, trained)
        return prune(trained.mask, ranked, self.layers, self.task.scope, number)

    def _rewound(self, record: Record, number: int) -> Snapshot:
        """Return where a round starts: θ0, θk with optimiser and schedule, or the trained weights at iteration 0."""
        seed, k = derived_seed(self.settings.seed, "train"), self.settings.rewind_iteration
        if number == 0:
            return self.trainer.start(self.theta0, seed)
        if self.settings.rewind == "lr":
            source = 0 if self.settings.one_shot else number - 1
            return self.trainer.start(
                store.read_arrays(self.folder, record, store.round_file(source, At.END.file)), seed
            )
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
        """Evaluate the network at early stopping and at the end, on validation and test."""
        curve = {iteration: Evaluation(loss, metric) for iteration, loss, metric in final.curve}
        early = min(curve, key=lambda iteration: (curve[iteration].loss, iteration))
        points = []
        for iteration, weights in ((early, final.best), (max(curve), final.weights)):
            test = self.trainer.evaluate_weights(weights, self.trainer.data.test)
            at = curve[iteration]
            points.append(Point(iteration, at.loss, at.metric, test.loss, test.metric))
        return points[0], points[1]

    def _choose(self, record: Record, write: bool = False) -> Record:
        """Choose the ticket, see goal.py; the record is written where that changes it."""
        chosen = round_of_ticket(record, self.choice, self.task.metric_of)
        changed = dataclasses.replace(record, choice=self.choice, ticket=chosen)
        if write or changed != record:
            store.write_record(self.folder, changed)
        return changed

    # -- controls ------------------------------------------------------------------------------------------------------

    def _control(self, record: Record, kind: ControlKind, number: int, trial: int) -> Record:
        """Train one of the paper's controls: the round's mask on fresh weights, or a random mask of the same counts."""
        mask = store.read_mask(self.folder, record, number)
        seed = derived_seed(self.settings.seed, kind, number, trial)
        if kind == ControlKind.RANDOM_MASK:
            mask = random_like(mask, derived_seed(seed, "mask"))
        label = f"{kind}-{number}-{trial}"
        snapshot = self._checkpoints.resume(label)
        if snapshot is None and kind == ControlKind.RANDOM_MASK and self.settings.rewind != "lr":
            snapshot = self._rewound(record, number)
        elif snapshot is None:
            snapshot = self.trainer.start(weights_of(make_network(self.task, derived_seed(seed, "init"))), seed)
        began = now()
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
