//! Forecasts and scores from files of JSON lines, plain or compressed.

use super::lines::Lines;
use crate::connectors::input::InputError;
use crate::connectors::published::{self, Stream};
use crate::evaluation::report::{Issued, Settled};
use std::path::{Path, PathBuf};

/// The forecasts of a file, as the files sink writes `forecasts.jsonl`.
///
/// # Errors
/// When the file cannot be opened. A line that is no forecast is an error of the stream, which names it.
pub fn forecasts(path: &Path) -> Result<Stream<'static, Issued>, InputError> {
    Ok(Box::new(Records { lines: Lines::open(path)?, path: path.to_owned(), number: 0, read: published::forecast }))
}

/// The scores of a file, as the files sink writes `scores.jsonl`.
///
/// # Errors
/// As [`forecasts`].
pub fn scores(path: &Path) -> Result<Stream<'static, Settled>, InputError> {
    Ok(Box::new(Records { lines: Lines::open(path)?, path: path.to_owned(), number: 0, read: published::score }))
}

struct Records<T> {
    lines: Lines,
    path: PathBuf,
    number: u64,
    read: fn(&[u8]) -> Result<T, String>,
}

impl<T> Iterator for Records<T> {
    type Item = Result<T, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.number += 1;
            let (path, number) = (&self.path, self.number);
            return match self.lines.next_line().transpose()? {
                Err(error) => Some(Err(error)),
                Ok(line) if line.trim_ascii().is_empty() => continue,
                Ok(line) => Some((self.read)(line).map_err(|why| {
                    InputError::Failed(format!("{}:{number}: this is not what tickcast writes: {why}", path.display()))
                })),
            };
        }
    }
}
