"""From the words on a command line to models.

A SPEC is ``package.module:callable``, ``file.py:Name``, ``file.py:Name(3, depth=2)``, a bare
``file.py`` (every module in it that can be constructed without arguments), ``timm/NAME`` or
``torchvision/NAME``.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from torch import nn

from torchskip.errors import SpecError
from torchskip.spec import zoo
from torchskip.spec.execute import execute, why

__all__ = ["Loaded", "Skipped", "load"]

_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A model that a SPEC led to; `file` is its source where the SPEC named a file."""

    name: str
    model: nn.Module
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something a SPEC led to that is no model now, and why."""

    name: str
    reason: str


def load(spec: str) -> tuple[tuple[Loaded, ...], tuple[Skipped, ...]]:
    """Load the models of a SPEC; raise `SpecError` when it leads to none.

    What the user's file prints goes to standard error, so that ``--format json`` stays JSON.

    >>> (found,), skipped = load("torchskip.models.tutorial:SkipConnection")
    >>> found.name, skipped
    ('torchskip.models.tutorial:SkipConnection', ())
    """
    with contextlib.redirect_stdout(sys.stderr):
        family, slash, name = spec.partition("/")
        if slash and family in zoo.FAMILIES and not Path(spec).exists():
            return (Loaded(spec, zoo.build(family, name)),), ()
        place, _, attribute = _split(spec)
        if Path(place).is_dir() and not attribute:
            raise SpecError(f"{spec!r} is a directory; mend: name its files, as in {spec}/*.py")
        if place.endswith(".py") or Path(place).is_file():
            return _from_file(Path(place), attribute)
        return _from_module(place, attribute, spec)


def _split(spec: str) -> tuple[str, str, str]:
    """Split at the last colon, unless a path follows it as behind a Windows drive."""
    head, bracket, arguments = spec.partition("(")
    place, colon, attribute = head.rpartition(":")
    if not colon or "\\" in attribute or "/" in attribute:
        return spec, "", ""
    return place, colon, attribute + bracket + arguments


def _from_module(place: str, attribute: str, spec: str) -> tuple[tuple[Loaded, ...], tuple[()]]:
    if not attribute:
        raise SpecError(
            f"{spec!r} names no model: give package.module:callable, file.py, file.py:Name, "
            "timm/NAME or torchvision/NAME"
        )
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise SpecError(f"{spec!r}: there is no module {error.name!r}") from error
    except Exception as error:
        if zoo.declare_missing_operators(error):
            return _from_module(place, attribute, spec)
        raise SpecError(f"{spec!r}: importing {place} failed: {why(error)}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    return (Loaded(spec, _made(module, attribute, place, spec)),), ()


def _from_file(path: Path, attribute: str) -> tuple[tuple[Loaded, ...], tuple[Skipped, ...]]:
    if not path.is_file():
        raise SpecError(f"there is no file {str(path)!r}")
    module, failure = execute(path)
    if attribute:
        try:
            made = _made(module, attribute, str(path), f"{path}:{attribute}")
        except SpecError as error:
            raise SpecError("; ".join([str(error), *failure])) from error
        return (Loaded(attribute, made, path),), tuple(Skipped(str(path), f) for f in failure)
    loaded: list[Loaded] = []
    skipped = [Skipped(str(path), f) for f in failure]
    for name, candidate in _candidates(module):
        try:
            loaded.append(Loaded(name, _construct(candidate, name), path))
        except SpecError as error:
            skipped.append(Skipped(name, str(error).replace("file.py:", f"{path}:")))
    stopped = any(f.startswith("stopped") for f in failure)
    if not loaded and stopped and not any(True for _ in _candidates(module)):
        raise SpecError(f"{str(path)!r} {failure[0]}, before any model was defined")
    if not loaded:
        reasons = "".join(f"\n  {s.name}: {s.reason}" for s in skipped)
        raise SpecError(
            f"{str(path)!r} holds no torch.nn.Module that can be constructed without arguments"
            + (reasons or "; it defines none")
            + _makers(module, path)
        )
    inside = {type(part).__name__ for one in loaded for part in one.model.modules()}
    return tuple(loaded), tuple(s for s in skipped if s.name not in inside)


def _makers(module: ModuleType, path: Path) -> str:
    """The file's functions without arguments that name one of its classes: they may make it."""
    own = {
        n: v
        for n, v in list(vars(module).items())
        if getattr(v, "__module__", "") == module.__name__
    }
    classes = [n for n, v in own.items() if isinstance(v, type) and issubclass(v, nn.Module)]
    found = [
        f"{path}:{name}"
        for name, value in own.items()
        if inspect.isfunction(value) and not _needs_arguments(value)
        if any(f"{c}(" in _source(value) for c in classes)
    ]
    return f"\n  functions that may make it: {', '.join(found)}" if found else ""


