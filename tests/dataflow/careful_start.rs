//! A command that fails has changed nothing: inputs, and what an earlier run has written, are byte for byte as they were.

use crate::markets::Market;
use crate::support::{Finished, Process, Signal, eventually, run_to_end, tickcast};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Two hours of a made-up price, a tick a second, with a record now and then that is none.
fn ticks(path: &Path, symbol_column: bool) {
    let mut text = String::from(if symbol_column { "symbol,timestamp,price,size\n" } else { "timestamp,price,size\n" });
    for second in 0..7200_i64 {
        let price = 30_000.0 + 40.0 * (second as f64 / 300.0).sin() + (second * 7919 % 101) as f64 / 10.0;
        let price = if second % 1000 == 999 { "none".to_owned() } else { format!("{price:.2}") };
        let symbol = if symbol_column { "BTC," } else { "" };
        let _ = writeln!(text, "{symbol}{},{price},0.5", 1_700_000_000 + second);
    }
    std::fs::write(path, text).unwrap();
}

/// All files below a directory, with what they hold.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.is_file() {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        ticks(&place.path("ticks.csv"), true);
        ticks(&place.path("no_symbol.csv"), false);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A backfill of `ticks.csv` into `out` and `dead.jsonl`, with settings on top.
    fn backfill(&self, sets: &[(&str, &str)]) -> Finished {
        let mut command = tickcast(["backfill", "--workers", "1", "--json"]);
        let (source, out, dead) = (self.path("ticks.csv"), self.path("out"), self.path("dead.jsonl"));
        command.arg("--set").arg(format!("source.files.paths={}", source.display()));
        command.arg("--set").arg(format!("sink.files.dir={}", out.display()));
        command.arg("--set").arg(format!("dead_letter.file={}", dead.display()));
        for (key, value) in sets {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        run_to_end(command, Duration::from_secs(120))
    }
}

/// What goes wrong, the settings that make it, and what the message holds.
type Case = (&'static str, Vec<(&'static str, String)>, Vec<String>);

#[test]
fn what_an_earlier_run_wrote_outlives_every_failure() {
    let place = Place::new();
    place.backfill(&[]).expect_code(0);
    let before = contents(place.0.path());
    let lines = |name: &str| before[&place.path(name)].split(|b| *b == b'\n').count();
    assert!(lines("out/features.jsonl") > 1000 && lines("out/forecasts.jsonl") > 100 && lines("dead.jsonl") > 5);
    assert!(!before.keys().any(|path| path.to_string_lossy().ends_with(".part")), "nothing is left beside");

    let path = |name: &str| place.path(name).display().to_string();
    let no_rows = path("no_rows.csv");
    std::fs::write(&no_rows, "symbol,timestamp,price\nBTC,1700000000,none\nBTC,1700000001,\n").unwrap();
    let garbage = path("garbage.parquet");
    std::fs::write(&garbage, "PAR1 and then nothing that is Parquet").unwrap();
    let weights = place.path("weights");
    std::fs::create_dir_all(weights.join("initial")).unwrap();
    std::fs::write(weights.join("initial/BTC.safetensors"), "no weights").unwrap();
    let weights = weights.display().to_string();
    let before = contents(place.0.path());
    let cases: Vec<Case> = vec![
        ("a wrong path", vec![("source.files.paths", path("tciks.csv"))], vec!["there is no such file".to_owned()]),
        ("a format that cannot be read", vec![("source.files.paths", garbage.clone())], vec![garbage.clone()]),
        ("a symbol that is missing", vec![("source.files.paths", path("no_symbol.csv"))], vec!["symbol".to_owned()]),
        ("an output that is the input", vec![("dead_letter.file", path("ticks.csv"))], vec!["is read as".to_owned()]),
        ("weights that do not fit", vec![("model.weights", weights)], vec!["BTC.safetensors".to_owned()]),
        ("nowhere to write weights", vec![("model.weights", path("ticks.csv"))], vec!["model.weights".to_owned()]),
        ("a place that is a file", vec![("sink.files.dir", path("ticks.csv"))], vec![path("ticks.csv")]),
        (
            "nobody at the database",
            vec![("sink.mongodb.uri", format!("mongodb://{}", nobody()))],
            vec!["no MongoDB answers".to_owned()],
        ),
        ("nobody at the broker", vec![("sink.kafka.brokers", nobody())], vec!["no broker answers".to_owned()]),
        (
            "records that are all refused",
            vec![("source.files.paths", no_rows)],
            vec!["none of the 2 records was used".to_owned(), "price".to_owned()],
        ),
    ];
    for (what, sets, parts) in cases {
        let sets: Vec<(&str, &str)> = sets.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let finished = place.backfill(&sets);
        assert_eq!(finished.code(), Some(1), "{what}: {}", finished.stderr);
        for part in parts {
            assert!(finished.stderr.contains(&part), "{what}: `{part}` is not in {}", finished.stderr);
        }
        let after = contents(place.0.path());
        assert!(after == before, "{what}: changed {:?}", changed(&before, &after));
    }
}

