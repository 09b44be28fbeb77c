// The lanes: what there is to draw, and where. Times are milliseconds of the run.

const KINDS = { // of faults, and the family that gives the color
  "freeze": "slow", "client pause": "slow", "debug sleep": "slow",
  "kill": "down", "return empty": "down", "forget": "down", "tail lost": "down", "flushall": "down",
  "out of memory": "refuse", "script flush": "refuse", "read only": "refuse", "no rights": "refuse", "full": "refuse",
  "delay": "net", "trickle": "net", "torn replies": "net", "doubled": "net", "cut": "net", "idle cuts": "net", "slow dials": "net", "proxy errors": "net", "partition": "net", "requests held": "net", "replies held": "net",
  "process stopped": "stop", "process killed": "down",
};
const tries = D.tries.map((t, i) => ({
  i, client: t[0], names: t[1], mode: D.words[t[2]], call: t[3], ret: t[4], error: D.words[t[5]], token: t[6],
  end: t[7], until: t[8], lost: D.words[t[9]], unlock: t[10], unlocked: t[11], denied: D.words[t[12]], writes: t[13], refused: t[14], killed: t[15],
  alone: t[16], // until when no one else held it: a reader, never
}));
const holds = tries.filter(t => !t.error).sort((a, b) => a.ret - b.ret);
const bad = new Set(D.marks.flatMap(m => m.tries));
// Holds of one lock that overlap lie side by side: two of which one is wrong, and readers.
const ends = {}, busy = {}, ROWS = 4;
for (const t of holds) {
  t.half = bad.has(t.i);
  t.lower = new Set();
  for (const name of t.names) {
    const [upper = -1, lower = -1] = ends[name] || [], below = t.ret < upper && lower <= t.ret;
    if (below) t.lower.add(name);
    ends[name] = below ? [upper, t.end] : [Math.max(upper, t.end), lower];
  }
}
const reads = holds.filter(t => t.alone < t.end).sort((a, b) => a.alone - b.alone);
for (const t of reads) { // one lock each
  const rows = busy[t.names[0]] ||= new Array(ROWS).fill(-1), left = rows.findIndex(end => end <= t.alone);
  t.row = left >= 0 ? left : rows.indexOf(Math.min(...rows));
  rows[t.row] = t.end;
}
// What n and p go to.
const sights = [
  ...D.marks.map(m => ({ at: m.at, to: m.to, text: m.text })),
  ...holds.filter(t => t.lost || t.killed).map(t => ({ at: t.ret, to: t.unlock, t })),
  ...D.late.map(s => ({ at: s.at, to: s.to, text: s.text })),
].sort((a, b) => a.at - b.at);

const adapterOf = c => D.adapters.indexOf(D.clients[c].adapter);
const view = { from: 0, to: D.length, width: 0, gutter: 0, chosen: -1 };
const x = t => view.gutter + (t - view.from) / (view.to - view.from) * (view.width - view.gutter - 8);
const timeAt = px => view.from + (px - view.gutter) / (view.width - view.gutter - 8) * (view.to - view.from);

// lanes lists the rows from top to bottom.
function layout() {
  const rows = [];
  let y = 24;
  const head = text => { rows.push({ head: text, y: y + 14 }); y += 20; };
  const lane = (height, row) => { rows.push({ ...row, y, height }); y += height + 3; };
  head("locks");
  D.names.forEach((name, n) => lane(32, { label: name, name: n }));
  y += 6;
  head("clients");
  D.clients.forEach((c, i) => {
    if (i && D.clients[i - 1].process !== c.process) y += 5;
    lane(18, { label: view.gutter > 100 ? `${i + 1} ${c.adapter}` : `client ${i + 1}`, client: i });
  });
  y += 6;
  head("servers");
  for (let n = 0; n < D.nodes; n++) lane(18, { label: `server ${n + 1}`, node: n });
  return { rows, height: y + 6 };
}

const esc = s => String(s).replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
const rect = (cls, from, to, y, h, attrs = "", least = 1) => {
  const left = Math.max(x(from), view.gutter), right = Math.min(x(to), view.width - 8);
  return `<rect class="${cls}" x="${left.toFixed(2)}" y="${y}" width="${Math.max(right - left, least).toFixed(2)}" height="${h}" ${attrs}/>`;
};
const seen = (from, to) => to >= view.from && from <= view.to;

// bars draws intervals of one lane in order. Where many fall on less than half a pixel one
// stands for all, unless it is one to be looked at.
function bars(list, from, to, draw, special = () => false) {
  const out = [];
  let edge = -1;
  for (const t of list) {
    if (!seen(from(t), to(t))) continue;
    const right = x(to(t));
    if (right - edge < .5 && !special(t)) continue;
    edge = Math.max(edge, right);
    out.push(draw(t));
  }
  return out.join("");
}

