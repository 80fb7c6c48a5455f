"""An exported model beside every form of the dense one: all are timed side by side, and the fastest form is "dense".

Where the exported file is one of the forms, byte for byte, it is measured once: noise is no gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgeticket.artifact import checks
from edgeticket.measure import profile
from edgeticket.measure.hosts.host import Host
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.profile import Profile

DENSE, EXPORTED = "dense", "exported"


@dataclass(frozen=True)
class Sides:
    """What was measured, filed under 'dense' and 'exported'; and which form 'dense' is, of those with their medians.

    `forms` maps the words of a form to its median latency in ms at one thread; it is empty where none was timed.
    """

    profile: Profile
    best: str
    forms: Mapping[str, float]


def measure(
    forms: Mapping[str, bytes], exported: bytes, feed: checks.Feed, *, sparse: bool, host: Host = LOCAL
) -> Sides:
    """Measure the forms (words -> ONNX bytes) and the exported model, with `sparse` on the sparse engine as well."""
    names = {words: DENSE if number == 0 else f"{DENSE}, {words}" for number, words in enumerate(forms)}
    same = next((words for words, model in forms.items() if model == exported), None)
    models = {names[words]: model for words, model in forms.items()}
    here = EXPORTED if same is None else names[same]
    if same is None:
        models[EXPORTED] = exported
    found = profile.measure(models, feed, sparse=(here,) if sparse else (), host=host)
    timed = {words: found.get("latency", name) for words, name in names.items()}
    medians = {words: latency.median for words, latency in timed.items() if latency is not None}
    best = min(medians, key=lambda words: medians[words], default=next(iter(forms)))
    return Sides(_filed(found, names[best], here), best, medians)


def _filed(found: Profile, dense: str, exported: str) -> Profile:
    """Keep what was measured of these two, under their names; what is both is filed twice."""
    kept = []
    for name, filed in ((dense, DENSE), (exported, EXPORTED)):
        providers: Sequence[str] = ("cpu",) if filed == DENSE else ("cpu", "sparse")
        kept += [replace(m, model=filed) for m in found.measurements if m.model == name and m.provider in providers]
    return replace(found, measurements=tuple(kept))
