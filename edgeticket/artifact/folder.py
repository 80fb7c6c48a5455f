"""An artifact's folder: written so that it is whole or not there, and never over what is not ours."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from edgeticket.artifact.checks import CACHES, LEFT_BY_SYSTEMS
from edgeticket.artifact.manifest import FORMAT, MANIFEST, SUMS
from edgeticket.errors import FolderError, StorageError
from edgeticket.files import sha256


def artifact_in(folder: Path) -> Path:
    """The artifact that a ticket's or run's folder has inside; else the folder itself, whatever it is."""
    inside = folder / "artifact"
    own = (folder / SUMS).exists() or (folder / MANIFEST).exists()
    return inside if inside.is_dir() and not own else folder


def require_free(out: Path) -> None:
    """Refuse an output folder that holds anything but an earlier artifact of ours, whole, or that lies inside of one.

    Raises:
        FolderError: `out` is a file or a link, holds files that an export would not have written, or would add some to
            another artifact, which is then no longer what its SHA256SUMS say.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise FolderError(f"{out}: exists and is not a folder; choose another --out")
    around = next((folder for folder in Path(os.path.realpath(out)).parents if _is_ours(folder)), None)
    if around is not None:
        raise FolderError(f"{out}: lies inside the artifact {around}, which it would damage; choose another --out")
    if not out.exists() or not any(out.iterdir()):
        return
    if not _is_ours(out):
        raise FolderError(f"{out}: holds something else than an artifact; empty it or choose another --out")
    listed = {line[66:] for line in (out / SUMS).read_text(encoding="ascii").splitlines()} | {SUMS}
    inside = (path.relative_to(out) for path in out.rglob("*") if path.is_symlink() or not path.is_dir())
    foreign = sorted(
        path.as_posix()
        for path in inside
        if path.as_posix() not in listed and not CACHES & set(path.parts) and not LEFT_BY_SYSTEMS.fullmatch(path.name)
    )
    if foreign:
        raise FolderError(
            f"{out}: beside an earlier artifact it holds {foreign[0]!r}, which would be lost; "
            "move it or choose another --out"
        )


def _is_ours(folder: Path) -> bool:
    """Whether the folder is an artifact by its looks; its files may be damaged."""
    try:
        (folder / SUMS).read_text(encoding="ascii")
        return bool(json.loads((folder / MANIFEST).read_bytes())["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_artifact(out: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` and their SHA256SUMS as the folder `out`; an earlier artifact of ours is replaced as a whole.

    The folder is built beside `out`, synced, and renamed into place: after a failure `out` is what it was. What a
    killed export to the same place left behind is removed.

    Raises:
        FolderError: see require_free.
        StorageError: the disk refused a write.
    """
    require_free(out)
    sums = "".join(f"{sha256(data)}  {name}\n" for name, data in sorted(files.items()))
    building: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(out)
        building = Path(tempfile.mkdtemp(dir=out.parent, prefix=f"{_temporary(out)}{os.getpid()}-"))
        building.chmod(0o755)
        for name, data in (dict(files) | {SUMS: sums.encode("ascii")}).items():
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            _write_synced(building / name, data)
        _swap(building, out)
    except OSError as error:
        raise StorageError(
            f"{out}: cannot be written ({error.strerror or error}). "
            "What was there before is untouched; free some space or choose another --out."
        ) from error
    finally:
        if building is not None:
            shutil.rmtree(building, ignore_errors=True)


def _temporary(out: Path) -> str:
    """How the names of folders under construction begin: one place on one host, whatever the length of its name."""
    place = f"{platform.node()}/{out.name}"
    return f".tmp-artifact-{sha256(os.fsencode(place))[:12]}-"


def _remove_leftovers(out: Path) -> None:
    """Remove what exports to `out` left beside it whose process is gone, as after a SIGKILL.

    An earlier artifact set aside ('-old') stays as long as nothing stands in its place.
    """
    pattern = re.compile(re.escape(_temporary(out)) + r"(\d+)-\w+" + ("(-old)?" if out.exists() else ""))
    for entry in out.parent.iterdir():
        found = pattern.fullmatch(entry.name)
        if found and not _lives(int(found[1])):
            shutil.rmtree(entry, ignore_errors=True)


def _lives(process: int) -> bool:
    """Whether a process of this number runs; where that cannot be asked without harm (not POSIX), say yes."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _swap(new: Path, out: Path) -> None:
    """Put `new` in the place of `out`; what was there is left under the name `new`."""
    if not out.exists():
        new.rename(out)
    elif not _exchange(new, out):
        aside = new.with_name(new.name + "-old")
        out.rename(aside)
        try:
            new.rename(out)
        except OSError:
            aside.rename(out)
            raise
        aside.rename(new)
    with suppress(OSError):  # not every file system can sync a folder
        descriptor = os.open(out.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two names in one step with renameat2(2), RENAME_EXCHANGE; False where the system does not have it."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    here, exchange = -100, 2
    return bool(rename(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0)
