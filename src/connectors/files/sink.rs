//! Results as JSON lines: the same bytes as on Kafka.

use super::lines_file::{LinesFile, Writing, check_writable, trouble};
use super::tail::lines_from_end;
use crate::config::{FileFormat, FilesSinkConfig};
use crate::delivery::{Batch, Ending, Sink, SinkError, Stop, Wants};
use crate::market::json::{write_forecast, write_row, write_score};
use crate::market::{Span, Timestamp};
use crate::recovery::point;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The files of one directory, each with the field that its lines are ordered by.
const FILES: [(&str, &str); 3] =
    [("features.jsonl", "end"), ("forecasts.jsonl", "issued_at"), ("scores.jsonl", "target_at")];

/// `features.jsonl`, `forecasts.jsonl` and `scores.jsonl` in one directory.
pub struct FilesSink {
    windows: Vec<Span>,
    features: ResultsFile,
    forecasts: ResultsFile,
    scores: ResultsFile,
}

/// Where a configuration's results go.
#[must_use]
pub fn paths(config: &FilesSinkConfig) -> [PathBuf; 3] {
    FILES.map(|(name, _)| config.dir.join(name))
}

impl FilesSink {
    /// Finds out whether the results of `job` could be written, and changes nothing.
    ///
    /// # Errors
    /// When the directory cannot be written into, or holds what a live job may not add to; the message names the path.
    pub fn check(config: &FilesSinkConfig, job: &str, writing: Writing) -> Result<(), SinkError> {
        for (path, (_, field)) in paths(config).iter().zip(FILES) {
            check_writable(path)?;
            if writing == Writing::Append {
                Known::of(path, field, job)?;
            }
        }
        Ok(())
    }

    /// Creates the directory and opens the three files. `windows` are the configured ones, in the order of each row's values.
    ///
    /// # Errors
    /// As [`FilesSink::check`].
    pub fn open(config: &FilesSinkConfig, job: &str, windows: &[Span], writing: Writing) -> Result<Self, SinkError> {
        let FilesSinkConfig { dir, format: FileFormat::Jsonl } = config;
        std::fs::create_dir_all(dir).map_err(|error| trouble("cannot create the directory", dir, &error))?;
        let open = |(name, field)| ResultsFile::open(&dir.join(name), field, job, writing);
        let [features, forecasts, scores] = FILES;
        Ok(Self {
            windows: windows.to_vec(),
            features: open(features)?,
            forecasts: open(forecasts)?,
            scores: open(scores)?,
        })
    }

    fn files(&mut self) -> [&mut ResultsFile; 3] {
        [&mut self.features, &mut self.forecasts, &mut self.scores]
    }
}

impl Sink for FilesSink {
    fn name(&self) -> &'static str {
        "files"
    }

    fn wants(&self) -> Wants {
        Wants { rows: true, ..Wants::default() }
    }

    fn write(&mut self, batch: &Batch, _: &Stop) -> Result<(), SinkError> {
        for row in &batch.rows {
            self.features.line(row.end, |out| write_row(row, &self.windows, out))?;
        }
        for forecast in &batch.forecasts {
            self.forecasts.line(forecast.issued_at, |out| write_forecast(forecast, out))?;
        }
        for score in &batch.scores {
            self.scores.line(score.target_at, |out| write_score(score, out))?;
        }
        for file in self.files() {
            file.lines.flush()?;
            point::reach("files.half");
        }
        point::reach("files.written");
        Ok(())
    }

    fn finish(&mut self, ending: Ending) -> Result<(), SinkError> {
        self.files().into_iter().try_for_each(|file| file.lines.end(ending))
    }
}

/// One file of results, and what it has already.
struct ResultsFile {
    lines: LinesFile,
    known: Option<Known>,
}

impl ResultsFile {
    fn open(path: &Path, field: &str, job: &str, writing: Writing) -> Result<Self, SinkError> {
        match writing {
            Writing::Whole => Ok(Self { lines: LinesFile::whole(path)?, known: None }),
            Writing::Append => {
                let known = Known::of(path, field, job)?;
                if let Some(known) = &known {
                    tracing::info!("{} has results through {}: later ones are added", path.display(), known.through);
                }
                Ok(Self { lines: LinesFile::append(path)?, known })
            }
        }
    }

    /// Writes a line of a result of `at`, unless the file has it.
    fn line(&mut self, at: Timestamp, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SinkError> {
        if self.known.as_mut().is_some_and(|known| known.holds(at)) {
            return Ok(());
        }
        self.lines.line(write)
    }
}

/// What a file has of an earlier run: the job computes from its start, the same lines in the same order.
struct Known {
    /// Of its last line.
    through: Timestamp,
    /// How many of its lines are of that time; counted down as they come again.
    left: u64,
}

impl Known {
    fn of(path: &Path, field: &str, job: &str) -> Result<Option<Self>, SinkError> {
        if !path.is_file() {
            return Ok(None);
        }
        let mut known: Option<Self> = None;
        let mut wrong = None;
        lines_from_end(path, |line| match result_of(line, field, job) {
            Ok(at) => match &mut known {
                None => {
                    known = Some(Self { through: at, left: 1 });
                    true
                }
                Some(known) if known.through == at => {
                    known.left += 1;
                    true
                }
                Some(_) => false,
            },
            Err(why) => {
                wrong = Some(why);
                false
            }
        })
        .map_err(|error| trouble("cannot read", path, &error))?;
        match wrong {
            Some(why) => Err(SinkError::Fatal(format!(
                "{} {why}: a live job adds to its own results alone; name another sink.files.dir, or move the file away",
                path.display()
            ))),
            None => Ok(known),
        }
    }

