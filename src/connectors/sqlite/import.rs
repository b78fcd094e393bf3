//! Takes in records that were written elsewhere.

use super::keep::{Keeper, Limits, all_series};
use super::write::{note_through, put_statement};
use super::{Shared, Table, begin_history, lock, table};
use crate::delivery::reader::{Delivered, Kind, ReadError};
use crate::market::Timestamp;

/// Takes in records.
pub struct Importer {
    connection: Shared,
    keeper: Keeper,
}

impl Importer {
    pub(super) fn new(connection: Shared, limits: Limits) -> rusqlite::Result<Self> {
        let series = all_series(&lock(&connection))?;
        Ok(Self { connection, keeper: Keeper::new(limits, series) })
    }

    /// In one transaction; what is too old by `through`, the latest that they speak of, goes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn take_in(&mut self, records: &[Delivered], through: Timestamp) -> Result<(), ReadError> {
        self.write(records, through).map_err(|error| of_import(&error))
    }

    /// Takes out all records of kinds: others come in their place.
    ///
    /// # Errors
    /// When they cannot be taken out.
    pub fn clear(&mut self, kinds: &[Kind]) -> Result<(), ReadError> {
        let mut all = String::from("BEGIN");
        for Table { name, .. } in kinds.iter().copied().map(table) {
            all += &format!("; DELETE FROM {name}");
        }
        all += &format!("; {}; COMMIT", begin_history("main"));
        lock(&self.connection).execute_batch(&all).map_err(|error| of_import(&error))?;
        self.keeper.begin_again();
        Ok(())
    }

    fn write(&mut self, records: &[Delivered], through: Timestamp) -> rusqlite::Result<()> {
        let Self { connection, keeper } = self;
        let mut connection = lock(connection);
        let transaction = connection.transaction()?;
        for Delivered { kind, symbol, span, at, json } in records {
            let mut put = put_statement(&transaction, *kind)?;
            put.execute((symbol.as_str(), span.millis(), at.millis(), json))?;
            keeper.note(*kind, symbol, *span, *at);
        }
        note_through(&transaction, through)?;
        keeper.clean(&transaction, through, records.len())?;
        transaction.commit()
    }
}

fn of_import(error: &rusqlite::Error) -> ReadError {
    ReadError(format!("the store in a temporary file: {error}"))
}
