// Numbers and sentences. No state, no document.
const LOCALE = "en-GB";

export function price(value) {
  if (value == null) return "–";
  const size = Math.abs(value);
  const digits = size >= 1000 ? 2 : size >= 100 ? 3 : size >= 1 ? 4 : size >= 0.01 ? 6 : 8;
  return value.toLocaleString(LOCALE, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function count(value) { return value == null ? "–" : Math.round(value).toLocaleString(LOCALE); }
export function percent(share, digits = 1) { return share == null ? "–" : (100 * share).toFixed(digits) + " %"; }
export function ratio(value, digits = 4) { return value == null ? "–" : value.toFixed(digits); }

export function bytes(value) {
  if (value == null) return "–";
  const units = ["B", "kB", "MB", "GB"];
  let at = 0;
  while (value >= 1000 && at < 3) { value /= 1000; at++; }
  return value.toFixed(at && value < 10 ? 1 : 0) + " " + units[at];
}

export function duration(seconds) {
  if (seconds == null) return "–";
  const size = Math.abs(seconds);
  if (size < 1) return (1000 * seconds).toFixed(0) + " ms";
  if (size < 120) return seconds.toFixed(size < 10 ? 1 : 0) + " s";
  if (size < 7200) return (seconds / 60).toFixed(0) + " min";
  if (size < 172800) return (seconds / 3600).toFixed(1) + " h";
  return (seconds / 86400).toFixed(1) + " d";
}

export function time(ms) { return ms == null ? "–" : new Date(ms).toISOString().slice(0, 19).replace("T", " ") + " UTC"; }
// Without the day where it is today's.
export function timeOf(ms, now) {
  if (ms == null) return "–";
  const text = new Date(ms).toISOString();
  return text.slice(0, 10) === new Date(now).toISOString().slice(0, 10) ? text.slice(11, 19) : text.slice(0, 16).replace("T", " ");
}
export function clock(ms) { return ms == null ? "–" : new Date(ms).toISOString().slice(11, 16); }

const UNITS = { ms: 1, s: 1000, m: 60000, h: 3600000, d: 86400000 };
export function millis(span) {
  const parts = /^(\d+)(ms|s|m|h|d)$/.exec(span ?? "");
  return parts ? Number(parts[1]) * UNITS[parts[2]] : 60000;
}

export function ahead(span) {
  const parts = /^(\d+)(ms|s|m|h|d)$/.exec(span ?? "");
  if (!parts) return span;
  const word = { ms: "millisecond", s: "second", m: "minute", h: "hour", d: "day" }[parts[2]];
  return `${parts[1]} ${word}${parts[1] === "1" ? "" : "s"}`;
}

// What the e-value says: evidence against "no better than the last price"; none below 20.
export function evidence(e) { return e == null || e < 20 ? "none" : e < 100 ? "some" : "strong"; }

export function headline(f) {
  const to = price(f.interval.upper), from = price(f.interval.lower);
  const sure = percent(f.interval.coverage, 0);
  const at = f.price === f.last ? `its last price, ${price(f.price)}` : price(f.price);
  const said = `For ${clock(f.target)} UTC the forecast is ${at}; with a probability of ${sure} it will lie between ${from} and ${to}.`;
  if (f.status === "warming") return "Still warming up: it repeats the last price. " + said;
  if (f.status === "abstain") return `It abstains (${f.reasons.join(", ")}): it repeats the last price. ` + said;
  return said;
}

export function moved(ratio) {
  if (ratio == null) return "";
  const share = Math.abs(1 - ratio) * 100;
  if (share < 0.005) return "The mean error is that of repeating the last price.";
  return `The mean error is ${share.toFixed(2)} % ${ratio < 1 ? "smaller" : "larger"} than that of repeating the last price.`;
}

// Half of the width of a binomial band, at 95 per cent.
export function band(share, n) { return n > 0 ? 1.96 * Math.sqrt(share * (1 - share) / n) : 1; }
