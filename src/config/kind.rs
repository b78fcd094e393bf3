//! What values a key takes: reading them from TOML and from text, and saying what is allowed.

use super::venues;
use crate::market::{Span, Symbol, Timestamp, Zone};
use toml::Value;

/// The type of a key's value, and its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A text that is not empty.
    Text,
    /// A connection string of MongoDB: holds a password, hence never shown whole.
    MongoUri,
    /// Part of ids and of the transactional.id.
    JobId,
    /// The name of a Kafka topic.
    Topic,
    /// `earliest`, `latest`, or an RFC 3339 time.
    Start,
    /// An RFC 3339 time.
    Time,
    /// What a price is of.
    Symbol,
    /// The same, or nothing.
    SymbolOrNone,
    /// The name of a time zone.
    TimeZone,
    /// A list of names for columns, or a table of fields and header words.
    Columns,
    /// A file or directory, from the working directory.
    Path,
    /// Files.
    Paths,
    /// A duration above zero.
    Span,
    /// A duration, zero included.
    SpanOrZero,
    /// A duration above zero, or nothing.
    SpanOrNone,
    /// Durations above zero, all different.
    Spans,
    /// A whole number from `.0` to `.1`.
    Whole(i64, i64),
    /// A number between 0 and 1, neither included.
    Share,
    /// true or false.
    Flag,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Any librdkafka option below it.
    Options,
    /// Where an HTTP API is.
    HttpUrl,
    /// An IP address and a port to listen on.
    Address,
    /// Names of this machine.
    HostNames,
    /// Addresses of processes.
    Hosts,
    /// Names of assets, each a part of an address.
    Assets,
    /// Exchanges and their markets.
    Venues,
    /// Names of symbols and the markets that each is made of.
    SymbolNames,
    /// Markets, as a venue spells them.
    Markets,
    /// An address of HTTP, in which words in braces stand for parts.
    Template,
    /// A key that is sent in a header; never shown.
    Secret,
}

/// The most items of a list of durations: each window and each horizon costs memory per symbol.
pub const SPANS_MAX: usize = 32;
/// The most files of a source: one partition each.
pub const PATHS_MAX: usize = 10_000;
/// The most columns of a file.
pub const COLUMNS_MAX: usize = 1024;
/// What a column may be: the fields of ticks and candles as JSON records call them.
pub const COLUMN_FIELDS: &[&str] = &[
    "symbol",
    "timestamp",
    "price",
    "size",
    "side",
    "is_buyer_maker",
    "trade_id",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "interval",
    "close_time",
    "count",
    "vwap",
    "quote_volume",
    "taker_buy_volume",
];
/// The most processes of a cluster.
pub const HOSTS_MAX: usize = 64;
/// The most assets of `collect`: they are asked one after the other.
pub const ASSETS_MAX: usize = 100;
/// The longest name of an asset in bytes.
const ASSET_BYTES_MAX: usize = 64;
/// The longest job id in bytes.
pub const JOB_ID_BYTES_MAX: usize = 128;
/// The longest name that Kafka gives a topic (249), less what `.progress` needs.
pub const TOPIC_BYTES_MAX: usize = 240;

/// Words that the contract has and that a later version understands.
const COMING: &[&str] = &["correct"];

const NO_DURATION: &str = "no duration: write a whole number and a unit, as in 250ms, 5s, 1m, 1h, 1d";

