//! Tables as people have them: what stands above a header, headers that come again, delimiters, names, arrays.

use super::tests::{Dir, config};
use super::*;
use crate::connectors::files::zip::tests::archive;
use crate::connectors::input::Payload;
use crate::formats::Decoded;
use crate::market::{Observation, Quote};
use proptest::prelude::*;
use std::path::PathBuf;

/// Offset, and stamp in seconds since 2023 with price and size, or why there is none.
type Seen = (u64, Result<(i64, String, String), String>);

const START: i64 = 1_672_531_200;

fn show(seen: &Observation) -> (i64, String, String) {
    let size = match &seen.quote {
        Quote::Tick { size, .. } => size.to_string(),
        Quote::Candle { bar, interval } => {
            let vwap = if bar.vwap().is_some() { " vwap" } else { "" };
            let flow = if bar.known_signed_volume().is_some() { " flow" } else { "" };
            format!("{interval} {}{vwap}{flow}", bar.volume as f64 / 1e8)
        }
        Quote::Large(_) => "large".to_owned(),
    };
    (seen.at.millis().div_euclid(1000) - START, seen.quote.price().to_string(), size)
}

fn read(config: &FilesSourceConfig) -> Result<Vec<Seen>, String> {
    let mut input = FilesInput::open(config, Format::Auto, 0, 1).map_err(|error| error.to_string())?;
    let mut decoder = input.decoder(PartitionId(0)).unwrap();
    let (mut symbols, mut all, mut out) = (SymbolTable::default(), Vec::new(), Vec::new());
    loop {
        let state = input.read(PartitionId(0), 3, &mut symbols, &mut |record, symbols| {
            let bytes = match record.value {
                Payload::Bytes(bytes) => bytes,
                Payload::Decoder(later) => {
                    decoder = later;
                    return Flow::Continue;
                }
                _ => panic!("of a file"),
            };
            out.clear();
            let seen = match decoder.decode(None, bytes, symbols, &mut out) {
                Ok(Decoded::Used | Decoded::Partly(_)) => Ok(show(&out[0])),
                Ok(Decoded::Ignored(kind)) => Err(kind.to_owned()),
                Err(error) => Err(error.to_string()),
            };
            all.push((record.offset, seen));
            Flow::Continue
        });
        if state.map_err(|error| error.to_string())? == PartitionState::Ended {
            return Ok(all);
        }
    }
}

