//! Decoding per format, beside serde_json into a struct with `f64` fields in the same run.
//!
//!     cargo bench --bench decode
//!
//! The structs hold what a naive reader would take from the same record; unlike the decoder they check no range, read no
//! stamp, and round prices to a float. Of CSV, the peer reads the same ticks and candles as JSON.

#![allow(clippy::expect_used, clippy::print_stdout)]
#![allow(dead_code, reason = "the peer's structs are read into, and never looked at")]

use serde::Deserialize;
use std::hint::black_box;
use std::time::Instant;
use tickcast::config::Format;
use tickcast::formats::Decoder;
use tickcast::market::{Observation, Span, Symbol, SymbolTable};

/// Distinct records, so that the branch predictor does not learn one text.
const RECORDS: usize = 1024;
/// Passes over all records in one round: short, so that the best round is one that nothing interrupted.
const PASSES: usize = 4;
const ROUNDS: usize = 250;

#[derive(Deserialize)]
struct FlatTick<'a> {
    symbol: &'a str,
    timestamp: &'a str,
    price_usd: f64,
    volume: f64,
}

#[derive(Deserialize)]
struct EpochTick<'a> {
    symbol: &'a str,
    timestamp: i64,
    price: f64,
    size: f64,
    side: &'a str,
}

#[derive(Deserialize)]
struct Candle<'a> {
    symbol: &'a str,
    timestamp: i64,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
}

#[derive(Deserialize)]
struct Bar {
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
}

#[derive(Deserialize)]
struct Market {
    price_usd: f64,
    ohlcv_last_1_hour: Bar,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    symbol: &'a str,
    market_data: Market,
}

#[derive(Deserialize)]
struct Status<'a> {
    timestamp: &'a str,
}

#[derive(Deserialize)]
struct Messari<'a> {
    #[serde(borrow)]
    status: Status<'a>,
    #[serde(borrow)]
    data: Data<'a>,
}

/// Exchanges give numbers as strings: the peer leaves them as they are.
#[derive(Deserialize)]
struct BinanceTrade<'a> {
    e: &'a str,
    s: &'a str,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    time: i64,
    m: bool,
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    stream: &'a str,
    #[serde(borrow)]
    data: BinanceTrade<'a>,
}

#[derive(Deserialize)]
struct Match<'a> {
    r#type: &'a str,
    side: &'a str,
    size: &'a str,
    price: &'a str,
    product_id: &'a str,
    time: &'a str,
}

#[derive(Deserialize)]
struct KrakenTrade<'a> {
    symbol: &'a str,
    side: &'a str,
    price: f64,
    qty: f64,
    timestamp: &'a str,
}

#[derive(Deserialize)]
struct Kraken<'a> {
    channel: &'a str,
    #[serde(borrow)]
    data: Vec<KrakenTrade<'a>>,
}

/// A small generator, so that runs are alike.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn stamp(&mut self) -> String {
        let mut below = |n: f64| (self.unit() * n) as u32;
        format!("2021-01-21T{:02}:{:02}:{:02}.{:03}Z", below(24.0), below(60.0), below(60.0), below(1000.0))
    }

    fn price(&mut self) -> f64 {
        31_571.742_818_217_57 * (0.9 + 0.2 * self.unit())
    }
}

fn records(make: impl Fn(&mut Random) -> String) -> Vec<Vec<u8>> {
    let mut random = Random(88_172_645_463_325_252);
    (0..RECORDS).map(|_| make(&mut random).into_bytes()).collect()
}

/// The least nanoseconds per record over all rounds.
fn best_ns(records: &[Vec<u8>], mut each: impl FnMut(&[u8])) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..PASSES {
            records.iter().for_each(|record| each(record));
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / (PASSES * records.len()) as f64);
    }
    best
}

fn decode_ns(mut decoder: Decoder, records: &[Vec<u8>]) -> f64 {
    let (mut symbols, mut out) = (SymbolTable::default(), Vec::<Observation>::new());
    best_ns(records, |record| {
        out.clear();
        black_box(decoder.decode(None, record, &mut symbols, &mut out)).expect("a record");
        black_box(&out);
    })
}

