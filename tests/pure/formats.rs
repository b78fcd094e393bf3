//! Formats against every spelling of a record, and against everything that must end as a dead letter with a reason.

use proptest::prelude::*;
use tickcast::config::Format;
use tickcast::formats::{DecodeError, Decoded, Decoder, REASONS};
use tickcast::market::{Fixed, Observation, Quote, Side, Span, Symbol, SymbolTable, Timestamp};

const TICK: &str =
    r#"{"symbol":"BTC","timestamp":"2021-01-21T14:34:31.964Z","price":31571.74,"size":0.02,"side":"buy"}"#;

fn decode_with(format: Format, key: Option<&[u8]>, value: &[u8]) -> Result<(Observation, String), DecodeError> {
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    let decoded = Decoder::json(format, None, None).decode(key, value, &mut symbols, &mut out);
    assert_eq!(out.len(), usize::from(decoded == Ok(Decoded::Used)), "one observation or none");
    decoded.map(|_| {
        let observation = out.pop().expect("an observation");
        let name = symbols.name(observation.symbol).to_string();
        (observation, name)
    })
}

fn decode(value: &str) -> Result<(Observation, String), DecodeError> {
    decode_with(Format::Auto, None, value.as_bytes())
}

fn reason(value: &[u8]) -> &'static str {
    match decode_with(Format::Auto, None, value) {
        Ok(seen) => panic!("{} decodes: {seen:?}", String::from_utf8_lossy(value)),
        Err(error) => {
            assert!(REASONS.iter().any(|(known, _)| *known == error.reason), "{error:?}");
            assert!(!error.detail.is_empty() && error.detail.len() < 400, "{error:?}");
            error.reason
        }
    }
}

fn ms(text: &str) -> Timestamp {
    Timestamp::parse(text.as_bytes()).expect("a stamp")
}

fn fixed(text: &str) -> Fixed {
    Fixed::parse(text.as_bytes()).expect("a number")
}

