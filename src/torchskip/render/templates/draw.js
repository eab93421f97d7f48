// Drawing: ground, arcs and module tree.
const draw = () => {
  const focused = svg && svg.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const scroll = picture.scrollLeft, ways = arcs.map(strands);
  const highest = Math.max(0, ...ways.flat().map(way => -way.apex), ...steps.map((_, i) => tall(i)));
  const shown = groups.filter(visible), depth = Math.max(1, ...shown.map(group => group.level));
  const base = highest + 24, width = edges[edges.length - 1] + MARGIN, height = base + 8 + depth * ROW + 6;
  picture.replaceChildren();
  svg = make(picture, "svg", { viewBox: `0 0 ${width.toFixed(1)} ${height.toFixed(1)}`, width: width.toFixed(1),
    height: height.toFixed(1), role: "group", "aria-label": "Arc picture of the network" });
  const stage = make(svg, "g", { transform: `translate(0 ${base.toFixed(1)})` });
  drawGround(make(stage, "g", { "aria-hidden": "true" }));
  make(stage, "g", { id: "bands", "aria-hidden": "true" });
  drawCrowd(make(stage, "g", { "aria-hidden": "true" }));
  const list = make(stage, "g", { role: "listbox", "aria-label": "Skip connections", class: "arcs" });
  for (const arc of painted) drawArc(list, arc, ways[arc.skip]);
  make(stage, "g", { id: "ends", "aria-hidden": "true" });
  const tree = make(stage, "g", { role: "tree", "aria-label": "Modules" });
  for (const group of shown) drawGroup(tree, group);
  picture.scrollLeft = scroll;
  show(view.shown);
  if (focused) { const again = $(`[data-key="${focused}"]`, svg); if (again) again.focus({ preventScroll: true }); }
};
const visible = group => !group.parent || (group.parent.open && visible(group.parent));
const drawGround = layer => {
  const shade = [];
  for (const group of cells(roots)) {
    let deepest = 0;
    for (let i = group.first; i <= group.last; i++) deepest = Math.max(deepest, steps[i].shade);
    for (let i = group.first; i <= group.last; i++) shade.push(deepest);
  }
  const rim = [];
  for (const [, first, last] of runs((step, i) => `${step.height} ${shade[i]}`)) {
    const high = Math.max(tall(first), 2), left = edges[first], right = edges[last + 1];
    make(layer, "rect", { x: left.toFixed(1), y: (-high).toFixed(1), width: (right - left).toFixed(1),
      height: high.toFixed(1), style: `fill:var(--s${shade[first]})` });
    rim.push(`${left.toFixed(1)} ${(-high).toFixed(1)} ${right.toFixed(1)} ${(-high).toFixed(1)}`);
  }
  make(layer, "polyline", { class: "rim", points: rim.join(" ") });
  for (const [, first, last] of runs(step => `${step.height} ${step.size}`)) {
    const text = steps[first].size, left = edges[first], right = edges[last + 1];
    if (text && right - left > text.length * LETTER + 4 && tall(first) > 16)
      make(layer, "text", { class: "size", x: ((left + right) / 2).toFixed(1), y: -6, "text-anchor": "middle" }, text);
  }
};
const drawCrowd = layer => {                         // arcs too short to be told apart: one path a kind
  const loops = {};
  for (const arc of arcs) {
    const left = x(arc.starts[0]), wide = x(arc.end) - left, way = arc.kind === "gate" ? 14 : -14;
    if (wide >= SHORT || view.hidden.has(arc.kind)) continue;
    const y = -tall(Math.floor(arc.end));
    (loops[arc.kind] ||= []).push(`M${left.toFixed(1)} ${y.toFixed(1)}q${(wide / 2).toFixed(1)} ${way} ${wide.toFixed(1)} 0`);
  }
  for (const kind in loops) make(layer, "path", { class: `crowd k-${kind}`, d: loops[kind].join("") });
};
const drawArc = (parent, arc, ways) => {
  if (!ways.length) return;
  const here = arc.skip === view.here, failed = arc.marks.includes("fails");
  const off = view.hidden.has(arc.kind) || (view.found && !view.found.has(arc.skip)) ? " off" : "";
  const group = make(parent, "g", { class: `skip k-${arc.kind} ${arc.texture} ${arc.marks.join(" ")}${off}`, role: "option",
    tabindex: here ? 0 : -1, "aria-selected": arc.skip === view.kept, "aria-label": arc.title,
    "data-skip": arc.skip, "data-key": `skip${arc.skip}` });
  const d = ways.map(way => way.d).join("");
  make(group, "path", { class: "hit", d });
  make(group, "path", { class: "line", d });
  const right = x(arc.end), y = -tall(Math.floor(arc.end));
  if (failed) make(group, "path", { class: "cross", d: `M${right - 5} ${y - 5}l10 10m0 -10l-10 10` });
  else make(group, "circle", { cx: right.toFixed(1), cy: y.toFixed(1), r: arc.marks.includes("detached") ? 4 : 2 });
};
const middle = (left, right) => {                    // of the part that is scrolled into view
  const from = Math.max(left, picture.scrollLeft), to = Math.min(right, picture.scrollLeft + picture.clientWidth);
  return (to - from > 60 ? (from + to) / 2 : (left + right) / 2).toFixed(1);
};
const drawGroup = (parent, group) => {
  const left = edges[group.first], right = edges[group.last + 1], y = 8 + (group.level - 1) * ROW;
  const more = group.children.length > 0, count = group.last - group.first + 1;
  const kind = more ? (group.open ? "more" : "more folded") : "";
  const attributes = { class: `cell ${kind}`, role: "treeitem", tabindex: group.id === view.group ? 0 : -1,
    "aria-level": group.level, "aria-label": `${group.label} ${group.type}`.trim() + (more ? `, ${count} steps` : ""),
    "data-group": group.id, "data-key": `group${group.id}` };
  if (more) attributes["aria-expanded"] = group.open;
  const element = make(parent, "g", attributes);
  const facts = more ? `${count} steps, click to ${group.open ? "fold" : "unfold"}` : steps[group.first].shape;
  make(element, "title", {}, `${`${group.label} ${group.type}`.trim()}: ${facts}`);
  make(element, "rect", { x: (left + 0.75).toFixed(1), y, width: Math.max(right - left - 1.5, 0.5).toFixed(1),
    height: ROW - 3, rx: 3 });
  const text = fit(group, right - left - 2);
  if (text) make(element, "text", { class: "label", x: middle(left, right), y: y + 12.8, "text-anchor": "middle" }, text);
  if (more && right - left > text.length * LETTER + 34)
    make(element, "text", { class: "sign", x: (left + 7).toFixed(1), y: y + 12.2 }, group.open ? "▾" : "▸");
};

