"""Data sets in their standard layouts, and what is said when a file is not what its name says."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from edgeticket.errors import DataError
from edgeticket.lottery import data as sets
from edgeticket.lottery.batches import network_inputs


def idx(array: np.ndarray) -> bytes:
    """The idx format."""
    return struct.pack(f">{1 + array.ndim}I", 0x800 | array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (6, 28, 28)), RNG.integers(0, 10, 6)
MNIST = {
    "train-images-idx3-ubyte": idx(IMAGES),
    "train-labels-idx1-ubyte": idx(LABELS),
    "t10k-images-idx3-ubyte": idx(IMAGES[:2]),
    "t10k-labels-idx1-ubyte": idx(LABELS[:2]),
}


HERE = os.environ.get(sets.VARIABLE, "")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No folders but the test's own, and no network."""
    import pooch

    def refuse(url: str, *_: object, **__: object) -> None:
        raise ConnectionError(url)

    monkeypatch.setenv(sets.VARIABLE, "")
    monkeypatch.setattr(pooch, "retrieve", refuse)


def write_mnist(folder: Path, files: dict[str, bytes] = MNIST, *, gz: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / (name + (".gz" if gz else ""))).write_bytes(gzip.compress(content) if gz else content)
    return folder


@pytest.mark.parametrize("below", ["", "raw", "MNIST/raw"])
@pytest.mark.parametrize("gz", [False, True])
def test_mnist_is_found_in_its_layouts(tmp_path: Path, below: str, gz: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / below, gz=gz)
    data = sets.mnist([tmp_path])
    assert np.array_equal(data.train[0], IMAGES.reshape(6, 784))
    assert data.train[0].dtype == np.uint8
    assert data.test[1].tolist() == LABELS[:2].tolist()
    seen = network_inputs(data, data.train[0])
    assert seen.dtype == np.float32
    assert np.allclose(seen, (IMAGES.reshape(6, 784) / 255 - 0.1307) / 0.3081, atol=1e-6)
    monkeypatch.setenv(sets.VARIABLE, f"/nowhere:{tmp_path}")
    assert np.array_equal(sets.mnist([]).train[0], data.train[0])


def test_the_named_folder_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mnist(tmp_path / "a")
    write_mnist(tmp_path / "b", {**MNIST, "train-labels-idx1-ubyte": idx(np.zeros(6))})
    monkeypatch.setenv(sets.VARIABLE, str(tmp_path / "b"))
    assert sets.mnist([tmp_path / "a"]).train[1].tolist() == LABELS.tolist()
    assert sets.mnist([]).train[1].tolist() == [0] * 6


