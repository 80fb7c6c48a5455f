"""An error names the file that the user gave, also where whoever raised it had none."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeticket.errors import EdgeticketError, FolderError, IntegrityError, ModelError, ProofError, about

PATH = Path("nets/a.onnx")


@pytest.mark.parametrize("kind", [ModelError, ProofError, IntegrityError])
def test_an_error_without_a_file_gets_the_one_that_was_given(kind: type[EdgeticketError]) -> None:
    with pytest.raises(kind, match=r"^nets/a.onnx: a weight is gone$") as caught, about(PATH):
        raise kind("a weight is gone")
    assert caught.value.exit_code == kind.exit_code


@pytest.mark.parametrize(
    "error",
    [
        ModelError("nets/a.onnx: truncated"),
        ModelError("nets/a.onnx and nets/b.onnx cannot be compared"),
        ModelError("nets/a.onnx/trial-0/ticket.json: truncated"),
        FolderError("out: holds something else"),
    ],
)
def test_an_error_that_names_its_place_stays_as_it_is(error: EdgeticketError) -> None:
    with pytest.raises(type(error)) as caught, about(PATH):
        raise error
    assert caught.value is error


def test_a_longer_name_is_another_file() -> None:
    with pytest.raises(ModelError, match=r"^nets/a.onnx: nets/a.onnx.data: truncated$"), about(PATH):
        raise ModelError("nets/a.onnx.data: truncated")
