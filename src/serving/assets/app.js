// The page: reads what is kept once, then follows what is new. Everything shown is in the address: ?symbol=BTC&horizon=5m
import { Chart, between, color, fill, mark } from "/assets/charts.js";
import * as w from "/assets/words.js";

const STEPS = 180, SCORES = 1440, ROLLING = 60, STALE = 7000;
const $ = (id) => document.getElementById(id);
const address = new URLSearchParams(location.search);
const now = { symbol: address.get("symbol"), horizon: address.get("horizon"), job: null, forecasts: new Map(), bars: new Map(), figures: null, losses: [] };
let stream = null, heard = 0, load = 0, dirty = false;

async function get(path, parameters = {}) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, v]) => v != null && v !== ""));
  const answer = await fetch(path + (query.size ? "?" + query : ""));
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.detail ?? answer.statusText), { status: answer.status });
  return body;
}

function trouble(text) { $("trouble").hidden = !text; $("trouble").textContent = text ?? ""; }

// ---- charts

const price = new Chart($("chart-price"), {
  label: "Price, forecast with quantiles, and the last price at issue", height: 380,
  series: [
    { label: "price", color: "ink", width: 2, text: w.price },
    { label: "last price at issue", color: "naive", width: 1, dash: [3, 3], text: w.price },
    { label: "forecast (median)", color: "main", width: 2, text: w.price },
    { label: "5 %", legend: "band", text: w.price, width: 0 }, { label: "25 %", legend: "band2", text: w.price, width: 0 },
    { label: "75 %", legend: "band2", text: w.price, width: 0 }, { label: "95 %", legend: "band", text: w.price, width: 0 },
  ],
  draw: (u, d) => { between(u, d, 4, 7, color("band")); between(u, d, 5, 6, color("band2")); },
  over: (u) => { if (now.last) mark(u, "x", now.last.issued, "soft"); },
  pick: (x) => { const f = now.forecasts.get(x); if (f) { now.picked = f; why(); } },
  link: (x) => (now.job?.explains && now.forecasts.has(x) ? explanation(now.forecasts.get(x)) : null),
});
const error = new Chart($("chart-error"), {
  label: "Mean absolute error, rolling over " + ROLLING + " scores",
  series: [{ label: "forecast", color: "main", text: w.price }, { label: "last price", color: "naive", dash: [5, 4], text: w.price }],
});
const ratio = new Chart($("chart-ratio"), {
  label: "Error over that of repeating the last price, rolling over " + ROLLING + " scores",
  series: [{ label: "ratio", color: "main", text: w.ratio }],
  yRange: (u, low, high) => [Math.min(low ?? 1, 0.99) - 0.005, Math.max(high ?? 1, 1.01) + 0.005],
  over: (u) => { mark(u, "y", 1, "naive"); (now.drifts ?? []).forEach((at) => mark(u, "x", at, "bad", [2, 3])); },
});
const calibration = new Chart($("chart-calibration"), {
  label: "Share of prices at or below each quantile", time: false, xLabel: "quantile", xText: (u, v) => w.percent(v, 0),
  xRange: () => [0, 1], yRange: () => [0, 1], xValues: (u, all) => all.map((v) => w.percent(v, 0)), yValues: (u, all) => all.map((v) => w.percent(v, 0)),
  series: [
    { label: "observed", color: "main", points: true, text: w.percent }, { label: "meant", color: "soft", dash: [4, 4], text: w.percent },
    { label: "from", text: w.percent, width: 0 }, { label: "to", text: w.percent, width: 0 },
  ],
  draw: (u, d) => between(u, d, 3, 4, color("band")),
});
const coverage = new Chart($("chart-coverage"), {
  label: "Share of prices inside the interval over time, by volatility", yValues: (u, all) => all.map((v) => w.percent(v, 0)),
  yRange: (u, low, high) => [Math.min(low ?? 0.8, 0.8) - 0.02, 1.005],
  series: ["calm", "normal", "wild"].map((name) => ({ label: name, color: name, text: w.percent })),
  draw: (u) => {
    const nominal = now.job?.coverage ?? 0.9, half = w.band(nominal, ROLLING);
    const top = u.valToPos(Math.min(1, nominal + half), "y", true), bottom = u.valToPos(nominal - half, "y", true);
    u.ctx.fillStyle = color("band");
    u.ctx.fillRect(u.bbox.left, Math.max(top, u.bbox.top), u.bbox.width, Math.min(bottom, u.bbox.top + u.bbox.height) - Math.max(top, u.bbox.top));
  },
  over: (u) => mark(u, "y", now.job?.coverage ?? 0.9, "soft"),
});
const loss = new Chart($("chart-loss"), {
  label: "Training loss of the LSTM", series: [{ label: "mean loss", color: "main", text: (v) => v.toFixed(4) }],
});

