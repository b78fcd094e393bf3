//! `verify` says that two runs published the same, or names the first record and field that differ.

use crate::simulated;
use crate::support::{self, Finished, run_to_end, tickcast};
use std::path::Path;
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(120);

fn backfill(file: &Path, out: &Path, workers: &str) {
    let (paths, dir) = (format!("source.files.paths={}", file.display()), format!("sink.files.dir={}", out.display()));
    let arguments = ["backfill", "--workers", workers, "--set", &paths, "--set", &dir];
    run_to_end(tickcast(arguments), WITHIN).expect_code(0);
}

fn verify(a: &Path, b: &Path) -> Finished {
    run_to_end(tickcast(["verify", a.to_str().unwrap(), b.to_str().unwrap()]), WITHIN)
}

#[test]
fn runs_are_the_same_until_a_byte_is_another() {
    let dir = support::temp_dir();
    let (file, _) = simulated::files(dir.path(), 3);
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    backfill(&file, &one, "1");
    backfill(&file, &other, "2");
    let told = verify(&one, &other).expect_code(0).stdout_text();
    for kind in ["features: the same, ", "forecasts: the same, ", "scores: the same, "] {
        assert!(told.contains(kind), "{told}");
    }
    assert_eq!(verify(&one, &other).stdout_text(), told, "a digest is a digest");

    // One digit of one number.
    let forecasts = std::fs::read_to_string(other.join("forecasts.jsonl")).unwrap();
    let lines: Vec<&str> = forecasts.lines().collect();
    let touched = lines[40].replacen("\"probability_up\":0.5", "\"probability_up\":0.6", 1);
    assert_ne!(touched, lines[40]);
    let write = |lines: &[&str]| std::fs::write(other.join("forecasts.jsonl"), lines.join("\n") + "\n").unwrap();
    let mut changed = lines.clone();
    changed[40] = &touched;
    write(&changed);
    let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    let told = verify(&one, &other).expect_code(1);
    assert!(told.stdout_text().contains("scores: the same"), "{}", told.stdout_text());
    assert!(told.stderr.contains(&format!("{}: probability_up is 0.5", id(lines[40]))), "{}", told.stderr);
    // A blank that no value shows.
    let spaced = lines[40].replacen(':', ": ", 1);
    changed[40] = &spaced;
    write(&changed);
    let told = verify(&one, &other).expect_code(1).stderr;
    assert!(told.contains("the values are the same, the bytes are not"), "{told}");
    // One less, one twice; the order is no matter.
    let mut shorter = lines.clone();
    shorter.remove(7);
    write(&shorter);
    let told = verify(&one, &other).expect_code(1).stderr;
    assert!(told.contains(&format!("{}: only A has it", id(lines[7]))), "{told}");
    let mut doubled = lines.clone();
    doubled.push(lines[3]);
    write(&doubled);
    let told = verify(&one, &other).expect_code(1).stderr;
    assert!(told.contains(&format!("{}: B has it once more", id(lines[3]))), "{told}");
    let mut turned = lines.clone();
    turned.reverse();
    write(&turned);
    verify(&one, &other).expect_code(0);
    // A file against a directory: what only one has is said.
    let told = verify(&one.join("scores.jsonl"), &one).expect_code(0).stdout_text();
    assert!(told.contains("forecasts: ") && told.contains("in B alone, not compared"), "{told}");
}

#[test]
fn what_cannot_be_compared_is_no_success() {
    let dir = support::temp_dir();
    let (file, _) = simulated::files(dir.path(), 1);
    let out = dir.path().join("out");
    backfill(&file, &out, "1");
    let told = verify(&out.join("features.jsonl"), &out.join("forecasts.jsonl")).expect_code(1).stderr;
    assert!(told.contains("records of different kinds"), "{told}");
    let told = verify(&out, dir.path()).expect_code(1).stderr;
    assert!(told.contains("holds none of features.jsonl"), "{told}");
    verify(&out, &dir.path().join("nothing")).expect_code(1);
    let told = run_to_end(tickcast(["verify", "kafka://nowhere", "x"]), WITHIN).expect_code(1).stderr;
    assert!(told.contains("kafka://HOST:PORT/TOPIC"), "{told}");
    let told = run_to_end(tickcast(["verify", "mongodb://localhost", "x"]), WITHIN).expect_code(1).stderr;
    assert!(told.contains("mongodb://HOST:PORT/DATABASE"), "{told}");
}
