"""Files that are never seen half-written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from torchskip.errors import TrainingError

__all__ = ["write", "write_bytes"]


def write(path: Path, text: str) -> None:
    """Write `text` in UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write `path` by way of a temporary file beside it, flushed to the disk and renamed.

    Raises:
        TrainingError: the directory cannot be made, or the disk is full; what was there stays.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise TrainingError(
            f"cannot write {path} ({len(data):,} bytes): {error.strerror or error}\n"
            "  mend: make room, or choose another directory"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
