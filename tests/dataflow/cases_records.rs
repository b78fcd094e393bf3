//! Small files as people have them: what stands in a record, and around it.

use super::cases::{Run, backfill, slide};
use crate::support::data;
use serde_json::Value;
use std::collections::BTreeSet;

fn case(name: &str, sets: &[&str]) -> Option<Run> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).chain(slide("1m")).collect();
    Some(backfill(&data(&format!("../cases/{name}"))?, &sets))
}

fn counts(run: &Run) -> [u64; 5] {
    ["used", "late", "quarantined", "undecodable", "ignored"].map(|outcome| run.records[outcome].as_u64().unwrap())
}

fn output(run: &Run, file: &str) -> String {
    std::fs::read_to_string(run.out.path().join(file)).unwrap()
}

/// One market in many wrappings and spellings: the same rows and forecasts.
#[test]
fn spellings_and_wrappings_of_one_market_are_one() {
    for (names, used) in [
        (
            &[
                "plain.jsonl",
                "envelope_connect.jsonl",
                "envelope_debezium.jsonl",
                "bom_each_value.jsonl",
                "registry_frame.jsonl",
            ][..],
            60,
        ),
        (
            &[
                "bars_once.csv",
                "header_datetime.csv",
                "stamp_T.csv",
                "stamp_space.csv",
                "stamp_us.csv",
                "stamp_utcword.csv",
                "stamp_bitmex.csv",
                "stamp_sci.csv",
            ],
            40,
        ),
        (&["mongoexport_canonical.json", "mongoexport_relaxed.json"], 40),
    ] {
        let mut outputs = BTreeSet::new();
        for name in names {
            let Some(run) = case(name, &[]) else { return };
            assert_eq!((run.code, counts(&run)), (0, [used, 0, 0, 0, 0]), "{name}: {}", run.said);
            outputs.insert((output(&run, "features.jsonl"), output(&run, "forecasts.jsonl")));
            let zone = run.said.matches("source.timezone = UTC").count();
            assert_eq!(
                zone,
                usize::from(matches!(*name, "stamp_T.csv" | "stamp_space.csv" | "stamp_us.csv" | "stamp_bitmex.csv")),
                "{name}: said once: {}",
                run.said
            );
        }
        assert_eq!(outputs.len(), 1, "{names:?}");
        assert!(!outputs.first().unwrap().0.is_empty());
    }
}

#[test]
fn clocks_of_a_zone_are_those_of_the_zone() {
    let Some(berlin) = case("stamp_space.csv", &["source.timezone=Europe/Berlin"]) else { return };
    let first: Value = serde_json::from_str(output(&berlin, "features.jsonl").lines().next().unwrap()).unwrap();
    // 2023-01-01 00:01 in Berlin.
    assert_eq!(first["end"], 1_672_531_260_000_i64 - 3_600_000);
    assert!(berlin.said.contains("source.timezone = Europe/Berlin"), "{}", berlin.said);
}

#[test]
fn optional_fields_cost_no_price() {
    for (name, used) in
        [("side_words.csv", 40), ("side_unknown_us_stamps.csv", 40), ("taker_volume_above_volume.csv", 40)]
    {
        let Some(run) = case(name, &[]) else { return };
        assert_eq!((run.code, counts(&run)), (0, [used, 0, 0, 0, 0]), "{name}: {}", run.said);
    }
    let sets: Vec<String> = ["source.symbol=PEPEUSDT".to_owned()].into_iter().chain(slide("1h")).collect();
    let Some(path) = data("../cases/volume_beyond_range_1h.csv") else { return };
    let run = backfill(&path, &sets);
    let lines = std::fs::read_to_string(&path).unwrap();
    let rows = lines.lines().count() as u64;
    assert_eq!((run.code, counts(&run)), (0, [rows, 0, 0, 0, 0]), "{}", run.said);
    for (line, row) in lines.lines().zip(output(&run, "features.jsonl").lines()) {
        let volume = line.split(',').nth(5).unwrap().trim_end_matches('0').trim_end_matches('.');
        assert!(row.contains(&format!("\"volume\":{volume},")), "{volume} in {row}");
    }
}

#[test]
fn the_student_projects_documents_are_ticks() {
    let Some(run) = case("seed_documents.jsonl", &[]) else { return };
    assert_eq!((run.code, counts(&run)), (0, [60, 0, 0, 0, 0]), "{}", run.said);
    let first: Value = serde_json::from_str(output(&run, "features.jsonl").lines().next().unwrap()).unwrap();
    let window = &first["windows"]["1m"];
    assert_eq!((window["volume"].as_f64(), window["vwap"].is_null()), (Some(0.0), true), "the volume is nobody's size");
    assert!(window["high"].as_f64().unwrap() < 32_000.0, "{window}");
}

#[test]
fn one_wild_stamp_makes_nothing_late() {
    let Some(run) = case("one_wild_stamp.csv", &[]) else { return };
    let [used, late, quarantined, undecodable, ignored] = counts(&run);
    assert_eq!((run.code, late, quarantined, undecodable, ignored), (0, 0, 1, 0, 0), "{}", run.said);
    let Some(path) = data("../cases/one_wild_stamp.csv") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(used + 1, text.lines().count() as u64 - 1);
    // Wherever it stands, at the very beginning, too.
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let wild = *lines.iter().find(|line| line.starts_with("2098-")).unwrap();
    let rest: Vec<&str> = lines.into_iter().filter(|line| *line != wild).collect();
    let dir = crate::support::temp_dir();
    let mut outputs = BTreeSet::new();
    for place in [0, 1, rest.len() / 2, rest.len() - 1] {
        let mut moved = rest.clone();
        moved.insert(place, wild);
        let path = dir.path().join("moved.csv");
        std::fs::write(&path, format!("timestamp,price,size\n{}\n", moved.join("\n"))).unwrap();
        let run = backfill(&path, &slide("1m"));
        assert_eq!(counts(&run), [used, 0, 1, 0, 0], "at {place}: {}", run.said);
        outputs.insert(output(&run, "features.jsonl"));
    }
    assert_eq!(outputs.len(), 1);
}
