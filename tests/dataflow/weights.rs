//! Weights that leave a job are those of its forecasts, the same on any number of workers; a job that starts from weights
//! starts from these and no others.

use crate::harness::{ONE, Published, Workers, run_files};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tickcast::config::{Config, ExpertsConfig, Scope};
use tickcast::market::{Forecast, Symbol};
use tickcast::model::weights::Weights;
use tickcast::model::{Head, Predictor};

const MINUTES: i64 = 700;
const SYMBOLS: [&str; 3] = ["AAA", "a/b", "pooled"];
/// Ends early: its last step is later than its last forecast.
const QUIET: &str = "a/b";
/// A midnight, in minutes since 1970.
const FIRST_MINUTE: i64 = 28_333_440;

/// One tick a minute and symbol; the volatility comes in waves.
fn write_ticks(dir: &Path) -> PathBuf {
    let mut text = "timestamp,symbol,price,size\n".to_owned();
    for minute in 0..MINUTES {
        for (place, symbol) in SYMBOLS.iter().enumerate() {
            if *symbol == QUIET && minute > MINUTES - 100 {
                continue;
            }
            let at = (minute * (place as i64 + 1)) as f64;
            let price = 1000.0 * (0.01 * (at * 1.7).sin() * (at * 0.031).cos().exp()).exp();
            text += &format!("{},{symbol},{price:.6},1\n", (FIRST_MINUTE + minute) * 60_000 + 30_000);
        }
    }
    let path = dir.join("ticks.csv");
    std::fs::write(&path, text).unwrap();
    path
}

/// Small, so that it is quick in a build for tests.
fn config(scope: Scope, weights: Option<&Path>) -> Config {
    let mut config = Config::default();
    config.time.slide = "1m".parse().unwrap();
    config.time.windows = vec!["1m".parse().unwrap()];
    config.model.hidden = 8;
    config.model.layers = 2;
    config.model.scope = scope;
    config.model.weights = weights.map(Path::to_owned);
    config
}

/// All files of a directory of weights, without those to start from.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())).collect()
}

fn last_of<'a>(published: &'a Published, symbol: &str) -> Vec<&'a Forecast> {
    let of_symbol = || published.batch.forecasts.iter().filter(|forecast| forecast.symbol.as_str() == symbol);
    let last = of_symbol().map(|forecast| forecast.issued_at).max();
    of_symbol().filter(|forecast| Some(forecast.issued_at) == last).collect()
}

#[test]
fn weights_are_those_of_the_forecasts_on_any_number_of_workers() {
    let dir = tempfile::tempdir().unwrap();
    let ticks = [write_ticks(dir.path())];
    for (scope, names) in [
        (Scope::Symbol, vec!["%70ooled.safetensors", "AAA.safetensors", "a%2Fb.safetensors"]),
        (Scope::Pooled, vec!["pooled.safetensors"]),
    ] {
        let plain = run_files(&config(scope, None), ONE, &ticks, None);
        let mut expected = None;
        for (count, serialised) in [(1, false), (2, false), (4, false), (3, true)] {
            let out = dir.path().join(format!("{scope:?}{count}"));
            let published = run_files(&config(scope, Some(&out)), Workers { count, serialised }, &ticks, None);
            assert!(published.batch.forecasts == plain.batch.forecasts, "{count}: handing out weights changes nothing");
            let found = files(&out);
            assert_eq!(found.keys().collect::<Vec<_>>(), names);
            for bytes in found.values() {
                let weights = Weights::read(bytes).unwrap();
                assert_eq!(&weights.to_bytes(), bytes);
                let symbol = weights.about.symbol.clone().unwrap_or_else(|| Symbol::new("pooled").unwrap());
                let last = last_of(&published, symbol.as_str());
                assert!(weights.about.model.version > 10, "{symbol}");
                if symbol.as_str() == QUIET {
                    assert!(weights.about.model.version > last[0].model.version, "it learns while forecasts wait");
                } else {
                    assert_eq!(weights.about.model, last[0].model, "{symbol}");
                }
                let first = (FIRST_MINUTE + 1) * 60_000;
                assert_eq!(weights.about.trained_from.unwrap().millis(), first, "{symbol}");
                check_example(&weights);
            }
            assert!(*expected.get_or_insert_with(|| found.clone()) == found, "{scope:?}, {count} workers");
        }
    }
}