// ---- what is shown of a symbol and horizon

function keep(f) {
  const kept = {
    id: f.id,
    issued: Date.parse(f.issued_at), target: Date.parse(f.target_at), last: f.last_price, price: f.price, interval: f.interval,
    q: [f.quantiles["0.05"], f.quantiles["0.25"], f.quantiles["0.75"], f.quantiles["0.95"]],
    up: f.probability_up, status: f.status, reasons: f.reasons, skill: f.skill, drift: f.drift, model: f.model,
  };
  now.forecasts.set(kept.target, kept);
  if (!now.last || kept.target >= now.last.target) now.last = kept;
  if (now.forecasts.size > STEPS + 100) { for (const key of now.forecasts.keys()) { now.forecasts.delete(key); if (now.forecasts.size <= STEPS) break; } }
}
function keepBar(b) {
  now.bars.set(b.end, b.bar.close);
  if (now.bars.size > 2 * STEPS) { for (const key of now.bars.keys()) { now.bars.delete(key); if (now.bars.size <= STEPS + 100) break; } }
}

const explanation = (f) => "/explain?" + new URLSearchParams({ id: f.id });
// Of the newest forecast, or of the one that was chosen in the chart.
function why() {
  const f = now.picked ?? now.last;
  $("why").hidden = !now.job?.explains || !f;
  if ($("why").hidden) return;
  $("why-link").href = explanation(f);
  $("why-link").textContent = now.picked ? `Where the forecast for ${w.time(f.target)} came from` : "Where this forecast came from";
}

function card(value, text, kind = "") {
  const made = document.createElement("div"), b = document.createElement("b"), span = document.createElement("span");
  made.className = "card"; b.textContent = value; b.className = kind; span.textContent = text;
  made.append(b, span);
  return made;
}

