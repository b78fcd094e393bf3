//! What is told of a forecast, for a person.

use super::told::{BarTold, Explanation, Quantiles, Raw};
use crate::report::e_value;
use std::fmt::Write as _;

/// Log returns are shown in hundredths of a per cent.
const BPS: f64 = 1e4;
/// What a heading and the names of its lines take.
const NAME: usize = 14;

/// The whole text.
pub fn of(told: &Explanation) -> String {
    let mut out = String::new();
    head(told, &mut out);
    forecast(told, &mut out);
    outcome(told, &mut out);
    input(told, &mut out);
    bars(told, &mut out);
    experts(told, &mut out);
    layers(told, &mut out);
    out
}

/// A line with a name; writing to a String cannot fail.
macro_rules! line {
    ($out:expr, $name:expr, $($arg:tt)*) => {
        let _ = writeln!($out, "  {:NAME$} {}", $name, format!($($arg)*));
    };
}

fn heading(name: &str, out: &mut String) {
    let _ = writeln!(out, "\n{name}");
}

fn head(told: &Explanation, out: &mut String) {
    let _ = writeln!(out, "{}", told.id);
    let places = told.published.iter().map(|of| match of.records {
        1 => of.place.clone(),
        count => format!("{} ({count} times; the last one counts)", of.place),
    });
    line!(out, "of", "{}, {} ahead, issued {} for {}", told.symbol, told.horizon, told.issued_at, told.target_at);
    line!(out, "published", "{}", places.collect::<Vec<_>>().join(", "));
    match &told.difference {
        None => {
            let how = if told.published.iter().any(|of| of.compared_by == "bytes") {
                "to the same bits"
            } else {
                "to the same values"
            };
            line!(out, "computed again", "{how}");
        }
        Some(difference) => {
            let field = difference.field.as_deref().unwrap_or("its bytes");
            line!(out, "computed again", "NOT THE SAME: {field} of the {} in {}", difference.record, difference.place);
        }
    }
    let replay = &told.replay;
    let from = match (&replay.checkpoint, &replay.cut) {
        (Some(name), Some(cut)) => format!("the checkpoint of {cut} ({name})"),
        _ => "the beginning of the source".to_owned(),
    };
    let workers = if replay.workers == 1 { "1 worker".to_owned() } else { format!("{} workers", replay.workers) };
    let records = replay.records;
    line!(out, "from", "{from}: {records} records, {workers}, {:.1} s, numerics {}", replay.seconds, replay.numerics);
    for why in &replay.passed_over {
        line!(out, "passed over", "{why}");
    }
}

fn forecast(told: &Explanation, out: &mut String) {
    let made = &told.made;
    let last = made.last_price.to_f64();
    let price = |value: f64| shown(value, last);
    heading("Forecast", out);
    line!(out, "price", "{}   ({:+.2} bps)", price(made.price), (made.price / last).ln() * BPS);
    line!(out, "naive price", "{}   the last price before the issue", told.naive_price.get());
    let (coverage, interval) = (made.interval.coverage * 100.0, &made.interval);
    line!(out, "interval", "{} to {}   {coverage} %", price(interval.lower), price(interval.upper));
    let quantiles = crate::market::forecast::LEVEL_NAMES.iter().zip(made.quantiles);
    let quantiles: Vec<String> = quantiles.map(|(name, value)| format!("{name}: {}", price(value))).collect();
    line!(out, "quantiles", "{}", quantiles.join("   "));
    line!(out, "up", "{:.1} %", made.probability_up * 100.0);
    line!(out, "status", "{}: {}", told.status.status, told.status.why);
    let skill = &made.skill;
    let ratio = skill.mae_ratio.map_or("none yet".to_owned(), |ratio| format!("{ratio:.4}"));
    line!(
        out,
        "skill so far",
        "{} scores, error over the naive one's {ratio}, e-value {}",
        skill.count,
        e_value(skill.e_value)
    );
}

fn outcome(told: &Explanation, out: &mut String) {
    heading("Outcome", out);
    let Some(score) = &told.outcome.score else {
        let _ = writeln!(out, "  not known yet: the source does not reach {}", told.target_at);
        return;
    };
    let score: serde_json::Value = serde_json::from_str(score.get()).unwrap_or_default();
    let whence = match (told.outcome.from, told.outcome.published) {
        (Some("replay"), true) => "computed again, as it was published",
        (Some("replay"), false) => "computed again; not published so far",
        _ => "as it was published: the source does not reach so far",
    };
    if score["actual_price"].is_null() {
        line!(out, "void", "no tick came in the 5 steps before {}   ({whence})", told.target_at);
        return;
    }
    line!(out, "actual price", "{}   ({whence})", score["actual_price"]);
    line!(out, "error", "{}   naive {}", score["error"], score["naive_error"]);
    line!(out, "in interval", "{}", if score["covered"] == true { "yes" } else { "no" });
    line!(out, "pinball", "{}   naive {}", score["pinball"], score["naive_pinball"]);
}

