//! Why a first line is no header.

/// Why a first line is no header that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not UTF-8, or a quote is not closed.
    #[error("the first line `{0}` is no CSV header: it must be UTF-8 text with closed quotes")]
    Unreadable(String),
    /// More than 1,024.
    #[error("the header has more than 1,024 columns")]
    TooMany,
    /// The same name twice.
    #[error("the header has the column `{0}` twice")]
    Twice(String),
    /// A column that is needed.
    #[error(
        "the header `{found}` has no column for the {field} ({names}): name it, as in source.files.columns = {{ {field} = \"…\" }}"
    )]
    Missing {
        /// Which field.
        field: &'static str,
        /// How it may be called.
        names: &'static str,
        /// The header.
        found: String,
    },
    /// No header word at all.
    #[error(
        "the first line `{0}` is no header: CSV files need one (timestamp,price or timestamp,open,high,low,close,volume, in any order), unless source.files.columns names their columns, or they are klines, trades or aggTrades of Binance's archives"
    )]
    NoHeader(String),
    /// A record where a header should be.
    #[error(
        "the first line `{found}` is no header but a record of {count} columns: say what they are, as in --set 'source.files.columns=[{example}]' (`_` for a column to pass over)"
    )]
    Headless {
        /// The line.
        found: String,
        /// How many columns it has.
        count: usize,
        /// What they may be.
        example: String,
    },
    /// An array where an object should be.
    #[error(
        "its first record `{found}` is an array of {count} elements without names: say what they are, as in --set 'source.files.columns=[{example}]' (`_` for an element to pass over)"
    )]
    Unnamed {
        /// The array.
        found: String,
        /// How many elements it has.
        count: usize,
        /// What they may be.
        example: String,
    },
    /// A list of names that does not fit.
    #[error(
        "the first line `{found}` has {count} columns, and source.files.columns names {named}: name all, `_` those to pass over"
    )]
    Count {
        /// The line.
        found: String,
        /// How many columns it has.
        count: usize,
        /// How many are named.
        named: usize,
    },
    /// A word that the configuration names.
    #[error("the header `{found}` has no column `{word}`, which source.files.columns names for the {field}")]
    NoSuchColumn {
        /// The header.
        found: String,
        /// The word.
        word: String,
        /// The field.
        field: &'static str,
    },
    /// Changes of an order book.
    #[error("the header `{0}` is that of an order book, not of trades: its prices are offers that nobody took")]
    OrderBook(String),
    /// Candles behind ticks, or the other way round.
    #[error("a later header, `{0}`, is that of other records than the first: give them as two files")]
    OtherRecords(String),
    /// No column, and nothing configured.
    #[error("there is no column symbol, pair or ticker: set source.symbol")]
    NoSymbol,
}

impl HeaderError {
    /// Whether another line may be the header: this one holds no word that headers have, and no record.
    pub(crate) fn is_no_header(&self) -> bool {
        matches!(self, Self::NoHeader(_) | Self::Unreadable(_) | Self::TooMany)
    }
}