impl Kind {
    /// What is allowed, for people.
    #[must_use]
    pub fn allowed(self) -> String {
        match self {
            Self::Text => "a text that is not empty".to_owned(),
            Self::MongoUri => "a connection string, as in mongodb://user:password@host:27017".to_owned(),
            Self::JobId => format!("1 to {JOB_ID_BYTES_MAX} printable ASCII characters without /"),
            Self::Topic => {
                format!("1 to {TOPIC_BYTES_MAX} of a-z, A-Z, 0-9, dot, underscore and minus, as Kafka names topics")
            }
            Self::Start => "earliest, latest, or an RFC 3339 time in quotes, as in \"2021-01-21T14:00:00Z\"".to_owned(),
            Self::Time => "an RFC 3339 time in quotes, as in \"2021-01-21T14:00:00Z\"".to_owned(),
            Self::Symbol => "a symbol of 1 to 64 bytes, as in BTC".to_owned(),
            Self::SymbolOrNone => "a symbol of 1 to 64 bytes, as in BTC, or nothing".to_owned(),
            Self::TimeZone => "an IANA name, as in UTC, Europe/Berlin, America/New_York".to_owned(),
            Self::Columns => format!(
                "a list of 1 to {COLUMNS_MAX} names, as in [\"timestamp\", \"price\", \"size\"], or a table of fields and header words, as in {{ timestamp = \"Open time\" }}; fields are {}",
                COLUMN_FIELDS.join(", ")
            ),
            Self::Path => "a path that is not empty".to_owned(),
            Self::Paths => format!("a list of 1 to {PATHS_MAX} paths, as in [\"a.csv\", \"b.jsonl.gz\"]"),
            Self::Span => "a duration above zero, as in 250ms, 5s, 1m, 1h, 1d".to_owned(),
            Self::SpanOrNone => "a duration above zero, as in 250ms, 5s, 1m, 1h, 1d, or nothing".to_owned(),
            Self::SpanOrZero => "a duration, as in 0s, 250ms, 5s, 1m, 1h, 1d".to_owned(),
            Self::Spans => {
                format!("a list of 1 to {SPANS_MAX} different durations above zero, as in [\"1m\", \"5m\", \"1h\"]")
            }
            Self::Whole(min, i64::MAX) => format!("a whole number from {min} to 2^63 - 1"),
            Self::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Self::Share => "a number between 0 and 1, neither included".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Choice([others @ .., last]) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
            Self::Choice(words) => words.concat(),
            Self::Options => "a table of librdkafka options, each a text, a number, or true or false".to_owned(),
            Self::HttpUrl => {
                "http:// or https://, a host, and no user, query or fragment, as in https://data.messari.io".to_owned()
            }
            Self::Address => "an IP address and a port, as in 127.0.0.1:8080".to_owned(),
            Self::HostNames => format!(
                "a list of 1 to {HOSTS_MAX} names without a port, as in [\"tickcast.example.com\", \"monitoring\"]"
            ),
            Self::Hosts => {
                format!("a list of 1 to {HOSTS_MAX} of host:port, all different, as in [\"a:2101\", \"b:2101\"]")
            }
            Self::Assets => format!(
                "a list of 1 to {ASSETS_MAX} names of letters, digits, dot, underscore and minus, as in [\"bitcoin\", \"ethereum\"]"
            ),
            Self::Markets => {
                format!("a list of 1 to {} markets, as in [\"BTCUSDT\", \"ETHUSDT\"]", venues::MARKETS_MAX)
            }
            Self::Template => venues::allowed_template(),
            Self::Venues => venues::allowed_venues(),
            Self::SymbolNames => venues::allowed_names(),
            Self::Secret => "a text of printable ASCII characters without spaces".to_owned(),
        }
    }

    /// Checks a value from TOML. An option of librdkafka becomes a text.
    ///
    /// # Errors
    /// What is wrong with it and what is allowed, to stand behind `key = value: `.
    pub fn read(self, value: &Value) -> Result<Value, String> {
        if let Value::Datetime(_) = value {
            return Err(format!("a bare date is no text: put it in quotes, or write {}", self.allowed()));
        }
        let wrong = |what: &str| format!("{what}: write {}", self.allowed());
        match self {
            Self::Whole(min, max) => match value.as_integer() {
                Some(number) if (min..=max).contains(&number) => Ok(value.clone()),
                Some(_) => Err(wrong("out of range")),
                None => Err(wrong("no whole number")),
            },
            Self::Share => match value.as_float().or_else(|| value.as_integer().map(|n| n as f64)) {
                Some(share) if share > 0.0 && share < 1.0 => Ok(Value::Float(share)),
                Some(_) => Err(wrong("out of range")),
                None => Err(wrong("no number")),
            },
            Self::Flag => value.as_bool().map(Value::Boolean).ok_or_else(|| wrong("neither true nor false")),
            Self::Spans | Self::Paths | Self::Assets | Self::HostNames | Self::Hosts | Self::Markets => {
                self.read_list(value)
            }
            Self::Columns => check_columns(value).map(|()| value.clone()).map_err(|what| wrong(&what)),
            Self::Venues => venues::check_venues(value).map(|()| value.clone()).map_err(|what| wrong(&what)),
            Self::SymbolNames => venues::check_names(value).map(|()| value.clone()).map_err(|what| wrong(&what)),
            Self::Options => match value {
                Value::String(text) => Ok(Value::String(text.clone())),
                Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(Value::String(value.to_string())),
                _ => Err("no librdkafka option: write a text, a number, or true or false".to_owned()),
            },
            _ => {
                let text = value.as_str().ok_or_else(|| wrong("no text"))?;
                self.check_text(text).map(|()| value.clone())
            }
        }
    }

