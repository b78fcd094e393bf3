//! Tables with typed columns: which column stands for which field of a JSON record, by the names that CSV has.

use super::csv::Columns;
use super::fields::Field;
use super::header_error::HeaderError;
use super::naming::{Naming, name_of};
use crate::config::Format;

/// What the columns of a table are called in the JSON record that says the same as a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonColumns {
    /// For each column its field, or none where it is passed over.
    pub fields: Vec<Option<&'static str>>,
    /// Ticks or candles.
    pub format: Format,
}

impl JsonColumns {
    /// Finds the fields as in CSV (see [`super::csv`]), or as the words of `naming` say.
    ///
    /// # Errors
    /// When a column is missing, or there twice.
    pub fn find(names: &[&str], naming: &Naming) -> Result<Self, HeaderError> {
        let columns = Columns::of_names(names, naming)?;
        let name = |field| match field {
            Field::TradeId if columns.ids.is_aggregate() => "agg_trade_id",
            field => name_of(field),
        };
        let fields = columns.slots().map(|slot| slot.map(name)).collect();
        Ok(Self { fields, format: columns.format })
    }

    /// Whether there is a column for the symbol.
    #[must_use]
    pub fn has_symbol(&self) -> bool {
        self.fields.contains(&Some(name_of(Field::Symbol)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_names_of_csv() {
        let ticks =
            JsonColumns::find(&["Date", "a,b", "PRICE_USD", "qty", "ticker", "x\"y"], &Naming::default()).unwrap();
        let fields = [Some("timestamp"), None, Some("price"), Some("size"), Some("symbol"), None];
        assert_eq!(ticks, JsonColumns { fields: fields.to_vec(), format: Format::Tick });
        assert!(ticks.has_symbol());
        let candles =
            JsonColumns::find(&["ts", "open", "high", "low", "close", "amount", "trades"], &Naming::default()).unwrap();
        assert_eq!(
            (candles.format, candles.fields[5], candles.fields[6]),
            (Format::Candle, Some("volume"), Some("count"))
        );
        assert!(!candles.has_symbol());
        assert!(matches!(
            JsonColumns::find(&["ts", "size"], &Naming::default()),
            Err(HeaderError::Missing { field: "price", .. })
        ));
        assert_eq!(
            JsonColumns::find(&["ts", "price", "Price"], &Naming::default()),
            Err(HeaderError::Twice("price".to_owned()))
        );
    }
}
