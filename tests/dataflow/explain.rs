//! `explain` computes a published forecast again, to the same bits, and what it says of it is what it was made of.

mod live;

use crate::support::{self, Finished, run_to_end, tickcast};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);
/// 2023-11-15T00:00:00Z
const START: i64 = 1_700_006_400_000;
const SETTINGS: &str = "[time]\nslide = \"5s\"\nwindows = [\"1m\", \"5m\"]\nepoch = \"1m\"\nallowed_lateness = \"0s\"\nidle_timeout = \"1s\"\n\
     [model]\nstep = \"5s\"\nsteps = 8\nhidden = 4\nhorizons = [\"5s\", \"1m\"]\n";

/// A tick as a record.
#[derive(Clone, Debug)]
struct Tick {
    at: i64,
    symbol: &'static str,
    line: String,
}

/// Three symbols, the second with a minute without a tick now and then; one name has a slash.
fn market(minutes: i64) -> Vec<Tick> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut prices = BTreeMap::from([("BTC/USD", 3_700_000_i64), ("ETH", 200_000), ("SOL", 5_000)]);
    let (mut ticks, mut at) = (Vec::new(), START);
    while at < START + minutes * 60_000 {
        at += 1 + random(2_000) as i64;
        let symbol = ["BTC/USD", "ETH", "SOL"][random(3) as usize];
        if symbol == "ETH" && (at - START) % 600_000 > 500_000 {
            continue;
        }
        let price = prices.get_mut(symbol).unwrap();
        *price += (random(41) as i64 - 20) * *price / 40_000;
        let (whole, cents, size) = (*price / 100, *price % 100, random(900) + 1);
        let line = format!(
            r#"{{"symbol":"{symbol}","timestamp":{at},"price":{whole}.{cents:02},"size":0.{size:03},"side":"{}"}}"#,
            ["buy", "sell"][random(2) as usize]
        );
        ticks.push(Tick { at, symbol, line });
    }
    ticks
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// The lines of a file by the id that each has.
fn by_id(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| (json(line)["id"].as_str().unwrap().to_owned(), line.to_owned())).collect()
}

fn explain(config: &Path, id: &str, more: &[&str]) -> Finished {
    let mut command = tickcast(["explain", id, "-c", config.to_str().unwrap()]);
    command.args(more);
    run_to_end(command, WITHIN)
}

/// A file, its backfill on two workers, and the configuration of both.
fn backfilled(dir: &Path, minutes: i64, settings: &str) -> PathBuf {
    let text = market(minutes).iter().fold(String::new(), |text, tick| text + &tick.line + "\n");
    std::fs::write(dir.join("ticks.jsonl"), text).unwrap();
    let config = dir.join("tickcast.toml");
    let mut text = String::new();
    let (ticks, out) = (dir.join("ticks.jsonl"), dir.join("out"));
    let _ =
        writeln!(text, "[source.files]\npaths = [\"{}\"]\n[sink.files]\ndir = \"{}\"", ticks.display(), out.display());
    std::fs::write(&config, text + settings).unwrap();
    run_to_end(tickcast(["backfill", "-c", config.to_str().unwrap(), "--workers", "2"]), WITHIN).expect_code(0);
    config
}

/// The first and the last forecast of each status, reason, symbol and horizon.
fn kinds(forecasts: &BTreeMap<String, String>) -> Vec<String> {
    let mut all: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (id, line) in forecasts {
        let forecast = json(line);
        let kind = ["status", "reasons", "symbol", "horizon"].map(|name| forecast[name].to_string()).join(" ");
        all.entry(kind).or_default().push((forecast["issued_at"].to_string(), id.clone()));
    }
    for status in ["\"warming\" []", "\"ok\" []", "\"abstain\" [\"quiet\"]", "\"abstain\" [\"gap\"]"] {
        assert!(all.keys().any(|kind| kind.starts_with(status)), "{status}: {:?}", all.keys());
    }
    let ends = all.into_values().flat_map(|mut of| {
        of.sort();
        [of.first().cloned(), of.last().cloned()].into_iter().flatten().map(|(_, id)| id)
    });
    ends.collect()
}