    /// Whether the next line, of `at`, is in the file.
    fn holds(&mut self, at: Timestamp) -> bool {
        if at == self.through && self.left > 0 {
            self.left -= 1;
            return true;
        }
        at < self.through
    }
}

/// The time of a line of results; what is wrong with it where it is not of `job`.
fn result_of(line: &[u8], field: &str, job: &str) -> Result<Timestamp, String> {
    let object: Value = serde_json::from_slice(line).map_err(|_| "has a last line that is no JSON".to_owned())?;
    if let Some(id) = object.get("id").and_then(Value::as_str)
        && id.strip_prefix(job).is_none_or(|rest| !rest.starts_with('/'))
    {
        return Err(format!("holds results of another job (`{id}`)"));
    }
    let at = match &object[field] {
        Value::Number(ms) => ms.as_i64().map(Timestamp::from_millis),
        Value::String(text) => Timestamp::parse(text.as_bytes()).ok(),
        _ => None,
    };
    at.ok_or_else(|| format!("has a last line without `{field}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::test_records::{forecast, row, score};

    const WINDOWS: [Span; 2] = [Span::from_millis(60_000), Span::from_millis(300_000)];

    fn lines(dir: &Path, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn batch(at: i64) -> Batch {
        Batch {
            through: Timestamp::from_millis(at),
            rows: vec![row("BTC", at), row("ETH", at)],
            forecasts: vec![forecast("BTC", at)],
            scores: vec![score("BTC", at, true), score("ETH", at, false)],
            ..Batch::default()
        }
    }

    const AT: [i64; 3] = [1_700_000_040_000, 1_700_000_100_000, 1_700_000_160_000];

    fn config(dir: &Path) -> FilesSinkConfig {
        FilesSinkConfig { dir: dir.join("a/b"), ..FilesSinkConfig::default() }
    }

    #[test]
    fn a_live_jobs_batches_can_be_read_at_once_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let mut sink = FilesSink::open(&config, "btc", &WINDOWS, Writing::Append).unwrap();
        for at in &AT[..2] {
            sink.write(&batch(*at), &Stop::default()).unwrap();
            assert_eq!(lines(&config.dir, "features.jsonl").last().unwrap()["end"], *at);
        }
        sink.finish(Ending::Stopped).unwrap();
        let rows = lines(&config.dir, "features.jsonl");
        let order: Vec<_> =
            rows.iter().map(|row| (row["end"].as_i64().unwrap(), row["symbol"].as_str().unwrap())).collect();
        assert_eq!(order, [(AT[0], "BTC"), (AT[0], "ETH"), (AT[1], "BTC"), (AT[1], "ETH")]);
        assert_eq!(lines(&config.dir, "forecasts.jsonl").len(), 2);
        assert_eq!(lines(&config.dir, "scores.jsonl")[1]["status"], "void");
        let mut expected = Vec::new();
        write_row(&row("BTC", AT[0]), &WINDOWS, &mut expected);
        expected.push(b'\n');
        assert!(std::fs::read(config.dir.join("features.jsonl")).unwrap().starts_with(&expected));
    }

    /// It computes from its start, and a kill may have cut a pane, or a line, in two.
    #[test]
    fn a_live_job_adds_what_is_missing_wherever_it_was_killed() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let run = |batches: &[i64]| {
            FilesSink::check(&config, "btc", Writing::Append).unwrap();
            let mut sink = FilesSink::open(&config, "btc", &WINDOWS, Writing::Append).unwrap();
            batches.iter().for_each(|at| sink.write(&batch(*at), &Stop::default()).unwrap());
            sink.finish(Ending::Stopped).unwrap();
        };
        run(&AT);
        let whole = paths(&config).map(|path| std::fs::read(path).unwrap());
        for cut in 0..=whole[0].len() {
            for (path, whole) in paths(&config).iter().zip(&whole) {
                std::fs::write(path, &whole[..cut.min(whole.len())]).unwrap();
            }
            run(&AT);
            let again = paths(&config).map(|path| std::fs::read(path).unwrap());
            assert!(again == whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_live_job_leaves_other_peoples_files_alone() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let mut sink = FilesSink::open(&config, "btc", &WINDOWS, Writing::Append).unwrap();
        sink.write(&batch(AT[0]), &Stop::default()).unwrap();
        drop(sink);
        for job in ["bt", "btc2"] {
            let error = FilesSink::check(&config, job, Writing::Append).unwrap_err().to_string();
            assert!(error.contains("forecasts.jsonl holds results of another job (`btc/"), "{error}");
        }
        std::fs::write(config.dir.join("features.jsonl"), "end,symbol\n").unwrap();
        let error = FilesSink::check(&config, "btc", Writing::Append).unwrap_err().to_string();
        assert!(error.contains("no JSON"), "{error}");
        // A bounded run replaces them, at its end.
        FilesSink::check(&config, "btc", Writing::Whole).unwrap();
    }

    #[test]
    fn troubles_name_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let config = FilesSinkConfig { dir: file.clone(), ..FilesSinkConfig::default() };
        for error in [
            FilesSink::check(&config, "btc", Writing::Whole).err(),
            FilesSink::open(&config, "btc", &WINDOWS, Writing::Whole).err(),
        ] {
            let error = error.unwrap().to_string();
            assert!(error.contains(&file.display().to_string()), "{error}");
        }
    }
}
