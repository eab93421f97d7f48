"""The arrow of docs/architecture.md holds: a later stage imports an earlier one, never back."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "torchskip"

# What each part may import. `errors` and `graph` are open to all.
ALLOWED = {
    "errors": set(),
    "graph": set(),
    "nn": set(),
    "data": set(),
    "models": {"nn"},
    "trace": set(),
    "example": {"trace"},
    "skips": set(),
    "inspection": {"trace", "skips", "render", "example"},
    "lint": {"trace", "skips", "inspection", "nn", "example", "render"},
    "explain": {"trace", "skips", "inspection"},
    "render": {"skips", "lint", "prove", "explain", "inspection"},
    "surgery": {"trace", "skips", "inspection", "nn"},
    "measure": {"trace", "skips", "inspection", "surgery", "nn"},
    "spec": set(),
    "prove": {
        "data",
        "models",
        "nn",
        "inspection",
        "surgery",
        "measure",
        "render",
        "skips",
        "spec",
    },
    "deploy": {"trace", "skips", "inspection", "nn", "example"},
    "testing": {"lint", "inspection"},
}
HEAVY = {"torchvision", "timm", "tyro", "jinja2", "rich", "matplotlib", "PIL", "lightning_fabric"}
# Values and pure functions: they never touch a module.
PURE = ("errors.py", "graph.py", "skips", "lint/rules", "render")


def imports(path: Path) -> set[str]:
    """Names imported at run time; those under TYPE_CHECKING do not count."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def files(*places: str) -> list[Path]:
    roots = [PACKAGE / place for place in places] if places else [PACKAGE]
    return sorted(f for r in roots for f in ([r] if r.is_file() else r.rglob("*.py")))


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_stage_imports_earlier_stages_only(path):
    part = part_of(path)
    if part in {"__init__", "__main__", "cli"}:
        return
    used = {i.split(".")[1] for i in imports(path) if i.startswith("torchskip.")}
    assert used - {"errors", "graph", part} <= ALLOWED[part]


@pytest.mark.parametrize("path", files(*PURE), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_pure_parts_do_not_touch_modules(path):
    assert not {i for i in imports(path) if i.startswith("torch.nn")}


def test_importing_torchskip_imports_no_heavy_library():
    code = f"import sys, torchskip; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_two_test_files_have_one_name():
    """Pytest imports them by their names alone: two of a name pass apart and fail together."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
