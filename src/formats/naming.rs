//! `source.files.columns`: what the columns are, where a file's own words do not say it.

use super::fields::Field;
use crate::config::kind::COLUMN_FIELDS;

/// Every field that a column may be, by the name that the configuration has for it.
const FIELDS: [(&str, Field); 18] = [
    ("symbol", Field::Symbol),
    ("timestamp", Field::Timestamp),
    ("price", Field::Price),
    ("size", Field::Size),
    ("side", Field::Side),
    ("open", Field::Open),
    ("high", Field::High),
    ("low", Field::Low),
    ("close", Field::Close),
    ("volume", Field::Volume),
    ("interval", Field::Interval),
    ("count", Field::Count),
    ("vwap", Field::Vwap),
    ("quote_volume", Field::QuoteVolume),
    ("taker_buy_volume", Field::TakerBuyVolume),
    ("close_time", Field::CloseTime),
    ("is_buyer_maker", Field::BuyerMaker),
    ("trade_id", Field::TradeId),
];

/// What the columns of files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming(pub(super) Names);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Names {
    /// Each file's header says it.
    #[default]
    Header,
    /// For these fields their words in the header; a field whose word is `_` is not read.
    Words(Vec<(Field, String)>),
    /// All columns in their order; none is passed over.
    List(Vec<Option<Field>>),
}

impl Naming {
    /// From a table of fields and the words that the header has for them; `_` where a field is not to be read.
    ///
    /// # Errors
    /// Names a field that there is none of.
    pub fn of_words<'a>(words: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let words = words.into_iter().map(|(name, word)| Ok((field(name)?, word.to_owned())));
        Ok(Self(Names::Words(words.collect::<Result<_, String>>()?)))
    }

    /// From the names of all columns; an empty one, or `_`, is passed over.
    ///
    /// # Errors
    /// Where there is no such field, one comes twice, or one that is needed is missing.
    pub fn of_list<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut fields = Vec::new();
        for name in names {
            let field = if matches!(name, "" | "_") { None } else { Some(field(name)?) };
            if field.is_some() && fields.contains(&field) {
                return Err(format!("{name} is there twice"));
            }
            fields.push(field);
        }
        let has = |wanted| fields.contains(&Some(wanted));
        let is_candle = [Field::Open, Field::High, Field::Low, Field::Close].into_iter().all(has);
        if !has(Field::Timestamp) || !(is_candle || has(Field::Price)) {
            return Err("it needs timestamp, and price or all of open, high, low and close".to_owned());
        }
        Ok(Self(Names::List(fields)))
    }

    /// Whether it names all columns, so that files need no header.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.0, Names::List(_))
    }

    /// Whether it says nothing, so that each file's header counts.
    #[must_use]
    pub fn is_header(&self) -> bool {
        self.0 == Names::Header
    }
}

fn field(name: &str) -> Result<Field, String> {
    if let Some((_, field)) = FIELDS.into_iter().find(|(known, _)| *known == name) {
        return Ok(field);
    }
    // The configuration has checked that, and offers the nearest.
    Err(format!("`{name}` is no field; there are {}", COLUMN_FIELDS.join(", ")))
}

/// The name of a field, in the configuration and in JSON records.
pub(super) fn name_of(field: Field) -> &'static str {
    match field {
        Field::PriceUsd => "price_usd",
        Field::Exchange => "exchange",
        _ => FIELDS.into_iter().find(|(_, known)| *known == field).map_or("", |(name, _)| name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_by_their_names_and_others_are_told() {
        for (name, expected) in FIELDS {
            assert_eq!((field(name), name_of(expected)), (Ok(expected), name));
        }
        assert!(COLUMN_FIELDS.iter().all(|name| field(name).is_ok()) && COLUMN_FIELDS.len() == FIELDS.len());
        assert!(field("Open time").unwrap_err().contains("there are symbol, timestamp"));
    }

    #[test]
    fn a_list_needs_what_a_record_needs() {
        let list = |names: &str| Naming::of_list(names.split(',')).map_err(|why| why.len());
        assert!(list("timestamp,price,size").is_ok());
        assert!(list("timestamp,open,high,low,close,_,,_").is_ok());
        for names in ["timestamp,open,high,low", "price", "timestamp,price,price", "", "timestamp,prices"] {
            assert!(list(names).is_err(), "{names}");
        }
    }
}
