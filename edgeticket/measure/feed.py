"""What models are timed on, as a file: the arrays of a feed in an npz, with the names of the inputs in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeticket.artifact import checks


def write_feed(path: Path, feed: checks.Feed) -> str:
    """Write a feed, {input: array}, for workers to read. Returns the path."""
    arrays: dict[str, Any] = {f"input.{i}": array for i, array in enumerate(feed.values())}
    np.savez(path, names=np.array(json.dumps(list(feed))), **arrays)
    return str(path)


def read_feed(path: str) -> checks.Feed:
    """Read what write_feed wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        names = json.loads(str(arrays["names"]))
        return {name: arrays[f"input.{i}"] for i, name in enumerate(names)}
