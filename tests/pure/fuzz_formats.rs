//! Every decoder against damaged messages of every format, and against raw bytes: no panic, no answer that is not on a
//! list, no symbol of a record that fails, no memory beyond what a message of its length may hold.
//!
//! Each decoder gets 100,000 inputs. The long run, and a failure again, from the seed that it prints:
//!
//!     TICKCAST_TEST_FUZZ=10000000 cargo test --release --test pure fuzz_formats
//!     TICKCAST_TEST_SEED=7 cargo test --release --test pure fuzz_formats

use crate::allocations::asked_by;
use tickcast::config::Format;
use tickcast::formats::{Decoded, Decoder, IGNORED, REASONS};
use tickcast::market::{Span, Symbol, SymbolTable};

/// Valid records of every format, and messages without a trade.
const SEEDS: &[&str] = &[
    r#"{"symbol":"BTC","timestamp":"2021-01-21T14:34:31.964Z","price":31571.74,"size":0.02,"side":"buy"}"#,
    r#"{"symbol":"B\u0054C","timestamp":1611239671964,"price_usd":"3.157e4","volume":null}"#,
    r#"+{"status":{"elapsed":2,"timestamp":"2021-01-21T14:34:31.964034086Z"},"data":{"symbol":"BTC","market_data":{"price_usd":31571.742818217568,"ohlcv_last_1_hour":{"open":1.5,"high":null,"volume":"7"}}}}"#,
    r#"{"status":{"timestamp":"2021-01-21T14:34:31Z","error_code":404}}"#,
    r#"{"symbol":"BTC","timestamp":1611239640000,"interval":"1m","open":31500,"high":31600,"low":31450,"close":31571.74,"volume":12.5,"count":310,"quote_volume":394000.5,"taker_buy_volume":6.25,"vwap":31520}"#,
    r#"{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}"#,
    r#"{"stream":"ctkusdt@aggTrade","data":{"e":"aggTrade","E":1626992741575,"a":1,"s":"CTKUSDT","p":"1.01100","q":"10","f":1,"l":2,"T":1626992741421987,"m":false}}"#,
    r#"{"e":"kline","E":1626992760203,"s":"SUSHIUSDT","k":{"t":1626992700000,"T":1626992759999,"s":"SUSHIUSDT","i":"1m","o":"7.6080","c":"7.6170","h":"7.6180","l":"7.6070","v":"3005","n":113,"x":true,"q":"22875.8590","V":"1900"}}"#,
    r#"{"stream":"nknusdt@bookTicker","data":{"u":499869768,"s":"NKNUSDT","b":"0.3","B":"672","a":"0.35","A":"3199"}}"#,
    r#"{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}"#,
    r#"[{"e":"24hrMiniTicker","s":"A","c":"1"},{"e":"trade","s":"B","p":"1","q":"2","T":1626992741421,"m":false}]"#,
    r#"{"type":"match","trade_id":280232,"side":"sell","size":"985","price":"0.00001305","product_id":"SKL-BTC","time":"2021-04-17T16:43:37.089723Z"}"#,
    r#"{"type":"ticker","product_id":"BAND-GBP","price":"14.7775","side":"buy","time":"2021-04-17T16:43:30.244075Z","last_size":"0.04"}"#,
    r#"{"channel":"market_trades","timestamp":"2026-08-09T21:05:48.251397169Z","events":[{"type":"update","trades":[{"product_id":"BTC-USD","price":"65083.67","size":"0.01","time":"2026-08-09T21:05:48.167634Z","side":"SELL"},{"product_id":"ETH-USD","price":"1919.5","size":"2","time":"2026-08-09T21:05:48.1Z","side":"BUY"}]}]}"#,
    r#"{"channel":"ticker","timestamp":"2026-08-09T21:05:48.298032046Z","events":[{"type":"update","tickers":[{"product_id":"ETH-USD","price":"1919.41"}]}]}"#,
    r#"{"channel":"trade","type":"update","data":[{"symbol":"A/B","side":"sell","price":0.5117,"qty":40.0,"timestamp":"2023-09-25T07:49:37.708706Z"},{"symbol":"A/B","side":"buy","price":0.5118,"qty":1e1,"timestamp":"2023-09-25T07:49:37.708707Z"}]}"#,
    r#"[993,[["354.11","0.8959","1618678142.557535","s","l",""],["354.12","1","1618678142.557536","b","m",""]],"trade","XBT/USD"]"#,
    r#"[1840,{"a":[]},{"b":[],"c":"1"},"book-1000","WAVES/EUR"]"#,
    r#"{"event":"subscriptionStatus","pair":"A/B","status":"subscribed","subscription":{"name":"trade"}}"#,
    r#"{"schema":{"type":"struct"},"payload":{"symbol":"BTC","timestamp":"2023-01-31 12:30:05","price":3,"size":1e3}}"#,
    r#"{"before":null,"after":{"symbol":"BTC","timestamp":"01/31/2023 12:30 PM","price":3},"op":"c","ts_ms":1}"#,
    " \"{\\\"symbol\\\":\\\"BTC\\\",\\\"timestamp\\\":\\\"1.6725312e+12\\\",\\\"price\\\":3}\"",
    "\0\0\0\0\u{7}{\"symbol\":\"BTC\",\"timestamp\":\"2023-01-31D12:30:05.25\",\"price\":3}",
    r#"[{"symbol":"BTC","timestamp":"Jan 31, 2023 12:30 UTC","price":3},{"symbol":"BTC","timestamp":1,"price":3},null]"#,
    r#"{"_id":{"$oid":"6009"},"symbol":"BTC","price_usd":{"$numberDouble":"3.5"},"timestamp":{"$date":{"$numberLong":"1672531200000"}}}"#,
    r#"{"symbol":"BTC","timestamp":"2023-01-31","interval":"1d","open":3,"high":4,"low":1,"close":2,"volume":1e18}"#,
    "BTC,1611239671,5,1,buy",
    "\"BTC\",\"2021-01-21T14:34:31Z\", 5 ,,\r",
    "BTC,1611239640,3,4,1,2,9",
    "1617321600000,2,4,1,3,31.5,1617325199999,94.5,913,17.25,51.75,0",
    "4665846,65083.7,0.25,16270.925,1617321600123,True,True",
    "4665846,65083.7,0.25,5665846,5665847,1617321600123456,False,True",
];

