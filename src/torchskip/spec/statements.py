"""A file run statement by statement, so that one which cannot be run costs only what needs it."""

from __future__ import annotations
import __future__

import ast
import traceback
from pathlib import Path
from typing import Any, NoReturn

from torchskip.spec import zoo

__all__ = ["run", "why"]

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


def run(tree: ast.Module, path: Path, namespace: dict[str, Any]) -> tuple[str, ...]:
    """Run a file's statements in a namespace; say what was not run, and why.

    The names of an import that fails stand for its error: what uses them fails as the import
    did, and what is only decorated with them is defined undecorated. Behind any other statement
    that fails, definitions and plain values alone are run.
    """
    namespace["__doc__"] = ast.get_docstring(tree)
    future = any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body)
    flags = __future__.annotations.compiler_flag if future else 0
    left: list[str] = []
    missing: list[BaseException] = []
    stopped = False
    for statement in tree.body:
        if stopped and not defines(statement):
            continue
        try:
            _execute(statement, path, namespace, flags)
        except (Exception, SystemExit) as error:
            if zoo.declare_missing_operators(error):
                _execute(statement, path, namespace, flags)
            elif isinstance(statement, _IMPORTS):
                namespace |= {name: _Missing(error) for name in _bound(statement)}
                missing.append(error)
                left.append(f"line {statement.lineno} does not import: {why(error)}")
            elif any(error is one for one in missing):
                left.append(f"line {_line(error, path)} is left out: {why(error)}")
                stopped = stopped or not defines(statement)
            elif not stopped:
                left.append(f"stopped while loading: line {_line(error, path)}: {why(error)}")
                stopped = True
    return tuple(left)


def defines(statement: ast.stmt) -> bool:
    """Whether a statement only gives a name to something, and calls nothing."""
    if isinstance(statement, (*_DEFINITIONS, *_IMPORTS)):
        return True
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
        return False
    return not any(isinstance(n, (ast.Call, ast.Await)) for n in ast.walk(statement.value))


def why(error: BaseException) -> str:
    """An error as one line."""
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _execute(statement: ast.stmt, path: Path, namespace: dict[str, Any], flags: int) -> None:
    if isinstance(statement, _DEFINITIONS):
        _Undecorated(namespace).visit(statement)
    code = compile(ast.Module([statement], []), str(path), "exec", flags, dont_inherit=True)
    exec(code, namespace)  # noqa: S102 - running the user's file is the purpose


def _line(error: BaseException, path: Path) -> int:
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in frames if f.filename == str(path) and f.lineno), 0)


def _bound(statement: ast.stmt) -> tuple[str, ...]:
    """The names that an import gives."""
    if not isinstance(statement, _IMPORTS):
        return ()
    names = [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    return tuple(name for name in names if name != "*")


class _Missing:
    """Stands for what could not be imported: any use of it raises the import's error."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def _raise(self, *_: object, **__: object) -> NoReturn:
        raise self._error.with_traceback(None)

    __call__ = __getitem__ = __iter__ = __mro_entries__ = __enter__ = _raise

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._raise()


class _Undecorated(ast.NodeTransformer):
    """Takes the decorators away whose library is missing: most of them only register."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, _DEFINITIONS):
            node.decorator_list = [d for d in node.decorator_list if not self._missing(d)]
        return self.generic_visit(node)

    def _missing(self, decorator: ast.expr) -> bool:
        root: ast.AST = decorator
        while isinstance(root, (ast.Attribute, ast.Call)):
            root = root.func if isinstance(root, ast.Call) else root.value
        return isinstance(root, ast.Name) and isinstance(self.namespace.get(root.id), _Missing)
