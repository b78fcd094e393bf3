//! Results for the tests of this floor.

use crate::market::{
    Drift, FeatureRow, Fixed, Forecast, Interval, ModelInfo, Ohlcv, Reasons, Score, ScoreOutcome, Skill, Span, Status,
    Symbol, Timestamp,
};

const MINUTE: Span = Span::from_millis(60_000);

pub fn forecast(symbol: &str, issued_ms: i64) -> Forecast {
    let issued_at = Timestamp::from_millis(issued_ms);
    Forecast {
        job: "btc".into(),
        symbol: Symbol::new(symbol).unwrap(),
        horizon: MINUTE,
        issued_at,
        target_at: issued_at.plus(MINUTE),
        last_price: Fixed::parse(b"31571.742818217568").unwrap(),
        price: 31_573.020_000_000_004,
        interval: Interval { coverage: 0.9, lower: 31_531.1, upper: 0.1 + 0.2 },
        quantiles: [1.0, 2.5, 1.0 / 3.0, 4.0, 5e-324],
        probability_up: 0.52,
        status: Status::Abstain,
        reasons: Reasons { quiet: true, gap: true },
        skill: Skill { count: 1440, mae_ratio: Some(0.996), coverage: None, e_value: 3.1 },
        drift: Drift { changes: 2, changed_at: Some(issued_at), window: 640 },
        model: ModelInfo { version: 8123, trained_through: Some(issued_at), loss: None },
    }
}

pub fn score(symbol: &str, target_ms: i64, scored: bool) -> Score {
    let outcome = ScoreOutcome {
        actual_price: Fixed::parse(b"31570.5").unwrap(),
        error: -1.1,
        naive_error: 0.3,
        covered: true,
        pinball: 1.0 / 7.0,
        naive_pinball: 0.2,
        experts: std::array::from_fn(|at| (at % 4 == 0).then_some(0.25 * at as f64)),
    };
    Score {
        job: "btc".into(),
        symbol: Symbol::new(symbol).unwrap(),
        horizon: MINUTE,
        target_at: Timestamp::from_millis(target_ms),
        outcome: scored.then_some(outcome),
    }
}

pub fn row(symbol: &str, end_ms: i64) -> FeatureRow {
    let price = Fixed::parse(b"31570.5").unwrap();
    FeatureRow {
        symbol: Symbol::new(symbol).unwrap(),
        end: Timestamp::from_millis(end_ms),
        windows: vec![Some(Ohlcv::of_tick(price, Fixed::parse(b"0.02").unwrap(), None)), None].into(),
        bar: None,
        last_price: price,
    }
}
