"""The command line: one thin file per verb, each a dataclass that tyro reads."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Protocol

import torchskip

__all__ = ["main"]


class Verb(Protocol):
    """What every verb's dataclass can do: run, and say with which status the process ends."""

    def run(self) -> int:
        """Run and return the exit status: 0 success, 1 findings, 2 misuse."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``torchskip VERB ...``; errors made on purpose become one message and status 2."""
    import tyro

    from torchskip.cli.bench import Bench
    from torchskip.cli.check import Check
    from torchskip.cli.compare import Compare
    from torchskip.cli.demo import Demo
    from torchskip.cli.explain import Explain
    from torchskip.cli.export import Export
    from torchskip.cli.inspect import Inspect
    from torchskip.cli.rule import Rule, Rules
    from torchskip.errors import TorchskipError

    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) == ["--version"]:
        print(f"torchskip {torchskip.__version__}, torch {metadata.version('torch')}")
        return 0
    verbs: dict[str, Callable[..., Verb]] = {
        "bench": Bench,
        "check": Check,
        "compare": Compare,
        "demo": Demo,
        "explain": Explain,
        "export": Export,
        "inspect": Inspect,
        "rule": Rule,
        "rules": Rules,
    }
    try:
        verb: Verb = tyro.extras.subcommand_cli_from_dict(
            verbs,
            prog="torchskip",
            description="Skip connections in PyTorch: build, see, check, prove, ship.",
            args=arguments,
        )
        return verb.run()
    except TorchskipError as error:
        print(f"torchskip: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (`| head`) is gone: what it wanted, it has.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
