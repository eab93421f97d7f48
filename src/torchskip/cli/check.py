"""``torchskip check SPEC...``: what is wrong with the skip connections."""

from __future__ import annotations

import sys
import traceback
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from torchskip.cli.subject import Subject
    from torchskip.lint.config import Config
    from torchskip.lint.report import Report

__all__ = ["Check"]

Format = Literal["text", "json", "sarif", "github"]


@dataclass(frozen=True, slots=True)
class Check:
    """Check the skip connections of models: 0 clean, 1 findings, 2 misuse."""

    specs: Annotated[tuple[str, ...], tyro.conf.Positional]
    """file.py, file.py:Class, 'file.py:Class(3, depth=2)', package.module:callable, timm/NAME
    or torchvision/NAME."""

    input: str | None = None
    """The input's shape, such as 1,3,224,224; several inputs separated by spaces.
    Without it, the shape is inferred and said."""

    format: Format = "text"
    """text; json; sarif (2.1.0, for code hosts and editors); github (annotations)."""

    out: Path | None = None
    """File to write instead of standard output."""

    select: tuple[str, ...] = ()
    """Only these rules: TS104, or TS1 for all errors."""

    ignore: tuple[str, ...] = ()
    """Not these rules."""

    fail_on: Literal["error", "warning", "note"] | None = None
    """The least severity that makes the exit status 1; error unless pyproject.toml says else."""

    verify_mends: bool = False
    """Apply every mend that is code to a copy of the model and run it."""

    def run(self) -> int:
        """Check every model; print or write the reports."""
        from torchskip.cli.subject import subjects
        from torchskip.errors import SpecError, TorchskipError
        from torchskip.lint.config import read

        if not self.specs:
            raise SpecError("nothing to check; mend: torchskip check model.py")
        config = self._settings(read(Path.cwd()))
        reports: list[Report] = []
        failures: list[str] = []
        for spec in self.specs:
            try:
                with redirect_stdout(sys.stderr):  # what a model prints is not our output
                    found, skipped = subjects(spec, self.input)
            except TorchskipError as error:
                failures.append(f"{spec}: {error}")
                continue
            failures += [] if found else [f"{spec}: nothing to check"]
            for left in skipped:
                print(f"not checked: {left.name}: {left.reason}", file=sys.stderr)
            for subject in found:
                if self.format == "text":
                    print(subject.headline, file=sys.stderr)
                try:
                    reports.append(self._check(subject, config))
                except TorchskipError as error:
                    failures.append(f"{subject.name}: {error}")
                except (Exception, SystemExit) as error:  # the other models are still checked
                    failures.append(_unforeseen(subject.name, error))
        if reports:
            self._write(tuple(reports))
        for failure in failures:
            print(f"torchskip: {failure}", file=sys.stderr)
        if failures:
            return 2
        return max((report.exit_code(config.fail_on) for report in reports), default=0)

    def _settings(self, config: Config) -> Config:
        return replace(
            config,
            select=self.select or config.select,
            ignore=(*config.ignore, *self.ignore),
            fail_on=self.fail_on or config.fail_on,
        )

    def _check(self, subject: Subject, config: Config) -> Report:
        from torchskip.errors import ArgumentError
        from torchskip.lint.check import check

        with redirect_stdout(sys.stderr):
            try:
                report = check(
                    subject.model,
                    *subject.example.tensors,
                    select=config.select,
                    ignore=config.ignore,
                    verify_mends=self.verify_mends,
                )
            except ArgumentError as error:
                raise ArgumentError(f"{error}{self._instead(subject)}") from error
        return replace(report, model=subject.name)

    def _instead(self, subject: Subject) -> str:
        """The input that would be inferred, where the given one does not fit."""
        from torchskip.errors import SpecError
        from torchskip.example import infer_example

        if self.input is None:
            return ""
        try:
            other = infer_example(subject.model)
        except SpecError:
            return ""
        return f"; mend: --input {other.shapes} ({other.reason})"

    def _write(self, reports: tuple[Report, ...]) -> None:
        if self.format == "text" and self.out is None:
            _print(reports)
            return
        content = _content(reports, self.format) + "\n"
        if self.out is None:
            sys.stdout.write(content)
        else:
            self.out.write_text(content, encoding="utf-8")


def _unforeseen(name: str, error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{name}: check stopped: {type(error).__name__}: {error} ({Path(frame.filename).name}, "
        f"line {frame.lineno}); mend: `torchskip inspect` may still show it; please report this"
    )


def _content(reports: tuple[Report, ...], kind: Format) -> str:
    if kind == "json":
        from torchskip.render.findings_json import as_json

        return as_json(reports)
    if kind == "sarif":
        from torchskip.lint.registry import RULES
        from torchskip.render.sarif import sarif

        return sarif(reports, RULES)
    if kind == "github":
        from torchskip.render.github import commands

        return commands(reports)
    return "\n\n".join(str(report) for report in reports)


def _print(reports: tuple[Report, ...]) -> None:
    from rich.console import Console

    from torchskip.render.findings_text import renderable

    console = Console(highlight=False)
    if not console.is_terminal:  # no colours, and lines as wide as a file's may be
        print(_content(reports, "text"))
        return
    for report in reports:
        console.print(renderable(report), soft_wrap=True)
