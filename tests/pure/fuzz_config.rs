//! Any text, read as a configuration, is one or an error that a person can read: no panic, no secret.
//!
//! `TICKCAST_TEST_FUZZ` is how many (100,000), `TICKCAST_TEST_SEED` which (1). The long run:
//! `TICKCAST_TEST_FUZZ=10000000 cargo test --release --test pure fuzz_config -- --nocapture`.

use crate::fuzz;
use crate::fuzz::Random;
use std::ffi::OsString;
use tickcast::config::{Settings, example, show};

/// Never shown, wherever it ends up under its own key.
const SECRET: &str = "s3cr3t";
/// Lines of a file: more take longer and reach no more.
const LINES_MAX: usize = 12;
/// The most characters of an error's line.
const LINE_CHARS_MAX: usize = 4000;

/// The example file's tables, each with its keys, all of them on; none that would have another file read.
fn tables() -> Vec<(String, Vec<String>)> {
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for line in example::example().lines() {
        let line = line.strip_prefix('#').map_or(line, str::trim_start);
        let line = line.split("  #").next().unwrap_or_default().trim_end();
        if line.starts_with('[') && line.contains(']') && !line.contains('=') {
            tables.push((line.to_owned(), Vec::new()));
        } else if let Some((name, _)) = line.split_once(" = ")
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            && !name.ends_with("_file")
        {
            tables.last_mut().expect("a table comes first").1.push(line.to_owned());
        }
    }
    tables
}

/// Some tables with some of their keys.
fn text(random: &mut Random, tables: &[(String, Vec<String>)]) -> String {
    let mut text = String::new();
    let mut lines = random.below(LINES_MAX);
    let mut at = random.below(tables.len());
    while lines > 0 && at < tables.len() {
        let (table, keys) = &tables[at];
        text += &format!("{table}\n");
        for key in keys {
            if lines > 0 && random.below(3) > 0 {
                text += &format!("{key}\n");
                lines -= 1;
            }
        }
        at += 1 + random.below(2);
        lines = lines.saturating_sub(1);
    }
    text
}

#[test]
fn any_text_is_a_configuration_or_an_error() {
    let (count, seed) = fuzz::from_environment();
    let (mut random, tables) = (Random::new(seed), tables());
    assert!(tables.len() > 8 && tables.iter().map(|(_, keys)| keys.len()).sum::<usize>() > 50, "{tables:?}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    let keys: Vec<String> = tables
        .iter()
        .flat_map(|(table, keys)| {
            let table = table.trim_matches(['[', ']']).to_owned();
            keys.iter().map(move |key| format!("{table}.{}", key.replacen(" = ", "=", 1).replace('"', "")))
        })
        .collect();
    let (mut good, mut bad) = (0, 0);
    for number in 0..count {
        let mut changed = text(&mut random, &tables).into_bytes();
        for _ in 0..random.below(4) {
            random.change_token(&mut changed);
        }
        let mut set = keys[random.below(keys.len())].clone().into_bytes();
        for _ in 0..random.below(3) {
            random.change_token(&mut set);
        }
        let set = String::from_utf8_lossy(&set).into_owned();
        // A value that has come to be another file's name is not this test's.
        let reads_a_file = |text: &str| text.contains("_file");
        if reads_a_file(&String::from_utf8_lossy(&changed)) || reads_a_file(&set) {
            continue;
        }
        // Made anew: some file systems wait for the disk when a file is cut to nothing and written again.
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, &changed).unwrap();
        let password = ("TICKCAST_SOURCE__KAFKA__OPTIONS__SASL_PASSWORD", SECRET);
        let uri = ("TICKCAST_SINK__MONGODB__URI", "mongodb://user:s3cr3t@host:27017");
        let env = [password, uri].map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let env = env.into_iter().take(random.below(3));
        match Settings::load(Some(&path), env, &[set]) {
            Ok(settings) => {
                let shown = show::show(&settings);
                assert!(!shown.contains(SECRET), "input {number}: {shown}");
                good += 1;
            }
            Err(error) => {
                assert!(!error.problems.is_empty(), "input {number}");
                for problem in &error.problems {
                    assert!(!problem.contains(SECRET) && problem.len() < LINE_CHARS_MAX, "input {number}: {problem}");
                }
                bad += 1;
            }
        }
    }
    println!("{count} inputs of seed {seed}: {good} configurations, {bad} errors");
    assert!(good * 20 > count && bad * 5 > count, "both are reached: {good}, {bad}");
}
