//! Small files as people have them, each by the command that reads it: counts, words, exit codes.

use crate::support::{self, data, run_to_end, tickcast};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(60);

/// What a backfill of one file did.
pub(super) struct Run {
    pub code: i32,
    pub records: Value,
    pub said: String,
    pub out: tempfile::TempDir,
}

/// Settings for panes of this length.
pub(super) fn slide(slide: &str) -> Vec<String> {
    let mut sets = vec![format!("time.slide={slide}")];
    if slide != "1m" {
        let hour_or_day = if slide == "1d" { ["7d", "30d"] } else { ["4h", "1d"] };
        sets.push(format!("time.windows={slide},{},{}", hour_or_day[0], hour_or_day[1]));
        sets.push(format!("model.step={slide}"));
        sets.push(format!("model.horizons={slide},{}", hour_or_day[1]));
        sets.push(format!("time.epoch={}", hour_or_day[1]));
        sets.push("source.forget_after=90d".to_owned());
    }
    sets
}

pub(super) fn backfill(file: &Path, sets: &[String]) -> Run {
    let out = support::temp_dir();
    let mut all = vec![
        format!("source.files.paths={}", file.display()),
        "source.symbol=BTC".to_owned(),
        format!("sink.files.dir={}", out.path().display()),
    ];
    all.extend_from_slice(sets);
    let sets = all.iter().flat_map(|set| ["--set", set]);
    let finished = run_to_end(tickcast(["backfill", "--json"].into_iter().chain(sets)), WITHIN);
    let summary: Value = serde_json::from_slice(&finished.stdout).unwrap_or_default();
    Run { code: finished.code().unwrap_or(-1), records: summary["records"].clone(), said: finished.stderr, out }
}

fn case(name: &str, sets: &[String]) -> Option<Run> {
    Some(backfill(&data(&format!("../cases/{name}"))?, sets))
}

/// Used and ignored records, and what is said.
#[test]
fn what_can_be_read_is_read() {
    let columns = |names: &str| vec![format!("source.files.columns={names}")];
    for (name, sets, used, ignored, words) in [
        ("header_open_time.csv", vec![], 40, 0, ""),
        ("header_datetime.csv", vec![], 40, 0, "its candles are 1m long, by the spacing of their opens"),
        ("kaggle_minutes_nan.csv", vec![], 27, 13, ""),
        ("without_volume.csv", vec![], 40, 0, ""),
        ("concatenated_same_header.csv", vec![], 40, 0, ""),
        ("tabs.tsv", vec![], 40, 0, ""),
        ("klines.zip", vec![], 40, 0, ""),
        ("zero_padded.csv.gz", vec![], 20_000, 0, ""),
        ("objects_without_newlines.json", vec![], 60, 0, "value by value"),
        ("kraken_trades_headerless.csv", columns("timestamp,price,size"), 40, 0, ""),
        ("kraken_ohlcvt_headerless.csv", columns("timestamp,open,high,low,close,volume,count"), 40, 0, "1m long"),
        (
            "ohlcv_arrays.json",
            columns("[\"timestamp\",\"open\",\"high\",\"low\",\"close\",\"volume\"]"),
            40,
            0,
            "1m long",
        ),
        ("list_of_trades.json", columns("timestamp,_,_,side,price,size,_"), 40, 0, ""),
        ("yahoo_daily.csv", slide("1d"), 30, 0, "its candles are 1d long"),
        ("bars_5m_without_interval.csv", slide("5m"), 600, 0, "its candles are 5m long, by the spacing of their opens"),
        ("bars_1h_without_interval.csv", slide("1h"), 200, 0, "its candles are 1h long, by the spacing of their opens"),
    ] {
        let sets =
            if sets.iter().any(|set| set.starts_with("time.slide")) { sets } else { [slide("1m"), sets].concat() };
        let Some(run) = case(name, &sets) else { return };
        assert_eq!(run.code, 0, "{name}: {}", run.said);
        let count = |outcome: &str| run.records[outcome].as_u64().unwrap();
        assert_eq!((count("used"), count("ignored")), (used, ignored), "{name}: {} {}", run.records, run.said);
        assert_eq!(count("undecodable") + count("late") + count("quarantined"), 0, "{name}: {}", run.records);
        assert!(run.said.contains(words), "{name}: {}", run.said);
        assert_eq!(
            run.said.matches(words).count().min(2),
            if words.is_empty() { 2 } else { 1 },
            "{name}: {}",
            run.said
        );
    }
}

