"use strict";
(() => {
const byId = (id) => document.getElementById(id);
const run = JSON.parse(byId("run").textContent);
const word = (i) => run.words[i || 0];
const AXIS = 96, MESSAGES = new Set(["send", "recv", "drop"]);
const LOUD = new Set(["crash", "start", "restart", "ended", "pause", "resume", "partition", "heal", "fault", "violation"]);

// ---- the rows, their messages and their causes
let number = 0, at = run.begin;
const rows = run.rows.map((r, i) => {
  number += r[0] || 0; at += r[1] || 0;
  const flags = r[8] || 0;
  return { i, number, at, kind: word(r[2]), lane: (r[3] || 0) - 1, peer: (r[4] || 0) - 1, label: word(r[5]), body: word(r[6]),
    cause: r[7] ? i - r[7] : -1, guessed: (flags & 1) === 1, skipped: flags >> 1, joined: r[9] ? i + r[9] : -1, effects: [], arrows: 0 };
});
for (const row of rows) if (row.cause >= 0) rows[row.cause].effects.push(row.i);
const arrows = [];
for (const row of rows) {
  const sent = row.cause >= 0 ? rows[row.cause] : null;
  if ((row.kind === "recv" || row.kind === "drop") && sent && sent.kind === "send" && !row.guessed) {
    arrows.push({ from: sent, to: row, lost: row.kind === "drop" });
    sent.arrows += 1;
    row.label = sent.label; row.send = sent; row.body = row.body || sent.body;
  }
}
for (const arrow of [...arrows]) arrow.from.to = arrow;
for (const row of rows) {
  const other = row.joined >= 0 && rows[row.joined].to;
  if (other) { arrows.push({ from: row, to: other.to, lost: other.lost }); row.arrows += 1; }
}
for (const row of rows) if (row.kind === "send" && !row.arrows) arrows.push({ from: row, to: null, lost: true });
const isMessage = (row) => MESSAGES.has(row.kind);
const filterName = (row) => (isMessage(row) ? row.label : row.kind);
const laneName = (lane) => (lane >= 0 ? run.lanes[lane][0] : "everybody");
const seconds = (ns) => { const text = (ns / 1e9).toFixed(9).replace(/0+$/, ""), dot = text.indexOf("."); return text + "0".repeat(Math.max(0, dot + 4 - text.length)); };
const said = (row) => {
  if (isMessage(row)) {
    const [from, to] = row.kind === "recv" ? [row.peer, row.lane] : [row.lane, row.peer];
    return `${row.kind} ${row.label} ${laneName(from)} → ${laneName(to)}`;
  }
  return row.kind;
};
const tale = (row) => `${seconds(row.at)} s · event ${row.number} · ${laneName(row.lane)}\n${said(row)}\n${row.body}`.trim();

// ---- filters: kinds by how many there are, hosts in the order of their lanes
const counts = new Map();
for (const row of rows) if (row.kind !== "recv" && row.kind !== "drop" || !row.send) counts.set(filterName(row), (counts.get(filterName(row)) || 0) + 1);
const messageKinds = new Set(rows.filter(isMessage).map((row) => row.label));
const names = [...counts.keys()].sort((a, b) => messageKinds.has(b) - messageKinds.has(a) || counts.get(b) - counts.get(a) || (a < b ? -1 : 1));
const colours = new Map();
names.filter((name) => messageKinds.has(name)).forEach((name, i) => colours.set(name, `var(--c${Math.min(i, 8)})`));
const colour = (name) => colours.get(name) || "var(--c8)";
const hidden = { kinds: new Set(), hosts: new Set() };
const told = new Set();  // the violation and what led to it: never hidden with its kind
for (let i = run.violation; i >= 0; i = rows[i].cause) told.add(i);
const visible = (row) => told.has(row.i) || !hidden.kinds.has(filterName(row)) && !hidden.hosts.has(row.lane);

const el = (tag, attributes, text) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
const svg = (tag, attributes, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) made.setAttribute(name, attributes[name]);
  if (text !== undefined) made.textContent = text;
  return made;
};
function chip(box, text, shade, off, key, all) {
  const made = el("button", { class: "chip", title: "click: hide or show; double click: only this", "data-key": String(key) });
  if (shade) { const dot = el("i"); dot.style.background = shade; made.append(dot); }
  made.append(text);
  const update = () => { for (const other of box.children) other.classList.toggle("off", off.has(other.dataset.key) || off.has(Number(other.dataset.key))); draw(); };
  made.addEventListener("click", (event) => {
    if (event.detail > 1) return;
    if (off.has(key)) off.delete(key); else off.add(key);
    update();
  });
  made.addEventListener("dblclick", () => {
    const only = all.every((other) => other === key || off.has(other));
    off.clear();
    if (!only) for (const other of all) if (other !== key) off.add(other);
    update();
  });
  box.append(made);
}
names.forEach((name) => chip(byId("kinds"), `${name} ${counts.get(name)}`, messageKinds.has(name) ? colour(name) : "", hidden.kinds, name, names));
const lanesAll = run.lanes.map((_, lane) => lane);
for (const made of byId("kinds").children) if (run.quiet.includes(made.dataset.key) || run.beats.includes(made.dataset.key)) { hidden.kinds.add(made.dataset.key); made.classList.add("off"); }
lanesAll.forEach((lane) => chip(byId("hosts"), run.lanes[lane][0], "", hidden.hosts, lane, lanesAll));

// ---- where things are
const chart = byId("chart"), diagram = byId("diagram");
let zoom = 1, scale = "order", ys = [], height = 0, xs = new Map(), chosen = -1, step = 0, drawn = { from: 0, to: 0 };
const tip = byId("tip");
const x = (lane) => xs.get(lane);
function place() {
  const shown = run.lanes.map((_, lane) => lane).filter((lane) => !hidden.hosts.has(lane));
  const width = Math.max(chart.clientWidth - 2, AXIS + 66 * shown.length);
  const step = (width - AXIS - 20) / Math.max(1, shown.length);
  xs = new Map(shown.map((lane, i) => [lane, AXIS + step * (i + 0.5)]));
  ys = new Array(rows.length);
  let y = 30, before = null;
  const pixels = Math.min(24000, 5000 * zoom) / Math.max(1, run.end - run.begin);
  for (const row of rows) {
    if (!visible(row)) { ys[row.i] = y; continue; }
    if (scale === "true") y = 30 + (row.at - run.begin) * pixels;
    else if (before) y += zoom * (row.at === before.at ? (row.lane === before.lane ? 7 : 3) : Math.min(30, 6 + 4 * Math.log10(1 + (row.at - before.at) / 1000)));
    ys[row.i] = y; before = row;
  }
  height = (scale === "true" ? 30 + (run.end - run.begin) * pixels : y) + 140;
  diagram.setAttribute("width", width); diagram.setAttribute("height", height);
  return step;
}
// The height of a moment: between the rows beside it.
function yAt(ns) {
  if (!rows.length) return 30;
  if (scale === "true") return 30 + (ns - run.begin) * Math.min(24000, 5000 * zoom) / Math.max(1, run.end - run.begin);
  let low = 0, high = rows.length;
  while (low < high) { const middle = (low + high) >> 1; if (rows[middle].at < ns) low = middle + 1; else high = middle; }
  if (low === 0) return ys[0] - 8;
  if (low === rows.length) return ys[low - 1] + (ns > rows[low - 1].at ? 20 : 0);
  const a = rows[low - 1], b = rows[low];
  return ys[low - 1] + (ys[low] - ys[low - 1]) * (b.at === a.at ? 1 : (ns - a.at) / (b.at - a.at));
}

// ---- the diagram
function draw() {
  step = place();
  const lanes = byId("lanes");
  lanes.replaceChildren(...[...xs].map(([lane, at_x]) => { const s = el("span", { class: run.lanes[lane][1] ? "client" : "" }, run.lanes[lane][0]); s.style.left = `${at_x}px`; return s; }));
  lanes.style.width = `${diagram.getAttribute("width")}px`;
  drawOverview();
  paint();
}
// Only what is near the visible part stands in the document; scrolling paints the next part.
function paint() {
  tip.hidden = true;
  drawn = { from: chart.scrollTop - 1.5 * chart.clientHeight, to: chart.scrollTop + 2.5 * chart.clientHeight };
  const ground = svg("g", {}), base = svg("g", { class: "base" });
  drawTime(ground);
  for (const [lane, at_x] of xs) ground.append(svg("line", { class: "lane", x1: at_x, x2: at_x, y1: 8, y2: height - 20 }));
  drawSpans(ground);
  for (const arrow of arrows) drawArrow(base, arrow);
  drawDots(base);
  const top = svg("g", {});
  drawFacts(top);
  const pattern = svg("pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
  pattern.append(svg("line", { x1: 0, x2: 0, y1: 0, y2: 7, stroke: "var(--hatch)", "stroke-width": 3 }));
  const defs = svg("defs", {}); defs.append(pattern);
  diagram.replaceChildren(defs, ground, base, top);
  drawChain();
}
const near = (from, to) => Math.max(from, to) >= drawn.from && Math.min(from, to) <= drawn.to;
function drawTime(ground) {
  let free = -100, before = null;
  for (const row of rows) {
    if (!visible(row)) continue;
    const y = ys[row.i];
    if (!near(y, y)) { before = row; continue; }
    if (scale === "order" && before && row.at - before.at >= 50e6) {
      ground.append(svg("line", { class: "cut", x1: AXIS - 6, x2: diagram.getAttribute("width") - 6, y1: y - 9 * zoom, y2: y - 9 * zoom }));
    }
    if (y - free >= 26 && (!before || row.at !== before.at)) {
      ground.append(svg("text", { x: AXIS - 12, y: y + 4, "text-anchor": "end" }, (row.at / 1e9).toFixed(6)));
      ground.append(svg("line", { class: "grid", x1: AXIS - 8, x2: diagram.getAttribute("width") - 6, y1: y, y2: y }));
      free = y;
    }
    before = row;
  }
}
function drawSpans(ground) {
  for (const [kind, lane, from, to, text] of run.spans) {
    if (!xs.has(lane) || (kind === "call" || kind === "unanswered") && hidden.kinds.has("client.call")) continue;
    const y = yAt(from), wide = { apart: 26, call: 10, unanswered: 4 }[kind] || 18;
    const band = svg("rect", { class: kind, x: x(lane) - wide / 2, y, width: wide, height: Math.max(3, yAt(to) - y), rx: 2 });
    band.dataset.tip = `${laneName(lane)}: ${{ apart: "cut off", unanswered: "call without an answer" }[kind] || kind}, ${seconds(from)} s to ${seconds(to)} s\n${word(text)}`;
    ground.append(band);
  }
}
function drawArrow(base, { from, to, lost }) {
  if (!visible(from) || hidden.hosts.has(from.peer) || !xs.has(from.lane)) return;
  const x1 = x(from.lane), y1 = ys[from.i], shade = colour(from.label);
  const x2 = xs.has(from.peer) ? x(from.peer) : x1 + 40, y2 = to ? ys[to.i] : y1 + 12;
  if (!near(y1, y2)) return;
  let tipX = x2, tipY = y2;
  if (lost) { const part = Math.min(0.45, 70 / Math.max(1, Math.abs(x2 - x1))); tipX = x1 + (x2 - x1) * part; tipY = y1 + Math.min(14, Math.max(6, (y2 - y1) * part)); }
  const i = (to || from).i;
  const path = `M${x1} ${y1}L${tipX} ${tipY}`;
  base.append(svg("path", { class: "hit", d: path, "data-i": i }));
  base.append(svg("path", { class: lost ? "arrow lost" : "arrow", d: path, stroke: shade, "data-i": i }));
  if (lost) {
    const d = to ? `M${tipX - 4} ${tipY - 4}l8 8m0 -8l-8 8` : `M${tipX - 3} ${tipY}h6`;
    base.append(svg("path", { class: "arrow", d, stroke: shade, "stroke-width": 2, "data-i": i }));
  } else {
    const turn = Math.atan2(tipY - y1, tipX - x1), a = turn + 2.75, b = turn - 2.75;
    base.append(svg("path", { d: `M${tipX} ${tipY}l${7 * Math.cos(a)} ${7 * Math.sin(a)}L${tipX + 7 * Math.cos(b)} ${tipY + 7 * Math.sin(b)}z`, fill: shade, "data-i": i }));
  }
}
function drawDots(base) {
  const free = new Map();
  for (const row of rows) {
    if (!visible(row)) continue;
    const y = ys[row.i], worldwide = row.lane < 0;
    if (!near(y, y)) continue;
    if (LOUD.has(row.kind) && row.i !== run.violation) {
      const at_x = worldwide ? AXIS - 2 : x(row.lane);
      if (worldwide) base.append(svg("line", { class: "fault-line", x1: AXIS - 6, x2: diagram.getAttribute("width") - 6, y1: y, y2: y }));
      base.append(svg("path", { class: "fault", d: `M${at_x} ${y - 6}l6 6l-6 6l-6 -6z`, "data-i": row.i }));
      if (y - (free.get(row.lane) ?? -99) >= 12) {
        const text = row.kind === "fault" ? row.body : `${row.kind} ${row.body}`;
        base.append(svg("text", { class: "fault-text", x: at_x + 10, y: worldwide ? y - 9 : y - 3, "data-i": row.i }, shorten(text, worldwide ? 900 : step - 14)));
        free.set(row.lane, y);
      }
    } else if (!worldwide && row.i !== run.violation && !(row.kind === "drop" && row.send)) {
      const quiet = row.kind === "send" || row.kind === "recv";
      base.append(svg("circle", { class: "dot", cx: x(row.lane), cy: y, r: quiet ? 2.5 : 4, fill: isMessage(row) ? colour(row.label) : "var(--lane)", "data-i": row.i }));
      const room = Math.max(step - 12, row.kind.startsWith("client.") ? 120 : 0);
      if (!isMessage(row) && row.body && zoom >= 0.7 && (room > 90 || row.kind !== "fsync") && y - (free.get(row.lane) ?? -99) >= 12) {
        base.append(svg("text", { class: "said", x: x(row.lane) + 8, y: y + 4, "data-i": row.i }, shorten(`${row.kind.replace("client.", "")} ${row.kind.startsWith("client.") ? row.body : row.body.replace(/\S*\/(?=\S)/g, "").replace(/0{6,}/g, "…")}`, room)));
        free.set(row.lane, y);
      }
    }
  }
}
const shorten = (text, width) => { const most = Math.max(4, Math.floor(width / 6)); return text.length > most ? text.slice(0, most - 1) + "…" : text; };
function drawFacts(top) {
  run.facts.forEach((fact, n) => {
    const row = rows[fact[5]];
    if (!row || !visible(row) || !xs.has(row.lane)) return;
    top.append(svg("circle", { class: "fact", cx: x(row.lane), cy: ys[row.i], r: 8 }));
    top.append(svg("text", { class: "fact-text", x: x(row.lane) - 20, y: ys[row.i] + 4 }, String.fromCharCode(65 + n)));
  });
  const bad = rows[run.violation];
  if (!bad) return;
  const y = ys[bad.i], wide = diagram.getAttribute("width") - 6;
  top.append(svg("line", { class: "bad-line", x1: 4, x2: wide, y1: y, y2: y, "data-i": bad.i }));
  const at_x = xs.has(bad.lane) ? x(bad.lane) : AXIS;
  top.append(svg("path", { class: "bad", d: `M${at_x - 7} ${y - 7}l14 14m0 -14l-14 14`, "data-i": bad.i }));
  top.append(svg("text", { class: "bad-text", x: AXIS, y: y + 16, "data-i": bad.i }, shorten(`${run.invariant} ${run.message}`, wide - AXIS)));
}

// ---- one event, what led to it, and what it led to
function ancestors(i) { const found = []; while (i >= 0) { found.unshift(i); i = rows[i].cause; } return found; }
function effects(i) {
  const found = [], queue = [i];
  while (queue.length && found.length < 60) for (const next of rows[queue.shift()].effects) { found.push(next); queue.push(next); }
  return found;
}
function drawChain() {
  diagram.querySelector("#chosen")?.remove();
  diagram.classList.toggle("dimmed", chosen >= 0 && chosen !== run.violation);
  if (chosen < 0) return;
  const group = svg("g", { id: "chosen" });
  const link = (i, extra) => {
    const row = rows[i], from = rows[row.cause];
    if (!from || !xs.has(from.lane) || !xs.has(row.lane)) return;
    group.append(svg("path", { class: `chain ${extra}${row.guessed ? " guess" : ""}`, d: `M${x(from.lane)} ${ys[from.i]}L${x(row.lane)} ${ys[row.i]}` }));
  };
  for (const i of effects(chosen)) link(i, "effect");
  const chain = ancestors(chosen);
  for (const i of chain) { link(i, ""); if (xs.has(rows[i].lane)) group.append(svg("circle", { class: "ring", cx: x(rows[i].lane), cy: ys[i], r: 5 })); }
  diagram.append(group);
}
function choose(i, scroll) {
  chosen = i;
  drawChain();
  const box = byId("selected");
  box.replaceChildren();
  if (i < 0) return;
  const row = rows[i];
  box.append(el("h2", {}, `Event ${row.number}`), el("code", {}, tale(row)));
  const chain = ancestors(i), after = effects(i);
  box.append(el("h2", {}, `What led to it (${chain.length - 1})`));
  for (const n of chain.slice(0, -1).reverse()) box.append(line(n, rows[n]));
  if (row.skipped) box.append(el("p", { class: "quiet" }, `${row.skipped} events between are not shown`));
  if (chain.some((n) => rows[n].guessed)) box.append(el("p", { class: "quiet" }, "≈ nobody noted the cause: it is what came there last, at the same instant or shortly before"));
  if (after.length) box.append(el("h2", {}, `What it led to (${after.length}${after.length >= 60 ? "+" : ""})`));
  for (const n of after.slice(0, 30)) box.append(line(n, rows[n]));
  if (scroll) show(i);
}
function line(i, row) {
  const made = el("button", { class: "row", "data-go": i });
  made.append(el("time", {}, seconds(row.at)), el("b", {}, laneName(row.lane)), `${row.guessed ? "≈ " : ""}${said(row)} ${isMessage(row) ? "" : row.body}`);
  return made;
}
function show(i) {
  const at_x = x(rows[i].lane) || 0, seen = at_x >= chart.scrollLeft && at_x <= chart.scrollLeft + chart.clientWidth;
  chart.scrollTo({ top: ys[i] - chart.clientHeight / 2, left: seen ? chart.scrollLeft : Math.max(0, at_x - chart.clientWidth / 2) });
  chart.onscroll();
}
// The next event, round the end, that is shown and says this.
function find(text, forward) {
  const wanted = text.trim().toLowerCase(), count = rows.length;
  byId("found").textContent = "";
  if (!wanted) return;
  const matches = rows.filter((row) => visible(row) && (row.lane < 0 || xs.has(row.lane)) && tale(row).toLowerCase().includes(wanted));
  if (!matches.length) { byId("found").textContent = "nothing"; return; }
  const next = forward ? matches.find((row) => row.i > chosen) || matches[0] : [...matches].reverse().find((row) => row.i < (chosen < 0 ? count : chosen)) || matches.at(-1);
  byId("found").textContent = `${matches.indexOf(next) + 1} of ${matches.length}`;
  choose(next.i, true);
}
function showMoment(ns) { chart.scrollTo({ top: yAt(ns) - chart.clientHeight / 2 }); chart.onscroll(); }

// ---- the whole run beside it
function drawOverview() {
  const box = byId("overview"), tall = box.clientHeight || 600, most = Math.max(1, ...run.density), span = Math.max(1, run.end - run.begin);
  const y = (ns) => 6 + (tall - 12) * (ns - run.begin) / span;
  const parts = [];
  run.density.forEach((count, i) => {
    const size = (tall - 12) / run.density.length;
    if (count) parts.push(svg("rect", { x: 8, y: 6 + i * size, width: Math.max(1, 48 * Math.sqrt(count / most)), height: Math.max(1, size - 0.5), fill: "var(--lane)", opacity: 0.5 }));
  });
  for (const [kind, , from, to] of run.spans) if (kind !== "call" && kind !== "unanswered") parts.push(svg("rect", { x: 2, y: y(from), width: 4, height: Math.max(2, y(to) - y(from)), fill: kind === "apart" ? "var(--hatch)" : "var(--down)" }));
  for (const row of rows) if (LOUD.has(row.kind)) parts.push(svg("line", { x1: 8, x2: 30, y1: y(row.at), y2: y(row.at), stroke: "var(--hatch)" }));
  const bad = rows[run.violation];
  if (bad) parts.push(svg("line", { x1: 0, x2: 64, y1: y(bad.at), y2: y(bad.at), stroke: "var(--bad)", "stroke-width": 3 }));
  const here = svg("rect", { id: "here", x: 1, width: 62, rx: 2, fill: "var(--accent)", opacity: 0.25 });
  parts.push(here);
  box.replaceChildren(...parts);
  box.onclick = (event) => showMoment(run.begin + (event.offsetY - 6) / (tall - 12) * span);
  chart.onscroll = () => {
    if (chart.scrollTop < drawn.from + chart.clientHeight / 2 && drawn.from > 0 || chart.scrollTop + 1.5 * chart.clientHeight > drawn.to && drawn.to < height) paint();
    const [from, to] = [momentAt(chart.scrollTop), momentAt(chart.scrollTop + chart.clientHeight)];
    here.setAttribute("y", y(from) - 2); here.setAttribute("height", Math.max(5, y(to) - y(from) + 4));
  };
}
function momentAt(y) {
  let low = 0, high = rows.length - 1;
  while (low < high) { const middle = (low + high) >> 1; if (ys[middle] < y) low = middle + 1; else high = middle; }
  return rows.length ? rows[low].at : run.begin;
}

// ---- words around it
byId("verdict").textContent = run.verdict;
byId("verdict").classList.toggle("pass", !run.failed);
byId("invariant").textContent = run.invariant;
byId("message").textContent = run.message; byId("message").title = run.message;
if (run.facts.length) byId("facts").append(el("h2", {}, "These contradict each other"));
run.facts.forEach(([text, host, term, index, ns, i], n) => {
  const made = el("button", { class: "row" }), where = [host, term === null ? "" : `term ${term}`, index === null ? "" : `index ${index}`];
  if (i >= 0) made.dataset.go = i; else if (ns !== null) made.dataset.moment = ns;
  made.append(el("b", {}, `${String.fromCharCode(65 + n)} ${where.filter(Boolean).join(" ")}`), ns === null ? "" : el("time", {}, seconds(ns)), text);
  byId("facts").append(made);
});
byId("thinned").textContent = run.total > rows.length ? `${rows.length} of ${run.total} events: what is near the violation, and a sample of the others. A replay shows the rest.` : `all ${run.total} events`;
if (run.plan.length) byId("plan").append(el("h2", {}, `Fault plan (${run.plan.length})`));
for (const [ns, text] of run.plan) byId("plan").append(el("button", { class: "row", "data-moment": ns }, text));
byId("again").append(el("h2", {}, "Again"), el("code", {}, run.replay), el("p", { class: "quiet" }, run.origin));

// ---- hands
document.querySelector("aside").addEventListener("click", (event) => {
  const row = event.target.closest("[data-go], [data-moment]");
  if (!row) return;
  if (row.dataset.go !== undefined) choose(Number(row.dataset.go), true); else showMoment(Number(row.dataset.moment));
});
diagram.addEventListener("click", (event) => choose(event.target.dataset.i === undefined ? -1 : Number(event.target.dataset.i), false));
diagram.addEventListener("mousemove", (event) => {
  const { i, tip: text } = event.target.dataset;
  tip.hidden = i === undefined && text === undefined;
  if (tip.hidden) return;
  const row = rows[Number(i)];
  tip.textContent = row ? tale(row) + (row.send ? `\nsent at ${seconds(row.send.at)} s, ${((row.at - row.send.at) / 1e6).toFixed(3)} ms before` : "") : text;
  tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
});
diagram.addEventListener("mouseleave", () => { tip.hidden = true; });
function zoomBy(factor) {
  const middle = momentAt(chart.scrollTop + chart.clientHeight / 2);
  zoom = Math.min(6, Math.max(0.2, zoom * factor)); draw(); showMoment(middle);
}
const home = () => { if (rows[run.violation]) choose(run.violation, true); else showMoment(run.end); };
byId("in").onclick = () => zoomBy(1.4);
byId("out").onclick = () => zoomBy(1 / 1.4);
byId("home").onclick = home;
byId("find").addEventListener("keydown", (event) => { if (event.key === "Enter") find(event.target.value, !event.shiftKey); if (event.key === "Escape") { event.target.value = ""; byId("found").textContent = ""; event.target.blur(); } });
byId("clear").onclick = () => { hidden.kinds.clear(); hidden.hosts.clear(); document.querySelectorAll(".chip").forEach((c) => c.classList.remove("off")); choose(-1); draw(); };
byId("scale").onchange = (event) => { const middle = momentAt(chart.scrollTop + chart.clientHeight / 2); scale = event.target.value; draw(); showMoment(middle); };
const root = document.documentElement;
root.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
byId("theme").onclick = () => root.classList.toggle("dark");
addEventListener("resize", draw);
addEventListener("keydown", (event) => {
  if (["SELECT", "INPUT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = { Escape: () => byId("clear").click(), v: home, "+": () => zoomBy(1.4), "-": () => zoomBy(1 / 1.4),
    "/": () => { event.preventDefault(); byId("find").focus(); },
    c: () => { if (chosen >= 0 && rows[chosen].cause >= 0) choose(rows[chosen].cause, true); } };
  keys[event.key]?.();
});
draw();
const asked = /^#e(\d+)$/.exec(location.hash), wanted = asked && rows.find((row) => row.number === Number(asked[1]));
if (wanted) choose(wanted.i, true); else home();
})();
