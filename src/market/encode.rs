//! Rows as messages of the topic: exact decimals, compact, appended to a buffer that is used again.

use crate::market::fixed::{SCALE, VOLUME_RAW_MAX, write_decimal};
use crate::market::{Fixed, Ohlcv, Side, Span, Timestamp, TradeId};
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

/// What a `tick` message says beside symbol and stamp.
#[derive(Clone, Copy, Debug)]
pub struct Trade {
    /// Positive.
    pub price: Fixed,
    /// In units of 1e-8; zero stands for none, and is left out.
    pub size: i128,
    /// Where it is known.
    pub side: Option<Side>,
    /// Where it is known.
    pub identity: Option<TradeId>,
}

/// Appends a trade as a `tick` message: `{"symbol","timestamp"(ms),"price","size"?,"side"?,"trade_id"?}`.
pub fn write_tick(symbol: &str, at: Timestamp, trade: Trade, out: &mut Vec<u8>) {
    let Trade { price, size, side, identity } = trade;
    head(symbol, at, out);
    field(",\"price\":", i128::from(price.raw()), out);
    if size != 0 {
        field(",\"size\":", size, out);
    }
    if let Some(side) = side {
        out.extend_from_slice(b",\"side\":\"");
        out.extend_from_slice(side.as_str().as_bytes());
        out.push(b'"');
    }
    if let Some(identity) = identity {
        out.extend_from_slice(b",\"trade_id\":");
        identity.write(out);
    }
    out.push(b'}');
}

/// Appends a bar as a `candle` message:
/// `{"symbol","timestamp"(open, ms),"interval","open","high","low","close","volume","quote_volume" or "vwap"?,"count"?,
/// "taker_buy_volume"?}`: what is known of the bar, and as it was read, so that it is read as the same bar again.
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
        // Price times size is a multiple of 1e-8 where it came as a quote volume; else it came from a vwap.
        let scale = i128::from(SCALE);
        if bar.notional % scale == 0 && bar.notional / scale <= VOLUME_RAW_MAX {
            field(",\"quote_volume\":", bar.notional / scale, out);
        } else {
            field(",\"vwap\":", bar.vwap_raw().unwrap_or(0), out);
        }
    }
    if let Some(count) = bar.known_count() {
        out.extend_from_slice(b",\"count\":");
        out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    }
    if let Some(signed) = bar.known_signed_volume_raw()
        && bar.volume != 0
    {
        // What takers bought and what they sold add up to the volume; of a bar without one it is known anyway.
        field(",\"taker_buy_volume\":", (bar.volume + signed) / 2, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Format;
    use crate::formats::{Decoded, Decoder};
    use crate::market::{IdSpace, Quote, SymbolTable};

    fn fixed(text: &str) -> Fixed {
        Fixed::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn ticks_keep_every_digit() {
        let at = Timestamp::from_millis(1_611_239_671_964);
        let mut out = Vec::new();
        let identity = Some(TradeId::new(IdSpace::Plain, 17));
        let trade = Trade { price: fixed("31571.74281822"), size: 2_000_000, side: Some(Side::Sell), identity };
        write_tick("BTC", at, trade, &mut out);
        write_tick("a\"b", at, Trade { price: fixed("3"), size: 0, side: None, identity: None }, &mut out);
        let expected = concat!(
            r#"{"symbol":"BTC","timestamp":1611239671964,"price":31571.74281822,"size":0.02,"side":"sell","trade_id":17}"#,
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
        assert_eq!(write(&bar), format!("{head},\"quote_volume\":31.125,\"count\":2}}"));
        (bar.count_unknown, bar.notional_unknown) = (true, true);
        assert_eq!(write(&bar), format!("{head}}}"));
    }

    /// The bar that a candle message gives, and that of the message which is written of it.
    fn there_and_back(value: &str) -> (Ohlcv, Ohlcv) {
        let read = |value: &[u8]| {
            let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
            let mut decoder = Decoder::json(Format::Candle, None, None);
            assert_eq!(decoder.decode(None, value, &mut symbols, &mut out), Ok(Decoded::Used));
            let Quote::Candle { bar, interval } = &out[0].quote else { panic!("a candle") };
            (out[0].at, *interval, **bar)
        };
        let (at, interval, bar) = read(value.as_bytes());
        let mut out = Vec::new();
        let open_at = at.minus(interval).plus(Span::from_millis(1));
        write_candle("BTC", open_at, interval, &bar, &mut out);
        let (again_at, again_interval, again) = read(&out);
        assert_eq!((at, interval), (again_at, again_interval));
        (bar, again)
    }

    #[test]
    fn candles_are_read_again_as_what_they_were() {
        let head = r#"{"symbol":"BTC","timestamp":1611239640000,"interval":"1m","open":3,"high":4,"low":1,"close":2"#;
        for rest in [
            r#""volume":9"#,
            r#""volume":0"#,
            r#""volume":0,"vwap":2.5,"count":0"#,
            r#""volume":7.00000001,"vwap":2.33333333,"count":3"#,
            r#""volume":3005,"count":113,"quote_volume":"22875.85900001","taker_buy_volume":"1900.00000003","interval":"1h""#,
            r#""volume":0.00000003,"quote_volume":0,"taker_buy_volume":0.00000003"#,
            r#""volume":92233720368,"quote_volume":92233720368,"taker_buy_volume":0"#,
            r#""volume":1e18,"quote_volume":"999999999999999999.99999999","taker_buy_volume":"125000000000.00000001""#,
        ] {
            let (bar, again) = there_and_back(&format!("{head},{rest}}}"));
            assert_eq!(bar, again, "{rest}");
        }
    }
}