const LEVELS: [&str; 5] = ["0.05", "0.25", "0.5", "0.75", "0.95"];

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// What is said of a forecast holds together, and holds with the records.
fn check(told: &Value, line: &str) {
    let (forecast, id) = (json(line), &told["id"]);
    assert!(told["same"] == true && told["difference"].is_null() && *id == forecast["id"], "{told}");
    assert_eq!(told["forecast"], forecast);
    assert_eq!(told["status"]["status"], forecast["status"]);
    assert_eq!(number(&told["naive_price"]), number(&forecast["last_price"]));
    assert_eq!(told["model"]["version"], forecast["model"]["version"]);
    // What the experts said, by their weights, is the mixture; what was published are prices of what left the layers.
    let (last, layers) = (number(&forecast["last_price"]), &told["layers"]);
    for level in LEVELS {
        let experts = told["experts"].as_array().unwrap();
        let weights: f64 = experts.iter().map(|of| number(&of["weights"][level])).sum();
        let mixed: f64 = experts.iter().map(|of| number(&of["weights"][level]) * number(&of["returns"][level])).sum();
        assert!((weights - 1.0).abs() < 1e-9, "{id}: weights sum up to {weights}");
        assert!((mixed - number(&layers["mixture"][level])).abs() < 1e-12, "{id} {level}: {mixed}");
        let price = last * number(&layers["quantiles"][level]).exp();
        assert!((price / number(&forecast["quantiles"][level]) - 1.0).abs() < 1e-12, "{id} {level}: {price}");
    }
    if forecast["status"] != "ok" || layers["gate"]["open"] == false {
        assert_eq!(number(&forecast["price"]), number(&forecast["last_price"]), "{id}");
    }
    // Bars are made of the records.
    let bars = told["bars"].as_array().unwrap();
    assert_eq!(bars.last().unwrap()["end"], forecast["issued_at"], "{id}");
    let partitions = told["input"]["partitions"].as_array().unwrap();
    let ticks: u64 = partitions.iter().map(|of| of["ticks"].as_u64().unwrap()).sum();
    let counted: u64 = bars.iter().filter_map(|bar| bar["count"].as_u64()).sum();
    let from_records = bars.iter().filter(|bar| bar["from"] == "records").count() as u64;
    assert!(counted == ticks && from_records > 0, "{id}: bars of {counted} ticks, {ticks} records");
    let records = told["input"]["last_records"].as_array().unwrap();
    assert_eq!(records.len() as u64, ticks.min(20), "{id}");
    for record in records {
        let value = json(record["value"].as_str().unwrap());
        assert!(
            value["symbol"] == told["symbol"] && number(&value["price"]) == number(&record["price"]),
            "{id}: {record}"
        );
    }
    if let Some(record) = records.last() {
        assert_eq!(number(&record["price"]), number(&forecast["last_price"]), "{id}");
    }
}

