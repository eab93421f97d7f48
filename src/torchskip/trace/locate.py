"""Where in the model and in its source an operation runs: module path, file and line."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, TracebackType
from typing import Any, NamedTuple

import torch
from torch import nn

from torchskip.graph import Source

__all__ = [
    "Call",
    "Calls",
    "Spot",
    "failing_spot",
    "here",
    "source",
    "user_code",
]

Spot = tuple[CodeType, int, int]  # code, instruction offset, line

_TORCH = os.path.dirname(torch.__file__) + os.sep
_HERE = os.path.dirname(__file__) + os.sep
# The function modes that stand between a module's forward and torch.
_ROOT = os.path.dirname(os.path.dirname(__file__))
_MODES = tuple(os.path.join(_ROOT, *part, "") for part in (("surgery",), ("lint", "probes")))
_BOTTOM = os.path.join(os.path.dirname(__file__), "attempt.py")
_STDLIB = sysconfig.get_path("stdlib") + os.sep
# Tensor notations: the line that a reader looks for is the one that calls them.
_NOTATIONS = tuple(f"{os.sep}{n}{os.sep}" for n in ("einops", "opt_einsum", "functorch"))

_is_user: dict[str, bool] = {}
_sources: dict[tuple[str, Spot], Source] = {}


def user_code(code: CodeType) -> bool:
    """Whether `code` belongs neither to torch nor to the standard library nor to the tracer."""
    file = code.co_filename
    known = _is_user.get(file)
    if known is None:
        library = file.startswith((_TORCH, _HERE, *_MODES, "<frozen")) or (
            file.startswith(_STDLIB) and "site-packages" not in file
        )
        # A graph module's generated code is the user's; other generated code is a wrapper.
        generated = file.startswith("<") and not file.startswith(("<eval_with_key>", "<stdin>"))
        generated = generated and not file.startswith(("<ipython", "<string>", "<doctest"))
        notation = any(n in file for n in _NOTATIONS)
        known = _is_user[file] = not (library or generated or notation)
    return known


def here() -> Spot | None:
    """Return the innermost running place that is the user's."""
    frame = _users(sys._getframe(2))
    return None if frame is None else (frame.f_code, frame.f_lasti, frame.f_lineno)


def _users(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame of the user's code, from `frame` outwards."""
    while frame is not None:
        code = frame.f_code
        known = _is_user.get(code.co_filename)
        if known or (known is None and user_code(code)):
            return frame
        if code.co_filename == _BOTTOM:  # what called the tracer is not the model
            return None
        frame = frame.f_back
    return None


def failing_spot(trace: TracebackType | None) -> Spot | None:
    """Return the innermost place of a traceback that is the user's."""
    spot = None
    while trace is not None:
        if user_code(trace.tb_frame.f_code):
            spot = trace.tb_frame.f_code, trace.tb_lasti, trace.tb_lineno
        trace = trace.tb_next
    return spot


def source(spot: Spot | None) -> Source | None:
    """Read the text of `spot`: the lines of the expression that ran."""
    if spot is None:
        return None
    # Code objects of two files are equal when their text is: the file tells them apart.
    key = spot[0].co_filename, spot
    known = _sources.get(key)
    if known is None:
        known = _sources[key] = _read(*spot)
    return known


def _read(code: CodeType, offset: int, line: int) -> Source:
    first, last, left, right = line, line, 0, 0
    for index, (start, end, column, end_column) in enumerate(code.co_positions()):
        if index == offset // 2:
            if start is not None and end is not None and start <= line:
                first, last = line, max(line, end)
                if start == line and column is not None and end_column is not None:
                    left, right = column + 1, end_column + 1
            break
    lines = [
        linecache.getline(code.co_filename, n) for n in range(first, min(last, first + 20) + 1)
    ]
    if left:  # the interpreter counts bytes, a reader characters
        left = len(lines[0].encode()[: left - 1].decode(errors="replace")) + 1
        right = len(lines[-1].encode()[: right - 1].decode(errors="replace")) + 1
    plain = (line.rstrip().removesuffix("\\") for line in lines)
    text = textwrap.shorten(" ".join(plain), 200, placeholder=" ...")
    function = getattr(code, "co_qualname", code.co_name)
    return Source(code.co_filename, line, function, text, last, left, right)


class Call(NamedTuple):
    """One running module: its dotted path, type and the how-manieth call it is."""

    path: str
    type: str
    number: int
    code: CodeType | None = None  # of the user's forward, None where torch wrote it


class Calls:
    """Follows the modules as they run, by standing in `nn.Module.__call__`.

    Hooks of the model are left alone; compiled modules run their original code.
    """

    def __init__(self, model: nn.Module) -> None:
        self.modules = list(model.named_modules())
        self.paths = {
            id(module): path.replace("_orig_mod.", "").removesuffix("._orig_mod")
            for path, module in self.modules
        }
        self.counts: dict[int, int] = {}
        self.root = Call("", type(model).__name__, 0, _forward(model))
        self.stack = [self.root]
        self.failed: tuple[BaseException, Call] | None = None
        self._strangers: list[nn.Module] = []  # alive, so that no address is used twice

    @contextmanager
    def following(self, opaque: Callable[..., Any]) -> Iterator[None]:
        """Follow the calls of this thread; ``opaque(module, args, kwargs)`` runs each of them."""
        owner = threading.get_ident()
        original = nn.Module.__call__
        stack = self.stack

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != owner:
                return original(module, *args, **kwargs)
            stack.append(self._enter(module))
            try:
                return opaque(module, args, kwargs)
            except BaseException as error:
                if self.failed is None or self.failed[0] is not error:
                    self.failed = error, stack[-1]
                raise
            finally:
                stack.pop()

        nn.Module.__call__ = call  # type: ignore[method-assign]
        try:
            yield
        finally:
            nn.Module.__call__ = original  # type: ignore[method-assign]

    def _enter(self, module: nn.Module) -> Call:
        key = id(module)
        path = self.paths.get(key)
        if path is None:  # not registered: made in forward, or kept out of the module tree
            parent = self.stack[-1].path
            kind = f"({type(module).__name__})"
            path = self.paths[key] = f"{parent}.{kind}" if parent else kind
            self._strangers.append(module)
        number = self.counts.get(key, 0)
        self.counts[key] = number + 1
        return Call(path, type(module).__name__, number, _forward(module))

    def now(self) -> tuple[Call, Spot | None]:
        """Return the innermost running module, and the user's place in it.

        A forward that was called by its name, past `nn.Module.__call__`, runs all the same, and
        so does a `__call__` that stands in the place of the forward.
        """
        call, frame = self.stack[-1], _users(sys._getframe(2))
        if frame is None:
            return call, None
        code = frame.f_code
        by_name = code.co_name == "forward" and call.code not in (None, code)
        if (by_name or code.co_name == "__call__") and code.co_argcount:
            module = frame.f_locals.get(code.co_varnames[0])
            path = self.paths.get(id(module), "")
            if path and path.startswith(f"{call.path}." if call.path else ""):
                call = Call(path, type(module).__name__, self.counts.get(id(module), 0), code)
        return call, (code, frame.f_lasti, frame.f_lineno)


def _forward(module: nn.Module) -> CodeType | None:
    code = getattr(getattr(type(module), "forward", None), "__code__", None)
    return code if isinstance(code, CodeType) and user_code(code) else None
