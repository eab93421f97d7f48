"""Scripts that train when they are run: what trains is left out, what defines the model is kept."""

from __future__ import annotations

import ast

__all__ = ["leave_out_training"]

_TRAINS = frozenset({"backward", "trainer.fit", "model.fit", "learn.fit", "net.fit"})


def leave_out_training(tree: ast.Module) -> int | None:
    """Cut a file at the statement that trains, and give its line; definitions behind it stay.

    What follows may save the weights, which were not trained. A statement of the file itself
    trains where it calls ``.backward()`` or ``trainer.fit()``, or a function of the file that
    does. None where no statement does.
    """
    training = _functions(tree) | _TRAINS
    first = next((node for node in tree.body if _runs(node) and _calls(node) & training), None)
    if first is None:
        return None
    at = tree.body.index(first)
    tree.body = tree.body[:at] + [node for node in tree.body[at:] if not _runs(node)]
    return first.lineno


def _functions(tree: ast.Module) -> frozenset[str]:
    """Functions of the file that train, by themselves or by what they call."""
    known = {node.name: _calls(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    found: set[str] = set()
    while more := {n for n, calls in known.items() if calls & (_TRAINS | found)} - found:
        found |= more
    return frozenset(found)


def _runs(node: ast.stmt) -> bool:
    """Whether a statement does something when the file is loaded, and defines no class."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
    return not isinstance(node, kinds) and not _guarded(node)


def _guarded(node: ast.stmt) -> bool:
    """Whether the statement is ``if __name__ == "__main__"``, which does not run here."""
    return isinstance(node, ast.If) and any(
        isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test)
    )


def _calls(node: ast.AST) -> frozenset[str]:
    """Names of what is called in a statement: ``train``, ``backward``, ``trainer.fit``."""
    called = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    names: set[str] = set()
    for function in called:
        if isinstance(function, ast.Name):
            names.add(function.id)
        elif isinstance(function, ast.Attribute):
            names |= {function.attr, ast.unparse(function)}
    return frozenset(names)
