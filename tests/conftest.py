"""Real data sets are used where they are, and missed in words where they are not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("EDGETICKET_DATA", os.pathsep.join(str(p) for p in (ROOT / "data", ROOT.parent / "shared/data")))

_SIGNS = {
    "mnist": ("MNIST", ("MNIST/raw/train-images-idx3-ubyte", "MNIST/raw/train-images-idx3-ubyte.gz")),
    "cifar10": ("CIFAR-10", ("cifar-10-batches-bin/test_batch.bin",)),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip `@pytest.mark.data(name)` where no folder of EDGETICKET_DATA holds the data set."""
    for marker in item.iter_markers("data"):
        title, signs = _SIGNS[marker.args[0]]
        folders = [Path(part) for part in os.environ["EDGETICKET_DATA"].split(os.pathsep) if part]
        if not any((folder / sign).is_file() for folder in folders for sign in signs):
            pytest.skip(f"{title} is in no folder of EDGETICKET_DATA; `make data` unpacks or downloads CIFAR-10")
