"""The checks of an artifact, whole in one file on purpose: every artifact carries a copy of it, which stands alone.

They are of hashes, bytes, golden outputs, accuracy on the shipped slice, and latency against the budget. They live
once, here: `edgeticket check` calls this file, `runtime_tests/` wraps it for pytest, and the copy is named check.py. So
it needs Python, numpy and onnxruntime, and nothing of edgeticket. As a script:

    python check.py [DIR] [--json FILE|-] [--threads N]    exits 0 yes, 1 no, 2 usage, 3 inconclusive, 4 integrity,
                                                         141 where whoever read its output has gone

Nothing is parsed or loaded into the runtime before its SHA-256 is the recorded one; what was hashed is what is run.
"""

import os
import sys

if __name__ == "__main__":  # nothing that merely lies beside this file is loaded, and what is lacking is a sentence
    beside = os.path.dirname(os.path.realpath(__file__))  # noqa: PTH120
    sys.path[:] = [path for path in sys.path if os.path.realpath(path or os.curdir) != beside]
    lacking = [] if sys.version_info >= (3, 10) else ["Python 3.10 or newer"]
    if not lacking:
        import importlib.util

        lacking = [name for name in ("numpy", "onnxruntime") if importlib.util.find_spec(name) is None]
    if lacking:
        here = ".".join(str(part) for part in sys.version_info[:3])
        sys.stderr.write("the checks need {}, and this is Python {}\n".format(" and ".join(lacking), here))
        sys.exit(2)

import argparse
import hashlib
import html
import io
import json
import math
import platform
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # the runtime reads it when it is imported
import onnxruntime

Array = NDArray[Any]
Feed = dict[str, Array]

FORMAT, VERSION = "edgeticket-artifact", 1
SUMS, MANIFEST, MODEL, GOLDEN, SLICE = "SHA256SUMS", "manifest.json", "model.onnx", "golden.npz", "slice.npz"
KEYS = {"name", "size_bytes", "inputs", "outputs", "golden", "slice", "metric", "budget", "proof"}
CACHES = {"__pycache__", ".pytest_cache"}  # what Python itself leaves in a folder whose files were run
# What systems leave in any folder that is looked at, and what Python or pytest would run or obey where it merely lies.
LEFT_BY_SYSTEMS = re.compile(r"\.DS_Store|\._.*|Thumbs\.db|desktop\.ini", re.IGNORECASE)
OBEYED = re.compile(r".*\.(py[a-z]*|so|pth|dll|dylib)|\.?pytest\.(ini|toml)|pyproject\.toml|tox\.ini|setup\.cfg", re.I)

PASS, FAIL, INCONCLUSIVE, INTEGRITY = "pass", "fail", "inconclusive", "integrity"
EXIT_CODES = {PASS: 0, FAIL: 1, INCONCLUSIVE: 3, INTEGRITY: 4}
CLOSED_PIPE = 141  # as a shell says it of a command whose reader has gone

STRUCTURE = " (structure)"  # ends the name of what says how the numbers of a sequence or map belong together

SLOTS, SLOT_RUNS, SLOT_MS, LIMIT_S = 41, 3, 5.0, 20.0  # of the latency check
CONFIDENCE = 0.99
CPU_PROVIDER = "CPUExecutionProvider"


class NotAnArtifactError(Exception):
    """The folder is no artifact, or one of a format this file does not know: exit code 2."""


class DamagedError(Exception):
    """A file is missing, truncated, altered, or there is one that would be run or obeyed: exit code 4."""


