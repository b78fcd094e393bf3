//! Documents: the fields of the JSON messages under the same names and nesting, but for `id`, which is `_id`; stamps as
//! BSON dates, counts as 64-bit integers, all other numbers as doubles that equal the JSON's, bit for bit.

use crate::market::fixed::{raw_to_f64, write_decimal};
use crate::market::forecast::{EXPERT_NAMES, LEVEL_NAMES};
use crate::market::{FeatureRow, Fixed, Forecast, Ohlcv, Reported, Score, ScoreOutcome, Span, StoredTick, Timestamp};
use mongodb::bson::{DateTime, RawArrayBuf, RawBson, RawDocumentBuf, rawdoc};

/// Above this an integer may not be a double.
const EXACT_MAX: u128 = 1 << 53;

/// The double that the number's decimal text reads as.
fn double(raw: i128) -> f64 {
    // Below, both operands of the division are exact, so its one rounding is that of the text; above, there would be two.
    if raw.unsigned_abs() <= EXACT_MAX {
        return raw_to_f64(raw);
    }
    let mut text = Vec::with_capacity(48);
    write_decimal(raw, &mut text);
    std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| raw_to_f64(raw))
}

fn price(value: Fixed) -> f64 {
    double(i128::from(value.raw()))
}

/// A number as the JSON has it: there is no minus zero there.
fn number(value: f64) -> f64 {
    value + 0.0
}

fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.millis())
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The value, or null.
fn optional(value: Option<impl Into<RawBson>>) -> RawBson {
    value.map_or(RawBson::Null, Into::into)
}

/// A forecast but for its id.
pub(super) fn forecast(f: &Forecast) -> RawDocumentBuf {
    let mut quantiles = RawDocumentBuf::new();
    for (name, value) in LEVEL_NAMES.into_iter().zip(f.quantiles) {
        quantiles.append(name, number(value));
    }
    let mut reasons = RawArrayBuf::new();
    for (_, name) in [(f.reasons.quiet, "quiet"), (f.reasons.gap, "gap")].into_iter().filter(|(on, _)| *on) {
        reasons.push(name);
    }
    rawdoc! {
        "symbol": f.symbol.as_str(),
        "horizon": f.horizon.to_string(),
        "issued_at": date(f.issued_at),
        "target_at": date(f.target_at),
        "last_price": price(f.last_price),
        "naive_price": price(f.last_price),
        "price": number(f.price),
        "interval": {
            "coverage": number(f.interval.coverage),
            "lower": number(f.interval.lower),
            "upper": number(f.interval.upper),
        },
        "quantiles": quantiles,
        "probability_up": number(f.probability_up),
        "status": f.status.as_str(),
        "reasons": reasons,
        "skill": {
            "count": count(f.skill.count),
            "mae_ratio": optional(f.skill.mae_ratio.map(number)),
            "coverage": optional(f.skill.coverage.map(number)),
            "e_value": number(f.skill.e_value),
        },
        "drift": {
            "changes": count(f.drift.changes),
            "changed_at": optional(f.drift.changed_at.map(date)),
            "window": count(f.drift.window),
        },
        "model": {
            "version": count(f.model.version),
            "trained_through": optional(f.model.trained_through.map(date)),
            "loss": optional(f.model.loss.map(number)),
        },
    }
}

/// A score but for its id.
pub(super) fn score(s: &Score) -> RawDocumentBuf {
    let o = s.outcome.as_ref();
    let of = |value: fn(&ScoreOutcome) -> f64| optional(o.map(|o| number(value(o))));
    rawdoc! {
        "symbol": s.symbol.as_str(),
        "horizon": s.horizon.to_string(),
        "target_at": date(s.target_at),
        "actual_price": of(|o| price(o.actual_price)),
        "error": of(|o| o.error),
        "naive_error": of(|o| o.naive_error),
        "covered": optional(o.map(|o| o.covered)),
        "pinball": of(|o| o.pinball),
        "naive_pinball": of(|o| o.naive_pinball),
        "experts": optional(o.map(experts)),
        "status": if o.is_some() { "scored" } else { "void" },
    }
}

/// Pinball losses of the experts that took part.
fn experts(o: &ScoreOutcome) -> RawDocumentBuf {
    let mut document = RawDocumentBuf::new();
    for (name, pinball) in EXPERT_NAMES.into_iter().zip(o.experts) {
        if let Some(pinball) = pinball {
            document.append(name, number(pinball));
        }
    }
    document
}

fn bar(bar: &Ohlcv) -> RawDocumentBuf {
    rawdoc! {
        "open": price(bar.open),
        "high": price(bar.high),
        "low": price(bar.low),
        "close": price(bar.close),
        "volume": double(bar.volume),
        "vwap": optional(bar.vwap_raw().map(double)),
        "count": optional(bar.known_count().map(count)),
    }
}