/// The example follows from the weights, and changes with each of their tensors.
fn check_example(weights: &Weights) {
    let example = weights.example.as_ref().unwrap();
    let head = Head { gains: weights.about.head_gains.clone(), weights: vec![1.0; example.bases.len()] };
    let quantiles = |lstm: &tickcast::model::Lstm| {
        let mut found = vec![[0.0; 5]; example.bases.len()];
        head.quantiles(Predictor::new(lstm).predict(&example.inputs), &example.bases, &mut found);
        found
    };
    assert_eq!(quantiles(&weights.lstm), example.quantiles);
    for (tensor, values) in weights.lstm.tensors() {
        let mut other = weights.lstm.clone();
        let values: Vec<f32> = values.iter().map(|value| value * 1.5 + 0.25).collect();
        other.set_tensor(&tensor.name, &values).unwrap();
        assert_ne!(quantiles(&other), example.quantiles, "{}", tensor.name);
    }
}

/// Where nobody but the LSTM speaks, its example is the last forecast.
#[test]
fn the_example_is_the_last_forecast() {
    let dir = tempfile::tempdir().unwrap();
    let ticks = [write_ticks(dir.path())];
    for scope in [Scope::Symbol, Scope::Pooled] {
        let out = dir.path().join(format!("{scope:?}"));
        let mut config = config(scope, Some(&out));
        // Which also widens the first intervals, behind the LSTM.
        config.model.prior = false;
        config.model.experts = ExpertsConfig {
            gaussian: false,
            empirical: false,
            range_scale: false,
            location: false,
            window_range: false,
            geometric_range: false,
            slow: false,
            quantile_regression: false,
            random_features: false,
            lstm: true,
            median_gate: false,
            interval_control: false,
            ..ExpertsConfig::default()
        };
        let published = run_files(&config, ONE, &ticks, None);
        for bytes in files(&out).values() {
            let example = Weights::read(bytes).unwrap().example.unwrap();
            if example.symbol.as_str() == QUIET {
                continue;
            }
            let last = last_of(&published, example.symbol.as_str());
            assert_eq!((last.len(), example.issued_at), (4, last[0].issued_at));
            for ((forecast, scale), quantiles) in last.iter().zip(&example.scales).zip(&example.quantiles) {
                let naive = example.last_price;
                let prices = quantiles.map(|quantile| naive * (scale * f64::from(quantile)).exp());
                assert!((naive - forecast.last_price.to_f64()).abs() < 1e-9);
                for (price, published) in prices.iter().zip(forecast.quantiles) {
                    assert!((price / published - 1.0).abs() < 1e-9, "{}: {prices:?} {forecast:?}", forecast.horizon);
                }
            }
        }
    }
}

/// What a job has written becomes what others start from.
fn import_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("initial")).unwrap();
    files(from).iter().for_each(|(name, bytes)| std::fs::write(to.join("initial").join(name), bytes).unwrap());
}

#[test]
fn a_job_starts_from_given_weights() {
    let dir = tempfile::tempdir().unwrap();
    let ticks = [write_ticks(dir.path())];
    for scope in [Scope::Symbol, Scope::Pooled] {
        let [blank, trained, from_blank, from_trained] =
            ["blank", "trained", "from_blank", "from_trained"].map(|name| dir.path().join(format!("{scope:?}_{name}")));
        let mut never = config(scope, Some(&blank));
        never.model.minibatches = 0;
        run_files(&never, ONE, &ticks, None);
        let plain = run_files(&config(scope, Some(&trained)), ONE, &ticks, None);
        import_all(&blank, &from_blank);
        import_all(&trained, &from_trained);

        let again = run_files(&config(scope, Some(&from_blank)), ONE, &ticks, None);
        assert!(again.batch == plain.batch, "{scope:?}: untrained weights from outside are those from within");
        assert!(files(&from_blank) == files(&trained));

        let before = plain.batch.forecasts.last().unwrap().model.version;
        let ahead = run_files(&config(scope, Some(&from_trained)), ONE, &ticks, None);
        assert!(ahead.batch.forecasts != plain.batch.forecasts, "{scope:?}");
        let of_first = |published: &Published| {
            let last = &published.batch.forecasts.last().unwrap().symbol;
            published.batch.forecasts.iter().find(|forecast| forecast.symbol == *last).unwrap().model.version
        };
        assert_eq!((of_first(&plain), of_first(&ahead)), (0, before), "trainings go on being counted");
        let on_many =
            run_files(&config(scope, Some(&from_trained)), Workers { count: 3, serialised: true }, &ticks, None);
        assert!(on_many.batch.forecasts == ahead.batch.forecasts, "{scope:?}: on three workers");
    }
}

fn tickcast(args: &[&str], sets: &[String]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TICKCAST_")) {
        command.env_remove(name);
    }
    command.args(args);
    sets.iter().for_each(|set| {
        command.args(["--set", set]);
    });
    command.output().unwrap()
}