function showForecast() {
  $("h-symbol").textContent = now.symbol ?? "No symbol yet";
  $("h-ahead").textContent = now.horizon ? w.ahead(now.horizon) + " ahead" : "";
  document.title = now.symbol ? `${now.symbol} · ${now.horizon} · tickcast` : "tickcast";
  const f = now.last;
  if (!f) { $("headline").textContent = "Waiting for the first forecast."; $("answer").textContent = ""; $("cards").replaceChildren(); price.set([[], [], [], [], [], [], [], []], "Nothing is published yet."); return; }
  $("headline").textContent = w.headline(f);
  const { skill } = f;
  const same = f.price === f.last;
  const better = skill.mae_ratio == null || Math.abs(skill.mae_ratio - 1) < 5e-4 ? "" : skill.mae_ratio < 1 ? "good" : "bad";
  $("cards").replaceChildren(
    card(w.price(f.last), `last price, ${w.clock(f.issued)} UTC: the naive forecast` + (same ? ", and this one: nothing better was found" : "")),
    ...(same ? [] : [card(w.price(f.price), "forecast for " + w.clock(f.target) + " UTC")]),
    card(`${w.price(f.interval.lower)} – ${w.price(f.interval.upper)}`, `${w.percent(f.interval.coverage, 0)} interval for ${w.clock(f.target)} UTC`),
    ...(same ? [] : [card(w.percent(f.up, 0), "probability that it is above the last price")]),
    card(w.percent(skill.coverage), `of ${w.count(skill.count)} prices lay inside their ${w.percent(f.interval.coverage, 0)} intervals`),
    card(w.ratio(skill.mae_ratio, 3), "its error over the error of repeating the last price; below 1 is better", better),
    card(w.evidence(skill.e_value), `evidence that it beats the last price: e-value ${skill.e_value < 1000 ? skill.e_value.toPrecision(2) : skill.e_value.toExponential(1)}, counts from 20 on`),
  );
  if (now.shown && now.shown !== f.target) [...$("cards").children].forEach((made) => made.classList.add("new"));
  now.shown = f.target;
  const targets = [...now.forecasts.keys()].sort((a, b) => a - b).slice(-STEPS);
  const first = targets[0] ?? 0;
  const xs = [...new Set([...targets, ...[...now.bars.keys()].filter((end) => end >= first)])].sort((a, b) => a - b);
  const of = (pick) => xs.map((x) => { const g = now.forecasts.get(x); return g ? pick(g) : null; });
  price.set(
    [xs, xs.map((x) => now.bars.get(x) ?? null), of((g) => g.last), of((g) => g.price), of((g) => g.q[0]), of((g) => g.q[1]), of((g) => g.q[2]), of((g) => g.q[3])],
    `${now.symbol}, each forecast at the time that it was for, ${w.ahead(now.horizon)} after it was made: ${targets.length} of them. The bands hold 50 and 90 % of what is expected; right of the dashed mark lies what has not come yet.` +
      (targets.every((t) => now.forecasts.get(t).price === now.forecasts.get(t).last) ? " Its middle was the last price each time: both lines are one, and follow the price a step later." : ""),
  );
  why();
  const { model } = f;
  const age = model.trained_through ? f.issued - Date.parse(model.trained_through) : null;
  const drift = f.drift?.changes ? ` Its errors have changed ${w.count(f.drift.changes)} times so far, last at ${w.time(Date.parse(f.drift.changed_at))}.` : " No change of its errors was found so far.";
  $("model-words").textContent = model.version
    ? `The LSTM was trained ${w.count(model.version)} times, last ${w.duration(age / 1000)} of the market's time before this forecast${model.loss == null ? "" : `, with a loss of ${model.loss.toFixed(4)}`}.` + drift
    : "The LSTM was not trained yet: the other experts speak." + drift;
  now.drifts = f.drift?.changed_at ? [Date.parse(f.drift.changed_at)] : [];
}

function rolling(values, pick) {
  const out = [];
  let sum = 0;
  for (let at = 0; at < values.length; at++) {
    sum += pick(values[at]);
    if (at >= ROLLING) sum -= pick(values[at - ROLLING]);
    out.push(at >= Math.min(ROLLING, values.length) - 1 || at >= 9 ? sum / Math.min(at + 1, ROLLING) : null);
  }
  return out;
}

