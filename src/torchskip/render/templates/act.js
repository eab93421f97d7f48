// What the reader can do: point, press keys, fold, zoom, filter, search.
const still = matchMedia("(prefers-reduced-motion: reduce)");
let moving = 0;
const lay = () => {                                  // glide from the old axis to the new one
  const from = edges, to = measure(), began = performance.now();
  cancelAnimationFrame(moving);
  const glide = now => {
    const part = Math.min((now - began) / 180, 1), eased = part * (2 - part);
    edges = part < 1 ? to.map((value, i) => from[i] + (value - from[i]) * eased) : to;
    draw();
    if (part < 1) moving = requestAnimationFrame(glide);
  };
  if (from.length !== to.length || still.matches || steps.length > 600) { edges = to; draw(); } else glide(began);
};
const fold = (group, open = !group.open) => { if (group.children.length) { group.open = open; view.group = group.id; lay(); } };
const keep = skip => { view.kept = view.kept === skip ? null : skip; if (skip !== null) view.here = skip; show(view.kept); mark(); };
const mark = () => {
  for (const element of all(".skip", svg)) {
    const skip = Number(element.dataset.skip);
    element.setAttribute("aria-selected", skip === view.kept);
    element.setAttribute("tabindex", skip === view.here ? 0 : -1);
  }
};
const goSkip = skip => {
  view.here = skip;
  mark();
  const element = $(`[data-skip="${skip}"]`, svg);
  if (element) { element.focus({ preventScroll: true }); reveal(x(arcs[skip].starts[0]), x(arcs[skip].end)); }
};
const goGroup = group => {
  view.group = group.id;
  for (const element of all(".cell", svg)) element.setAttribute("tabindex", Number(element.dataset.group) === group.id ? 0 : -1);
  $(`[data-group="${group.id}"]`, svg).focus({ preventScroll: true });
  reveal(edges[group.first], edges[group.last + 1]);
};
const reveal = (left, right) => {
  if (right > picture.scrollLeft + picture.clientWidth) picture.scrollLeft = right - picture.clientWidth + MARGIN;
  if (left < picture.scrollLeft) picture.scrollLeft = Math.max(left - MARGIN, 0);
};
const refresh = () => {
  const asked = $("#search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  view.found = asked.length ? new Set() : null;
  let number = 0;
  rows.forEach((row, skip) => {
    const text = row.textContent.toLowerCase(), fits = asked.every(part => text.includes(part));
    if (fits && view.found) view.found.add(skip);
    row.hidden = !fits || view.hidden.has(arcs[skip].kind);
    if (!row.hidden) number++;
  });
  $("#found").textContent = number === rows.length ? "" : `${number} of ${rows.length}`;
  draw();
};

picture.addEventListener("scroll", () => {
  for (const element of all(".cell", svg)) {
    const group = groups[element.dataset.group], label = $(".label", element);
    if (label) label.setAttribute("x", middle(edges[group.first], edges[group.last + 1]));
  }
}, { passive: true });
const target = event => {
  const skip = event.target.closest(".skip"), group = event.target.closest(".cell");
  return [skip ? Number(skip.dataset.skip) : null, group ? groups[group.dataset.group] : null];
};
picture.addEventListener("pointerover", event => { const [skip] = target(event); show(skip === null ? view.kept : skip); });
picture.addEventListener("pointerleave", () => show(view.kept));
picture.addEventListener("focusin", event => { const [skip] = target(event); show(skip === null ? view.kept : skip); });
picture.addEventListener("focusout", event => { if (!picture.contains(event.relatedTarget)) show(view.kept); });
picture.addEventListener("click", event => {
  const [skip, group] = target(event);
  if (skip !== null) keep(skip); else if (group) fold(group); else keep(null);
});
const keyOnSkip = (key, skip) => {
  const order = walked.filter(arc => $(`[data-skip="${arc.skip}"]:not(.off)`, svg)).map(arc => arc.skip), at = order.indexOf(skip);
  if (key === "ArrowRight") goSkip(order[Math.min(at + 1, order.length - 1)]);
  else if (key === "ArrowLeft") goSkip(order[Math.max(at - 1, 0)]);
  else if (key === "Home") goSkip(order[0]);
  else if (key === "End") goSkip(order[order.length - 1]);
  else if (key === "ArrowDown") goGroup(cells(roots).find(group => group.last + 1 > arcs[skip].end));
  else if (key === "Enter" || key === " ") keep(skip);
  else return false;
  return true;
};
const keyOnGroup = (key, group) => {
  const row = groups.filter(other => visible(other) && other.level === group.level), at = row.indexOf(group);
  if (key === "ArrowRight") goGroup(row[Math.min(at + 1, row.length - 1)]);
  else if (key === "ArrowLeft") goGroup(row[Math.max(at - 1, 0)]);
  else if (key === "Home") goGroup(row[0]);
  else if (key === "End") goGroup(row[row.length - 1]);
  else if (key === "ArrowDown") { if (group.open && group.children.length) goGroup(group.children[0]); }
  else if (key === "ArrowUp") { if (group.parent) goGroup(group.parent); else if (view.here !== null) goSkip(view.here); }
  else if (key === "Enter" || key === " ") fold(group);
  else return false;
  return true;
};
picture.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const [skip, group] = target(event);
  if (skip !== null ? keyOnSkip(event.key, skip) : group && keyOnGroup(event.key, group)) event.preventDefault();
});
document.addEventListener("keydown", event => {
  if (event.key === "Escape") { view.kept = null; mark(); show(null); details.hidden = true; }
  else if (event.key === "/" && event.target !== $("#search")) { event.preventDefault(); $("#search").focus(); }
});
for (const button of all("button.kind")) button.addEventListener("click", () => {
  const kind = button.dataset.kind, hide = !view.hidden.delete(kind);
  if (hide) view.hidden.add(kind);
  button.setAttribute("aria-pressed", !hide);
  refresh();
});
const zoom = factor => { view.zoom = Math.min(Math.max(view.zoom * factor, 1), 40); lay(); };
const acts = {
  fold: () => { for (const group of groups) group.open = false; lay(); },
  unfold: () => { for (const group of groups) group.open = group.children.length > 0; lay(); },
  reset: () => { for (const group of groups) group.open = group.start; view.zoom = 1; lay(); },
  in: () => zoom(1.5),
  out: () => zoom(1 / 1.5),
};
for (const button of all("[data-do]")) button.addEventListener("click", acts[button.dataset.do]);
for (const row of rows) row.addEventListener("click", () => { keep(Number(row.dataset.skip)); $("h1").scrollIntoView({ block: "start" }); });
$("#search").addEventListener("input", refresh);
if (steps.length) {
  $(".tools").hidden = false;
  new ResizeObserver(() => { const fresh = measure(); if (fresh.some((value, i) => value !== edges[i])) { edges = fresh; draw(); } }).observe(picture);
  edges = measure();
  draw();
}