@dataclass(frozen=True)
class Check:
    """One question about an artifact, and the answer in one sentence. `values` are the numbers behind it."""

    name: str
    verdict: str
    sentence: str
    values: Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class Outcome:
    """All checks of one artifact on this host."""

    artifact: str
    host: Mapping[str, Any]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> str:
        """The gravest of the checks: integrity, then fail, then inconclusive, then pass."""
        given = {check.verdict for check in self.checks}
        return next((verdict for verdict in (INTEGRITY, FAIL, INCONCLUSIVE) if verdict in given), PASS)

    @property
    def exit_code(self) -> int:
        """What a command that made these checks exits with."""
        return EXIT_CODES[self.verdict]

    def __repr__(self) -> str:
        return "\n".join(f"{check.name:10}{check.verdict:14}{check.sentence}" for check in self.checks)

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        cells = ([check.name, check.verdict, check.sentence] for check in self.checks)
        rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
        title = html.escape(f"{self.artifact}: {self.verdict}")
        return f"<div><p><strong>{title}</strong></p><table><tbody>{rows}</tbody></table></div>"

    def to_json(self) -> str:
        """The result as a document: format, verdict, exit code, host, and every check."""
        head = {"format": "edgeticket-check", "version": 1, "artifact": self.artifact, "verdict": self.verdict}
        rest = {"exit_code": self.exit_code, "host": self.host, "checks": [asdict(check) for check in self.checks]}
        return json.dumps(finite(head | rest), indent=1) + "\n"


def finite(value: Any) -> Any:
    """The value for JSON, which has no infinity and no NaN: those become strings."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    return [finite(each) for each in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Opened:
    """An artifact whose every file has the recorded hash: the manifest, and the verified bytes by name.

    `beside` are files next to SHA256SUMS that it does not list, such as a signature of it: nobody reads them.
    """

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]
    beside: tuple[str, ...] = ()


# --- Integrity ---


def read_sums(folder: Path) -> dict[str, str]:
    """SHA256SUMS as {path in the folder: digest}, accepted only as written by us, byte for byte.

    Raises:
        NotAnArtifactError: neither SHA256SUMS nor manifest.json is there.
        DamagedError: the file is missing or altered.
    """
    try:
        data = (folder / SUMS).read_bytes()
    except OSError as error:
        if not (folder / MANIFEST).exists():
            raise NotAnArtifactError(f"{folder}: no artifact here (it has neither {SUMS} nor {MANIFEST})") from error
        raise DamagedError(f"{SUMS} is missing or unreadable ({error.strerror})") from error
    text = data.decode("ascii", "replace")
    entries = re.findall(r"^([0-9a-f]{64})  ([\w./-]+)$", text, re.ASCII | re.MULTILINE)
    sums = {name: digest for digest, name in entries}
    if "".join(f"{digest}  {name}\n" for name, digest in sums.items()) != text or not {MANIFEST, MODEL} <= sums.keys():
        raise DamagedError(f"{SUMS} is truncated or altered")
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in sums):
        raise DamagedError(f"{SUMS} names a file outside the folder")
    return sums


def unlisted(folder: Path, sums: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The files in the folder that SHA256SUMS does not list: those that may lie there, and those that may not.

    A signature, a note or whatever else people put beside SHA256SUMS is left alone, and so is what systems leave in
    every folder. What Python or pytest would run or obey may not be there, nor anything else in a folder inside.
    """
    paths = (path for path in folder.rglob("*") if not CACHES & set(path.relative_to(folder).parts))
    inside = (path.relative_to(folder) for path in paths if path.is_symlink() or not path.is_dir())
    found = sorted((path for path in inside if path.as_posix() not in {*sums, SUMS}), key=str)
    harmless = [
        path
        for path in found
        if LEFT_BY_SYSTEMS.fullmatch(path.name) or (len(path.parts) == 1 and not OBEYED.fullmatch(path.name))
    ]
    return [path.as_posix() for path in harmless], [path.as_posix() for path in found if path not in harmless]