    /// Reads a value from an environment variable or `--set`: texts without quotes; lists with commas, or as in TOML.
    ///
    /// # Errors
    /// As [`Kind::read`].
    pub fn read_text(self, text: &str) -> Result<Value, String> {
        let text = if matches!(self, Self::Options) { text } else { text.trim() };
        let value = match self {
            Self::Whole(..) => text.parse().map(Value::Integer).ok(),
            Self::Share => text.parse().map(Value::Float).ok(),
            Self::Flag => text.parse().map(Value::Boolean).ok(),
            Self::Spans
            | Self::Paths
            | Self::Assets
            | Self::Markets
            | Self::HostNames
            | Self::Hosts
            | Self::Columns
            | Self::Venues
            | Self::SymbolNames
                if text.starts_with(['[', '{']) =>
            {
                toml::from_str::<toml::Table>(&format!("list = {text}"))
                    .ok()
                    .filter(|table| table.len() == 1)
                    .and_then(|mut table| table.remove("list"))
            }
            Self::Venues => venues::venues_of_text(text),
            // Nothing between two commas is a column that is passed over.
            Self::Columns => Some(Value::Array(text.split(',').map(str::trim).map(Value::from).collect())),
            Self::Spans | Self::Paths | Self::Assets | Self::HostNames | Self::Hosts | Self::Markets => Some(
                Value::Array(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()),
            ),
            _ => None,
        };
        self.read(&value.unwrap_or_else(|| Value::from(text)))
    }

    fn read_list(self, value: &Value) -> Result<Value, String> {
        let wrong = |what: &str| format!("{what}: write {}", self.allowed());
        let Value::Array(items) = value else { return Err(wrong("no list")) };
        let max = match self {
            Self::Spans => SPANS_MAX,
            Self::Assets => ASSETS_MAX,
            Self::Markets => venues::MARKETS_MAX,
            Self::HostNames | Self::Hosts => HOSTS_MAX,
            _ => PATHS_MAX,
        };
        let check = |text: &str| match self {
            Self::Spans => Self::Span.check_text(text),
            Self::Assets if !is_asset(text) => Err(format!("no name of an asset: write {}", self.allowed())),
            Self::HostNames if !is_asset(text) => Err(format!("no name of a machine: write {}", self.allowed())),
            Self::Markets if !venues::is_market(text) => Err(format!("no market: write {}", self.allowed())),
            Self::Assets | Self::HostNames | Self::Markets => Ok(()),
            Self::Hosts if !is_host(text) => Err(format!("no address: write {}", self.allowed())),
            Self::Hosts => Ok(()),
            _ => Self::Path.check_text(text),
        };
        if items.is_empty() {
            return Err(wrong("an empty list"));
        }
        if items.len() > max {
            return Err(wrong(&format!("{} items are too many", items.len())));
        }
        let mut seen = std::collections::BTreeSet::new();
        for item in items {
            let text = item.as_str().ok_or_else(|| wrong(&format!("{item} is no text")))?;
            check(text).map_err(|what| format!("{item} is {what}"))?;
            // Durations are the same when they are as long: 60s and 1m.
            let same = text.parse::<Span>().map_or_else(|_| text.to_owned(), |span| span.to_string());
            if !seen.insert(same) {
                return Err(wrong(&format!("{item} is there twice")));
            }
        }
        Ok(value.clone())
    }

