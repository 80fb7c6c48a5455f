"""Real data sets in their standard layouts: MNIST's idx files (gzipped or not), CIFAR-10's binary version, digits.

Local copies are checked by their structure; downloads by their published hash, through pooch.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeticket.errors import DataError
from edgeticket.lottery.task import Data

Array = NDArray[Any]
VARIABLE = "EDGETICKET_DATA"

_MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_MNIST_MD5 = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
_CIFAR10_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR10_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
_CIFAR10_RECORD = 1 + 3 * 32 * 32
_CIFAR10_MEAN = np.array([0.4914, 0.4822, 0.4465])
_CIFAR10_DEVIATION = np.array([0.2470, 0.2435, 0.2616])


def folders(data_dirs: Sequence[Path]) -> list[Path]:
    """Return the folders to look in: `data_dirs` (`--data-dir`), then those of EDGETICKET_DATA, each once."""
    listed = os.environ.get(VARIABLE, "")
    return list(dict.fromkeys([*data_dirs, *(Path(part) for part in listed.split(os.pathsep) if part)]))


def digits(_folders: Sequence[Path]) -> Data:
    """scikit-learn's handwritten digits: 1,797 images of 8x8 in 17 greys, flat; the last 360 are the test set.

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("the digits come with scikit-learn: pip install -c requirements.lock '.[find]'") from error
    images, labels = load_digits(return_X_y=True)
    order = np.random.Generator(np.random.Philox(0)).permutation(len(images))
    inputs, targets = images[order].astype(np.uint8), labels[order].astype(np.int64)
    cut = len(inputs) - 360
    return Data(
        train=(inputs[:cut], targets[:cut]),
        test=(inputs[cut:], targets[cut:]),
        scale=1 / 16,
        offset=0.0,
        preprocessing="8x8 grey values 0..16, flattened row by row, divided by 16",
    )


def mnist(data_dirs: Sequence[Path]) -> Data:
    """MNIST as [n, 784], pixels normalised by mean 0.1307 and deviation 0.3081.

    Raises:
        DataError: a file is missing, truncated or has a wrong magic number.
    """
    paths = [_mnist_file(data_dirs, name) for name in _MNIST_MD5]
    images, labels, test_images, test_labels = (_idx(path) for path in paths)
    for path, part in ((paths[1], labels), (paths[3], test_labels)):
        if part.max() > 9:
            raise DataError(f"{path}: holds label {part.max()}, MNIST has 0 to 9: not MNIST's labels")
    return Data(
        train=(images.reshape(len(images), -1), labels.astype(np.int64)),
        test=(test_images.reshape(len(test_images), -1), test_labels.astype(np.int64)),
        scale=1 / (255 * 0.3081),
        offset=-0.1307 / 0.3081,
        preprocessing="28x28 grey values 0..255, flattened row by row, (x/255 - 0.1307) / 0.3081",
    )


def cifar10(data_dirs: Sequence[Path]) -> Data:
    """CIFAR-10 as [n, 3, 32, 32] in RGB, normalised per channel.

    Raises:
        DataError: a file is missing or truncated, or holds a label above 9.
    """
    names = [f"data_batch_{n}.bin" for n in range(1, 6)]
    folder = _cifar10_folder(data_dirs)
    train = [_cifar10_batch(folder / name) for name in names]
    return Data(
        train=(np.concatenate([images for images, _ in train]), np.concatenate([labels for _, labels in train])),
        test=_cifar10_batch(folder / "test_batch.bin"),
        scale=1 / (255 * _CIFAR10_DEVIATION),
        offset=-_CIFAR10_MEAN / _CIFAR10_DEVIATION,
        preprocessing="RGB 0..255 as [3, 32, 32], (x/255 - mean) / deviation per channel, "
        "mean 0.4914 0.4822 0.4465, deviation 0.2470 0.2435 0.2616",
    )


def _mnist_file(data_dirs: Sequence[Path], name: str) -> Path:
    for folder in folders(data_dirs):
        for path in (folder / "MNIST" / "raw", folder / "raw", folder):
            for suffix in ("", ".gz"):
                if (path / (name + suffix)).is_file():
                    return path / (name + suffix)
    return _download(f"{_MNIST_URL}{name}.gz", _MNIST_MD5[name], f"MNIST/raw/{name}[.gz]", data_dirs)[0]


def _cifar10_folder(data_dirs: Sequence[Path]) -> Path:
    for folder in folders(data_dirs):
        for path in (folder / "cifar-10-batches-bin", folder):
            if (path / "test_batch.bin").is_file():
                return path
    found = _download(_CIFAR10_URL, _CIFAR10_MD5, "cifar-10-batches-bin/test_batch.bin", data_dirs, unpack=True)
    return next(path for path in found if path.name == "test_batch.bin").parent


def _download(url: str, md5: str, wanted: str, data_dirs: Sequence[Path], unpack: bool = False) -> list[Path]:
    import pooch

    looked = ", ".join(str(folder) for folder in folders(data_dirs))
    looked = f"not in {looked}" if looked else "no folder was given to look in"
    try:
        found = pooch.retrieve(
            url, f"md5:{md5}", path=pooch.os_cache("edgeticket"), processor=pooch.Untar() if unpack else None
        )
    except Exception as error:
        raise DataError(
            f"{wanted}: {looked}, and the download of {url} failed ({type(error).__name__}). "
            f"Name the folder that holds it with --data-dir or {VARIABLE}"
        ) from error
    return [Path(name) for name in found] if isinstance(found, list) else [Path(found)]


def _read(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                return stream.read()
        return path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: can not be read ({error}); fetch it again") from error


def _idx(path: Path) -> Array:
    """Read an idx file of unsigned bytes: magic 0x000008DD with D dimensions, big-endian sizes, then the bytes."""
    data = _read(path)
    magic = int.from_bytes(data[:4], "big")
    expected = 0x00000803 if "images" in path.name else 0x00000801
    if magic != expected:
        raise DataError(
            f"{path}: magic number 0x{magic:08x}, an idx file of this name has 0x{expected:08x}; fetch it again"
        )
    dimensions = magic & 0xFF
    header = 4 + 4 * dimensions
    shape = struct.unpack(f">{dimensions}I", data[4:header]) if len(data) >= header else (0,)
    announced = header + math.prod(shape)
    if len(data) != announced or 0 in shape:
        raise DataError(f"{path}: {len(data)} bytes, its header announces {announced}: truncated; fetch it again")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _cifar10_batch(path: Path) -> tuple[Array, Array]:
    if not path.is_file():
        raise DataError(f"{path}: missing; unpack the binary version of CIFAR-10 again")
    data = np.frombuffer(_read(path), np.uint8)
    if data.size != 10_000 * _CIFAR10_RECORD:
        raise DataError(
            f"{path}: {data.size} bytes, a batch has {10_000 * _CIFAR10_RECORD}: truncated; unpack it again"
        )
    records = data.reshape(-1, _CIFAR10_RECORD)
    if records[:, 0].max() > 9:
        raise DataError(
            f"{path}: holds label {records[:, 0].max()}, CIFAR-10 has 0 to 9: not a batch of its binary version"
        )
    return np.ascontiguousarray(records[:, 1:]).reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)
