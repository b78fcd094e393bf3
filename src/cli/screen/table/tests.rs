use super::*;
use crate::market::{Fixed, Interval, ModelInfo, Reasons, Skill, Span, Symbol};

fn forecast(symbol: &str, horizon: &str, last: &str, status: Status) -> Forecast {
    let last_price = Fixed::parse(last.as_bytes()).unwrap();
    let price = last_price.to_f64();
    let horizon: Span = horizon.parse().unwrap();
    let issued_at = Timestamp::from_millis(1_700_006_400_000);
    Forecast {
        job: "demo".into(),
        symbol: Symbol::new(symbol).unwrap(),
        horizon,
        issued_at,
        target_at: issued_at.plus(horizon),
        last_price,
        price: price * 1.0001,
        interval: Interval { coverage: 0.9, lower: price * 0.999, upper: price * 1.001 },
        quantiles: [price; 5],
        probability_up: 0.5,
        status,
        reasons: Reasons::default(),
        skill: Skill { count: 1440, mae_ratio: Some(0.9961), coverage: None, e_value: 1.0 },
        drift: crate::market::Drift::default(),
        model: ModelInfo::default(),
    }
}

fn latest(status: Status) -> Vec<Forecast> {
    [("BTC.SIM", "64012.34"), ("DOGE.SIM", "0.0712"), ("SOL.SIM", "150.123")]
        .into_iter()
        .flat_map(|(symbol, last)| ["1m", "1h"].map(|horizon| forecast(symbol, horizon, last, status)))
        .collect()
}

fn view(latest: &[Forecast]) -> View<'_> {
    View {
        name: "demo",
        label: "SIMULATED MARKET",
        phase: Phase::History(Some(0.5)),
        records: 51_234,
        through: Some(Timestamp::from_millis(1_700_006_400_000)),
        forecasts: 17_280,
        elapsed: Duration::from_millis(12_345),
        latest,
    }
}

#[test]
fn nothing_wraps_at_any_width() {
    for status in [Status::Ok, Status::Warming] {
        let latest = latest(status);
        for width in 20..=200 {
            let lines = view(&latest).lines(width, 100);
            let longest = lines.iter().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= width, "{longest} > {width}");
            assert!(lines.iter().all(|line| line.is_ascii()));
        }
        assert_eq!(view(&latest).lines(80, 5).len(), 5, "a low window is not overrun");
    }
}

#[test]
fn eighty_columns_hold_all_that_is_asked_for() {
    let latest = latest(Status::Ok);
    let lines = view(&latest).lines(80, 24);
    let expected = [
        "tickcast demo: SIMULATED MARKET, history [############------------] 50 %",
        "through 2023-11-15 00:00:00 UTC, 51,234 records, 17,280 forecasts, 12 s",
        "",
        "symbol    ahead      last  forecast     lower     upper    MAE  cover  scores",
        "BTC.SIM      1m  64012.34  64018.74  63948.33  64076.35  0.996      -    1440",
        "BTC.SIM      1h  64012.34  64018.74  63948.33  64076.35  0.996      -    1440",
        "DOGE.SIM     1m  0.071200  0.071207  0.071129  0.071271  0.996      -    1440",
    ];
    assert_eq!(lines[..expected.len()], expected);
}

#[test]
fn columns_stand_under_their_headers() {
    for width in [60, 80, 120] {
        let latest = latest(Status::Warming);
        let rows = table(&latest, width);
        // Where a header ends, every row has a cell that ends.
        for (at, _) in rows[0].match_indices("forecast").chain(rows[0].match_indices("upper")) {
            let end = at + rows[0][at..].find(' ').unwrap_or(rows[0].len() - at);
            for row in &rows[1..] {
                assert!(row.as_bytes()[end - 1].is_ascii_digit() && row.as_bytes().get(end) == Some(&b' '), "{row}");
            }
        }
        assert!(rows[0].contains("note") == (width >= 80), "{}", rows[0]);
    }
}

#[test]
fn simulated_shows_unless_it_is_not() {
    let latest = latest(Status::Ok);
    for phase in [Phase::History(None), Phase::Live(Some(1.0)), Phase::Live(None), Phase::Finishing] {
        let simulated = View { phase, ..view(&latest) };
        assert!(simulated.lines(80, 24)[0].contains("SIMULATED MARKET"));
        assert!(simulated.line().starts_with("SIMULATED MARKET: through 2023-11-15 00:00:00 UTC, 51,234 records"));
        let recorded = View { label: "RECORDED DATA", ..simulated };
        assert!(!recorded.lines(80, 24).concat().contains("SIMULATED") && !recorded.line().contains("SIMULATED"));
    }
}

#[test]
fn before_the_first_forecast_it_says_so() {
    let view = View { through: None, ..view(&[]) };
    assert!(view.lines(80, 24).concat().contains("No forecast yet"));
    assert_eq!(view.line(), "SIMULATED MARKET: nothing published yet, 51,234 records, 17,280 forecasts, 12 s");
}