const holdEnd = t => Math.max(t.end, t.ret);
const aloneEnd = t => Math.max(t.alone, t.ret);
const special = t => t.lost || t.killed || bad.has(t.i) || t.i === view.chosen;
const alive = t => t.killed ? Math.min(Math.max(t.killed, t.ret), holdEnd(t)) : holdEnd(t); // until when its process was
const width = (from, to) => Math.min(x(to), view.width - 8) - Math.max(x(from), view.gutter);
const textWide = text => text.length * 6 + 8;

// holdOf draws a hold, or a part of it, with its client or lock if that fits.
function holdOf(t, y, h, text, from = t.ret, to = holdEnd(t)) {
  const lived = Math.min(Math.max(alive(t), from), to), kind = from >= t.alone ? " reader" : "";
  return rect(`hold a${adapterOf(t.client)}${kind}${t.i === view.chosen ? " chosen" : ""}`, from, lived, y, h, `rx="1.5" data-try="${t.i}"`)
    + (lived < to ? rect(`orphan a${adapterOf(t.client)}`, lived, to, y, h, `data-try="${t.i}"`) : "")
    + (h > 9 && width(from, lived) > textWide(text) ? `<text class="in a${adapterOf(t.client)}" x="${Math.max(x(from), view.gutter) + 4}" y="${y + (h - (bad.has(t.i) ? 3 : 0)) / 2 + 4}">${esc(text)}</text>` : "")
    + (bad.has(t.i) ? rect("violation red", from, to, y + h - 3, 3, `data-try="${t.i}"`, 3) : "")
    + (t.lost && to === holdEnd(t) ? rect("lost loss", to, Math.max(t.unlock, to), y + h / 2 - 1.5, 3, `data-try="${t.i}"`, 3) : "");
}
const inLock = t => String(t.client + 1), inClient = t => t.names.map(n => D.names[n].split(" ").pop()).join("+");

const drawFault = (f, i, y, h) => rect(`fault shade f-${KINDS[f.kind]}`, f.begin, f.end, y, h, `data-fault="${i}"`);
// nameFault says what it is where nothing lies over it.
function nameFault(f, y, h, over = []) {
  let from = f.begin;
  for (const t of over) {
    if (t.to < from || t.from > f.end) continue;
    if (width(from, t.from) > textWide(f.kind)) break;
    from = t.to;
  }
  return seen(from, f.end) && width(from, f.end) > textWide(f.kind) ? `<text class="on" x="${Math.max(x(from), view.gutter) + 4}" y="${y + h / 2 + 3.5}">${esc(f.kind)}</text>` : "";
}

const drawRow = r => `<rect class="row" x="${view.gutter}" y="${r.y}" width="${Math.max(0, view.width - view.gutter - 8)}" height="${r.height}"/>`;

function drawLane(r) {
  let out = `<text class="label" x="8" y="${r.y + r.height / 2 + 4}">${esc(r.label)}</text>`;
  if (r.name !== undefined) {
    out += bars(holds.filter(t => t.names.includes(r.name) && (t.alone > t.ret || t.end <= t.ret)), t => t.ret, aloneEnd, t => t.half
      ? holdOf(t, r.y + (t.lower.has(r.name) ? r.height / 2 + .5 : 1), r.height / 2 - 1.5, inLock(t), t.ret, aloneEnd(t))
      : holdOf(t, r.y + 2, r.height - 4, inLock(t), t.ret, aloneEnd(t)), special);
    for (let row = 0; row < ROWS; row++) {
      const h = (r.height - 4) / ROWS;
      out += bars(reads.filter(t => t.names[0] === r.name && t.row === row), t => t.alone, holdEnd, t => holdOf(t, r.y + 2 + row * h, h - .5, "", t.alone), special);
    }
  } else if (r.client !== undefined) {
    const process = D.clients[r.client].process, ofProcess = f => f.nodes.length === 0;
    D.faults.forEach((f, i) => {
      if (f.process !== process || !seen(f.begin, f.end)) return;
      out += ofProcess(f) ? drawFault(f, i, r.y, r.height) : drawFault(f, i, r.y, 3);
    });
    const mine = tries.filter(t => t.client === r.client);
    out += bars(mine, t => t.call, t => t.ret, t => rect(`wait${t.error ? " failed" : ""}`, t.call, t.ret, r.y + r.height / 2 - 1, 2, `data-try="${t.i}"`, .5));
    out += bars(mine.filter(t => !t.error), t => t.ret, holdEnd, t => holdOf(t, r.y + 4, r.height - 6, inClient(t)), special);
    const over = mine.filter(t => !t.error).map(t => ({ from: t.ret, to: t.lost ? Math.max(t.unlock, holdEnd(t)) : holdEnd(t) }));
    for (const f of D.faults) if (f.process === process && ofProcess(f) && seen(f.begin, f.end)) out += nameFault(f, r.y, r.height, over);
    D.late.forEach((s, i) => {
      if (s.client === r.client && seen(s.to, s.to)) out += `<circle class="${s.fenced ? "fence" : "late"}" cx="${x(s.to).toFixed(1)}" cy="${r.y + r.height / 2 + 1}" r="4.5" data-late="${i}"/>`;
    });
  } else {
    D.faults.forEach((f, i) => {
      if (!f.nodes.includes(r.node) || !seen(f.begin, f.end)) return;
      out += f.process < 0 ? drawFault(f, i, r.y, r.height - 4) + nameFault(f, r.y, r.height - 4) : drawFault(f, i, r.y + r.height - 4, 4);
    });
  }
  return out;
}