def open_artifact(folder: Path) -> Opened:
    """Read and hash every file once; what comes back is exactly what was hashed.

    Raises:
        NotAnArtifactError: no artifact, or a format of another version.
        DamagedError: a file is missing or altered, or one may not be there; the sentence names them.
    """
    sums = read_sums(folder)
    files: dict[str, bytes] = {}
    beside, foreign = unlisted(folder, sums)
    wrong = [f"{name} is not part of it" for name in foreign]
    for name, digest in sums.items():
        try:
            files[name] = (folder / name).read_bytes()
        except OSError as error:
            wrong.append(f"{name} is missing or unreadable ({error.strerror})")
            continue
        if hashlib.sha256(files[name]).hexdigest() != digest:
            wrong.append(f"{name} is truncated or altered")
    if wrong:
        more = f" and {len(wrong) - 6} more" if len(wrong) > 6 else ""
        raise DamagedError("; ".join(wrong[:6]) + more)
    try:
        manifest = json.loads(files[MANIFEST])
        known = manifest["format"] == FORMAT
        version = int(manifest["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise NotAnArtifactError(f"{folder / MANIFEST}: not a manifest ({error!r}); export the model again") from error
    if not known or version > VERSION:
        raise NotAnArtifactError(
            f"{folder / MANIFEST}: format {manifest['format']!r} version {version}, and this checker knows {FORMAT!r} "
            f"up to version {VERSION}; use the check.py inside the artifact, or a newer edgeticket"
        )
    lacking = sorted(KEYS - manifest.keys())
    if lacking:
        raise NotAnArtifactError(f"{folder / MANIFEST}: it lacks {', '.join(lacking)}; export the model again")
    return Opened(manifest, files, tuple(beside))


# --- The runtime ---


def host() -> dict[str, Any]:
    """What decides how fast a model is here. `fingerprint` is equal only where all the rest is.

    A governor that cannot be read (containers, other systems) is 'unknown'.
    """
    model = platform.processor() or platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^(?:model name|Hardware|Model)\s*:\s*(.+)$", text, re.MULTILINE)
        model = found.group(1).strip() if found else model
    except OSError:
        pass
    try:
        governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text(encoding="ascii").strip()
    except OSError:
        governor = "unknown"
    facts: dict[str, Any] = {
        "cpu": model,
        "machine": platform.machine(),
        "cores": cores(),
        "governor": governor,
        "onnxruntime": onnxruntime.__version__,
    }
    return facts | {"fingerprint": hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]}


def cores() -> int:
    """The number of CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def providers() -> list[str]:
    """The providers this onnxruntime was built with."""
    return list(onnxruntime.get_available_providers())


def session(model: bytes | str, threads: int, *, spinning: bool = True, provider: str = CPU_PROVIDER) -> Any:
    """A session with `threads` threads, denormals as zero, all else as the runtime has it.

    Without `spinning` idle threads sleep instead of burning a core between operators. What another provider than the
    stock CPU one does not take runs there.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
    providers = list(dict.fromkeys((provider, CPU_PROVIDER)))
    # Without enable_fallback=0 a provider that fails would be replaced by the CPU's, and only printed.
    return onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)


def flattened(outputs: Mapping[str, Any]) -> dict[str, Array]:
    """Outputs as arrays that an npz holds without pickle; a tensor of numbers stays as it is.

    A tensor of texts becomes an array of unicode. Of a sequence, map or optional, NAME holds the numbers (or texts)
    [n] in their order, and `NAME (structure)`, a text as JSON, says how they nest: a list for a sequence, an object
    with keys and values for a map, null for an optional that is empty, and type and shape for each tensor.
    """
    found: dict[str, Array] = {}
    for name, value in outputs.items():
        if isinstance(value, np.ndarray):
            found[name] = _without_objects(value)
            continue
        leaves: list[Array] = []
        structure = json.dumps(_structure(value, leaves))
        found[name] = np.concatenate([leaf.reshape(-1) for leaf in leaves]) if leaves else np.zeros(0, np.float32)
        found[name + STRUCTURE] = np.array(structure)
    return found


def _without_objects(array: Array) -> Array:
    return array.astype(np.str_) if array.dtype == np.object_ else array


