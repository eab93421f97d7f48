"""Tensors that a forward holds under two names when it writes to one of them in place.

``shortcut = x`` copies nothing: what is written to `x` afterwards is in `shortcut` too. No graph
shows under which name a value was read; the running frames and their source do.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from torch import Tensor

from torchskip.graph import Source
from torchskip.lint.facts import Renamed
from torchskip.lint.ops import ADDS, CONCATS, PRODUCTS
from torchskip.lint.probes.watch import Watcher
from torchskip.trace.locate import source, user_code
from torchskip.trace.memory import extent
from torchskip.trace.tree import leaves

__all__ = ["Names"]

_JOINS = ADDS | CONCATS | PRODUCTS | frozenset({"radd", "rmul", "iadd", "hstack", "vstack"})


@dataclass(slots=True)
class _Held:
    """A tensor that a frame holds under `older` names while `written` is overwritten."""

    frame: FrameType  # kept alive, as the tensors are, so that no identity is used twice
    item: Tensor
    older: set[str]
    written: Tensor
    through: str
    write: Source
    read: bool


class Names(Watcher):
    """Notes joins that read a tensor by another name than the one it was written by.

    A shortcut with layers reads it there too: ``h[:] = f(h); h + shortcut(x)`` with ``h = x``.
    """

    def __init__(self) -> None:
        self.found: list[Renamed] = []
        self._held: dict[tuple[int, int], _Held] = {}
        self._made: dict[int, tuple[Any, str, _Held]] = {}  # kept alive by its first item

    def before(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note what the call writes to, and what it reads."""
        frame = sys._getframe().f_back
        if self._held and not name.startswith("__get"):
            self._read(name, [t for _, t in leaves(args)], frame)
        if args and isinstance(args[0], Tensor) and _writes(name, kwargs):
            self._write(args[0], frame)

    def after(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Note what a call made that was given a tensor by an older name."""
        for frame in _frames(sys._getframe().f_back) if self._held else ():
            mine = [held for held in self._held.values() if held.frame is frame and held.read]
            place = _place(frame) if mine else None
            given = set(_operands(place)) if place else set()
            for held in mine:
                for older in sorted(held.older & given)[:1]:
                    self._made[id(result)] = (result, older, held)

    def _meet(self, tensor: Tensor, frame: FrameType | None) -> None:
        """Notes a join of what was made of the older name with the newer one."""
        if frame is None or id(tensor) not in self._made:
            return
        _, older, held = self._made[id(tensor)]
        place = _place(frame) if held.frame is frame else None
        if place and held.through in _operands(place):
            self.found.append(Renamed(older, held.through, held.write, place))

    def _write(self, tensor: Tensor, start: FrameType | None) -> None:
        if not tensor.requires_grad or tensor.is_leaf:
            return  # a buffer that is filled, statistics
        write: Source | None = None
        for frame in _frames(start):
            place = _place(frame)
            write = write or place
            names = _sharing(frame, tensor)
            if place is None or write is None or len(names) < 2:
                continue
            through = sorted(names.keys() & set(_targets(place)))
            for older in names.keys() - set(through) if through else ():
                item, written = names[older], names[through[0]]
                held = _Held(frame, item, set(), written, through[0], write, read=item is written)
                self._held.setdefault((id(frame), id(item)), held).older.add(older)

    def _read(self, name: str, tensors: list[Tensor], start: FrameType | None) -> None:
        for held in self._held.values():
            held.read = held.read or any(t is held.written for t in tensors)
        if name.strip("_") not in _JOINS:
            return
        frame = next(_frames(start), None)
        for tensor in tensors:
            self._meet(tensor, frame)
            known = self._held.get((id(frame), id(tensor)))
            place = _place(frame) if known and frame else None
            if known and known.read and place:
                self.found += [
                    Renamed(n, known.through, known.write, place)
                    for n in _operands(place)
                    if n in known.older
                ]


def _writes(name: str, kwargs: dict[str, Any]) -> bool:
    if name.startswith("__"):
        return name == "__setitem__" or (name.startswith("__i") and name != "__invert__")
    return name.endswith("_") or kwargs.get("inplace") is True


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of the user's code, innermost first."""
    while frame is not None:
        if user_code(frame.f_code):
            yield frame
        frame = frame.f_back


def _place(frame: FrameType) -> Source | None:
    return source((frame.f_code, frame.f_lasti, frame.f_lineno))


def _sharing(frame: FrameType, tensor: Tensor) -> dict[str, Tensor]:
    """The local names of tensors that a write to this one changes."""
    where = tensor.untyped_storage()._cdata, extent(tensor)
    return {
        name: item
        for name, item in frame.f_locals.items()
        if isinstance(item, Tensor)
        and item.untyped_storage()._cdata == where[0]
        and extent(item).meets(where[1])
    }


def _targets(place: Source) -> Iterator[str]:
    """Names that an expression writes to, or hands to what writes."""
    for node in _parsed(place):
        if isinstance(node, ast.AugAssign):
            yield from _base(node.target)
        elif isinstance(node, ast.Call):
            method = isinstance(node.func, ast.Attribute) and node.func.attr.endswith("_")
            given = [] if method else [*node.args, *(k.value for k in node.keywords)]
            for item in (node.func, *given):
                yield from _base(item)
        elif isinstance(node, ast.expr):
            yield from _base(node)


def _operands(place: Source) -> Iterator[str]:
    """Names that are operands of an expression themselves, not parts of operands."""
    for node in _parsed(place):
        if isinstance(node, ast.AugAssign):
            items = [node.target, node.value]
        elif isinstance(node, ast.BinOp):
            items = [node.left, node.right]
        elif isinstance(node, ast.Call):
            items = [*node.args, *(k.value for k in node.keywords)]
            items += [node.func.value] if isinstance(node.func, ast.Attribute) else []
        else:
            continue
        for item in items:
            parts = item.elts if isinstance(item, (ast.List, ast.Tuple)) else [item]
            yield from (part.id for part in parts if isinstance(part, ast.Name))


def _base(node: ast.expr) -> Iterator[str]:
    """The name at the start of ``x``, ``x[0]``, ``x.data`` and of their views ``x.view(-1)``."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
        if isinstance(node, ast.Call):
            node = node.func
    if isinstance(node, ast.Name):
        yield node.id


def _parsed(place: Source) -> Iterator[ast.AST]:
    """What stands at a place: an expression, or an assignment such as ``x += y``."""
    lines = [linecache.getline(place.file, n) for n in range(place.line, place.end_line + 1)]
    if not place.column or not lines:
        return
    lines[-1] = lines[-1][: place.end_column - 1]
    lines[0] = lines[0][place.column - 1 :]
    try:
        tree = ast.parse(f"({text})" if "\n" in (text := "".join(lines)) else text)
    except SyntaxError:
        return
    for statement in tree.body:
        yield statement.value if isinstance(statement, ast.Expr) else statement
