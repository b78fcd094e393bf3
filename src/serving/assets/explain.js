// One forecast, computed again: /explain?id=JOB/SYMBOL/HORIZON/TARGET. Asks until it is done, then shows all of it.
import { Chart, between, color, fill, mark } from "/assets/charts.js";
import * as w from "/assets/words.js";

const $ = (id) => document.getElementById(id);
const id = new URLSearchParams(location.search).get("id");
const LEVELS = ["0.05", "0.25", "0.5", "0.75", "0.95"];
const HEADS = ["5 %", "25 %", "50 %", "75 %", "95 %"];

const bps = (value) => (value == null ? "–" : (10000 * value).toFixed(2));
const time = (iso) => (iso == null ? "–" : w.time(Date.parse(iso)));
const number = (value, digits = 4) => (value == null ? "–" : value.toFixed(digits));
const name = (text) => text.replaceAll("_", " ");

function trouble(text) { $("trouble").hidden = !text; $("trouble").textContent = text ?? ""; $("working").textContent = ""; }

function card(value, text, kind = "") {
  const made = document.createElement("div"), b = document.createElement("b"), span = document.createElement("span");
  made.className = "card"; b.textContent = value; b.className = kind; span.textContent = text;
  made.append(b, span);
  return made;
}

async function label() {
  const job = await (await fetch("/api/job")).json().catch(() => ({}));
  $("label").hidden = !job.label;
  if (job.label) { const b = document.createElement("b"); b.textContent = job.label; $("label").replaceChildren(b, ": not real prices"); }
}

async function ask() {
  if (!id) { trouble("The address names no forecast: /explain?id=…; the page of forecasts leads here."); return; }
  const answer = await fetch("/api/explain?" + new URLSearchParams({ id }));
  const body = await answer.json();
  if (answer.status === 202) {
    $("working").textContent = body.state === "waiting" ? "Another forecast is being computed again; this one comes next." : `Computing it again: ${w.count(body.records)} records read in ${w.duration(body.seconds)}.`;
    setTimeout(() => ask().catch(failed), 500);
  } else if (answer.ok) {
    // What cannot be shown is no fault of the server: asking again would not help.
    try { show(body); } catch (error) { console.error(error); trouble(`It cannot be shown (${error.message}); as JSON it can be read.`); }
  } else {
    const said = { 404: "There is no such forecast", 409: "It cannot be computed again", 400: "This cannot be asked for" }[answer.status] ?? "It could not be computed again";
    trouble(`${said}: ${body.detail ?? answer.statusText}`);
  }
}
function failed(error) { trouble(`The server does not answer (${error.message}). Asking again.`); setTimeout(() => ask().catch(failed), 3000); }

