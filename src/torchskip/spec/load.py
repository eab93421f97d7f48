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
from torchskip.spec.execute import execute
from torchskip.spec.makers import makers, needed
from torchskip.spec.statements import why
from torchskip.spec.written import Making, Written, read

__all__ = ["Loaded", "Skipped", "load"]


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A model that a SPEC led to; `file` is its source where the SPEC named a file.

    `making` is the file's own call that made it, where its class alone would not do; `written`
    is what the file writes out of inputs.
    """

    name: str
    model: nn.Module
    file: Path | None = None
    making: Making | None = None
    written: Written | None = None


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
    written = read(path, vars(module))
    if attribute:
        try:
            made = _made(module, attribute, str(path), f"{path}:{attribute}")
        except SpecError as error:
            raise SpecError("; ".join([str(error), *failure])) from error
        one = Loaded(attribute, made, path, written=written)
        return (one,), tuple(Skipped(str(path), f) for f in failure)
    loaded, skipped = _all(module, path, written)
    skipped = [*(Skipped(str(path), f) for f in failure), *skipped]
    if not loaded and failure and not any(True for _ in _candidates(module)):
        raise SpecError(f"{str(path)!r} {'; '.join(failure)}, before any model was defined")
    if not loaded:
        reasons = "".join(f"\n  {s.name}: {s.reason}" for s in skipped)
        raise SpecError(
            f"{str(path)!r} holds no torch.nn.Module that can be constructed without arguments"
            + (reasons or "; it defines none")
        )
    inside = {type(part).__name__ for one in loaded for part in one.model.modules()}
    return tuple(loaded), tuple(s for s in skipped if s.name not in inside)


def _all(module: ModuleType, path: Path, written: Written) -> tuple[list[Loaded], list[Skipped]]:
    """Everything of a file that can be made: its classes, else as the file itself makes them."""
    loaded: list[Loaded] = []
    skipped: list[Skipped] = []
    candidates = list(_candidates(module))
    objects = {type(candidate) for _, candidate in candidates}
    for name, candidate in candidates:
        makings = [making for making in written.makings if making.maker == name]
        try:
            if candidate in objects or not needed(candidate):
                loaded.append(Loaded(name, _construct(candidate, name), path, written=written))
            else:
                loaded.append(_as_written(candidate, name, path, written, makings))
        except SpecError as error:
            skipped.append(Skipped(name, str(error).replace("file.py:", f"{path}:")))
    found = {type(part) for one in loaded for part in one.model.modules()}
    used = [*dict.fromkeys(making.maker for making in written.makings)]
    used += [maker[0].__name__ for maker in makers(module)]
    by_function = sorted(makers(module), key=lambda maker: used.index(maker[0].__name__))
    for function, made, options in by_function:
        name = function.__name__
        if made in found:
            continue
        making = Making(name, (), options, function.__code__.co_firstlineno)
        try:
            one = Loaded(name, _construct(function, name, (), options), path, making, written)
        except SpecError as error:
            skipped.append(Skipped(name, str(error)))
            continue
        loaded.append(one)
        found |= {type(part) for part in one.model.modules()}
    return loaded, skipped


def _as_written(
    candidate: Any, name: str, path: Path, written: Written, makings: list[Making]
) -> Loaded:
    """A class that needs arguments, made by the first of the file's own calls that makes it."""
    for making in makings:
        try:
            model = _construct(candidate, str(making), making.arguments, making.options)
        except SpecError:
            if making is makings[-1]:
                raise
        else:
            return Loaded(name, model, path, making, written)
    return Loaded(name, _construct(candidate, name), path, written=written)


def _candidates(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The module classes that a file defines itself, then the models it made, by line order."""
    seen: set[int] = set()
    for name, value in list(vars(module).items()):
        defined_here = isinstance(value, type) and value.__module__ == module.__name__
        if not defined_here or id(value) in seen:  # a second name for the same class
            continue
        if issubclass(value, nn.Module) and not inspect.isabstract(value):
            seen.add(id(value))
            yield name, value
    for name, value in list(vars(module).items()):
        loss = isinstance(value, nn.modules.loss._Loss)
        model = isinstance(value, nn.Module) and not loss and not name.startswith("_")
        if model and id(value) not in seen:
            seen.add(id(value))
            if type(value).__module__ != module.__name__ or needed(type(value)):
                yield name, value


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
    return f"{candidate.__name__}({', '.join(f'{name}=...' for name in needed(candidate))})"


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
    if not arguments and not options and needed(candidate):
        all_ = re.sub(r"<function (\S+) at 0x\w+>", r"\1", str(inspect.signature(candidate)))
        raise SpecError(
            f"its constructor needs arguments {all_}; mend: give them, as "
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
