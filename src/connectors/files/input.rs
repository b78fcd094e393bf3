//! Files of records as an input: one partition each, bounded.
//!
//! A file is Parquet (known by its first bytes), JSON lines, or CSV, with a header or as Binance's archives have it. Of the
//! last two its name says which (`.jsonl`, `.ndjson`, `.json`, `.csv`, with `.gz` or `.zst` behind it or not), else its
//! first byte that is not blank: `{`, `[`, `"` or `+` begin JSON. A record's offset is its number in the file, from 0;
//! headers and blank lines do not count.

use super::lines::Lines;
use super::open::{Opened, open};
use super::parquet::ParquetRows;
use crate::config::{FilesSourceConfig, Format};
use crate::connectors::input::{Flow, Input, InputError, PartitionState, Payload, Record};
use crate::formats::{Decoder, HeaderError};
use crate::market::{PartitionId, Span, Symbol, SymbolTable, Zone};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// All files of a job, opened, before its workers begin.
pub struct OpenedFiles(Mutex<Vec<Option<RecordFile>>>);

impl OpenedFiles {
    /// Opens them all, and reads each up to its first record; of a pipe that waits until there is one.
    ///
    /// # Errors
    /// When the list is empty, the configured symbol is none, or a file cannot be read or understood.
    pub fn open(config: &FilesSourceConfig, format: Format) -> Result<Self, InputError> {
        let files = open_files(config, format, 0, 1)?;
        Ok(Self(Mutex::new(files.into_iter().map(Some).collect())))
    }

    /// Takes the files that belong to `worker` of `workers`, once: number `p` of the list belongs to worker `p % workers`.
    ///
    /// # Panics
    /// When `worker` is not below `workers`.
    #[must_use]
    pub fn share(&self, worker: usize, workers: usize) -> FilesInput {
        assert!(worker < workers, "worker {worker} of {workers}");
        // Nothing in it can panic half way through a change.
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let files = files.iter_mut().skip(worker).step_by(workers).filter_map(Option::take).collect();
        FilesInput { files, worker, workers }
    }
}

/// The files of one worker.
#[derive(Debug)]
pub struct FilesInput {
    files: Vec<RecordFile>,
    worker: usize,
    workers: usize,
}

impl FilesInput {
    /// Opens the files that belong to `worker` of `workers`: number `p` of the list belongs to worker `p % workers`.
    ///
    /// Reads each up to its first record; of a pipe that waits until there is one.
    ///
    /// # Errors
    /// When the list is empty, the configured symbol is none, or a file of this worker cannot be read or understood.
    ///
    /// # Panics
    /// When `worker` is not below `workers`.
    pub fn open(config: &FilesSourceConfig, format: Format, worker: usize, workers: usize) -> Result<Self, InputError> {
        assert!(worker < workers, "worker {worker} of {workers}");
        Ok(Self { files: open_files(config, format, worker, workers)?, worker, workers })
    }

    /// Where a partition of this worker stands in `files`.
    fn index(&self, partition: PartitionId) -> Option<usize> {
        let number = partition.0 as usize;
        (number % self.workers == self.worker).then(|| number / self.workers).filter(|at| *at < self.files.len())
    }

    fn file(&self, partition: PartitionId) -> Result<&RecordFile, InputError> {
        self.index(partition).map(|at| &self.files[at]).ok_or_else(|| not_ours(partition))
    }
}

fn open_files(
    config: &FilesSourceConfig,
    format: Format,
    worker: usize,
    workers: usize,
) -> Result<Vec<RecordFile>, InputError> {
    let FilesSourceConfig { paths, symbol, interval, timezone, .. } = config;
    if paths.is_empty() {
        return Err(InputError("source.files.paths is empty: name at least one file".to_owned()));
    }
    if paths.iter().filter(|path| *path == Path::new("-")).count() > 1 {
        return Err(InputError("source.files.paths has `-`, the standard input, more than once".to_owned()));
    }
    let symbol = symbol.as_deref().map(Symbol::new).transpose();
    let symbol = symbol.map_err(|why| InputError(format!("source.files.symbol {why}")))?;
    if interval.is_some_and(|interval| interval.millis() == 0) {
        return Err(InputError("source.files.interval must be longer than 0: write it as in 1m".to_owned()));
    }
    let reading = Reading { format, symbol, interval: *interval, zone: timezone.clone() };
    let mut files = Vec::new();
    for (number, path) in paths.iter().enumerate().skip(worker).step_by(workers) {
        let id = u32::try_from(number).map_err(|_| InputError("source.files.paths: too many files".to_owned()))?;
        files.push(RecordFile::open(PartitionId(id), path, &reading)?);
    }
    Ok(files)
}

fn not_ours(partition: PartitionId) -> InputError {
    InputError(format!("file number {} does not belong to this worker: this is an error in the program", partition.0))
}

/// How the records of all files are to be read.
struct Reading {
    format: Format,
    symbol: Option<Symbol>,
    interval: Option<Span>,
    zone: Zone,
}

impl Reading {
    fn json(&self, format: Format) -> Decoder {
        Decoder::json(format, self.symbol.clone(), self.interval).with_zone(self.zone.clone())
    }

    fn csv(&self, path: &Path, header: &[u8]) -> Result<Decoder, InputError> {
        let decoder = Decoder::csv(header, self.symbol.clone(), self.interval).map_err(|error| wrong(path, &error))?;
        self.check(path, decoder.format())?;
        Ok(decoder.with_zone(self.zone.clone()))
    }

    fn parquet(&self, path: &Path, rows: &ParquetRows) -> Result<Decoder, InputError> {
        if self.symbol.is_none() && !rows.columns.has_symbol() {
            return Err(wrong(path, &HeaderError::NoSymbol));
        }
        self.check(path, rows.columns.format)?;
        Ok(self.json(rows.columns.format))
    }

