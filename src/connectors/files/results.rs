//! Results that a job has written into files, read as they are and followed while it goes on writing.

use super::sink::paths;
use super::tail::{lines_from_end, whole_lines_end};
use crate::config::FilesSinkConfig;
use crate::delivery::reader::{Delivered, Kind, ReadError};
use crate::market::json::write_window_of;
use crate::market::{Span, Symbol, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Result as IoResult, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

/// Read at once.
const PIECE_BYTES: u64 = 4 << 20;
/// A part of a file that is small enough to read it from its beginning.
const SMALL_BYTES: u64 = 64 * 1024;

/// The files of one directory.
pub struct ResultFiles {
    files: [Followed; 3],
}

/// What is new in them.
#[derive(Debug, Default)]
pub struct News {
    /// Of which the files begin anew, as after another backfill.
    pub anew: Vec<Kind>,
    /// Records, in the files' order.
    pub records: Vec<Delivered>,
    /// The latest that they speak of.
    pub through: Timestamp,
    /// Whether there may be more at once.
    pub has_more: bool,
    /// What could not be read: it is tried again at the next call.
    pub trouble: Option<ReadError>,
}

impl News {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anew.is_empty() && self.records.is_empty()
    }
}

impl ResultFiles {
    /// The files of a configuration, from so much before their ends on.
    ///
    /// # Errors
    /// When none of them is there.
    pub fn open(config: &FilesSinkConfig, retention: Span) -> Result<Self, ReadError> {
        let paths = paths(config);
        if !paths.iter().any(|path| path.is_file()) {
            return Err(ReadError(format!(
                "sink.files.dir: there are no results in {}: a job with this configuration writes them",
                config.dir.display()
            )));
        }
        let [features, forecasts, scores] = paths;
        let file = |path, kind| Followed { path, kind, retention, at: None };
        let files = [file(scores, Kind::Scores), file(forecasts, Kind::Forecasts), file(features, Kind::Bars)];
        Ok(Self { files })
    }

    /// The job whose results they are; none where there is no result yet.
    #[must_use]
    pub fn job(&self) -> Option<String> {
        let mut job = None;
        for Followed { path, .. } in self.files.iter().filter(|file| file.kind != Kind::Bars) {
            let _ = lines_from_end(path, |line| {
                let head: Option<Head<'_>> = serde_json::from_slice(line).ok();
                job = head.and_then(|head| head.id).and_then(|id| Some(id.split_once('/')?.0.to_owned()));
                false
            });
            if job.is_some() {
                break;
            }
        }
        job
    }

    /// What is new since the last call, at most some megabytes of it.
    pub fn news(&mut self) -> News {
        let mut news = News { through: Timestamp::MIN, ..News::default() };
        for file in &mut self.files {
            if let Err(error) = file.read_on(&mut news) {
                news.trouble = Some(error);
            }
        }
        news
    }
}

/// One file, and how far it is read.
struct Followed {
    path: PathBuf,
    kind: Kind,
    retention: Span,
    /// Which file that is, and up to where it is read.
    at: Option<(Which, u64)>,
}

/// What tells a file from another one of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Which {
    device: u64,
    number: u64,
    made: Option<SystemTime>,
}

impl Followed {
    fn failed(&self, error: &dyn std::fmt::Display) -> ReadError {
        ReadError(format!("{}: {error}", self.path.display()))
    }