fn read_as(name: &str, bytes: impl AsRef<[u8]>, columns: Option<ColumnsConfig>) -> Result<Vec<Seen>, String> {
    let dir = Dir::new();
    let path: PathBuf = dir.file(name, bytes);
    read(&FilesSourceConfig { columns, ..config(vec![path]) })
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

fn read_text(text: &str) -> Result<Vec<Seen>, String> {
    read_as("a.csv", text, None)
}

/// Ticks of 1 s each, from 0 on, with these prices and no size.
fn ticks(prices: &[u32]) -> Result<Vec<Seen>, String> {
    let tick = |(at, price): (usize, &u32)| (at as u64, Ok((at as i64, price.to_string(), "0".to_owned())));
    Ok(prices.iter().enumerate().map(tick).collect())
}

fn names(names: &[&str]) -> Option<ColumnsConfig> {
    Some(ColumnsConfig::Names(names.iter().map(|name| (*name).to_owned()).collect()))
}

fn words(words: &[(&str, &str)]) -> Option<ColumnsConfig> {
    let words = words.iter().map(|(field, word)| ((*field).to_owned(), (*word).to_owned()));
    Some(ColumnsConfig::Words(words.collect()))
}

const ROWS: &str = "1672531200,1\n1672531201,2\n";

#[test]
fn what_stands_above_a_header_is_passed_over() {
    for above in [
        "",
        "\u{feff}",
        "https://www.example.com/data\n",
        "# made by a tool\n#\n\n# with comments\n",
        "Bitcoin to Dollar\n\n",
        "\u{feff}sep=,\r\n",
        "Report of 2023,Bitcoin\nhttps://example.com\n",
    ] {
        assert_eq!(read_text(&format!("{above}ts,price\n{ROWS}")), ticks(&[1, 2]), "{above}");
    }
    assert_eq!(read_text(&format!("#ts,price\n{ROWS}")), ticks(&[1, 2]));
    assert_eq!(read_text(&format!("# ts,price\nts,price\n{ROWS}")), ticks(&[1, 2]));
    // As pandas writes frames whose index has a name.
    let yahoo = "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDate,,,,,\n2023-01-01,3,4,1,2,9\n";
    assert_eq!(read_text(yahoo), Ok(vec![(0, Ok((86_399, "3".to_owned(), "1d 9".to_owned())))]));
}

#[test]
fn without_a_header_it_is_refused_with_the_way_out() {
    let error = |text: &str| read_text(text).unwrap_err();
    let kraken = error("1672531200,19994.15,1.3498\n1672531260,19994.08,3.9647\n");
    assert!(kraken.contains("`1672531200,19994.15,1.3498`"), "{kraken}");
    assert!(kraken.contains("--set 'source.files.columns=[\"timestamp\",\"price\",\"size\"]'"), "{kraken}");
    assert!(error("a title\nand one more\n").contains("`a title` is no header: CSV files need one"));
    let long = "a title\n".repeat(40) + "ts,price\n1672531200,1\n";
    assert!(error(&long).contains("`a title` is no header"));
    // What was nearly a header is what there is to say.
    assert!(error("ts,size\n1672531200,5\n1672531201,5\n").contains("no column for the price"));
    let csv = format!("a;b\n{ROWS}");
    assert!(error(&csv).contains("record of 2 columns"), "{}", error(&csv));
}

#[test]
fn headers_come_again_and_count_as_no_record() {
    assert_eq!(read_text("ts,price\n1672531200,1\nts,price\n1672531201,2\nts,price\n"), ticks(&[1, 2]));
    let turned =
        "ts,price\n1672531200,1\nPrice,note,Timestamp\n2,x,1672531201\n3,y,1672531202\nts;price\n1672531203;4\n";
    assert_eq!(read_text(turned), ticks(&[1, 2, 3, 4]));
    // Far behind what is read ahead, and where every line begins with a word.
    let many: String = (0..1500).map(|at| format!("BTC,{},{}\n", START + at, at + 1)).collect();
    let text = format!("symbol,ts,price\n{many}ts,symbol,price\n{},BTC,7\n", START + 1500);
    let seen = read_text(&text).unwrap();
    assert_eq!(seen.len(), 1501);
    assert_eq!(seen[1500], (1500, Ok((1500, "7".to_owned(), "0".to_owned()))));
    // An archive's lines, then one with a header.
    let kline = |at: i64| format!("{0}000,1,1,1,1,2,{0}999,2,3,1,1,0\n", START + at);
    let header = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore\n";
    let seen = read_text(&format!("{}{header}{}", kline(0), kline(1))).unwrap();
    assert_eq!(seen.iter().map(|(offset, seen)| (*offset, seen.is_ok())).collect::<Vec<_>>(), [(0, true), (1, true)]);
    // Comments and addresses between joined files.
    assert_eq!(read_text("ts,price\n1672531200,1\nhttps://x\n# y\nts,price\n1672531201,2\n"), ticks(&[1, 2]));
    let mixed = read_text("ts,price\n1672531200,1\nts,open,high,low,close\n1672531201,1,1,1,1\n").unwrap_err();
    assert!(mixed.contains("that of other records than the first: give them as two files"), "{mixed}");
}

#[test]
fn members_of_a_zip_are_one_file() {
    let zip = archive(&[
        ("a.csv", b"\xef\xbb\xbfhttps://x\nts,price\n1672531200,1"),
        ("b.csv", b"\xef\xbb\xbfhttps://x\nprice,ts\n2,1672531201\n"),
        ("c.csv", b"3,1672531202\n"),
    ]);
    assert_eq!(read_as("a.zip", zip, None), ticks(&[1, 2, 3]));
    let json = archive(&[
        ("a.json", b"[{\"ts\":0,\"timestamp\":1672531200,\"price\":1},\n{\"timestamp\":1672531201,\"price\":2}]"),
        ("b.json", b"[{\"timestamp\":1672531202,\"price\":3}]"),
    ]);
    assert_eq!(read_as("x", json, None), ticks(&[1, 2, 3]));
}

#[test]
fn rows_without_a_price_are_ignored() {
    let seen = read_text("ts,open,high,low,close,Volume_(BTC)\n1672531200,1,1,1,1,5\n1672531201,NaN,NaN,NaN,NaN,NaN\n1672531202,,,,,\n1672531203,1,1,1,-,5\n1672531204,1,1,1,1,N/A\n1672531205,1,1,1,1,5\n").unwrap();
    let words: Vec<_> = seen.into_iter().map(|(_, seen)| seen.map(|(_, _, size)| size)).collect();
    assert_eq!(words[0], Ok("1s 5".to_owned()));
    assert_eq!((&words[1], &words[2]), (&Err("empty".to_owned()), &Err("empty".to_owned())));
    assert!(words[3].as_ref().unwrap_err().contains("close is missing"), "{words:?}");
    // The volume of one row alone: unknown, and with it what follows from one.
    assert_eq!(words[4], Ok("1s 0".to_owned()));
    let ticks = read_text("ts,price,side\n1672531200,null,buy\n1672531201,2,-\n").unwrap();
    assert_eq!(ticks[0].1, Err("empty".to_owned()));
    assert_eq!(ticks[1].1, Ok((1, "2".to_owned(), "0".to_owned())));
}

#[test]
fn candles_need_no_volume() {
    let seen =
        read_text("date,open,high,low,close,taker_buy_volume,vwap\n1672531200,1,1,1,1,0,1\n1672531201,1,1,1,1,0,1\n")
            .unwrap();
    assert_eq!(seen[1].1, Ok((1, "1".to_owned(), "1s 0".to_owned())), "no vwap, no flow");
    let zero = read_text("date,open,high,low,close,volume\n1672531200,1,1,1,1,0\n1672531201,1,1,1,1,0\n").unwrap();
    assert_eq!(zero[1].1, Ok((1, "1".to_owned(), "1s 0 flow".to_owned())), "of a volume of 0 it is known");
}

#[test]
fn numbers_of_spreadsheets_are_told() {
    let first = |text: &str| read_text(text).unwrap().remove(0).1.unwrap_err();
    let comma = first("timestamp;price;size\n1672531200;19994,15;1,3498\n");
    assert!(comma.contains("price: `19994,15`") && comma.contains("decimal comma: write 19994.15"), "{comma}");
    let thousands = first("timestamp,price\n1672531200,\"19,994.15\"\n");
    assert!(thousands.contains("thousands separators: write 19994.15"), "{thousands}");
    let investing =
        first("Date,Price,Open,High,Low,Vol.,Change %\n01/31/2023,1,1,1,1,95.33K,1%\n01/30/2023,1,1,1,1,1,1%\n");
    assert!(investing.contains("volume: `95.33K`") && investing.contains("rounded, with a suffix `K`"), "{investing}");
}

#[test]
fn configured_columns_are_read() {
    let list = names(&["timestamp", "price", "_"]);
    assert_eq!(read_as("a.csv", "1672531200,1,x\n1672531201,2,y\n", list.clone()), ticks(&[1, 2]));
    assert_eq!(read_as("a", "1672531200|1|x\n1672531201|2|y\n", list.clone()), ticks(&[1, 2]));
    assert_eq!(
        read_as("a.csv", "https://x\nts,price,z\n1672531200,1,x\nts,price,z\n1672531201,2,y\n", list),
        ticks(&[1, 2])
    );
    let told = read_as("a.csv", ROWS, names(&["timestamp", "price", "_"])).unwrap_err();
    assert!(told.contains("has 2 columns, and source.files.columns names 3"), "{told}");
    let table = words(&[("timestamp", "When"), ("price", "Last (USD)")]);
    assert_eq!(
        read_as("a.csv", format!("When,last_usd,price\n{}", ROWS.replace('\n', ",9\n")), table.clone()),
        ticks(&[1, 2])
    );
    assert!(read_as("a.csv", format!("ts,price\n{ROWS}"), table).unwrap_err().contains("no column `Last (USD)`"));
    let wrong = read_as("a.csv", ROWS, names(&["timestamp", "prize"])).unwrap_err();
    assert!(wrong.contains("source.files.columns: `prize` is no field; did you mean price?"), "{wrong}");
}

#[test]
fn arrays_are_read_by_names() {
    let bars = "[[1672531200000,1,1,1,1,5],\n[1672531260000,1,1,1,2,null]]";
    let list = names(&["timestamp", "open", "high", "low", "close", "volume"]);
    let refused = read_as("a.json", bars, None).unwrap_err();
    assert!(refused.contains("an array of 6 elements without names"), "{refused}");
    assert!(
        refused.contains("source.files.columns=[\"timestamp\",\"open\",\"high\",\"low\",\"close\",\"volume\"]"),
        "{refused}"
    );
    let expected =
        vec![(0, Ok((59, "1".to_owned(), "1m 5".to_owned()))), (1, Ok((119, "2".to_owned(), "1m 0".to_owned())))];
    assert_eq!(read_as("a.json", bars.replace("1,1,1,2", "1,2,1,2"), list.clone()), Ok(expected.clone()));
    let lines = bars.replace("1,1,1,2", "1,2,1,2").replace("[[", "[").replace("],", "]").replace("]]", "]");
    assert_eq!(read_as("a.jsonl", &lines, list.clone()), Ok(expected));
    assert!(read_as("a.jsonl", &lines, None).unwrap_err().contains("an array of 6 elements"));
    let short = read_as("a.json", "[[1672531200000,1],[1672531260000,1]]", list).unwrap();
    assert!(short[0].1.as_ref().unwrap_err().contains("the array has 2 elements, source.files.columns names 6"));
    // As Binance's API has klines; and messages of an exchange, which are arrays that need no names.
    let klines = "[[1672531200000,\"1\",\"1\",\"1\",\"1\",\"5\",1672531259999,\"5\",3,\"2\",\"2\",\"0\"]]";
    assert_eq!(read_as("a.json", klines, None), Ok(vec![(0, Ok((59, "1".to_owned(), "1m 5 vwap flow".to_owned())))]));
    let kraken = "[993,[[\"354.11\",\"0.8\",\"1672531200.5\",\"s\",\"l\",\"\"]],\"trade\",\"XBT/USD\"]\n";
    assert_eq!(read_as("a.jsonl", kraken, None).unwrap()[0].1.as_ref().unwrap().1, "354.11");
    assert!(
        read_as("a.json", "{\"timestamp\":1}", words(&[("price", "x")]))
            .unwrap_err()
            .contains("it is JSON, which has no header")
    );
}

#[test]
fn newest_first_is_refused_before_anything_is_read() {
    let down: String = (0..20).rev().map(|at| format!("{},1\n", START + at)).collect();
    let told = read_text(&format!("ts,price\n{down}")).unwrap_err();
    assert!(told.contains("it runs backwards") && told.contains("tac"), "{told}");
    let late = read_text("ts,price\n1672531205,1\n1672531201,2\n1672531206,3\n").unwrap();
    assert!(late.iter().all(|(_, seen)| seen.is_ok()), "late ones are counted as they come");
}

#[test]
fn lengths_of_candles_come_from_their_spacing() {
    let bars = |step: i64, count: i64| -> String {
        let rows = (0..count).map(|n| format!("{},1,1,1,1,1\n", START + n * step));
        "ts,open,high,low,close,volume\n".to_owned() + &rows.collect::<String>()
    };
    assert_eq!(read_text(&bars(300, 3)).unwrap()[0].1.as_ref().unwrap().0, 299);
    assert_eq!(
        read_as("a.csv.gz", gz(bars(3600, 1200).as_bytes()), None).unwrap()[1199].1.as_ref().unwrap().0,
        1200 * 3600 - 1
    );
    let dir = Dir::new();
    let interval = Some("1m".parse().unwrap());
    let told = read(&FilesSourceConfig { interval, ..config(vec![dir.file("b.csv", bars(300, 9))]) }).unwrap_err();
    assert!(told.contains("multiples of 5m, but source.interval is 1m"), "{told}");
    let dates = |days: &[u32]| -> String { days.iter().map(|day| format!("2023-01-{day:02},1,1,1,1,1\n")).collect() };
    let read_dates = |days: &[u32]| read_text(&("ts,open,high,low,close,volume\n".to_owned() + &dates(days)));
    assert_eq!(read_dates(&[1]).unwrap()[0].1.as_ref().unwrap().0, 86_399);
    assert_eq!(read_dates(&[1, 8, 15]).unwrap()[2].1.as_ref().unwrap().0, 21 * 86_400 - 1, "weeks");
    assert!(read_dates(&[1, 1, 1]).unwrap_err().contains("all its 3 candles open at 2023-01-01"));
}

/// A header's words in other spellings.
fn spelled(name: &str, way: u8) -> String {
    match way % 5 {
        0 => name.to_owned(),
        1 => name.to_uppercase(),
        2 => name.replace('_', " "),
        3 => format!("\"{}\"", name.replace('_', "-")),
        _ => format!(" {}. ", name.replace('_', ".")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Files joined from parts, each with its own order of columns, spelling and delimiter, against the rows that they were made of.
    #[test]
    fn any_order_spelling_and_delimiter_is_the_same_file(
        parts in prop::collection::vec(
            (Just(vec![0_usize, 1, 2, 3]).prop_shuffle(), any::<u8>(), prop::sample::select(vec![',', ';', '\t', '|']), 1_usize..5),
            1..5,
        ),
        above in prop::sample::select(vec!["", "# x\n", "https://x\n", "\u{feff}"]),
    ) {
        let fields = ["time_stamp", "last_price", "base_volume", "note"];
        let (mut text, mut expected) = (above.to_owned(), Vec::new());
        for (order, way, delimiter, rows) in parts {
            let join = |cells: Vec<String>| cells.join(&delimiter.to_string()) + "\n";
            text += &join(order.iter().map(|at| spelled(fields[*at], way)).collect());
            for _ in 0..rows {
                let at = expected.len() as i64;
                let cells = [(START + at).to_string(), (at + 1).to_string(), "2".to_owned(), "a b".to_owned()];
                text += &join(order.iter().map(|column| cells[*column].clone()).collect());
                expected.push((at as u64, Ok((at, (at + 1).to_string(), "2".to_owned()))));
            }
        }
        prop_assert_eq!(read_text(&text), Ok(expected), "{}", text);
    }
}

/// Whatever a file holds, it is answered: by an error or by records that have their numbers in order.
#[test]
fn any_file_is_answered() {
    let seeds: [&[u8]; 8] = [
        b"ts,price\n1672531200,1\nprice,ts\n2,1672531201\n",
        b"https://x\n# y\nunix;date;open;high;low;close;Volume BTC\n1672531200;x;1;1;1;1;5\n1672531260;x;1;1;1;1;5\n",
        b"[[1672531200000,1,1,1,1,5],[1672531260000,1,1,1,1,5]]",
        b"[{\"timestamp\":1672531200,\"price\":1},\n{\"timestamp\":1672531201,\"price\":2}]",
        b"{\"timestamp\":1672531200,\"price\":1}{\"timestamp\":1672531201,\"price\":2}",
        b"1672531200000,1,1,1,1,2,1672531200999,2,3,1,1,0\n",
        b"Price,Close,High,Low,Open\nTicker,A,A,A,A\nDate,,,,\n2023-01-01,3,4,1,2\n",
        b"\xef\xbb\xbftimestamp\tprice\n1672531200\t1,5\n",
    ];
    let mut random = 1_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below.max(1)
    };
    let dir = Dir::new();
    let (mut read_all, mut told) = (0, 0);
    for _ in 0..10_000 {
        let mut bytes = seeds[next(seeds.len())].to_vec();
        for _ in 0..next(4) {
            let at = next(bytes.len());
            match next(5) {
                0 => bytes[at] = next(256) as u8,
                1 => bytes.truncate(at),
                2 => drop(bytes.drain(at..(at + next(9)).min(bytes.len()))),
                3 => {
                    let other = seeds[next(seeds.len())];
                    let from = next(other.len());
                    drop(bytes.splice(at..at, other[from..].iter().copied()));
                }
                _ => drop(bytes.splice(at..at, b"\n\",;{[}]#\t"[next(10)..].iter().copied().take(1))),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let name = ["a", "a.csv", "a.json", "a.tsv"][next(4)];
        let columns = match next(4) {
            0 => names(&["timestamp", "open", "high", "low", "close", "volume"]),
            1 => words(&[("price", "price")]),
            _ => None,
        };
        let path = dir.file(name, &bytes);
        match read(&FilesSourceConfig { columns, ..config(vec![path]) }) {
            Ok(seen) => {
                read_all += 1;
                assert!(seen.iter().enumerate().all(|(at, (offset, _))| *offset == at as u64));
            }
            Err(error) => {
                told += 1;
                assert!(error.contains(name) && error.len() < 2000, "{error}");
            }
        }
    }
    assert!(read_all > 300 && told > 300, "{read_all} read, {told} told");
}