    fn check_text(self, text: &str) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: write {}", self.allowed()));
        match self {
            Self::SymbolOrNone | Self::SpanOrNone if text.is_empty() => Ok(()),
            Self::Span | Self::SpanOrZero | Self::SpanOrNone => match text.parse::<Span>() {
                Ok(span) if span.millis() == 0 && self != Self::SpanOrZero => wrong("not above zero"),
                Ok(_) => Ok(()),
                Err(_) => Err(NO_DURATION.to_owned()),
            },
            _ if text.trim().is_empty() => wrong("empty"),
            Self::Choice(words) if !words.contains(&text) && COMING.contains(&text) => {
                wrong("planned, but not there yet")
            }
            Self::Choice(words) if !words.contains(&text) => wrong("not allowed"),
            Self::JobId if !is_job_id(text) => wrong("no job id"),
            Self::Topic if !is_topic(text) => wrong("no name of a topic"),
            Self::Symbol | Self::SymbolOrNone if Symbol::new(text).is_err() => wrong("no symbol"),
            Self::TimeZone if text.parse::<Zone>().is_err() => wrong("no time zone"),
            Self::MongoUri if !text.starts_with("mongodb://") && !text.starts_with("mongodb+srv://") => {
                wrong("begins with neither mongodb:// nor mongodb+srv://")
            }
            Self::Address if text.parse::<std::net::SocketAddr>().is_err() => wrong("no address"),
            Self::HttpUrl if !is_http_url(text) => wrong("no address"),
            Self::Template if !venues::is_template(text) => wrong("no address"),
            Self::Secret if !text.bytes().all(|b| b.is_ascii_graphic()) => wrong("no key"),
            Self::Start if !is_start(text) => wrong("no beginning"),
            Self::Time if !is_time(text) => wrong("no time"),
            _ => Ok(()),
        }
    }
}

/// What is wrong with a list of names, or a table of fields and header words.
fn check_columns(value: &Value) -> Result<(), String> {
    let count = value.as_array().map(Vec::len).or(value.as_table().map(toml::Table::len));
    match count {
        None => return Err("neither a list nor a table".to_owned()),
        Some(0) => return Err("empty".to_owned()),
        Some(1..=COLUMNS_MAX) => {}
        Some(count) => return Err(format!("{count} columns are too many")),
    }
    match value {
        Value::Array(names) => names.iter().enumerate().try_for_each(|(at, name)| match name.as_str() {
            None => Err(format!("{name} is no text")),
            Some("" | "_") => Ok(()),
            Some(field) if !COLUMN_FIELDS.contains(&field) => Err(no_field(field)),
            Some(field) if names[..at].contains(name) => Err(format!("{field} is there twice")),
            Some(_) => Ok(()),
        }),
        _ => value.as_table().into_iter().flatten().try_for_each(|(field, word)| {
            if !COLUMN_FIELDS.contains(&field.as_str()) {
                return Err(no_field(field));
            }
            match word.as_str() {
                Some(word) if !word.trim().is_empty() => Ok(()),
                _ => Err(format!("{field} = {word} is no word of a header")),
            }
        }),
    }
}

fn no_field(field: &str) -> String {
    let likeness = |known: &&&str| (strsim::normalized_damerau_levenshtein(field, known) * 1000.0) as u32;
    let nearest = COLUMN_FIELDS.iter().max_by_key(likeness).map_or("", |nearest| nearest);
    format!("`{field}` is no field, did you mean {nearest}?")
}

fn is_job_id(text: &str) -> bool {
    text.len() <= JOB_ID_BYTES_MAX && text.bytes().all(|b| (b.is_ascii_graphic() || b == b' ') && b != b'/')
}

fn is_topic(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    text.len() <= TOPIC_BYTES_MAX && text != "." && text != ".." && text.bytes().all(legal)
}

/// Whether it is `host:port`.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    parts.and_then(|(_, port)| port.parse::<u16>().ok()).is_some_and(|port| port > 0)
        && !text.contains(char::is_whitespace)
}

fn is_asset(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let dots = text.bytes().all(|b| b == b'.');
    !dots && text.len() <= ASSET_BYTES_MAX && text.bytes().all(legal)
}

/// What is asked for is appended to it.
pub(super) fn is_http_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let bytes_fit = rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'@' | b'?' | b'#' | b'\\'));
        bytes_fit && !rest.starts_with(['/', ':'])
    })
}

fn is_start(text: &str) -> bool {
    matches!(text, "earliest" | "latest") || is_time(text)
}

/// Digits alone would be epoch seconds or milliseconds: too easily a mistake for an offset.
fn is_time(text: &str) -> bool {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    !digits && Timestamp::parse(text.as_bytes()).is_ok()
}