fn input(told: &Explanation, out: &mut String) {
    let input = &told.input;
    heading(&format!("Records of {} from {} to {}", told.symbol, input.shown_from, input.to), out);
    for of in &input.partitions {
        let (first, last, ticks) = (of.first_offset, of.last_offset, of.ticks);
        let name = format!("{}/{}", of.source, of.partition);
        let _ = writeln!(out, "  {name}: offsets {first} to {last}, {} records, {ticks} ticks", of.records);
    }
    if input.partitions.is_empty() {
        let _ = writeln!(out, "  none");
    }
    if input.shown_from != input.from {
        let _ = writeln!(out, "  those since {} are in the checkpoint's state (--from-start shows them)", input.from);
    }
    for record in &input.last_records {
        let value = record.value.as_deref().unwrap_or("(not read)").trim_end();
        let more = if record.cut_off { "…" } else { "" };
        let _ =
            writeln!(out, "  {}/{}:{}  {}  {value}{more}", record.source, record.partition, record.offset, record.at);
    }
}

fn bars(told: &Explanation, out: &mut String) {
    heading(&format!("Bars of the last {} steps", told.bars.len()), out);
    let _ = writeln!(
        out,
        "  {:24} {:>14} {:>14} {:>14} {:>14} {:>14} {:>7}",
        "end", "open", "high", "low", "close", "volume", "count"
    );
    let cell = |raw: &Option<Raw>| raw.as_ref().map_or("-", |raw| raw.get()).to_owned();
    for BarTold { end, present, open, high, low, close, volume, count, from } in &told.bars {
        let note = match (*from, *present) {
            (_, false) => "  no tick",
            ("checkpoint", true) => "  in the checkpoint's state",
            _ => "",
        };
        let close = if *from == "checkpoint" {
            close.as_ref().and_then(|raw| raw.get().parse().ok()).map_or("-".to_owned(), |close| shown(close, close))
        } else {
            cell(close)
        };
        let count = count.map_or("-".to_owned(), |count| count.to_string());
        let _ = writeln!(
            out,
            "  {end:24} {:>14} {:>14} {:>14} {close:>14} {:>14} {count:>7}{note}",
            cell(open),
            cell(high),
            cell(low),
            cell(volume),
        );
    }
}

fn experts(told: &Explanation, out: &mut String) {
    let Some(layers) = &told.layers else { return };
    heading("Experts (log returns in bps; weight in the mixture)", out);
    let row = |name: &str, weight: &str, returns: &Quantiles, out: &mut String| {
        let cells: String = returns.values().map(|value| format!(" {:>9.2}", value * BPS)).collect();
        let _ = writeln!(out, "  {name:21} {weight:>7}{cells}");
    };
    let levels: String = crate::market::forecast::LEVEL_NAMES.iter().map(|name| format!(" {name:>9}")).collect();
    let _ = writeln!(out, "  {:21} {:>7}{levels}", "", "weight");
    for expert in &told.experts {
        row(expert.name, &format!("{:.4}", expert.weight), &expert.returns, out);
    }
    row("mixture", "", &layers.mixture, out);
    row("published", "", &layers.quantiles, out);
}

fn layers(told: &Explanation, out: &mut String) {
    let Some(layers) = &told.layers else {
        heading("Layers", out);
        let _ = writeln!(out, "  model.preset = seed has none to show");
        return;
    };
    heading("Layers", out);
    if let Some(features) = &told.features {
        let (now, slow, range) =
            (features.volatility * BPS, features.slow_volatility * BPS, features.range_level * BPS);
        line!(
            out,
            "features",
            "volatility {now:.2} bps a step, slow {slow:.2}, mean range {range:.2}, of {} bars",
            features.bars
        );
    }
    line!(out, "scale", "{:.2} bps", layers.scale * BPS);
    line!(out, "LSTM", "{}", lstm(told, layers.lstm_spoke));
    let (gate, is) = (&layers.gate, if layers.gate.open { "open" } else { "closed" });
    line!(
        out,
        "median gate",
        "{is}: gain {:.4}, needed {:.4}, median {:+.2} bps before it",
        gate.gain,
        gate.needed,
        gate.median * BPS
    );
    if layers.widening >= 1.0005 {
        line!(out, "young symbol", "outer quantiles {:.3} times as far out", layers.widening);
    }
    let interval = &told.interval;
    if let (Some(tercile), Some(lower), Some(upper)) = (interval.tercile, interval.lower_offset, interval.upper_offset)
    {
        let covered = interval.coverage_so_far.map_or("no score yet".to_owned(), |share| {
            format!("{:.1} % of {} scores covered", share * 100.0, interval.scores)
        });
        line!(
            out,
            "intervals",
            "{covered}; {tercile} volatility: ends moved out by {lower:+.4} and {upper:+.4} scales"
        );
    }
}

/// Which weights, and what they had learnt from.
fn lstm(told: &Explanation, spoke: bool) -> String {
    let model = &told.model;
    let silent = if spoke { "" } else { "; it did not speak: no whole sequence so far" };
    let (Some(through), Some(loss)) = (&model.trained_through, model.loss) else {
        return format!("not trained yet{silent}");
    };
    let from = model.trained_from.as_deref().unwrap_or("?");
    let drawn = model.examples.as_ref().map_or_else(String::new, |of| {
        format!(", the last time on {} examples of {} to {}", of.count, of.first, of.last)
    });
    format!(
        "version {} (so many trainings), on data from {from} through {through}{drawn}, loss {loss:.4}{silent}",
        model.version
    )
}

/// A price with about eight digits.
fn shown(value: f64, like: f64) -> String {
    let before = like.abs().max(1e-8).log10().floor() as i32 + 1;
    let digits = usize::try_from((8 - before).clamp(2, 10)).unwrap_or(2);
    format!("{value:.digits$}")
}
