//! The same records give the same bytes: on any number of workers, over serialised channels, from one file or from nine.

use crate::harness::{ONE, Workers, run_files};
use crate::{simulated, support};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use tickcast::config::{Config, Scope};

fn minute_bars() -> Config {
    let mut config = Config::default();
    config.time.slide = "1m".parse().unwrap();
    config
}

/// The first `days` of the nine symbols: one file, and nine.
fn nine_symbols(dir: &Path, days: i64) -> Option<(PathBuf, Vec<PathBuf>)> {
    let path = support::data("multi/multi9_1m_binance_20210610_20210710.csv.gz")?;
    let text = BufReader::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(path).unwrap()));
    let mut lines = text.lines().map(Result::unwrap);
    let header = lines.next().unwrap();
    let whole = dir.join("nine.csv");
    let mut one = std::fs::File::create(&whole).unwrap();
    writeln!(one, "{header}").unwrap();
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut first = None;
    for line in lines {
        let mut fields = line.split(',');
        let stamp: i64 = fields.next().unwrap().parse().unwrap();
        if stamp - *first.get_or_insert(stamp) >= days * 86_400 {
            break;
        }
        parts.entry(fields.next().unwrap().to_owned()).or_default().push(line.clone());
        writeln!(one, "{line}").unwrap();
    }
    assert_eq!(parts.len(), 9);
    let files = parts.into_iter().map(|(symbol, lines)| {
        let path = dir.join(format!("{symbol}.csv"));
        std::fs::write(&path, format!("{header}\n{}\n", lines.join("\n"))).unwrap();
        path
    });
    Some((whole, files.collect()))
}

#[test]
fn nine_symbols_on_any_workers_from_one_file_or_nine() {
    let dir = tempfile::tempdir().unwrap();
    let Some((one, nine)) = nine_symbols(dir.path(), 3) else { return };
    let config = minute_bars();
    let expected = run_files(&config, ONE, std::slice::from_ref(&one), None);
    assert_eq!(expected.summary.records.used, expected.summary.records.total());
    assert!(expected.batch.forecasts.iter().any(|f| f.model.version > 100), "the model was trained");
    let expected_bytes = expected.everything(&config);
    for (files, count, serialised) in [
        (vec![one.clone()], 2, false),
        (vec![one], 4, false),
        (nine.clone(), 1, false),
        (nine.clone(), 2, false),
        (nine.clone(), 4, false),
        (nine, 2, true),
    ] {
        let workers = Workers { count, serialised };
        let published = run_files(&config, workers, &files, None);
        assert_eq!(published.summary.records, expected.summary.records);
        assert_eq!(published.summary.scores, expected.summary.scores, "{} files, {workers:?}", files.len());
        assert!(published.everything(&config) == expected_bytes, "{} files, {workers:?}", files.len());
    }
}

/// One LSTM that learns from all symbols, wherever they are.
#[test]
fn nine_symbols_that_share_a_model_on_any_workers() {
    let dir = tempfile::tempdir().unwrap();
    let Some((one, nine)) = nine_symbols(dir.path(), 2) else { return };
    let mut config = minute_bars();
    config.model.scope = Scope::Pooled;
    let expected = run_files(&config, ONE, &[one], None);
    assert!(expected.batch.forecasts.iter().any(|f| f.model.version > 100), "the model was trained");
    let expected_bytes = expected.everything(&config);
    for (count, serialised) in [(1, false), (2, false), (4, false), (2, true)] {
        let workers = Workers { count, serialised };
        let published = run_files(&config, workers, &nine, None);
        assert_eq!(published.summary.scores, expected.summary.scores, "{workers:?}");
        assert!(published.everything(&config) == expected_bytes, "{workers:?}");
    }
}

/// The same on the simulated market, per symbol and with a shared model.
#[test]
fn the_simulated_market_on_any_workers_from_one_file_or_three() {
    let dir = tempfile::tempdir().unwrap();
    let (one, three) = simulated::files(dir.path(), 14);
    for scope in [Scope::Symbol, Scope::Pooled] {
        let mut config = Config::default();
        config.time.windows = vec!["1m".parse().unwrap(), "1h".parse().unwrap()];
        config.model.scope = scope;
        let expected = run_files(&config, ONE, std::slice::from_ref(&one), None);
        assert_eq!(expected.summary.records.used, expected.summary.records.total());
        assert!(expected.batch.forecasts.iter().any(|f| f.model.version > 50), "the model was trained");
        let expected_bytes = expected.everything(&config);
        for (files, count, serialised) in [
            (&[one.clone()][..], 2, false),
            (&three, 1, false),
            (&three, 2, false),
            (&three, 4, false),
            (&three, 2, true),
        ] {
            let workers = Workers { count, serialised };
            let published = run_files(&config, workers, files, None);
            assert_eq!(published.summary.scores, expected.summary.scores, "{scope:?}, {workers:?}");
            assert!(published.everything(&config) == expected_bytes, "{scope:?}, {} files, {workers:?}", files.len());
        }
    }
}

/// No peeking, on the simulated market.
#[test]
fn the_first_hours_do_not_know_the_later_ones() {
    let dir = tempfile::tempdir().unwrap();
    let [half, whole] = [7, 14].map(|hours| {
        let (one, _) = simulated::files(dir.path(), hours);
        run_files(&Config::default(), ONE, &[one], None)
    });
    assert!(half.batch.forecasts.len() > 4_000);
    assert!(
        whole.forecasts().starts_with(&half.forecasts()),
        "the forecasts of the half are the first ones of the whole"
    );
    for forecast in &whole.batch.forecasts {
        assert!(forecast.model.trained_through.is_none_or(|through| through <= forecast.issued_at));
    }
}

/// No peeking: what is issued before the end of a half is the same whether or not the rest is there.
#[test]
fn the_first_half_does_not_know_the_second() {
    let Some(path) = support::data("bars/btcusdt_1m_binance_20210610_20210710.csv.gz") else { return };
    let text = BufReader::new(flate2::read::MultiGzDecoder::new(std::fs::File::open(&path).unwrap()));
    let lines: Vec<String> = text.lines().map(Result::unwrap).collect();
    let dir = tempfile::tempdir().unwrap();
    let half = dir.path().join("half.csv");
    std::fs::write(&half, lines[..lines.len() / 8].join("\n")).unwrap();
    let whole = dir.path().join("whole.csv");
    std::fs::write(&whole, lines[..lines.len() / 4].join("\n")).unwrap();
    let config = minute_bars();
    let whole = run_files(&config, ONE, &[whole], Some("BTC"));
    let half = run_files(&config, ONE, &[half], Some("BTC"));
    assert!(half.batch.forecasts.len() > 15_000);
    let (of_half, of_whole) = (half.forecasts(), whole.forecasts());
    assert!(of_whole.starts_with(&of_half), "the forecasts of the half are the first ones of the whole");
    assert!(of_whole.len() > of_half.len());
    for forecast in &whole.batch.forecasts {
        assert!(forecast.model.trained_through.is_none_or(|through| through <= forecast.issued_at));
    }
}
