"""Every rule, listed by hand: a rule is a file of `lint/rules` with `RULE` and `check`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator

from torchskip.errors import SpecError
from torchskip.lint.evidence import Evidence
from torchskip.lint.finding import Finding
from torchskip.lint.rule import Rule
from torchskip.lint.rules import (
    activation_before_add,
    added_twice,
    arm_detached,
    batch_concat,
    branch_ignored,
    broken_backward,
    forward_fails,
    idle_branch,
    join_changes_dtype,
    misaligned_arms,
    misplaced_drop_path,
    missing_shortcut,
    normalised_shortcut,
    padding_only,
    shape_mismatch,
    shared_module,
    shortcut_overwritten,
    silent_broadcast,
    size_dependent,
    strided_projection,
    untracked_layer,
    unused_shortcut,
    variance_growth,
    wrong_source,
)

__all__ = ["CHECKS", "RULES", "find_rule"]

Check = Callable[[Evidence], Iterator[Finding]]

_MODULES = (
    activation_before_add,
    added_twice,
    arm_detached,
    batch_concat,
    branch_ignored,
    broken_backward,
    forward_fails,
    idle_branch,
    join_changes_dtype,
    misaligned_arms,
    misplaced_drop_path,
    missing_shortcut,
    normalised_shortcut,
    padding_only,
    shape_mismatch,
    shared_module,
    shortcut_overwritten,
    silent_broadcast,
    size_dependent,
    strided_projection,
    untracked_layer,
    unused_shortcut,
    variance_growth,
    wrong_source,
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
