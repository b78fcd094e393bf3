//! Documents back into what they were written from, bit for bit: for readers who want the JSON as it was published.

use super::published::{number, quantiles, stamp, symbol_and_horizon, table, text};
use crate::connectors::published::json;
use crate::market::forecast::EXPERT_NAMES;
use crate::market::json::write_window_of;
use crate::market::{
    Drift, Fixed, Forecast, Interval, ModelInfo, Reasons, Score, ScoreOutcome, Skill, Span, Symbol, Timestamp,
};
use mongodb::bson::{Bson, Document};
use std::fmt::Write as _;

/// Digits as the JSON has them: no exponent.
fn digits(value: f64) -> String {
    value.to_string()
}

fn price(document: &Document, name: &str) -> Result<Fixed, String> {
    let value = number(document, name)?;
    Fixed::parse(digits(value).as_bytes()).map_err(|error| format!("`{name}`: {error}"))
}

/// None where it is null.
fn optional<T>(
    document: &Document,
    name: &str,
    read: impl FnOnce(&Document, &str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    if matches!(document.get(name), Some(Bson::Null)) { Ok(None) } else { read(document, name).map(Some) }
}

fn count(document: &Document, name: &str) -> Result<u64, String> {
    let value = document.get_i64(name).map_err(|error| format!("`{name}`: {error}"))?;
    u64::try_from(value).map_err(|error| format!("`{name}`: {error}"))
}

/// A forecast.
pub(super) fn forecast(d: &Document) -> Result<Forecast, String> {
    let (symbol, horizon) = symbol_and_horizon(d)?;
    let interval = table(d, "interval")?;
    let (skill, drift, model) = (table(d, "skill")?, table(d, "drift")?, table(d, "model")?);
    let reasons = d.get_array("reasons").map_err(|error| format!("`reasons`: {error}"))?;
    let has = |reason: &str| reasons.iter().any(|found| found.as_str() == Some(reason));
    Ok(Forecast {
        job: json::job_of(text(d, "_id")?),
        symbol,
        horizon,
        issued_at: stamp(d, "issued_at")?,
        target_at: stamp(d, "target_at")?,
        last_price: price(d, "last_price")?,
        price: number(d, "price")?,
        interval: Interval {
            coverage: number(interval, "coverage")?,
            lower: number(interval, "lower")?,
            upper: number(interval, "upper")?,
        },
        quantiles: quantiles(d)?,
        probability_up: number(d, "probability_up")?,
        status: json::status_of(text(d, "status")?)?,
        reasons: Reasons { quiet: has("quiet"), gap: has("gap") },
        skill: Skill {
            count: count(skill, "count")?,
            mae_ratio: optional(skill, "mae_ratio", number)?,
            coverage: optional(skill, "coverage", number)?,
            e_value: number(skill, "e_value")?,
        },
        drift: Drift {
            changes: count(drift, "changes")?,
            changed_at: optional(drift, "changed_at", stamp)?,
            window: count(drift, "window")?,
        },
        model: ModelInfo {
            version: count(model, "version")?,
            trained_through: optional(model, "trained_through", stamp)?,
            loss: optional(model, "loss", number)?,
        },
    })
}

/// A score.
pub(super) fn score(d: &Document) -> Result<Score, String> {
    let (symbol, horizon) = symbol_and_horizon(d)?;
    let outcome = match text(d, "status")? {
        "void" => None,
        "scored" => {
            let losses = table(d, "experts")?;
            let mut experts = [None; EXPERT_NAMES.len()];
            for (loss, name) in experts.iter_mut().zip(EXPERT_NAMES) {
                *loss = losses.contains_key(name).then(|| number(losses, name)).transpose()?;
            }
            Some(ScoreOutcome {
                actual_price: price(d, "actual_price")?,
                error: number(d, "error")?,
                naive_error: number(d, "naive_error")?,
                covered: d.get_bool("covered").map_err(|error| format!("`covered`: {error}"))?,
                pinball: number(d, "pinball")?,
                naive_pinball: number(d, "naive_pinball")?,
                experts,
            })
        }
        other => return Err(format!("`status` is {other:?}: neither scored nor void")),
    };
    Ok(Score { job: json::job_of(text(d, "_id")?), symbol, horizon, target_at: stamp(d, "target_at")?, outcome })
}

/// A window of a row as the JSON of a bar: of its volumes the database keeps the first 16 digits. None where the row has none.
pub(super) fn bar(row: &Document, symbol: &Symbol, window: Span, end: Timestamp) -> Result<Option<String>, String> {
    let name = window.to_string();
    let Some(bar) = optional(table(row, "windows")?, &name, table_owned)? else { return Ok(None) };
    let mut json = String::new();
    for (place, name) in ["open", "high", "low", "close", "volume"].into_iter().enumerate() {
        let lead = if place == 0 { '{' } else { ',' };
        let _ = write!(json, "{lead}\"{name}\":{}", digits(number(&bar, name)?));
    }
    let vwap = optional(&bar, "vwap", number)?.map_or_else(|| "null".to_owned(), digits);
    let count = optional(&bar, "count", count)?.map_or_else(|| "null".to_owned(), |count| count.to_string());
    let _ = write!(json, ",\"vwap\":{vwap},\"count\":{count}}}");
    let mut whole = Vec::new();
    write_window_of(symbol, window, end, |out| out.extend_from_slice(json.as_bytes()), &mut whole);
    Ok(String::from_utf8(whole).ok())
}

fn table_owned(document: &Document, name: &str) -> Result<Document, String> {
    table(document, name).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::mongodb::documents;
    use crate::delivery::test_records;
    use crate::market::json::{write_forecast, write_score, write_window};
    use mongodb::bson::RawDocumentBuf;
    use proptest::prelude::*;

    fn document(raw: &RawDocumentBuf, id: String) -> Document {
        let mut document = raw.to_document().unwrap();
        document.insert("_id", id);
        document
    }

    #[test]
    fn what_comes_back_is_written_to_the_same_bytes() {
        let mut f = test_records::forecast("BTC", 1_611_239_640_000);
        let same = |f: &Forecast| {
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            write_forecast(f, &mut expected);
            write_forecast(&forecast(&document(&documents::forecast(f), f.id())).unwrap(), &mut found);
            assert_eq!(String::from_utf8(found), String::from_utf8(expected));
        };
        same(&f);
        (f.price, f.reasons, f.model) = (-0.0, Reasons::default(), ModelInfo::default());
        (f.skill.mae_ratio, f.skill.coverage, f.drift.changed_at) = (None, None, None);
        same(&f);
        for s in [true, false].map(|scored| test_records::score("BTC", 1_611_239_640_000, scored)) {
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            write_score(&s, &mut expected);
            write_score(&score(&document(&documents::score(&s), s.id())).unwrap(), &mut found);
            assert_eq!(String::from_utf8(found), String::from_utf8(expected));
        }
        let names = [Span::from_millis(60_000), Span::from_millis(300_000)];
        let row = test_records::row("BTC", 60_000);
        let written = documents::row(&row, &names).to_document().unwrap();
        for (name, window) in names.iter().zip(&row.windows) {
            let mut expected = Vec::new();
            let found = bar(&written, &row.symbol, *name, row.end).unwrap();
            if let Some(window) = window {
                write_window(&row.symbol, *name, row.end, window, &mut expected);
            }
            assert_eq!(found.unwrap_or_default(), String::from_utf8(expected).unwrap());
        }
    }

    #[test]
    fn what_is_not_ours_is_named() {
        let f = test_records::forecast("BTC", 1_611_239_640_000);
        let whole = document(&documents::forecast(&f), f.id());
        for name in whole.keys() {
            let mut less = whole.clone();
            less.remove(name);
            // The naive price is the last one.
            assert_eq!(forecast(&less).is_err(), name != "naive_price", "{name}");
        }
    }

    proptest! {
        /// Up to 15 digits a double keeps a price's text.
        #[test]
        fn prices_come_back(raw in 0_i64..1_000_000_000_000_000) {
            let f = Forecast { last_price: Fixed::from_raw(raw), ..test_records::forecast("BTC", 60_000) };
            let back = forecast(&document(&documents::forecast(&f), f.id())).unwrap();
            prop_assert_eq!(back.last_price, f.last_price);
        }
    }
}
