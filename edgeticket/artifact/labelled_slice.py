"""The labelled slice: a part of the test set that an artifact carries, so that a device can measure the metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.artifact import checks
from edgeticket.artifact.golden import LoadedModel, packed, spread
from edgeticket.artifact.manifest import MetricInfo, SliceInfo
from edgeticket.ticket.metrics import METRICS
from edgeticket.ticket.record import Ticket

Array = NDArray[Any]
Coding = tuple[float | tuple[float, ...] | None, float | tuple[float, ...] | None]
SLICE_SAMPLES = 500


@dataclass(frozen=True)
class Slice:
    """slice.npz, and what the manifest says of it and of the metric.

    Without `data` there is none: the numbers that it would be checked by are not finite, as `remark` says.
    """

    data: bytes | None
    about: SliceInfo | None
    metric: MetricInfo
    remark: str = ""


def labelled_slice(
    ticket: Ticket, exported: LoadedModel, masked: LoadedModel, atol_of: Callable[[Array], float]
) -> Slice:
    """Up to 500 samples over the whole test set, uint8 where the ticket holds them so, with their targets.

    `atol_of` gives the first output's tolerance (graph/proving/yardstick.py). For a metric of the task's own the slice
    carries the masked network's outputs, to be compared with.
    """
    test, metric = ticket.test, ticket.record.metric
    picked = spread(len(test.inputs), SLICE_SAMPLES)
    inputs, targets = test.inputs[picked], test.targets[picked]
    stored, coding = _coded(ticket, picked)
    whole = exported.outputs(test.inputs)
    outputs = whole[picked]
    arrays = {"inputs": stored, "targets": targets}
    slice_value = whole_value = moved = None
    if metric.builtin:
        measure = METRICS[metric.name]
        with np.errstate(all="ignore"):  # what is not finite is a result, told below
            slice_value, whole_value = measure(outputs, targets), measure(whole, test.targets)
    else:
        arrays["masked_outputs"] = masked.outputs(inputs)
        moved = checks.max_delta(outputs, arrays["masked_outputs"])
    numbers = {metric.name: whole_value, f"{metric.name} on the slice": slice_value}
    numbers |= {"the largest difference from the masked network's outputs": moved}
    strange = [f"{name} is {value}" for name, value in numbers.items() if value is not None and not np.isfinite(value)]
    values = MetricInfo(**asdict(metric), whole_samples=len(test.inputs), of=test.of)
    if strange:
        remark = (
            f"Some outputs on the test set are NaN or infinite: {', '.join(strange)}. So no slice of the test set is "
            "shipped, and `check` compares golden outputs only."
        )
        return Slice(None, None, values, remark)
    about = SliceInfo(len(picked), stored.dtype.name, *coding, atol_of(outputs), moved)
    return Slice(packed(arrays), about, replace(values, slice_value=slice_value, whole_value=whole_value))


def _coded(ticket: Ticket, picked: NDArray[np.intp]) -> tuple[Array, Coding]:
    """The inputs as they are stored, with (scale, offset) where checks.decode restores them exactly, else (None, None).

    Both are numbers, or tuples with one number for each channel.
    """
    test = ticket.test
    if "scale" in test.stored:
        coding = {key: np.asarray(test.stored[key], np.float32).tolist() for key in ("scale", "offset")}
        kept = test.stored["inputs"][picked]
        if np.array_equal(checks.decode(kept, coding), test.inputs[picked]):
            scale, offset = (tuple(each) if isinstance(each, list) else each for each in coding.values())
            return kept, (scale, offset)
    return test.inputs[picked], (None, None)
