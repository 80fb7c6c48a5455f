"""A process of `bench_engine.py`: a network at all its sparsities beside its rivals, or the creation of one session.

The request is the only argument, as JSON; the answer is the last line of standard output, as JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networks
import numpy as np
import onnx
import onnxruntime as ort
from arms import Arm, as_json, assigned, open_session, paired, quartiles, raw_us, take_turns
from builder import Network
from machine import pin, release_memory, resident_bytes

from edgeticket import runtime
from edgeticket.engine import NodeRecord, read_report
from edgeticket.errors import EngineError

ROOT = Path(__file__).resolve().parents[1]
AGREEMENT = 1e-3  # of the largest output: far above rounding, far below a wrong kernel


def main() -> None:
    request = json.loads(sys.argv[1])
    cpus = pin(request["threads"])
    answer = creation(request) if request["kind"] == "creation" else latency(request)
    print(json.dumps({**answer, "cpus": cpus}))


def have_engine() -> bool:
    """Registers the engine; False, with a word, where it is not built."""
    try:
        runtime.register()
    except EngineError as error:
        print(f"without the sparse engine: {error}", file=sys.stderr)
        return False
    return True


def open_ours(model: bytes, threads: int, isa: str | None) -> tuple[ort.InferenceSession, list[NodeRecord]]:
    """A session of ours and the engine's own report of it."""
    with tempfile.TemporaryDirectory(prefix="edgeticket-") as folder:
        report = Path(folder) / "report.json"
        options = {"report": str(report)} | ({"isa": isa} if isa else {})
        session = open_session(model, threads, options)
        return session, read_report(report)


def latency(request: Mapping[str, Any]) -> dict[str, Any]:
    """Every arm in turns. The fp32 and int8 sessions stand for all sparsities: a zero costs them what a one does."""
    threads, block_s = request["threads"], request["block_ms"] / 1e3
    nets = _ticket(str(ROOT / request["ticket"])) if request.get("ticket") else _pruned(request)
    first = next(iter(nets.values()))
    feed = first.feed()
    cpu = open_session(first.serialized(), threads)
    arms = {"fp32": Arm(cpu, feed)}
    if not request.get("ticket"):
        arms |= {f"int8 {kind}": Arm(open_session(networks.int8(first, kind), threads), feed) for kind in networks.INT8}
    tiny = request["network"] in networks.TINY
    if tiny:
        arms["fp32 run()"] = Arm(cpu, feed, bound=False)
    found: dict[str, dict[str, Any]] = {}
    engine = have_engine()
    for key, net in nets.items() if engine else ():
        model = net.serialized()
        expected = open_session(model, threads).run(None, feed)[0]
        for isa in (None, *request["isas"]):
            session, records = open_ours(model, threads, isa)
            name = key if isa is None else f"{key} {isa}"
            delta = float(np.abs(session.run(None, feed)[0] - expected).max() / np.abs(expected).max())
            nodes = assigned(session)
            if not delta <= AGREEMENT:
                raise SystemExit(f"{request['network']} at {name}: {delta:.1e} of the largest output away from fp32")
            if not records:  # to leave every node to the CPU provider is an answer, to be asked about none is not
                raise SystemExit(f"{request['network']} at {name}: the sparse engine was not asked")
            arms[name] = Arm(session, feed)
            macs = sum(record.macs for record in records)
            claimed = sum(record.macs for record in records if record.claimed)
            found[name] = {"nodes": nodes, "claimed_macs": claimed / macs if macs else 0.0, "delta": delta}
            found[name] |= {"macs": net.macs, "useful_macs": net.useful_macs, "sparsity": net.sparsity}
            if tiny and isa is None:
                arms[f"{name} run()"] = Arm(session, feed, bound=False)
    times = take_turns(arms, request["rounds"], block_s)
    raw = raw_us(times)
    quantised = [name for name in times if name.startswith("int8 ")]
    best = min(quantised, key=lambda name: quartiles(times[name]).median, default=None)
    if best is not None:
        times["int8"] = times[best]
    for name, facts in found.items():
        facts["us"] = as_json(quartiles(times[name]), 1e6)
        for rival in ("fp32", "int8"):
            if rival in times:
                facts[f"times_{rival}"] = as_json(paired(times[rival], times[name]))
        facts["gmac_per_s"] = facts["useful_macs"] / facts["us"]["median"] / 1e3
        if f"{name} run()" in times:
            facts["run_us"] = as_json(quartiles(times[f"{name} run()"]), 1e6)
            facts["run_times_fp32"] = as_json(paired(times["fp32 run()"], times[f"{name} run()"]))
        for isa in request["isas"]:
            if f"{name} {isa}" in times:
                facts[f"speed_of_{isa}"] = as_json(paired(times[name], times[f"{name} {isa}"]))
    shown = ("fp32", "int8", *quantised, "fp32 run()")
    rivals = {name: as_json(quartiles(times[name]), 1e6) for name in shown if name in times}
    facts_of_all = {
        "rivals_us": rivals,
        "int8_is": best,
        "ours": found,
        "macs": first.macs,
        "rounds": request["rounds"],
    }
    return {**facts_of_all, "raw_us": raw}


