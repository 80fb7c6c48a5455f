"""bench, compare and trend: what is measured, what may be concluded, and change points with known answers."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fake_hosts import LONG_S, FakeHost

from edgeticket.benchmark import bench, compare, figures, history
from edgeticket.cli import main
from edgeticket.cli.output import write_json
from edgeticket.errors import InputError, StorageError
from edgeticket.measure.hosts.host import NoAnswerError
from edgeticket.measure.hosts.local import LOCAL
from edgeticket.measure.protocol import BlocksAnswer, BlocksRequest, LoadRequest, Slot

Document = dict[str, Any]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """A real run of two models, with few blocks."""
    folder = tmp_path_factory.mktemp("bench")

    def undisturbed(asked: BlocksRequest | LoadRequest, _: float) -> Any:
        """Whatever else the machine does must not leave this without a process that counts."""
        if isinstance(asked, LoadRequest):
            return LOCAL.ask(asked, LONG_S)
        answer = LOCAL.ask(dataclasses.replace(asked, blocks=3), LONG_S)
        return dataclasses.replace(answer, blocks=tuple(dataclasses.replace(b, fault=None) for b in answer.blocks))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "bench", partial(bench.bench, host=FakeHost(undisturbed)))
        patch.setattr(bench, "SLOT", Slot(40, 0.1, 40))
        patch.setattr(bench, "LOADS", 1)
        patch.setattr(bench, "PROCESSES", 5)
        done = run("bench", model, model, "--json", folder / "a.json", "--append", folder / "h.jsonl")
    assert done.exit_code in (0, 3)
    (folder / "printed").write_text(done.stdout)
    return folder


@pytest.fixture
def document(saved: Path) -> Document:
    return dict(json.loads((saved / "a.json").read_text()))


def test_models_are_measured_side_by_side_and_every_sample_is_kept(document: Document, saved: Path) -> None:
    names = [each["model"] for each in document["measurements"]]
    assert names == list(document["models"])
    assert len(names) == 2
    for each in document["measurements"]:
        assert 1 <= len(each["samples_ms"]) <= bench.PROCESSES
        assert all(len(block) == 40 for blocks in each["samples_ms"] for block in blocks)
        assert each["p50_ms"]["low"] in ("-inf", *[each["p50_ms"]["low"]])
        assert each["p50_ms"]["value"] <= each["p90_ms"]["value"] <= (each["p99_ms"] or each["p90_ms"])["value"]
        assert len(each["warm_load_ms"]) == 1
        assert each["first_inference_ms"][0] > 0
    assert "peak memory" in (saved / "printed").read_text()


def test_a_percentile_is_the_median_of_the_processes_own() -> None:
    figures = bench.Figures("m", "cpu, 1 thread", "cpu", 1)
    figures.samples_ms = [[[float(n)] * 50, [float(n + 100)] * 50] for n in range(1, 10)]  # 9 processes, 2 blocks each
    assert figures.percentile(50) == {"value": 5.0, "low": 1.0, "high": 9.0}
    assert figures.percentile(90) == {"value": 105.0, "low": 101.0, "high": 109.0}
    figures.samples_ms = [[[1.0] * 99]]
    assert figures.percentile(99) is None  # no process holds a sample beyond it


def test_too_few_processes_for_an_interval_are_said() -> None:
    few = bench.Figures("m", "cpu, 1 thread", "cpu", 1, [[[1.0] * 100]] * 7)
    (row,) = figures.rows([few])
    assert row[2] == "1.00 ms [too few processes]"
    few.samples_ms.append([[1.0] * 100])
    assert figures.rows([few])[0][2] == "1.00 ms [1.00 ms, 1.00 ms]"


def test_a_full_disk_keeps_the_samples(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    document = json.loads((saved / "a.json").read_text())
    with pytest.raises(StorageError, match=r"choose another file\. The result is kept in"):
        write_json("/dev/full/r.json", document)
    (spare,) = tmp_path.glob("edgeticket-*-r.json")
    assert json.loads(spare.read_text()) == document


def test_a_model_that_is_not_measured_is_said(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> None:
        raise NoAnswerError("model", "failed in run 3: no", "small")

    monkeypatch.setattr(bench, "bench", partial(bench.bench, host=FakeHost(failing)))
    done = run("bench", model)
    assert done.exit_code == 3
    assert "small failed in run 3: no" in done.stdout


def test_ctrl_c_keeps_what_was_measured(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    count = 0

    def interrupted(asked: BlocksRequest, limit_s: float) -> BlocksAnswer:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return LOCAL.ask(dataclasses.replace(asked, blocks=2, slot=Slot(2, 0.1, 2)), limit_s)

    monkeypatch.setattr(bench, "bench", partial(bench.bench, host=FakeHost(interrupted)))
    done = run("bench", model, "--json", tmp_path / "r.json", "--append", tmp_path / "h.jsonl")
    assert done.exit_code == 130
    assert not (tmp_path / "h.jsonl").exists()
    assert json.loads((tmp_path / "r.json").read_text())["interrupted"]


def test_a_file_that_changes_while_it_is_measured_is_said(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    moving = tmp_path / "moving.onnx"
    moving.write_bytes(model.read_bytes())

    def changed(*_: object) -> None:
        moving.write_bytes(b"another")
        raise NoAnswerError("killed", "it was killed")

    monkeypatch.setattr(bench, "bench", partial(bench.bench, host=FakeHost(changed)))
    assert "moving was changed while it was measured" in run("bench", moving).stdout


@pytest.mark.parametrize("options", [["--threads", "4096"], ["--providers", "abacus"], ["nowhere.onnx"]])
def test_what_cannot_be_measured_exits_2(model: Path, options: list[str]) -> None:
    assert run("bench", model, *options).exit_code == 2


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="no fadvise here")
def test_a_file_can_be_taken_out_of_the_cache(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 10_000)
    assert bench.evict(tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == b"x" * 10_000


# --- compare ---


def made(ms: float, spread: float = 0.001, sha: str = "a" * 64, fingerprint: str = "0" * 12, seed: int = 0) -> Document:
    """A run of 12 processes."""
    rng = np.random.default_rng(seed)
    samples = [[[float(ms * (1 + spread * rng.standard_normal()))] * 5] for _ in range(12)]
    figures = {"model": "m", "label": "cpu, 1 thread", "provider": "cpu", "threads": 1, "samples_ms": samples}
    host = {"cpu": "one", "cores": 2, "governor": "performance", "fingerprint": fingerprint}
    models = {"m": {"sha256": sha, "size_bytes": 1000, "path": "m.onnx", "kind": "onnx"}}
    return {"format": "edgeticket-bench", "version": 1, "host": host, "models": models, "measurements": [figures]}


def test_two_hosts_allow_no_word_on_latency() -> None:
    other = made(1.0, fingerprint="1" * 12)
    other["host"]["cpu"] = "another"
    said, comparable = compare.conclusions(made(1.0), other)
    assert not comparable
    assert "cpu: one and another" in said[-1]
    assert "nothing can be concluded about latency" in said[-1]


@pytest.mark.parametrize(
    ("ms", "sha", "wanted"),
    [
        (1.0, "a" * 64, "the two runs are not told apart"),
        (1.1, "b" * 64, "the two runs differ"),
        (1.1, "a" * 64, "the host has changed in between"),
    ],
)
def test_one_host_at_two_times(ms: float, sha: str, wanted: str) -> None:
    said, comparable = compare.conclusions(made(1.0), made(ms, sha=sha, seed=1))
    assert comparable
    assert wanted in " ".join(said)
    assert "cannot be concluded" in said[-1]
    assert ("how far the host drifted is not known" in said[-1]) == (sha != "a" * 64)


def test_the_interval_holds_the_true_change() -> None:
    said, _ = compare.conclusions(made(1.0), made(1.1, seed=2, sha="b" * 64))
    low, high = compare._change(made(1.0)["measurements"][0], made(1.1, seed=2)["measurements"][0])[::2]
    assert low < np.log(1.1) < high
    assert "+10." in said[1] or "+9." in said[1]


def test_load_and_memory_are_compared_too() -> None:
    one, two = made(1.0), made(1.0, seed=1)
    one["measurements"][0] |= {"warm_load_ms": [1.0, 1.01, 1.02, 1.03, 1.04], "peak_memory_bytes": [100]}
    two["measurements"][0] |= {"warm_load_ms": [2.0, 2.02, 2.04, 2.06, 2.08], "peak_memory_bytes": [200]}
    said = "\n".join(compare.conclusions(one, two)[0])
    assert re.search(r"warm load: \+100\.0 % \[\+92\.3 %, \+108\.0 %\]: the two runs differ", said)
    assert "peak memory: +100.0 %, of too few processes" in said
    assert "cold load" not in said


def test_nothing_in_common_is_said() -> None:
    other = made(1.0)
    other["measurements"][0]["threads"] = 2
    said, comparable = compare.conclusions(made(1.0), other)
    assert not comparable
    assert "nothing to compare" in said[-1]


def test_compare_from_the_command_line(saved: Path, tmp_path: Path) -> None:
    done = run("compare", saved / "a.json", saved / "a.json")
    assert done.exit_code == 0
    assert "the same file in both" in done.stdout
    (tmp_path / "other.json").write_text('{"format": "pyperf", "version": 1}')
    for wrong in (tmp_path / "other.json", tmp_path / "none.json"):
        assert run("compare", saved / "a.json", wrong).exit_code == 2


# --- trend ---


def entry(ms: float, number: int, host: str = "0" * 12) -> Document:
    return {"format": history.FORMAT, "version": 1, "created": f"2026-11-{number + 1:02}", "host": host, "name": "m",
            "commit": f"{number:040}", "latency_ms": {"cpu, 1 thread": ms}}  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_a_step_is_found_where_it_is(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.concatenate([np.full(12, 1.0), np.full(10, 1.1)]) * np.exp(0.01 * rng.standard_normal(22))
    found = history.change_points(values)
    assert len(found) == 2
    assert abs(found[1] - 12) <= 1


def test_noise_has_few_change_points() -> None:
    rng = np.random.default_rng(0)
    found = [len(history.change_points(np.exp(0.02 * rng.standard_normal(30)))) > 1 for _ in range(60)]
    assert sum(found) <= 6


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 5, [1.0] * 20])
def test_nothing_to_find(values: list[float]) -> None:
    assert history.change_points(values) == (0,)


def test_series_of_two_hosts_stay_apart() -> None:
    entries = [entry(1.0 + 0.001 * (n % 3), n) for n in range(8)] + [entry(9.0, n, host="1" * 12) for n in range(8)]
    found = history.trends(entries)
    assert [each.starts for each in found] == [(0,), (0,)]
    assert {each.host for each in found} == {"0" * 12, "1" * 12}


def test_trend_names_the_run_and_the_commit(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    entries = [entry((1.0 if n < 8 else 1.2) * (1 + 0.002 * (n % 3)), n) for n in range(16)]
    path.write_text("".join(json.dumps(each) + "\n" for each in entries) + '{"torn')
    done = run("trend", path, "--json", tmp_path / "t.json")
    assert done.exit_code == 0
    assert "+20.0 % from run 9 on (000000000000)" in done.stdout
    assert json.loads((tmp_path / "t.json").read_text())[0]["starts"] == [0, 8]


def test_a_history_that_is_none_exits_2(tmp_path: Path) -> None:
    (tmp_path / "h.jsonl").write_text("not JSON\n[]\n{}\n")
    for path in (tmp_path / "h.jsonl", tmp_path / "none.jsonl"):
        assert run("trend", path).exit_code == 2
    with pytest.raises(InputError, match="no run in it"):
        history.read(tmp_path / "h.jsonl")


def test_bench_adds_an_entry_for_each_model(saved: Path) -> None:
    entries = history.read(saved / "h.jsonl")
    assert [each["name"] for each in entries] == [
        each["model"] for each in json.loads((saved / "a.json").read_text())["measurements"]
    ]


def test_a_full_disk_is_told(document: Document) -> None:
    with pytest.raises(StorageError, match="nothing could be added"):
        history.append(Path("/dev/full"), copy.deepcopy(document))


def test_the_documents_say_which_commit(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SHA", "abc")
    assert {each["commit"] for each in history.records(document)} == {"abc"}


# --- What 0.1.0 wrote ---

OLD = Path(__file__).resolve().parents[1] / "fixtures" / "0.1.0"


def test_a_bench_of_0_1_0_is_compared() -> None:
    done = run("compare", OLD / "bench.json", OLD / "bench.json")
    assert done.exit_code == 0
    for name in ("fixture", "model"):
        assert f"{name}: the same file in both, 1,623 bytes." in done.stdout
        assert f"{name}, cpu, 1 thread: +0.0 % [" in done.stdout
    assert len(re.findall(r"warm load: .* not told apart", done.stdout)) == 2


def test_a_bench_of_0_1_0_is_compared_with_one_of_today(document: Document) -> None:
    """Its figures are found under today's names; a slow-down put into a copy of it is seen."""
    old = compare.read(OLD / "bench.json")
    assert old.keys() == document.keys()
    assert old["host"].keys() == document["host"].keys()
    assert {key for each in old["measurements"] for key in each} == set(document["measurements"][0])
    later = {**document, **{key: copy.deepcopy(old[key]) for key in ("host", "models", "measurements")}}
    for each in later["measurements"]:
        each["samples_ms"] = [[[2 * ms for ms in block] for block in blocks] for blocks in each["samples_ms"]]
    said, comparable = compare.conclusions(old, later)
    assert comparable
    assert len(re.findall(r", cpu, 1 thread: \+100\.0 % .*: the two runs differ", "\n".join(said))) == 2


def test_a_history_of_0_1_0_goes_on(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes((OLD / "history.jsonl").read_bytes())
    before = {(each.name, each.host): each for each in history.trends(history.read(path))}
    assert {name for name, _ in before} == {"fixture", "model"}
    assert all(len(each.values_ms) == 2 for each in before.values())
    assert history.read(path)[0].keys() == history.records(document)[0].keys()
    for name in ("bench", "check"):
        history.append(path, json.loads((OLD / f"{name}.json").read_text()))
    after = {(each.name, each.host): each.values_ms for each in history.trends(history.read(path))}
    (host,) = {host for _, host in before}
    assert after["fixture", host][:2] == before["fixture", host].values_ms
    assert (len(after["fixture", host]), len(after["model", host])) == (4, 3)
    assert run("trend", path).exit_code == 0
