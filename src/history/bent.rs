//! What servers, archives and this disk may hold that is not as it should be: none of it panics, and what is read can be used.

use super::binance::Api;
use super::choose::{gaps, prefer_days, suspects};
use super::content::{NUMBER_MAX, Rows};
use super::journal::{Compared, Entry, Journal};
use super::period::Period;
use super::{files, journal, report, told};
use crate::config::HistoryKind;
use crate::connectors::files::index::{
    Difference, Differs, Example, Faulty, Hole, INDEX, Index, Listed, Point, Series, VERSION,
};
use crate::delivery::Stop;
use crate::feeds::streams as feeds;
use crate::feeds::streams::venues::{Want, venue};
use crate::formats::{Decoded, Decoder};
use crate::market::{Span, Symbol, SymbolTable, Timestamp};
use proptest::prelude::*;
use std::io::Write as _;

/// So many of 100,000; `TICKCAST_TEST_FUZZ` says another sum.
fn cases(of: u32) -> ProptestConfig {
    let asked = std::env::var("TICKCAST_TEST_FUZZ").ok().and_then(|text| text.parse::<u64>().ok());
    let all = asked.unwrap_or(if cfg!(debug_assertions) { 5000 } else { 100_000 });
    ProptestConfig::with_cases(u32::try_from(all * u64::from(of) / 100_000).unwrap_or(u32::MAX).max(1))
}

/// One of these, bent in some places.
fn bent(texts: Vec<Vec<u8>>) -> impl Strategy<Value = (usize, Vec<u8>)> {
    let bend = (0..texts.len(), proptest::collection::vec((any::<u16>(), 0_u8..7, any::<u8>()), 0..6));
    bend.prop_map(move |(which, bends)| {
        let mut bytes = texts[which].clone();
        for (at, how, byte) in bends {
            let at = usize::from(at) % bytes.len().max(1);
            let odd = b"\"{}[],:0-9.eE\\tnull"[usize::from(byte) % 19];
            match how {
                0 => bytes[at] = odd,
                1 => bytes.insert(at, odd),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                3 => bytes.truncate(at.max(1)),
                4 => bytes[at] = byte,
                // A number that is far too long, or the greatest.
                5 if bytes[at].is_ascii_digit() => drop(bytes.splice(at..=at, u64::MAX.to_string().into_bytes())),
                _ => {
                    let tail = bytes[at..].to_vec();
                    bytes.extend(tail);
                }
            }
        }
        (which, bytes)
    })
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn pages() -> Vec<Vec<u8>> {
    texts(&[
        r#"[[1499040000000,"0.0163","0.8","0.0157","0.0158","148976.1",1499040059999,"2434.1",308,"1756.8","28.4","0"],[1499040060000,"0.0163","0.8","0.0157","0.0158","148976.1",1499040119999,"2434.1",308,"1756.8","28.4","0"]]"#,
        r#"[{"id":28457,"price":"4.0","qty":"12.0","quoteQty":"48.0","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}]"#,
        r#"[{"a":26129,"p":"0.0163","q":"4.7","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true},{"a":26130,"p":"0.0163","q":"4.7","f":27782,"l":27782,"T":1498793709153,"m":false}]"#,
    ])
}

fn told_pages() -> Vec<Vec<u8>> {
    texts(&[
        r#"[{"trade_id":74,"price":"10.0","size":"0.01","side":"buy","time":"2014-11-07T22:19:28.578544Z"},{"trade_id":73,"price":"1e-3","size":"0.5","side":"sell","time":"2014-11-07T01:08:43.642366Z"}]"#,
        r#"{"error":[],"result":{"XXBTZUSD":[["30243.4","0.34507674",1688669597.8277369,"b","m","",61044952],["30243.3","0.0037",1688669598.2804112,"s","l","",61044953]],"last":"1688671969993150842"}}"#,
        r#"{"code":"0","msg":"","data":[{"instId":"BTC","side":"sell","sz":"0.1","px":"29963.2","tradeId":"242720720","ts":"1654161646974"},{"instId":"BTC","side":"buy","sz":"1","px":"29963","tradeId":"242720719","ts":"1654161646970"}]}"#,
        r#"[[1415398768,0.32,4.2,0.35,4.2,12.3],[1415398820,0.34,4.1,0.34,4.1,1.5]]"#,
        r#"{"error":[],"result":{"XXBTZUSD":[[1688671200,"30306.1","30306.2","30305.7","30305.7","30306.1","3.3",23]],"last":1}}"#,
        r#"{"code":"0","msg":"","data":[["1597026383085","3.7","3.8","3.6","3.7","22.1","12.1","84.5","1"]]}"#,
    ])
}

fn rows(kind: HistoryKind) -> Rows {
    Rows { kind, interval: Span::from_millis(60_000), contiguous: true, slack: Span::from_millis(0) }
}

fn point(id: u64) -> Point {
    Point { id, at: 1_704_067_200_000 + id as i64 * 60_000 }
}

/// A journal of a month, some of its days, and what came of comparing them.
fn lines() -> Vec<u8> {
    let entry = |path: &str, period, first, last| Entry {
        listed: Listed { path: path.to_owned(), bytes: 5, sha256: "ab".repeat(32), rows: 9, ..Listed::default() },
        period,
        content: super::content::Content {
            rows: 9,
            first: Some(point(first)),
            last: Some(point(last)),
            breaks: vec![(point(first + 1), point(first + 3))],
            repeated: 1,
            ..Default::default()
        },
    };
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path()).unwrap();
    journal.add(&entry("m", Period::Month(648), 1, 99)).unwrap();
    journal.add(&entry("a", Period::Day(19_723), 1, 50)).unwrap();
    journal.add(&entry("b", Period::Day(19_724), 52, 98)).unwrap();
    let compared = Compared { one: "x".to_owned(), others: vec!["y".to_owned()], difference: Some(difference()) };
    journal.add_compared(compared).unwrap();
    std::fs::read(dir.path().join("fetched.jsonl")).unwrap()
}

