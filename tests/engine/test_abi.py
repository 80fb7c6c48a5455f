"""Our header of the C API against the runtime at hand: every slot in use is called, and what comes back is checked.

The plugin calls those of graphs and kernels (`test_every_slot_is_called` lists who calls what), the example those of
sessions, and a small program the plain ones. A slot that had moved would crash or say nonsense.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from small_models import claimed, model, node, session, sparse

from edgeticket import runtime

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "export"
ENVIRONMENT = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}


def libonnxruntime() -> Path:
    """The runtime's own library in its wheel."""
    return next((Path(ort.__file__).parent / "capi").glob("libonnxruntime.so*"))


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
    if compiler is None:
        pytest.skip("no C++ compiler")
    program = tmp_path_factory.mktemp("example") / "run_model"
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-o", str(program)]
    subprocess.run([compiler, *flags, str(SOURCES / "examples/run_model.cpp"), "-ldl"], check=True)
    return program


def network() -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("ReduceMean", ["r", "a"], ["y"]),
    ]
    constants = {"w": sparse(1, 4, 3, 3, 3, density=0.5), "a": np.array([2, 3])}
    return model(nodes, {"x": ["N", 3, 8, 8]}, {"y": ["N", 4, 1, 1]}, constants)


def test_the_example_runs_a_model(example: Path, tmp_path: Path) -> None:
    """Sessions, devices and tensors from C++: the slots that the plugin itself has no use for."""
    assert len((SOURCES / "examples/run_model.cpp").read_text().splitlines()) <= 40
    path = tmp_path / "model.onnx"
    onnx.save(network(), path)
    arguments = [libonnxruntime(), runtime.library_path(), path, "x", "y", "1", "3", "8", "8"]
    done = subprocess.run([example, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    wanted = runtime.run(runtime.cpu_session(path), {"x": np.ones((1, 3, 8, 8), np.float32)})["y"]
    assert float(done.stdout) == pytest.approx(float(wanted.flat[0]), rel=1e-5)


def test_the_example_says_how_it_is_used(example: Path) -> None:
    done = subprocess.run([example], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: run_model libonnxruntime.so libedgeticket_ep.so MODEL.onnx INPUT OUTPUT SIZE")


@pytest.mark.parametrize("size", ["0", "-8", "x"])
def test_the_example_refuses_a_size_that_is_none(example: Path, tmp_path: Path, size: str) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(network(), path)
    arguments = [libonnxruntime(), runtime.library_path(), path, "x", "y", "1", "3", "8", size]
    done = subprocess.run([example, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "SIZE...: give numbers above 0\n")


@pytest.mark.parametrize("fault", ["library", "plugin", "model"])
def test_the_example_fails_in_words(example: Path, tmp_path: Path, fault: str) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(network(), path)
    arguments = {"library": libonnxruntime(), "plugin": runtime.library_path(), "model": path}
    arguments[fault] = tmp_path / "nothing"
    command = [example, *arguments.values(), "x", "y", "1", "3", "8", "8"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert "nothing" in done.stderr


def test_an_older_runtime_is_told_so(tmp_path: Path) -> None:
    """GetApi(23) is null in 1.22: the plugin answers with the oldest table's CreateStatus."""
    program = tmp_path / "old"
    compiler = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    source = tmp_path / "old.cpp"
    source.write_text(OLD_RUNTIME)
    subprocess.run([compiler, "-std=c++17", f"-I{SOURCES / 'src'}", "-o", program, source, "-ldl"], check=True)
    done = subprocess.run([program, runtime.library_path()], capture_output=True, text=True, check=True)
    assert done.stdout == "1: EdgeTicketExecutionProvider needs ONNX Runtime 1.23.1 or newer; this is 1.22.0\n"


def test_every_slot_is_called() -> None:
    """No slot is declared that nothing calls: what is not called is not verified."""
    header = (SOURCES / "src/ort/abi.h").read_text()
    table = header[header.index("struct OrtApi {") : header.index("struct OrtApiBase")]
    slots = set(re.findall(r"\(\*(\w+)\)\(", table)) - {"task"}
    calls = "".join(path.read_text() for folder in ("src/ort", "examples") for path in (SOURCES / folder).glob("*.cpp"))
    calls += (SOURCES / "src/ort/guard.h").read_text()
    assert {slot for slot in slots if not re.search(rf"[.>]{slot}\b", calls)} == set()
    assert len(slots) > 40


def test_the_plugin_reads_what_the_model_says() -> None:
    """Attributes of every type, constants and names, read through the table in one model."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], auto_pad="SAME_UPPER", strides=[2, 1], group=1),
        node("LeakyRelu", ["c"], ["l"], alpha=0.25),
        node("Reshape", ["l", "s"], ["f"]),
        node("Gemm", ["f", "m"], ["y"], alpha=2.0, transB=1),
    ]
    constants = {"w": sparse(1, 4, 3, 3, 3, density=0.5), "m": sparse(2, 5, 4 * 4 * 8), "s": np.array([0, -1])}
    proto = model(nodes, {"x": ["N", 3, 8, 8]}, {"y": ["N", 5]}, constants)
    made = session(proto, claim="always", pool=2)
    assert claimed(made) == {"c", "l", "f", "y"}
    x = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)
    wanted = runtime.run(runtime.cpu_session(proto.SerializeToString()), {"x": x})["y"]
    np.testing.assert_allclose(made.run(None, {"x": x})[0], wanted, rtol=1e-4, atol=1e-4)


OLD_RUNTIME = r"""
#include <dlfcn.h>
#include <cstdio>
#include "ort/abi.h"
using namespace edgeticket::abi;
static char message[200];
static ErrorCode code;
int main(int, char** argv) {
    static OrtApi table{};
    table.CreateStatus = [](ErrorCode c, const char* text) -> Status {
        code = c;
        std::snprintf(message, sizeof message, "%s", text);
        return reinterpret_cast<Status>(message);
    };
    const auto get = [](std::uint32_t version) -> const OrtApi* { return version <= 22 ? &table : nullptr; };
    OrtApiBase base{get, [] { return "1.22.0"; }};
    void* plugin = dlopen(argv[1], RTLD_NOW);
    using Size = std::size_t;
    using Create = Status (*)(const char*, const OrtApiBase*, const OrtLogger*, OrtEpFactory**, Size, Size*);
    Size count = 9;
    OrtEpFactory* factory = nullptr;
    const auto create = reinterpret_cast<Create>(dlsym(plugin, "CreateEpFactories"));
    Status status = create("n", &base, nullptr, &factory, 1, &count);
    if (status == nullptr || count != 0) return 3;
    std::printf("%d: %s\n", code, message);
}
"""
