"""A model whose external data are links out of its folder, laid out for the runtime, which does not follow them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_LOCATION = b"location"  # the key under which a tensor names the file of its data


def laid_out(path: Path, folder: Path) -> Path:
    """`path` where the runtime finds its data by itself; else a copy of the model in `folder`, its data beside it.

    Data are linked there (a hard link, which the runtime follows), and copied where the file system does not allow it.

    Raises:
        ModelError: the data lie outside the model's folder and in no store, or are missing.
    """
    if _LOCATION not in path.read_bytes():
        return path
    try:
        from edgeticket.graph.reading.external import linked_data
    except ModuleNotFoundError:  # on a device without onnx the runtime says what it does not follow
        return path
    data = linked_data(path)
    if not data:
        return path
    model = folder / path.name
    model.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, model)
    for location, file in data.items():
        beside = folder / location
        beside.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, beside)
        except OSError:
            shutil.copyfile(file, beside)
    return model