// A step between lines of the grid that leaves space for their labels.
function gridStep() {
  const most = (view.width - view.gutter) / 80, span = view.to - view.from;
  for (let step = 1; ; step *= 10) for (const s of [step, 2 * step, 5 * step]) if (span / s <= most) return s;
}
const clockTime = t => t >= 60000 ? `${Math.floor(t / 60000)}:${String((t % 60000 / 1000).toFixed(gridStep() < 1000 ? 1 : 0)).padStart(gridStep() < 1000 ? 4 : 2, "0")}`
  : gridStep() < 100 ? `${(t / 1000).toFixed(2)} s` : gridStep() < 1000 ? `${(t / 1000).toFixed(1)} s` : `${Math.round(t / 1000)} s`;

function draw() {
  const lanes = document.getElementById("lanes");
  view.width = lanes.clientWidth || 1100;
  view.gutter = view.width < 620 ? 66 : 158;
  const { rows, height } = layout();
  lanes.setAttribute("height", height);
  let out = "";
  if (seen(D.calm, D.length)) out += rect("calm", D.calm, D.length, 20, height - 20);
  for (let t = Math.ceil(view.from / gridStep()) * gridStep(); t <= view.to; t += gridStep())
    out += `<line class="grid" x1="${x(t).toFixed(1)}" x2="${x(t).toFixed(1)}" y1="20" y2="${height}"/>` + (x(t) > view.width - 28 ? "" : `<text x="${x(t).toFixed(1)}" y="14" text-anchor="middle">${clockTime(t)}</text>`);
  for (const r of rows) out += r.head ? "" : drawRow(r);
  for (const m of D.marks) if (m.tries.length > 1 && seen(m.at, m.to)) out += rect("red shade", m.at, m.to, 20, height - 20, "", 2);
  for (const r of rows) out += r.head ? `<text class="head" x="8" y="${r.y}">${r.head}</text>` : drawLane(r);
  lanes.innerHTML = out;
  drawOverview();
}

// The overview: grants in each of some hundred parts of the run, faults at work behind them,
// violations, and what of all that the lanes show.
function drawOverview() {
  const svg = document.getElementById("overview"), height = 44, width = view.width - view.gutter - 8;
  svg.setAttribute("height", height);
  const count = Math.max(20, Math.floor(width / 4)), grants = new Array(count).fill(0), faults = new Array(count).fill(0);
  const part = t => Math.min(count - 1, Math.max(0, Math.floor(t / D.length * count)));
  for (const t of holds) grants[part(t.ret)]++;
  for (const f of D.faults) for (let p = part(f.begin); p <= part(f.end); p++) faults[p]++;
  const mostGrants = Math.max(1, ...grants), mostFaults = Math.max(1, ...faults);
  const at = t => view.gutter + t / D.length * width;
  let out = `<text class="label" x="8" y="20">grants</text>${view.gutter > 100 ? `<text x="8" y="34">in front of faults</text>` : `<text x="8" y="34">/ faults</text>`}`;
  for (let p = 0; p < count; p++) {
    const left = view.gutter + p * width / count, w = width / count;
    out += `<rect class="trouble-count" x="${left.toFixed(1)}" y="${(height - faults[p] / mostFaults * (height - 8)).toFixed(1)}" width="${w.toFixed(1)}" height="${(faults[p] / mostFaults * (height - 8)).toFixed(1)}"/>`
      + `<rect class="count" x="${(left + .5).toFixed(1)}" y="${(height - grants[p] / mostGrants * (height - 8)).toFixed(1)}" width="${(w - 1).toFixed(1)}" height="${(grants[p] / mostGrants * (height - 8)).toFixed(1)}"/>`;
  }
  for (const m of D.marks) out += `<rect class="red" x="${at(m.at).toFixed(1)}" y="0" width="2" height="${height}"/>`;
  out += `<rect class="brush" x="${at(view.from).toFixed(1)}" y="0" width="${Math.max(2, at(view.to) - at(view.from)).toFixed(1)}" height="${height}"/>`;
  for (const t of [view.from, view.to]) out += `<line class="brush-edge" x1="${at(t).toFixed(1)}" x2="${at(t).toFixed(1)}" y1="0" y2="${height}"/>`;
  svg.innerHTML = out;
}
