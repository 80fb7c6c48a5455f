"""The seam for pruning criteria: a score ranks, every registered one is tried, and 0.1.0's masks come out again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_task import __file__ as tiny_file
from tiny_task import rich, tiny

from edgeticket.cli import main
from edgeticket.errors import FolderError, InputError, TrainingError
from edgeticket.lottery import api
from edgeticket.lottery.batches import network_inputs, split
from edgeticket.lottery.criteria import CRITERIA, DEFAULT
from edgeticket.lottery.criteria.scores import TrainedRound, score_of, scores
from edgeticket.lottery.network import load_weights, make_network, prunable_layers, weights_of
from edgeticket.lottery.task import Task
from edgeticket.lottery.train import Trainer
from edgeticket.ticket import store
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.pruning import FloatArray, PrunableLayer, prune

pytestmark = pytest.mark.usefixtures("traced_once", "one_thread")

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures/0.1.0/run/trial-0"


def a_round(task: Task, density: float = 0.5) -> TrainedRound:
    """A round of `task` after its training, under a random mask."""
    network, data = make_network(task, 1), task.data([])
    layers = prunable_layers(task, network, torch.from_numpy(network_inputs(data, data.train[0][:2])))
    rng = np.random.default_rng(0)
    mask = Mask({layer.name: rng.random(layer.shape) < density for layer in layers})
    trainer = Trainer(task, network, split(data, task, 0, torch.device("cpu")), torch.device("cpu"))
    initial = weights_of(network)
    trained = trainer.train(trainer.start(initial, 5), mask, 5)
    return TrainedRound(mask, trained.weights, initial, 3, trainer)


@pytest.mark.parametrize("task", [tiny, rich], ids=lambda task: task.name)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_scores_every_prunable_weight_the_same_each_time(criterion: str, task: Task) -> None:
    trained = a_round(task)
    found = scores(criterion, trained)
    assert {name: array.shape for name, array in found.items()} == {n: kept.shape for n, kept in trained.mask.items()}
    again = scores(criterion, a_round(task))
    assert all(np.array_equal(found[name][kept], again[name][kept]) for name, kept in trained.mask.items())


def test_magnitude_is_the_default_and_gives_the_masks_that_0_1_0_wrote() -> None:
    assert DEFAULT == "magnitude"
    record = store.read_record(FIXTURE)
    layers = [PrunableLayer("0.weight", "conv", (3, 1, 3, 3), 0.2), PrunableLayer("5.weight", "linear", (6, 27), 0.4),
              PrunableLayer("7.weight", "output", (2, 6), 0.2)]  # fmt: skip
    trainer = a_round(tiny).trainer
    for number in (1, 2):
        before = store.read_mask(FIXTURE, record, number - 1)
        weights = store.read_arrays(FIXTURE, record, store.round_file(number - 1, "end"))
        ranked = scores(DEFAULT, TrainedRound(before, weights, {}, 0, trainer))
        assert prune(before, ranked, layers, "layer", number) == store.read_mask(FIXTURE, record, number)


# -- one that needs more than the weights ------------------------------------------------------------------------------


def score(trained: TrainedRound) -> dict[str, FloatArray]:
    """SNIP's |g ⊙ w| (Lee et al. 2019) on the first 64 training examples: what this module is as a criterion."""
    trainer = trained.trainer
    load_weights(trainer.network, trained.weights)
    inputs, targets = (part[:64] for part in trainer.data.train)
    loss = trainer.task.loss(trainer.network(inputs.clone()), targets)
    named = dict(trainer.network.named_parameters())
    gradients = torch.autograd.grad(loss, [named[name] for name in trained.mask])
    return {
        name: np.abs(gradient.numpy() * trained.weights[name])
        for name, gradient in zip(trained.mask, gradients, strict=True)
    }


@pytest.fixture
def snip(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(CRITERIA, "snip", __name__)
    return "snip"


def test_a_criterion_reaches_the_gradients_of_the_loss(tmp_path: Path, snip: str) -> None:
    wanted = api.request(tiny, out=tmp_path / "snip", rounds=2, threads=1, criterion=snip)
    record = api.find(wanted).records[0]
    assert record.settings["--criterion"] == "snip"
    by_magnitude = api.find(api.request(tiny, out=tmp_path / "magnitude", rounds=2, threads=1)).records[0]
    assert [(r.kept, r.total) for r in record.rounds] == [(r.kept, r.total) for r in by_magnitude.rounds]
    masks = [store.read_mask(tmp_path / name / "trial-0", record, 0) for name in ("snip", "magnitude")]
    assert masks[0] == masks[1]
    first = store.read_mask(tmp_path / "snip/trial-0", record, 1)
    assert first != store.read_mask(tmp_path / "magnitude/trial-0", by_magnitude, 1)
    with pytest.raises(FolderError, match="--criterion: 'snip' there, 'magnitude' asked for"):
        api.find(api.request(tiny, out=tmp_path / "snip", rounds=2, threads=1))


def test_the_weights_of_smallest_score_go(snip: str) -> None:
    trained = a_round(tiny, density=1.0)
    layers = [PrunableLayer(name, "linear", kept.shape, 0.25) for name, kept in trained.mask.items()]
    mask = prune(trained.mask, scores(snip, trained), layers, "global", 1)
    kept = np.concatenate([score(trained)[name][mask[name]] for name in mask])
    gone = np.concatenate([score(trained)[name][~mask[name]] for name in mask])
    assert kept.min() >= gone.max()
    assert mask.kept == round(0.75 * mask.total)


def test_a_score_that_is_no_number_is_a_sentence() -> None:
    trained = a_round(tiny)
    weights = {name: array.copy() for name, array in trained.weights.items()}
    weights["0.weight"][tuple(np.argwhere(~trained.mask["0.weight"])[0])] = np.nan
    broken = TrainedRound(trained.mask, weights, trained.initial, 0, trained.trainer)
    assert scores("magnitude", broken), "a weight that is gone has no rank"
    weights["0.weight"][tuple(np.argwhere(trained.mask["0.weight"])[0])] = np.nan
    with pytest.raises(TrainingError, match=r"criterion 'magnitude': scores of 0\.weight are not numbers"):
        scores("magnitude", broken)


# -- how it is asked for -----------------------------------------------------------------------------------------------


def test_an_unknown_criterion_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--criterion luck: choose from magnitude"):
        api.find(api.request(tiny, out=tmp_path / "run", criterion="luck"))
    assert not (tmp_path / "run").exists()


def test_the_command_line_offers_the_registered_ones(tmp_path: Path) -> None:
    for criterion in CRITERIA:
        assert callable(score_of(criterion))
    refused = CliRunner().invoke(main, ["find", "--criterion", "luck"])
    assert refused.exit_code == 2
    assert "'luck' is not " in refused.stderr
    assert "magnitude" in refused.stderr
    arguments = ["find", f"{tiny_file}:tiny", "--criterion", "magnitude", "--rounds", "0", "--threads", "1"]
    taken = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path), "--quiet"])
    assert taken.exit_code == 1, taken.output
    assert store.read_record(tmp_path / "trial-0").settings["--criterion"] == "magnitude"