def _structure(value: Any, leaves: list[Array]) -> Any:
    """How `value` nests, for JSON; its tensors and numbers are added to `leaves`."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {"keys": list(value), "values": [_structure(each, leaves) for each in value.values()]}
    if isinstance(value, list | tuple):
        return [_structure(each, leaves) for each in value]
    leaf = _without_objects(np.asarray(value))
    leaves.append(leaf)
    return f"{'str' if leaf.dtype.kind == 'U' else leaf.dtype.name}{list(leaf.shape)}"


def listed(running: Any, names: Sequence[str]) -> list[str]:
    """The outputs of a session that `names`, which flattening may have made, are taken from; each once."""
    own = {port.name for port in running.get_outputs()}
    return list(dict.fromkeys(name if name in own else name.removesuffix(STRUCTURE) for name in names))


def outputs_of(running: Any, feed: Feed, names: Sequence[str]) -> list[Array]:
    """The outputs called `names` of one inference, flattened."""
    asked = listed(running, names)
    found = flattened(dict(zip(asked, running.run(asked, feed), strict=True)))
    return [found[name] for name in names]


def single(inputs: Sequence[Mapping[str, Any]], feed: Feed) -> Feed:
    """The feed at batch 1, for every input whose first axis is free."""
    free = {spec["name"] for spec in inputs if spec["shape"] and spec["shape"][0] is None}
    return {name: array[:1] if name in free else array for name, array in feed.items()}


def golden_feeds(opened: Opened) -> Iterator[tuple[Feed, list[Array]]]:
    """The golden inputs and the outputs that belong to them, in the manifest's order."""
    with np.load(io.BytesIO(opened.files[GOLDEN]), allow_pickle=False) as arrays:
        for feed in range(len(opened.manifest["golden"]["atol"])):
            yield (
                {spec["name"]: arrays[f"{feed}.input.{i}"] for i, spec in enumerate(opened.manifest["inputs"])},
                [arrays[f"{feed}.output.{i}"] for i in range(len(opened.manifest["golden"]["outputs"]))],
            )


def decode(stored: Array, spec: Mapping[str, Any]) -> Array:
    """The inputs as the network sees them: stored * scale + offset in float32; scale None means stored as they are.

    stored [n, ...]; scale and offset are numbers, or lists with one for each channel (the axis after the batch).
    """
    if spec.get("scale") is None:
        return stored
    channels = (1, -1) + (1,) * (stored.ndim - 2) if isinstance(spec["scale"], list) else ()
    scale, offset = (np.asarray(spec[key], np.float32).reshape(channels) for key in ("scale", "offset"))
    return stored.astype(np.float32) * scale + offset


def run_batches(run: Callable[[Feed], Sequence[Any]], name: str, inputs: Array, batch: int | None) -> Array:
    """The first output for inputs [n, ...], in batches of the size the model wants (None: any). Returns [n, ...]."""
    size = batch or 256
    outputs = []
    for start in range(0, len(inputs), size):
        part = inputs[start : start + size]
        missing = size - len(part) if batch else 0
        padded = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
        outputs.append(np.asarray(run({name: padded})[0])[: len(part)])
    return np.concatenate(outputs)


# --- Answers ---


