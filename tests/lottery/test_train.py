"""Training under a mask: zeros stay zeros, and a resumed training is the uninterrupted one, bit by bit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_task import blobs, rich, tiny
from torch import Tensor, nn

from edgeticket.errors import TrainingError
from edgeticket.lottery.batches import Batches, network_inputs, split
from edgeticket.lottery.network import digest, make_network, prunable_layers, weights_of
from edgeticket.lottery.snapshot import Snapshot, check_zeros, parameters_of
from edgeticket.lottery.task import Data, Task
from edgeticket.lottery.tasks.augment import flip_and_crop
from edgeticket.lottery.train import Trainer
from edgeticket.ticket import store
from edgeticket.ticket.mask import Mask

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


def setup(task: Task, density: float = 0.4) -> tuple[Trainer, Snapshot, Mask]:
    """A trainer, a start and a mask of random weights."""
    network = make_network(task, 1)
    data = task.data([])
    example = torch.from_numpy(network_inputs(data, data.train[0][:2]))
    layers = prunable_layers(task, network, example)
    rng = np.random.default_rng(0)
    mask = Mask({layer.name: rng.random(layer.shape) < density for layer in layers})
    trainer = Trainer(task, network, split(data, task, 0, CPU), CPU)
    return trainer, trainer.start(weights_of(network), 5), mask


def same(one: Snapshot, two: Snapshot) -> None:
    """Everything but seconds."""
    for name in ("weights", "best", "optimizer"):
        assert digest(getattr(one, name)) == digest(getattr(two, name)), name
    assert one.curve == two.curve
    assert one.iteration == two.iteration
    assert one.random_state is not None
    assert np.array_equal(one.random_state, two.random_state)


class Smoothed(torch.optim.Optimizer):
    """Not element-wise: every weight also takes a share of the mean of its tensor's momentum."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                momentum = state.setdefault("momentum", torch.zeros_like(parameter))
                state["steps"] = state.get("steps", 0) + 1
                momentum.mul_(0.9).add_(parameter.grad).add_(0.01 * momentum.mean())
                parameter.sub_(group["lr"] * (momentum + 0.1 / state["steps"]))