fn difference() -> Difference {
    let examples = vec![Example { id: 5, rows: [Some("1,2".to_owned()), None] }];
    Difference { changed: 2, only: [1, 0], first: Some(point(5)), last: Some(point(7)), examples }
}

fn list() -> Vec<u8> {
    let file = Listed { path: "X/a".to_owned(), bytes: 5, rows: 9, first: Some(point(1)), ..Listed::default() };
    let (reason, why) = ("checksum".to_owned(), "it is no good".to_owned());
    let hole = Hole { after: point(3), before: point(9), missing: 5, reason: reason.clone(), why: why.clone() };
    let series = Series {
        symbol: "BTCUSDT".to_owned(),
        market: "BTCUSDT".to_owned(),
        files: vec![file.clone(), file],
        holes: vec![hole],
        faults: vec![Faulty { period: "2024-01".to_owned(), reason, why }],
        differs: vec![Differs { period: "2024-01".to_owned(), taken: "days".to_owned(), difference: difference() }],
    };
    serde_json::to_vec(&Index { version: VERSION, holds: "x".to_owned(), series: vec![series] }).unwrap()
}

/// Files of an archive: a zip and a gzip of rows of each kind.
fn archives() -> Vec<Vec<u8>> {
    let candle = |i: i64| {
        let open = 1_704_067_200_000 + i * 60_000;
        format!("{open},4.5,4.6,4.4,4.5,{i}.25,{},1.5,3,0.5,0.2,0\n", open + 59_999)
    };
    let trade = |i: i64| format!("{i},4.5,0.{i},1.5,{},True,True\n", 1_704_067_200_000 + i * 1000);
    let text: [String; 2] = [(0..20).map(candle).collect(), (1..20).map(trade).collect()];
    let gz = |text: &String| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zip = |text: &String| {
        let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
        let deflate = rawzip::CompressionMethod::DEFLATE;
        let (mut entry, config) = archive.new_file("a.csv").compression_method(deflate).start().unwrap();
        let encoder = flate2::write::DeflateEncoder::new(&mut entry, flate2::Compression::fast());
        let mut writer = config.wrap(encoder);
        writer.write_all(text.as_bytes()).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
        archive.finish().unwrap()
    };
    let plain = |text: &String| text.clone().into_bytes();
    [&text[0], &text[1]].into_iter().flat_map(|text| [zip(text), gz(text), plain(text)]).collect()
}

