"""The arc picture of a network as one static SVG that stands alone, in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from torchskip.graph import Graph
from torchskip.render.account import Account, accounts
from torchskip.render.curves import RISE, crowd, curves, x_at
from torchskip.render.outline import Group
from torchskip.render.palette import INKS, LINES, SHADES_DARK, SHADES_LIGHT
from torchskip.render.picture import LETTER, PAGE, Arc, Picture, picture, shades, widths
from torchskip.render.words import count, plain, totals

if TYPE_CHECKING:
    from torchskip.inspection import Inspection

__all__ = ["draw", "to_svg"]

MARGIN = 20.0
HEAD = 74.0  # title and legend
ROW = 21.0  # one level of the module tree


def to_svg(inspection: Inspection) -> str:
    """Return the arc picture: ground (resolution, channels), arcs (skips), tree (modules)."""
    graph, skips = inspection.graph, inspection.skips
    scene = picture(graph, skips)
    return draw(graph, scene, accounts(graph, skips, scene.outline))


def draw(graph: Graph, scene: Picture, told: Sequence[Account]) -> str:
    """Return the picture of a scene that is laid out and told already."""
    edges = [MARGIN, *accumulate(widths(scene.outline, scene.unfolded), initial=MARGIN)][1:]
    arcs = [(arc, curves(scene, edges, arc)) for arc in scene.arcs]
    above = min((y for _, strands in arcs for _, y in strands), default=0.0)
    peak = RISE * max((ground.height for ground in scene.ground), default=0.0)
    base = HEAD + max(-above, peak) + 8
    depth = _depth(scene.outline.root, scene.unfolded)
    height = base + 8 + depth * ROW + 16
    width = PAGE + 2 * MARGIN

    summary = ", ".join(f"{number} {kind}" for kind, number in totals(told).items())
    label = f"{plain(graph.model)}: {count(len(told), 'skip connection')}"
    label += f" ({summary})" if summary else ""
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:g} {height:g}",
            "class": "torchskip",
            "role": "img",
            "aria-label": label,
        },
    )
    ET.SubElement(svg, "title").text = label
    ET.SubElement(svg, "style").text = _style()
    _rect(svg, "paper", 0, 0, width, height)
    _heading(svg, plain(graph.model), skips_text=count(len(told), "skip connection"), told=told)
    stage = ET.SubElement(svg, "g", {"transform": f"translate(0 {base:g})"})
    _ground(stage, scene, edges)
    for kind, paths in crowd(scene, edges).items():
        group = ET.SubElement(stage, "g", {"class": f"crowd k-{kind}"})
        ET.SubElement(group, "title").text = f"{len(paths)} {kind} in folded modules"
        ET.SubElement(group, "path", {"d": "".join(paths)})
    for arc, strands in sorted(arcs, key=lambda pair: -pair[0].end + pair[0].starts[0]):
        if strands:
            _skip(stage, arc, [path for path, _ in strands], told[arc.skip], scene, edges)
    for child in scene.outline.root.children:
        _tree(stage, child, scene, edges, 8.0)
    return ET.tostring(svg, encoding="unicode")


def _skip(
    parent: ET.Element,
    arc: Arc,
    paths: Sequence[str],
    told: Account,
    scene: Picture,
    edges: Sequence[float],
) -> None:
    names = ["skip", f"k-{arc.kind}", *told.marks, scene.texture(arc)]
    group = ET.SubElement(parent, "g", {"class": " ".join(filter(None, names))})
    ET.SubElement(group, "title").text = told.title
    ET.SubElement(group, "path", {"d": "".join(paths)})
    x, y = x_at(edges, arc.end), -RISE * scene.ground[int(arc.end)].height
    radius = "4" if "detached" in told.marks else "2"
    if arc.failed:
        cross = f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"
        ET.SubElement(group, "path", {"class": "cross", "d": cross})
    else:
        ET.SubElement(group, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": radius})


def _ground(parent: ET.Element, scene: Picture, edges: Sequence[float]) -> None:
    chain = list(zip(scene.ground, scene.outline.steps, strict=True))
    layer = ET.SubElement(parent, "g", {"class": "ground"})
    tones = shades(scene)
    for (height, shade), run in groupby(
        range(len(chain)), lambda i: (scene.ground[i].height, tones[i])
    ):
        steps = list(run)
        left, right = edges[steps[0]], edges[steps[-1] + 1]
        tall = max(RISE * height, 2.0)
        _rect(layer, f"s{shade}", left, -tall, right - left, tall)
    for (label, height), members in groupby(chain, lambda pair: (pair[0].label, pair[0].height)):
        steps = [step.index for _, step in members]
        left, right = edges[steps[0]], edges[steps[-1] + 1]
        if label and right - left > len(label) * LETTER + 4 and RISE * height > 16:
            _text(layer, "size", (left + right) / 2, -6, label, anchor="middle")
    rim = []
    for height, members in groupby(chain, lambda pair: pair[0].height):
        steps = [step.index for _, step in members]
        y = -max(RISE * height, 2.0)
        rim += [f"{edges[steps[0]]:.1f} {y:.1f}", f"{edges[steps[-1] + 1]:.1f} {y:.1f}"]
    if rim:
        ET.SubElement(layer, "polyline", {"class": "rim", "points": " ".join(rim)})


def _tree(
    parent: ET.Element, group: Group, scene: Picture, edges: Sequence[float], y: float
) -> None:
    left, right = edges[group.first], edges[group.last + 1]
    cell = ET.SubElement(parent, "g", {"class": "cell"})
    name = f"{group.label} {group.type}".strip()
    ET.SubElement(cell, "title").text = f"{name}, {count(group.size, 'step')}"
    _rect(cell, "", left + 0.75, y, max(right - left - 1.5, 0.5), ROW - 3, radius=3)
    times = f" ×{group.alike}" if group.alike > 1 else ""
    fitted = fit(group.label + times, group.short + times, right - left - 2)
    if fitted:
        _text(cell, "", (left + right) / 2, y + 12.8, fitted, anchor="middle")
    if group in scene.unfolded:
        for child in group.children:
            _tree(parent, child, scene, edges, y + ROW)


def fit(label: str, short: str, room: float) -> str:
    """Return the label, else the short one, else its beginning or nothing: what fits the room.

    >>> fit("denseblock1", "1", 90), fit("denseblock1", "1", 20), fit("stem", "stem", 8)
    ('denseblock1', '1', '')
    """
    letters = int(room / LETTER)
    for text in (label, short):
        if len(text) <= letters:
            return text
    return f"{short[: letters - 2]}…" if letters >= 4 else ""


def _depth(group: Group, unfolded: frozenset[Group]) -> int:
    if group not in unfolded:
        return 0
    return 1 + max((_depth(child, unfolded) for child in group.children), default=0)


def _heading(parent: ET.Element, model: str, skips_text: str, told: Sequence[Account]) -> None:
    _text(parent, "title", MARGIN, 32, model)
    x = MARGIN
    _text(parent, "soft", x, 56, skips_text)
    x += len(skips_text) * LETTER + 24
    for kind, line in LINES.items():
        number = sum(skip.kind == kind for skip in told)
        if not number:
            continue
        sample = ET.SubElement(parent, "g", {"class": f"skip k-{kind}"})
        ET.SubElement(sample, "path", {"d": f"M{x:.1f} 52h{28 if line.dash else 24}"})
        _text(parent, "ink", x + 34, 56, f"{number} {kind}")
        x += 34 + (len(f"{number} {kind}") + 1) * LETTER + 16
    right = PAGE + MARGIN
    _text(parent, "soft", right, 56, "height: resolution, shade: channels", anchor="end")


def _text(parent: ET.Element, name: str, x: float, y: float, text: str, anchor: str = "") -> None:
    attributes = {"x": f"{x:.1f}", "y": f"{y:.1f}"}
    if name:
        attributes["class"] = name
    if anchor:
        attributes["text-anchor"] = anchor
    ET.SubElement(parent, "text", attributes).text = text


def _rect(
    parent: ET.Element,
    name: str,
    x: float,
    y: float,
    width: float,
    height: float,
    radius: float = 0.0,
) -> None:
    attributes = {
        "x": f"{x:.1f}",
        "y": f"{y:.1f}",
        "width": f"{width:.1f}",
        "height": f"{height:.1f}",
    }
    if name:
        attributes["class"] = name
    if radius:
        attributes["rx"] = f"{radius:g}"
    ET.SubElement(parent, "rect", attributes)


def _style() -> str:
    """Return the style sheet: plain rules, no variables, so that every SVG viewer reads it."""
    rules = [
        "text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}",
        "text.title{font-size:20px;font-weight:650}text.size{font-size:10px}",
        ".skip path{fill:none;stroke-linecap:butt}.skip .cross{stroke-width:2.5}",
        ".skip:hover path{stroke-width:3.5}.skip:hover circle{r:3.5px}",
        ".dead{opacity:.45}.fine path{stroke-width:.8;stroke-opacity:.6}",
        ".finest path{stroke-width:.5;stroke-opacity:.3}",
        ".crowd path{fill:none;stroke-width:.7;stroke-dasharray:none}",
        ".rim{fill:none;stroke-width:1.2}",
    ]
    for kind, line in LINES.items():
        dash = f";stroke-dasharray:{line.dash}" if line.dash else ""
        rules.insert(0, f".k-{kind} path{{stroke-width:{line.weight:g}{dash}}}")
    return "".join(
        [_scope(rule) for rule in rules]
        + [_theme(0), "@media (prefers-color-scheme:dark){", _theme(1), "}"]
        + ["@media print{", _theme(0), "}"]
    )


def _theme(index: int) -> str:
    ink = {name: pair[index] for name, pair in INKS.items()}
    shades = (SHADES_LIGHT, SHADES_DARK)[index]
    rules = [
        f".paper{{fill:{ink['paper']}}}text{{fill:{ink['ink']}}}",
        f"text.soft{{fill:{ink['soft']}}}",
        f".rim{{stroke:{ink['soft']}}}",
        f".cell rect{{fill:{ink['cell']};stroke:{ink['line']}}}",
        *(f".s{number}{{fill:{shade}}}" for number, shade in enumerate(shades)),
    ]
    for kind, line in LINES.items():
        colour = (line.light, line.dark)[index]
        rules.append(f".k-{kind} path{{stroke:{colour}}}.k-{kind} circle{{fill:{colour}}}")
    rules.append(f".detached circle{{fill:{ink['paper']};stroke:{ink['alarm']};stroke-width:2}}")
    rules.append(f".skip .cross,.fails path{{stroke:{ink['alarm']}}}")
    return "".join(_scope(rule) for rule in rules)


def _scope(rules: str) -> str:
    """Prefix every selector: inlined in a notebook, the style touches this picture alone."""
    scoped = []
    for rule in rules.split("}")[:-1]:
        selectors, body = rule.split("{")
        scoped.append(",".join(f".torchskip {s}" for s in selectors.split(",")) + f"{{{body}}}")
    return "".join(scoped)
