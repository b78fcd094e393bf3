//! Files of records as an input: one partition each, bounded.
//!
//! A file is Parquet (known by its first bytes), JSON, or CSV. Of the last two its name says which (`.jsonl`, `.ndjson`,
//! `.json`, `.csv`, `.tsv`, with `.gz`, `.zst` or `.zip` behind it or not), else its first byte that is not blank: `{`, `[`, `"` or
//! `+` begin JSON. A record's offset is its number in the file, from 0; headers and blank lines do not count.
//!
//! Before anything is decided that depends on a file, its first records are looked at (`look`); they are kept until they
//! are read.
//!
//! A directory that `history` wrote ([`index`]) is one partition per market: its files, one after the other.

use super::index::{self, Chain};
use super::record_file::{Reading, RecordFile};
use crate::config::{ColumnsConfig, FilesSourceConfig, Format};
use crate::connectors::input::{Flow, Input, InputError, PartitionState, Record};
use crate::formats::{Decoder, Naming};
use crate::market::{PartitionId, Symbol, SymbolTable};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// All files of a job, opened, before its workers begin.
pub struct OpenedFiles(Mutex<Vec<Option<RecordFile>>>);

impl OpenedFiles {
    /// Opens them all, and looks at the first records of each; of a pipe that waits until they are there.
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
    /// Looks at the first records of each; of a pipe that waits until they are there.
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
    let FilesSourceConfig { paths, symbol, interval, columns, timezone } = config;
    if paths.is_empty() {
        return Err(InputError::Failed("source.files.paths is empty: name at least one file".to_owned()));
    }
    if paths.iter().filter(|path| *path == Path::new("-")).count() > 1 {
        return Err(InputError::Failed("source.files.paths has `-`, the standard input, more than once".to_owned()));
    }
    let symbol = symbol.as_deref().map(Symbol::new).transpose();
    let symbol = symbol.map_err(|why| InputError::Failed(format!("source.files.symbol {why}")))?;
    if interval.is_some_and(|interval| interval.millis() == 0) {
        return Err(InputError::Failed("source.files.interval must be longer than 0: write it as in 1m".to_owned()));
    }
    let naming = match columns {
        None => Ok(Naming::default()),
        Some(ColumnsConfig::Words(words)) => Naming::of_words(words.iter().map(|(field, word)| (&**field, &**word))),
        Some(ColumnsConfig::Names(names)) => Naming::of_list(names.iter().map(String::as_str)),
    };
    let naming = naming.map_err(|why| InputError::Failed(format!("source.files.columns: {why}")))?;
    let reading = Reading { format, symbol, interval: *interval, naming, zone: timezone.clone() };
    let mut files = Vec::new();
    for (number, place) in places(paths)?.iter().enumerate().skip(worker).step_by(workers) {
        let id =
            u32::try_from(number).map_err(|_| InputError::Failed("source.files.paths: too many files".to_owned()))?;
        files.push(match place {
            Place::File(path) => RecordFile::open(PartitionId(id), path, &reading)?,
            Place::Chain(Chain { symbol, name, paths }) => {
                let reading = Reading { symbol: Some(symbol.clone()), ..reading.clone() };
                RecordFile::open_chain(PartitionId(id), name, paths, reading)?
            }
        });
    }
    Ok(files)
}

/// What is one partition.
enum Place<'a> {
    File(&'a Path),
    Chain(Chain),
}

/// The files, and the markets of directories.
fn places(paths: &[PathBuf]) -> Result<Vec<Place<'_>>, InputError> {
    let mut places = Vec::new();
    for path in paths {
        match if path.is_dir() { index::chains(path)? } else { None } {
            Some(chains) => places.extend(chains.into_iter().map(Place::Chain)),
            None => places.push(Place::File(path)),
        }
    }
    Ok(places)
}

fn not_ours(partition: PartitionId) -> InputError {
    InputError::Failed(format!(
        "file number {} does not belong to this worker: this is an error in the program",
        partition.0
    ))
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
#[path = "tables_any_tests.rs"]
mod tables_any_tests;
#[cfg(test)]
#[path = "tables_tests.rs"]
mod tables_tests;
#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