proptest! {
    #![proptest_config(cases(40_000))]
    /// What is read of a page is a row that the job reads, at the place that it is said to have.
    #[test]
    fn bent_pages_do_no_harm((which, text) in bent(pages())) {
        let text = String::from_utf8_lossy(&text).into_owned();
        for kind in [HistoryKind::Klines, HistoryKind::Trades, HistoryKind::AggTrades] {
            let api = Api::new("spot", None, rows(kind)).unwrap();
            let found = api.read(&text).unwrap_or_default();
            prop_assert!(found.is_sorted_by_key(|(point, _)| point.id));
            for (point, row) in found {
                prop_assert!(point.id <= NUMBER_MAX && !row.contains(&b'\n'), "{which} {point:?}");
                prop_assert!(!api.url("X", point.id + 1, Timestamp::from_millis(point.at + 1)).is_empty());
                // It may still be none: a price of 0, say. Then the file that it would stand in is no good.
                let symbol = Symbol::new("X").ok();
                let Ok(mut decoder) = Decoder::csv(&row, symbol, Some(Span::from_millis(60_000))) else { continue };
                let _: Result<Decoded, _> = decoder.decode(None, &row, &mut SymbolTable::default(), &mut Vec::new());
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(20_000))]
    /// What venues without archives tell is a record, or it is refused.
    #[test]
    fn bent_tales_do_no_harm((which, text) in bent(told_pages())) {
        let text = String::from_utf8_lossy(&text).into_owned();
        let names = feeds::Names::new("BTC".to_owned(), "x".to_owned(), "BTC".to_owned());
        for name in ["coinbase", "kraken", "okx"] {
            let venue = venue(name).unwrap();
            let hole = feeds::Hole { first: 60, last: 2060 };
            let want = Want { number: 0, market: "BTC".to_owned(), hole, after_at: "\"1\"".into(), cursor: None };
            let Ok(page) = venue.read_page(&want, &text) else { continue };
            for (id, _, trade) in told::taken(page.trades, 60).unwrap_or_default() {
                prop_assert!((60..=NUMBER_MAX).contains(&id), "{which} {id}");
                let mut row = Vec::new();
                feeds::write_told(&names, &trade, &mut row);
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&row).is_ok() && !row.contains(&b'\n'), "{which}");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(10_000))]
    #[test]
    fn bent_checksums_do_no_harm((_, text) in bent(vec![format!("{}  X.zip\n", "7f3C".repeat(16)).into_bytes()])) {
        if let Ok(sum) = files::checksum_of(&String::from_utf8_lossy(&text), "http://a/b/X.zip") {
            prop_assert!(sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
        }
    }
}

proptest! {
    #![proptest_config(cases(10_000))]
    /// A list that is not as it was written is told, or shown.
    #[test]
    fn bent_lists_do_no_harm((_, text) in bent(vec![list()])) {
        if let Ok(index) = Index::parse(&text, std::path::Path::new(INDEX)) {
            prop_assert!(report::text(&index).contains(&index.holds));
        }
    }
}

proptest! {
    #![proptest_config(cases(10_000))]
    /// Of a journal that is not as it was written, files are chosen all the same.
    #[test]
    fn bent_journals_do_no_harm((_, text) in bent(vec![lines()])) {
        let (known, _) = journal::read(&text);
        let (mut months, days): (Vec<Entry>, Vec<Entry>) =
            known.into_values().partition(|entry| matches!(entry.period, Period::Month(_)));
        let _ = (gaps(&months).len(), suspects(&months).len());
        for month in months.iter().map(|entry| entry.period).collect::<Vec<_>>() {
            prefer_days(&mut months, month, days.clone());
            let _ = (month.begin(), month.end(), month.to_string());
        }
    }
}

proptest! {
    #![proptest_config(cases(10_000))]
    /// What a file holds lies in its day, or the file is no good.
    #[test]
    fn bent_archives_do_no_harm((which, bytes) in bent(archives())) {
        let kind = if which < 3 { HistoryKind::Klines } else { HistoryKind::Trades };
        let mut file = tempfile::Builder::new().suffix([".zip.part", ".csv.gz.part", ".csv.part"][which % 3]).tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let day = Period::Day(19_723);
        if let Ok(content) = rows(kind).look(file.path(), (day.begin(), day.end()), &Stop::default()) {
            for point in [content.first, content.last].into_iter().flatten() {
                prop_assert!(day.begin().millis() <= point.at && point.at < day.end().millis(), "{which} {content:?}");
            }
            prop_assert!(content.rows >= content.repeated + content.displaced);
        }
    }
}
