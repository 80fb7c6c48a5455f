"""The tally of a proof: outputs of two networks compared feed by feed, each held to the tolerance of yardstick.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.artifact.numbers import is_float
from edgeticket.graph.proving.stillness import Movement
from edgeticket.graph.proving.yardstick import Yardstick, largest, span

Array = NDArray[Any]
Feed = Mapping[str, Array]


@dataclass(frozen=True)
class Finding:
    """How far one output moved in one feed, and how far it may move."""

    output: str
    delta: float  # to float64 where that is known, else to the original in float32
    tolerance: float
    own_error: float | None  # of the original in float32, to float64
    range: float  # of the output, as yardstick.py has it


@dataclass
class Run:
    """One feed, denormals as zeros, and what the original made of it: sequences and maps are tensors of their own."""

    feed: Feed
    usual: bool
    single: dict[str, Array]
    double: dict[str, Array] | None = None  # in float64, where that was run


@dataclass
class Tally:
    """Sums and extremes over all feeds so far."""

    max_delta: float = 0.0
    worst: Finding | None = None  # the one that came nearest to its tolerance
    coarse: Finding | None = None  # one that rounding explains, but 1 % of the output's range does not hold
    agreeing: int = 0
    ranked: int = 0
    samples: int = 0
    nonfinite: int = 0
    nonfinite_differ: int = 0
    discrete: int = 0  # entries that are no floats: class numbers, flags, texts
    discrete_differ: int = 0
    compared: dict[str, int] = field(default_factory=dict)  # output -> entries that there was something to compare of
    testified: set[str] = field(default_factory=set)  # outputs of floats that were held to a tolerance
    silent: dict[str, float] = field(default_factory=dict)  # output -> own error, where it was too large to testify
    moved: set[str] = field(default_factory=set)  # outputs that were not the same bit for bit
    refutation: str = ""
    movement: Movement = field(default_factory=Movement)  # of what could testify
    in_single: frozenset[str] = frozenset()  # outputs whose float64 numbers are no better than float32

    @property
    def never_compared(self) -> list[str]:
        """The outputs of which no feed had a finite number."""
        return [name for name, count in self.compared.items() if not count]

    @property
    def mute(self) -> list[str]:
        """Outputs of floats that moved, and were never held to a tolerance."""
        return [name for name in self.silent if name not in self.testified and name in self.moved]

    def measure(self, expected: Mapping[str, Array], found: Mapping[str, Array]) -> None:
        """Count one feed of a file whose values rest rounded: they move on purpose, and so may what they choose."""
        self._structure(expected, found, judged=False)

    def judge(self, each: Run, found: Mapping[str, Array], yardstick: Yardstick, *, counted: bool = True) -> str:
        """Count what the file made of one feed. Returns what speaks against it, or ''.

        Usual feeds are held to the errors seen on feeds of their kind. Others (extreme ones) have only their own, and
        what is chosen on them says nothing: there, all candidates may be alike but for rounding.
        Without `counted` the feed's samples come again in another one, and are counted there.
        """
        book = self if counted else Tally()
        against = book._structure(each.single, found, judged=each.usual)
        self.refutation = self.refutation or book.refutation
        for name, before in each.single.items():
            after = found[name]
            if before.shape != after.shape or before.dtype != after.dtype:
                continue
            if not is_float(before):
                testifies = each.usual
            else:
                testifies, said = self._held(name, each, after, yardstick)
                lost = int(np.sum(lost_infinities(each, name, after))) if each.usual else 0
                if lost:
                    said = f"output {name!r} was infinite in {lost} entries that are other numbers now"
                against = said or against
            if testifies or before.tobytes() == after.tobytes():
                self.movement.see(name, self._finer(name, each), each.feed)
        return against

    def _structure(self, expected: Mapping[str, Array], found: Mapping[str, Array], *, judged: bool) -> str:
        """Shapes, types, what is no float, NaN and infinities, and how far floats moved."""
        ranked, against = False, ""
        for name, before in expected.items():
            after = found.get(name)
            self.compared.setdefault(name, 0)
            if after is None or before.ndim != after.ndim or not _same_type(before, after):
                self.refutation = against = f"output {name!r} is {_form(after)}, not {_form(before)}"
            elif before.shape != after.shape:  # as many as were chosen: boxes, say
                self.compared[name] += before.size
                against = f"output {name!r} is {_form(after)}, not {_form(before)}" if judged else against
            elif not is_float(before):
                differ = int(np.sum(before != after))
                self.compared[name] += before.size
                self.discrete += before.size
                self.discrete_differ += differ
                if differ and judged:
                    against = f"output {name!r} changed in {differ} of {before.size} entries"
            else:
                against = self._finite(name, before, after) or against
                if not ranked and before.ndim == 2 and before.shape[1] > 1:
                    ranked = True
                    self.agreeing += int(np.sum(before.argmax(axis=1) == after.argmax(axis=1)))
                    self.ranked += len(before)
        return against

    def _finite(self, name: str, before: Array, after: Array) -> str:
        finite = np.isfinite(before)
        strange = ~finite
        self.compared[name] += int(np.sum(finite))
        self.nonfinite += int(np.sum(strange))
        self.nonfinite_differ += int(np.sum(strange & ~((before == after) | (np.isnan(before) & np.isnan(after)))))
        old, new = before[finite].astype(np.float64), after[finite].astype(np.float64)
        if not np.all(np.isfinite(new)):
            lost = int(np.sum(~np.isfinite(new)))
            self.refutation = f"output {name!r} became NaN or infinite in {lost} entries"
            return self.refutation
        delta = largest(old - new)
        self.max_delta = max(self.max_delta, delta)
        if delta > 0:
            self.moved.add(name)
        return ""

    def _finer(self, name: str, each: Run) -> Array:
        """The output in float64, where it was run in that: the graph's proof sees what float32 does not."""
        before, wide = each.single[name], None if each.double is None else each.double.get(name)
        known = wide is not None and wide.shape == before.shape and is_float(wide) and name not in self.in_single
        return wide if wide is not None and known else before

    def _held(self, name: str, each: Run, after: Array, yardstick: Yardstick) -> tuple[bool, str]:
        """Hold one output to its tolerance. Can the feed testify about it, and what does it say against it?"""
        before, wide = each.single[name], None if each.double is None else each.double.get(name)
        finite = np.isfinite(before) & np.isfinite(after)
        if wide is not None and (wide.shape != before.shape or not is_float(wide)):
            wide = None
        if wide is not None:
            finite &= np.isfinite(wide)
        if not finite.any() or (wide is None and not each.usual):
            return False, ""
        known = (before if wide is None else wide)[finite].astype(np.float64)
        old, new = before[finite].astype(np.float64), after[finite].astype(np.float64)
        own = None
        if wide is not None:
            own = largest(old - known)
            if not yardstick.testifies(name, own, largest(known), span(known)):
                self.silent[name] = max(own, self.silent.get(name, 0.0))
                return False, ""
        elif name in yardstick.unmeasured:
            self.silent.setdefault(name, np.inf)
            return False, ""
        allowed = yardstick.allowed(name, largest(known), span(known), own or 0.0)
        delta = largest(new - known)
        self.testified.add(name)
        found = Finding(name, delta, allowed.tolerance, own, yardstick.range_of(name, largest(known), span(known)))
        if self.worst is None or _share(found) > _share(self.worst):
            self.worst = found
        if delta <= allowed.tolerance:
            return True, ""
        if delta <= allowed.rounding:
            self.coarse = found
            return True, ""
        return True, f"output {name!r} moved by {delta:.3g}, more than rounding explains ({allowed.tolerance:.3g})"


