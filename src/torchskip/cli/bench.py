"""``torchskip bench SPEC``: how fast a model runs, here, in several runtimes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

__all__ = ["Bench"]


@dataclass(frozen=True, slots=True)
class Bench:
    """Time a model against eager, channels-last, fused, torch.compile and runtimes installed."""

    spec: Annotated[str, tyro.conf.Positional]
    """file.py:Class, package.module:callable, timm/NAME or torchvision/NAME."""

    input: str | None = None
    """The input's shape, such as 16,3,224,224; several inputs separated by spaces.
    Without it, the shape is inferred and said."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """The type to compute in."""

    runtimes: tuple[str, ...] = ()
    """Only these: eager channels-last fused torch.compile onnxruntime openvino."""

    rounds: int = 20
    """Every round runs each runtime once."""

    format: Literal["text", "json"] = "text"
    """A table, or JSON with every round."""

    def run(self) -> int:
        """Time every model the SPEC leads to, in eval mode."""
        import torch

        from torchskip.cli.subject import subjects
        from torchskip.deploy.bench import RUNTIMES, bench

        found, _ = subjects(self.spec, self.input)
        records = []
        for subject in found:
            done = bench(
                subject.model.eval(),
                subject.example.tensors,
                name=subject.name,
                dtype=getattr(torch, self.dtype),
                runtimes=self.runtimes or tuple(RUNTIMES),
                rounds=self.rounds,
            )
            records.append(done.record())
            if self.format == "text":
                print(done.table())
        if self.format == "json":
            print(json.dumps(records, indent=2))
        return 0