fn serde_ns<'a, T: Deserialize<'a>>(records: &'a [Vec<u8>]) -> f64 {
    let mut at = 0;
    best_ns(records, |_| {
        black_box(serde_json::from_slice::<T>(&records[at]).expect("a record"));
        at = (at + 1) % records.len();
    })
}

/// What it costs that a trade's id is read: the same bytes with and without a key that is its name.
fn show_ids(name: &str, records: &[Vec<u8>], key: &str, decoder: impl Fn() -> Decoder) {
    let nobodys = key.replace("t", "z");
    let rename = |record: &Vec<u8>| String::from_utf8_lossy(record).replacen(key, &nobodys, 1).into_bytes();
    let without: Vec<Vec<u8>> = records.iter().map(rename).collect();
    let (with, without) = (decode_ns(decoder(), records), decode_ns(decoder(), &without));
    println!(
        "{name:34} {:7} {with:8.0} ns {without:8.0} ns {:8.2}   {:.1} ns an id",
        "",
        with / without,
        with - without
    );
}

fn show(name: &str, records: &[Vec<u8>], ours: f64, theirs: f64) {
    let bytes = records.iter().map(Vec::len).sum::<usize>() / records.len();
    println!("{name:34} {bytes:5} B {ours:8.0} ns {theirs:8.0} ns {:8.2}", ours / theirs);
}