function showFigures() {
  const all = now.figures;
  const points = all?.points, s = all?.figures;
  const verdict = $("verdict");
  if (!points?.target_at.length) {
    verdict.className = "verdict"; verdict.textContent = "No forecast has come due yet."; $("sentences").replaceChildren(); $("answer").textContent = "";
    error.set([[], [], []], "No score yet."); ratio.set([[], []], "No score yet."); calibration.set([[], [], [], [], []], "No score yet."); coverage.set([[], [], [], []], "No score yet.");
  } else {
    verdict.className = "verdict " + all.words.verdict;
    verdict.textContent = `${now.symbol}, ${w.ahead(now.horizon)} ahead: ${all.words.headline}.`;
    const { pinball_ratio: sharper } = s;
    const gain = sharper == null || Math.abs(1 - sharper) < 5e-5 ? "" : ` Its quantiles are ${Math.abs(100 * (1 - sharper)).toFixed(1)} % ${sharper < 1 ? "better" : "worse"} than those of a bell curve as wide as prices moved lately.`;
    const only = all.words.sentences.find((text) => text.endsWith("What it adds is the interval."));
    $("answer").className = "answer " + all.words.verdict;
    $("answer").textContent = `So far: ${all.words.headline}. ${only ? only + " " : ""}${w.percent(s.coverage)} of ${w.count(s.scored)} prices lay inside the ${w.percent(s.nominal_coverage, 0)} interval.${gain}`;
    $("sentences").replaceChildren(...all.words.sentences.map((text) => { const li = document.createElement("li"); li.textContent = text; return li; }));
    const xs = points.target_at;
    const own = rolling(points.error, Math.abs), naive = rolling(points.naive_error, Math.abs);
    const lastOf = (values) => values[values.length - 1];
    error.set([xs, own, naive], `Over the last ${Math.min(ROLLING, xs.length)} scores the forecast missed by ${w.price(lastOf(own))} on average, the last price by ${w.price(lastOf(naive))}.`);
    const shares = own.map((v, at) => (v == null || !naive[at] ? null : v / naive[at]));
    ratio.set([xs, shares], `Below the line at 1 the forecast is better. Now: ${w.ratio(lastOf(shares), 3)}. Over all ${w.count(s.scored)} scores shown: ${w.ratio(s.mae_ratio)}.` + (now.drifts?.length ? " The dotted mark is where a change of its errors was found." : ""));
    const levels = s.calibration.filter((level) => level.observed != null);
    const out = levels.filter((level) => Math.abs(level.observed - level.nominal) > w.band(level.nominal, s.scored)).length;
    calibration.set(
      [levels.map((l) => l.nominal), levels.map((l) => l.observed), levels.map((l) => l.nominal), levels.map((l) => Math.max(0, l.nominal - w.band(l.nominal, s.scored))), levels.map((l) => Math.min(1, l.nominal + w.band(l.nominal, s.scored)))],
      `${w.percent(s.coverage)} of ${w.count(s.scored)} prices lay inside the ${w.percent(s.nominal_coverage, 0)} interval. ${out ? `${out} of ${levels.length} quantiles are further off than chance alone explains in independent scores.` : "All quantiles are within what chance explains."}`,
    );
    const columns = [0, 1, 2].map((third) => {
      const seen = [];
      let share = null;
      return xs.map((_, at) => {
        // Between two scores of this third its share stays what it is.
        if (points.tercile[at] !== third) return share;
        seen.push(points.covered[at] ? 1 : 0);
        if (seen.length > ROLLING) seen.shift();
        share = seen.length >= 20 ? seen.reduce((a, b) => a + b) / seen.length : null;
        return share;
      });
    });
    const worst = s.terciles.map((t) => `${t.name} ${w.percent(t.coverage)}`).join(", ");
    coverage.set([xs, ...columns], `Rolling over ${ROLLING} scores of each third. By volatility at issue: ${worst || "not known yet"}; meant is ${w.percent(s.nominal_coverage, 0)}, the band is what chance explains.`);
  }
  showExperts(all?.experts ?? []);
  const training = (all?.training?.loss ?? []).map(([at, value]) => [Date.parse(at), value]);
  loss.set([training.map((t) => t[0]), training.map((t) => t[1])], training.length ? `Mean loss per epoch over the time shown; the last is ${training[training.length - 1][1].toFixed(4)}.` : "It was not trained in the time shown.");
}

function showExperts(experts) {
  const weighed = experts.some((e) => e.weight !== null);
  const sorted = [...experts].sort((a, b) => (weighed ? b.weight - a.weight : 0) || (a.pinball_ratio ?? 9) - (b.pinball_ratio ?? 9));
  const caption = document.createElement("figcaption"), table = document.createElement("table"), box = document.createElement("div");
  const best = [...experts].sort((a, b) => (a.pinball_ratio ?? 9) - (b.pinball_ratio ?? 9))[0];
  const name = (e) => e.name.replaceAll("_", " ");
  const most = weighed && best ? ` Now ${name(sorted[0])} has most of the mixture, ${w.percent(sorted[0].weight, 0)}.` : "";
  caption.textContent = best ? `Each expert by itself: its loss over that of naive quantiles; below 1 is better. The best by itself is ${name(best)} with ${w.ratio(best.pinball_ratio, 3)}; the forecast mixes them all.${most}` : "What each expert is worth shows with the first scores.";
  fill(table, ["Expert", "Loss over naive", "Weight now", "Scores"], sorted.map((e) => [name(e), w.ratio(e.pinball_ratio, 4), w.percent(e.weight, 1), w.count(e.count)]));
  box.className = "scroll"; box.tabIndex = 0; box.setAttribute("role", "group"); box.setAttribute("aria-label", "Experts");
  box.append(table);
  $("experts").replaceChildren(caption, box);
}

// ---- the job

