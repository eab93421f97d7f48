"""Operations of modules that another keeps in a plain list, out of the module tree."""

from __future__ import annotations

from torchskip.graph import Node
from torchskip.lint.evidence import Evidence

__all__ = ["holder", "listed_outside"]


def holder(node: Node) -> tuple[str, str]:
    """Path of the module in which an unregistered one runs, and the type of that one.

    The path of what no tree holds goes on in brackets: ``encoder.(Block).(Linear)``.
    """
    owner, _, inside = node.module.partition("(")
    return owner.removesuffix("."), inside.partition(")")[0]


def listed_outside(evidence: Evidence, node: Node) -> bool:
    """Whether the operation runs in a module of a list, tuple or dict that registers nothing."""
    if "(" not in node.module:
        return False
    return holder(node) in {(s.owner, s.type) for s in evidence.strays}
