//! What is a venue's own: one file each.

mod binance;
mod binance_aggregates;
mod bitstamp;
mod bybit;
mod coinbase;
mod coinbase_advanced;
mod kraken;
mod okx;

pub use binance::Binance;
pub use binance_aggregates::BinanceAggregates;
pub use bitstamp::Bitstamp;
pub use bybit::Bybit;
pub use coinbase::Coinbase;
pub use coinbase_advanced::CoinbaseAdvanced;
pub use kraken::Kraken;
pub use okx::Okx;

use super::candle::Candle;
use super::record::Ids;
use super::sequence::{Hole, Numbering};
use super::trade::{Trade, is_number};
use super::watch::Rules;
use crate::config::TradeStream;
use crate::market::{Side, Span, Timestamp};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A venue's protocol. Markets are the venue's spellings; one is known by its place in a connection's list.
pub trait Venue: Send + Sync {
    /// As records and settings call it.
    fn name(&self) -> &'static str;
    /// Where its stream is.
    fn stream_url(&self) -> &'static str;
    /// Where its HTTP API is.
    fn api_url(&self) -> &'static str;
    /// How it numbers trades.
    fn numbering(&self) -> Numbering {
        Numbering::Contiguous
    }
    /// Which of its two numberings that is.
    fn ids(&self) -> Ids {
        Ids::Trades
    }
    /// What its connections are held to.
    fn rules(&self) -> Rules;
    /// The most markets of one connection.
    fn markets_max(&self) -> usize;
    /// The address to open for these markets.
    fn address(&self, base: &str, _markets: &[&str]) -> String {
        base.to_owned()
    }
    /// What to send to subscribe to these markets, or to have it confirmed.
    fn subscribe(&self, markets: &[&str]) -> Vec<String>;
    /// Whether a subscription to several markets fails whole where one of them is refused.
    fn subscribes_whole(&self) -> bool {
        false
    }
    /// Its own ping, where it wants one.
    fn ping(&self) -> Option<&'static str> {
        None
    }
    /// What a message says, appended to `said`.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, markets: &Markets, text: &str, said: &mut Vec<Said>) -> Result<(), String>;
    /// How often its HTTP API may be asked for a page.
    fn page_every(&self) -> Duration;
    /// The path and query of the next page of what is missing.
    fn page(&self, want: &Want) -> String;
    /// What a page says.
    ///
    /// # Errors
    /// When it cannot be read, or says that something is wrong.
    fn read_page(&self, want: &Want, body: &str) -> Result<Page, String>;
    /// How it gives out candles of a minute.
    fn candle_pages(&self) -> CandlePages;
    /// The path and query of those of a market that open in [from, to).
    fn candles(&self, market: &str, from: Timestamp, to: Timestamp) -> String;
    /// What the answer says, in any order; there may be others among them, and one that still changes.
    ///
    /// # Errors
    /// When it cannot be read, or says that something is wrong.
    fn read_candles(&self, body: &str) -> Result<Vec<Candle>, String>;
}

/// How a venue gives out candles of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandlePages {
    /// Minutes of one page.
    pub minutes: i64,
    /// It has no more than the last so many minutes; none where it has all.
    pub back: Option<i64>,
}

/// The venue with this name.
#[must_use]
pub fn venue(name: &str) -> Option<Arc<dyn Venue>> {
    match name {
        "binance" => Some(Arc::new(Binance)),
        "bitstamp" => Some(Arc::new(Bitstamp)),
        "bybit" => Some(Arc::new(Bybit)),
        "coinbase" => Some(Arc::new(Coinbase)),
        "coinbase_advanced" => Some(Arc::new(CoinbaseAdvanced)),
        "kraken" => Some(Arc::new(Kraken)),
        "okx" => Some(Arc::new(Okx)),
        _ => None,
    }
}

/// The same by this stream of its; none where it does not have that.
#[must_use]
pub fn venue_by(name: &str, stream: TradeStream) -> Option<Arc<dyn Venue>> {
    match (name, stream) {
        (_, TradeStream::Trade) => venue(name),
        ("binance", TradeStream::AggTrade) => Some(Arc::new(BinanceAggregates)),
        (_, TradeStream::AggTrade) => None,
    }
}

/// The markets of a connection.
#[derive(Clone, Debug, Default)]
pub struct Markets {
    names: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Markets {
    /// These, in this order.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        let places = names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect();
        Self { names, places }
    }