    fn read_on(&mut self, news: &mut News) -> Result<(), ReadError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if self.at.take().is_some() {
                    news.anew.push(self.kind);
                }
                return Ok(());
            }
            Err(error) => return Err(self.failed(&error)),
        };
        let about = file.metadata().map_err(|error| self.failed(&error))?;
        // A number may be given again; the time when a file was made not so easily.
        let which = Which { device: about.dev(), number: about.ino(), made: about.created().ok() };
        let position = match self.at {
            Some((of, position)) if of == which && position <= about.len() => position,
            _ => {
                news.anew.push(self.kind);
                self.first(&file).map_err(|error| self.failed(&error))?
            }
        };
        self.at = Some((which, position));
        let (bytes, is_rest) = self.piece(file, position, about.len()).map_err(|error| self.failed(&error))?;
        let mut begin = position;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line(line, news)
                .map_err(|why| self.failed(&format!("the line at byte {begin} is not what tickcast writes: {why}")))?;
            begin += line.len() as u64;
            self.at = Some((which, begin));
        }
        news.has_more |= !is_rest;
        Ok(())
    }

    /// Whole lines from `position` on, and whether that is all.
    fn piece(&self, mut file: File, position: u64, length: u64) -> IoResult<(Vec<u8>, bool)> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(position))?;
        let mut wanted = PIECE_BYTES;
        loop {
            let more = (&file).take(wanted - bytes.len() as u64).read_to_end(&mut bytes)?;
            let end = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
            // It may have become shorter since it was measured.
            let is_rest = more == 0 || position + bytes.len() as u64 >= length;
            if end > 0 || is_rest {
                bytes.truncate(end);
                return Ok((bytes, is_rest));
            }
            // A line longer than a piece.
            wanted *= 2;
        }
    }

    /// Where the lines begin that are not too old.
    fn first(&self, file: &File) -> IoResult<u64> {
        let mut last = None;
        lines_from_end(&self.path, |line| {
            last = Head::time(line, self.kind);
            false
        })?;
        let Some(floor) = last.map(|last| last.minus(self.retention)) else { return Ok(0) };
        // Lines are in the order of their times: what is before `low` is too old, what is from `high` on is not.
        let (mut low, mut high) = (0, whole_lines_end(&self.path)?);
        let mut reader = BufReader::new(file);
        while high - low > SMALL_BYTES {
            let middle = low + (high - low) / 2;
            reader.seek(SeekFrom::Start(middle))?;
            let mut line = Vec::new();
            let begin = middle + reader.read_until(b'\n', &mut line)? as u64;
            line.clear();
            let end = begin + reader.read_until(b'\n', &mut line)? as u64;
            match Head::time(&line, self.kind) {
                Some(at) if at < floor && end <= high => low = end,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn line(&self, line: &[u8], news: &mut News) -> Result<(), String> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        let head: Head<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let symbol = Symbol::new(&head.symbol).map_err(|error| format!("`symbol` {error}"))?;
        let of = |name: &'static str| move || format!("it has no `{name}`");
        let json = || String::from_utf8(line.to_vec()).map_err(|error| error.to_string());
        news.through = news.through.max(head.at(self.kind).ok_or("it has no time")?);
        match self.kind {
            Kind::Forecasts | Kind::Scores => news.records.push(Delivered {
                kind: self.kind,
                symbol,
                span: head.horizon.ok_or_else(of("horizon"))?,
                at: head.target().ok_or_else(of("target_at"))?,
                json: json()?,
            }),
            Kind::Bars => {
                let end = Timestamp::from_millis(head.end.ok_or_else(of("end"))?);
                let windows = head.windows.ok_or_else(of("windows"))?;
                for (name, bar) in windows {
                    let window: Span = name.parse().map_err(|error| format!("`windows.{name}` {error}"))?;
                    let Some(bar) = bar.filter(|_| end.is_multiple_of(window)) else { continue };
                    let mut json = Vec::new();
                    let raw = bar.get().as_bytes();
                    write_window_of(&symbol, window, end, |out| out.extend_from_slice(raw), &mut json);
                    let json = String::from_utf8(json).map_err(|error| error.to_string())?;
                    news.records.push(Delivered {
                        kind: Kind::Bars,
                        symbol: symbol.clone(),
                        span: window,
                        at: end,
                        json,
                    });
                }
            }
        }
        Ok(())
    }
}

/// What a line is of.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    horizon: Option<Span>,
    #[serde(borrow)]
    issued_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    target_at: Option<Cow<'a, str>>,
    end: Option<i64>,
    #[serde(borrow)]
    windows: Option<BTreeMap<Cow<'a, str>, Option<&'a RawValue>>>,
}

