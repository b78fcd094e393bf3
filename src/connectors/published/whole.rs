//! Whole forecasts from their JSON, for what shows them.

use crate::market::{Drift, Fixed, Forecast, Interval, ModelInfo, Reasons, Skill, Span, Status, Symbol, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct ForecastJson {
    id: String,
    symbol: String,
    horizon: Span,
    issued_at: String,
    target_at: String,
    last_price: serde_json::Number,
    price: f64,
    interval: IntervalJson,
    quantiles: BTreeMap<String, f64>,
    probability_up: f64,
    status: String,
    reasons: Vec<String>,
    skill: SkillJson,
    drift: Option<DriftJson>,
    model: ModelJson,
}

#[derive(Deserialize)]
struct IntervalJson {
    coverage: f64,
    lower: f64,
    upper: f64,
}

#[derive(Deserialize)]
struct SkillJson {
    count: u64,
    mae_ratio: Option<f64>,
    coverage: Option<f64>,
    e_value: f64,
}

#[derive(Deserialize)]
struct DriftJson {
    changes: u64,
    changed_at: Option<String>,
    window: u64,
}

#[derive(Deserialize)]
struct ModelJson {
    version: u64,
    trained_through: Option<String>,
    loss: Option<f64>,
}

fn at(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text.as_bytes()).ok()
}

/// A forecast as it was published; none where it is none. Its numbers may miss the last bit of the published ones.
#[must_use]
pub fn whole_forecast(json: &str) -> Option<Forecast> {
    let f: ForecastJson = serde_json::from_str(json).ok()?;
    let mut quantiles = [0.0; 5];
    for (name, value) in crate::market::forecast::LEVEL_NAMES.iter().zip(&mut quantiles) {
        *value = *f.quantiles.get(*name)?;
    }
    let drift = f.drift.map(|drift| Drift {
        changes: drift.changes,
        changed_at: drift.changed_at.as_deref().and_then(at),
        window: drift.window,
    });
    Some(Forecast {
        job: f.id.split('/').next().unwrap_or_default().into(),
        symbol: Symbol::new(&f.symbol).ok()?,
        horizon: f.horizon,
        issued_at: at(&f.issued_at)?,
        target_at: at(&f.target_at)?,
        last_price: Fixed::parse(f.last_price.to_string().as_bytes()).ok()?,
        price: f.price,
        interval: Interval { coverage: f.interval.coverage, lower: f.interval.lower, upper: f.interval.upper },
        quantiles,
        probability_up: f.probability_up,
        status: [Status::Ok, Status::Warming, Status::Abstain].into_iter().find(|s| s.as_str() == f.status)?,
        reasons: Reasons {
            quiet: f.reasons.iter().any(|reason| reason == "quiet"),
            gap: f.reasons.iter().any(|reason| reason == "gap"),
        },
        skill: Skill {
            count: f.skill.count,
            mae_ratio: f.skill.mae_ratio,
            coverage: f.skill.coverage,
            e_value: f.skill.e_value,
        },
        drift: drift.unwrap_or_default(),
        model: ModelInfo {
            version: f.model.version,
            trained_through: f.model.trained_through.as_deref().and_then(at),
            loss: f.model.loss,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::test_records::forecast;
    use crate::market::json::write_forecast;

    #[test]
    fn a_forecast_comes_back() {
        let one = forecast("BTC", 1_611_239_640_000);
        let mut json = Vec::new();
        write_forecast(&one, &mut json);
        let json = String::from_utf8(json).unwrap();
        let back = whole_forecast(&json).unwrap();
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-12 * a.abs();
        assert!(close(back.price, one.price) && back.quantiles.iter().zip(one.quantiles).all(|(a, b)| close(*a, b)));
        let rest = |f: &Forecast| Forecast { price: 0.0, quantiles: [0.0; 5], interval: one.interval, ..f.clone() };
        assert_eq!(rest(&back), rest(&one));
        assert_eq!(whole_forecast("{}"), None);
    }
}
