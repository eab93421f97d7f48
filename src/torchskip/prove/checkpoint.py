"""Checkpoints: written whole or not at all, checked before they are believed."""

from __future__ import annotations

import hashlib
import io
import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from torchskip.errors import TrainingError
from torchskip.prove.files import write_bytes

__all__ = ["Checkpoints", "check_facts"]

_NAME = re.compile(r"step-(\d{9})-([0-9a-f]{16})\.ckpt")
_KEPT = 2


class Checkpoints:
    """The last two checkpoints of one training, in a directory of their own.

    A file's name ends with the SHA-256 of its content, so a damaged one shows. `facts` say what
    the training is; a checkpoint of another one is refused. Loading unpickles nothing but
    tensors and plain values (`weights_only=True`).
    """

    def __init__(self, directory: Path, facts: Mapping[str, Any]) -> None:
        self.directory = directory
        self.facts = json.loads(json.dumps(facts))

    def save(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write the state after `step` steps and drop all but the newest two.

        Raises:
            TrainingError: it cannot be written; the earlier checkpoints are untouched.

        """
        buffer = io.BytesIO()
        torch.save({"facts": self.facts, "state": dict(state)}, buffer)
        data = buffer.getvalue()
        path = self.directory / f"step-{step:09d}-{_digest(data)}.ckpt"
        write_bytes(path, data)
        for old in self._found()[_KEPT:]:
            old.unlink(missing_ok=True)
        return path

    def load(self) -> dict[str, Any] | None:
        """Return the newest intact state, None where there is none; damaged files are named.

        Raises:
            TrainingError: the newest intact checkpoint is of another training.

        """
        for path in self._found():
            try:
                data = path.read_bytes()
            except OSError as error:
                warnings.warn(
                    f"{path} cannot be read ({error}); using the one before", stacklevel=2
                )
                continue
            if _digest(data) not in path.name:
                warnings.warn(
                    f"{path} is damaged: {len(data):,} bytes whose SHA-256 is not the one in its "
                    "name; using the one before",
                    stacklevel=2,
                )
                continue
            saved = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            check_facts(path, saved["facts"], self.facts)
            return dict(saved["state"])
        return None

    def clear(self) -> None:
        """Remove all checkpoints: the training is over and its results are written."""
        for path in self._found():
            path.unlink(missing_ok=True)
        if self.directory.is_dir() and not any(self.directory.iterdir()):
            self.directory.rmdir()

    def _found(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        paths = [path for path in self.directory.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(paths, key=lambda path: path.name, reverse=True)


def check_facts(path: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse a file of another training.

    Raises:
        TrainingError: which facts differ.

    """
    other = [name for name in here if there.get(name) != here[name]]
    if other:
        raise TrainingError(
            f"{path} is of another training\n"
            + "".join(f"  {name}: {there.get(name)} there, {here[name]} here\n" for name in other)
            + "  mend: resume with the same settings, or choose another directory"
        )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
