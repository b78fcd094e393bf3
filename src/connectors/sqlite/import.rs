//! Takes in records that were written elsewhere.

use super::keep::{Keeper, Limits, all_series};
use super::write::{note_through, put_statement};
use super::{Shared, Table, lock, table};
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

    /// Takes out all records of a kind.
    ///
    /// # Errors
    /// When they cannot be taken out.
    pub fn clear(&mut self, kind: Kind) -> Result<(), ReadError> {
        let Table { name, .. } = table(kind);
        let cleared = lock(&self.connection).execute(&format!("DELETE FROM {name}"), []);
        cleared.map(|_| ()).map_err(|error| of_import(&error))
    }

    fn write(&mut self, records: &[Delivered], through: Timestamp) -> rusqlite::Result<()> {
        let Self { connection, keeper } = self;
        let mut connection = lock(connection);
        let transaction = connection.transaction()?;
        for Delivered { kind, symbol, span, at, json } in records {
            let mut put = put_statement(&transaction, *kind)?;
            put.execute((symbol.as_str(), span.millis(), at.millis(), json))?;
            keeper.note(*kind, symbol, *span);
        }
        note_through(&transaction, through)?;
        keeper.clean(&transaction, through)?;
        transaction.commit()
    }
}

fn of_import(error: &rusqlite::Error) -> ReadError {
    ReadError(format!("the store in a temporary file: {error}"))
}
