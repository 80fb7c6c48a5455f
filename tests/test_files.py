"""A killed or refused write leaves the old file or the new one, never a part of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeticket.errors import IntegrityError, StorageError
from edgeticket.files import clean_temporaries, read_verified, sha256, write_atomic


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.bin"
    assert write_atomic(path, b"old") == sha256(b"old")
    assert write_atomic(path, b"new") == sha256(b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]


def test_a_failure_before_the_rename_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    write_atomic(path, b"old")

    def refuse(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageError, match=r"a\.bin: cannot be written \(No space left on device\).*free some space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_the_system_refuses_a_write(tmp_path: Path) -> None:
    """A real limit of the system, in a process of its own: a file may not grow beyond 1,000 bytes."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from edgeticket.errors import StorageError; from edgeticket.files import write_atomic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "write_atomic(Path(sys.argv[1]), b'a' * 1000)\n"
        "try: write_atomic(Path(sys.argv[1]), b'b' * 5000)\n"
        "except StorageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True, check=True)
    assert "cannot be written (File too large)" in done.stdout
    assert (tmp_path / "x").read_bytes() == b"a" * 1000
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_folder_in_the_way_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"File exists|Not a directory"):
        write_atomic(tmp_path / "file" / "a.bin", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        write_atomic(tmp_path / "folder", b"x")


def test_only_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    digest = write_atomic(path, b"hello")
    assert read_verified(path, digest) == b"hello"
    for altered in (b"hellp", b"hell", b"hello\n", b""):
        path.write_bytes(altered)
        with pytest.raises(IntegrityError, match=r"a\.bin: its SHA-256 is not the recorded one"):
            read_verified(path, digest)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"a\.bin: missing or unreadable"):
        read_verified(path, digest)


def test_leftovers_of_a_killed_writer_go_and_nothing_else(tmp_path: Path) -> None:
    for name in (".tmp-abc.json", "rounds/00/.tmp-x.safetensors", "rounds/00/mask.safetensors", ".lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    clean_temporaries(tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == [".lock", "rounds/00/mask.safetensors"]
    clean_temporaries(tmp_path / "not there")
