//! Rows as messages of the topic: exact decimals, compact, appended to a buffer that is used again.

use crate::market::fixed::write_decimal;
use crate::market::{Fixed, Ohlcv, Side, Span, Timestamp};
use std::io::Write as _;

/// Appends `text` as a JSON string.
fn string(text: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail, and neither can a str's serialisation.
    let _ = serde_json::to_writer(out, text);
}

fn field(name: &str, raw: i128, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    write_decimal(raw, out);
}

fn head(symbol: &str, at: Timestamp, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"symbol\":");
    string(symbol, out);
    out.extend_from_slice(b",\"timestamp\":");
    out.extend_from_slice(itoa::Buffer::new().format(at.millis()).as_bytes());
}

/// Appends a trade as a `tick` message: `{"symbol","timestamp"(ms),"price","size"?,"side"?}`. A size of zero stands for
/// none, and is left out.
pub fn write_tick(symbol: &str, at: Timestamp, price: Fixed, size: Fixed, side: Option<Side>, out: &mut Vec<u8>) {
    head(symbol, at, out);
    field(",\"price\":", i128::from(price.raw()), out);
    if size != Fixed::ZERO {
        field(",\"size\":", i128::from(size.raw()), out);
    }
    if let Some(side) = side {
        out.extend_from_slice(b",\"side\":\"");
        out.extend_from_slice(side.as_str().as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
}

/// Appends a bar as a `candle` message:
/// `{"symbol","timestamp"(open, ms),"interval","open","high","low","close","volume","vwap"?,"count"?}`.
pub fn write_candle(symbol: &str, open_at: Timestamp, interval: Span, bar: &Ohlcv, out: &mut Vec<u8>) {
    head(symbol, open_at, out);
    // Writing to a Vec cannot fail.
    let _ = write!(out, ",\"interval\":\"{interval}\"");
    let prices =
        [(",\"open\":", bar.open), (",\"high\":", bar.high), (",\"low\":", bar.low), (",\"close\":", bar.close)];
    for (name, price) in prices {
        field(name, i128::from(price.raw()), out);
    }
    field(",\"volume\":", bar.volume, out);
    if !bar.notional_unknown {
        // Without a volume any price says the same: the notional is known to be zero.
        field(",\"vwap\":", bar.vwap_raw().unwrap_or(0), out);
    }
    if let Some(count) = bar.known_count() {
        out.extend_from_slice(b",\"count\":");
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> Fixed {
        Fixed::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn ticks_keep_every_digit() {
        let at = Timestamp::from_millis(1_611_239_671_964);
        let mut out = Vec::new();
        write_tick("BTC", at, fixed("31571.74281822"), fixed("0.02"), Some(Side::Sell), &mut out);
        write_tick("a\"b", at, fixed("3"), Fixed::ZERO, None, &mut out);
        let expected = concat!(
            r#"{"symbol":"BTC","timestamp":1611239671964,"price":31571.74281822,"size":0.02,"side":"sell"}"#,
            r#"{"symbol":"a\"b","timestamp":1611239671964,"price":3}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn candles_carry_their_open_time_and_interval() {
        let mut bar = Ohlcv::of_tick(fixed("10.5"), fixed("1.25"), None);
        bar.append(&Ohlcv::of_tick(fixed("9"), fixed("2"), None));
        let open_at = Timestamp::from_millis(1_611_239_640_000);
        let write = |bar: &Ohlcv| {
            let mut out = Vec::new();
            write_candle("BTC", open_at, Span::from_millis(60_000), bar, &mut out);
            String::from_utf8(out).unwrap()
        };
        let head = r#"{"symbol":"BTC","timestamp":1611239640000,"interval":"1m","open":10.5,"high":10.5,"low":9,"close":9,"volume":3.25"#;
        assert_eq!(write(&bar), format!("{head},\"vwap\":9.57692308,\"count\":2}}"));
        (bar.count_unknown, bar.notional_unknown) = (true, true);
        assert_eq!(write(&bar), format!("{head}}}"));
    }
}
