"""``torchskip export SPEC FILE``: a model in a file for another runtime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

__all__ = ["Export"]


@dataclass(frozen=True, slots=True)
class Export:
    """Write a model for another runtime, after comparing what that computes: 0 written, 2 not."""

    spec: Annotated[str, tyro.conf.Positional]
    """file.py:Class, package.module:callable, timm/NAME or torchvision/NAME."""

    file: Annotated[Path, tyro.conf.Positional]
    """The file to write; it appears only after the comparison."""

    to: Literal["onnx", "export", "openvino-ready"] = "onnx"
    """onnx (run in ONNX Runtime), openvino-ready (in OpenVINO too, if installed), or export
    (a torch.export archive)."""

    input: str | None = None
    """The input's shape, such as 1,3,224,224; several inputs separated by spaces.
    Without it, the shape is inferred and said."""

    patience: float = 120.0
    """Seconds to try each choice of dynamic axes, from batch, height and width to none."""

    format: Literal["text", "json"] = "text"
    """How to report."""

    def run(self) -> int:
        """Export the one model that the SPEC leads to, in eval mode."""
        from torchskip.cli.subject import subjects
        from torchskip.deploy.export import export
        from torchskip.errors import SpecError

        found, _ = subjects(self.spec, self.input)
        if len(found) != 1:
            names = ", ".join(s.name for s in found)
            raise SpecError(
                f"{self.spec!r} leads to {len(found)} models ({names}); "
                "mend: name one, file.py:Class"
            )
        subject = found[0]
        done = export(
            subject.model.eval(),
            subject.example.tensors,
            self.file,
            to=self.to,
            patience=self.patience,
        )
        print(json.dumps(done.record(), indent=2) if self.format == "json" else done)
        return 0
