//! The rows of one file, of whatever kind.

use super::csv_rows::CsvRows;
use super::json_rows::JsonRows;
use super::parquet::ParquetRows;
use crate::connectors::input::InputError;

/// What comes next in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A row: a record, or a blank line.
    Row,
    /// Another header: rows have other columns from here on.
    Columns,
    /// Nothing any more.
    End,
}

/// Where a file's rows come from.
#[derive(Debug)]
pub(super) enum Rows {
    Csv(CsvRows),
    Json(JsonRows),
    Parquet(Box<ParquetRows>),
}

impl Rows {
    /// Goes on.
    ///
    /// # Errors
    /// When the file cannot be read on.
    #[inline]
    pub(super) fn step(&mut self) -> Result<Step, InputError> {
        match self {
            Self::Csv(rows) => rows.step(),
            Self::Json(rows) => rows.step(),
            Self::Parquet(rows) => rows.step(),
        }
    }

    /// The row that the last step came to.
    #[inline]
    pub(super) fn row(&self) -> &[u8] {
        match self {
            Self::Csv(rows) => rows.row(),
            Self::Json(rows) => rows.row(),
            Self::Parquet(rows) => rows.row(),
        }
    }
}

/// Whether a line is blank: it counts as no record.
#[inline]
pub(super) fn is_blank(line: &[u8]) -> bool {
    line.first().is_none_or(u8::is_ascii_whitespace) && line.trim_ascii_start().is_empty()
}
