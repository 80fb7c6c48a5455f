"""Real data sets are used where they are, and missed in words where they are not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import sample_artifacts
from hypothesis import HealthCheck, settings

from edgeticket import api

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("EDGETICKET_DATA", os.pathsep.join(str(p) for p in (ROOT / "data", ROOT.parent / "shared/data")))

_SIGNS = {
    "mnist": ("MNIST", ("MNIST/raw/train-images-idx3-ubyte", "MNIST/raw/train-images-idx3-ubyte.gz")),
    "cifar10": ("CIFAR-10", ("cifar-10-batches-bin/test_batch.bin",)),
}


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what it puts in the background so, for good
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and tests that interrupt a process would wait in vain


# Hypothesis times its examples, and a machine that has other work takes longer over them: no property is about time.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip `@pytest.mark.data(name)` where no folder of EDGETICKET_DATA holds the data set."""
    for marker in item.iter_markers("data"):
        title, signs = _SIGNS[marker.args[0]]
        folders = [Path(part) for part in os.environ["EDGETICKET_DATA"].split(os.pathsep) if part]
        if not any((folder / sign).is_file() for folder in folders for sign in signs):
            pytest.skip(f"{title} is in no folder of EDGETICKET_DATA; `make data` unpacks or downloads CIFAR-10")


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file, never changed."""
    return sample_artifacts.onnx_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact of a ticket with a labelled slice, never changed."""
    source = sample_artifacts.ticket(tmp_path_factory.mktemp("run") / "ticket")
    return api.export(source, bench=False).folder
