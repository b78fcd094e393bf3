//! The JSON of the contract: forecasts, scores and feature rows, byte for byte the same wherever they go.

use super::fixed::write_decimal;
use super::forecast::{EXPERT_NAMES, LEVEL_NAMES, forecast_id};
use super::{FeatureRow, Fixed, Forecast, Ohlcv, Score, Span, Symbol, Timestamp};
use std::io::Write as _;

/// Appends `text` as a JSON string.
fn string(text: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail, and neither can a str's serialisation.
    let _ = serde_json::to_writer(out, text);
}

/// Appends a finite number in its shortest form that reads back as the same `f64`; integral ones without a fraction.
fn number(value: f64, out: &mut Vec<u8>) {
    debug_assert!(value.is_finite(), "only finite numbers are published");
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format(value);
    let text = text.strip_suffix(".0").unwrap_or(text);
    out.extend_from_slice(if text == "-0" { b"0" } else { text.as_bytes() });
}

fn optional(value: Option<f64>, out: &mut Vec<u8>) {
    match value {
        Some(value) => number(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn fixed(value: Fixed, out: &mut Vec<u8>) {
    write_decimal(i128::from(value.raw()), out);
}

fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends `write!`-formatted text, which cannot fail on a Vec.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => { let _ = write!($out, $($arg)*); };
}

/// Appends a forecast as one JSON object.
pub fn write_forecast(f: &Forecast, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    string(&f.id(), out);
    out.extend_from_slice(b",\"symbol\":");
    string(f.symbol.as_str(), out);
    put!(out, ",\"horizon\":\"{}\",\"issued_at\":\"{}\",\"target_at\":\"{}\"", f.horizon, f.issued_at, f.target_at);
    for name in [&b",\"last_price\":"[..], b",\"naive_price\":"] {
        out.extend_from_slice(name);
        fixed(f.last_price, out);
    }
    let i = &f.interval;
    let pairs = [
        (",\"price\":", f.price),
        (",\"interval\":{\"coverage\":", i.coverage),
        (",\"lower\":", i.lower),
        (",\"upper\":", i.upper),
    ];
    for (name, value) in pairs {
        out.extend_from_slice(name.as_bytes());
        number(value, out);
    }
    out.extend_from_slice(b"},\"quantiles\":{");
    for (at, (name, value)) in LEVEL_NAMES.into_iter().zip(f.quantiles).enumerate() {
        put!(out, "{}\"{name}\":", if at == 0 { "" } else { "," });
        number(value, out);
    }
    out.extend_from_slice(b"},\"probability_up\":");
    number(f.probability_up, out);
    put!(out, ",\"status\":\"{}\",\"reasons\":[", f.status.as_str());
    let reasons = [(f.reasons.quiet, "\"quiet\""), (f.reasons.gap, "\"gap\"")];
    let reasons: Vec<&str> = reasons.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
    put!(out, "{}],\"skill\":{{\"count\":{},\"mae_ratio\":", reasons.join(","), f.skill.count);
    optional(f.skill.mae_ratio, out);
    out.extend_from_slice(b",\"coverage\":");
    optional(f.skill.coverage, out);
    out.extend_from_slice(b",\"e_value\":");
    number(f.skill.e_value, out);
    put!(out, "}},\"drift\":{{\"changes\":{},\"changed_at\":", f.drift.changes);
    stamp(f.drift.changed_at, out);
    put!(out, ",\"window\":{}}},\"model\":{{\"version\":{},\"trained_through\":", f.drift.window, f.model.version);
    stamp(f.model.trained_through, out);
    out.extend_from_slice(b",\"loss\":");
    optional(f.model.loss, out);
    out.extend_from_slice(b"}}");
}

fn stamp(stamp: Option<Timestamp>, out: &mut Vec<u8>) {
    match stamp {
        Some(stamp) => {
            put!(out, "\"{stamp}\"");
        }
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends a score as one JSON object.
pub fn write_score(s: &Score, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    string(&forecast_id(&s.job, &s.symbol, s.horizon, s.target_at), out);
    out.extend_from_slice(b",\"symbol\":");
    string(s.symbol.as_str(), out);
    put!(out, ",\"horizon\":\"{}\",\"target_at\":\"{}\",\"actual_price\":", s.horizon, s.target_at);
    let Some(o) = &s.outcome else {
        out.extend_from_slice(b"null,\"error\":null,\"naive_error\":null,\"covered\":null,\"pinball\":null,\"naive_pinball\":null,\"experts\":null,\"status\":\"void\"}");
        return;
    };
    fixed(o.actual_price, out);
    out.extend_from_slice(b",\"error\":");
    number(o.error, out);
    out.extend_from_slice(b",\"naive_error\":");
    number(o.naive_error, out);
    put!(out, ",\"covered\":{},\"pinball\":", o.covered);
    number(o.pinball, out);
    out.extend_from_slice(b",\"naive_pinball\":");
    number(o.naive_pinball, out);
    out.extend_from_slice(b",\"experts\":{");
    let known = EXPERT_NAMES.into_iter().zip(o.experts).filter_map(|(name, pinball)| Some((name, pinball?)));
    for (at, (name, pinball)) in known.enumerate() {
        put!(out, "{}\"{name}\":", if at == 0 { "" } else { "," });
        number(pinball, out);
    }
    out.extend_from_slice(b"},\"status\":\"scored\"}");
}

fn write_bar(bar: &Ohlcv, out: &mut Vec<u8>) {
    let prices =
        [("{\"open\":", bar.open), (",\"high\":", bar.high), (",\"low\":", bar.low), (",\"close\":", bar.close)];
    for (name, price) in prices {
        out.extend_from_slice(name.as_bytes());
        fixed(price, out);
    }
    out.extend_from_slice(b",\"volume\":");
    write_decimal(bar.volume, out);
    out.extend_from_slice(b",\"vwap\":");
    match bar.vwap_raw() {
        Some(vwap) => write_decimal(vwap, out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"count\":");
    match bar.known_count() {
        Some(count) => integer(count, out),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
}

/// Appends a window of a feature row as one JSON object of its own: the bar of `symbol` that ends at `end`.
pub fn write_window(symbol: &Symbol, window: Span, end: Timestamp, bar: &Ohlcv, out: &mut Vec<u8>) {
    write_window_of(symbol, window, end, |out| write_bar(bar, out), out);
}

/// The same, of a bar that is written already.
pub fn write_window_of(
    symbol: &Symbol,
    window: Span,
    end: Timestamp,
    bar: impl FnOnce(&mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"symbol\":");
    string(symbol.as_str(), out);
    put!(out, ",\"window\":\"{window}\",\"end\":{},\"bar\":", end.millis());
    bar(out);
    out.push(b'}');
}

/// Appends a feature row as one JSON object. `names` are the configured windows, in the order of `row.windows`.
pub fn write_row(row: &FeatureRow, names: &[Span], out: &mut Vec<u8>) {
    assert_eq!(row.windows.len(), names.len(), "a row has one value per configured window");
    out.extend_from_slice(b"{\"symbol\":");
    string(row.symbol.as_str(), out);
    out.extend_from_slice(b",\"end\":");
    integer(row.end.millis(), out);
    out.extend_from_slice(b",\"windows\":{");
    for (at, (name, window)) in names.iter().zip(&row.windows).enumerate() {
        put!(out, "{}\"{name}\":", if at == 0 { "" } else { "," });
        match window {
            Some(bar) => write_bar(bar, out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b"}}");
}
