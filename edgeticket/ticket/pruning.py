"""Pruning by exact rank of a score, and the schedule of densities P_m (Frankle & Carbin 2019, section 2, strategy 1).

A round keeps `round(total * (1 - rate) ** n)` weights: a share of the *remaining* weights is pruned each round, and
counting from the total keeps rounding errors from adding up. Ties are cut by rank (position), never by a threshold,
so a count is always met exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.ticket.mask import BoolArray, Mask

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PrunableLayer:
    """A layer whose weight the mask covers. `rate` is the share of its remaining weights that a round prunes, or 0."""

    name: str
    kind: str  # 'conv', 'linear' or 'output'
    shape: tuple[int, ...]
    rate: float

    @property
    def size(self) -> int:
        """The number of weights."""
        return int(np.prod(self.shape))


def kept_after(total: int, rate: float, rounds: int) -> int:
    """How many of `total` weights are left after `rounds` rounds; a layer never loses its last weight."""
    return max(1, round(total * (1.0 - rate) ** rounds)) if total else 0


def densities(layers: Sequence[PrunableLayer], scope: str, rounds: int) -> list[float]:
    """P_m of rounds 0 ... `rounds`: the share of all weights in `layers` that is left."""
    total = sum(layer.size for layer in layers)
    return [sum(kept_counts(layers, scope, n).values()) / total for n in range(rounds + 1)]


def rounds_until(layers: Sequence[PrunableLayer], scope: str, density: float) -> int:
    """The first round whose density is at most `density`, give or take 0.005 points (half of the last digit typed).

    Below 1 % the last digit typed is a smaller one, so it is 0.5 % of `density` there. Where `density` is out of reach,
    the first round that leaves nothing to prune.
    """
    total = sum(layer.size for layer in layers)
    rates = [layer.rate for layer in layers if layer.rate > 0]
    # after so many rounds no pool has more than its last weight
    end = max((math.ceil(math.log(2 * total) / -math.log1p(-rate)) for rate in rates), default=0)
    floor = sum(kept_counts(layers, scope, end).values())
    n = 0
    while (left := sum(kept_counts(layers, scope, n).values())) > floor:
        if left / total <= density + min(5e-5, 5e-3 * density):
            break
        n += 1
    return n


def kept_counts(layers: Sequence[PrunableLayer], scope: str, rounds: int) -> dict[str, int]:
    """Weights left after `rounds` rounds, by pool: a layer's own name, or '*' for the pool of a global scope."""
    if scope == "layer":
        return {layer.name: kept_after(layer.size, layer.rate, rounds) for layer in layers}
    pruned = [layer for layer in layers if layer.rate > 0]
    counts = {layer.name: layer.size for layer in layers if layer.rate == 0}
    if pruned:
        counts["*"] = kept_after(sum(layer.size for layer in pruned), pruned[0].rate, rounds)
    return counts


def prune(
    mask: Mask, scores: Mapping[str, FloatArray], layers: Sequence[PrunableLayer], scope: str, rounds: int
) -> Mask:
    """The mask of round `rounds`: of the weights `mask` keeps, those of largest score, by exact rank.

    Args:
        scores: a number for each weight, by name, in the mask's shapes; those of weights that are gone are not read.
        scope: 'layer' cuts each layer by itself, 'global' cuts all layers with a rate as one pool.
    """
    counts = kept_counts(layers, scope, rounds)
    if scope == "layer":
        pools = [([layer.name], counts[layer.name]) for layer in layers]
    else:
        pools = [([layer.name], layer.size) for layer in layers if layer.rate == 0]
        pools.append(([layer.name for layer in layers if layer.rate > 0], counts.get("*", 0)))
    narrowed: dict[str, BoolArray] = {}
    for names, count in pools:
        narrowed.update(_largest(mask, scores, names, count))
    return mask.narrowed({layer.name: narrowed[layer.name] for layer in layers})


def _largest(mask: Mask, scores: Mapping[str, FloatArray], names: list[str], count: int) -> dict[str, BoolArray]:
    """Keep the `count` weights of largest score in one pool of tensors."""
    if not names:
        return {}
    kept = np.concatenate([mask[name].ravel() for name in names])
    survivors = np.flatnonzero(kept)
    ranked = np.concatenate([scores[name].ravel() for name in names])[survivors]
    order = np.argsort(-ranked, kind="stable")  # of equal scores the earlier position stays
    flat = np.zeros(kept.size, np.bool_)
    flat[survivors[order[:count]]] = True
    ends = np.cumsum([mask[name].size for name in names])
    parts = np.split(flat, ends[:-1])
    return {name: part.reshape(mask[name].shape) for name, part in zip(names, parts, strict=True)}


def random_like(mask: Mask, seed: int) -> Mask:
    """A random mask with the same count in every tensor (the paper's control for which weights are kept)."""
    rng = np.random.Generator(np.random.Philox(seed))
    arrays: dict[str, BoolArray] = {}
    for name in sorted(mask):
        flat = np.zeros(mask[name].size, np.bool_)
        flat[rng.permutation(flat.size)[: np.count_nonzero(mask[name])]] = True
        arrays[name] = flat.reshape(mask[name].shape)
    return Mask({name: arrays[name] for name in mask})