function show(e) {
  trouble(null);
  const f = e.forecast;
  document.title = `${e.symbol} · ${e.horizon} · ${e.issued_at} · tickcast`;
  $("back").href = "/?" + new URLSearchParams({ symbol: e.symbol, horizon: e.horizon });
  $("h-symbol").textContent = e.symbol;
  $("h-ahead").textContent = `${w.ahead(e.horizon)} ahead, issued ${time(e.issued_at)} for ${time(e.target_at)}`;
  const exact = e.published.some((p) => p.compared_by === "bytes");
  $("verdict").className = "verdict " + (e.same ? "better" : "worse");
  $("verdict").textContent = e.same
    ? `Computed again from its records: ${exact ? "the same bits" : "the same values"} as published.`
    : `Not the same as published: ${e.difference_in_words}.`;
  const shape = { ...f, target: Date.parse(f.target_at), last: f.last_price, up: f.probability_up };
  $("headline").textContent = w.headline(shape);
  const same = f.price === f.last_price;
  $("cards").replaceChildren(
    card(w.price(f.last_price), "last price at the issue: the naive forecast" + (same ? ", and this one's middle" : "")),
    ...(same ? [] : [card(w.price(f.price), `forecast, ${bps(Math.log(f.price / f.last_price))} bps from it`)]),
    card(`${w.price(f.interval.lower)} – ${w.price(f.interval.upper)}`, `${w.percent(f.interval.coverage, 0)} interval`),
    card(w.percent(f.probability_up, 0), "probability that it is above the last price"),
    card(e.status.status, e.status.why),
    card(w.ratio(f.skill.mae_ratio, 3), `its error over the naive one's so far, over ${w.count(f.skill.count)} scores`),
  );
  outcome(e);
  chart(e, f);
  experts(e);
  layers(e);
  bars(e);
  records(e);
  replay(e);
  $("told").hidden = false;
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

function outcome(e) {
  const { score, known, from, published } = e.outcome;
  if (!known) { $("outcome-words").textContent = `Not known yet: the source does not reach ${time(e.target_at)}.`; $("outcome-cards").replaceChildren(); return; }
  if (score.actual_price == null) { $("outcome-words").textContent = `Void: no tick came in the 5 steps before ${time(e.target_at)}.`; $("outcome-cards").replaceChildren(); return; }
  $("outcome-words").textContent = from === "sink" ? "As it was published: the source does not reach so far." : published ? "Computed again, as it was published." : "Computed again; not published so far.";
  const better = Math.abs(score.error) < Math.abs(score.naive_error) ? "good" : Math.abs(score.error) > Math.abs(score.naive_error) ? "bad" : "";
  $("outcome-cards").replaceChildren(
    card(w.price(score.actual_price), `price at ${time(e.target_at)}`),
    card(score.covered ? "inside" : "outside", "of the interval", score.covered ? "good" : "bad"),
    card(w.price(Math.abs(score.error)), "the forecast's error", better),
    card(w.price(Math.abs(score.naive_error)), "the last price's error"),
    card(number(score.pinball), "pinball loss of its quantiles"),
    card(number(score.naive_pinball), "pinball loss of the last price's"),
  );
}

function chart(e, f) {
  const closes = e.bars.filter((b) => b.close != null).map((b) => [Date.parse(b.end), Number(b.close)]);
  const issued = Date.parse(e.issued_at), target = Date.parse(e.target_at);
  const actual = e.outcome.score?.actual_price;
  const xs = [...new Set([...closes.map((c) => c[0]), issued, target])].sort((a, b) => a - b);
  const at = new Map(closes);
  if (!at.has(issued)) at.set(issued, f.last_price);
  const fan = (level) => xs.map((x) => (x === issued ? f.last_price : x === target ? f.quantiles[level] : null));
  const made = new Chart($("chart"), {
    label: "Closes before the issue, and the forecast's quantiles", height: 320,
    series: [
      { label: "close", color: "ink", width: 2, text: w.price },
      { label: "forecast (median)", color: "main", width: 2, text: w.price, spanGaps: true },
      { label: "actual", color: "naive", points: true, text: w.price },
      ...["0.05", "0.25", "0.75", "0.95"].map((level) => ({ label: w.percent(Number(level), 0), legend: level === "0.05" || level === "0.95" ? "band" : "band2", text: w.price, width: 0, spanGaps: true })),
    ],
    draw: (u, d) => { fanned(u, d, 4, 7, color("band")); fanned(u, d, 5, 6, color("band2")); },
    over: (u) => mark(u, "x", issued, "soft"),
  });
  made.set(
    [xs, xs.map((x) => at.get(x) ?? null), fan("0.5"), xs.map((x) => (x === target ? actual ?? null : null)), fan("0.05"), fan("0.25"), fan("0.75"), fan("0.95")],
    `${closes.length} closes before the issue, which the dashed mark shows; right of it the bands hold 50 and 90 % of what was expected` + (actual == null ? "." : `, and the price came to ${w.price(actual)}.`),
  );
}
// From the issue to the target, over what lies between.
function fanned(u, data, low, high, fillColor) {
  const there = data[0].map((_, at) => at).filter((at) => data[low][at] != null);
  const pick = (column) => there.map((at) => column[at]);
  between(u, [pick(data[0]), ...[low, high].map((at) => pick(data[at]))], 1, 2, fillColor);
}

function experts(e) {
  if (!e.layers) { fill($("experts-table"), ["Expert"], [["this model tells of no experts"]]); return; }
  const row = (title, weight, returns) => [title, weight, ...LEVELS.map((level) => bps(returns[level]))];
  const sorted = [...e.experts].sort((a, b) => b.weight - a.weight);
  fill($("experts-table"), ["Expert", "Weight", ...HEADS], [
    ...sorted.map((x) => row(name(x.name), w.percent(x.weight, 1), x.returns)),
    row("mixture", "", e.layers.mixture), row("published", "", e.layers.quantiles),
  ]);
}

function layers(e) {
  const { model, layers: l, interval: i, features: f } = e;
  const rows = [];
  if (f) rows.push(["Volatility", `${bps(f.volatility)} a step; slow ${bps(f.slow_volatility)}, mean range ${bps(f.range_level)}, of ${w.count(f.bars)} bars, in bps`]);
  if (l) rows.push(["Scale", `${bps(l.scale)} bps over the horizon`]);
  const trained = model.trained_through == null
    ? "not trained yet"
    : `version ${w.count(model.version)} (so many trainings), on data from ${time(model.trained_from)} through ${time(model.trained_through)}` +
      (model.examples ? `; the last one on ${w.count(model.examples.count)} examples of ${time(model.examples.first)} to ${time(model.examples.last)}` : "") + (model.loss == null ? "" : `; loss ${number(model.loss)}`);
  rows.push(["LSTM", trained + (l && !l.lstm_spoke ? "; it did not speak: no whole sequence so far" : "")]);
  if (l) {
    rows.push(["Median", `${l.gate.open ? "published" : "not published: the last price is, since medians have not proven better so far"} (gain ${number(l.gate.gain)}, needed ${number(l.gate.needed)}; it was ${bps(l.gate.median)} bps)`]);
    if (l.widening >= 1.0005) rows.push(["Young symbol", `outer quantiles ${number(l.widening, 3)} times as far out`]);
  }
  if (i.tercile != null) rows.push(["Interval", `${i.coverage_so_far == null ? "no score yet" : `${w.percent(i.coverage_so_far)} of ${w.count(i.scores)} scores lay inside`}; ${i.tercile} volatility: its ends moved out by ${number(i.lower_offset)} and ${number(i.upper_offset)} scales`]);
  fill($("layers-table"), ["Layer", "What it did"], rows, ["text", "words"]);
  const inputs = [];
  if (f) for (const [group, values] of [["scale", f.scale], ["location", f.location], ["flow", f.flow], ["market", f.market]]) values.forEach((v, at) => inputs.push([`${group} ${at + 1}`, number(v, 6)]));
  fill($("features"), ["Input", "Value"], inputs.length ? inputs : [["none", ""]]);
  const names = Object.keys(e.sequence[0]?.inputs ?? {});
  fill($("sequence"), ["End (UTC)", ...names.map(name)], e.sequence.map((s) => [time(s.end), ...names.map((n) => number(s.inputs[n]))]));
}

function bars(e) {
  const kept = e.bars.filter((b) => b.from === "checkpoint").length;
  $("bars-words").textContent = `${e.bars.length} steps that the sequence is made of.` + (kept ? ` Of ${kept} of them only the close is known: they are in the checkpoint's state.` : "");
  fill($("bars-table"), ["End (UTC)", "Open", "High", "Low", "Close", "Volume", "Ticks"], [...e.bars].reverse().map((b) => (b.present
    ? [time(b.end), w.price(b.open), w.price(b.high), w.price(b.low), w.price(b.close), b.volume ?? "–", w.count(b.count)]
    : [time(b.end), "–", "–", "–", "–", "–", "no tick"])));
}

function records(e) {
  const { input } = e;
  $("records-words").textContent = `Of ${e.symbol}, from ${time(input.shown_from)} to ${time(input.to)}.` + (input.shown_from === input.from ? "" : ` Those since ${time(input.from)} are in the checkpoint's state.`);
  fill($("partitions"), ["Source", "First offset", "Last offset", "Records", "Ticks"], input.partitions.map((p) => [`${p.source}/${p.partition}`, w.count(p.first_offset), w.count(p.last_offset), w.count(p.records), w.count(p.ticks)]), ["text"]);
  fill($("last"), ["Where", "Time (UTC)", "Price", "Record"], [...input.last_records].reverse().map((r) => [`${r.source}/${r.partition} offset ${w.count(r.offset)}`, time(r.at), w.price(r.price), (r.value ?? "(not read)") + (r.cut_off ? "…" : "")]), ["text", "text", "", "words"]);
}

function replay(e) {
  const r = e.replay;
  fill($("replay-table"), ["What", "How"], [
    ["From", r.checkpoint ? `the checkpoint of ${time(r.cut)} (${r.checkpoint})` : "the beginning of the source"],
    ["Records read", w.count(r.records)],
    ["Took", w.duration(r.seconds)],
    ["Numerics", r.numerics],
    ["Published in", e.published.map((p) => p.place + (p.records > 1 ? ` (${p.records} times; the last one counts)` : "")).join(", ")],
    ...r.passed_over.map((why) => ["Passed over", why]),
  ], ["text", "words"]);
  // As a shell reads it.
  $("command").textContent = `tickcast explain '${e.id.replaceAll("'", "'\\''")}' -c tickcast.toml`;
}

$("json").href = "/api/explain?" + new URLSearchParams({ id: id ?? "" });
label().catch(() => {});
ask().catch(failed);
