"""``torchskip rule CODE`` and ``torchskip rules``: what the rules say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

__all__ = ["Rule", "Rules"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Explain one rule: what it does, why it matters, an example, what to write instead."""

    code: Annotated[str, tyro.conf.Positional]
    """A code such as TS104, or a name such as shortcut-overwritten."""

    def run(self) -> int:
        """Print the rule's documentation."""
        from rich.console import Console
        from rich.markdown import Markdown

        from torchskip.lint.registry import find_rule

        rule = find_rule(self.code)
        head = f"# {rule.code} {rule.name} ({rule.severity})\n\n{rule.documentation}"
        console = Console(highlight=False)
        if console.is_terminal:
            console.print(Markdown(head))
        else:
            print(head.rstrip())
        return 0


@dataclass(frozen=True, slots=True)
class Rules:
    """List every rule with its code, severity and first line."""

    severity: Literal["error", "warning", "note"] | None = None
    """Only rules of this severity."""

    def run(self) -> int:
        """Print one line per rule."""
        from torchskip.lint.registry import RULES

        for rule in RULES:
            if self.severity in (None, rule.severity):
                print(f"{rule.code}  {rule.severity:<7}  {rule.name:<22}  {rule.summary}")
        return 0