/// A feature row; `names` are the configured windows, in the order of its values.
pub(super) fn row(row: &FeatureRow, names: &[Span]) -> RawDocumentBuf {
    assert_eq!(row.windows.len(), names.len(), "a row has one value per configured window");
    let mut windows = RawDocumentBuf::new();
    for (name, window) in names.iter().zip(&row.windows) {
        windows.append(name.to_string(), optional(window.as_ref().map(bar)));
    }
    rawdoc! { "symbol": row.symbol.as_str(), "end": date(row.end), "windows": windows }
}

/// A used observation; fields that its record does not have are absent.
pub(super) fn tick(t: &StoredTick) -> RawDocumentBuf {
    let mut document = rawdoc! {
        "symbol": t.symbol.as_str(),
        "timestamp": date(t.at),
        "price_usd": price(t.price),
    };
    let Reported { open, high, low, close, volume } = t.reported.unwrap_or_default();
    let numbers = [("open", open), ("high", high), ("low", low), ("close", close), ("volume", volume)];
    let numbers = numbers.into_iter().chain([("size", t.size.map(raw_to_f64))]);
    for (name, value) in numbers.filter_map(|(name, value)| Some((name, value?))) {
        document.append(name, number(value));
    }
    if let Some(side) = t.side {
        document.append("side", side.as_str());
    }
    document.append("topic", &*t.topic);
    document.append("partition", i64::from(t.partition.number()));
    document.append("offset", count(t.offset));
    document
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::test_records;
    use crate::market::json::{write_forecast, write_row, write_score};
    use mongodb::bson::{Bson, Document};
    use proptest::prelude::*;
    use serde_json::Value;

    /// Whether a BSON value says what the JSON says: the comparison that readers of both make.
    fn same(bson: &Bson, json: &Value) -> bool {
        match (bson, json) {
            (Bson::Null, Value::Null) => true,
            (Bson::Boolean(b), Value::Bool(j)) => b == j,
            (Bson::String(b), Value::String(j)) => b == j,
            (Bson::Double(b), Value::Number(j)) => j.as_f64().map(f64::to_bits) == Some(b.to_bits()),
            (Bson::Int64(b), Value::Number(j)) => j.as_i64() == Some(*b),
            (Bson::DateTime(b), Value::String(j)) => Timestamp::from_millis(b.timestamp_millis()).to_string() == *j,
            (Bson::DateTime(b), Value::Number(j)) => j.as_i64() == Some(b.timestamp_millis()),
            (Bson::Array(b), Value::Array(j)) => b.len() == j.len() && b.iter().zip(j).all(|(b, j)| same(b, j)),
            (Bson::Document(b), Value::Object(j)) => {
                b.len() == j.len() && b.iter().all(|(name, value)| j.get(name).is_some_and(|j| same(value, j)))
            }
            _ => false,
        }
    }

    fn assert_same(document: &RawDocumentBuf, write: impl FnOnce(&mut Vec<u8>)) {
        let mut json = Vec::new();
        write(&mut json);
        let mut json: Value = serde_json::from_slice(&json).unwrap();
        json.as_object_mut().unwrap().remove("id");
        let document: Document = document.to_document().unwrap();
        assert!(same(&Bson::Document(document.clone()), &json), "{document}\n{json}");
    }

    #[test]
    fn documents_say_what_the_json_says() {
        let mut f = test_records::forecast("BTC", 60_000);
        assert_same(&forecast(&f), |out| write_forecast(&f, out));
        f.price = -0.0;
        f.reasons = crate::market::Reasons::default();
        f.model = crate::market::ModelInfo::default();
        f.skill.mae_ratio = None;
        assert_same(&forecast(&f), |out| write_forecast(&f, out));
        for scored in [true, false] {
            let s = test_records::score("BTC", 60_000, scored);
            assert_same(&score(&s), |out| write_score(&s, out));
        }
        let names = [Span::from_millis(60_000), Span::from_millis(300_000)];
        let mut r = test_records::row("BTC", 60_000);
        assert_same(&row(&r, &names), |out| write_row(&r, &names, out));
        let window = r.windows[0].as_mut().unwrap();
        (window.volume, window.count_unknown) = (324_064_071_400_000_001, true);
        assert_same(&row(&r, &names), |out| write_row(&r, &names, out));
    }

    proptest! {
        #[test]
        fn a_double_is_what_the_decimal_text_reads_as(raw in any::<i128>(), shift in 0_u32..127) {
            let raw = raw >> shift;
            let mut text = Vec::new();
            write_decimal(raw, &mut text);
            let expected: f64 = String::from_utf8(text).unwrap().parse().unwrap();
            prop_assert_eq!(double(raw).to_bits(), expected.to_bits());
        }
    }
}
