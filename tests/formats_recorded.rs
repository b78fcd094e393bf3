//! Formats and files against recorded market data: every record of it decodes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use tickcast::config::{FilesSourceConfig, Format};
use tickcast::connectors::files::input::FilesInput;
use tickcast::connectors::input::{Flow, Input, PartitionState, Payload};
use tickcast::formats::{Decoded, Decoder};
use tickcast::market::{Observation, PartitionId, Quote, SymbolTable, Timestamp};

/// The recorded market data, or none, told loudly.
fn data(what: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TICKCAST_DATA")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data")), PathBuf::from);
    let path = root.join(what);
    if path.exists() {
        return Some(path);
    }
    println!("LEFT OUT: {} is missing; set TICKCAST_DATA to the folder of recorded market data", path.display());
    None
}

#[test]
fn the_recorded_messari_payloads_decode() {
    let Some(folder) = data("messari") else { return };
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let value = std::fs::read(&path).expect("a file");
        let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
        let decoded = Decoder::json(Format::Auto, None, None).decode(Some(b"COMP"), &value, &mut symbols, &mut out);
        let decoded = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
        if name.contains("error") {
            assert_eq!(decoded, Decoded::Ignored("error_body"), "{name}");
            continue;
        }
        assert_eq!(decoded, Decoded::Used, "{name}");
        let Observation { symbol, at, quote, reported } = &out[0];
        seen.push((at.to_string(), symbols.name(*symbol).to_string(), quote.price().to_string(), reported.is_some()));
    }
    seen.sort();
    let seen: Vec<_> =
        seen.iter().map(|(at, symbol, price, bar)| (at.as_str(), symbol.as_str(), price.as_str(), *bar)).collect();
    let expected = [
        ("2019-04-11T10:19:47.634Z", "btc", "5091.09891776", false),
        ("2020-10-16T21:56:41.346Z", "BTC", "11339.84468816", true),
        ("2021-01-21T14:34:31.964Z", "BTC", "31571.74281822", true),
        ("2023-08-03T18:34:22.800Z", "COMP", "59.77752392", true),
    ];
    assert_eq!(seen, expected);
}

/// All observations of a recorded file.
fn read_file(path: PathBuf, symbol: &str, mut each: impl FnMut(&Observation, &SymbolTable)) -> u64 {
    let config = FilesSourceConfig { paths: vec![path], symbol: Some(symbol.to_owned()), interval: None };
    let mut input = FilesInput::open(&config, Format::Auto, 0, 1).expect("a file");
    let mut decoder = input.decoder(PartitionId(0)).expect("a decoder");
    let (mut symbols, mut out, mut records) = (SymbolTable::default(), Vec::new(), 0);
    loop {
        let state = input.read(PartitionId(0), 4096, &mut symbols, &mut |record, symbols| {
            assert_eq!(record.offset, records);
            records += 1;
            let Payload::Bytes(bytes) = record.value else { panic!("bytes") };
            decoder.decode(None, bytes, symbols, &mut out).unwrap_or_else(|e| panic!("record {}: {e}", record.offset));
            out.drain(..).for_each(|seen| each(&seen, symbols));
            Flow::Continue
        });
        if state.expect("readable") == PartitionState::Ended {
            return records;
        }
    }
}

#[test]
fn the_recorded_million_trades_decode() {
    let Some(path) = data("trades/trades_xbtusd_bitmex_20180101_20180105_1M.csv.zst") else { return };
    let (mut volume, mut notional, mut last) = (0_i128, 0_i128, Timestamp::default());
    let records = read_file(path, "XBTUSD", |seen, _| {
        let Quote::Tick { price, size, side: Some(_) } = seen.quote else { panic!("{seen:?}") };
        volume += i128::from(size.raw());
        notional += i128::from(price.raw()) * i128::from(size.raw());
        assert!(seen.at >= last);
        last = seen.at;
    });
    assert_eq!((records, volume), (1_000_000, 3_240_640_714 * 100_000_000));
    assert_eq!((notional / volume + 50) / 100, 14_398_412_436, "vwap, in units of 1e-6");
}

#[test]
fn the_recorded_minute_bars_decode() {
    let Some(path) = data("multi/multi9_1m_binance_20210610_20210710.csv.gz") else { return };
    let mut seen_symbols = std::collections::BTreeSet::new();
    let records = read_file(path, "unused", |seen, symbols| {
        assert!(matches!(&seen.quote, Quote::Candle { bar, .. } if bar.count_unknown && bar.notional_unknown));
        assert_eq!(seen.at.millis() % 60_000, 59_999);
        seen_symbols.insert(symbols.name(seen.symbol).to_string());
    });
    assert!(records > 300_000, "{records}");
    assert_eq!(seen_symbols.len(), 9);
}