/// Pieces that readers stumble over.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-",
    "0",
    "1e400",
    "1e-400",
    "NaN",
    "-1",
    "\\ud800",
    "99999999999999999999",
    "92233720368.54775807",
    "\u{feff}",
    "é",
    "\"\"",
    "\u{0}",
    " ",
    "\n",
    "e",
    ".",
    "+",
    "\"e\":\"trade\",",
    "\"symbol\":",
    "\"data\":",
    "\"price\":1,",
    "\"k\":{}",
    "\"type\":\"match\",",
    "\"channel\":\"trade\",",
    "0.000000005",
    "4102444800000",
    "1e99999999999",
];

/// Where the lines of CSV begin in [`SEEDS`].
const LINES: usize = 26;

/// Values that take the place of a message's.
const VALUES: &[&str] = &[
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[[]]",
    "{\"a\":[]}",
    "\"\"",
    "\"buy\"",
    "\"SELL\"",
    "\"b\"",
    "\"1m\"",
    "\"trade\"",
    "\"kline\"",
    "0",
    "-0.0",
    "-1",
    "1",
    "5e-9",
    "1e400",
    "\"1e-400\"",
    "\"NaN\"",
    "\"92233720368.54775807\"",
    "\"92233720368.54775808\"",
    "1611239671",
    "1611239671964",
    "1611239671964034",
    "1611239671964034086",
    "4102444800000",
    "\"2021-02-29T00:00:00Z\"",
    "\"2021-01-21T14:34:31.964034086Z\"",
    "99999999999999999999",
    "\"\\u00e9\"",
    "\"\\ud800\"",
    "[[\"1\",\"2\",\"1618678142.5\",\"b\"]]",
];

struct Random(u64);

