"""Every rule, listed by hand: a rule is a file of `lint/rules` with `RULE` and `check`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator

from torchskip.errors import SpecError
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding
from torchskip.lint.rule import Rule
from torchskip.lint.rules import (
    added_twice,
    arm_detached,
    batch_concat,
    branch_ignored,
    broken_backward,
    forward_fails,
    join_changes_dtype,
    misplaced_drop_path,
    shape_mismatch,
    shortcut_overwritten,
    silent_broadcast,
    size_dependent,
    unused_shortcut,
)

__all__ = ["CHECKS", "RULES", "find_rule"]

Check = Callable[[Evidence], Iterator[Finding]]

_MODULES = (
    added_twice,
    arm_detached,
    batch_concat,
    branch_ignored,
    broken_backward,
    forward_fails,
    join_changes_dtype,
    misplaced_drop_path,
    shape_mismatch,
    shortcut_overwritten,
    silent_broadcast,
    size_dependent,
    unused_shortcut,
)
CHECKS: tuple[tuple[Rule, Check], ...] = tuple(
    sorted(((m.RULE, m.check) for m in _MODULES), key=lambda pair: pair[0].code)
)
RULES: tuple[Rule, ...] = tuple(rule for rule, _ in CHECKS)


def find_rule(word: str) -> Rule:
    """The rule of a code (``TS104``) or a name (``shortcut-overwritten``).

    >>> find_rule("ts106").name
    'added-twice'
    """
    for rule in RULES:
        if word.upper() == rule.code or word.lower() == rule.name:
            return rule
    known = [rule.code for rule in RULES] + [rule.name for rule in RULES]
    close = difflib.get_close_matches(word, known, n=2, cutoff=0.5)
    hint = f"; nearest: {', '.join(close)}" if close else "; `torchskip rules` lists them"
    raise SpecError(f"there is no rule {word!r}{hint}")
