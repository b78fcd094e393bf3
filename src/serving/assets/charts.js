// Charts with a sentence, a table behind them, keys, and touch. Drawn by uPlot; at most once a frame.
/* global uPlot */
const say = document.getElementById("say");
const charts = new Set();
let lastSaid = 0;

export function color(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }

// Hours and minutes; the day where it begins, and at the first mark.
function times(u, marks, axis, space, distance) {
  const day = (ms) => new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  return marks.map((ms, at) => {
    if (distance >= 86400000) return day(ms);
    const text = new Date(ms).toISOString().slice(11, distance < 60000 ? 19 : 16);
    return at === 0 || ms % 86400000 === 0 ? text + "\n" + day(ms) : text;
  });
}

export class Chart {
  // element: a <figure>. options: { label, time, height, series: [{ label, color, dash, width, points, text }], scales, axes, draw }
  constructor(element, options) {
    this.options = options;
    this.data = [[]];
    this.waiting = false;
    this.caption = document.createElement("figcaption");
    this.plot = document.createElement("div");
    this.plot.className = "plot";
    this.plot.tabIndex = 0;
    this.plot.setAttribute("role", "img");
    this.plot.setAttribute("aria-label", options.label + ". Arrow keys read values, plus and minus zoom, 0 shows all.");
    this.details = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = "Table: " + options.label;
    this.box = document.createElement("div");
    this.box.className = "scroll";
    this.box.tabIndex = 0;
    this.box.setAttribute("role", "group");
    this.box.setAttribute("aria-label", "Table: " + options.label);
    this.details.append(summary, this.box);
    this.details.addEventListener("toggle", () => this.table());
    element.replaceChildren(this.caption, this.plot, this.details);
    this.plot.addEventListener("keydown", (event) => this.key(event));
    touch(this);
    new ResizeObserver(() => { if (this.u) this.u.setSize(this.size()); }).observe(this.plot);
    charts.add(this);
  }

  size() { return { width: Math.max(200, this.plot.clientWidth), height: this.options.height ?? 260 }; }

  // Sentence: text, or nodes. data: columns, x first; null for none.
  set(data, sentence) {
    this.data = data;
    this.caption.textContent = sentence;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.show(); });
  }

  show() {
    if (!this.u) { this.u = this.make(); return; }
    const zoomed = this.zoom;
    this.u.setData(this.data, !zoomed);
    if (zoomed) this.u.redraw();
    this.table();
  }

  make() {
    const { options } = this;
    const axis = (more) => ({ stroke: color("soft"), grid: { stroke: color("grid"), width: 1 }, ticks: { stroke: color("grid"), width: 1 }, ...more });
    const opts = {
      ...this.size(),
      ms: 1,
      tzDate: (ms) => uPlot.tzDate(new Date(ms), "Etc/UTC"),
      scales: { x: { time: options.time !== false, range: options.xRange }, y: { range: options.yRange } },
      axes: [axis({ space: 60, values: options.xValues ?? times }), axis({ size: 66, values: options.yValues })],
      cursor: { drag: { x: true, y: false }, points: { size: 6 } },
      legend: { live: true, markers: { width: 0, fill: (u, at) => { const c = options.series[at - 1]; return c ? color(c.legend ?? c.color ?? "line") : "transparent"; } } },
      series: [
        { label: options.xLabel ?? "time (UTC)", value: options.xText ?? ((u, v) => (v == null ? "–" : new Date(v).toISOString().slice(5, 16).replace("T", " "))) },
        ...options.series.map((s) => ({
          label: s.label, stroke: s.color ? () => color(s.color) : undefined, dash: s.dash, width: s.width ?? 1.5,
          points: { show: s.points ?? false, size: 6 }, paths: s.paths, spanGaps: s.spanGaps ?? false,
          value: (u, v) => (v == null ? "–" : (s.text ?? String)(v)),
        })),
      ],
      hooks: {
        drawClear: options.draw ? [(u) => options.draw(u, this.data)] : [],
        draw: options.over ? [(u) => options.over(u, this.data)] : [],
        setSelect: [(u) => { if (u.select.width > 0) this.zoom = true; }],
      },
    };
    this.plot.replaceChildren();
    const u = new uPlot(opts, this.data, this.plot);
    u.over.addEventListener("dblclick", () => this.all());
    if (options.pick) u.over.addEventListener("click", () => { if (u.cursor.idx != null) options.pick(this.data[0][u.cursor.idx]); });
    return u;
  }

  // Of other colours: made anew.
  again() { if (this.u) { this.u.destroy(); this.u = this.make(); } }

  all() { this.zoom = false; if (this.u) this.u.setData(this.data, true); }

  key(event) {
    const { u } = this;
    if (!u || event.ctrlKey || event.metaKey || event.altKey) return;
    const n = this.data[0].length;
    const at = u.cursor.idx ?? n - 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -n, End: n }[event.key];
    if (step) {
      event.preventDefault();
      this.point(Math.min(n - 1, Math.max(0, u.cursor.idx == null ? at : at + step)));
    } else if (event.key === "Enter" && this.options.pick) {
      this.options.pick(this.data[0][at]);
    } else if (event.key === "+" || event.key === "-") {
      event.preventDefault();
      this.scale(event.key === "+" ? 0.5 : 2);
    } else if (event.key === "0" || event.key === "Escape") {
      this.all();
    }
  }

  point(idx) {
    const { u } = this;
    const x = this.data[0][idx];
    u.setCursor({ left: u.valToPos(x, "x"), top: u.over.clientHeight / 2 });
    const now = performance.now();
    if (now - lastSaid > 300) {
      lastSaid = now;
      say.textContent = this.row(idx).join(", ");
    }
  }

  scale(factor, center) {
    const { min, max } = this.u.scales.x;
    const mid = center ?? (min + max) / 2;
    this.zoom = true;
    this.u.setScale("x", { min: mid - (mid - min) * factor, max: mid + (max - mid) * factor });
  }

  shift(share) {
    const { min, max } = this.u.scales.x;
    this.zoom = true;
    this.u.setScale("x", { min: min + (max - min) * share, max: max + (max - min) * share });
  }

  row(idx) {
    const { options, data } = this;
    const x = options.xText ? options.xText(null, data[0][idx]) : new Date(data[0][idx]).toISOString().slice(0, 16).replace("T", " ");
    return [x, ...options.series.map((s, at) => {
      const value = data[at + 1][idx];
      return `${s.label} ${value == null ? "–" : (s.text ?? String)(value)}`;
    })];
  }

  // The newest first, as many as can be read.
  table() {
    if (!this.details.open) return;
    const { options, data } = this;
    const rows = [];
    for (let idx = data[0].length - 1; idx >= 0 && rows.length < 500; idx--) {
      const x = options.xText ? options.xText(null, data[0][idx]) : new Date(data[0][idx]).toISOString().slice(0, 19).replace("T", " ");
      const href = options.link?.(data[0][idx]);
      rows.push([href ? link(href, x) : x, ...options.series.map((s, at) => { const v = data[at + 1][idx]; return v == null ? "–" : (s.text ?? String)(v); })]);
    }
    const table = document.createElement("table");
    fill(table, [options.xLabel ?? "time (UTC)", ...options.series.map((s) => s.label)], rows);
    this.box.replaceChildren(table);
  }
}

