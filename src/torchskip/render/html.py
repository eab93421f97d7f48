"""One self-contained page: the arc picture to explore, and a table of the skips to search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torchskip.graph import Graph
from torchskip.render.account import FEW, Account, accounts, tails
from torchskip.render.curves import RISE, SHORT
from torchskip.render.outline import Group, Step
from torchskip.render.palette import INKS, LINES, SHADES_DARK, SHADES_LIGHT
from torchskip.render.picture import CELL, LETTER, PAGE, Picture, picture
from torchskip.render.svg import ROW, draw
from torchskip.render.words import count, place, plain, shape, totals

if TYPE_CHECKING:
    from torchskip.inspection import Inspection

__all__ = ["to_html"]

EDGE = 1.0  # pixels beside the chain: the page has its own margins


def to_html(inspection: Inspection, title: str = "") -> str:
    """Return a page that needs no network: picture, details of every skip, table.

    `title` is the page's heading, the class of the model where it is empty. Without scripts the
    page still shows the static picture and the table. Names of the user's modules and files are
    escaped wherever they appear.
    """
    import jinja2

    graph, skips = inspection.graph, inspection.skips
    scene = picture(graph, skips)
    told = accounts(graph, skips, scene.outline)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("torchskip.render", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    compact = {"ensure_ascii": False, "separators": (",", ":"), "sort_keys": False}
    environment.policies["json.dumps_kwargs"] = compact
    return environment.get_template("inspect.html.j2").render(
        title=plain(title) or plain(graph.model),
        facts=_facts(graph, named=title not in ("", graph.model)),
        totals=totals(skips),
        lines=LINES,
        inks=INKS,
        shades=list(zip(SHADES_LIGHT, SHADES_DARK, strict=True)),
        failure=_failure(graph),
        skips=told,
        svg=draw(graph, scene, told),
        data=_data(scene, told),
    )


def _facts(graph: Graph, named: bool) -> list[str]:
    inputs = ", ".join(shape(graph.values[i].shape) for i in graph.inputs)
    outputs = ", ".join(shape(graph.values[i].shape) for i in graph.outputs[:3])
    more = "" if len(graph.outputs) <= 3 else f" and {len(graph.outputs) - 3} more"
    facts = [plain(graph.model)] if named else []
    facts += [f"{inputs} → {outputs or 'no output'}{more}"] if inputs else []
    return [*facts, count(len(graph.nodes), "operation"), count(len(graph.modules), "module")]


def _failure(graph: Graph) -> dict[str, str] | None:
    if graph.failure is None:
        return None
    return {
        "error": plain(graph.failure.error),
        "message": graph.failure.message,
        "module": plain(graph.failure.module) or plain(graph.model),
        "place": place(graph.failure.source),
    }


def _data(scene: Picture, told: Sequence[Account]) -> dict[str, object]:
    """Return what the script draws from: strings once in a table, steps and skips as rows."""
    words: dict[str, int] = {}

    def word(text: str) -> int:
        return words.setdefault(text, len(words))

    steps = [
        [
            word(step.label),
            word(step.type),
            word(plain(step.module)),
            word(shape(step.shape)),
            word(ground.label),
            ground.height,
            ground.shade,
        ]
        for step, ground in zip(scene.outline.steps, scene.ground, strict=True)
    ]
    arcs = [[arc.end, *arc.starts] for arc in scene.arcs]
    skips = [
        {
            "title": skip.title,
            "kind": skip.kind,
            "merge": skip.merge,
            "split": [skip.split.name, skip.split.place, skip.split.shape],
            "join": [skip.join.name, skip.join.place, skip.join.shape],
            "home": word(skip.home),
            "arms": [
                [arm.role, word(arm.shape), arm.layers, int(arm.detached), told]
                for arm, told in zip(skip.arms, _told(skip), strict=True)
            ],
            "bypassed": skip.bypassed,
            "alignment": skip.alignment,
            "marks": skip.marks,
            "texture": scene.texture(scene.arcs[i]),
            "bands": _bands(skip),
            "notes": skip.notes,
        }
        for i, skip in enumerate(told)
    ]
    tree = [_group(child, scene, word) for child in scene.outline.root.children]
    sizes = {"cell": CELL, "letter": LETTER, "page": PAGE, "margin": EDGE}
    sizes |= {"rise": RISE, "row": ROW, "short": SHORT}
    return {
        "sizes": sizes,
        "steps": steps,
        "arcs": arcs,
        "skips": skips,
        "tree": tree,
        "words": list(words),
    }


def _group(group: Group, scene: Picture, word: Callable[[str], int]) -> list[object]:
    row: list[object] = [
        word(group.label),
        word(group.short),
        word(group.type),
        group.first,
        group.last,
        group.alike,
    ]
    if group.children:
        row.append(int(group in scene.unfolded))
        row.append([_group(child, scene, word) for child in group.children])
    return row


def _told(skip: Account) -> list[list[int]]:
    """Return the steps of each arm as ranges; of many arms only the step that tells them apart."""
    if len(skip.arms) <= FEW:
        return [_ranges([step.index for step in arm.steps]) for arm in skip.arms]
    found: dict[int, Step | None] = {}
    for role in ("branch", "shortcut"):
        arms = [i for i, arm in enumerate(skip.arms) if arm.role == role]
        found |= dict(zip(arms, tails([skip.arms[i] for i in arms]), strict=True))
    steps = [found[i] for i in range(len(skip.arms))]
    return [_ranges([step.index] if step else []) for step in steps]


def _bands(skip: Account) -> dict[str, list[int]]:
    """Return the steps of each role as ranges, where the arms do not tell them all."""
    if len(skip.arms) <= FEW:
        return {}
    steps: dict[str, set[int]] = {}
    for arm in skip.arms:
        steps.setdefault(arm.role, set()).update(step.index for step in arm.steps)
    return {role: _ranges(sorted(indices)) for role, indices in steps.items()}


def _ranges(indices: Sequence[int]) -> list[int]:
    """Return the indices as first and last of every run of neighbours, flat.

    >>> _ranges((3, 4, 5, 9))
    [3, 5, 9, 9]
    """
    runs: list[int] = []
    for index in indices:
        if runs and index == runs[-1] + 1:
            runs[-1] = index
        else:
            runs += [index, index]
    return runs
