//! Parquet files as records: each row becomes the JSON record that says the same, and is read like one from there on.
//!
//! Columns have the names that they have in CSV; those with other names are not read. A double becomes the shortest
//! decimal that reads as it, so that the same market gives the same integers from Parquet as from text. An empty (null)
//! value is an absent one, as an empty CSV cell is. Stamps are timestamps in ms, µs or ns (those without a time zone
//! are taken for UTC), epoch numbers judged by their size, or texts.
//!
//! Row groups are read one after the other, a batch of rows at a time, so that memory does not grow with the file: it
//! holds a page of each column that is read, which the writer chose (usually 1 MB).

mod column;
mod value;

use super::rows::Step;
use crate::connectors::guard;
use crate::connectors::input::InputError;
use crate::formats::columns::JsonColumns;
use crate::formats::{HeaderError, Naming};
use column::Column;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use std::fs::File;
use std::path::{Path, PathBuf};

/// What a record need not have: where its column cannot be read, the others are.
const OPTIONAL: [&str; 7] =
    ["side", "trade_id", "agg_trade_id", "exchange", "count", "quote_volume", "taker_buy_volume"];
/// Rows that are read at once: enough that the calls per batch do not count, some 100 kB a column.
const BATCH_ROWS: usize = 4096;

/// The rows of one file.
pub(super) struct ParquetRows {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    /// What the columns are, as the whole file's schema says.
    pub(super) columns: JsonColumns,
    /// Those that are read, in their order.
    used: Vec<Column>,
    /// The next row group.
    next_group: usize,
    /// Rows of the current group that are not in a batch yet.
    left_in_group: usize,
    /// Rows of the current batch that are not handed on yet.
    left_in_batch: usize,
    record: Vec<u8>,
}

impl std::fmt::Debug for ParquetRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetRows").field("path", &self.path).finish_non_exhaustive()
    }
}

impl ParquetRows {
    /// Reads the table of contents.
    ///
    /// # Errors
    /// When it is damaged, a column is missing, or of a type that cannot be read.
    pub(super) fn open(path: &Path, file: File, naming: &Naming) -> Result<Self, InputError> {
        if naming.is_list() {
            return Err(InputError::Failed(format!(
                "{}: source.files.columns is a list, for files without names, but Parquet has names: give a table, as in \
                 {{ price = \"last\" }}",
                path.display()
            )));
        }
        let reader = guarded(path, || SerializedFileReader::new(file))?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        // Only columns that are not part of a group or a list can be a field.
        let name = |column: &ColumnDescriptor| {
            let parts = column.path().parts();
            let single = parts.len() == 1 && column.max_rep_level() == 0;
            if single { parts[0].clone() } else { String::new() }
        };
        let names: Vec<String> = schema.columns().iter().map(|column| name(column)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let columns = JsonColumns::find(&names, naming).map_err(|error| {
            let why = match error {
                HeaderError::Missing { field, names: wanted, .. } => {
                    format!(
                        "it has no column for the {field} ({wanted}), its columns are {}: name it, as in \
                         source.files.columns = {{ {field} = \"…\" }}",
                        names.join(", ")
                    )
                }
                error => error.to_string(),
            };
            InputError::Failed(format!("{}: {why}", path.display()))
        })?;
        let mut used = Vec::new();
        for (at, (column, field)) in schema.columns().iter().zip(&columns.fields).enumerate() {
            let Some(field) = field else { continue };
            let name = names.get(at).unwrap_or(field);
            match Column::new(at, field, column) {
                Ok(column) => used.push(column),
                // As a value that cannot be read: it is unknown.
                Err(why) if OPTIONAL.contains(field) => {
                    tracing::info!("{}: the column {name} {why}; it is passed over", path.display());
                }
                Err(why) => return Err(InputError::Failed(format!("{}: the column {name} {why}", path.display()))),
            }
        }
        let path = path.to_owned();
        Ok(Self { path, reader, columns, used, next_group: 0, left_in_group: 0, left_in_batch: 0, record: Vec::new() })
    }

    /// The row that the last step came to, as a JSON record.
    pub(super) fn row(&self) -> &[u8] {
        &self.record
    }

    /// Goes to the next row.
    ///
    /// # Errors
    /// When the file is damaged.
    pub(super) fn step(&mut self) -> Result<Step, InputError> {
        while self.left_in_batch == 0 {
            if !self.next_batch()? {
                return Ok(Step::End);
            }
        }
        self.left_in_batch -= 1;
        self.record.clear();
        self.record.push(b'{');
        for column in &mut self.used {
            column.write_next(&mut self.record);
        }
        // Of the comma behind the last field, or of the empty record.
        if self.record.last() == Some(&b',') {
            self.record.pop();
        }
        self.record.push(b'}');
        Ok(Step::Row)
    }

    /// Fills the columns; false at the end of the file.
    fn next_batch(&mut self) -> Result<bool, InputError> {
        let Self { path, reader, used, next_group, left_in_group, left_in_batch, .. } = self;
        while *left_in_group == 0 {
            if *next_group == reader.num_row_groups() {
                return Ok(false);
            }
            guarded(path, || {
                let group = reader.get_row_group(*next_group)?;
                let rows = group.metadata().num_rows();
                *left_in_group =
                    usize::try_from(rows).map_err(|_| ParquetError::General(format!("a row group of {rows} rows")))?;
                used.iter_mut().try_for_each(|column| column.begin(group.as_ref()))
            })?;
            *next_group += 1;
        }
        let rows = BATCH_ROWS.min(*left_in_group);
        guarded(path, || used.iter_mut().try_for_each(|column| column.fill(rows)))?;
        *left_in_group -= rows;
        *left_in_batch = rows;
        Ok(true)
    }
}

/// Runs what reads the file: the library's words get the file's name, and should it panic over damaged bytes, that is an
/// error of this file and not the end of the worker.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, InputError> {
    let wrong = |why: &str| {
        InputError::Failed(format!("cannot read {}: {why}; the file may be cut or damaged", path.display()))
    };
    match guard::guarded(read) {
        Some(outcome) => outcome.map_err(|error| wrong(&error.to_string())),
        None => Err(wrong("its pages contradict each other")),
    }
}

#[cfg(test)]
#[path = "../parquet_tests.rs"]
mod tests;