/// Ends with `code`, and says all `parts`.
fn said(output: &Output, code: i32, parts: &[&str]) -> String {
    let all = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    assert_eq!(output.status.code(), Some(code), "{all}");
    parts.iter().for_each(|part| assert!(all.contains(part), "{part:?} is not in {all}"));
    assert!(!all.contains("panicked"), "{all}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn weights_are_shown_exported_and_imported() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let with = |more: &[&str]| {
        let mut sets = vec![
            "time.slide=1m".to_owned(),
            "time.windows=1m".to_owned(),
            "model.hidden=4".to_owned(),
            format!("model.weights={}", at("weights")),
            format!("source.files.paths={}", write_ticks(dir.path()).display()),
        ];
        sets.extend(more.iter().map(|set| (*set).to_owned()));
        sets
    };
    let sets = with(&[]);
    said(&tickcast(&["model", "show"], &sets), 1, &["no weights", "yet"]);
    said(&tickcast(&["model", "show"], &[]), 2, &["model.weights names no directory"]);
    said(&tickcast(&["backfill", "--workers", "2"], &sets), 0, &[]);

    said(&tickcast(&["model", "show"], &sets), 2, &["--symbol", "AAA, a/b, pooled"]);
    let shown = said(&tickcast(&["model", "show", "--symbol", "a/b"], &sets), 0, &["weight_ih_l0", "[16, 14]"]);
    assert!(shown.contains("symbol      a/b") && shown.contains("2023-11-15T00:01:00.000Z .. "), "{shown}");
    said(&tickcast(&["model", "show", "--symbol", "ZZZ"], &sets), 1, &["ZZZ.safetensors is not there", "once an hour"]);
    let out = at("aaa.safetensors");
    said(&tickcast(&["model", "export", "--symbol", "AAA", "--out", &out], &sets), 0, &[&out]);
    let json = said(&tickcast(&["model", "show", &out, "--json"], &[]), 0, &[]);
    let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
    let weights = Weights::read(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(shown["version"], weights.about.model.version);
    assert_eq!((&shown["symbol"], &shown["tensors"][5]["name"]), (&"AAA".into(), &"head.bias".into()));
    let (_, head) = weights.lstm.tensors().last().unwrap();
    let norm = head.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    assert!((shown["tensors"][5]["norm"].as_f64().unwrap() - norm).abs() < 1e-12 && norm > 0.0);

    for (set, part) in [
        ("model.hidden=5", "model.hidden = 4, and it is 5"),
        ("model.layers=2", "model.layers = 1, and it is 2"),
        ("model.steps=8", "model.steps = 16, and it is 8"),
        ("model.horizons=1m,5m", "model.horizons"),
        ("model.step=5m", "model.step = 1m, and it is 5m"),
    ] {
        let output = tickcast(
            &["model", "import", &out],
            &with(&[set, "time.windows=5m", "time.epoch=1h", "model.horizons=5m,15m"]),
        );
        // Horizons differ too where the step does: each is named.
        said(&output, 1, &["aaa.safetensors", "do not fit", part]);
    }
    let mut bytes = std::fs::read(&out).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(at("nan"), &bytes).unwrap();
    said(&tickcast(&["model", "import", &at("nan")], &sets), 1, &["nan", "not finite"]);
    std::fs::write(at("cut"), &bytes[..last]).unwrap();
    said(&tickcast(&["model", "import", &at("cut")], &sets), 1, &["cut", "no safetensors file"]);
    assert!(!dir.path().join("weights/initial").exists(), "nothing was imported");

    let imported = tickcast(&["model", "import", &out, "--symbol", "a/b"], &sets);
    said(&imported, 0, &["a%2Fb.safetensors", "starts from them for a/b"]);
    said(&tickcast(&["backfill"], &sets), 0, &["starts from 1 files of weights", "too good to be true"]);
    said(
        &tickcast(&["backfill"], &with(&["model.hidden=5"])),
        1,
        &["a%2Fb.safetensors", "model.hidden", "take the file away"],
    );
    said(&tickcast(&["backfill"], &with(&["model.experts.lstm=false"])), 2, &["model.weights", "there is no LSTM"]);

    let pooled = with(&["model.scope=pooled"]);
    said(&tickcast(&["model", "import", &out, "--symbol", "AAA"], &pooled), 2, &["model.scope is pooled"]);
    said(&tickcast(&["model", "import", &out], &pooled), 0, &["pooled.safetensors", "all symbols"]);
    said(&tickcast(&["backfill"], &pooled), 0, &["starts from 1 files of weights"]);
    said(&tickcast(&["model", "show"], &pooled), 0, &["all (pooled)"]);
}