class Shaken(torch.optim.SGD):
    """A subclass of an element-wise optimiser that is not element-wise."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(1e-3)


OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "SGD": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 1e-2}),
    "SGD nesterov": (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 1e-2, "nesterov": True}),
    "plain SGD": (torch.optim.SGD, {}),
    "Adam": (torch.optim.Adam, {"weight_decay": 1e-2}),
    "Adam fused": (torch.optim.Adam, {"fused": True}),
    "Adam amsgrad": (torch.optim.Adam, {"amsgrad": True}),
    "AdamW": (torch.optim.AdamW, {"weight_decay": 0.1}),
    "NAdam": (torch.optim.NAdam, {"weight_decay": 1e-2}),
    "RAdam": (torch.optim.RAdam, {}),
    "Adamax": (torch.optim.Adamax, {}),
    "RMSprop": (torch.optim.RMSprop, {"momentum": 0.5, "centered": True, "weight_decay": 1e-2}),
    "Adagrad": (torch.optim.Adagrad, {"initial_accumulator_value": 0.1}),
    "Rprop": (torch.optim.Rprop, {}),
    "Adafactor": (torch.optim.Adafactor, {}),
    "not element-wise": (Smoothed, {}),
    "a subclass": (Shaken, {"momentum": 0.9}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_pruned_weights_and_moments_are_zero_and_a_resume_is_exact(name: str) -> None:
    kind, arguments = OPTIMIZERS[name]
    task = dataclasses.replace(tiny, optimizer=kind, optimizer_args=arguments, lr=0.01)
    trainer, start, mask = setup(task)
    seen: list[Snapshot] = []
    final = trainer.train(start, mask, 5, checkpoint=seen.append, checkpoint_seconds=0.0)
    for snapshot in (*seen, final):
        names = parameters_of(trainer.network)
        for tensor, keep in mask.items():
            assert np.count_nonzero(snapshot.weights[tensor][~keep]) == 0
            if snapshot.best:
                assert np.count_nonzero(snapshot.best[tensor][~keep]) == 0
            moments = [
                array
                for key, array in snapshot.optimizer.items()
                if names[int(key.partition("/")[0])] == tensor and array.shape == keep.shape
            ]
            assert moments or name in ("plain SGD", "Adafactor")
            assert all(np.count_nonzero(array[~keep]) == 0 for array in moments)
    kept = mask["0.weight"]
    assert not np.array_equal(final.weights["0.weight"][kept], start.weights["0.weight"][kept]), "it trains"

    other, again, _ = setup(task)
    middle = other.train(again, mask, 5, stop=13)
    same(other.train(through_a_file(middle), mask, 5), final)


def through_a_file(snapshot: Snapshot) -> Snapshot:
    """What `lottery` does with a checkpoint: the arrays pass through safetensors."""
    parts = {
        name: store.decode_arrays(store.encode_arrays(getattr(snapshot, name)), Path("x"))
        for name in ("weights", "optimizer", "best")
    }
    return dataclasses.replace(snapshot, **parts)


@pytest.mark.parametrize("stops", [(1,), (7, 8), (8, 16, 24), (3, 4, 5, 6, 39), (25, 33)])
def test_dropout_batch_norm_augmentation_and_schedule_resume_anywhere(stops: tuple[int, ...]) -> None:
    trainer, start, mask = setup(rich)
    final = trainer.train(start, mask, 5)
    other, snapshot, _ = setup(rich)
    for stop in stops:
        snapshot = other.train(snapshot, mask, 5, stop=stop)
        assert snapshot.iteration == stop
        torch.manual_seed(99)  # whatever else runs in between
        other, _, _ = setup(rich)
        snapshot = through_a_file(snapshot)
    same(other.train(snapshot, mask, 5), final)


def test_a_checkpoint_inside_a_training_resumes_exactly() -> None:
    trainer, start, mask = setup(rich)
    seen: list[Snapshot] = []
    final = trainer.train(start, mask, 5, checkpoint=seen.append, checkpoint_seconds=0.0)
    assert len(seen) >= 4
    for snapshot in seen:
        other, _, _ = setup(rich)
        same(other.train(snapshot, mask, 5), final)


def test_checkpoints_are_copies_not_views() -> None:
    trainer, start, mask = setup(tiny)
    before = digest(start.weights)
    seen: list[tuple[Snapshot, str]] = []
    trainer.train(
        start,
        mask,
        5,
        checkpoint=lambda s: seen.append((s, digest({**s.weights, **s.optimizer, **s.best}))),
        checkpoint_seconds=0.0,
    )
    assert digest(start.weights) == before
    assert all(digest({**s.weights, **s.optimizer, **s.best}) == recorded for s, recorded in seen)


def test_batch_norm_statistics_and_the_rate_belong_to_the_snapshot() -> None:
    trainer, start, mask = setup(rich)
    rates: list[float] = []

    class Watched(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:
            rates.append(self.param_groups[0]["lr"])
            super().step(closure)

    trainer.task = dataclasses.replace(rich, optimizer=Watched)
    final = trainer.train(start, mask, 5)
    assert rates == [rich.lr_at(i) for i in range(rich.iterations)]
    assert int(final.weights["1.num_batches_tracked"]) == rich.iterations
    assert not np.array_equal(final.weights["1.running_mean"], start.weights["1.running_mean"])


def test_the_best_point_is_the_minimum_of_validation_loss() -> None:
    task = dataclasses.replace(tiny, lr=0.3, iterations=60, eval_every=7)
    trainer, start, mask = setup(task)
    final = trainer.train(start, mask, 5)
    assert [iteration for iteration, _, _ in final.curve] == [7, 14, 21, 28, 35, 42, 49, 56, 60]
    losses = [loss for _, loss, _ in final.curve]
    assert losses.index(min(losses)) != len(losses) - 1, "a test that can fail"
    found = trainer.evaluate_weights(final.best, trainer.data.validation)
    assert found.loss == min(losses)
    assert found.metric == final.curve[losses.index(min(losses))][2]
    assert trainer.evaluate_weights(final.weights, trainer.data.validation).loss == losses[-1]


def test_a_loss_that_is_not_finite_stops_with_a_sentence() -> None:
    task = dataclasses.replace(tiny, optimizer=torch.optim.SGD, lr=1e30)
    trainer, start, mask = setup(task)
    with pytest.raises(TrainingError, match=r"task 'tiny': the training loss is (nan|inf).*--set lr=3\.33333e\+29"):
        trainer.train(start, mask, 5)


def test_a_metric_that_is_not_finite_stops_with_a_sentence() -> None:
    from edgeticket.ticket.metrics import Metric

    task = dataclasses.replace(tiny, metric=Metric("odd", lambda outputs, targets: float("nan")))
    trainer, start, mask = setup(task)
    with pytest.raises(TrainingError, match="the metric 'odd' is nan"):
        trainer.train(start, mask, 5)


def test_the_invariant_is_proved_not_assumed() -> None:
    mask = Mask({"w": np.array([True, False])})
    good = Snapshot(1, {"w": np.array([1.0, 0.0])}, {"0/m": np.array([2.0, -0.0]), "0/step": np.array(3.0)})
    check_zeros(mask, good, ["w"])
    for change, what in (
        ({"weights": {"w": np.array([1.0, 1e-30])}}, "weights"),
        ({"best": {"w": np.array([1.0, 5e-324])}}, "weights at early stopping"),
        ({"optimizer": {"0/m": np.array([2.0, np.nan])}}, "optimiser state 'm'"),
    ):
        with pytest.raises(TrainingError, match=f"w: 1 pruned entries of its {what} are not 0"):
            check_zeros(mask, dataclasses.replace(good, **change), ["w"])


def test_a_network_that_writes_its_own_weights_is_caught() -> None:
    class Stubborn(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                self.weight.add_(0.01)
            return super().forward(x)

    def model() -> nn.Module:
        return nn.Sequential(Stubborn(6, 8), nn.ReLU(), nn.Linear(8, 3))

    trainer, start, _ = setup(dataclasses.replace(tiny, model=model))
    mask = Mask({"0.weight": np.arange(48).reshape(8, 6) % 2 == 0})
    with pytest.raises(TrainingError, match=r"0\.weight: 24 pruned entries"):
        trainer.train(start, mask, 5)


def test_a_dense_mask_costs_nothing_and_changes_nothing() -> None:
    trainer, start, mask = setup(tiny)
    assert trainer._masked(Mask.ones({name: mask[name].shape for name in mask})) == []
    ones = Mask.ones({name: mask[name].shape for name in mask})
    same(trainer.train(start, ones, 5), trainer.train(start, ones, 5))


def test_a_weight_that_modules_share_is_masked_once() -> None:
    def model() -> nn.Module:
        network = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
        network[2].weight = network[0].weight  # type: ignore[union-attr]
        return network

    trainer, start, mask = setup(dataclasses.replace(tiny, model=model))
    assert list(mask) == ["0.weight", "4.weight"]
    final = trainer.train(start, mask, 5)
    assert np.array_equal(final.weights["0.weight"], final.weights["2.weight"])
    assert np.count_nonzero(final.weights["2.weight"][~mask["0.weight"]]) == 0


def test_frozen_weights_can_be_masked_too() -> None:
    def model() -> nn.Module:
        network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
        network[0].weight.requires_grad_(False)  # type: ignore[union-attr]
        return network

    trainer, start, mask = setup(dataclasses.replace(tiny, model=model))
    final = trainer.train(start, mask, 5)
    assert np.array_equal(final.weights["0.weight"], start.weights["0.weight"] * mask["0.weight"])


# -- data --------------------------------------------------------------------------------------------------------------


def test_the_split_is_of_the_seed_and_holds_every_example_once() -> None:
    data, task = blobs(), tiny
    one, again, other = (split(data, task, seed, CPU) for seed in (0, 0, 1))
    assert torch.equal(one.validation[0], again.validation[0])
    assert not torch.equal(one.validation[0], other.validation[0])
    assert (len(one.train[0]), len(one.validation[0]), len(one.test[0])) == (240, 60, 100)
    rows = torch.cat([one.train[0], one.validation[0]])
    whole = torch.from_numpy(store.scaled(data.train[0], data.scale, data.offset))
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, whole.tolist()))


def test_a_validation_set_that_leaves_no_batch_is_a_sentence() -> None:
    with pytest.raises(TrainingError, match="300 training examples can not give 290 for validation and a batch of 20"):
        split(blobs(), dataclasses.replace(tiny, validation=290), 0, CPU)


def test_every_epoch_is_a_permutation_of_its_own() -> None:
    batches = Batches(103, 10, seed=3)
    epochs = [[batches(10 * epoch + i, CPU).tolist() for i in range(10)] for epoch in range(3)]
    for epoch in epochs:
        drawn = [index for batch in epoch for index in batch]
        assert len(drawn) == len(set(drawn)) == 100
    assert epochs[0] != epochs[1] != epochs[2]
    assert Batches(103, 10, seed=3)(25, CPU).tolist() == epochs[2][5], "the batch of an iteration needs no history"
    assert Batches(103, 10, seed=4)(25, CPU).tolist() != epochs[2][5]


def test_evaluation_is_over_the_whole_set_and_leaves_the_data_alone() -> None:
    class Rude(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x.mul_(0.5))  # type: ignore[no-any-return]

    inputs = np.random.default_rng(0).normal(size=(1300, 6)).astype(np.float32)
    data = Data((inputs, np.zeros(1300, np.int64)), (inputs, np.zeros(1300, np.int64)))
    task = dataclasses.replace(tiny, model=Rude)
    network = make_network(task, 0)
    trainer = Trainer(task, network, split(data, task, 0, CPU), CPU)
    before = trainer.data.test[0].clone()
    found = trainer.evaluate(trainer.data.test)
    assert torch.equal(trainer.data.test[0], before)
    assert network.training
    with torch.no_grad():
        outputs = network.fc(before * 0.5)  # type: ignore[operator]
        expected = nn.functional.cross_entropy(outputs, trainer.data.test[1]).item()
    assert found.loss == pytest.approx(expected, rel=1e-5)
    assert found.metric == pytest.approx(100 * float((outputs.argmax(1) == 0).float().mean()))


def test_flips_and_crops_are_shifts_of_the_image_or_its_mirror() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).reshape(2, 3, 8, 8) + 1
    batch = picture.repeat(50, 1, 1, 1)
    out = flip_and_crop(batch, generator)
    assert out.shape == batch.shape
    padded = nn.functional.pad(picture, (4, 4, 4, 4))
    shifts = set()
    for number, image in enumerate(out):
        found = [
            (row, column, flip)
            for row in range(9)
            for column in range(9)
            for flip in (False, True)
            if torch.equal(
                image,
                (lambda crop, flip=flip: crop.flip(-1) if flip else crop)(
                    padded[number % 2][:, row : row + 8, column : column + 8]
                ),
            )
        ]
        assert len(found) == 1
        shifts.add(found[0])
    assert {flip for _, _, flip in shifts} == {False, True}
    assert {row for row, _, _ in shifts} == set(range(9))
    assert torch.equal(flip_and_crop(batch, torch.Generator().manual_seed(0)), out)


def test_the_tasks_here_are_learned() -> None:
    """The other tests would pass on a network that learns nothing."""
    for task in (tiny, rich):
        trainer, start, mask = setup(task, density=1.1)
        assert trainer.train(start, mask, 5).curve[-1][2] > 80
