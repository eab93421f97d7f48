// One skip, highlighted in the picture and told in words.
const spans = flat => { const result = []; for (let i = 0; i < flat.length; i += 2) result.push([flat[i], flat[i + 1]]); return result; };
const show = skip => {
  view.shown = skip;
  const arc = skip === null ? null : arcs[skip], bands = $("#bands", svg), ends = $("#ends", svg);
  bands.replaceChildren(); ends.replaceChildren();
  $(".arcs", svg).classList.toggle("dim", arc !== null);
  for (const element of all(".skip.on", svg)) element.classList.remove("on");
  for (const row of rows) row.classList.toggle("on", Number(row.dataset.skip) === skip);
  if (!arc) return;                                 // the last one told stays: the page must not jump
  const own = $(`[data-skip="${skip}"]`, svg);
  if (own) own.classList.add("on");
  const told = arc.arms.length > 3 ? Object.entries(arc.bands) : arc.arms.map(arm => [arm[0], arm[4]]);
  for (const [role, flat] of told) for (const [first, last] of spans(flat))
    for (let i = first; i <= last; i++)
      make(bands, "rect", { class: `band ${role} k-${arc.kind}`, x: edges[i].toFixed(1), y: (-Math.max(tall(i), 2) + 0.5).toFixed(1),
        width: Math.max(edges[i + 1] - edges[i], 0.5).toFixed(1), height: 5 });
  const left = x(arc.starts[0]), right = x(arc.end), letters = arc.split[2].length + arc.join[2].length;
  const tag = (position, step, text, anchor) =>
    make(ends, "text", { class: "end", x: x(position).toFixed(1), y: (-tall(step) + 20).toFixed(1), "text-anchor": anchor }, text);
  const wide = right - left > letters * LETTER + 12, room = left > arc.split[2].length * LETTER + 8;
  if (wide || (room && arc.split[2] !== arc.join[2]))
    tag(arc.starts[0], Math.floor(arc.starts[0]) - 1, arc.split[2], wide ? "start" : "end");
  tag(arc.end, Math.floor(arc.end), arc.join[2], wide || right > edges[edges.length - 1] - 90 ? "end" : "start");
  tell(arc);
};
const tell = arc => {
  details.hidden = false;
  details.className = `k-${arc.kind}`;
  details.replaceChildren();
  html(details, "h2", "", `${arc.skip + 1} ${arc.kind}`);
  const layers = `${arc.bypassed} layer${arc.bypassed === 1 ? "" : "s"}`;
  const facts = html(details, "p", "facts", [`merged by ${arc.merge}`, `bypasses ${layers}`, arc.alignment, ...arc.notes].filter(Boolean).join(" · "));
  for (const mark of arc.marks) { facts.append(" "); html(facts, "strong", "mark", mark); }
  const list = html(details, "dl");
  for (const [name, end] of [["split", arc.split], ["join", arc.join]]) {
    html(list, "dt", "", name);
    const line = html(list, "dd", "", `${end[0]}  `);
    html(line, "span", "place", end[1]);
    line.append(`  ${end[2]}`);
  }
  const arms = html(details, "div", "arms"), home = word(arc.home);
  if (arc.arms.length > 3) tellFeeds(arms, arc, home);
  else for (const arm of arc.arms) {
    const box = html(arms, "div", arm[0]);
    html(box, "h3", "", `${arm[0]}${arm[3] ? ", detached" : ""}`);
    tellArm(html(box, "ol"), arm, home);
  }
};
const within = (i, home) => {                        // a step's name, seen from the join's module
  const step = steps[i], path = step.type ? step.module : `${step.module}.${step.label}`.replace(/^\./, "");
  return home && path.startsWith(`${home}.`) ? path.slice(home.length + 1) : path;
};
const line = (list, name, fact) => {
  const item = html(list, "li");
  html(item, "span", "", name);
  html(item, "span", "", fact);
};
const tellFeeds = (arms, arc, home) => {             // many arms: what each brings, not each step
  for (const role of ["branch", "shortcut"]) {
    const own = arc.arms.filter(arm => arm[0] === role);
    if (!own.length) continue;
    const box = html(arms, "div", role);
    html(box, "h3", "", own.length > 1 ? `${own.length} ${role}${role === "branch" ? "es" : "s"}` : role);
    const list = html(box, "ol");
    for (const [, shape, layers, detached, flat] of own)
      line(list, (flat.length ? within(flat[flat.length - 1], home) : "the split value itself") + (detached ? ", detached" : ""),
        `${layers ? `${layers} layer${layers === 1 ? "" : "s"}, ` : ""}${word(shape)}`);
  }
};
const tellArm = (list, [, shape, , , flat], home) => {
  const way = spans(flat).flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
  if (!way.length) line(list, "the split value itself", word(shape));
  way.forEach((i, number) => {
    if (way.length <= 14 || number < 8 || number >= way.length - 4) line(list, `${within(i, home)}  ${steps[i].type}`, steps[i].shape);
    else if (number === 8) line(list, `… ${way.length - 12} more steps …`, "");
  });
};

