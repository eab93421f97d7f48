"""For test suites: assert that a model's skip connections are sound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from torch import nn

from torchskip.lint.check import check
from torchskip.lint.report import Report

__all__ = ["assert_skips"]


def assert_skips(
    model: nn.Module,
    *example: Any,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    fail_on: Literal["error", "warning", "note"] = "error",
    at_least: int = 0,
    **kwargs: Any,
) -> Report:
    """Raise `AssertionError` with every finding at least as severe as `fail_on`.

    `at_least` asserts a number of skip connections too: a refactoring that loses one fails.
    Returns the report.

    >>> import torch
    >>> from torch import nn
    >>> from torchskip import Skip
    >>> report = assert_skips(
    ...     nn.Sequential(Skip(nn.Conv2d(3, 3, 3, padding=1))), torch.zeros(1, 3, 8, 8), at_least=1
    ... )
    >>> len(report.skips)
    1
    """
    report = check(model, *example, select=select, ignore=ignore, **kwargs)
    if report.exit_code(fail_on):
        raise AssertionError(f"skip connections of {report.model} are faulty\n{report}")
    if len(report.skips) < at_least:
        raise AssertionError(
            f"{report.model} has {len(report.skips)} skip connections, at least {at_least} expected"
        )
    return report