fn changed(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let names = before.keys().chain(after.keys());
    let mut changed: Vec<_> = names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect();
    changed.dedup();
    changed
}

/// Nothing listens there: the port was free a moment ago.
fn nobody() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The disk fills up in the middle of the run.
#[test]
fn a_full_disk_leaves_what_was_there() {
    if !Path::new("/dev/full").exists() {
        eprintln!("left out: this system has no /dev/full");
        return;
    }
    let place = Place::new();
    place.backfill(&[]).expect_code(0);
    let before = contents(place.0.path());
    for full in ["out/forecasts.jsonl.part", "dead.jsonl.part"] {
        std::os::unix::fs::symlink("/dev/full", place.path(full)).unwrap();
        let finished = place.backfill(&[]).expect_code(1);
        assert!(finished.stderr.contains(full) && finished.stderr.contains("make room"), "{}", finished.stderr);
        assert!(contents(place.0.path()) == before, "{full}");
        assert!(std::fs::symlink_metadata(place.path(full)).is_err(), "{full} is gone");
    }
}

/// What a stop leaves is not the whole: it lies beside, and the run has not done what it was asked for.
#[test]
fn a_backfill_that_is_stopped_says_so_and_leaves_what_was_there() {
    let place = Place::new();
    place.backfill(&[]).expect_code(0);
    let before = contents(&place.path("out"));
    let pipe = place.path("pipe.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command = tickcast(["backfill", "--workers", "1"]);
    command.arg("--set").arg(format!("source.files.paths={}", pipe.display()));
    command.arg("--set").arg(format!("sink.files.dir={}", place.path("out").display()));
    let mut job = Process::spawn(command);
    // Held open: the input has no end.
    let mut writer = std::fs::File::create(&pipe).unwrap();
    writer.write_all(&std::fs::read(place.path("ticks.csv")).unwrap()).unwrap();
    let part = place.path("out/forecasts.jsonl.part");
    eventually("forecasts are written beside", Duration::from_secs(60), || {
        std::fs::metadata(&part).is_ok_and(|found| found.len() > 0).then_some(())
    });
    job.signal(Signal::Term);
    eventually("the signal has come", Duration::from_secs(20), || job.stderr().contains("stopping").then_some(()));
    // A read of a pipe that has nothing waits.
    drop(writer);
    let finished = job.wait(Duration::from_secs(20)).expect_code(1);
    assert!(finished.stderr.contains("stopped before the end of the input"), "{}", finished.stderr);
    assert!(finished.stderr.contains("forecasts.jsonl.part is not whole"), "{}", finished.stderr);
    let mut after = contents(&place.path("out"));
    after.retain(|path, _| !path.to_string_lossy().ends_with(".part"));
    assert!(after == before);
}

/// The demo writes files, too.
#[test]
fn a_demo_does_not_write_over_what_it_reads() {
    let place = Place::new();
    place.backfill(&[]).expect_code(0);
    let (input, out) = (place.path("out/forecasts.jsonl"), place.path("out"));
    let before = contents(&out);
    let mut command = tickcast(["demo", "--exit", "--data"]);
    command.arg(&input).arg("--out").arg(&out);
    let finished = run_to_end(command, Duration::from_secs(60)).expect_code(1);
    assert!(finished.stderr.contains("is read as"), "{}", finished.stderr);
    assert!(contents(&out) == before);
}

/// A second run replaces the files, at its end and as a whole.
#[test]
fn a_backfill_says_what_it_refuses_and_which_input_is_empty() {
    let place = Place::new();
    std::fs::write(place.path("empty.csv"), "symbol,timestamp,price\n").unwrap();
    let both = format!("{},{}", place.path("ticks.csv").display(), place.path("empty.csv").display());
    let finished = place.backfill(&[("source.files.paths", &both)]).expect_code(0);
    assert!(finished.stderr.contains("empty.csv holds no record"), "{}", finished.stderr);
    let told: Vec<&str> = finished.stderr.lines().filter(|line| line.contains("undecodable (")).collect();
    assert!(told.len() == 1 && told[0].contains("offset 999") && told[0].contains("none"), "{told:?}");
    let summary: serde_json::Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(summary["records"]["undecodable"], 7);
    let first = &summary["refused"][0];
    assert_eq!((first["outcome"].as_str(), first["offset"].as_u64()), (Some("undecodable"), Some(999)), "{first}");
}

/// A page whose bytes are damaged, found half way: one line names the file.
#[test]
fn a_damaged_parquet_file_is_an_error_of_the_file() {
    let place = Place::new();
    let path = place.path("ticks.parquet");
    let rows = (0..7200_i64).map(|second| {
        let at = (1_700_000_000 + second) * 1000;
        [at.to_string(), "BTC".to_owned(), format!("{:.2}", 30_000.0 + (second * 7919 % 1013) as f64 / 10.0)].to_vec()
    });
    let market = Market { columns: vec!["timestamp", "symbol", "price"], rows: rows.collect() };
    let mut bytes = market.parquet();
    std::fs::write(&path, &bytes).unwrap();
    let whole = place.backfill(&[("source.files.paths", &path.display().to_string())]);
    whole.expect_code(0);
    let before = contents(&place.path("out"));
    let mut refused = 0;
    for at in (4..bytes.len() - 100).step_by(bytes.len() / 12) {
        bytes[at..at + 16].iter_mut().for_each(|byte| *byte ^= 0xa5);
        std::fs::write(&path, &bytes).unwrap();
        let finished = place.backfill(&[("source.files.paths", &path.display().to_string())]);
        bytes[at..at + 16].iter_mut().for_each(|byte| *byte ^= 0xa5);
        assert!(!finished.stderr.contains("internal error"), "{}", finished.stderr);
        if finished.code() == Some(0) {
            continue; // A price that is another one.
        }
        let errors: Vec<&str> = finished.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(finished.code() == Some(1) && errors.len() == 1, "{}", finished.stderr);
        assert!(errors[0].contains("ticks.parquet") || errors[0].contains("none of the"), "{errors:?}");
        refused += 1;
        if !finished.stdout.is_empty() {
            continue;
        }
        assert!(before.keys().all(|name| name.exists()), "the run before is still there");
    }
    assert!(refused > 0, "none of the damages was found");
}

/// The others would wait for it for ever.
#[test]
fn a_worker_that_panics_ends_the_process_within_a_second() {
    let place = Place::new();
    place.backfill(&[]).expect_code(0);
    let before = contents(&place.path("out"));
    for (workers, panicking) in [("1", "0"), ("2", "1"), ("4", "0")] {
        let mut command = tickcast(["backfill", "--workers", workers]);
        ticks(&place.path("more.csv"), true);
        let both = format!("{},{}", place.path("ticks.csv").display(), place.path("more.csv").display());
        command.arg("--set").arg(format!("source.files.paths={both}"));
        command.arg("--set").arg(format!("sink.files.dir={}", place.path("out").display()));
        command.env("TICKCAST_TEST_PANIC", panicking);
        let begun = Instant::now();
        let finished = run_to_end(command, Duration::from_secs(60)).expect_code(1);
        println!("{workers} workers: {:.2?}", begun.elapsed());
        assert!(finished.stderr.contains("as TICKCAST_TEST_PANIC asks for"), "{}", finished.stderr);
        assert!(contents(&place.path("out")) == before);
    }
}