function showJob(job) {
  now.job = job;
  const label = $("label");
  label.hidden = !job.label;
  if (job.label && !label.firstChild) { const b = document.createElement("b"); b.textContent = job.label; label.replaceChildren(b, ": not real prices"); }
  $("market").hidden = !job.market;
  if (job.market && $("market").textContent !== job.market) $("market").textContent = job.market;
  now.behind = { lag: job.watermark_lag_seconds, waiting: job.lag, at: Date.now(), now: Date.parse(job.now) };
  const lag = job.lag;
  const parts = [];
  parts.push(job.runs ? `Job “${job.job}” runs with ${job.processes} process${job.processes === 1 ? "" : "es"} of ${job.workers} worker${job.workers === 1 ? "" : "s"}.` : `Job “${job.job}” does not run in this process.`);
  parts.push(job.unready.length ? "Not ready: " + job.unready.join("; ") + "." : "It is ready.");
  if (job.label) parts.push(`Its market is a ${job.label.toLowerCase()}: these figures say nothing about real prices.`);
  $("job-words").textContent = parts.join(" ");
  const time = (iso) => (iso ? w.time(Date.parse(iso)) : "–");
  $("job-cards").replaceChildren(
    card(time(job.watermark), "watermark: everything before was read"),
    card(w.duration(job.watermark_lag_seconds), "watermark behind this machine's clock"),
    card(w.count(lag), "records that wait in the source"),
    card(time(job.published_through), "published through"),
    card(w.count(job.forecasts), "forecasts by this process"),
    card(w.count(job.commits), "commits" + (job.commit_seconds == null ? "" : `, ${w.duration(job.commit_seconds)} each`)),
    card(w.count(job.pending), "records wait for the sinks"),
    card(job.checkpoint?.written_at ? w.duration((Date.parse(job.now) - Date.parse(job.checkpoint.written_at)) / 1000) : "none", "age of the last checkpoint" + (job.checkpoint ? `, ${w.bytes(job.checkpoint.bytes)}` : "")),
    card(w.bytes(job.memory_bytes), "memory of this process"),
  );
  const all = Object.entries(job.records);
  const total = all.reduce((sum, [, n]) => sum + n, 0);
  fill($("records"), ["Outcome", "Records", "Share"], [
    ...all.map(([name, n]) => [name, w.count(n), total ? w.percent(n / total, 2) : "–"]),
    ...job.unused.map((u) => [`${u.outcome}: ${u.reason.replaceAll("_", " ")}`, w.count(u.count), total ? w.percent(u.count / total, 2) : "–"]),
  ]);
  fill($("partitions"), ["Source", "State", "Next offset", "Waiting", "Watermark (UTC)"], job.partitions.slice(0, 200).map((p) => [`${p.source}/${p.partition}`, p.standing ?? "–", w.count(p.next_offset), w.count(p.lag), p.watermark ? w.timeOf(Date.parse(p.watermark), Date.parse(job.now)) : "–"]), ["text", "text"]);
  fill($("refused"), ["First of each reason", "Where", "Why"], job.refused.length ? job.refused.map((r) => [`${r.outcome}: ${r.reason.replaceAll("_", " ")}`, `${r.source}/${r.partition} offset ${w.count(r.offset)}`, r.error]) : [["none", "", ""]], ["text", "text", "words"]);
}

// ---- all symbols

const table = { sort: "symbol", order: "asc", search: "", limit: 100 };
const COLUMNS = [["symbol", "Symbol"], ["last_price", "Last price"], [null, "Forecast"], ["width", "Interval"], ["mae_ratio", "Error / naive"], ["coverage", "Inside"], ["e_value", "e-value"], [null, "Status"]];
async function showTable() {
  const answer = await get("/api/symbols", { horizon: now.horizon, search: table.search, sort: table.sort, order: table.order, limit: table.limit });
  const head = COLUMNS.map(([key, text]) => {
    if (!key) return text;
    const button = document.createElement("button");
    button.type = "button";
    const here = table.sort === key;
    button.textContent = text + (here ? (table.order === "asc" ? " ▲" : " ▼") : "");
    button.setAttribute("aria-label", `Sort by ${text}` + (here ? (table.order === "asc" ? ", ascending now" : ", descending now") : ""));
    button.dataset.sort = key;
    button.addEventListener("click", () => { table.order = here && table.order === "asc" ? "desc" : "asc"; table.sort = key; showTable().then(() => document.querySelector(`[data-sort="${key}"]`)?.focus()).catch(failed); });
    return button;
  });
  const rows = answer.symbols.map((s) => {
    const open = document.createElement("button");
    open.type = "button"; open.textContent = s.symbol; open.setAttribute("aria-label", `Show ${s.symbol}`);
    open.addEventListener("click", () => { choose(s.symbol, now.horizon); $("forecast-title").scrollIntoView(); });
    return [open, w.price(s.last_price), w.price(s.price), `${w.price(s.lower)} – ${w.price(s.upper)}`, w.ratio(s.mae_ratio), w.percent(s.coverage), s.e_value < 1000 ? s.e_value.toPrecision(2) : s.e_value.toExponential(1), s.status];
  });
  fill($("table"), head, rows);
  $("found").textContent = `${w.count(answer.found)} of ${w.count(answer.total)} symbols, ${now.horizon ? w.ahead(now.horizon) + " ahead" : "no forecast yet"}`;
  $("more").hidden = answer.next == null;
  return answer;
}

