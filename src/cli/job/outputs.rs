//! Where results go, looked at before anything is written: can it be written, and is it not also what is read?

use crate::config::{Config, MongoSinkConfig, SinkConfig};
use crate::connectors::files::dead_letters::DeadLetterFile;
use crate::connectors::files::lines_file::Writing;
use crate::connectors::files::sink::{self, FilesSink};
use crate::connectors::weights;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// Checks the files that a job writes, which reads `inputs`; changes nothing. `bounded`: whether they are written as a whole.
///
/// # Errors
/// When one is also an input or another output, or cannot be written.
pub fn check(config: &Config, inputs: &[PathBuf], bounded: bool) -> anyhow::Result<()> {
    let writing = if bounded { Writing::Whole } else { Writing::Append };
    check_apart(config, inputs)?;
    if let Some(files) = &config.sink.files {
        FilesSink::check(files, &config.job.id, writing)?;
    }
    if let Some(file) = config.dead_letter.as_ref().and_then(|dead| dead.file.as_deref()) {
        DeadLetterFile::check(file, writing)?;
    }
    if let Some(dir) = &config.model.weights {
        weights::check(dir).context("model.weights")?;
    }
    Ok(())
}

/// The sinks of a job, by names that stay from start to start; addresses and secrets are not in them.
pub fn sinks(config: &Config) -> Vec<String> {
    let SinkConfig { kafka, mongodb, files } = &config.sink;
    let kafka = kafka.as_ref().map(|kafka| format!("topic {}", kafka.topic));
    let mongodb = mongodb.as_ref().map(|mongodb| {
        let MongoSinkConfig { database, forecasts, scores, ticks, features, .. } = mongodb;
        let more = [ticks, features].map(|name| name.as_deref().unwrap_or("-")).join(" ");
        format!("database {database}: {forecasts} {scores} {more}")
    });
    let files = files.as_ref().map(|files| format!("directory {}", files.dir.display()));
    kafka.into_iter().chain(mongodb).chain(files).collect()
}

/// The files that a job writes.
pub fn written(config: &Config) -> Vec<PathBuf> {
    named(config).into_iter().map(|(_, path)| path).collect()
}

/// The same, with the settings that name them.
fn named(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let mut outputs: Vec<(&'static str, PathBuf)> = Vec::new();
    if let Some(files) = &config.sink.files {
        outputs.extend(sink::paths(files).map(|path| ("sink.files.dir", path)));
    }
    if let Some(file) = config.dead_letter.as_ref().and_then(|dead| dead.file.clone()) {
        outputs.push(("dead_letter.file", file));
    }
    outputs
}

/// No file may be written that is read, or written twice.
fn check_apart(config: &Config, inputs: &[PathBuf]) -> anyhow::Result<()> {
    let outputs = named(config);
    for (at, (key, output)) in outputs.iter().enumerate() {
        if let Some(input) = inputs.iter().find(|input| are_same(input, output)) {
            anyhow::bail!(
                "{key}: {} would be written, and it is read as {}: name another place",
                output.display(),
                input.display()
            );
        }
        if let Some((other, _)) = outputs[..at].iter().find(|(_, earlier)| are_same(earlier, output)) {
            anyhow::bail!("{other} and {key} both write {}: name another place for one", output.display());
        }
    }
    Ok(())
}

/// Whether two names stand for one file, through whatever links; a device may stand under many.
fn are_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        // One that is not there yet has a name alone.
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DeadLetterConfig, FilesSinkConfig};

    #[test]
    fn a_file_under_another_name_is_still_that_file() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("ticks.jsonl");
        std::fs::write(&input, "{}\n").unwrap();
        std::os::unix::fs::symlink(&input, dir.path().join("scores.jsonl")).unwrap();
        std::fs::hard_link(&input, dir.path().join("dead")).unwrap();
        let mut config = Config::default();
        config.sink.files = Some(FilesSinkConfig { dir: dir.path().to_owned(), ..FilesSinkConfig::default() });
        let error = check_apart(&config, std::slice::from_ref(&input)).unwrap_err().to_string();
        assert!(error.starts_with("sink.files.dir: ") && error.contains("scores.jsonl would be written"), "{error}");
        config.sink.files = None;
        config.dead_letter = Some(DeadLetterConfig { topic: None, file: Some(dir.path().join("dead")) });
        let error = check_apart(&config, std::slice::from_ref(&input)).unwrap_err().to_string();
        assert!(error.starts_with("dead_letter.file: "), "{error}");
        // Two outputs that are one, though it is not there yet.
        let out = dir.path().join("out");
        config.sink.files = Some(FilesSinkConfig { dir: out.clone(), ..FilesSinkConfig::default() });
        config.dead_letter = Some(DeadLetterConfig { topic: None, file: Some(out.join("scores.jsonl")) });
        assert!(check_apart(&config, &[input]).unwrap_err().to_string().contains("both write"));
        assert!(std::fs::read_to_string(dir.path().join("ticks.jsonl")).unwrap() == "{}\n" && !out.exists());
    }
}