def plural(count: int, noun: str) -> str:
    """1 -> '1 thread', 2 -> '2 threads'."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def max_delta(got: Array, wanted: Array) -> float:
    """The largest |difference|; 0 where both are NaN or the same infinity, infinite where shapes or kinds differ."""
    if got.shape != wanted.shape:
        return math.inf
    if not (np.issubdtype(got.dtype, np.number) and np.issubdtype(wanted.dtype, np.number)):
        return 0.0 if np.array_equal(got, wanted) else math.inf
    a, b = got.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid="ignore"):
        delta = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    return math.inf if np.isnan(delta).any() else float(delta.max(initial=0.0))


def largest(array: Array) -> float:
    """The largest finite |value|; 0 where there is none."""
    if array.dtype.kind not in "biufc":  # texts
        return 0.0
    values = np.abs(array.astype(np.float64))
    return float(np.max(values, where=np.isfinite(values), initial=0.0))


def metric_range(name: str, outputs: Array, targets: Array, atol: float) -> tuple[float, float, float]:
    """(lowest, value, highest) of a metric when every output may move by `atol`.

    outputs [n, c, ...], targets [n, ...] class numbers (accuracy, top5) or values of the outputs' shape (mae, mse). An
    output that is NaN is never right: ranks against it are lost, and an error with it is NaN.

    Raises:
        KeyError: no metric of that name.
    """
    if name in ("accuracy", "top5"):
        places = 1 if name == "accuracy" else 5
        with np.errstate(invalid="ignore"):  # infinity less infinity
            lead = outputs - np.take_along_axis(outputs, np.expand_dims(targets.astype(np.int64), 1), axis=1)
        others = np.arange(outputs.shape[1]).reshape(1, -1, *(1,) * (targets.ndim - 1)) != np.expand_dims(targets, 1)
        earlier = np.arange(outputs.shape[1]).reshape(1, -1, *(1,) * (targets.ndim - 1)) < np.expand_dims(targets, 1)
        ahead = {  # how many classes may be, are, must be before the target; NaN, never proved behind it, is before it
            "low": others & ~(lead < -2 * atol),
            "value": others & ~((lead < 0) | (~earlier & (lead == 0))),
            "high": others & ~(lead <= 2 * atol),
        }
        low, value, high = (100.0 * float(np.mean(rank.sum(axis=1) < places)) for rank in ahead.values())
        return min(low, value), value, max(high, value)
    error = np.abs(outputs.astype(np.float64) - targets)
    power = {"mae": 1, "mse": 2}[name]
    below, above = np.maximum(error - atol, 0.0), error + atol
    return float(np.mean(below**power)), float(np.mean(error**power)), float(np.mean(above**power))


def median_interval(samples: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """(low, median, high): order statistics that hold the true median with at least `confidence`.

    Distribution-free (the sign test inverted; David and Nagaraja, Order Statistics, 3rd ed., 7.1): the k-th smallest
    and k-th largest, k the largest with 2 P(Binomial(n, 1/2) < k) <= 1 - confidence. Too few samples for that: the
    bounds are infinite.
    """
    ordered, n = sorted(samples), len(samples)
    median = float(np.median(ordered)) if n else math.nan
    k, tail, allowed = 0, 1, int((1 - confidence) * 1e9) * 2**n // (2 * 10**9)
    while tail <= allowed:
        k += 1
        tail += math.comb(n, k)
    return (ordered[k - 1], median, ordered[n - k]) if k else (-math.inf, median, math.inf)


def time_slots(run: Callable[[], object]) -> tuple[list[float], int]:
    """Slot medians in ms, and the number of inferences.

    A slot is at least 3 inferences and 5 ms; the first is dropped; 41 of them, or at least 8 once 20 s are over.
    """
    slots: list[float] = []
    count, begin = 0, time.perf_counter()
    while len(slots) <= SLOTS and (len(slots) <= 8 or time.perf_counter() - begin < LIMIT_S):
        times: list[float] = []
        while len(times) < SLOT_RUNS or sum(times) < SLOT_MS:
            start = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - start))
        slots.append(float(np.median(times)))
        count += len(times)
    return slots[1:], count


# --- The checks ---


def check_golden(opened: Opened, running: Any) -> Check:
    """Every golden output is met within its tolerance: each feed and output has its own, as their scales differ."""
    golden = opened.manifest["golden"]
    found: list[tuple[float, float]] = []
    for (feed, wanted), allowed in zip(golden_feeds(opened), golden["atol"], strict=True):
        got = outputs_of(running, feed, golden["outputs"])
        deltas = [max_delta(a, b) for a, b in zip(got, wanted, strict=True)]
        found += zip(deltas, map(float, allowed), strict=True)
    beyond = [pair for pair in found if pair[0] > pair[1]]
    worst, atol = max(beyond or found, key=lambda pair: pair[0], default=(0.0, 0.0))
    verdict = FAIL if beyond else PASS
    word = "within" if verdict == PASS else "beyond"
    sentence = f"max |Δ| {worst:.3g} on {plural(len(found), 'golden output')}, {word} its tolerance of {atol:.3g}"
    return Check("golden", verdict, sentence, {"deltas": [d for d, _ in found], "atol": [a for _, a in found]})


def check_accuracy(opened: Opened, running: Any) -> Check:
    """The metric on the shipped slice is the manifest's, up to what the golden tolerance can explain."""
    metric, spec = opened.manifest["metric"], opened.manifest["slice"]
    shape = opened.manifest["inputs"][0]["shape"]
    atol = float(spec["atol"])
    with np.load(io.BytesIO(opened.files[SLICE]), allow_pickle=False) as arrays:
        inputs, targets = decode(arrays["inputs"], spec), arrays["targets"]
        masked = arrays.get("masked_outputs")
    names = [opened.manifest["outputs"][0]["name"]]
    outputs = run_batches(lambda f: running.run(names, f), opened.manifest["inputs"][0]["name"], inputs, shape[0])
    if masked is not None:
        moved, allowed = max_delta(outputs, masked), float(spec["masked_max_abs_delta"]) + atol
        sentence = (
            f"'{metric['name']}' is the task's own and was measured in find only; on {len(inputs)} samples the outputs "
            f"are within {moved:.3g} of the masked network's (allowed {allowed:.3g})"
        )
        return Check("accuracy", PASS if moved <= allowed else FAIL, sentence, {"moved": moved, "allowed": allowed})
    low, value, high = metric_range(metric["name"], outputs, targets, atol)
    wanted, unit = float(metric["slice_value"]), f" {metric['unit']}".rstrip()
    slack = 1e-9 * max(1.0, abs(wanted))
    verdict = PASS if low - slack <= wanted <= high + slack else FAIL
    sentence = f"{metric['name']} {value:.6g}{unit} on {len(inputs)} samples, the manifest says {wanted:.6g}{unit}"
    return Check("accuracy", verdict, sentence, {"value": value, "manifest": wanted, "low": low, "high": high})