// ---- what to show, and what is new

function failed(error) { trouble(error.message); }

function showHorizons(list) {
  const box = $("horizons");
  const legend = box.querySelector("legend");
  box.replaceChildren(legend, ...list.map((horizon) => {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = horizon; button.setAttribute("aria-pressed", String(horizon === now.horizon));
    button.setAttribute("aria-label", w.ahead(horizon) + " ahead");
    button.addEventListener("click", () => choose(now.symbol, horizon));
    return button;
  }));
}

async function choose(symbol, horizon, push = true) {
  const turn = ++load;
  Object.assign(now, { symbol, horizon, forecasts: new Map(), bars: new Map(), figures: null, last: null, shown: null, picked: null, drifts: [] });
  const there = "?" + new URLSearchParams({ symbol, horizon });
  if (push) history.pushState(null, "", there + location.hash);
  else if (location.search !== there) history.replaceState(null, "", there + location.hash);
  $("symbol").value = symbol;
  showHorizons(now.horizons ?? [horizon]);
  [price, error, ratio, coverage, loss].forEach((chart) => { chart.zoom = false; });
  follow();
  try {
    const window = now.job?.step ?? "1m";
    const [forecasts, bars, figures] = await Promise.all([
      get("/api/forecasts", { symbol, horizon, limit: STEPS }),
      get("/api/bars", { symbol, window, limit: STEPS }).catch(() => ({ bars: [] })),
      get("/api/figures", { symbol, horizon, limit: SCORES }),
    ]);
    if (turn !== load) return;
    trouble(null);
    bars.bars.forEach(keepBar);
    forecasts.forecasts.forEach(keep);
    // A step without a trade has no bar; its price is the last one.
    forecasts.forecasts.forEach((f) => { const at = Date.parse(f.issued_at); if (!now.bars.has(at)) now.bars.set(at, f.last_price); });
    now.figures = figures;
    showForecast();
    showFigures();
    showTable().catch(failed);
  } catch (error) { if (turn === load) failed(error); }
}

// Each figure anew, not with each score.
let figuresAt = 0;
async function refresh() {
  const turn = load;
  figuresAt = Date.now();
  try {
    const figures = await get("/api/figures", { symbol: now.symbol, horizon: now.horizon, limit: SCORES });
    if (turn === load) { now.figures = figures; showFigures(); showTable().catch(failed); }
  } catch (error) { if (turn === load) failed(error); }
}

function follow() {
  stream?.close();
  const window = now.job?.step ?? "1m";
  stream = new EventSource("/api/stream?" + new URLSearchParams({ symbol: now.symbol, horizon: now.horizon, window }));
  const on = (name, act) => stream.addEventListener(name, (event) => { heard = Date.now(); act(JSON.parse(event.data)); });
  on("forecast", (f) => { keep(f); now.bars.set(Date.parse(f.issued_at), now.bars.get(Date.parse(f.issued_at)) ?? f.last_price); dirty = true; });
  on("bar", (b) => { keepBar(b); dirty = true; });
  on("score", () => { now.due = true; });
  on("through", () => {
    if (dirty) { dirty = false; requestAnimationFrame(showForecast); }
    if (now.due && Date.now() - figuresAt > 5000) { now.due = false; refresh(); }
  });
  on("job", showJob);
  on("ping", () => state());
  on("reset", () => choose(now.symbol, now.horizon, false));
  on("dropped", () => {});
  stream.onerror = state;
}

