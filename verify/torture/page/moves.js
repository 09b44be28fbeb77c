// Moving in time, and saying what is under the pointer.

const seconds = t => `${(t / 1000).toFixed(3)} s`, lasting = t => t < 1000 ? `${t.toFixed(t < 10 ? 1 : 0)} ms` : `${(t / 1000).toFixed(2)} s`;
const clientName = c => `client ${c + 1}, ${D.clients[c].adapter}`;

function describe(t) {
  const lines = [`${t.names.map(n => D.names[n]).join(", ")} · ${clientName(t.client)} · ${t.mode}`];
  if (t.error) return [...lines, `asked at ${seconds(t.call)}, not granted after ${lasting(t.ret - t.call)}`, t.error].join("\n");
  lines.push(`granted at ${seconds(t.ret)} after ${lasting(t.ret - t.call)}, held ${t.end > t.ret ? `for ${lasting(t.end - t.ret)}` : "never with certainty"}, valid until ${seconds(t.until)}`);
  if (t.ret < t.alone && t.alone < t.end) lines.push(`a reader since ${seconds(t.alone)}`);
  if (t.token) lines.push(`token ${t.token}`);
  if (t.lost) lines.push(`ended before Unlock: ${t.lost}`);
  if (t.killed) lines.push(`its process was killed at ${seconds(t.killed)}${t.end > t.killed ? ": held on until its deadline" : ""}`);
  if (t.denied) lines.push(`Unlock: ${t.denied}`);
  if (t.writes) lines.push(`${t.writes} writes${t.refused ? `, ${t.refused} refused by the fence` : ""}`);
  for (const m of D.marks) if (m.tries.includes(t.i)) lines.push(`VIOLATION: ${m.text}`);
  return lines.join("\n");
}
function describeFault(f) {
  const where = f.nodes.length === 0 ? `worker ${f.process + 1}`
    : `${f.process < 0 ? "" : `worker ${f.process + 1} and `}server ${f.nodes.map(n => n + 1).join(", ")}`;
  return [`${f.kind}${f.how ? ` (${f.how})` : ""}: ${where}`, `from ${seconds(f.begin)} for ${lasting(f.end - f.begin)}`,
    f.error || (f.felt ? `felt ${f.felt} times` : "not felt")].join("\n");
}
function describeTarget(target) {
  const d = target.dataset || {};
  if (d.try !== undefined) return describe(tries[d.try]);
  if (d.fault !== undefined) return describeFault(D.faults[d.fault]);
  if (d.late !== undefined) return D.late[d.late].text;
  return "";
}

const chart = document.getElementById("chart"), lanes = document.getElementById("lanes"), overview = document.getElementById("overview");
const tip = document.getElementById("tip"), details = document.getElementById("details");
const say = text => { details.textContent = text.replaceAll("\n", " · "); };