def check_bytes(opened: Opened) -> Check:
    """The model is as large as the manifest says."""
    got, wanted = len(opened.files[MODEL]), int(opened.manifest["size_bytes"])
    sentence = f"{MODEL} has {got:,} bytes" + ("" if got == wanted else f", and the manifest says {wanted:,}")
    return Check("bytes", PASS if got == wanted else FAIL, sentence, {"size_bytes": got, "manifest": wanted})


def check_latency(opened: Opened) -> Check | None:
    """The median of one inference at batch 1 against the manifest's budget; None where it sets none."""
    budget = opened.manifest["budget"]
    return None if budget is None else judge_budget(opened, budget)


def judge_budget(opened: Opened, budget: Mapping[str, Any]) -> Check:
    """The median of one inference at batch 1 against a budget: {"latency_ms": x, "threads": n, "host": fingerprint}.

    Pass if the interval's upper bound is under the budget, fail if its lower bound is over it, else inconclusive; so it
    is where the budget's host is neither 'any' nor this one, or this process has fewer cores than the budget threads.
    """
    here, limit, threads = host(), float(budget["latency_ms"]), int(budget["threads"])
    if threads > cores():  # they would wait for each other: another quantity
        lacking = f"a budget at {plural(threads, 'thread')} needs as many cores, and this process may use {cores():,}"
        return Check("latency", INCONCLUSIVE, lacking, {"budget_ms": limit, "threads": threads})
    running = session(opened.files[MODEL], threads)
    feed = next(golden_feeds(opened))[0]
    if opened.manifest["golden"]["single"]:
        feed = single(opened.manifest["inputs"], feed)
    samples, count = time_slots(lambda: running.run(None, feed))
    low, median, high = median_interval(samples)
    measured = f"median {median:.4g} ms [{low:.4g}, {high:.4g}] at {plural(threads, 'thread')}"
    values: dict[str, Any] = {
        "median_ms": median,
        "low_ms": low,
        "high_ms": high,
        "budget_ms": limit,
        "threads": threads,
    }
    values |= {"confidence": CONFIDENCE, "slots": len(samples), "inferences": count, "samples_ms": samples}
    if budget["host"] not in ("any", here["fingerprint"]):
        elsewhere = f"the budget of {limit:g} ms is for host {budget['host']}, and this is {here['fingerprint']}"
        return Check("latency", INCONCLUSIVE, f"{measured}; {elsewhere}", values)
    if high < limit:
        return Check("latency", PASS, f"{measured}, under the budget of {limit:g} ms", values)
    if low > limit:
        return Check("latency", FAIL, f"{measured}, over the budget of {limit:g} ms", values)
    return Check("latency", INCONCLUSIVE, f"{measured}: the budget of {limit:g} ms lies inside the interval", values)


