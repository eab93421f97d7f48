"""Graphs written by hand: a chain of operations, with skips where the test wants them."""

from torchskip.graph import Arm, Graph, Kind, Module, Node, SkipPath, Value


def graph(*rows, start=(1, 3, 32, 32), leaves=(), types=None):
    """Build a chain from rows of (module, operation, output shape)."""
    values = [Value(0, tuple(start), "float32", None, 0, name="x")]
    nodes = []
    for index, (module, op, shape) in enumerate(rows):
        kind = (types or {}).get(module, module.rpartition(".")[2].capitalize())
        nodes.append(Node(index, f"aten.{op}.default", (index,), (index + 1,), module, kind))
        values.append(Value(index + 1, tuple(shape), "float32", index, index + 1))
    paths = {""}
    for node in nodes:
        parts = node.module.split(".")
        paths |= {".".join(parts[: i + 1]) for i in range(len(parts))}
    modules = tuple(
        Module(path, (types or {}).get(path, "Model" if not path else "Part"), 1, path in leaves)
        for path in sorted(paths)
    )
    return Graph("Model", tuple(nodes), tuple(values), (0,), (len(nodes),), modules)


def skip(split, join, kind: Kind = "identity"):
    """Build a skip over a chain: from a value to a node, the branch is all between."""
    branch = Arm("branch", tuple(range(split, join + 1)), tuple(range(split, join)), join - split)
    return SkipPath(kind, "add", split, join, (branch, Arm("shortcut", (split,), (), 0)))