impl Random {
    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Where tokens of JSON or CSV begin: damage there reaches deeper than damage within a number.
fn token(bytes: &[u8], random: &mut Random) -> usize {
    let start = random.below(bytes.len() + 1);
    let found = bytes[start..].iter().position(|b| matches!(b, b'"' | b',' | b':' | b'{' | b'}' | b'[' | b']'));
    found.map_or(start, |at| start + at)
}

/// Puts another value in the place of one: the message stays JSON, mostly.
fn swap_value(bytes: &mut Vec<u8>, random: &mut Random) {
    let start = random.below(bytes.len() + 1);
    let Some(colon) = bytes[start..].iter().position(|b| matches!(b, b':' | b',')) else { return };
    let from = start + colon + 1;
    let length = bytes[from..].iter().position(|b| matches!(b, b',' | b'}' | b']')).unwrap_or(0);
    let value = random.pick(VALUES);
    drop(bytes.splice(from..from + length, value.bytes()));
}

/// Damages a message in no to four places, or makes up bytes.
fn fill(seeds: &[&str], bytes: &mut Vec<u8>, random: &mut Random) {
    bytes.clear();
    if random.below(10) == 0 {
        let length = random.below(120);
        bytes.extend((0..length).map(|_| random.next() as u8));
        return;
    }
    bytes.extend_from_slice(random.pick(seeds).as_bytes());
    for _ in 0..random.below(3) {
        swap_value(bytes, random);
    }
    let places = if random.below(2) == 0 { 0 } else { 1 + random.below(3) };
    for _ in 0..places {
        let at = token(bytes, random);
        let end = token(bytes, random).max(at);
        let end_near = end.min(at + random.below(24));
        match random.below(9) {
            0 if at < bytes.len() => bytes[at] = random.next() as u8,
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..end_near)),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = random.pick(PIECES);
                drop(bytes.splice(at..at, piece.bytes()));
            }
            5 => {
                let piece = random.pick(PIECES);
                drop(bytes.splice(at..end_near, piece.bytes()));
            }
            6 => {
                // A part of the message, again and again.
                let part: Vec<u8> = bytes[at..end_near].repeat(1 + random.below(6));
                drop(bytes.splice(at..at, part));
            }
            7 => {
                // A part of another message.
                let other = random.pick(SEEDS).as_bytes();
                let from = token(other, random).min(other.len());
                let part = other[from..].iter().take(random.below(80)).copied().collect::<Vec<u8>>();
                drop(bytes.splice(at..end_near, part));
            }
            _ => {
                let nested = random.pick(&["[", "{\"a\":", "[[", "{\"data\":"]).repeat(random.below(200));
                drop(bytes.splice(at..at, nested.into_bytes()));
            }
        }
        bytes.truncate(8192);
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Decodes as many inputs as configured, and checks each answer.
fn fuzz(name: &str, seeds: &[&str], mut decoder: Decoder) {
    let (inputs, seed) = (number("TICKCAST_TEST_FUZZ", 100_000), number("TICKCAST_TEST_SEED", 1));
    println!("{name}: {inputs} inputs from TICKCAST_TEST_SEED={seed}");
    let mut random = Random(seed);
    let (mut bytes, mut out, mut symbols) = (Vec::new(), Vec::new(), SymbolTable::default());
    let [mut used, mut ignored, mut wrong] = [0_u64; 3];
    for input in 0..inputs {
        // A table of its own every now and then: the table may grow, by what is used.
        if input % 4096 == 0 {
            symbols = SymbolTable::default();
        }
        fill(seeds, &mut bytes, &mut random);
        out.clear();
        let key: Option<&[u8]> = match random.below(3) {
            0 => None,
            1 => Some(b"KEY"),
            _ => Some(b"\xff"),
        };
        let known = symbols.len();
        let (answer, asked) = asked_by(|| decoder.decode(key, &bytes, &mut symbols, &mut out));
        let more = asked.most_bytes;
        assert!(more <= 16 * 1024 + 64 * bytes.len(), "{more} bytes for {}", String::from_utf8_lossy(&bytes));
        let input = || format!("input {input}, `{}`", String::from_utf8_lossy(&bytes));
        match answer {
            Ok(Decoded::Used) => {
                assert!(!out.is_empty(), "{}", input());
                used += 1;
            }
            Ok(Decoded::Partly(reason)) => {
                assert!(!out.is_empty() && REASONS.iter().any(|(known, _)| *known == reason), "{}", input());
                used += 1;
            }
            Ok(Decoded::Ignored(kind)) => {
                assert!(out.is_empty() && IGNORED.iter().any(|(_, kinds)| kinds.contains(&kind)), "{}", input());
                ignored += 1;
            }
            Err(error) => {
                assert!(REASONS.iter().any(|(known, _)| *known == error.reason), "{}", input());
                assert!(out.is_empty() && symbols.len() == known && error.detail.len() < 1024, "{}", input());
                wrong += 1;
            }
        }
        assert!(out.iter().all(|seen| seen.quote.price().raw() > 0), "{}", input());
    }
    println!("{name}: {used} used, {ignored} ignored, {wrong} undecodable");
    assert!(SEEDS[LINES].starts_with("BTC") && SEEDS[LINES - 1].starts_with('{'));
    assert!(used > 0 && wrong > 0, "the inputs reach both ends");
}