    /// The place of a market.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A trade.
    Trade(Trade),
    /// That a market is subscribed to.
    Acknowledged(usize),
    /// That a market, or where it does not say which, any, is refused; with its words.
    Refused(Option<usize>, String),
    /// That this connection will be ended soon.
    Ending,
    /// The number of this message among those of its connection: where it jumps, some were lost.
    Numbered(u64),
    /// A trade of a market that was not asked for.
    Foreign,
    /// Nothing of interest: a heartbeat, a kind that is not known.
    Other,
}

/// What is missing of a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The order's number.
    pub number: u64,
    /// The venue's spelling.
    pub market: String,
    /// The ids.
    pub hole: Hole,
    /// When the trade before them was made, as JSON.
    pub after_at: Box<str>,
    /// What the page before said to go on with.
    pub cursor: Option<String>,
}

/// A page of what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its trades, by id; some may be of before or after what is missing.
    pub trades: Vec<Trade>,
    /// All that the venue has through this id has been told.
    pub through: Option<u64>,
    /// What to go on with.
    pub cursor: Option<String>,
    /// Of a venue whose ids do not tell what is missing: trades from before the first of these are missing, and it does not have them.
    pub lacks: bool,
}

/// The fields of a trade as they stand in a message.
struct Told<'a> {
    id: u64,
    at: &'a RawValue,
    price: &'a RawValue,
    size: &'a RawValue,
    side: Option<Side>,
}

impl Told<'_> {
    fn trade(&self, market: usize) -> Result<Trade, String> {
        let number = |name: &str, raw: &RawValue| {
            let text = unquoted(raw);
            if is_number(text) { Ok(text.into()) } else { Err(format!("{name}: {text:?} is no number")) }
        };
        // Of epoch milliseconds in quotes the number.
        let at = if is_number(unquoted(self.at)) { unquoted(self.at) } else { self.at.get() };
        if Timestamp::parse(unquoted(self.at).as_bytes()).is_err() {
            return Err(format!("its time: {at} is none"));
        }
        let (price, size) = (number("price", self.price)?, number("size", self.size)?);
        let (id, side, received) = (self.id, self.side, Timestamp::default());
        Ok(Trade { market, id, at: at.into(), price, size, side, parts: None, received })
    }
}

/// A number's text, which may stand in quotes.
pub(super) fn unquoted(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Ids are below 2^59: as far as they are told apart without a hash.
const ID_BITS: u32 = 59;
/// Those of some venues are not. A job knows them by a hash of all their digits.
const LARGE_ID_BITS: u32 = 63;

/// An id that may stand in quotes.
fn id(raw: &RawValue) -> Result<u64, String> {
    id_of(raw, ID_BITS)
}

/// The same of a venue with larger ones.
fn large_id(raw: &RawValue) -> Result<u64, String> {
    id_of(raw, LARGE_ID_BITS)
}

fn id_of(raw: &RawValue, bits: u32) -> Result<u64, String> {
    let number = unquoted(raw).parse().ok().filter(|id: &u64| id >> bits == 0);
    number.ok_or_else(|| format!("its id: {} is no whole number below 2^{bits}", raw.get()))
}

/// The last trades of a market, by id, as those venues give them that cannot be asked for others: a page that tells of all that is
/// missing if it reaches back to what is known. If not, and there are `further` ones, those are asked for. Stamps are cut off to `step`.
fn of_the_last(want: &Want, trades: Vec<Trade>, step: Span, further: Option<&str>) -> Page {
    let at = |at: &str| Timestamp::parse(at.trim_matches('"').as_bytes()).ok();
    let is_before = |first: &Trade| Some(at(&first.at)?.plus(step) <= at(&want.after_at)?);
    let reaches = |first: &Trade| first.id < want.hole.first || is_before(first) == Some(true);
    let lacks = !trades.first().is_some_and(reaches);
    if let (true, Some(further)) = (lacks && want.cursor.is_none(), further) {
        return Page { trades: vec![], through: None, cursor: Some(further.to_owned()), lacks: false };
    }
    let through = trades.last().map(|trade| trade.id);
    Page { trades, through, cursor: want.cursor.clone(), lacks }
}

/// The first market that words name.
fn named(markets: &Markets, words: &str) -> Option<usize> {
    words.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).find_map(|word| markets.place(word))
}

/// The trades of a page in the order of their ids.
fn ascending(mut trades: Vec<Trade>) -> Vec<Trade> {
    trades.sort_by_key(|trade| trade.id);
    trades
}

#[cfg(test)]
mod tests;