#[test]
fn forecasts_of_every_status_come_out_as_they_were_published() {
    let dir = support::temp_dir();
    let config = backfilled(dir.path(), 60, SETTINGS);
    let forecasts = by_id(&dir.path().join("out/forecasts.jsonl"));
    let scores = by_id(&dir.path().join("out/scores.jsonl"));
    let mut trained = 0;
    for (turn, id) in kinds(&forecasts).iter().enumerate() {
        let workers = ["1", "3"][turn % 2];
        let told = explain(&config, id, &["--json", "--workers", workers]).expect_code(0);
        let told = json(&told.stdout_text());
        check(&told, &forecasts[id]);
        let outcome = &told["outcome"];
        assert_eq!(outcome["known"] == true, scores.contains_key(id), "{id}");
        assert!(scores.get(id).is_none_or(|score| outcome["score"] == json(score)), "{id}");
        // Trained weights were learnt from what came before, and the LSTM says something of its own.
        if told["model"]["version"].as_u64() > Some(0) {
            let model = &told["model"];
            let times = [
                &model["trained_from"],
                &model["examples"]["first"],
                &model["examples"]["last"],
                &model["trained_through"],
                &told["issued_at"],
            ];
            let times: Vec<&str> =
                times.iter().map(|at| at.as_str().unwrap_or_else(|| panic!("{id}: {model}"))).collect();
            assert!(times.is_sorted() && number(&model["examples"]["count"]) >= 256.0, "{id}: {times:?}");
            let said = |name: &str| {
                told["experts"].as_array().unwrap().iter().find(|of| of["name"] == name).unwrap()["returns"].clone()
            };
            let below = if id.contains("/5s/") { "random_features" } else { "quantile_regression" };
            assert_ne!(said("lstm"), said(below), "{id}");
            trained += 1;
        }
    }
    assert!(trained > 4, "{trained}");
    // For a person.
    let id = forecasts.keys().find(|id| id.starts_with("btc/BTC/USD/1m/")).unwrap();
    let text = explain(&config, id, &[]).expect_code(0).stdout_text();
    for part in [
        "computed again to the same bits",
        "\nForecast\n",
        "naive price",
        "\nOutcome\n",
        "\nBars of the last ",
        "lstm ",
        "warming: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn one_network_for_all_and_the_student_projects_model_come_out_too() {
    for more in ["scope = \"pooled\"\n", "preset = \"seed\"\n"] {
        let dir = support::temp_dir();
        let settings = if more.contains("seed") {
            format!(
                "[time]\nslide = \"5s\"\nepoch = \"10m\"\nwindows = [\"1m\"]\n[model]\nstep = \"5s\"\nhorizons = [\"5s\"]\n{more}"
            )
        } else {
            format!("{SETTINGS}{more}")
        };
        let config = backfilled(dir.path(), 45, &settings);
        let forecasts = by_id(&dir.path().join("out/forecasts.jsonl"));
        for (id, line) in [forecasts.iter().nth(forecasts.len() / 2), forecasts.last_key_value()].into_iter().flatten()
        {
            let told = json(&explain(&config, id, &["--json"]).expect_code(0).stdout_text());
            if more.contains("seed") {
                assert!(told["same"] == true && told["forecast"] == json(line) && told["layers"].is_null(), "{id}");
            } else {
                check(&told, line);
            }
        }
        assert!(forecasts.values().any(|line| json(line)["model"]["version"].as_u64() > Some(0)), "{more}");
    }
}

#[test]
fn what_is_not_as_it_was_published_is_told_by_its_field() {
    let dir = support::temp_dir();
    let config = backfilled(dir.path(), 20, SETTINGS);
    let out = dir.path().join("out");
    let change = |name: &str, id: &str, from: &str, to: &str| {
        let path = out.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut changed = 0;
        let lines = text.lines().map(|line| {
            let touched =
                if line.contains(&format!("\"{id}\"")) { line.replacen(from, to, 1) } else { line.to_owned() };
            changed += usize::from(touched != line);
            touched + "\n"
        });
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        assert_eq!(changed, 1, "{id}: {from}");
    };
    let forecasts = by_id(&out.join("forecasts.jsonl"));
    let ids: Vec<&String> = forecasts.keys().filter(|id| id.contains("/BTC/USD/5s/")).skip(30).take(4).collect();
    change("forecasts.jsonl", ids[0], "\"coverage\":0.9,\"lower\":", "\"coverage\":0.9,\"lower\":1");
    change("forecasts.jsonl", ids[1], "\"probability_up\":", "\"probability_up\": ");
    change("scores.jsonl", ids[2], "\"actual_price\":", "\"actual_price\":9");
    for (id, part) in [
        (ids[0], "the forecast in "),
        (ids[0], "differs: interval.lower is 1"),
        (ids[1], "the values are the same, the bytes are not"),
        (ids[2], "the score in "),
        (ids[2], "differs: actual_price is 9"),
    ] {
        let told = explain(&config, id, &["--json"]).expect_code(1);
        assert!(told.stderr.contains(id.as_str()) && told.stderr.contains(part), "{part}: {}", told.stderr);
        assert_eq!(json(&told.stdout_text())["same"], false);
    }
    explain(&config, ids[3], &[]).expect_code(0);
    // Another configuration makes something else, and nothing is on record of the one that made it.
    let told = explain(&config, ids[3], &["--set", "model.random_seed=7", "--set", "model.prior=false"]).expect_code(1);
    assert!(told.stderr.contains("Nothing is on record of the configuration"), "{}", told.stderr);
}

#[test]
fn an_id_that_is_none_says_so() {
    let dir = support::temp_dir();
    let config = backfilled(dir.path(), 2, SETTINGS);
    let target = START + 65_000;
    for (id, code, part) in [
        ("nothing", 2, "an id is JOB/SYMBOL/HORIZON/TARGET"),
        ("btc/ETH/5s/soon", 2, "no target time"),
        (&format!("eth/ETH/5s/{target}"), 2, "job.id is btc"),
        (&format!("btc/ETH/15m/{target}"), 2, "none of model.horizons: 5s, 1m"),
        (&format!("btc/ETH/5s/{}", target + 1), 2, "no forecast is issued at"),
        (&format!("btc/XRP/5s/{target}"), 1, "is not published: it is not in "),
    ] {
        let told = explain(&config, id, &[]).expect_code(code);
        assert!(told.stderr.contains(part) && told.stdout.is_empty(), "{id}: {}", told.stderr);
    }
    let id = format!("btc/ETH/5s/{target}");
    let paths = format!("source.files.paths={}", dir.path().join("ticks.jsonl").display());
    let told = run_to_end(
        tickcast(["explain", &id, "--set", &paths, "--set", "model.step=5s", "--set", "model.horizons=5s"]),
        WITHIN,
    );
    assert!(told.expect_code(2).stderr.contains("nowhere to look for it"));
}
