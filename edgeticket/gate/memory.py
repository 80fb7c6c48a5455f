"""Peak memory of two models, in fresh processes that take turns, judged as latency is."""

from __future__ import annotations

import math
import random
from statistics import median

from edgeticket import text
from edgeticket.gate.gate import Gate
from edgeticket.gate.latency import smallest_effect
from edgeticket.measure.duel import AGAIN, BASELINE, CANDIDATE
from edgeticket.measure.hosts.host import Host, NoAnswerError
from edgeticket.measure.protocol import Arm, LoadRequest
from edgeticket.measure.stats import look_plan
from edgeticket.measure.verdict import INCONCLUSIVE, REGRESSION, judge

LOOKS = (12, 16, 20)
PAGE_BYTES = 4096
LIMIT_S = 30.0


def judge_memory(
    ours: Arm, theirs: Arm, feed: str, threads: int, allowed: float, error: float, seed: int, host: Host
) -> Gate:
    """Judge the peak above an empty runtime, from loading to the end of the first inference: three processes a round.

    Ctrl-C is passed on.
    """
    arms, chance = {CANDIDATE: ours, BASELINE: theirs, AGAIN: theirs}, random.Random(seed)  # noqa: S311
    peaks: dict[str, list[int]] = {name: [] for name in arms}
    plan = [look for look in look_plan(error, LOOKS) if look.k]
    if not plan:
        return Gate("memory", INCONCLUSIVE, "too many gates share the error for a verdict of this one", {})
    while True:
        order = list(arms)
        chance.shuffle(order)
        for name in order:
            try:
                answer = host.ask(LoadRequest({name: arms[name]}, feed, threads), LIMIT_S)
            except NoAnswerError as failure:
                verdict = REGRESSION if failure.kind == "model" and name == CANDIDATE else INCONCLUSIVE
                return Gate("memory", verdict, f"the {name} {failure}" if failure.kind == "model" else f"{failure}", {})
            if answer.peak_memory_bytes is None:
                return Gate("memory", INCONCLUSIVE, "this system does not tell a process's peak memory", {})
            peaks[name].append(max(PAGE_BYTES, answer.peak_memory_bytes))
        rounds = len(peaks[CANDIDATE])
        look = next((look for look in plan if look.processes == rounds), None)
        if look is None:
            continue
        logs = {name: [math.log(peak) for peak in found] for name, found in peaks.items()}
        differences = [a - b for a, b in zip(logs[CANDIDATE], logs[BASELINE], strict=True)]
        controls = [a - b for a, b in zip(logs[AGAIN], logs[BASELINE], strict=True)]
        seen = judge(differences, controls, allowed, look)
        if seen.verdict == INCONCLUSIVE and look != plan[-1]:
            continue
        middle = {name: median(found) for name, found in peaks.items()}
        sentence = (
            f"{text.size(middle[CANDIDATE])} above an empty runtime, the baseline {text.size(middle[BASELINE])}: "
            f"{100 * seen.estimate:+.1f} % [{100 * seen.low:+.1f} %, {100 * seen.high:+.1f} %]"
        )
        if seen.verdict == INCONCLUSIVE:
            sentence += f"; {smallest_effect(seen, 'increase')}"
        return Gate("memory", seen.verdict, sentence, seen.to_dict() | {"tolerance": allowed, "peaks_bytes": peaks})