def _source(function: object) -> str:
    try:
        return inspect.getsource(function)  # type: ignore[arg-type]
    except (OSError, TypeError):
        return ""


def _candidates(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The module classes that a file defines itself, then the models it made, by line order."""
    seen: set[int] = set()
    for name, value in list(vars(module).items()):
        defined_here = isinstance(value, type) and value.__module__ == module.__name__
        if defined_here and issubclass(value, nn.Module) and not inspect.isabstract(value):
            yield name, value
    for name, value in list(vars(module).items()):
        loss = isinstance(value, nn.modules.loss._Loss)
        model = isinstance(value, nn.Module) and not loss and not name.startswith("_")
        if model and id(value) not in seen:
            seen.add(id(value))
            if type(value).__module__ != module.__name__ or _needs_arguments(type(value)):
                yield name, value


def _needs_arguments(factory: object) -> bool:
    try:
        signature = inspect.signature(factory)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return any(p.default is p.empty and p.kind not in _REST for p in signature.parameters.values())


def _made(module: ModuleType, attribute: str, place: str, name: str) -> nn.Module:
    """What an attribute is or makes: ``Name``, ``make``, ``Name(3, depth=2)``."""
    head, bracket, _ = attribute.partition("(")
    arguments, options = _arguments(attribute) if bracket else ((), {})
    return _construct(_attribute(module, head.strip(), place), name, arguments, options)


def _arguments(call: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call written out with plain numbers, strings, lists ..."""
    try:
        tree = ast.parse(call, mode="eval").body
        if not isinstance(tree, ast.Call) or any(k.arg is None for k in tree.keywords):
            raise ValueError
        given = tuple(map(ast.literal_eval, tree.args))
        return given, {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}
    except (SyntaxError, ValueError) as error:
        raise SpecError(
            f"{call!r} is no call with plain arguments; mend: as in 'file.py:Name(3, depth=2)'"
        ) from error


def _called(candidate: Any) -> str:
    """How a call with the arguments that it needs is written: ``UNet(n_channels=...)``."""
    needed = inspect.signature(candidate).parameters.values()
    names = [p.name for p in needed if p.default is p.empty and p.kind not in _REST]
    return f"{candidate.__name__}({', '.join(f'{n}=...' for n in names)})"


def _construct(
    candidate: object,
    name: str,
    arguments: tuple[Any, ...] = (),
    options: Mapping[str, Any] = MappingProxyType({}),
) -> nn.Module:
    if isinstance(candidate, nn.Module):
        return candidate
    if not callable(candidate):
        raise SpecError(
            f"{name!r} is neither a module nor callable, but of type {type(candidate).__name__}"
        )
    if not arguments and not options and _needs_arguments(candidate):
        needed = re.sub(r"<function (\S+) at 0x\w+>", r"\1", str(inspect.signature(candidate)))
        raise SpecError(
            f"its constructor needs arguments {needed}; mend: give them, as "
            f"'file.py:{_called(candidate)}', or name a function that makes it, as file.py:make"
        )
    try:
        made = candidate(*arguments, **options)
    except Exception as error:
        raise SpecError(f"constructing {name!r} failed: {why(error)}") from error
    if not isinstance(made, nn.Module):
        raise SpecError(
            f"{name!r} gave an object of type {type(made).__name__}, not a torch.nn.Module"
        )
    return made


def _attribute(module: ModuleType, dotted: str, place: str) -> object:
    value: object = module
    for part in dotted.split("."):
        if not hasattr(value, part):
            known = [n for n in vars(module) if not n.startswith("_")]
            classes = [n for n in known if isinstance(getattr(module, n), type)]
            own = [n for n in classes if getattr(module, n).__module__ == module.__name__]
            near = zoo.near(dotted, known) or (f"; it defines {', '.join(own[:8])}" if own else "")
            raise SpecError(f"{place!r} has no {dotted!r}{near}")
        value = getattr(value, part)
    return value
