//! Forecasts and scores from their JSON.
//!
//! Numbers are read from their text by the standard library: `serde_json` alone may miss the last bit, and the same
//! forecasts in a database would give other figures. (Its feature `float_roundtrip` would make every reader of the crate
//! slower, and the one that decoding is measured against.)

use crate::evaluation::report::{Issued, Outcome, Settled};
use crate::market::{Span, Status, Symbol, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Deserialize)]
struct ForecastJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    horizon: Cow<'a, str>,
    #[serde(borrow)]
    issued_at: Cow<'a, str>,
    #[serde(borrow)]
    target_at: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    last_price: &'a RawValue,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    interval: IntervalJson<'a>,
    #[serde(borrow)]
    quantiles: QuantilesJson<'a>,
    #[serde(borrow)]
    skill: SkillJson<'a>,
    #[serde(borrow)]
    model: ModelJson<'a>,
}

#[derive(Deserialize)]
struct IntervalJson<'a> {
    #[serde(borrow)]
    coverage: &'a RawValue,
    #[serde(borrow)]
    lower: &'a RawValue,
    #[serde(borrow)]
    upper: &'a RawValue,
}

#[derive(Deserialize)]
struct QuantilesJson<'a> {
    #[serde(borrow, rename = "0.05")]
    q05: &'a RawValue,
    #[serde(borrow, rename = "0.25")]
    q25: &'a RawValue,
    #[serde(borrow, rename = "0.5")]
    q50: &'a RawValue,
    #[serde(borrow, rename = "0.75")]
    q75: &'a RawValue,
    #[serde(borrow, rename = "0.95")]
    q95: &'a RawValue,
}

#[derive(Deserialize)]
struct SkillJson<'a> {
    #[serde(borrow)]
    e_value: &'a RawValue,
}

#[derive(Deserialize)]
struct ModelJson<'a> {
    version: u64,
    #[serde(borrow)]
    loss: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ScoreJson<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    horizon: Cow<'a, str>,
    #[serde(borrow)]
    target_at: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    actual_price: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    naive_error: Option<&'a RawValue>,
    covered: Option<bool>,
    #[serde(borrow)]
    pinball: Option<&'a RawValue>,
    #[serde(borrow)]
    naive_pinball: Option<&'a RawValue>,
}

fn number(name: &str, raw: &RawValue) -> Result<f64, String> {
    let parsed = raw.get().parse::<f64>().ok().filter(|value| value.is_finite());
    parsed.ok_or_else(|| format!("`{name}` is no number: {}", raw.get()))
}

fn stamp(name: &str, text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text.as_bytes()).map_err(|error| format!("`{name}` {error}"))
}

fn symbol(name: &str) -> Result<Symbol, String> {
    Symbol::new(name).map_err(|error| format!("`symbol` {error}"))
}

fn horizon(text: &str) -> Result<Span, String> {
    text.parse().map_err(|error: crate::market::time::SpanError| format!("`horizon` {error}"))
}

/// A job's id is what a forecast's id begins with.
pub(in crate::connectors) fn job_of(id: &str) -> Arc<str> {
    id.split('/').next().unwrap_or_default().into()
}

/// A forecast's status from its spelling.
pub(in crate::connectors) fn status_of(text: &str) -> Result<Status, String> {
    let all = [Status::Ok, Status::Warming, Status::Abstain];
    let found = all.into_iter().find(|status| status.as_str() == text);
    found.ok_or_else(|| format!("`status` is {text:?}: neither ok, warming nor abstain"))
}

/// Reads a forecast.
///
/// # Errors
/// What is wrong with it.
pub fn forecast(text: &[u8]) -> Result<Issued, String> {
    let f: ForecastJson<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let q = &f.quantiles;
    let mut quantiles = [0.0; 5];
    for (quantile, raw) in quantiles.iter_mut().zip([q.q05, q.q25, q.q50, q.q75, q.q95]) {
        *quantile = number("quantiles", raw)?;
    }
    Ok(Issued {
        job: job_of(&f.id),
        symbol: symbol(&f.symbol)?,
        horizon: horizon(&f.horizon)?,
        issued_at: stamp("issued_at", &f.issued_at)?,
        target_at: stamp("target_at", &f.target_at)?,
        last_price: number("last_price", f.last_price)?,
        price: number("price", f.price)?,
        lower: number("interval.lower", f.interval.lower)?,
        upper: number("interval.upper", f.interval.upper)?,
        coverage: number("interval.coverage", f.interval.coverage)?,
        quantiles,
        status: status_of(&f.status)?,
        e_value: number("skill.e_value", f.skill.e_value)?,
        version: f.model.version,
        loss: f.model.loss.map(|raw| number("model.loss", raw)).transpose()?,
    })
}

/// Reads a score.
///
/// # Errors
/// What is wrong with it.
pub fn score(text: &[u8]) -> Result<Settled, String> {
    let s: ScoreJson<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let of = |name: &str, raw: Option<&RawValue>| {
        raw.ok_or_else(|| format!("`{name}` is null in a score that is not void")).and_then(|raw| number(name, raw))
    };
    let outcome = match &*s.status {
        "void" => None,
        "scored" => Some(Outcome {
            actual_price: of("actual_price", s.actual_price)?,
            error: of("error", s.error)?,
            naive_error: of("naive_error", s.naive_error)?,
            covered: s.covered.ok_or("`covered` is null in a score that is not void")?,
            pinball: of("pinball", s.pinball)?,
            naive_pinball: of("naive_pinball", s.naive_pinball)?,
        }),
        other => return Err(format!("`status` is {other:?}: neither scored nor void")),
    };
    Ok(Settled {
        job: job_of(&s.id),
        symbol: symbol(&s.symbol)?,
        horizon: horizon(&s.horizon)?,
        target_at: stamp("target_at", &s.target_at)?,
        outcome,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::test_records;
    use crate::market::json::{write_forecast, write_score};

    #[test]
    fn reads_what_is_written() {
        let mut f = test_records::forecast("A\"<b>", 60_000 * 30_000_000);
        f.price = 1.0 / 3.0;
        let mut text = Vec::new();
        write_forecast(&f, &mut text);
        let read = forecast(&text).unwrap();
        assert_eq!((read.symbol, read.job, read.issued_at), (f.symbol.clone(), f.job.clone(), f.issued_at));
        assert_eq!((read.price.to_bits(), read.quantiles), (f.price.to_bits(), f.quantiles));
        for scored in [true, false] {
            let s = test_records::score("BTC", 60_000 * 30_000_000, scored);
            let mut text = Vec::new();
            write_score(&s, &mut text);
            let read = score(&text).unwrap();
            assert_eq!(read.outcome.map(|o| o.error), s.outcome.map(|o| o.error));
            assert_eq!(read.target_at, s.target_at);
        }
        assert!(forecast(b"{}").unwrap_err().contains("missing field"));
        assert!(score(b"[1]").is_err());
    }
}