def lost_infinities(each: Run, name: str, after: Array) -> NDArray[np.bool_]:
    """Where an output was infinite and is so no more, or of the other sign.

    Only an infinity that float64 sees too must stay one: others are float32's overflow, which another order of the same
    sum may avoid. The sign holds without it. What was NaN says nothing: a removed zero no longer makes one of infinity.
    """
    before, wide = each.single[name], None if each.double is None else each.double.get(name)
    infinite = np.isinf(before)
    if wide is None or wide.shape != before.shape or not is_float(wide):
        return np.asarray(infinite & (after == -before))
    return np.asarray(infinite & (wide == before) & (after != before))


def _share(found: Finding) -> float:
    return found.delta / found.tolerance if found.tolerance > 0 else (np.inf if found.delta > 0 else 0.0)


def _same_type(before: Array, after: Array) -> bool:
    """Texts are of one type, whatever the longest of them."""
    return before.dtype == after.dtype or before.dtype.kind == after.dtype.kind == "U"


def _form(array: Array | None) -> str:
    return "missing" if array is None else f"{array.dtype}{array.shape}"


def same(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    """Are the outputs of two runs the same, bit by bit?"""
    return all(a.dtype == second[name].dtype and a.tobytes() == second[name].tobytes() for name, a in first.items())