fn json(format: Format) {
    fuzz(&format!("{format:?}"), &SEEDS[..LINES], Decoder::json(format, None, None));
}

fn csv(first: &str) {
    let (symbol, interval) = (Symbol::new("X").unwrap(), Some(Span::from_millis(60_000)));
    fuzz(first, &SEEDS[LINES..], Decoder::csv(first.as_bytes(), Some(symbol), interval).unwrap());
}

#[test]
fn any_input_is_answered_as_any_format() {
    json(Format::Auto);
}

#[test]
fn any_input_is_answered_as_a_tick() {
    json(Format::Tick);
}

#[test]
fn any_input_is_answered_as_messari() {
    json(Format::Messari);
}

#[test]
fn any_input_is_answered_as_a_trade() {
    json(Format::Trade);
}

#[test]
fn any_input_is_answered_as_a_candle() {
    json(Format::Candle);
}

#[test]
fn any_line_is_answered_as_a_csv_tick() {
    csv("symbol,ts,price,size,side");
}

#[test]
fn any_line_is_answered_as_a_csv_candle() {
    csv("symbol,ts,open,high,low,close,volume");
}

#[test]
fn any_line_is_answered_as_one_of_archives() {
    csv("1617321600000,2,4,1,3,31.5,1617325199999,94.5,913,17.25,51.75,0");
    csv("4665846,65083.7,0.25,16270.925,1617321600123,True,True");
    csv("4665846,65083.7,0.25,5665846,5665847,1617321600123456,False,True");
}

#[test]
fn any_first_line_of_a_csv_file_is_answered() {
    let inputs = number("TICKCAST_TEST_FUZZ", 100_000);
    let (mut random, mut bytes, mut read) = (Random(number("TICKCAST_TEST_SEED", 1)), Vec::new(), 0_u64);
    let seeds = &SEEDS[LINES..];
    let headers = ["symbol,ts,price,size,side", "open_time,open,high,low,close,volume,close_time,count,ignore"];
    for _ in 0..inputs {
        fill(seeds, &mut bytes, &mut random);
        if random.below(2) == 0 {
            bytes.clear();
            bytes.extend_from_slice(random.pick(&headers).as_bytes());
            let at = token(&bytes, &mut random);
            let piece = random.pick(PIECES);
            drop(bytes.splice(at..at, piece.bytes()));
        }
        match Decoder::csv(&bytes, Some(Symbol::new("X").unwrap()), None) {
            Ok(decoder) => {
                read += 1;
                let _ = decoder.stamp_unit(&bytes);
            }
            Err(error) => assert!(error.to_string().len() < 1024),
        }
    }
    assert!(read > 0);
}

/// In the steady state a tick or trade costs no allocation, whatever its format.
#[test]
fn nothing_is_allocated_for_a_tick_or_trade() {
    // A name with escapes is spelled out on the heap.
    // So are texts in texts, months by name, and errors.
    let costs = ["\\u", "\\\"", "Jan", ":1,"];
    for seed in SEEDS.iter().filter(|seed| !costs.iter().any(|piece| seed.contains(piece))) {
        let is_csv = seed.starts_with(|first: char| first.is_ascii_digit() || first == 'B' || first == '"');
        let mut decoder = if !is_csv {
            Decoder::json(Format::Auto, None, Some(Span::from_millis(60_000)))
        } else if seed.starts_with(|first: char| first.is_ascii_digit()) {
            Decoder::csv(seed.as_bytes(), Some(Symbol::new("X").unwrap()), None).unwrap()
        } else if seed.matches(',').count() == 4 {
            Decoder::csv(b"symbol,ts,price,size,side", None, None).unwrap()
        } else {
            Decoder::csv(b"symbol,ts,open,high,low,close,volume", None, Some(Span::from_millis(60_000))).unwrap()
        };
        let (mut symbols, mut out) = (SymbolTable::default(), Vec::with_capacity(16));
        let mut allocations = 0;
        for _ in 0..3 {
            out.clear();
            let (decoded, asked) = asked_by(|| decoder.decode(None, seed.as_bytes(), &mut symbols, &mut out));
            decoded.expect(seed);
            allocations = asked.count;
        }
        // A bar lies on the heap, and so does what Messari reports.
        let boxed = seed.contains("ohlcv") || out.first().is_some_and(is_candle);
        assert_eq!(allocations, u64::from(boxed), "{seed}");
    }
}

fn is_candle(seen: &tickcast::market::Observation) -> bool {
    matches!(seen.quote, tickcast::market::Quote::Candle { .. })
}
