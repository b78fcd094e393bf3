//! The same market gives the same bytes, however it comes: CSV, JSON lines or Parquet, plain or compressed. From Kafka and
//! from the database: `tests/services/sources_services.rs`.

use crate::harness::{ONE, Published, Workers, run_files};
use crate::markets::{Market, candles, compressed, ticks};
use crate::support;
use std::path::{Path, PathBuf};
use tickcast::config::Config;

/// A small model over panes of this length: many runs are compared.
fn small(slide: &str) -> Config {
    let mut config = Config::default();
    config.time.slide = slide.parse().unwrap();
    config.model.horizons = vec!["1m".parse().unwrap(), "5m".parse().unwrap()];
    (config.model.hidden, config.model.steps) = (4, 4);
    config
}

/// The market in every format, each plain and in both compressions.
fn files(dir: &Path, market: &Market) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (name, bytes) in [("m.csv", market.csv()), ("m.jsonl", market.json_lines()), ("m.parquet", market.parquet())] {
        for (end, bytes) in compressed(&bytes) {
            let path = dir.join(format!("{name}{end}"));
            std::fs::write(&path, bytes).unwrap();
            files.push(path);
        }
    }
    assert_eq!(files.len(), 9);
    files
}

fn assert_all_equal(config: &Config, market: &Market) -> Published {
    let dir = support::temp_dir();
    let files = files(dir.path(), market);
    let expected = run_files(config, ONE, &files[..1], None);
    assert_eq!(expected.summary.records.used, market.rows.len() as u64);
    assert!(expected.batch.forecasts.iter().any(|f| f.model.version > 20), "the model was trained");
    let bytes = expected.everything(config);
    for file in &files[1..] {
        let workers = Workers { count: 2, serialised: false };
        let published = run_files(config, workers, std::slice::from_ref(file), None);
        assert_eq!(published.summary.records, expected.summary.records, "{}", file.display());
        assert!(published.everything(config) == bytes, "{}", file.display());
    }
    expected
}

#[test]
fn candles_are_the_same_in_every_format() {
    let Some(market) = candles(0.5) else { return };
    let published = assert_all_equal(&small("1m"), &market);
    println!("{} rows, {} forecasts", published.batch.rows.len(), published.batch.forecasts.len());
}

#[test]
fn ticks_are_the_same_in_every_format() {
    let Some(market) = ticks(0.5) else { return };
    let published = assert_all_equal(&small("30s"), &market);
    println!("{} rows, {} forecasts", published.batch.rows.len(), published.batch.forecasts.len());
}

/// Rows of Parquet that cannot be used go where those of CSV go, each as a JSON object.
#[test]
fn bad_rows_are_dead_letters() {
    let market = Market {
        columns: vec!["timestamp", "price", "symbol"],
        rows: [
            ("1611239671964", "1.5", "BTC"),
            ("1611239671965", "-1", "BTC"),
            ("5", "2", "BTC"),
            ("1611239671966", "3", ""),
        ]
        .map(|(at, price, symbol)| vec![at.to_owned(), price.to_owned(), symbol.to_owned()])
        .to_vec(),
    };
    let dir = support::temp_dir();
    let mut counts = Vec::new();
    for (name, bytes) in [("m.csv", market.csv()), ("m.parquet", market.parquet())] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let dead = dir.path().join(format!("{name}.dead"));
        let sets = [format!("source.files.paths={}", path.display()), format!("dead_letter.file={}", dead.display())];
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let command = support::tickcast(["backfill", "--json"].into_iter().chain(sets));
        let finished = support::run_to_end(command, std::time::Duration::from_secs(60)).expect_code(0);
        let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
        counts.push(summary["records"].clone());
        let letters = std::fs::read_to_string(&dead).unwrap();
        let letters: Vec<serde_json::Value> = letters.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(letters.iter().map(|letter| letter["offset"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        if name == "m.parquet" {
            let values: Vec<&str> = letters.iter().map(|letter| letter["value"].as_str().unwrap()).collect();
            assert_eq!(values[0], r#"{"timestamp":1611239671965,"price":-1.0,"symbol":"BTC"}"#);
            assert_eq!(values[1], r#"{"timestamp":"1970-01-01T00:00:00.005Z","price":2.0,"symbol":"BTC"}"#);
            assert_eq!(values[2], r#"{"timestamp":1611239671966,"price":3.0,"symbol":""}"#);
        }
    }
    assert_eq!(counts[0]["used"], 1);
    assert_eq!(counts[0], counts[1]);
}
