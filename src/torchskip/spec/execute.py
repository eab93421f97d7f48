"""A file of the user's as a module: alone, or as part of the package that it lies in."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType

from torchskip.errors import SpecError
from torchskip.spec.script import leave_out_training
from torchskip.spec.statements import run, why

__all__ = ["execute"]


def execute(path: Path) -> tuple[ModuleType, tuple[str, ...]]:
    """Run a file as a module; keep what it defines even when a line of it raises.

    A tutorial's file often ends by running the model that crashes: its classes are what the
    user wants explained. The second result says what was not run, and why.
    """
    path = path.absolute()
    package, root = _package(path)
    stem = path.stem if path.stem.isidentifier() else "model"
    name = f"{package}.{stem}" if package else stem
    # A file without the .py suffix is still Python to the user who named it.
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None:  # pragma: no cover - a loader is given
        raise SpecError(f"{str(path)!r} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno}: " if isinstance(error, SyntaxError) else ""
        return module, (f"stopped while loading: {line}{why(error)}",)
    trains = leave_out_training(tree)
    left = () if trains is None else (f"line {trains} trains: it and what follows is not run",)
    with _importing(root, path.parent.resolve()), _as_script(path):
        if package:
            _parents(package, root)
        before = sys.modules.get(name)
        sys.modules[name] = module  # dataclasses and pickling look their module up
        try:
            return module, (*run(tree, path, vars(module)), *left)
        finally:
            if before is not None:
                sys.modules[name] = before


def _package(path: Path) -> tuple[str, Path]:
    """The package whose names the file's relative imports mean, and the folder that holds it.

    Empty for a file without relative imports, which is loaded alone.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return "", path.parent
    depth = max((n.level for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)), default=0)
    folder = path.resolve().parent
    parts = [folder.name]
    while len(parts) < depth or (folder.parent / "__init__.py").is_file():
        folder = folder.parent
        parts.insert(0, folder.name)
    named = depth and all(part.isidentifier() for part in parts) and _free(folder)
    return (".".join(parts), folder.parent) if named else ("", path.parent)


def _free(folder: Path) -> bool:
    """Whether the folder's name may stand for it; another folder's package of that name goes."""
    known = sys.modules.get(folder.name)
    if known is None or str(folder) in getattr(known, "__path__", ()):
        return True
    installed = PathFinder.find_spec(folder.name)
    if installed is not None and installed.origin is not None:  # a bare folder has none
        return False
    for name in [n for n in sys.modules if n.partition(".")[0] == folder.name]:
        del sys.modules[name]
    return True


def _parents(package: str, root: Path) -> None:
    """Import the package; where that fails, let it stand for its folder alone."""
    try:
        importlib.import_module(package)
    except Exception:  # the file itself may still load
        folder = root
        parts = package.split(".")
        for count, part in enumerate(parts, 1):
            folder = folder / part
            name = ".".join(parts[:count])
            if name not in sys.modules:
                stand_in = ModuleType(name)
                stand_in.__path__ = [str(folder)]
                sys.modules[name] = stand_in


@contextmanager
def _importing(*folders: Path) -> Iterator[None]:
    """Inside, imports look into the folders first, and at last from where a user may run it.

    That is here, or above the package that the file lies in.
    """
    first = [str(folder.resolve()) for folder in folders]
    above = folders[-1]
    while (above / "__init__.py").is_file():
        above = above.parent
    last = [str(folder) for folder in (Path.cwd(), above, above.parent)]
    before = list(sys.path)
    sys.path[:] = [*first, *before, *last]
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _as_script(path: Path) -> Iterator[None]:
    """Inside, a script that reads its arguments gets none."""
    ours, sys.argv = sys.argv, [str(path)]
    try:
        yield
    finally:
        sys.argv = ours