#[test]
fn ticks_in_every_spelling() {
    let at = ms("2021-01-21T14:34:31.964Z");
    let quote = |size, side| Quote::Tick { price: fixed("31571.74"), size: fixed(size), side };
    for (value, expected) in [
        (TICK, quote("0.02", Some(Side::Buy))),
        (r#"{"price_usd":"31571.74","volume":2e-2,"timestamp":1611239671964,"symbol":"BTC"}"#, quote("0.02", None)),
        (r#"{"symbol":"BTC","timestamp":"1611239671964034","price":3.157174e4}"#, quote("0", None)),
        (
            r#" {"symbol":"BTC","timestamp":1611239671964034086,"price":31571.74,"size":null,"side":null,"x":[{}]} "#,
            quote("0", None),
        ),
        (
            r#"{"symbol":"BTC","timestamp":1611239671.964,"price":null,"price_usd":31571.74,"side":"SELL"}"#,
            quote("0", Some(Side::Sell)),
        ),
        (
            r#"{"symbol":"ETH","symbol":"\u0042TC","timestamp":1611239671964,"price":"NaN","pr\u0069ce":31571.74}"#,
            quote("0", None),
        ),
        (
            r#"{"status":"filled","data":[1],"symbol":"BTC","timestamp":1611239671964,"price":31571.74}"#,
            quote("0", None),
        ),
    ] {
        let (seen, name) = decode(value).unwrap_or_else(|error| panic!("{value}: {error}"));
        assert_eq!((seen.at, seen.quote, name.as_str()), (at, expected, "BTC"), "{value}");
    }
}

#[test]
fn what_cannot_be_used_has_a_reason() {
    let with = |field: &str, value: &str| {
        let mut fields = vec![
            ("symbol", "\"BTC\""),
            ("timestamp", "1611239671964"),
            ("price", "5"),
            ("size", "1"),
            ("side", "\"buy\""),
        ];
        fields.retain(|(name, _)| *name != field);
        let mut all: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        if !value.is_empty() {
            all.push(format!("\"{field}\":{value}"));
        }
        format!("{{{}}}", all.join(","))
    };
    assert!(decode(&with("size", "2")).is_ok());
    // What may be absent costs nothing where it cannot be read.
    for side in ["\"both\"", "1", "{}", "\"unknown\"", "\"None\"", "\"\""] {
        let (seen, _) = decode(&with("side", side)).expect(side);
        assert!(matches!(seen.quote, Quote::Tick { side: None, .. }), "{side}");
    }
    for (field, value, expected) in [
        ("price", "", "missing_field"),
        ("timestamp", "", "missing_field"),
        ("symbol", "", "missing_field"),
        ("symbol", "null", "missing_field"),
        ("price", "null", "missing_field"),
        ("price", "0", "wrong_field"),
        ("price", "-0.0", "wrong_field"),
        ("price", "-1", "wrong_field"),
        ("price", "4e-9", "wrong_field"),
        ("price", "1e400", "wrong_field"),
        ("price", "92233720369", "wrong_field"),
        ("price", "\"NaN\"", "wrong_field"),
        ("price", "\"inf\"", "wrong_field"),
        ("price", "\"\"", "wrong_field"),
        ("price", "true", "wrong_field"),
        ("price", "[5]", "wrong_field"),
        ("price", "{\"usd\":5}", "wrong_field"),
        ("price", "NaN", "not_json"),
        ("price", "05", "not_json"),
        ("size", "-1", "wrong_field"),
        ("size", "1e400", "wrong_field"),
        ("size", "\"many\"", "wrong_field"),
        ("size", "false", "wrong_field"),
        ("symbol", "\"\"", "wrong_field"),
        ("symbol", "7", "wrong_field"),
        ("symbol", "[\"BTC\"]", "wrong_field"),
        ("symbol", "\"\\ud800\"", "wrong_field"),
        ("symbol", &format!("\"{}\"", "x".repeat(65)), "wrong_field"),
        ("timestamp", "\"1999-12-31T23:59:59.999Z\"", "wrong_field"),
        ("timestamp", "\"2100-01-01T00:00:00Z\"", "wrong_field"),
        ("timestamp", "946684799", "wrong_field"),
        ("timestamp", "4102444800000", "wrong_field"),
        ("timestamp", "-1611239671964", "wrong_field"),
        ("timestamp", "\"yesterday\"", "wrong_field"),
        ("timestamp", "true", "wrong_field"),
    ] {
        let value = with(field, value);
        assert_eq!(reason(value.as_bytes()), expected, "{value}");
        if expected != "not_json" {
            let detail = decode(&value).expect_err("an error").detail;
            assert!(detail.contains(field), "{detail} names {field}");
        }
    }
}

#[test]
fn what_is_no_record_has_a_reason() {
    let cut = |bytes: usize| TICK.as_bytes()[..bytes].to_vec();
    let mut latin = TICK.as_bytes().to_vec();
    latin[12] = 0xe9;
    for (value, expected) in [
        (b"".to_vec(), "empty"),
        (b" \r\n\t".to_vec(), "empty"),
        (vec![0xff, 0xfe, 0x00], "not_utf8"),
        (latin, "not_utf8"),
        (cut(TICK.len() - 1), "not_json"),
        (cut(30), "not_json"),
        (cut(1), "not_json"),
        (b"hello".to_vec(), "not_json"),
        (b"\0\0\0\0".to_vec(), "not_json"),
        (format!("{TICK}{TICK}").into_bytes(), "not_json"),
        (format!("+{TICK}").into_bytes(), "not_json"),
        (b"{\"a\":".repeat(100_000), "not_json"),
        (b"[".repeat(900_000), "not_json"),
        (b"x".repeat(900_000), "not_json"),
        ((0..900_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect(), "not_utf8"),
        (vec![b' '; (16 << 20) + 1], "too_long"),
        (b"42".to_vec(), "unknown_format"),
        (b"\"BTC\"".to_vec(), "unknown_format"),
        (b"[]".to_vec(), "unknown_format"),
        (b"{}".to_vec(), "unknown_format"),
        (br#"{"type":"a type that nobody knows","sequence":1}"#.to_vec(), "unknown_format"),
        (br#"{"stream":"btcusdt@trade","data":{"e":"trade"}}"#.to_vec(), "missing_field"),
    ] {
        assert_eq!(reason(&value), expected, "{}", String::from_utf8_lossy(&value[..value.len().min(60)]));
    }
}

#[test]
fn the_key_and_the_configured_symbol_stand_in_only_where_the_value_has_none() {
    let nameless: &[u8] = br#"{"timestamp":1611239671964,"price":5}"#;
    let null: &[u8] = br#"{"symbol":null,"timestamp":1611239671964,"price":5}"#;
    let empty: &[u8] = br#"{"symbol":"","timestamp":1611239671964,"price":5}"#;
    let seen = |key, value| decode_with(Format::Auto, key, value).map(|(_, name)| name).map_err(|error| error.reason);
    assert_eq!(seen(Some(b"ETH"), nameless), Ok("ETH".to_owned()));
    assert_eq!(seen(Some(b"ETH"), null), Ok("ETH".to_owned()));
    assert_eq!(seen(Some(b"ETH"), TICK.as_bytes()), Ok("BTC".to_owned()));
    assert_eq!(seen(Some(b"\xff"), TICK.as_bytes()), Ok("BTC".to_owned()), "the key is not needed");
    assert_eq!(seen(Some(b"ETH"), empty), Err("wrong_field"));
    assert_eq!(seen(Some(b"\xff"), nameless), Err("wrong_key"));
    assert_eq!(seen(Some(b""), nameless), Err("wrong_key"));
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    let mut decoder = Decoder::json(Format::Tick, Some(Symbol::new("XBT").expect("a symbol")), None);
    decoder.decode(None, nameless, &mut symbols, &mut out).expect("a tick");
    decoder.decode(Some(b"ETH"), nameless, &mut symbols, &mut out).expect("a tick");
    let names: Vec<&str> = out.iter().map(|seen| symbols.name(seen.symbol).as_str()).collect();
    assert_eq!(names, ["XBT", "ETH"]);
}

#[test]
fn a_record_that_fails_leaves_no_symbol_behind() {
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    let value = br#"{"symbol":"NEW","timestamp":1611239671964,"price":-5}"#;
    assert!(Decoder::json(Format::Auto, None, None).decode(None, value, &mut symbols, &mut out).is_err());
    assert!(symbols.is_empty() && out.is_empty());
}

const MARKET: &str =
    r#""market_data":{"price_usd":31571.742818217568,"ohlcv_last_1_hour":{"open":1.5,"high":null,"volume":"7"}}"#;

#[test]
fn messari_in_every_shape() {
    let stamp = r#""timestamp":"2021-01-21T14:34:31.964034086Z""#;
    let data = format!(r#""data":{{"id":"1e","symbol":"BTC",{MARKET}}}"#);
    for value in [
        format!(r#"{{"status":{{"elapsed":2,{stamp}}},{data}}}"#),
        format!("+{{\"status\":{{\"elapsed\":2,{stamp}}},{data}}}"),
        format!("\n + {{\"status\" : {{ \"elapsed\":\"2\", {stamp}, {data} }} }}\n"),
        format!(r#"{{{data},"status":{{{stamp},"error_code":null}}}}"#),
        format!(r#"{{"status":{{"elapsed":2}},{stamp},{data}}}"#),
        format!(r#"{{"status":{{"elapsed":1,"elapsed":2,{stamp},{stamp}}},"data":{{"symbol":"X"}},{data}}}"#),
        format!(r#"{{{stamp},{data}}}"#),
    ] {
        let (seen, name) = decode(&value).unwrap_or_else(|error| panic!("{value}: {error}"));
        assert_eq!((seen.at, name.as_str()), (ms("2021-01-21T14:34:31.964Z"), "BTC"), "{value}");
        assert_eq!(seen.quote, Quote::Tick { price: fixed("31571.74281822"), size: Fixed::ZERO, side: None });
        let reported = seen.reported.expect("the bar of the last hour");
        assert_eq!((reported.open, reported.high, reported.volume), (Some(1.5), None, Some(7.0)));
        assert_eq!(decode_with(Format::Messari, None, value.as_bytes()).expect("forced").0.at, seen.at);
        let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
        let mut brief = Decoder::json(Format::Auto, None, None).with_reported(false);
        assert_eq!(brief.decode(None, value.as_bytes(), &mut symbols, &mut out), Ok(Decoded::Used));
        assert_eq!((&out[0].quote, out[0].at, &out[0].reported), (&seen.quote, seen.at, &None));
    }
    for (value, expected) in [
        (
            format!(r#"{{"status":{{{stamp}}},"data":{{"symbol":"BTC","market_data":{{"price_usd":null}}}}}}"#),
            "missing_field",
        ),
        (format!(r#"{{"status":{{{stamp}}},"data":{{"symbol":"BTC"}}}}"#), "missing_field"),
        (format!(r#"{{"status":{{{stamp}}},"data":{{"symbol":"",{MARKET}}}}}"#), "wrong_field"),
        (format!(r#"{{"status":{{{stamp}}},"data":{{{MARKET}}}}}"#), "missing_field"),
        (format!(r#"{{"status":{{}},"data":{{"symbol":"BTC",{MARKET}}}}}"#), "missing_field"),
        (format!(r#"+ +{{"status":{{{stamp}}},{data}}}"#), "not_json"),
    ] {
        assert_eq!(reason(value.as_bytes()), expected, "{value}");
    }
}

#[test]
fn csv_lines_that_cannot_be_used_have_a_reason() {
    let mut decoder = Decoder::csv(b"symbol,ts,price,size,side", None, Some(Span::from_millis(1))).expect("a header");
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    for (line, expected) in [
        (&b"BTC,1611239671,5,1,buy"[..], Ok(Decoded::Used)),
        (b"\"BTC\",\"2021-01-21T14:34:31Z\", 5 ,,\r", Ok(Decoded::Used)),
        (b"BTC,1611239671,5,1", Err("wrong_columns")),
        (b"BTC,1611239671,5,1,buy,", Err("wrong_columns")),
        (b"BTC,1611239671,5,1,\"buy", Err("wrong_columns")),
        (b",1611239671,5,1,buy", Err("wrong_field")),
        (b"BTC,,5,1,buy", Err("missing_field")),
        (b"BTC,1611239671,,1,buy", Ok(Decoded::Ignored("empty"))),
        (b"BTC,1611239671,NaN,1,buy", Ok(Decoded::Ignored("empty"))),
        (b"BTC,1611239671,0,1,buy", Err("wrong_field")),
        (b"BTC,1611239671,5,-1,buy", Err("wrong_field")),
        (b"BTC,1611239671,5,1,hold", Ok(Decoded::Used)),
        (b"BTC,1611239671,5,NaN,buy", Ok(Decoded::Used)),
        (b"B\xffC,1611239671,5,1,buy", Err("not_utf8")),
        (b"", Err("empty")),
    ] {
        let found = decoder.decode(Some(b"KEY"), line, &mut symbols, &mut out).map_err(|error| error.reason);
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(line));
    }
    assert_eq!(out.len(), 4);
}

fn decoders() -> Vec<Decoder> {
    let csv = |header: &str| Decoder::csv(header.as_bytes(), None, None).expect("a header");
    let mut all: Vec<Decoder> = [Format::Auto, Format::Tick, Format::Messari, Format::Trade, Format::Candle]
        .map(|format| Decoder::json(format, None, None))
        .to_vec();
    all.extend([csv("symbol,ts,price,size,side"), csv("symbol,ts,open,high,low,close,volume")]);
    all
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200), key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..10))) {
        for mut decoder in decoders() {
            let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
            let _ = decoder.decode(key.as_deref(), &bytes, &mut symbols, &mut out);
        }
        let _ = Decoder::csv(&bytes, None, None);
    }

    #[test]
    fn a_damaged_record_is_answered(at in 0_usize..300, byte in any::<u8>(), cut in 0_usize..300, comma in any::<bool>()) {
        let messari = format!(r#"{{"status":{{"timestamp":"2021-01-21T14:34:31Z"}},"data":{{"symbol":"BTC",{MARKET}}}}}"#);
        let line = "BTC,1611239671,5,\"1\",buy";
        for text in [TICK, &messari, line] {
            let mut bytes = text.as_bytes()[..cut.min(text.len())].to_vec();
            let at = at % (bytes.len() + 1);
            if comma { bytes.insert(at, byte) } else if at < bytes.len() { bytes[at] = byte }
            for mut decoder in decoders() {
                let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
                let used = decoder.decode(None, &bytes, &mut symbols, &mut out) == Ok(Decoded::Used);
                prop_assert_eq!(used, out.len() == 1);
            }
        }
    }

    #[test]
    fn a_tick_round_trips(
        symbol in "[^\\p{Cc}]{1,16}",
        at in 946_684_800_000_i64..4_102_444_800_000,
        price in 1_i64..i64::MAX,
        size in proptest::option::of(0_i64..i64::MAX),
        side in proptest::option::of(proptest::sample::select(vec![Side::Buy, Side::Sell])),
        text in any::<bool>(),
    ) {
        let (price, at) = (Fixed::from_raw(price), Timestamp::from_millis(at));
        let size_text = size.map(|raw| Fixed::from_raw(raw).to_string());
        let quote = |number: &str| if text { format!("\"{number}\"") } else { number.to_owned() };
        let stamp = if text { format!("\"{at}\"") } else { at.millis().to_string() };
        let value = format!(
            r#"{{"symbol":{},"timestamp":{stamp},"price":{},"size":{},"side":{}}}"#,
            serde_json::to_string(&symbol).expect("json"),
            quote(&price.to_string()),
            size_text.as_deref().map_or_else(|| "null".to_owned(), quote),
            side.map_or_else(|| "null".to_owned(), |side| format!("\"{}\"", side.as_str())),
        );
        let expected = Quote::Tick { price, size: Fixed::from_raw(size.unwrap_or(0)), side };
        let (seen, name) = decode(&value).map_err(|error| TestCaseError::fail(format!("{value}: {error}")))?;
        prop_assert_eq!((&seen.quote, seen.at, &name), (&expected, at, &symbol));

        let line = format!("{price},{},{},{stamp},\"BTC\"", side.map_or("", Side::as_str), size_text.unwrap_or_default());
        let mut decoder = Decoder::csv(b"price,side,size,time,symbol", None, None).expect("a header");
        let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
        prop_assert_eq!(decoder.decode(None, line.as_bytes(), &mut symbols, &mut out), Ok(Decoded::Used));
        prop_assert_eq!((&out[0].quote, out[0].at), (&expected, at));
    }
}
