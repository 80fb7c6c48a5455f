"""The wheel: one a platform with the library, one for all without where nothing compiles it; old and new runtimes."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from native import PLUGIN, build
from small_models import model, node, sparse

import edgeticket

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = "edgeticket/libedgeticket_ep.so"


def wheel(folder: Path, **environment: str) -> Path:
    """Built as `pip install .` does, in an environment of its own."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=500)
    if "No matching distribution found for scikit-build-core" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_without_a_compiler_the_package_installs_and_says_what_is_missing(tmp_path: Path) -> None:
    built = wheel(tmp_path, CXX="/no/compiler", SKBUILD_BUILD_DIR=str(tmp_path / "build"))
    assert built.name == f"edgeticket-{edgeticket.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(built) as archive:
        assert LIBRARY not in archive.namelist()
        assert "edgeticket/runtime.py" in archive.namelist()
        assert "edgeticket/py.typed" in archive.namelist()  # without it type checkers skip the package
        archive.extractall(tmp_path / "site")
    code = (
        "import edgeticket.runtime as rt\n"
        "try: rt.register()\n"
        "except rt.EngineError as error: print(error)\n"
        f"print(rt.session({str(tmp_path / 'm.onnx')!r}).get_providers())"
    )
    proto = model([node("Gemm", ["x", "w"], ["y"])], {"x": ["N", 4]}, {"y": ["N", 3]}, {"w": sparse(1, 4, 3)})
    onnx.save(proto, tmp_path / "m.onnx")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-S", "-c", SITE + code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "libedgeticket_ep.so is missing" in done.stdout
    assert "['CPUExecutionProvider']" in done.stdout


@pytest.mark.slow
def test_the_wheel_holds_the_library_and_works_on_the_oldest_runtime(tmp_path: Path) -> None:
    """One wheel, two runtimes: 1.24.3, taken by device, in an environment of its own; the newest is this one's."""
    if subprocess.run(["sh", "-c", "command -v c++ g++ clang++"], capture_output=True).returncode != 0:
        pytest.skip("no C++ compiler")
    built = wheel(tmp_path, SKBUILD_BUILD_DIR=str(tmp_path / "build"))
    name, version, python, abi, platform = built.stem.split("-")
    assert (name, version, python, abi) == ("edgeticket", edgeticket.__version__, "py3", "none")
    assert platform.startswith(("linux_", "manylinux"))
    with zipfile.ZipFile(built) as archive:
        assert LIBRARY in archive.namelist()
    proto = model([node("Gemm", ["x", "w"], ["y"])], {"x": ["N", 40]}, {"y": ["N", 30]}, {"w": sparse(1, 40, 30)})
    onnx.save(proto, tmp_path / "m.onnx")
    venv.create(tmp_path / "old", with_pip=True)
    python_old = tmp_path / "old/bin/python"
    install = [
        python_old,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        built,
        "onnxruntime==1.24.3",
    ]
    subprocess.run(install, check=True, timeout=500)
    done = subprocess.run([python_old, "-c", OLD, tmp_path / "m.onnx"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1.24.3", "EdgeTicketExecutionProvider", "True"]
    assert "ignores EdgeTicketExecutionProvider by name" in done.stderr
    assert "claimed 1 of 1 nodes" in done.stderr


@pytest.mark.slow
def test_a_program_in_c_plus_plus_runs_on_the_oldest_library(tmp_path: Path) -> None:
    """1.23.1, by device. An infinity meets zero weights alone: only where the sparse engine runs is the sum finite."""
    oldest = "1.23.1"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path)]
    done = subprocess.run([*command, f"onnxruntime=={oldest}"], capture_output=True, text=True, timeout=500)
    if done.returncode != 0:
        pytest.skip(f"onnxruntime {oldest} can not be had for this Python: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        archive.extract("onnxruntime/capi/libonnxruntime_providers_shared.so", tmp_path)
        library = archive.extract(f"onnxruntime/capi/libonnxruntime.so.{oldest}", tmp_path)
    weight = sparse(1, 1024, 512, density=0.02)
    weight[0] = 0
    far = np.zeros(1024, np.float32)
    far[0] = np.inf
    nodes = [node("Add", ["x", "far"], ["moved"]), node("MatMul", ["moved", "w"], ["y"])]
    proto = model(nodes, {"x": [1, 1024]}, {"y": [1, 512]}, {"w": weight, "far": far})
    onnx.save(proto, tmp_path / "m.onnx")
    folder = build("tests", "run_model", "edgeticket_ep")
    done = subprocess.run(
        [folder / "run_model", library, folder / PLUGIN, tmp_path / "m.onnx", "x", "y", "1", "1024"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(weight.sum(axis=0, dtype=np.float64)[0], abs=1e-4)


# The site-packages of this interpreter without its .pth files: an editable install would win over PYTHONPATH.
SITE = f"import sys; sys.path += {[p for p in sys.path if p.endswith('site-packages')]!r}\n"
OLD = """
import logging, sys
import numpy as np
logging.basicConfig(level=logging.INFO)
import edgeticket.runtime as rt
print(rt.VERSION, rt.register())
made = rt.session(sys.argv[1], provider_options={"claim": "always"})
x = np.ones((2, 40), np.float32)
print(np.allclose(rt.run(made, {"x": x})["y"], rt.run(rt.session(sys.argv[1], sparse=False), {"x": x})["y"], atol=1e-5))
"""
