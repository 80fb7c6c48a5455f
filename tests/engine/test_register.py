"""rt.register, rt.session and rt.library_path: idempotent, and in words where the library is missing."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from small_models import feed, model, node, sparse

import edgeticket.runtime as rt
from edgeticket import engine
from edgeticket.engine import read_report
from edgeticket.errors import EngineError, ModelError

ROOT = Path(__file__).resolve().parents[2]


def network() -> onnx.ModelProto:
    nodes = [node("Gemm", ["x", "w"], ["g"]), node("Relu", ["g"], ["r"]), node("Softmax", ["r"], ["y"])]
    return model(nodes, {"x": ["N", 300]}, {"y": ["N", 100]}, {"w": sparse(1, 300, 100, density=0.05)})


def test_the_library_is_built_where_a_compiler_is() -> None:
    compiler = next((name for name in ("c++", "g++", "clang++") if shutil.which(name)), None)
    if compiler is None:
        pytest.skip("no C++ compiler")
    assert rt.library_path().is_file()
    assert rt.library_path().name == "libedgeticket_ep.so"


def test_registering_twice_registers_once() -> None:
    assert rt.register() == rt.register() == rt.EP_NAME == "EdgeTicketExecutionProvider"
    assert sum(device.ep_name == rt.EP_NAME for device in ort.get_ep_devices()) == 1


def test_registered_by_somebody_else() -> None:
    code = (
        "import onnxruntime as ort, edgeticket.runtime as rt\n"
        "ort.register_execution_provider_library('mine', str(rt.library_path()))\n"
        "rt.register()\n"
        "print(sum(d.ep_name == rt.EP_NAME for d in ort.get_ep_devices()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_a_session_says_what_was_claimed_and_what_was_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(network(), path)
    with caplog.at_level(logging.INFO, "edgeticket"):
        made = rt.session(str(path), threads=1, provider_options={"claim": "always"})
    assert made.get_providers() == [rt.EP_NAME, "CPUExecutionProvider"]
    assert caplog.messages == [
        f"{path}: {rt.EP_NAME} claimed 2 of 3 nodes; left to the CPU provider: 1 Softmax (no kernel for this operator)"
    ]
    feeds = feed(network(), N=2)
    plain = rt.run(rt.cpu_session(path), feeds)
    np.testing.assert_allclose(rt.run(made, feeds)["y"], plain["y"], rtol=1e-5)


def test_not_sparse_is_the_stock_provider(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "edgeticket"):
        made = rt.session(network().SerializeToString(), sparse=False)
    assert made.get_providers() == ["CPUExecutionProvider"]
    assert not caplog.messages


@pytest.mark.parametrize(
    ("key", "value"),
    [("claim", "x"), ("isa", "sse"), ("threads", 0), ("threads", "2000"), ("measure", True), ("report", "")],
)
def test_a_value_that_an_option_does_not_take_is_named_with_those_it_takes(key: str, value: object) -> None:
    with pytest.raises(EngineError, match=f"option {key} is .*; it takes "):
        rt.session(network().SerializeToString(), provider_options={key: value})


def test_numbers_are_options_too() -> None:
    assert rt.session(network().SerializeToString(), provider_options={"threads": 1, "measure": 0}).get_inputs()


def test_what_is_no_model_and_no_number_of_threads_is_said() -> None:
    with pytest.raises(ModelError, match="None is neither the path of a model nor its bytes"):
        rt.session(None)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="threads is '2': a whole number is needed"):
        rt.session(network().SerializeToString(), threads="2")  # type: ignore[arg-type]


def test_a_node_without_a_name_is_reported_by_its_output(tmp_path: Path) -> None:
    proto = network()
    for each in proto.graph.node:
        each.name = ""
    rt.session(proto.SerializeToString(), provider_options={"claim": "always", "report": tmp_path / "r.json"})
    assert all(record.name for record in read_report(tmp_path / "r.json"))


def test_an_unknown_option_is_refused_before_it_is_ignored() -> None:
    with pytest.raises(EngineError, match="no option 'clam', only claim, isa, measure, report, threads"):
        rt.session(network().SerializeToString(), provider_options={"clam": "always"})


def test_a_failing_provider_raises_and_is_not_replaced(capfd: pytest.CaptureFixture[str]) -> None:
    foreign = "neon" if os.uname().machine == "x86_64" else "avx2"
    with pytest.raises(ModelError, match=foreign):
        rt.session(network().SerializeToString(), provider_options={"isa": foreign})
    assert capfd.readouterr().out == ""


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(engine, "LIBRARY", "libnothere.so")
    monkeypatch.setattr(rt, "_device", lambda: None)  # as in a process that never registered
    with pytest.raises(EngineError, match=r"libnothere\.so is missing: .*no C\+\+ compiler.*ziglang.*make engine"):
        rt.library_path()
    with pytest.raises(EngineError, match=r"libnothere\.so is missing"):
        rt.register()
    with caplog.at_level(logging.INFO, "edgeticket"):
        made = rt.session(network().SerializeToString())
    assert made.get_providers() == ["CPUExecutionProvider"]
    assert "the model runs on the CPU provider alone" in caplog.messages[0]


def test_a_file_that_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "libedgeticket_ep.so"
    damaged.write_bytes(b"no library")
    monkeypatch.setattr(rt, "library_path", lambda: damaged)
    monkeypatch.setattr(rt, "_device", lambda: None)
    with pytest.raises(EngineError, match=r"libedgeticket_ep\.so: ONNX Runtime .* refused it"):
        rt.register()


@pytest.mark.parametrize(
    ("version", "fits"), [("1.24.2", False), ("1.23.1", False), ("1.24.3", True), ("1.25.0", True)]
)
def test_versions(version: str, fits: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    rt.register()
    caplog.clear()
    monkeypatch.setattr(rt, "VERSION", version)
    if not fits:
        with pytest.raises(EngineError, match=r"takes 1\.24\.3 or newer"):
            rt.register()
        return
    rt.register()
    assert ("by name" in caplog.text) == (version == "1.24.3")


def test_telemetry_is_off() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    code = "import edgeticket.runtime, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_the_report_is_read_or_an_error(tmp_path: Path) -> None:
    for text in ("", "{", "[1]", '[{"name": 1}]'):
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(EngineError, match="not a report"):
            engine.read_report(tmp_path / "r.json")


def test_the_library_depends_on_libc_alone_and_exports_two_functions() -> None:
    readelf, nm = shutil.which("readelf"), shutil.which("nm")
    if readelf is None or nm is None or sysconfig.get_platform() not in ("linux-x86_64", "linux-aarch64"):
        pytest.skip("binutils are not installed")
    dynamic = subprocess.run([readelf, "-d", rt.library_path()], capture_output=True, text=True, check=True).stdout
    needed = {line.partition("[")[2].rstrip("]") for line in dynamic.splitlines() if "(NEEDED)" in line}
    allowed = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libpthread.so.0"}
    assert needed <= allowed | {"libstdc++.so.6", "libgcc_s.so.1"}
    symbols = subprocess.run(
        [nm, "-D", "--defined-only", rt.library_path()], capture_output=True, text=True, check=True
    )
    assert {line.split()[-1] for line in symbols.stdout.splitlines()} == {"CreateEpFactories", "ReleaseEpFactory"}