def _pruned(request: Mapping[str, Any]) -> dict[str, Network]:
    """{sparsity in % as text: network}."""
    return {f"{s:.0%}": networks.network(request["network"], s) for s in request["sparsities"]}


def _ticket(path: str) -> dict[str, Network]:
    """A real ticket, its multiplications from the engine's report; the first axis of its input is set to 1."""
    model = onnx.load(path)
    graph_input = model.graph.input[0]
    shape = tuple(axis.dim_value for axis in graph_input.type.tensor_type.shape.dim)[1:]
    if len(model.graph.input) != 1 or not all(shape):
        raise SystemExit(f"{path}: a model with one input of known shape can be timed, not {graph_input.name} {shape}")
    macs = useful = 0
    if have_engine():
        _, records = open_ours(model.SerializeToString(), 1, None)
        macs = sum(record.macs for record in records)
        useful = sum(round(record.macs * record.density) for record in records)
    sparsity = 1 - useful / macs if macs else 0.0
    return {"ticket": Network(Path(path).stem, model, shape, (), macs, useful, sparsity, graph_input.name)}


def creation(request: Mapping[str, Any]) -> dict[str, Any]:
    """Milliseconds of creating a session and of its first inference, and how many bytes the process grew by each.

    It is the first session of the process on that provider, and for the engine its library is registered too: a device
    opens one. A provider may put off to the first inference what it needs, so memory counts from there. No network is
    built in this process: what that leaves free would be used again, and not counted.
    """
    kept = [open_session(request["warm"], 1)]  # the runtime itself is loaded and set up
    kept[0].run(None, _standing_for(networks.WARM, kept[0]))
    gc.collect()
    release_memory()
    before = resident_bytes()
    began = time.perf_counter()
    ours = {} if request["provider"] == "ours" else None
    if ours is not None and not have_engine():
        return {}
    kept.append(open_session(request["path"], request["threads"], ours))
    seconds = time.perf_counter() - began
    grown = resident_bytes() - before
    feed = _standing_for(request["network"], kept[-1])
    began = time.perf_counter()
    kept[-1].run(None, feed)
    first_s = time.perf_counter() - began
    after, peak = resident_bytes() - before, resident_bytes("VmHWM") - before
    found = {"ms": seconds * 1e3, "grown_bytes": grown, "first_ms": first_s * 1e3}
    return {**found, "after_first_bytes": after, "peak_bytes": peak}


def _standing_for(network: str, session: ort.InferenceSession) -> dict[str, np.ndarray]:
    """An input of one of the networks, made without building it."""
    shape, _ = networks.NETWORKS[network]
    return {session.get_inputs()[0].name: np.ones((1, *shape), np.float32)}


if __name__ == "__main__":
    main()