NAME = "train-images-idx3-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (NAME, MNIST[NAME][:-1], "its header announces 4720: truncated"),
        (NAME, MNIST[NAME] + b"x", "4721 bytes, its header announces 4720"),
        (NAME, MNIST[NAME][:9], "truncated; fetch it again"),
        (NAME, b"", "magic number 0x00000000"),
        (NAME, b"<html>", "magic number 0x3c68746d, an idx file of this name has 0x00000803"),
        (NAME, MNIST["train-labels-idx1-ubyte"], "magic number 0x00000801, an idx file of this name has 0x00000803"),
        (NAME, struct.pack(">4I", 0x803, 0, 28, 28), "truncated"),
        ("train-labels-idx1-ubyte", MNIST[NAME], "has 0x00000801"),
        ("train-labels-idx1-ubyte", idx(LABELS + 10), "MNIST has 0 to 9"),
        ("train-labels-idx1-ubyte", idx(LABELS[:3]), "6 inputs but 3 targets"),
    ],
)
def test_a_wrong_idx_file_is_named(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    write_mnist(tmp_path, {**MNIST, name: content})
    with pytest.raises(DataError) as caught:
        sets.mnist([tmp_path])
    assert sentence in str(caught.value)
    assert name in str(caught.value) or "inputs" in sentence


@pytest.mark.parametrize("cut", [-1, -9, 40, 5, 0])
def test_a_truncated_gzip_is_named(tmp_path: Path, cut: int) -> None:
    write_mnist(tmp_path, gz=True)
    path = tmp_path / f"{NAME}.gz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=rf"{NAME}\.gz: "):
        sets.mnist([tmp_path])


def test_a_flipped_bit_in_a_gzip_is_named(tmp_path: Path) -> None:
    write_mnist(tmp_path, gz=True)
    path = tmp_path / f"{NAME}.gz"
    altered = bytearray(path.read_bytes())
    altered[len(altered) // 2] ^= 1
    path.write_bytes(altered)
    with pytest.raises(DataError, match=rf"{NAME}\.gz: can not be read"):
        sets.mnist([tmp_path])


def test_missing_data_name_the_folders_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        sets.mnist([tmp_path])
    assert str(tmp_path) in str(caught.value)
    assert "--data-dir or EDGETICKET_DATA" in str(caught.value)
    assert "ConnectionError" in str(caught.value)
    with pytest.raises(DataError, match="EDGETICKET_DATA"):
        sets.cifar10([])


# -- CIFAR-10 ----------------------------------------------------------------------------------------------------------


def write_cifar(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    records = np.zeros((10_000, 3073), np.uint8)
    records[:, 0] = np.arange(10_000) % 10
    records[:, 1], records[:, 1025], records[:, 2049] = 10, 20, 30  # the first pixel's red, green, blue
    for name in (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"):
        records[:, 3072] = len(name)
        (folder / name).write_bytes(records.tobytes())
    return folder


def test_cifar10_is_read_as_channels_first(tmp_path: Path) -> None:
    write_cifar(tmp_path / "cifar-10-batches-bin")
    data = sets.cifar10([tmp_path])
    assert data.train[0].shape == (50_000, 3, 32, 32)
    assert data.test[0].shape == (10_000, 3, 32, 32)
    assert data.train[0][7, :, 0, 0].tolist() == [10, 20, 30]
    assert data.train[1][:11].tolist() == [*range(10), 0]
    seen = network_inputs(data, data.test[0][:2])[1, :, 0, 0]
    assert np.allclose(seen, (np.array([10, 20, 30]) / 255 - [0.4914, 0.4822, 0.4465]) / [0.2470, 0.2435, 0.2616])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "a batch has 30730000: truncated"),
        (lambda path: path.write_bytes(b""), "0 bytes"),
        (lambda path: path.write_bytes(b"\x0b" + path.read_bytes()[1:]), "holds label 11, CIFAR-10 has 0 to 9"),
        (Path.unlink, "missing; unpack the binary version"),
    ],
)
def test_a_wrong_cifar_batch_is_named(tmp_path: Path, change: object, sentence: str) -> None:
    folder = write_cifar(tmp_path)
    change(folder / "data_batch_3.bin")  # type: ignore[operator]
    with pytest.raises(DataError) as caught:
        sets.cifar10([tmp_path])
    assert f"{folder / 'data_batch_3.bin'}: " in str(caught.value)
    assert sentence in str(caught.value)


# -- what ships or lies here -------------------------------------------------------------------------------------------


def test_digits_ship_with_a_package() -> None:
    data = sets.digits([])
    assert data.train[0].shape == (1437, 64)
    assert data.test[0].shape == (360, 64)
    assert data.train[0].dtype == np.uint8
    assert data.train[0].max() == 16
    assert sorted(set(data.test[1].tolist())) == list(range(10))


def test_a_folder_that_is_given_twice_is_looked_in_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """`find` gives a task's data the folders of the variable, and the built-in loaders take them from there as well."""
    monkeypatch.setenv("EDGETICKET_DATA", "/one:/two")
    given = sets.folders([Path("/two"), Path("/three")])
    assert [str(folder) for folder in given] == ["/two", "/three", "/one"]
    assert sets.folders(given) == given


@pytest.mark.data("mnist")
def test_real_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sets.VARIABLE, HERE)
    data = sets.mnist([])
    assert data.train[0].shape == (60_000, 784)
    assert data.test[0].shape == (10_000, 784)
    assert np.bincount(data.train[1]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    seen = network_inputs(data, data.train[0][:20_000])
    assert abs(float(seen.mean())) < 0.01
    assert abs(float(seen.std()) - 1) < 0.01


@pytest.mark.data("cifar10")
def test_real_cifar10(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sets.VARIABLE, HERE)
    data = sets.cifar10([])
    assert np.bincount(data.train[1]).tolist() == [5_000] * 10
    assert np.bincount(data.test[1]).tolist() == [1_000] * 10
    seen = network_inputs(data, data.train[0][:10_000])
    assert np.abs(seen.mean((0, 2, 3))).max() < 0.05
    assert np.abs(seen.std((0, 2, 3)) - 1).max() < 0.05
