"""A rule's identity and its documentation, which is the docstring of its file."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torchskip.lint.finding import Finding, Mend, Severity, Way

if TYPE_CHECKING:
    from torchskip.graph import Node, Source

__all__ = ["SECTIONS", "Rule"]

SECTIONS = ("What it does", "Why is this bad", "Example", "Use instead", "References")


@dataclass(frozen=True, slots=True)
class Rule:
    r"""A rule: stable code, name, usual severity, documentation in Markdown.

    >>> rule = Rule("TS999", "demo", "note", "Title.\n\n## Example\n\n    x + x")
    >>> rule.summary, rule.section("Example")
    ('Title.', 'x + x')
    """

    code: str
    name: str
    severity: Severity
    documentation: str = field(repr=False)

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.documentation.partition("\n")[0].strip()

    def section(self, title: str) -> str:
        """Text of one section; empty when it is missing."""
        text = inspect.cleandoc(self.documentation)
        found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
        return inspect.cleandoc(found[1]).strip() if found else ""

    def at(
        self,
        node: Node | None,
        message: str,
        *,
        module: str | None = None,
        source: Source | None = None,
        join: Source | None = None,
        severity: Severity | None = None,
        arms: tuple[Way, ...] = (),
        mends: tuple[Mend, ...] = (),
    ) -> Finding:
        """A finding of this rule at an operation."""
        return Finding(
            self.code,
            self.name,
            severity or self.severity,
            message,
            module if module is not None else node.module if node else "",
            source or (node.source if node else None),
            join,
            arms,
            mends,
        )
