"""SIGKILL at any moment, then the same command again: the ticket is bit-identical to an uninterrupted run's."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny_task
import torch
from tiny_task import rich

from edgeticket.lottery import api

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["--rounds", "2", "--rewind", "12", "--control", "random-mask", "--control-trials", "1", "--threads", "1"]
NOT_COMPARED = {"seconds", "started", "provenance", "sha256"}  # times, dates, versions, and the hash over them


def start(folder: Path) -> subprocess.Popen[bytes]:
    """`edgeticket find` as a user starts it, its iterations slowed down and its checkpoints as frequent as can be."""
    command = [sys.executable, "-m", "edgeticket", "find", f"{tiny_task.__file__}:rich", "--out", str(folder)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TINY_SLEEP": "0.012",
        "EDGETICKET_CHECKPOINT_SECONDS": "0",
    }
    return subprocess.Popen(
        [*command, *OPTIONS], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def files(folder: Path) -> set[str]:
    """What a folder holds."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def numbers(value: Any) -> Any:
    """A JSON document without times, dates and versions."""
    if isinstance(value, dict):
        return {key: numbers(item) for key, item in value.items() if key not in NOT_COMPARED}
    return [numbers(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_ticket(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    api.find(
        api.request(
            rich, out=tmp_path / "whole", rounds=2, rewind=12, controls=["random-mask"], control_trials=1, threads=1
        )
    )
    torch.set_num_threads(threads)
    rng, folder, killed_at = random.Random(3), tmp_path / "killed", []
    for _ in range(5):
        before = files(folder / "trial-0")
        process = start(folder)
        deadline = time.monotonic() + 120
        while files(folder / "trial-0") <= before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.7))
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        killed_at.append(files(folder / "trial-0"))
    assert len(killed_at) >= 3, "it was killed before its end"
    assert any(any("checkpoint" in name for name in names) for names in killed_at), "inside a round, too"

    process = start(folder)
    said = process.communicate()[0].decode()
    assert process.returncode in (0, 1), said
    assert "Traceback" not in said

    whole = tmp_path / "whole" / "trial-0"
    tensors = sorted(str(path.relative_to(whole)) for path in whole.rglob("*.safetensors"))
    assert sorted(str(path.relative_to(folder / "trial-0")) for path in folder.rglob("*.safetensors")) == tensors
    assert len(tensors) == 3 + 4 * 3
    for name in [*tensors, "graph.onnx"]:
        assert (folder / "trial-0" / name).read_bytes() == (whole / name).read_bytes(), name
    documents = [json.loads((place / "ticket.json").read_bytes()) for place in (whole, folder / "trial-0")]
    assert numbers(documents[0]) == numbers(documents[1])
    assert not list(folder.rglob(".tmp-*"))