fn main() {
    println!("{:34} {:>7} {:>11} {:>11} {:>8}", "format", "size", "tickcast", "serde_json", "ratio");
    let auto = || Decoder::json(Format::Auto, None, None);

    let flat = records(|r| {
        format!(
            r#"{{"symbol":"BTC","timestamp":"{}","price_usd":{},"volume":{}}}"#,
            r.stamp(),
            r.price(),
            r.unit() * 1e9
        )
    });
    let theirs = serde_ns::<FlatTick>(&flat);
    show("tick, RFC 3339, long numbers, auto", &flat, decode_ns(auto(), &flat), theirs);
    show("tick, the same, format = tick", &flat, decode_ns(Decoder::json(Format::Tick, None, None), &flat), theirs);

    let epoch = records(|r| {
        let (ms, side) = (1_611_239_671_964_i64 + (r.unit() * 1e9) as i64, if r.unit() < 0.5 { "buy" } else { "sell" });
        format!(
            r#"{{"symbol":"BTC","timestamp":{ms},"price":{:.2},"size":{:.4},"side":"{side}"}}"#,
            r.price(),
            r.unit()
        )
    });
    let theirs = serde_ns::<EpochTick>(&epoch);
    show("tick, epoch ms, exchange numbers", &epoch, decode_ns(auto(), &epoch), theirs);

    let csv = records(|r| {
        let (ms, side) = (1_611_239_671_964_i64 + (r.unit() * 1e9) as i64, if r.unit() < 0.5 { "buy" } else { "sell" });
        format!("{ms},{:.2},{:.4},{side}", r.price(), r.unit())
    });
    let symbol = Symbol::new("BTC").expect("a symbol");
    let decoder = Decoder::csv(b"ts_ms,price,size,side", Some(symbol.clone()), None).expect("a header");
    show("tick, CSV (serde_json: as JSON)", &csv, decode_ns(decoder, &csv), theirs);

    let [bars, lines] = [true, false].map(|json| {
        records(|r| {
            let (at, open, close, volume) = (1_611_239_640 + 60 * (r.unit() * 1e5) as i64, r.price(), r.price(), r.unit() * 99.0);
            let (high, low) = (open.max(close) + 5.0, open.min(close) - 5.0);
            if json {
                format!(r#"{{"symbol":"BTC","timestamp":{at},"interval":"1m","open":{open:.2},"high":{high:.2},"low":{low:.2},"close":{close:.2},"volume":{volume:.6}}}"#)
            } else {
                format!("{at},BTC,{open:.2},{high:.2},{low:.2},{close:.2},{volume:.6}")
            }
        })
    });
    let theirs = serde_ns::<Candle>(&bars);
    show("candle, JSON, auto", &bars, decode_ns(auto(), &bars), theirs);
    let decoder = Decoder::csv(b"timestamp,symbol,open,high,low,close,volume", None, Some(Span::from_millis(60_000)))
        .expect("a header");
    show("candle, CSV (serde_json: as JSON)", &lines, decode_ns(decoder, &lines), theirs);

    exchanges(auto);

    let messari = records(|r| messari(&r.stamp(), r));
    let theirs = serde_ns::<Messari>(&messari);
    show("messari, auto", &messari, decode_ns(auto().with_reported(false), &messari), theirs);
    show("messari, auto, with its hourly bar", &messari, decode_ns(auto(), &messari), theirs);
}

/// Messages of exchanges, each with one trade.
fn exchanges(auto: impl Fn() -> Decoder) {
    let trade = |r: &mut Random| {
        let (ms, buyer) = (1_611_239_671_964_i64 + (r.unit() * 1e9) as i64, r.unit() < 0.5);
        format!(
            r#"{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{},"p":"{:.8}","q":"{:.8}","T":{ms},"m":{buyer},"M":true}}"#,
            3_735_683_259_u64 + (r.unit() * 1e9) as u64,
            r.price(),
            r.unit()
        )
    };
    let bare = records(trade);
    show("Binance trade, auto", &bare, decode_ns(auto(), &bare), serde_ns::<BinanceTrade>(&bare));
    show_ids("  its id (and without)", &bare, "\"t\"", &auto);
    let wrapped = records(|r| format!(r#"{{"stream":"btcusdt@trade","data":{}}}"#, trade(r)));
    show("Binance trade in a stream, auto", &wrapped, decode_ns(auto(), &wrapped), serde_ns::<Wrapped>(&wrapped));

    let side = |r: &mut Random| if r.unit() < 0.5 { "buy" } else { "sell" };
    let coinbase = records(|r| {
        format!(
            r#"{{"type":"match","trade_id":{},"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16","taker_order_id":"3c82abaa-c01e-4608-be59-6a1e69742891","side":"{}","size":"{:.8}","price":"{:.2}","product_id":"BTC-USD","sequence":177100030,"time":"{}"}}"#,
            280_232 + (r.unit() * 1e9) as u64,
            side(r),
            r.unit(),
            r.price(),
            r.stamp()
        )
    });
    show("Coinbase match, auto", &coinbase, decode_ns(auto(), &coinbase), serde_ns::<Match>(&coinbase));
    show_ids("  its id (and without)", &coinbase, "\"trade_id\"", &auto);

    let kraken = records(|r| {
        format!(
            r#"{{"channel":"trade","type":"update","data":[{{"symbol":"BTC/USD","side":"{}","price":{:.1},"qty":{:.8},"ord_type":"market","trade_id":4665906,"timestamp":"{}"}}]}}"#,
            side(r),
            r.price(),
            r.unit(),
            r.stamp()
        )
    });
    show("Kraken v2 trade, auto", &kraken, decode_ns(auto(), &kraken), serde_ns::<Kraken>(&kraken));
    show_ids("  its id (and without)", &kraken, "\"trade_id\"", &auto);
}

/// A market-data payload with the keys of the API.
fn messari(stamp: &str, r: &mut Random) -> String {
    let mut bar = || {
        format!(
            r#"{{"open":{},"high":{},"low":{},"close":{},"volume":{}}}"#,
            r.price(),
            r.price(),
            r.price(),
            r.price(),
            r.price() * 1e4
        )
    };
    let (hour, day) = (bar(), bar());
    let price = r.price();
    format!(
        r#"{{"status":{{"elapsed":2,"timestamp":"{stamp}"}},"data":{{"id":"1e31218a-e44e-4285-820c-8282ee222035","symbol":"BTC","name":"Bitcoin","slug":"bitcoin","_internal_temp_agora_id":"9793eae6-f374-46b4-8764-c2d224429791","market_data":{{"price_usd":{price},"price_btc":1,"price_eth":26.006279230430504,"volume_last_24_hours":70368278438.35074,"real_volume_last_24_hours":9873496169.61901,"volume_last_24_hours_overstatement_multiple":7.126986958771063,"percent_change_usd_last_1_hour":-3.4260936088409006,"percent_change_usd_last_24_hours":-7.678108818488548,"percent_change_btc_last_24_hours":0,"percent_change_eth_last_24_hours":-2.820683029636415,"ohlcv_last_1_hour":{hour},"ohlcv_last_24_hour":{day},"last_trade_at":"{stamp}"}}}}}}"#
    )
}
