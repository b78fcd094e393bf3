//! What stands around records on their way never changes what they say.

use crate::shown::show;
use proptest::prelude::*;
use tickcast::config::Format;
use tickcast::formats::{DecodeError, Decoded, Decoder};
use tickcast::market::SymbolTable;

type Answer = (Result<Decoded, DecodeError>, Vec<String>);

fn decode_in(decoder: &Decoder, key: Option<&[u8]>, value: &[u8]) -> Answer {
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
    let answer = decoder.clone().decode(key, value, &mut symbols, &mut out);
    (answer, out.iter().map(|seen| show(seen, &symbols)).collect())
}

fn decode(value: &[u8]) -> Answer {
    decode_in(&Decoder::json(Format::Auto, None, None), None, value)
}

const TICK: &str = r#"{"symbol":"BTC","timestamp":1672531200000,"price":20000.5,"size":0.1,"side":"buy"}"#;

/// A value in one of the envelopes.
fn wrap(way: usize, value: &[u8]) -> Vec<u8> {
    let around = |before: &str, after: &str| [before.as_bytes(), value, after.as_bytes()].concat();
    match way {
        0 => around(r#"{"schema":{"type":"struct","fields":[{"type":"string","field":"symbol"}]},"payload":"#, "}"),
        1 => around(r#"{"before":{"price":1},"after":"#, r#","source":{"ts_ms":7},"op":"u","ts_ms":8}"#),
        2 => around("\u{feff}", ""),
        3 => around("\0\0\0\x01\x02", ""),
        4 => serde_json::to_vec(&String::from_utf8_lossy(value)).unwrap(),
        5 => around("[", "]"),
        6 => around(" \n", "\n "),
        _ => around(r#"{"payload":"#, r#","schema":null}"#),
    }
}

proptest! {
    #[test]
    fn envelopes_in_envelopes_say_the_same(
        ways in proptest::collection::vec(0_usize..8, 0..4).prop_filter("lists of lists", |ways| ways.iter().filter(|way| **way == 5).count() < 2),
        kind in 0_usize..4,
    ) {
        let record = [
            TICK,
            r#"{"e":"trade","s":"BTCUSDT","t":7,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}"#,
            r#"{"symbol":"BTC","timestamp":1672531200000,"interval":"5m","open":3,"high":4,"low":1,"close":2,"volume":9}"#,
            r#"{"status":{"timestamp":"2021-01-21T14:34:31Z"},"data":{"symbol":"BTC","market_data":{"price_usd":3}}}"#,
        ][kind];
        let plain = decode(record.as_bytes());
        prop_assert!(plain.0.is_ok());
        let mut value = record.as_bytes().to_vec();
        for (depth, way) in ways.iter().enumerate() {
            // Bytes that are no JSON can only stand outside.
            let is_outside = depth + 1 == ways.len();
            value = wrap(if matches!(way, 2 | 3) && !is_outside { 6 } else { *way }, &value);
        }
        prop_assert_eq!(decode(&value), plain, "{}", String::from_utf8_lossy(&value));
    }
}

#[test]
fn lists_hold_records_and_say_which_cannot_be_used() {
    let second = TICK.replace("BTC", "ETH");
    let (answer, seen) = decode(format!("[{TICK},\n {second}]").as_bytes());
    assert_eq!((answer, seen.len()), (Ok(Decoded::Used), 2));
    let (answer, seen) = decode(format!("[{TICK},{{\"symbol\":\"BTC\",\"timestamp\":1,\"price\":2}}]").as_bytes());
    assert_eq!((answer, seen.len()), (Ok(Decoded::Partly("wrong_field")), 1));
    for (list, said) in [
        ("[[1672531200000, 20000.0, 20002.54, 19991.86, 19994.15, 1.3498]]", "source.files.columns"),
        ("[1, 2]", "array"),
        ("[{}, {}]", "none of the keys"),
        ("[]", "array"),
    ] {
        let error = decode(list.as_bytes()).0.expect_err(list);
        assert!(error.to_string().contains(said), "{list}: {error}");
    }
}

#[test]
fn nothing_is_a_tombstone() {
    for value in [
        "null",
        " null\n",
        r#"{"before":{"price":1},"after":null,"op":"d"}"#,
        r#"{"schema":null,"payload":null}"#,
        "[null]",
    ] {
        assert_eq!(decode(value.as_bytes()), (Ok(Decoded::Ignored("tombstone")), vec![]), "{value}");
    }
}

#[test]
fn avro_and_protobuf_are_named_with_their_schema() {
    for (value, name) in [(&b"\0\0\0\x01\x02\x06BTC\x80\x01"[..], "Avro"), (b"\0\0\0\x01\x02\0\x0a\x03BTC", "Protobuf")]
    {
        let error = decode(value).0.expect_err(name).to_string();
        assert!(error.contains(name) && error.contains("schema id 258"), "{error}");
    }
}

#[test]
fn envelopes_do_not_go_on_for_ever() {
    let mut value = TICK.as_bytes().to_vec();
    for _ in 0..100 {
        value = wrap(0, &value);
    }
    assert!(decode(&value).0.is_err());
    // Unescaping halves what is left each time: neither stack nor time is a matter of the sender's.
    let mut value = TICK.as_bytes().to_vec();
    for _ in 0..12 {
        value = wrap(4, &value);
    }
    assert!(decode(&value).0.unwrap_err().to_string().contains("envelopes"));
}

#[test]
fn a_price_beside_a_payload_is_a_tick() {
    let value = TICK.replace("\"side\"", "\"payload\":{\"price\":1},\"after\":null,\"side\"");
    assert_eq!(decode(value.as_bytes()), decode(TICK.as_bytes()));
}

/// The student project's documents mean the same from everywhere.
#[test]
fn a_price_is_a_tick_whatever_stands_beside_it() {
    let value = r#"{"_id":"6009","symbol":"BTC","price_usd":31500,"timestamp":"2021-01-21T14:34:31.964Z","open":32700.5,"high":33000.25,"low":31400.75,"close":31620.0,"volume":806000000.5}"#;
    let (answer, seen) = decode(value.as_bytes());
    assert_eq!((answer, seen), (Ok(Decoded::Used), vec!["BTC 31500 x 0 ? 2021-01-21T14:34:31.964Z".to_owned()]));
    let documents = decode_in(&Decoder::documents(None), None, value.as_bytes());
    assert_eq!(documents, decode(value.as_bytes()));
    let extended = value
        .replace("\"6009\"", "{\"$oid\":\"6009\"}")
        .replace("31500,", "{\"$numberInt\":\"31500\"},")
        .replace("\"2021-01-21T14:34:31.964Z\"", "{\"$date\":{\"$numberLong\":\"1611239671964\"}}")
        .replace("806000000.5", "{\"$numberDouble\":\"806000000.5\"}");
    assert_eq!(decode(extended.as_bytes()), decode(value.as_bytes()));
    let reported = |value: &str| {
        let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
        Decoder::json(Format::Auto, None, None).decode(None, value.as_bytes(), &mut symbols, &mut out).unwrap();
        out.remove(0).reported.map(|bar| (bar.open, bar.volume))
    };
    assert_eq!(reported(value), Some((Some(32700.5), Some(806_000_000.5))));
    assert_eq!(reported(&extended), reported(value));
}

#[test]
fn keys_are_unquoted_and_ids_are_no_symbols() {
    let nameless: &[u8] = br#"{"timestamp":1672531200000,"price":5}"#;
    let decoder = Decoder::json(Format::Auto, None, None);
    let name = |decoder: &Decoder, key: &[u8]| {
        let (answer, seen) = decode_in(decoder, Some(key), nameless);
        answer.map(|_| seen[0].split(' ').next().unwrap_or_default().to_owned()).map_err(|error| error.reason)
    };
    for key in [&b"BTC"[..], b"\"BTC\"", br#""\u0042TC""#, br#"{"schema":{"type":"string"},"payload":"BTC"}"#] {
        assert_eq!(name(&decoder, key), Ok("BTC".to_owned()), "{}", String::from_utf8_lossy(key));
    }
    for key in [&b"BT\nC"[..], b"\0\0\0\0\x07BTC", b"{\"id\":7}", b"[\"BTC\"]", b"\"BTC", b"\"B\\u0000C\"", b""] {
        assert_eq!(name(&decoder, key), Err("wrong_key"), "{}", String::from_utf8_lossy(key));
    }
    let named = Decoder::json(Format::Auto, Some("XBT").map(|name| tickcast::market::Symbol::new(name).unwrap()), None);
    assert_eq!(name(&named, b"6009c0ffee"), Ok("6009c0ffee".to_owned()));
    assert_eq!(name(&named.without_keys(), b"6009c0ffee"), Ok("XBT".to_owned()));
}

#[test]
fn sizes_reach_further_than_ticks_are_wide() {
    let value = TICK.replace("0.1", "\"999999999999999999.00000001\"");
    let (answer, seen) = decode(value.as_bytes());
    assert_eq!(answer, Ok(Decoded::Used));
    assert!(seen[0].contains("volume: 99999999999999999900000001"), "{seen:?}");
    assert!(decode(TICK.replace("0.1", "1.1e18").as_bytes()).0.unwrap_err().to_string().contains("1e18"));
}

#[test]
fn days_are_whole_only_for_candles() {
    let zone: tickcast::market::Zone = "America/New_York".parse().unwrap();
    let candle = |stamp: &str, interval: &str| {
        let value = format!(
            r#"{{"symbol":"BTC","timestamp":"{stamp}",{interval}"open":3,"high":4,"low":1,"close":2,"volume":9}}"#
        );
        let decoder = Decoder::json(Format::Auto, None, None).with_zone(zone.clone());
        let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
        let read = decoder.clone().decode(None, value.as_bytes(), &mut symbols, &mut out);
        read.map(|_| out[0].at.to_string()).map_err(|error| error.to_string())
    };
    // 23 hours: clocks went forward that night.
    assert_eq!(candle("2023-03-12", ""), Ok("2023-03-13T03:59:59.999Z".to_owned()));
    assert_eq!(candle("2023-03-12", r#""interval":"1d","#), Ok("2023-03-13T03:59:59.999Z".to_owned()));
    assert_eq!(candle("2023-03-06", r#""interval":"1w","#), Ok("2023-03-13T03:59:59.999Z".to_owned()));
    assert!(candle("2023-03-12", r#""interval":"1m","#).unwrap_err().contains("whole days"));
    assert!(candle("2023-03-12 00:00", "").unwrap_err().contains("source.interval"));
    let tick = br#"{"symbol":"BTC","timestamp":"2023-03-12","price":3}"#;
    assert!(decode(tick).0.unwrap_err().to_string().contains("day without a time"));
}
