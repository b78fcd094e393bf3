//! Results as JSON lines: the same bytes as on Kafka.

use crate::config::{FileFormat, FilesSinkConfig};
use crate::delivery::{Batch, Sink, SinkError, Stop, Wants};
use crate::market::Span;
use crate::market::json::{write_forecast, write_row, write_score};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A file gets its lines in pieces of at least this many bytes, and whatever is left at the end of each batch.
const PIECE_BYTES: usize = 1 << 20;

/// `features.jsonl`, `forecasts.jsonl` and `scores.jsonl` in one directory.
pub struct FilesSink {
    windows: Vec<Span>,
    features: LinesFile,
    forecasts: LinesFile,
    scores: LinesFile,
}

impl FilesSink {
    /// Creates the directory and starts the three files anew: the job computes from its start. `windows` are the
    /// configured ones, in the order of each row's values.
    ///
    /// # Errors
    /// When the directory or a file cannot be made; the message holds its path.
    pub fn open(config: &FilesSinkConfig, windows: &[Span]) -> Result<Self, SinkError> {
        let FilesSinkConfig { dir, format: FileFormat::Jsonl } = config;
        std::fs::create_dir_all(dir).map_err(|error| trouble("cannot create the directory", dir, &error))?;
        Ok(Self {
            windows: windows.to_vec(),
            features: LinesFile::create(dir.join("features.jsonl"))?,
            forecasts: LinesFile::create(dir.join("forecasts.jsonl"))?,
            scores: LinesFile::create(dir.join("scores.jsonl"))?,
        })
    }
}

impl Sink for FilesSink {
    fn name(&self) -> &'static str {
        "files"
    }

    fn wants(&self) -> Wants {
        Wants { rows: true, ticks: false }
    }

    fn write(&mut self, batch: &Batch, _: &Stop) -> Result<(), SinkError> {
        for row in &batch.rows {
            self.features.line(|out| write_row(row, &self.windows, out))?;
        }
        for forecast in &batch.forecasts {
            self.forecasts.line(|out| write_forecast(forecast, out))?;
        }
        for score in &batch.scores {
            self.scores.line(|out| write_score(score, out))?;
        }
        self.features.flush()?;
        self.forecasts.flush()?;
        self.scores.flush()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.features.sync()?;
        self.forecasts.sync()?;
        self.scores.sync()
    }
}

/// A file of lines, and what was not yet handed to the system.
pub(super) struct LinesFile {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
}

impl LinesFile {
    /// Starts the file anew.
    pub(super) fn create(path: PathBuf) -> Result<Self, SinkError> {
        let file = File::create(&path).map_err(|error| trouble("cannot create", &path, &error))?;
        Ok(Self { path, file, buffer: Vec::new() })
    }

    /// Appends what `write` appends, and a line feed.
    pub(super) fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SinkError> {
        write(&mut self.buffer);
        self.buffer.push(b'\n');
        if self.buffer.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Hands everything to the system: readers see whole lines.
    pub(super) fn flush(&mut self) -> Result<(), SinkError> {
        if !self.buffer.is_empty() {
            self.file.write_all(&self.buffer).map_err(|error| trouble("cannot write to", &self.path, &error))?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Everything outlives a power cut.
    pub(super) fn sync(&mut self) -> Result<(), SinkError> {
        self.flush()?;
        self.file.sync_all().map_err(|error| trouble("cannot write to", &self.path, &error))
    }
}

fn trouble(what: &str, path: &Path, error: &std::io::Error) -> SinkError {
    let help = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ": make room, or name another place",
        std::io::ErrorKind::PermissionDenied => ": give this user the right to write there, or name another place",
        _ => "",
    };
    SinkError::Fatal(format!("{what} {}: {error}{help}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::test_records::{forecast, row, score};
    use crate::market::Timestamp;

    const WINDOWS: [Span; 2] = [Span::from_millis(60_000), Span::from_millis(300_000)];

    fn lines(dir: &Path, name: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn each_batch_can_be_read_at_once_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let config = FilesSinkConfig { dir: dir.path().join("a/b"), ..FilesSinkConfig::default() };
        let mut sink = FilesSink::open(&config, &WINDOWS).unwrap();
        for at in [60_000, 120_000] {
            let batch = Batch {
                through: Timestamp::from_millis(at),
                rows: vec![row("BTC", at), row("ETH", at)],
                forecasts: vec![forecast("BTC", at)],
                scores: vec![score("BTC", at, true), score("ETH", at, false)],
                ..Batch::default()
            };
            sink.write(&batch, &Stop::default()).unwrap();
            assert_eq!(lines(&config.dir, "features.jsonl").last().unwrap()["end"], at);
        }
        sink.finish().unwrap();
        let rows = lines(&config.dir, "features.jsonl");
        let order: Vec<_> =
            rows.iter().map(|row| (row["end"].as_i64().unwrap(), row["symbol"].as_str().unwrap())).collect();
        assert_eq!(order, [(60_000, "BTC"), (60_000, "ETH"), (120_000, "BTC"), (120_000, "ETH")]);
        assert_eq!(lines(&config.dir, "forecasts.jsonl").len(), 2);
        assert_eq!(lines(&config.dir, "scores.jsonl")[1]["status"], "void");
        let mut expected = Vec::new();
        write_row(&row("BTC", 60_000), &WINDOWS, &mut expected);
        expected.push(b'\n');
        assert!(std::fs::read(config.dir.join("features.jsonl")).unwrap().starts_with(&expected));
        // The next run computes from its start.
        drop(FilesSink::open(&config, &WINDOWS).unwrap());
        assert!(lines(&config.dir, "forecasts.jsonl").is_empty());
    }

    #[test]
    fn troubles_name_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let config = FilesSinkConfig { dir: file.clone(), ..FilesSinkConfig::default() };
        let error = FilesSink::open(&config, &WINDOWS).err().unwrap().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
    }

    #[test]
    fn a_full_disk_is_fatal_and_says_so() {
        if !Path::new("/dev/full").exists() {
            eprintln!("left out: this system has no /dev/full");
            return;
        }
        let mut full = LinesFile::create(PathBuf::from("/dev/full")).unwrap();
        full.line(|out| out.extend_from_slice(b"x")).unwrap();
        let error = full.flush().unwrap_err().to_string();
        assert!(error.contains("/dev/full") && error.contains("make room"), "{error}");
    }
}