function state() {
  const live = stream?.readyState === EventSource.OPEN && Date.now() - heard < STALE;
  const waits = stream == null;
  $("state").className = "state " + (waits ? "" : live ? "live" : "stale");
  const { behind } = now;
  const late = live && behind?.lag > 180 && behind.waiting > 0;
  const text = waits ? "waiting for the first forecast" : late ? "catching up with history" : live ? "live" : heard ? `stale: nothing heard since ${w.clock(heard)} UTC` : "connecting";
  if ($("state-text").textContent !== text) $("state-text").textContent = text;
  // By the market's clock, which may be behind this machine's.
  const step = w.millis(now.job?.step), passed = behind ? Date.now() - behind.at : 0;
  const left = live && !late && now.last && behind?.lag != null ? now.last.issued + step - (behind.now - 1000 * behind.lag + passed) : null;
  const soon = left == null || left > step || left < -step ? "" : left > 1000 ? `Next forecast in ${Math.ceil(left / 1000)} s.` : "Next forecast now.";
  if ($("next").textContent !== soon) $("next").textContent = soon;
}
setInterval(state, 1000);

$("choose").addEventListener("submit", (event) => { event.preventDefault(); pick(); });
$("symbol").addEventListener("change", pick);
async function pick() {
  const wanted = $("symbol").value.trim();
  if (!wanted || wanted === now.symbol) return;
  try {
    const symbol = await known(wanted);
    if (symbol) choose(symbol, now.horizon);
    else { await unknown(wanted); $("symbol").value = now.symbol ?? ""; }
  } catch (error) { failed(error); }
}
// As it is spelled, whatever its case; or the one that begins so.
async function known(wanted) {
  const { symbols } = await get("/api/symbols", { search: wanted, limit: 50 });
  const low = wanted.toLowerCase(), names = symbols.map((s) => s.symbol);
  const first = names.filter((name) => name.toLowerCase().startsWith(low));
  return names.find((name) => name === wanted) ?? names.find((name) => name.toLowerCase() === low) ?? (first.length === 1 ? first[0] : null);
}
async function unknown(wanted) {
  const { symbols, total } = await get("/api/symbols", { limit: 5 });
  const rest = total > symbols.length ? ` and ${w.count(total - symbols.length)} more: see All symbols` : "";
  trouble(`There is no symbol “${wanted}”. There ${total === 1 ? "is" : "are"} ${symbols.map((s) => s.symbol).join(", ")}${rest}.`);
}
let typing = 0;
$("symbol").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => suggest($("symbol").value).catch(failed), 150); });
async function suggest(search) {
  const answer = await get("/api/symbols", { search, limit: 50 });
  $("symbols").replaceChildren(...answer.symbols.map((s) => { const option = document.createElement("option"); option.value = s.symbol; return option; }));
}
$("find").addEventListener("submit", (event) => event.preventDefault());
$("search").addEventListener("input", () => { table.search = $("search").value; table.limit = 100; clearTimeout(typing); typing = setTimeout(() => showTable().catch(failed), 100); });
$("more").addEventListener("click", () => { table.limit = Math.min(10000, table.limit * 4); showTable().catch(failed); });
addEventListener("popstate", () => { const there = new URLSearchParams(location.search); if (there.get("symbol")) choose(there.get("symbol"), there.get("horizon") ?? now.horizon, false); });

async function begin() {
  try {
    showJob(await get("/api/job"));
    const all = await get("/api/symbols", { limit: 50 });
    if (!all.symbols.length) { state(); showForecast(); showFigures(); setTimeout(begin, 1000); return; }
    trouble(null);
    now.horizons = all.horizons;
    $("symbols").replaceChildren(...all.symbols.map((s) => { const option = document.createElement("option"); option.value = s.symbol; return option; }));
    const horizon = now.horizon && all.horizons.includes(now.horizon) ? now.horizon : all.horizon;
    const symbol = now.symbol == null ? null : await known(now.symbol);
    const wanted = now.symbol;
    await choose(symbol ?? all.symbols[0].symbol, horizon, false);
    if (wanted && !symbol) await unknown(wanted);
  } catch (error) { failed(error); setTimeout(begin, 2000); }
}
begin();
