"""Exact rank cuts, and the paper's table of P_m from the networks that are really trained."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeticket.lottery.network import make_network, prunable_layers
from edgeticket.lottery.tasks import TASKS
from edgeticket.ticket.mask import Mask
from edgeticket.ticket.pruning import (
    PrunableLayer,
    densities,
    kept_after,
    kept_counts,
    prune,
    random_like,
    rounds_until,
)

SIZES = {"lenet-mnist": (784,), "lenet-digits": (64,)}


@cache
def layers_of(name: str) -> tuple[PrunableLayer, ...]:
    """The layers of a built-in task's real network."""
    example = torch.zeros(2, *SIZES.get(name, (3, 32, 32)))
    return tuple(prunable_layers(TASKS[name], make_network(TASKS[name], 0), example))


def absolute(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores of pruning by magnitude."""
    return {name: np.abs(array) for name, array in weights.items()}


# lottery-tickets.md: round -> % of weights left, to the last digit printed
TABLE = {
    "lenet-mnist": "1 80.04 2 64.06 3 51.28 4 41.05 5 32.87 6 26.32 7 21.07 8 16.88 9 13.52 10 10.83 12 6.95 15 3.58 "
    "16 2.87 20 1.19",
    "conv2-cifar10": "7 21.23 11 8.81 14 4.57 18 1.93",
    "conv4-cifar10": "11 11.06 12 9.18 21 2.01",
    "conv6-cifar10": "7 26.61 10 15.29",
    "resnet20-cifar10": "4 41.7 6 27.1 7 21.9 10 11.8",
    "vgg19-cifar10": "15 3.5 19 1.5",
}


@pytest.mark.parametrize("name", TABLE)
def test_the_schedule_gives_the_papers_densities(name: str) -> None:
    words = TABLE[name].split()
    planned = densities(layers_of(name), TASKS[name].scope, 25)
    for number, printed in zip(words[::2], words[1::2], strict=True):
        digits = len(printed.partition(".")[2])
        assert f"{100 * planned[int(number)]:.{digits}f}" == printed, f"{name} round {number}"


def test_the_weights_are_the_papers() -> None:
    total = {name: sum(layer.size for layer in layers_of(name)) for name in TABLE}
    assert total["lenet-mnist"] == 784 * 300 + 300 * 100 + 100 * 10
    assert {name: round(count / 1e6, 1) for name, count in total.items()} == {
        "lenet-mnist": 0.3,
        "conv2-cifar10": 4.3,
        "conv4-cifar10": 2.4,
        "conv6-cifar10": 2.3,
        "resnet20-cifar10": 0.3,
        "vgg19-cifar10": 20.0,
    }
    untouched = {layer.name: layer.size for layer in layers_of("resnet20-cifar10") if layer.rate == 0}
    assert sum(untouched.values()) == 2_560 + 640
    assert {layer.size for layer in layers_of("vgg19-cifar10") if layer.rate == 0} == {5_120}


@pytest.mark.parametrize("name", TASKS)
def test_every_builtin_task_ends_where_the_paper_does(name: str) -> None:
    task, layers = TASKS[name], layers_of(name)
    last = rounds_until(layers, task.scope, task.until)
    planned = densities(layers, task.scope, last)
    assert planned[-1] <= task.until + 5e-5 < planned[-2]


# -- by hypothesis -----------------------------------------------------------------------------------------------------

RATES = st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9])


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[PrunableLayer], dict[str, np.ndarray], str]:
    """Layers, weights with many ties, and a scope."""
    scope = draw(st.sampled_from(["layer", "global"]))
    common = draw(RATES)
    layers, weights = [], {}
    for number in range(draw(st.integers(1, 3))):
        shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)))
        rate = draw(RATES) if scope == "layer" else draw(st.sampled_from([common, 0.0]))
        layers.append(PrunableLayer(f"l{number}", "linear", shape, rate))
        values = draw(st.lists(st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0]), min_size=1, max_size=9))
        weights[f"l{number}"] = np.resize(np.array(values, np.float32), shape)
    return layers, weights, scope


@given(networks(), st.integers(0, 8), st.integers(0, 4))
@settings(deadline=None)
def test_rounds_are_exact_nested_and_keep_the_largest(
    network: tuple[list[PrunableLayer], dict[str, np.ndarray], str], rounds: int, step: int
) -> None:
    layers, weights, scope = network
    mask = Mask.ones({layer.name: layer.shape for layer in layers})
    for number in (rounds, rounds + step):
        before, mask = mask, prune(mask, absolute(weights), layers, scope, number)
        counts = kept_counts(layers, scope, number)
        assert mask.kept == sum(counts.values())
        assert all(np.count_nonzero(mask[name]) == count for name, count in counts.items() if name != "*")
        assert all(not np.any(mask[name] & ~before[name]) for name in mask), "revived"
        pools = [[layer.name] for layer in layers] if scope == "layer" else [[la.name for la in layers if la.rate]]
        for pool in pools:
            kept = [np.abs(weights[name])[mask[name]] for name in pool]
            cut = [np.abs(weights[name])[before[name] & ~mask[name]] for name in pool]
            if kept and cut and np.concatenate(kept).size and np.concatenate(cut).size:
                assert np.concatenate(kept).min() >= np.concatenate(cut).max()


@given(st.integers(1, 60), st.integers(0, 12), st.sampled_from([0.1, 0.2, 0.5]))
def test_ties_are_cut_by_position(size: int, rounds: int, rate: float) -> None:
    layers = [PrunableLayer("w", "linear", (size,), rate)]
    mask = prune(Mask.ones({"w": (size,)}), absolute({"w": np.full(size, -1.0)}), layers, "layer", rounds)
    assert np.flatnonzero(mask["w"]).tolist() == list(range(kept_after(size, rate, rounds)))


@given(networks(), st.integers(0, 6), st.integers(0, 2**63 - 1))
def test_a_random_mask_has_the_same_counts(
    network: tuple[list[PrunableLayer], dict[str, np.ndarray], str], rounds: int, seed: int
) -> None:
    layers, weights, scope = network
    mask = prune(Mask.ones({layer.name: layer.shape for layer in layers}), absolute(weights), layers, scope, rounds)
    other = random_like(mask, seed)
    assert [np.count_nonzero(other[name]) for name in mask] == [np.count_nonzero(mask[name]) for name in mask]
    assert list(other) == list(mask)
    assert other == random_like(mask, seed)


def test_two_seeds_give_two_random_masks() -> None:
    mask = Mask({"w": np.arange(100) < 50})
    assert random_like(mask, 1) != random_like(mask, 2)


def test_negative_weights_are_ranked_by_magnitude() -> None:
    layers = [PrunableLayer("w", "linear", (4,), 0.5)]
    mask = prune(Mask.ones({"w": (4,)}), absolute({"w": np.array([-5.0, 0.1, -0.2, 3.0])}), layers, "layer", 1)
    assert mask["w"].tolist() == [True, False, False, True]


def test_a_global_cut_may_take_all_from_one_layer_but_none_from_a_kept_one() -> None:
    layers = [
        PrunableLayer("small", "conv", (4,), 0.5),
        PrunableLayer("big", "conv", (4,), 0.5),
        PrunableLayer("out", "output", (2,), 0.0),
    ]
    weights = {"small": np.full(4, 0.01), "big": np.ones(4), "out": np.zeros(2)}
    mask = prune(Mask.ones({"small": (4,), "big": (4,), "out": (2,)}), absolute(weights), layers, "global", 1)
    assert {name: int(array.sum()) for name, array in mask.items()} == {"small": 0, "big": 4, "out": 2}


def test_one_shot_is_one_cut_to_the_same_count() -> None:
    layers = [PrunableLayer("w", "linear", (1000,), 0.2)]
    weights = {"w": np.random.default_rng(0).normal(size=1000)}
    step = Mask.ones({"w": (1000,)})
    for number in range(1, 6):
        step = prune(step, absolute(weights), layers, "layer", number)
    assert prune(Mask.ones({"w": (1000,)}), absolute(weights), layers, "layer", 5) == step


@given(st.integers(1, 40), st.sampled_from([0.01, 0.05, 0.2]), st.floats(0.0005, 1.0))
def test_rounds_until_reaches_the_density_or_the_last_weight(size: int, rate: float, density: float) -> None:
    layers = [PrunableLayer("w", "linear", (size,), rate)]
    number = rounds_until(layers, "layer", density)
    left = kept_after(size, rate, number)
    assert left == 1 or left / size <= density + 5e-5
    if number:
        before = kept_after(size, rate, number - 1)
        assert before > 1
        assert before / size > density


def test_nothing_to_prune_ends_at_once() -> None:
    assert rounds_until([PrunableLayer("w", "linear", (9,), 0.0)], "layer", 0.1) == 0