function link(href, text) { const made = document.createElement("a"); made.href = href; made.textContent = text; return made; }

// A table of texts, or of nodes.
export function fill(table, head, rows, classes = []) {
  const cell = (tag, content, at) => {
    const made = document.createElement(tag);
    if (tag === "th") made.scope = "col";
    if (classes[at]) made.className = classes[at];
    if (content instanceof Node) made.append(content); else made.textContent = content;
    return made;
  };
  const line = (tag, cells) => { const tr = document.createElement("tr"); tr.append(...cells.map((c, at) => cell(tag, c, at))); return tr; };
  const thead = document.createElement("thead"), tbody = document.createElement("tbody");
  thead.append(line("th", head));
  tbody.append(...rows.map((row) => line("td", row)));
  table.replaceChildren(thead, tbody);
}

// Fills between two columns, run by run, so that holes stay holes.
export function between(u, data, low, high, fillColor) {
  const { ctx } = u, xs = data[0], lows = data[low], highs = data[high];
  ctx.save();
  ctx.beginPath();
  ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
  ctx.clip();
  ctx.fillStyle = fillColor;
  const x = (at) => u.valToPos(xs[at], "x", true), y = (v) => u.valToPos(v, "y", true);
  for (let at = 0; at < xs.length;) {
    if (lows[at] == null || highs[at] == null) { at++; continue; }
    let end = at;
    while (end < xs.length && lows[end] != null && highs[end] != null) end++;
    ctx.beginPath();
    for (let k = at; k < end; k++) ctx.lineTo(x(k), y(highs[k]));
    for (let k = end - 1; k >= at; k--) ctx.lineTo(x(k), y(lows[k]));
    ctx.fill();
    at = end;
  }
  ctx.restore();
}

// A line across, or up.
export function mark(u, scale, value, name, dash = [4, 4]) {
  const { ctx, bbox } = u;
  const at = u.valToPos(value, scale, true);
  ctx.save();
  ctx.strokeStyle = color(name);
  ctx.setLineDash(dash);
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  if (scale === "x") {
    if (at >= bbox.left && at <= bbox.left + bbox.width) { ctx.moveTo(at, bbox.top); ctx.lineTo(at, bbox.top + bbox.height); }
  } else if (at >= bbox.top && at <= bbox.top + bbox.height) { ctx.moveTo(bbox.left, at); ctx.lineTo(bbox.left + bbox.width, at); }
  ctx.stroke();
  ctx.restore();
}

// One finger reads and moves, two zoom.
function touch(chart) {
  let last = null;
  const spread = (t) => Math.abs(t[0].clientX - t[1].clientX) || 1;
  chart.plot.addEventListener("touchstart", (event) => {
    last = { x: event.touches[0].clientX, wide: event.touches.length > 1 ? spread(event.touches) : 0 };
  }, { passive: true });
  chart.plot.addEventListener("touchmove", (event) => {
    const { u } = chart;
    if (!u || !last) return;
    const box = u.over.getBoundingClientRect();
    if (event.touches.length > 1) {
      event.preventDefault();
      const wide = spread(event.touches);
      const mid = (event.touches[0].clientX + event.touches[1].clientX) / 2;
      if (last.wide) chart.scale(last.wide / wide, u.posToVal(mid - box.left, "x"));
      last = { x: mid, wide };
    } else {
      const x = event.touches[0].clientX;
      if (chart.zoom) chart.shift((last.x - x) / box.width);
      u.setCursor({ left: x - box.left, top: box.height / 2 });
      last = { x, wide: 0 };
    }
  }, { passive: false });
}

for (const query of ["(prefers-color-scheme: dark)"]) {
  matchMedia(query).addEventListener("change", () => charts.forEach((chart) => chart.again()));
}