    /// What the columns say must not contradict what is configured.
    fn check(&self, path: &Path, found: Format) -> Result<(), InputError> {
        // Ticks and trades have the same columns.
        let same = match self.format {
            Format::Auto | Format::Messari => self.format == Format::Auto,
            Format::Candle => found == Format::Candle,
            Format::Tick | Format::Trade => found != Format::Candle,
        };
        if same {
            return Ok(());
        }
        let rows = if found == Format::Candle { "candles" } else { "ticks" };
        let format = format!("{:?}", self.format).to_lowercase();
        Err(wrong(path, &format_args!("its lines are {rows}, but source.format is {format}: set it to auto")))
    }
}

fn wrong(path: &Path, why: &dyn std::fmt::Display) -> InputError {
    InputError(format!("{}: {why}", path.display()))
}

/// One file and how far it is read.
#[derive(Debug)]
struct RecordFile {
    id: PartitionId,
    name: Arc<str>,
    rows: Rows,
    decoder: Decoder,
    /// The number of the next record.
    next: u64,
    ended: bool,
}

/// Where a file's records come from.
#[derive(Debug)]
enum Rows {
    Lines {
        lines: Lines,
        /// The first record of a file without a header, which had to be read to know that it has none.
        first: Option<Vec<u8>>,
    },
    Parquet(Box<ParquetRows>),
}

impl RecordFile {
    fn open(id: PartitionId, path: &Path, reading: &Reading) -> Result<Self, InputError> {
        let (rows, decoder) = match open(path)? {
            Opened::Parquet(file) => {
                let rows = ParquetRows::open(path, file)?;
                let decoder = reading.parquet(path, &rows)?;
                (Rows::Parquet(Box::new(rows)), decoder)
            }
            Opened::Lines(reader) => {
                let mut lines = Lines::new(path, reader);
                let first = first_line(&mut lines)?;
                match first {
                    Some(line) if !is_json(path, reading.format, &line) => {
                        let decoder = reading.csv(path, &line)?;
                        let first = decoder.is_record().then_some(line);
                        (Rows::Lines { lines, first }, decoder)
                    }
                    first => (Rows::Lines { lines, first }, reading.json(reading.format)),
                }
            }
        };
        let name = path.display().to_string().into();
        Ok(Self { id, name, rows, decoder, next: 0, ended: false })
    }

    fn read(
        &mut self,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        let mut left = limit;
        while left > 0 && !self.ended {
            let taken;
            let row = match &mut self.rows {
                Rows::Parquet(rows) => rows.next_row()?,
                Rows::Lines { lines, first } => {
                    taken = first.take();
                    match &taken {
                        Some(line) => Some(line.as_slice()),
                        None => lines.next_line()?,
                    }
                }
            };
            let row = match row {
                None => {
                    self.ended = true;
                    if self.next == 0 {
                        tracing::warn!("{} holds no record", self.name);
                    }
                    break;
                }
                Some(row) if is_blank(row) => continue,
                Some(row) => row,
            };
            if self.next == 0
                && let Some(unit) = self.decoder.stamp_unit(row)
            {
                tracing::info!("{}: its first stamp is in {unit}; each is judged by its own size", self.name);
            }
            let record = Record { offset: self.next, broker_time: None, key: None, value: Payload::Bytes(row) };
            self.next += 1;
            left -= 1;
            if visit(record, symbols) == Flow::Pause {
                break;
            }
        }
        Ok(if self.ended { PartitionState::Ended } else { PartitionState::Behind })
    }
}

/// Whether a file of lines that begins with this one is JSON.
fn is_json(path: &Path, format: Format, first: &[u8]) -> bool {
    named_json(path).unwrap_or_else(|| {
        format == Format::Messari || matches!(first.trim_ascii_start().first(), Some(b'{' | b'[' | b'"' | b'+'))
    })
}

#[inline]
fn is_blank(line: &[u8]) -> bool {
    line.first().is_none_or(u8::is_ascii_whitespace) && line.trim_ascii_start().is_empty()
}

/// The first line that is not blank, without a byte order mark.
fn first_line(lines: &mut Lines) -> Result<Option<Vec<u8>>, InputError> {
    let mut at_start = true;
    while let Some(line) = lines.next_line()? {
        let line = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| at_start).unwrap_or(line);
        at_start = false;
        if !is_blank(line) {
            return Ok(Some(line.to_vec()));
        }
    }
    Ok(None)
}

/// Whether the name says that it is JSON lines, or that it is not.
fn named_json(path: &Path) -> Option<bool> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "json" | "jsonl" | "ndjson" => Some(true),
        "csv" => Some(false),
        _ => None,
    }
}

impl Input for FilesInput {
    fn partitions(&self) -> Vec<PartitionId> {
        self.files.iter().map(|file| file.id).collect()
    }

    fn topic(&self, partition: PartitionId) -> Arc<str> {
        self.file(partition).map_or_else(|_| "".into(), |file| Arc::clone(&file.name))
    }

    fn decoder(&self, partition: PartitionId) -> Result<Decoder, InputError> {
        self.file(partition).map(|file| file.decoder.clone())
    }

    fn read(
        &mut self,
        partition: PartitionId,
        limit: usize,
        symbols: &mut SymbolTable,
        visit: &mut dyn FnMut(Record<'_>, &mut SymbolTable) -> Flow,
    ) -> Result<PartitionState, InputError> {
        let at = self.index(partition).ok_or_else(|| not_ours(partition))?;
        self.files[at].read(limit, symbols, visit)
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
