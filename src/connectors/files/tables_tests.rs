//! Tables as people have them: what stands above a header, headers that come again, delimiters, names, arrays.

use super::tests::{Dir, config};
use super::*;
use crate::connectors::files::zip::tests::archive;
use crate::connectors::input::Payload;
use crate::formats::Decoded;
use crate::market::{Observation, Quote};
use std::path::PathBuf;

/// Offset, and stamp in seconds since 2023 with price and size, or why there is none.
pub(super) type Seen = (u64, Result<(i64, String, String), String>);

pub(super) const START: i64 = 1_672_531_200;

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

pub(super) fn read(config: &FilesSourceConfig) -> Result<Vec<Seen>, String> {
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

pub(super) fn read_text(text: &str) -> Result<Vec<Seen>, String> {
    read_as("a.csv", text, None)
}

/// Ticks of 1 s each, from 0 on, with these prices and no size.
fn ticks(prices: &[u32]) -> Result<Vec<Seen>, String> {
    let tick = |(at, price): (usize, &u32)| (at as u64, Ok((at as i64, price.to_string(), "0".to_owned())));
    Ok(prices.iter().enumerate().map(tick).collect())
}

pub(super) fn names(names: &[&str]) -> Option<ColumnsConfig> {
    Some(ColumnsConfig::Names(names.iter().map(|name| (*name).to_owned()).collect()))
}

pub(super) fn words(words: &[(&str, &str)]) -> Option<ColumnsConfig> {
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
    assert!(wrong.contains("source.files.columns: `prize` is no field; there are symbol, timestamp"), "{wrong}");
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

#[test]
fn lengths_are_inferred_in_json_and_parquet_too() {
    let bar = |at: i64| format!("{{\"timestamp\":{at},\"open\":1,\"high\":1,\"low\":1,\"close\":1,\"volume\":1}}");
    let bars: Vec<String> = (0..4).map(|n| bar(START + n * 900)).collect();
    let ends = |seen: Vec<Seen>| seen.into_iter().map(|(_, seen)| seen.unwrap().0).collect::<Vec<_>>();
    for text in [bars.join("\n"), format!("[{}]", bars.join(",\n")), bars.concat()] {
        assert_eq!(ends(read_as("a.json", &text, None).unwrap()), [899, 1799, 2699, 3599], "{text}");
    }
    assert!(read_as("a.json", &bars[0], None).unwrap_err().contains("set source.interval"));
    let back: String = (0..5).rev().map(|n| bar(START + n * 900) + "\n").collect();
    assert!(read_as("a.jsonl", back, None).unwrap_err().contains("runs backwards"));
    assert_eq!(ends(read_as("a", parquet(&[0, 900, 1800]), None).unwrap()), [899, 1799, 2699]);
    assert!(read_as("a", parquet(&[2700, 1800, 900, 0]), None).unwrap_err().contains("it runs backwards"));
    let named = words(&[("close", "open"), ("open", "close")]);
    assert_eq!(read_as("a", parquet(&[0, 900]), named).unwrap()[0].1.as_ref().unwrap().1, "1");
    let list = read_as("a", parquet(&[0]), names(&["timestamp", "price"])).unwrap_err();
    assert!(list.contains("Parquet has names: give a table"), "{list}");
}

/// Candles of open times in seconds since 2023; of the second row no price is known.
fn parquet(opens: &[i64]) -> Vec<u8> {
    use parquet::data_type::{DoubleType, Int64Type};
    let schema = "message m { required int64 time (timestamp(millis, true)); required double open; required double high; \
                  required double low; required double close; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let mut writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let stamps: Vec<i64> = opens.iter().map(|open| (START + open) * 1000).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&stamps, None, None).unwrap();
    column.close().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        column.typed::<DoubleType>().write_batch(&vec![1.0; opens.len()], None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

/// Days by a clock that is put forward: the twelfth of March 2023 has 23 hours in New York.
#[test]
fn days_are_days_whatever_clocks_do() {
    let dir = Dir::new();
    let rows: String = (10..15).map(|day| format!("2023-03-{day},1,1,1,1,1\n")).collect();
    let path = dir.file("a.csv", format!("date,open,high,low,close,volume\n{rows}"));
    let timezone = "America/New_York".parse().unwrap();
    let seen = read(&FilesSourceConfig { timezone, ..config(vec![path]) }).unwrap();
    let ends: Vec<i64> = seen.into_iter().map(|(_, seen)| seen.unwrap().0).collect();
    let hours: Vec<i64> = ends.windows(2).map(|pair| (pair[1] - pair[0]) / 3600).collect();
    assert_eq!(hours, [24, 23, 24, 24]);
}