let planned = false;
function redraw() { // once a frame, however often it is asked for
  if (!planned) requestAnimationFrame(() => { planned = false; draw(); });
  planned = true;
}
function show(from, to) {
  const span = Math.min(Math.max(to - from, 5), D.length);
  view.from = Math.min(Math.max(from, 0), D.length - span);
  view.to = view.from + span;
  redraw();
}
const zoom = (factor, at = (view.from + view.to) / 2) => show(at - (at - view.from) * factor, at + (view.to - at) * factor);
const move = part => show(view.from + part * (view.to - view.from), view.to + part * (view.to - view.from));
function visit(at, to) {
  const span = Math.max(1500, (to - at) * 3);
  show((at + to - span) / 2, (at + to + span) / 2);
}
let visited = -1; // of the sights
function sight(direction) {
  const last = sights[visited];
  const near = last && last.at <= view.to && last.to >= view.from; // else it has been left behind
  const next = near ? visited + direction
    : direction > 0 ? sights.findIndex(s => s.to >= view.from) : sights.findLastIndex(s => s.at <= view.to);
  const on = sights[next];
  if (!on) return say(sights.length ? "no more in this direction" : "there is neither a violation nor a loss");
  visited = next;
  visit(on.at, on.to);
  if (on.t) view.chosen = on.t.i;
  say(on.t ? describe(on.t) : on.text);
}
function step(direction) {
  const now = holds.findIndex(t => t.i === view.chosen);
  const first = holds.findIndex(t => t.ret >= view.from);
  const t = holds[now < 0 ? Math.max(0, first) : Math.min(holds.length - 1, Math.max(0, now + direction))];
  if (!t) return;
  view.chosen = t.i;
  if (t.ret < view.from || holdEnd(t) > view.to) show(t.ret - (view.to - view.from) / 2, t.ret + (view.to - view.from) / 2);
  redraw();
  say(describe(t));
}
const actions = {
  in: () => zoom(.5), out: () => zoom(2), all: () => show(0, D.length), next: () => sight(1), previous: () => sight(-1),
  left: () => move(-.2), right: () => move(.2), first: () => show(0, view.to - view.from), last: () => show(D.length - (view.to - view.from), D.length),
  before: () => step(-1), after: () => step(1),
};
const keys = {
  "+": "in", "=": "in", "-": "out", "0": "all", n: "next", p: "previous", ArrowLeft: "left", ArrowRight: "right",
  ArrowUp: "in", ArrowDown: "out", Home: "first", End: "last", ",": "before", ".": "after",
};
chart.addEventListener("keydown", e => {
  const action = keys[e.key];
  if (!action || e.ctrlKey || e.metaKey || e.altKey) return;
  e.preventDefault();
  actions[action]();
});
document.querySelector(".tools").addEventListener("click", e => {
  const b = e.target.closest("button");
  if (b) actions[b.dataset.do]();
});
document.querySelectorAll("button.mark").forEach(b => b.addEventListener("click", () => {
  visit(+b.dataset.at, +b.dataset.to);
  chart.scrollIntoView({ block: "nearest" });
  chart.focus({ preventScroll: true });
}));

lanes.addEventListener("wheel", e => {
  e.preventDefault();
  const sideways = e.shiftKey ? e.deltaY : e.deltaX;
  if (Math.abs(sideways) > Math.abs(e.shiftKey ? 0 : e.deltaY)) return move(sideways / 800);
  zoom(Math.exp(Math.max(-100, Math.min(100, e.deltaY)) / 300), timeAt(e.clientX - lanes.getBoundingClientRect().left));
}, { passive: false });

const fingers = new Map(); // where each pointer is
lanes.addEventListener("pointerdown", e => {
  fingers.set(e.pointerId, e.clientX);
  lanes.setPointerCapture(e.pointerId);
  lanes.classList.add("moving");
  say(describeTarget(e.target));
});
lanes.addEventListener("pointermove", e => {
  if (!fingers.has(e.pointerId)) return hover(e);
  const scale = (view.to - view.from) / (view.width - view.gutter - 8);
  const before = [...fingers.values()];
  fingers.set(e.pointerId, e.clientX);
  const after = [...fingers.values()];
  if (after.length === 1) {
    show(view.from - (after[0] - before[0]) * scale, view.to - (after[0] - before[0]) * scale);
  } else if (after.length === 2) {
    const apart = Math.abs(after[0] - after[1]), were = Math.abs(before[0] - before[1]);
    if (apart > 10 && were > 10) zoom(were / apart, timeAt((after[0] + after[1]) / 2 - lanes.getBoundingClientRect().left));
  }
});
for (const over of ["pointerup", "pointercancel"]) lanes.addEventListener(over, e => {
  fingers.delete(e.pointerId);
  if (!fingers.size) lanes.classList.remove("moving");
});
function hover(e) {
  const text = e.pointerType === "touch" ? "" : describeTarget(e.target);
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(e.clientX + 14, innerWidth - box.width - 8))}px`;
  tip.style.top = `${e.clientY + 18 + box.height > innerHeight ? e.clientY - box.height - 12 : e.clientY + 18}px`;
}
lanes.addEventListener("pointerleave", () => { tip.hidden = true; });

function brush(e) {
  const part = (e.clientX - overview.getBoundingClientRect().left - view.gutter) / (view.width - view.gutter - 8);
  const span = view.to - view.from < D.length ? view.to - view.from : D.length / 8;
  show(part * D.length - span / 2, part * D.length + span / 2);
}
overview.addEventListener("pointerdown", e => { overview.setPointerCapture(e.pointerId); brush(e); });
overview.addEventListener("pointermove", e => { if (e.buttons) brush(e); });

new ResizeObserver(redraw).observe(chart);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
// A link can lead to a part: #12000-15000.
const part = /^#(\d+)-(\d+)$/.exec(location.hash);
if (part) show(+part[1], +part[2]);
draw();