/// What is said of those that cannot be read; nothing is written then.
#[test]
fn what_cannot_be_read_says_why_and_what_to_do() {
    for (name, words) in [
        ("bars_5m_without_interval.csv", &["its candles are 5m long", "set time.slide"][..]),
        ("newest_first.csv", &["it runs backwards", "tac"]),
        ("url_line_newest_first.csv", &["it runs backwards"]),
        (
            "kraken_trades_headerless.csv",
            &["`1672531200,19994.15,1.3498`", "source.files.columns=[\"timestamp\",\"price\",\"size\"]"],
        ),
        ("kraken_ohlcvt_headerless.csv", &["record of 7 columns", "source.files.columns=["]),
        ("semicolon_decimal_comma.csv", &["`19994,15`", "decimal comma: write 19994.15"]),
        ("thousands.csv", &["`19,994.15`", "thousands separators: write 19994.15"]),
        ("utf16.csv", &["text in UTF-16", "iconv -f UTF-16 -t UTF-8"]),
        ("bars.csv.xz", &["compressed by xz", "xz -dk"]),
        ("ohlcv_arrays.json", &["an array of 6 elements without names", "source.files.columns=["]),
        ("list_of_trades.json", &["an array of 7 elements without names"]),
        ("stamp_date.csv", &["open at 2023-01-01T00:00:00.000Z", "source.interval"]),
    ] {
        let Some(run) = case(name, &slide("1m")) else { return };
        assert_eq!(run.code, 1, "{name}: {}", run.said);
        for words in words {
            assert!(run.said.contains(words), "{name}: `{words}` in {}", run.said);
        }
        assert!(run.said.contains(name), "{name}: {}", run.said);
        assert_eq!(std::fs::read_dir(run.out.path()).unwrap().count(), 0, "{name} has written something");
    }
}

/// Candles of five minutes that do not say so: the price of a forecast is a close that was known when it was issued.
#[test]
fn no_forecast_knows_a_close_before_its_time() {
    let Some(path) = data("../cases/bars_5m_without_interval.csv") else { return };
    let text = std::fs::read_to_string(&path).unwrap();
    let closes: std::collections::BTreeMap<i64, f64> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0].parse::<i64>().unwrap() * 1000 + 300_000, cells[4].parse().unwrap())
        })
        .collect();
    let run = backfill(&path, &slide("5m"));
    let forecasts = std::fs::read_to_string(run.out.path().join("forecasts.jsonl")).unwrap();
    let mut seen = 0;
    for line in forecasts.lines() {
        let forecast: Value = serde_json::from_str(line).unwrap();
        let issued: jiff::Timestamp = forecast["issued_at"].as_str().unwrap().parse().unwrap();
        let known = closes.range(..=issued.as_millisecond()).next_back().unwrap().1;
        assert_eq!(forecast["last_price"].as_f64().unwrap(), *known, "{line}");
        seen += 1;
    }
    assert!(seen > 1000, "{seen} forecasts");
}

/// From a pipe, too, whose rows are kept while they are looked at.
#[cfg(unix)]
#[test]
fn a_pipe_is_looked_at_as_a_file_is() {
    let Some(path) = data("../cases/bars_5m_without_interval.csv") else { return };
    let whole = backfill(&path, &slide("5m"));
    let dir = support::temp_dir();
    for (name, bytes) in [("pipe.csv", std::fs::read(&path).unwrap()), ("pipe", zipped(&path))] {
        let pipe = dir.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, bytes).unwrap()
        });
        let run = backfill(&pipe, &slide("5m"));
        writer.join().unwrap();
        assert_eq!(run.code, 0, "{}", run.said);
        for file in ["features.jsonl", "forecasts.jsonl"] {
            let read = |run: &Run| std::fs::read(run.out.path().join(file)).unwrap();
            assert!(read(&run) == read(&whole), "{name}: {file}");
        }
    }
}

/// A file in a zip archive.
fn zipped(path: &Path) -> Vec<u8> {
    use std::io::Write as _;
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    let (mut entry, config) =
        archive.new_file("bars.csv").compression_method(rawzip::CompressionMethod::STORE).start().unwrap();
    let mut writer = config.wrap(&mut entry);
    writer.write_all(&std::fs::read(path).unwrap()).unwrap();
    let (_, descriptor) = writer.finish().unwrap();
    entry.finish(descriptor).unwrap();
    archive.finish().unwrap()
}
