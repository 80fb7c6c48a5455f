"""Remove what is dead, exactly: constant channels fold into the next layer, channels that nobody reads are cut.

    W[:, i] x_i + b  =  b + v W[:, i]          where x_i is the constant v: W[:, i] := 0, b := b + v Σ W[:, i]
    x + y            =  x + const              where the whole branch y is constant; x alone where it is 0
    channel i goes   if every weight that reads it is zero, in all layers that share it through sums, concatenation,
                        parts, flatten, pooling, products of matrices and grouped layers

repeated until nothing changes. Exact in real arithmetic for finite inputs; numbers are computed in float64 and rounded
once. Declined in a sentence: the last constant other than 0 in front of zero padding, shared weights.
Nothing is removed from graph inputs and outputs, subgraphs' captures, and whatever an operator without a rule touches;
a sentence says which operators kept what is dead.
"""

from __future__ import annotations

from collections import Counter

import onnx_ir as ir

from edgeticket.graph.channels.analysis import OUTPUT, analyse
from edgeticket.graph.passes.dead.barriers import Held, barriers
from edgeticket.graph.passes.dead.branches import replace_constant_branches
from edgeticket.graph.passes.dead.constants import fold_constant_channels
from edgeticket.graph.passes.dead.cut import cut_dead_channels
from edgeticket.graph.passes.dead.lengths import replace_lengths
from edgeticket.graph.passes.dead.shuffles import replace_shuffles
from edgeticket.graph.passes.note import Note
from edgeticket.graph.passes.remove_unused import remove_unused
from edgeticket.graph.shapes import infer_shapes
from edgeticket.text import listing, plural

NAME = "remove-dead"
BLOCK = 4  # channels: ONNX Runtime computes convolutions in blocks only where they read a multiple of it


def remove_dead(model: ir.Model, lanes: int = 1) -> list[Note]:
    """Fold and cut until nothing changes. Convolutions keep a multiple of `lanes` channels: see liveness.py."""
    lost: Counter[str] = Counter()
    folded = branches = aligned = 0
    declined: dict[str, list[str]] = {}
    kept = Held()
    infer_shapes(model)  # what the rounds change, they write into the shapes
    for _ in range(2 * len(model.graph) + 16):  # each round removes something; a few are enough for most networks
        state = analyse(model)
        declined = state.declined
        if count := fold_constant_channels(state):
            folded += count
        elif count := replace_constant_branches(state):
            branches += count
        else:
            cut = cut_dead_channels(state, lanes)
            lost.update(cut.lost)
            if not cut.changed and not replace_shuffles(state) and not replace_lengths(state):
                kept, aligned = barriers(state), cut.aligned
                break
        remove_unused(model)
    return [*_notes(lost, folded, branches, declined), *_kept(kept), *_aligned(aligned, lanes)]


def _notes(lost: Counter[str], folded: int, branches: int, declined: dict[str, list[str]]) -> list[Note]:
    notes = []
    if lost:
        layers = listing([f"{name} ({count})" for name, count in lost.items()])
        notes.append(Note(NAME, lost.total(), f"removed {plural(lost.total(), 'dead channel')}: {layers}"))
    if folded:
        sentence = f"folded {plural(folded, 'constant channel')} into the layers that read them"
        notes.append(Note(NAME, folded, sentence))
    if branches:
        notes.append(Note(NAME, branches, f"replaced {branches} constant branches"))
    return notes + [Note(NAME, 0, f"left {listing(where)} alone: {reason}") for reason, where in declined.items()]


def _kept(kept: Held) -> list[Note]:
    """A sentence for each reason why dead channels stay; an output's own channels are no matter."""
    sentences = []
    found = [f"{count} before {reader}" for reader, count in sorted(kept.readers.items()) if reader != OUTPUT]
    found += [f"{count} before {reader}, behind which they vary" for reader, count in sorted(kept.uneven.items())]
    if found:
        sentences.append(f"kept channels that are constant: {listing(found)}")
    if kept.joined:
        channels = plural(kept.joined, "constant channel")
        sentences.append(f"kept {channels} that sums or concatenations join with channels that vary")
    if kept.evened:
        channels = plural(kept.evened, "dead channel")
        sentences.append(f"kept {channels}: the groups of a convolution, or heads, have as many each")
    if kept.ranging:
        channels = plural(kept.ranging, "channel")
        sentences.append(f"kept {channels} that no weight reads: DynamicQuantizeLinear takes its range from them")
    return [Note(NAME, 0, sentence) for sentence in sentences]


def _aligned(count: int, lanes: int) -> list[Note]:
    if not count:
        return []
    sentence = (
        f"kept {plural(count, 'dead channel')}: ONNX Runtime computes convolutions in blocks where they read a "
        f"multiple of {lanes} channels, and far slower otherwise"
    )
    return [Note(NAME, 0, sentence)]
