//! Tables with typed columns: which column stands for which field of a JSON record, by the names that CSV has.

use super::csv::{Columns, HeaderError};
use super::fields::Field;
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
    /// Finds the fields as in CSV (see [`super::csv`]).
    ///
    /// # Errors
    /// When a column is missing, or there twice.
    pub fn find(names: &[&str]) -> Result<Self, HeaderError> {
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
        let columns = Columns::new(quoted.join(",").as_bytes())?;
        let name = |field| match field {
            Field::TradeId if columns.ids.is_aggregate() => "agg_trade_id",
            field => json_name(field),
        };
        let fields = columns.slots().map(|slot| slot.map(name)).collect();
        Ok(Self { fields, format: columns.format })
    }

    /// Whether there is a column for the symbol.
    #[must_use]
    pub fn has_symbol(&self) -> bool {
        self.fields.contains(&Some(json_name(Field::Symbol)))
    }
}

/// What JSON records call a field.
const fn json_name(field: Field) -> &'static str {
    match field {
        Field::Symbol => "symbol",
        Field::Timestamp => "timestamp",
        Field::Price => "price",
        Field::PriceUsd => "price_usd",
        Field::Size => "size",
        Field::Volume => "volume",
        Field::Side => "side",
        Field::Open => "open",
        Field::High => "high",
        Field::Low => "low",
        Field::Close => "close",
        Field::Interval => "interval",
        Field::Count => "count",
        Field::Vwap => "vwap",
        Field::QuoteVolume => "quote_volume",
        Field::TakerBuyVolume => "taker_buy_volume",
        Field::CloseTime => "close_time",
        Field::BuyerMaker => "is_buyer_maker",
        Field::TradeId => "trade_id",
        Field::Exchange => "exchange",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_names_of_csv() {
        let ticks = JsonColumns::find(&["Date", "a,b", "PRICE_USD", "qty", "ticker", "x\"y"]).unwrap();
        let fields = [Some("timestamp"), None, Some("price"), Some("size"), Some("symbol"), None];
        assert_eq!(ticks, JsonColumns { fields: fields.to_vec(), format: Format::Tick });
        assert!(ticks.has_symbol());
        let candles = JsonColumns::find(&["ts", "open", "high", "low", "close", "amount", "trades"]).unwrap();
        assert_eq!(
            (candles.format, candles.fields[5], candles.fields[6]),
            (Format::Candle, Some("volume"), Some("count"))
        );
        assert!(!candles.has_symbol());
        assert!(matches!(JsonColumns::find(&["ts", "size"]), Err(HeaderError::Missing { field: "price", .. })));
        assert_eq!(JsonColumns::find(&["ts", "price", "Price"]), Err(HeaderError::Twice("price".to_owned())));
    }
}
