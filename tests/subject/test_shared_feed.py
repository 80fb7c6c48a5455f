"""shared_feed.py: the inputs that all models of a run are timed on."""

from __future__ import annotations

from pathlib import Path

import pytest
import sample_artifacts

from edgeticket import bench
from edgeticket.errors import InputError


def test_a_shape_for_an_input_that_is_not_there_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = sample_artifacts.onnx_file(tmp_path)
    with pytest.raises(InputError, match=r": there is no input 'nope' to give a shape; the inputs are \w+$"):
        bench(path, input_shapes={"nope": (1, 3)})