def check_running(opened: Opened, threads: int) -> list[Check]:
    """The checks that run the model. One that the runtime here does not take is a 'no', or open if never proved."""
    unproved = opened.manifest["proof"]["verdict"] == "not proved"
    try:
        running = session(opened.files[MODEL], threads)
        if unproved:
            reason = opened.manifest["proof"]["reason"]
            return [Check("golden", INCONCLUSIVE, f"not proved when exported: {reason}", {})]
        checks = [check_golden(opened, running)]
        if opened.manifest["metric"] and opened.manifest["slice"]:
            checks.append(check_accuracy(opened, running))
        latency = check_latency(opened)
    except Exception as error:  # the runtime raises a family of its own, and every one means the same here
        said = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:300]}"
        verdict = INCONCLUSIVE if unproved else FAIL
        sentence = f"onnxruntime {onnxruntime.__version__} cannot run {MODEL}: {said}"
        return [Check("runs", verdict, sentence, {})]
    return [*checks, latency] if latency else checks


def check_artifact(folder: Path, threads: int = 1) -> Outcome:
    """Make every check of the artifact in `folder`; the outputs are computed with `threads` threads.

    Raises:
        NotAnArtifactError: there is nothing to check, or it is of an unknown format.
    """
    try:
        opened = open_artifact(folder)
    except DamagedError as error:
        sentence = f"{error}: nothing of it was run. Copy the artifact again, or export it anew"
        return Outcome(str(folder), host(), (Check("hashes", INTEGRITY, sentence, {}),))
    sentence = f"{len(opened.files)} files are what was written"
    if opened.beside:
        more = f" and {len(opened.beside) - 3} more" if len(opened.beside) > 3 else ""
        sentence += f"; not listed, and not read: {', '.join(opened.beside[:3])}{more}"
    hashes = Check("hashes", PASS, sentence, {"files": len(opened.files), "beside": list(opened.beside)})
    with ThreadPoolExecutor(1) as own:  # denormals as zero is set for the thread of the first session, and stays set
        ran = own.submit(check_running, opened, threads).result()
    return Outcome(str(folder), host(), (hashes, check_bytes(opened), *ran))


def main(arguments: Sequence[str] | None = None) -> int:
    """The script: prints a table, or JSON. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Check an edgeticket artifact on this host.")
    parser.add_argument("folder", nargs="?", type=Path, help="the artifact (default: where this file is, or here)")
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is standard output")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads for the outputs (default 1); a budget names its own"
    )
    given = parser.parse_args(arguments)
    if not 1 <= given.threads <= cores():
        parser.error(f"--threads {given.threads}: from 1 to {cores()}, the cores that this process may use")
    beside = Path(__file__).resolve().parent
    folder = given.folder or (beside if (beside / SUMS).exists() else Path())
    try:
        outcome = check_artifact(folder, given.threads)
        if given.json and given.json != "-":
            Path(given.json).write_text(outcome.to_json(), encoding="utf-8")
    except (NotAnArtifactError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    try:
        print(outcome.to_json().rstrip() if given.json == "-" else outcome, flush=True)
    except BrokenPipeError:  # whoever read this has gone, which is no verdict
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except OSError as error:  # a full disk is no verdict either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"standard output: {error.strerror}; send it somewhere else", file=sys.stderr)
        return 2
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
