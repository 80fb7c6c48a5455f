"""What docs/evidence.md says of comparisons: targets, verdicts, costs and other rules, as rows of its tables."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from statistics import median

from evidence_file import Entry
from evidence_rules import OURS, side_by_side

from edgeticket.measure.verdict import INCONCLUSIVE, PASS, REGRESSION

VERDICTS = (PASS, REGRESSION, INCONCLUSIVE)
FALSE_MOST, CAUGHT_LEAST, SECONDS_MOST, SMALL_MS = 0.01, 0.95, 60.0, 4.0  # the targets
PROMISED = {0.0: 200, 0.05: 100}  # comparisons by slow-down
COMPANY = {0: "no hog", 1: "one CPU hog", -1: "a CPU hog for each core"}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; a sentence where there are no rows."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) if len(lines) > 2 else "None yet."


def share(count: int, of: int) -> str:
    """'3 of 200 (1.5 %)'."""
    return f"{count} of {of} ({100 * count / of:.1f} %)" if of else "none yet"


def tally(entries: Sequence[Entry], verdict: str) -> int:
    """Count the comparisons that ended with this verdict."""
    return sum(entry["verdict"] == verdict for entry in entries)


def said(entries: Sequence[Entry], *verdicts: str) -> list[str]:
    """One cell for each verdict."""
    return [share(tally(entries, verdict), len(entries)) for verdict in verdicts]


def interval(count: int, of: int, error: float = 0.025) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of a share, `error` on each side.

    >>> [round(bound, 4) for bound in interval(1, 10)]
    [0.0025, 0.445]
    """

    def at_most(most: int, p: float) -> float:
        return sum(math.comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(most + 1))

    def where(most: int, level: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if at_most(most, middle) > level else (low, middle)
        return low

    return (where(count - 1, 1 - error) if count else 0.0), (where(count, error) if count < of else 1.0)


def slowed(effect: float) -> str:
    """'5 %'."""
    return "none" if effect == 0 else f"{100 * effect:g} %"


def baseline_ms(entry: Entry) -> float:
    """The median of all block medians of the baseline; infinite where there are none."""
    values = [us for process in entry["processes"] for us in process["us"].get("baseline", ())]
    return median(values) / 1e3 if values else math.inf


def dropped(entry: Entry) -> bool:
    """Say whether most of its blocks were disturbed."""
    faults = "".join(process["faults"] for process in entry["processes"])
    return faults.count(".") < len(faults) / 2


# --- Sections ---


def target_rows(injected: Sequence[Entry]) -> list[list[str]]:
    """What was promised, the target, what was found, and whether that is enough."""

    def judged(met: bool, entries: Sequence[Entry], promised: int) -> str:
        more = f" so far, {promised - len(entries)} to come" if len(entries) < promised else ""
        return ("**met**" if met else "**missed**") + more if entries else ""

    same, five = ([entry for entry in injected if entry["effect"] == effect] for effect in (0.0, 0.05))
    false, caught, passed = tally(same, REGRESSION), tally(five, REGRESSION), tally(five, PASS)
    small = [entry for entry in injected if entry["host"]["cores"] >= 2 and baseline_ms(entry) < SMALL_MS]
    decided = [entry for entry in small if entry["verdict"] != INCONCLUSIVE]
    longest = max((entry["seconds"] for entry in decided), default=0.0)
    closed = len(same) - tally(same, INCONCLUSIVE)
    first = f"; the true share is at most {100 * interval(false, len(same), 0.05)[1]:.1f} %" if same else ""
    if closed:
        most = 100 * interval(false, closed, 0.05)[1]
        first += f". Of the {closed} that came to a verdict: {share(false, closed)}, at most {most:.1f} %"
    second = f"; the true share is at least {100 * interval(caught, len(five), 0.05)[0]:.1f} %" if five else ""
    of_same, of_five = PROMISED[0.0], PROMISED[0.05]
    return [
        ["the same model twice: called a regression", f"at most {100 * FALSE_MOST:g} % of {of_same}",
         share(false, len(same)) + first, judged(false <= FALSE_MOST * len(same), same, of_same)],
        ["slowed down by 5 %: called a regression", f"at least {100 * CAUGHT_LEAST:g} % of {of_five}",
         share(caught, len(five)) + second, judged(caught >= CAUGHT_LEAST * len(five), five, of_five)],
        ["slowed down by 5 %: passed", "none", share(passed, len(five)), judged(passed == 0, five, of_five)],
        [f"time for a model under {SMALL_MS:g} ms on two cores", f"{SECONDS_MOST:g} s",
         f"{longest:.0f} s at most in the {len(decided)} that came to a verdict; the other {len(small) - len(decided)} "
         "ended without one when the time was over" if small else "none yet",
         judged(longest < SECONDS_MOST + 0.5, small, 0)],
    ]  # fmt: skip


def same_rows(same: Sequence[Entry]) -> list[list[str]]:
    """Return a row for each company that a model had when compared with itself, and rows that sum them up."""
    parts = [(COMPANY[hogs], [entry for entry in same if entry["hogs"] == hogs]) for hogs in COMPANY]
    parts += [("any hogs", [entry for entry in same if entry["hogs"]]), ("**all**", list(same))]
    return [[label, *said(here, REGRESSION, INCONCLUSIVE, PASS)] for label, here in parts]


def busy(quiet: Sequence[Entry]) -> str:
    """What else the machine did, in a sentence or two."""
    if not quiet:
        return ""
    loads = [entry["load"] for entry in quiet]
    most = [entry for entry in quiet if dropped(entry)]
    others = [entry for entry in quiet if not dropped(entry)]
    before = f"{median(loads):.1f} in the median, above 2 in {sum(x > 2 for x in loads)} of {len(loads)}"
    open_of_most, open_of_others = tally(most, INCONCLUSIVE), tally(others, INCONCLUSIVE)
    found = f"""*No hog* means that none was started. Other work ran on the machine all the same: the load before a
    comparison was {before}, and up to {max(loads):,.0f}. In {len(most)} most blocks were disturbed and dropped, and
    {open_of_most} of those were inconclusive, as were {open_of_others} of the other {len(others)}."""
    return textwrap.fill(" ".join(found.split()), 120)


def came_to(entry: Entry) -> float | None:
    """By how much the candidate was slower in truth: the comparison's own estimate, from paired blocks.

    The spin is a share of the model's own time, and whatever else the spinning code does to a model comes on top.
    """
    estimate = (entry["judgement"] or {}).get("estimate")
    return float(estimate) if isinstance(estimate, float | int) else None


def power_rows(quiet: Sequence[Entry]) -> list[list[str]]:
    """Return a row for each slow-down that was injected, and for each model where one was."""
    rows = []
    for effect in sorted({entry["effect"] for entry in quiet}):
        here = [entry for entry in quiet if entry["effect"] == effect]
        rows.append([f"**{slowed(effect)}**", "all", *_power(here)])
        if effect:
            models = sorted({entry["model"] for entry in here})
            rows += [[slowed(effect), name, *_power([e for e in here if e["model"] == name])] for name in models]
    return rows


def _power(here: Sequence[Entry]) -> list[str]:
    low, high = interval(tally(here, REGRESSION), len(here))
    spun = _spread([entry["realised"] for entry in here if entry["realised"]])
    real = _spread([found for entry in here if entry["effect"] and (found := came_to(entry)) is not None])
    bounds = f"{100 * low:.0f} to {100 * high:.0f} %"
    return [spun, real, *said(here, PASS, REGRESSION), bounds, *said(here, INCONCLUSIVE)]


def _spread(shares: Sequence[float]) -> str:
    """The median with the smallest and the largest, in %."""
    if not shares:
        return ""
    return f"{100 * median(shares):.2f} % ({100 * min(shares):.2f} to {100 * max(shares):.2f})"


def cost_rows(entries: Sequence[Entry]) -> list[list[str]]:
    """Return the seconds that comparisons took, by verdict and then by model."""
    parts = [(verdict, [e for e in entries if e["verdict"] == verdict]) for verdict in VERDICTS]
    for model in sorted({entry["model"] for entry in entries if entry["kind"] == "injected"}):
        here = [entry for entry in entries if entry["model"] == model]
        parts.append((f"{model}, {median(baseline_ms(entry) for entry in here):.2g} ms an inference", here))
    rows = []
    for label, here in parts:
        if here:
            spent = sorted(entry["seconds"] for entry in here)
            nine = spent[math.ceil(0.9 * len(spent)) - 1]
            count = median(len(entry["processes"]) for entry in here)
            cells = (f"{value:.0f} s" for value in (median(spent), nine, spent[-1]))
            rows.append([label, str(len(here)), *cells, f"{count:g}"])
    return rows


def rival_table(injected: Sequence[Entry]) -> str:
    """Each rule: how often it says regression, by slow-down and company."""
    answered = list(side_by_side(injected))
    if not answered:
        return "None yet."
    columns = sorted({(entry["effect"], entry["hogs"] != 0) for entry, _ in answered})
    parts = {key: [row for e, row in answered if (e["effect"], e["hogs"] != 0) == key] for key in columns}
    rows = [
        [rule, *(share(sum(row[rule] == REGRESSION for row in parts[key]), len(parts[key])) for key in columns)]
        for rule in answered[0][1]
    ]
    silent = [share(sum(row[OURS] == INCONCLUSIVE for row in parts[key]), len(parts[key])) for key in columns]
    rows.insert(1, [f"{OURS}, *inconclusive* instead", *silent])
    head = [slowed(effect) + (", beside hogs" if hogs else "") for effect, hogs in columns]
    return f"Every rule judged the same {len(answered)} comparisons.\n\n" + table(("rule", *head), rows)


def real_rows(entries: Sequence[Entry]) -> list[list[str]]:
    """Return a row for each kind of regression."""
    rows = []
    for kind in dict.fromkeys(entry["kind"] for entry in entries):
        here = [entry for entry in entries if entry["kind"] == kind]
        effects = [100 * entry["judgement"]["estimate"] for entry in here if entry["judgement"]]
        slower = f"{median(effects):+.1f} % ({min(effects):+.1f} to {max(effects):+.1f})" if effects else ""
        rows.append([kind, slower, *said(here, REGRESSION, PASS, INCONCLUSIVE)])
    return rows


def host_rows(entries: Sequence[Entry]) -> list[list[str]]:
    """Return a row for each host, which its fingerprint names."""
    rows = []
    for mark in dict.fromkeys(entry["host"]["fingerprint"] for entry in entries):
        here = [entry for entry in entries if entry["host"]["fingerprint"] == mark]
        host, injected = here[0]["host"], [entry for entry in here if entry["kind"] == "injected"]
        same, five = ([entry for entry in injected if entry["effect"] == effect] for effect in PROMISED)
        place = [f"{host['cpu']}, onnxruntime {host['onnxruntime']}", str(host["cores"]), str(len(here))]
        rows.append([mark, *place, *said(same, REGRESSION, INCONCLUSIVE), *said(five, REGRESSION, PASS)])
    return rows
