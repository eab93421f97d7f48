// The page's data, and the layout of the chain: the same rules as torchskip.render.picture and svg.
const $ = (query, from = document) => from.querySelector(query);
const all = (query, from = document) => [...from.querySelectorAll(query)];
const data = JSON.parse($("#data").textContent);
const { cell: CELL, letter: LETTER, margin: MARGIN, rise: RISE, row: ROW, short: SHORT } = data.sizes;
const word = i => data.words[i];
const steps = data.steps.map(([label, type, module, shape, size, height, shade]) => ({
  label: word(label), type: word(type), module: word(module), shape: word(shape), size: word(size), height, shade }));
const groups = [];                                   // every group, parents before children
const grow = (row, parent, level) => {
  const [label, short, type, first, last, alike, open, below] = row;
  const group = { id: groups.length, label: word(label), short: word(short), type: word(type), first, last, alike,
    parent, level, open: Boolean(open), start: Boolean(open), children: [] };
  groups.push(group);
  group.children = (below || []).map(child => grow(child, group, level + 1));
  return group;
};
const roots = data.tree.map(row => grow(row, null, 1));
const arcs = data.arcs.map(([end, ...starts], skip) => ({ skip, end, starts, ...data.skips[skip] }));
// The largest arcs are drawn first, so that small ones lie on top and can be pointed at.
const painted = [...arcs].sort((a, b) => (b.end - b.starts[0]) - (a.end - a.starts[0]));
const walked = [...arcs].sort((a, b) => a.end - b.end || b.starts[0] - a.starts[0]);
const picture = $("#picture"), details = $("#details"), rows = all("tbody tr");
const view = { zoom: 1, kept: null, shown: null, here: walked.length ? walked[0].skip : null, group: 0,
  hidden: new Set(), found: null };
let edges = [], svg = null;

const NS = "http://www.w3.org/2000/svg";
const make = (parent, name, attributes = {}, text = null) => {
  const element = document.createElementNS(NS, name);
  for (const key in attributes) if (attributes[key] !== "") element.setAttribute(key, attributes[key]);
  if (text !== null) element.textContent = text;
  parent.appendChild(element);
  return element;
};
const html = (parent, name, className = "", text = null) => {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== null) element.textContent = text;
  parent.appendChild(element);
  return element;
};

const cells = list => list.flatMap(group => group.open && group.children.length ? cells(group.children) : [group]);
const need = group => Math.max(CELL, Math.min(group.short.length, 6) * LETTER + 2);
const measure = () => {
  const shown = cells(roots), room = Math.max(picture.clientWidth - 2 * MARGIN, 100);
  const least = shown.reduce((sum, group) => sum + need(group), 0);
  const weight = group => need(group) + 4 * Math.sqrt(group.last - group.first + 1);
  const scale = Math.max(room, least) * view.zoom / shown.reduce((sum, group) => sum + weight(group), 0);
  const result = [MARGIN];
  for (const group of shown) {
    const each = weight(group) * scale / (group.last - group.first + 1);
    for (let i = group.first; i <= group.last; i++) result.push(result[result.length - 1] + each);
  }
  return result;
};
const x = position => {
  const whole = Math.floor(position);
  if (whole >= edges.length - 1) return edges[edges.length - 1];
  return edges[whole] + (position - whole) * (edges[whole + 1] - edges[whole]);
};
const tall = step => RISE * steps[Math.max(step, 0)].height;
const strands = arc => arc.starts.flatMap(start => {
  const x1 = x(start), x2 = x(arc.end), span = x2 - x1;
  if (span < SHORT) return [];
  const first = Math.max(Math.floor(start) - 1, 0), last = Math.floor(arc.end);
  const y1 = -tall(first), y2 = -tall(last), lean = Math.min(span * 0.08, 14);
  let top = 0, apex = Math.min(y1, y2), bend;
  if (arc.kind === "gate") bend = Math.max(y1, y2) + Math.min(6 + 1.1 * Math.sqrt(span), -0.75 * Math.max(y1, y2) + 4);
  else {
    for (let i = first; i <= last; i++) top = Math.min(top, -tall(i));
    const rise = Math.max(0.42 * span / (1 + span / 260), Math.min(y1, y2) - top) + 6;
    apex -= rise;
    bend = Math.min(y1, y2) - rise / 0.75;
  }
  const f = number => number.toFixed(1);
  return [{ apex, d: `M${f(x1)} ${f(y1)}C${f(x1 + lean)} ${f(bend)} ${f(x2 - lean)} ${f(bend)} ${f(x2)} ${f(y2)}` }];
});
const fit = (group, room) => {
  const times = group.alike > 1 ? ` ×${group.alike}` : "", letters = Math.floor(room / LETTER);
  for (const text of [group.label + times, group.short + times]) if (text.length <= letters) return text;
  return letters >= 4 ? (group.short + times).slice(0, letters - 2) + "…" : "";
};
const runs = key => {                                // neighbouring steps of one key: [key, first, last]
  const result = [];
  steps.forEach((step, i) => {
    const own = key(step, i), end = result[result.length - 1];
    if (end && end[0] === own) end[2] = i; else result.push([own, i, i]);
  });
  return result;
};

