//! Formats and files against recorded market data: each record of it is what an independent count says.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use tickcast::config::{FilesSourceConfig, Format};
use tickcast::connectors::files::input::FilesInput;
use tickcast::connectors::input::{Flow, Input, PartitionState, Payload};
use tickcast::formats::{Decoded, Decoder};
use tickcast::market::{Observation, PartitionId, Quote, Span, SymbolTable, Timestamp};

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
        let Observation { symbol, at, quote, reported, .. } = &out[0];
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

/// What a message is, counted by hand: with serde_json, from what the exchanges document, and not with our reader.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Is {
    /// Trades, prices or candles: how many.
    Used(usize),
    Ignored(String),
    Undecodable,
}

/// The messages that a recorder wrote down, without its own lines and stamps.
fn messages(name: &str, bytes: &[u8]) -> Vec<String> {
    let mut text = String::new();
    if name.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(bytes).read_to_string(&mut text).expect("a gz file");
    } else {
        text = String::from_utf8(bytes.to_vec()).expect("text");
    }
    let line = |line: &str| -> Option<String> {
        if name.contains("recv_ns") {
            // `<receive ns> <message>`
            return line.split_once(' ').map(|(_, message)| message.to_owned());
        }
        if name.ends_with(".txt") {
            // `<receive s>: <message>`; other lines tell what was connected and sent.
            return line.split_once(": ").filter(|(head, _)| head.parse::<f64>().is_ok()).map(|(_, m)| m.to_owned());
        }
        let recorded: Json = serde_json::from_str(line).expect("a line of JSON");
        (recorded["t"] == "recv").then(|| recorded["data"].as_str().expect("a message").to_owned())
    };
    text.lines().filter_map(line).collect()
}

fn count(message: &str) -> Is {
    let Ok(json) = serde_json::from_str::<Json>(message) else { return Is::Undecodable };
    let ignored = |kind: &Json| Is::Ignored(kind.as_str().expect("a kind").to_owned());
    let length = |list: &Json| Is::Used(list.as_array().expect("a list").len());
    if let Some(array) = json.as_array() {
        let name = array[array.len() - 2].as_str().expect("a name");
        return if name == "trade" {
            length(&array[1])
        } else {
            Is::Ignored(name.split('-').next().unwrap().to_owned())
        };
    }
    if json.get("lastUpdateId").is_some() {
        return Is::Ignored("depth".to_owned());
    }
    if let Some(stream) = json.get("stream") {
        let (data, stream) = (&json["data"], stream.as_str().expect("a name"));
        return match data.get("e").and_then(Json::as_str) {
            Some("trade" | "aggTrade") => Is::Used(1),
            Some("kline") if data["k"]["x"] == true => Is::Used(1),
            Some("kline") => Is::Ignored("unclosed".to_owned()),
            Some(event) => Is::Ignored(event.to_owned()),
            None => Is::Ignored(stream.split_once('@').expect("a stream").1.to_owned()),
        };
    }
    if let Some(channel) = json.get("channel") {
        let list = match channel.as_str() {
            Some("market_trades") => "trades",
            Some("ticker") => "tickers",
            _ => return ignored(channel),
        };
        let events = json["events"].as_array().expect("events");
        return Is::Used(events.iter().map(|event| event[list].as_array().expect("a list").len()).sum());
    }
    match (json.get("type").and_then(Json::as_str), json.get("event")) {
        (Some("ticker" | "match" | "last_match"), _) => Is::Used(1),
        (Some(kind), _) => Is::Ignored(kind.to_owned()),
        (None, Some(event)) => ignored(event),
        (None, None) => Is::Undecodable,
    }
}

#[test]
fn each_recorded_message_of_an_exchange_is_used_ignored_by_kind_or_undecodable() {
    let Some(folder) = data("messages") else { return };
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let messages = messages(&name, &std::fs::read(&path).expect("a file"));
        let (mut ours, mut by_hand) = (BTreeMap::<Is, usize>::new(), BTreeMap::<Is, usize>::new());
        let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
        let mut decoder = Decoder::json(Format::Auto, None, None);
        for message in &messages {
            out.clear();
            let is = match decoder.decode(None, message.as_bytes(), &mut symbols, &mut out) {
                Ok(Decoded::Used) => Is::Used(out.len()),
                Ok(Decoded::Partly(reason)) => panic!("{reason} in {message}"),
                Ok(Decoded::Ignored(kind)) => Is::Ignored(kind.to_owned()),
                Err(_) => Is::Undecodable,
            };
            let expected = count(message);
            assert_eq!(is, expected, "{name}: {message}");
            *ours.entry(is).or_default() += 1;
            *by_hand.entry(expected).or_default() += 1;
        }
        let sum = |wanted: fn(&Is) -> bool| ours.iter().filter(|(is, _)| wanted(is)).map(|(_, n)| n).sum::<usize>();
        let (used, ignored) = (sum(|is| matches!(is, Is::Used(_))), sum(|is| matches!(is, Is::Ignored(_))));
        println!(
            "{name}: {} messages, {used} used, {ignored} ignored, {} undecodable",
            messages.len(),
            sum(|is| *is == Is::Undecodable)
        );
        println!("    {ours:?}");
        assert_eq!(ours, by_hand);
        assert!(used > 0 && used + ignored + sum(|is| *is == Is::Undecodable) == messages.len());
        files += 1;
    }
    assert!(files >= 6, "{files}");
}

/// Coinbase records the same trade twice, as `match` with the maker's side and as `ticker` with the taker's.
#[test]
fn recorded_matches_and_tickers_agree_on_the_taker() {
    let Some(path) = data("messages/cryptofeed_coinbase_exchange_legacy_20210417.txt") else { return };
    let mut seen = BTreeMap::new();
    for message in messages("x.txt", &std::fs::read(path).expect("a file")) {
        let Ok(json) = serde_json::from_str::<Json>(&message) else { continue };
        let (mut symbols, mut out) = (SymbolTable::default(), Vec::new());
        let _ = Decoder::json(Format::Auto, None, None).decode(None, message.as_bytes(), &mut symbols, &mut out);
        if let Some(observation) = out.pop() {
            let key = (json["product_id"].to_string(), json["trade_id"].as_u64().expect("an id"));
            seen.entry(key).or_insert_with(Vec::new).push((observation.at, observation.quote));
        }
    }
    let pairs: Vec<_> = seen.values().filter(|said| said.len() == 2).collect();
    assert!(pairs.len() > 90, "{}", pairs.len());
    assert!(pairs.iter().all(|said| said[0] == said[1]));
}

/// All observations of a recorded file.
fn read_file(path: PathBuf, symbol: &str, mut each: impl FnMut(&Observation, &SymbolTable)) -> u64 {
    let (symbol, interval) = (Some(symbol.to_owned()), Some(Span::from_millis(60_000)));
    let config = FilesSourceConfig { paths: vec![path], symbol, interval, ..FilesSourceConfig::default() };
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
