//! Candles: what each field makes of the bar, and what is unknown, wrong, or never guessed.

use tickcast::config::Format;
use tickcast::formats::{DecodeError, Decoder, REASONS};
use tickcast::market::{Fixed, Observation, Quote, SymbolTable, Timestamp};

fn decode(value: &str) -> Result<(Observation, SymbolTable), DecodeError> {
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    Decoder::json(Format::Auto, None, None).decode(None, value.as_bytes(), &mut symbols, &mut out)?;
    Ok((out.remove(0), symbols))
}

fn reason(value: &[u8]) -> &'static str {
    let error = decode(std::str::from_utf8(value).unwrap()).map(|_| ()).expect_err("an error");
    assert!(REASONS.iter().any(|(known, _)| *known == error.reason) && error.detail.len() < 400, "{error:?}");
    error.reason
}

fn ms(text: &str) -> Timestamp {
    Timestamp::parse(text.as_bytes()).unwrap()
}

fn fixed(text: &str) -> Fixed {
    Fixed::parse(text.as_bytes()).unwrap()
}

#[test]
fn candles_close_at_the_end_of_their_interval() {
    let candle = |more: &str| {
        let interval = if more.contains("interval") { "" } else { r#","interval":"1m""# };
        let prices = r#""open":2,"high":4,"low":1,"close":3,"volume":8"#;
        format!(r#"{{"symbol":"BTC","timestamp":1617321600,{prices}{interval}{more}}}"#)
    };
    let (seen, _) = decode(&candle("")).expect("a candle");
    assert_eq!(seen.at, ms("2021-04-02T00:00:59.999Z"));
    let Quote::Candle { bar, .. } = seen.quote else { panic!("a candle") };
    assert_eq!((bar.open, bar.high, bar.low, bar.close), (fixed("2"), fixed("4"), fixed("1"), fixed("3")));
    assert_eq!((bar.volume, bar.known_count(), bar.vwap()), (800_000_000, None, None));
    assert_eq!(bar.known_signed_volume_raw(), None);

    let (seen, _) = decode(&candle(r#","interval":"1h","count":12,"vwap":"2.5""#)).expect("a candle");
    assert_eq!(seen.at, ms("2021-04-02T00:59:59.999Z"));
    let Quote::Candle { bar, .. } = seen.quote else { panic!("a candle") };
    assert_eq!((bar.known_count(), bar.vwap()), (Some(12), Some(2.5)));

    // Price times size and what takers bought, where the record says: exactly, from their digits.
    let more = r#","quote_volume":"20.00000001","vwap":9,"taker_buy_volume":3,"count":5"#;
    let (seen, _) = decode(&candle(more)).expect("a candle");
    let Quote::Candle { bar, .. } = seen.quote else { panic!("a candle") };
    assert_eq!((bar.notional, bar.known_signed_volume_raw()), (2_000_000_001 * 100_000_000, Some(-200_000_000)));

    // What may be absent and cannot be read is unknown.
    for unknown in [
        r#","taker_buy_volume":8.00000001,"count":1.5,"quote_volume":-1"#,
        r#","taker_buy_volume":-1,"count":-1,"quote_volume":[]"#,
        r#","taker_buy_volume":"n/a","count":"many","vwap":"x""#,
    ] {
        let (seen, _) = decode(&candle(unknown)).unwrap_or_else(|error| panic!("{unknown}: {error}"));
        let Quote::Candle { bar, .. } = seen.quote else { panic!("a candle") };
        assert_eq!((bar.known_signed_volume_raw(), bar.known_count(), bar.vwap()), (None, None, None), "{unknown}");
    }
    // Open and close were traded at, whatever low and high say.
    for (wider, expected) in
        [(r#","close":5"#, ("1", "5")), (r#","open":0.5"#, ("0.5", "4")), (r#","low":3.5"#, ("2", "4"))]
    {
        let (seen, _) = decode(&candle(wider)).unwrap_or_else(|error| panic!("{wider}: {error}"));
        let Quote::Candle { bar, .. } = seen.quote else { panic!("a candle") };
        assert_eq!((bar.low, bar.high), (fixed(expected.0), fixed(expected.1)), "{wider}");
    }
    // No interval is guessed.
    let silent = candle("").replace(r#","interval":"1m""#, "");
    assert!(decode(&silent).map(drop).expect_err("no interval").detail.contains("source.interval"));
    assert!(decode(&candle(r#","interval":null"#)).is_err());

    for wrong in [
        r#","interval":"0s""#,
        r#","interval":60"#,
        r#","interval":"1x""#,
        r#","low":4.5"#,
        r#","high":0.5"#,
        r#","volume":-1"#,
        r#","low":0"#,
        r#","timestamp":4102444799"#,
    ] {
        assert_eq!(reason(candle(wrong).as_bytes()), "wrong_field", "{wrong}");
    }
    assert_eq!(reason(candle(r#","volume":null"#).as_bytes()), "missing_field");
    assert_eq!(reason(candle(r#","high":null"#).as_bytes()), "missing_field");
}
