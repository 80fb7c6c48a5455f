"""What a user may write: every public name, checked by mypy --strict in test_public.py and never run."""

from pathlib import Path

from edgeticket import (
    Data,
    EdgeticketError,
    InputError,
    IntegrityError,
    Mask,
    Metric,
    ProofError,
    Task,
    __version__,
    bench,
    check,
    compare,
    export,
    find,
    inspect,
    request,
    session,
)


def data(_folders: object) -> Data:
    """Nothing to learn."""
    return Data(train=([[0.0]], [0]), test=([[0.0]], [0]))


error_rate = Metric("error rate", lambda outputs, targets: 0.0, higher_is_better=False, unit="%")
task = Task(
    name="mine", model=lambda: None, data=data, metric=error_rate, lr=0.1, iterations=9, batch_size=1, validation=1
)

try:
    found = find("lenet-digits", until=0.1, out="runs/x", data_dirs=[Path("data"), "more"], controls=("reinit",))
    found = find(task, rounds=2, changes={"lr": 0.01})
    found = find(request("my_task.py:task", trials=2, rewind=500))
    code: int = found.exit_code
    sentences: list[str] = found.verdicts
    exported = export(found, out=Path("artifact"), weights="int8", bench=False)
    exported = export("runs/x", budget_ms=2.0, budget_host="this")
    size: int = exported.manifest.size_bytes
    outcome = check(exported, threads=1, engine=True)
    verdict: str = outcome.verdict
    report = check("new.onnx", baseline=Path("old.onnx"), max_latency=0.05, threads=(1, 2), providers="sparse")
    report = check(exported, "old.onnx", max_counts={"macs": 0.0}, threads=2)
    failed = [gate.sentence for gate in report.gates if gate.verdict != "pass"]
    inspection = inspect("model.onnx", claim="timed", isa="avx2")
    totals = inspection.totals
    measured = bench(["a.onnx", Path("b.onnx"), exported], providers=("cpu", "sparse"), threads=(1, 2), seconds=10)
    measured = bench("a.onnx", seed=3)
    document = measured.document()
    said, comparable = compare("a.json", Path("b.json"))
    running = session("model.onnx", threads=2, provider_options={"claim": "always"})
    mask = Mask.ones({"weight": (2, 3)})
except (InputError, IntegrityError, ProofError, EdgeticketError) as error:
    print(__version__, error, int(error.exit_code))