impl Head<'_> {
    fn target(&self) -> Option<Timestamp> {
        Timestamp::parse(self.target_at.as_ref()?.as_bytes()).ok()
    }

    /// The time that the lines of its file are ordered by.
    fn at(&self, kind: Kind) -> Option<Timestamp> {
        match kind {
            Kind::Forecasts => Timestamp::parse(self.issued_at.as_ref()?.as_bytes()).ok(),
            Kind::Scores => self.target(),
            Kind::Bars => self.end.map(Timestamp::from_millis),
        }
    }

    fn time(line: &[u8], kind: Kind) -> Option<Timestamp> {
        serde_json::from_slice::<Head<'_>>(line).ok()?.at(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::files::lines_file::Writing;
    use crate::connectors::files::sink::FilesSink;
    use crate::delivery::test_records::{forecast, row, score};
    use crate::delivery::{Batch, Ending, Sink as _, Stop};
    use std::io::Write as _;
    use std::path::Path;

    const MINUTE: i64 = 60_000;
    const AT: i64 = 1_700_000_040_000;
    const WINDOWS: [Span; 2] = [Span::from_millis(MINUTE), Span::from_millis(5 * MINUTE)];

    fn write(dir: &Path, writing: Writing, minutes: std::ops::Range<i64>) -> FilesSinkConfig {
        let config = FilesSinkConfig { dir: dir.to_owned(), ..FilesSinkConfig::default() };
        let mut sink = FilesSink::open(&config, "btc", &WINDOWS, writing).unwrap();
        for minute in minutes {
            let at = AT + minute * MINUTE;
            let batch = Batch {
                through: Timestamp::from_millis(at),
                rows: vec![row("BTC", at)],
                forecasts: vec![forecast("BTC", at)],
                scores: vec![score("BTC", at, true)],
                ..Batch::default()
            };
            sink.write(&batch, &Stop::default()).unwrap();
        }
        sink.finish(Ending::Complete).unwrap();
        config
    }

    fn all(files: &mut ResultFiles) -> (Vec<Kind>, Vec<Delivered>) {
        let (mut anew, mut records) = (vec![], vec![]);
        loop {
            let news = files.news();
            assert!(news.trouble.is_none(), "{:?}", news.trouble);
            anew.extend(news.anew);
            records.extend(news.records);
            if !news.has_more {
                return (anew, records);
            }
        }
    }

    fn of(records: &[Delivered], kind: Kind) -> Vec<String> {
        records.iter().filter(|record| record.kind == kind).map(|record| record.json.clone()).collect()
    }

    #[test]
    fn files_are_followed_line_by_line_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let config = FilesSinkConfig { dir: dir.path().join("none"), ..FilesSinkConfig::default() };
        let error = ResultFiles::open(&config, WINDOWS[0]).err().unwrap().to_string();
        assert!(error.contains("there are no results in") && error.contains("none"), "{error}");
        let config = write(dir.path(), Writing::Append, 0..7);
        let mut files = ResultFiles::open(&config, Span::from_millis(1_000 * MINUTE)).unwrap();
        assert_eq!(files.job().as_deref(), Some("btc"));
        let (anew, records) = all(&mut files);
        assert_eq!(anew.len(), 3);
        let text = std::fs::read_to_string(dir.path().join("forecasts.jsonl")).unwrap();
        assert_eq!(of(&records, Kind::Forecasts), text.lines().map(str::to_owned).collect::<Vec<_>>());
        let bars = of(&records, Kind::Bars);
        assert_eq!(bars.iter().filter(|bar| bar.contains("\"window\":\"1m\"")).count(), 7);
        // Half a line waits for its other half.
        let mut file = std::fs::OpenOptions::new().append(true).open(dir.path().join("scores.jsonl")).unwrap();
        let line = of(&records, Kind::Scores).remove(6);
        let (half, rest) = line.split_at(40);
        file.write_all(half.as_bytes()).unwrap();
        assert!(all(&mut files).1.is_empty());
        file.write_all(format!("{rest}\n").as_bytes()).unwrap();
        assert_eq!(of(&all(&mut files).1, Kind::Scores), [line]);
        // Written anew by another run.
        write(dir.path(), Writing::Whole, 0..3);
        let (anew, records) = all(&mut files);
        assert_eq!((anew.len(), of(&records, Kind::Scores).len()), (3, 3));
        // Taken away, and there again, of another time.
        for name in ["features.jsonl", "forecasts.jsonl", "scores.jsonl"] {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        let (anew, records) = all(&mut files);
        assert_eq!((anew.len(), records.len()), (3, 0));
        assert!(all(&mut files).0.is_empty());
        write(dir.path(), Writing::Whole, -5..0);
        let (anew, records) = all(&mut files);
        assert_eq!((anew.len(), of(&records, Kind::Scores).len()), (3, 5));
        // What is not ours is named, each time, and nothing is passed over.
        file = std::fs::OpenOptions::new().append(true).open(dir.path().join("scores.jsonl")).unwrap();
        file.write_all(b"{\"symbol\":\"BTC\"}\n").unwrap();
        for _ in 0..2 {
            let error = files.news().trouble.unwrap().to_string();
            assert!(error.contains("scores.jsonl: the line at byte ") && error.contains("it has no time"), "{error}");
        }
    }

    #[test]
    fn of_a_long_file_the_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let config = write(dir.path(), Writing::Whole, 0..3_000);
        let mut files = ResultFiles::open(&config, Span::from_millis(100 * MINUTE)).unwrap();
        let (_, records) = all(&mut files);
        let found = of(&records, Kind::Forecasts);
        let text = std::fs::read_to_string(dir.path().join("forecasts.jsonl")).unwrap();
        assert!((100..400).contains(&found.len()), "{}", found.len());
        assert_eq!(found, text.lines().skip(3_000 - found.len()).map(str::to_owned).collect::<Vec<_>>());
    }
}
