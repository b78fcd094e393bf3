//! Header words: which column of a table is which field, whoever wrote it.
//!
//! Words are compared by their letters and digits alone, so that `Open time`, `open_time`, `openTime` and `OPEN.TIME` are one.
//! The lists hold the names that exchanges, archives and libraries have for a field; the first that is there counts.

use super::fields::Field;
use super::ids;
use crate::config::Format;
use crate::market::IdSpace;

const SYMBOL: &[&str] =
    &["symbol", "pair", "ticker", "instrument", "instrumentname", "instid", "productid", "currencypair", "tradingpair"];
/// What says for sure that it is the open: of candles these come first.
const OPEN_TIME: &[&str] = &[
    "timeperiodstart",
    "periodstart",
    "opentime",
    "timeopen",
    "starttime",
    "startat",
    "start",
    "windowstart",
    "candlebegintime",
    "bucket",
];
const TIMESTAMP: &[&str] = &[
    "timestamp",
    "ts",
    "tsms",
    "unix",
    "unixtimestamp",
    "unixtime",
    "epoch",
    "epochtime",
    "timestampms",
    "timestampus",
    "timestampns",
    "mts",
    "timeexchange",
    "transacttime",
    "tradetime",
    "tradetimems",
    "datetime",
    "time",
    "date",
    "dateutc",
    "datetimeutc",
    "timeutc",
    "gmttime",
    "utctime",
    "snappedat",
    "createdtime",
    "createdat",
    "origintime",
    "eventtime",
    "timeperiodstart",
    "opentime",
    "timeopen",
    "starttime",
    "windowstart",
    "t",
];
const PRICE: &[&str] =
    &["price", "priceusd", "last", "lastprice", "rate", "tradeprice", "pricelast", "px", "spotprice"];
/// `amount` is money with some who have a quantity beside it.
const SIZE: &[&str] = &[
    "size",
    "qty",
    "quantity",
    "volume",
    "amount",
    "vol",
    "tradesize",
    "lastsize",
    "basevolume",
    "baseqty",
    "baseamount",
    "sz",
];
/// Of ticks that come with the statistics of a span: its volume is nobody's size.
const SIZE_BESIDE_BARS: &[&str] = &["size", "qty", "quantity", "lastsize"];
const SIDE: &[&str] = &["side", "takerside", "tradeside", "aggressor", "aggressorside", "direction", "type"];
const BUYER_MAKER: &[&str] = &["isbuyermaker", "buyermaker", "buyerismaker"];

const BARS: [(Field, &[&str]); 4] = [
    (Field::Open, &["open", "openprice", "priceopen", "o"]),
    (Field::High, &["high", "highprice", "pricehigh", "h"]),
    (Field::Low, &["low", "lowprice", "pricelow", "l"]),
    (Field::Close, &["close", "closeprice", "priceclose", "closelast", "c"]),
];
/// `volume` before what names a currency; with those who have `amount` and `vol`, the second is money.
const VOLUME: &[&str] = &[
    "volume",
    "basevolume",
    "volumebase",
    "volumefrom",
    "volumetraded",
    "size",
    "qty",
    "quantity",
    "amount",
    "vol",
    "tickvol",
    "tickvolume",
    "v",
];
const QUOTE_VOLUME: &[&str] = &[
    "quotevolume",
    "quoteassetvolume",
    "volumequote",
    "volumeto",
    "quoteav",
    "quotevol",
    "turnover",
    "quoteturnover",
    "volumecurrency",
    "volccyquote",
];
const MORE: [(Field, &[&str]); 5] = [
    (Field::Interval, &["interval", "timeframe"]),
    (Field::CloseTime, &["closetime", "timeperiodend", "periodend", "timeclose", "endtime"]),
    (
        Field::Count,
        &["count", "trades", "numberoftrades", "tradecount", "tradescount", "numtrades", "ntrades", "transactions"],
    ),
    (Field::Vwap, &["vwap", "weightedprice", "weightedaverage"]),
    (
        Field::TakerBuyVolume,
        &[
            "takerbuyvolume",
            "takerbuybasevolume",
            "takerbuybaseassetvolume",
            "takerbuybase",
            "tbbaseav",
            "takerbasevolume",
        ],
    ),
];
/// What stands behind `volume` where it is money. Where none of two does, the second is.
const MONEY: [&str; 24] = [
    "usd",
    "usdt",
    "usdc",
    "busd",
    "tusd",
    "fdusd",
    "usdp",
    "dai",
    "eur",
    "gbp",
    "jpy",
    "krw",
    "try",
    "brl",
    "aud",
    "cad",
    "chf",
    "rub",
    "inr",
    "currency",
    "quote",
    "quoteasset",
    "money",
    "dollars",
];
/// What stands behind `volume` where the column is none.
const NO_VOLUME: [&str; 8] = ["ma", "sma", "ema", "delta", "change", "chg", "24h", "profile"];

/// The letters and digits of a word, in lower case.
pub(super) fn key(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// What names for a field there are, for people.
pub(super) fn names_of(field: Field) -> &'static str {
    match field {
        Field::Timestamp => "timestamp, ts, ts_ms, time, date, datetime, unix, open_time, …",
        Field::Price => "price, price_usd, last, rate, …",
        Field::Open => "open",
        Field::High => "high",
        Field::Low => "low",
        _ => "close",
    }
}

/// Which column is which field, found by the words of a header.
pub(super) struct Found {
    /// Candles or ticks.
    pub format: Format,
    /// The field and its column.
    pub fields: Vec<(Field, usize)>,
    /// Whose ids the column of ids has, where there is one.
    pub ids: IdSpace,
    /// What is needed and not there, the first of it.
    pub missing: Option<Field>,
    /// Whether these are changes of an order book, whose prices nobody paid.
    pub is_book: bool,
}

impl Found {
    /// Whether any word was understood.
    pub fn is_any(&self) -> bool {
        !self.fields.is_empty()
    }
}

/// Looks for the fields. `keys` are the header's words as [`key`] gives them; fields in `given` have their columns
/// already, or are not wanted at all.
pub(super) fn find(keys: &[String], given: &[(Field, Option<usize>)]) -> Found {
    let mut search = Search { keys, given, found: Vec::new() };
    let bars: Vec<Option<usize>> = BARS.iter().map(|(field, names)| search.column(*field, names)).collect();
    let plain_price = search.column(Field::Price, &PRICE[..2]);
    let is_bar_without_close = bars[..3].iter().all(Option::is_some) && bars[3].is_none();
    // Investing.com calls the close its price, and has these beside it.
    let is_price_given = given.iter().any(|(field, _)| *field == Field::Price);
    let price_is_close = is_bar_without_close
        && plain_price.is_some()
        && !is_price_given
        && ["vol", "change"].iter().any(|word| search.has(word));
    let is_candle = bars.iter().all(Option::is_some) && plain_price.is_none() || price_is_close;
    let mut ids = IdSpace::Plain;
    search.place(Field::Symbol, SYMBOL);
    if is_candle {
        if !search.place(Field::Timestamp, OPEN_TIME) {
            search.place(Field::Timestamp, TIMESTAMP);
        }
        for (field, names) in BARS {
            search.place(field, names);
        }
        if price_is_close {
            search.place(Field::Close, &PRICE[..2]);
        }
        search.place_volumes();
        for (field, names) in MORE {
            search.place(field, names);
        }
    } else {
        let has_bars = bars.iter().any(Option::is_some);
        search.place(Field::Timestamp, TIMESTAMP);
        search.place(Field::Price, PRICE);
        if has_bars {
            search.place(Field::Size, SIZE_BESIDE_BARS);
            for (field, names) in BARS {
                search.place(field, names);
            }
            search.place(Field::Volume, &VOLUME[..1]);
        } else {
            search.place(Field::Size, SIZE);
        }
        search.place(Field::Side, SIDE);
        search.place(Field::BuyerMaker, BUYER_MAKER);
        ids = search.place_ids();
    }
    let has = |field| search.found.iter().any(|(found, _)| *found == field);
    // Three of a bar's four prices: the fourth is missed, not a price.
    let bar = BARS.into_iter().zip(&bars).filter(|(_, at)| at.is_none()).map(|((field, _), _)| field);
    let missing_bar = bar.clone().next().filter(|_| bar.count() == 1 && !has(Field::Price));
    let missing = if !has(Field::Timestamp) {
        Some(Field::Timestamp)
    } else if !is_candle && !has(Field::Price) {
        Some(missing_bar.unwrap_or(Field::Price))
    } else {
        None
    };
    let format = if is_candle { Format::Candle } else { Format::Tick };
    let is_book = search.has("issnapshot");
    Found { format, fields: search.found, ids, missing, is_book }
}

struct Search<'k> {
    keys: &'k [String],
    given: &'k [(Field, Option<usize>)],
    found: Vec<(Field, usize)>,
}

impl Search<'_> {
    fn has(&self, word: &str) -> bool {
        self.keys.iter().any(|key| key == word)
    }

    /// The column of a field: the one that was named for it, else the first of its names. None has two fields.
    fn column(&self, field: Field, names: &[&str]) -> Option<usize> {
        if let Some((_, given)) = self.given.iter().find(|(named, _)| *named == field) {
            return *given;
        }
        let is_free = |at: &usize| self.given.iter().all(|(_, given)| given != &Some(*at));
        names.iter().find_map(|name| self.keys.iter().position(|key| key == name).filter(is_free))
    }

    fn place(&mut self, field: Field, names: &[&str]) -> bool {
        let at = self.column(field, names);
        self.found.extend(at.map(|at| (field, at)));
        at.is_some()
    }

    /// The column of ids, and of which exchange they are; says whose they are.
    fn place_ids(&mut self) -> IdSpace {
        let found = match self.given.iter().find(|(named, _)| *named == Field::TradeId) {
            Some((_, given)) => given.map(|at| (at, IdSpace::Plain)),
            None => ids::column(self.keys),
        };
        self.found.extend(found.map(|(at, _)| (Field::TradeId, at)));
        self.found.extend(ids::exchange(self.keys).map(|at| (Field::Exchange, at)));
        found.map_or(IdSpace::Plain, |(_, ids)| ids)
    }

    /// The volume and what it was worth, where there are two that could be it.
    fn place_volumes(&mut self) {
        let by_name = self.place(Field::Volume, VOLUME);
        let worth = self.place(Field::QuoteVolume, QUOTE_VOLUME);
        let asset = |key: &String| match key.strip_prefix("volume") {
            Some(asset) if !asset.is_empty() && asset.len() <= 10 && !NO_VOLUME.contains(&asset) => {
                Some(asset.to_owned())
            }
            _ => None,
        };
        let is_known = |at: usize| self.found.iter().any(|(_, found)| *found == at);
        let named: Vec<(usize, String)> = self
            .keys
            .iter()
            .enumerate()
            .filter(|(at, _)| !is_known(*at))
            .filter_map(|(at, key)| Some((at, asset(key)?)))
            .collect();
        let is_money = |name: &String| MONEY.contains(&name.as_str());
        let mut base = named.iter().find(|(_, name)| !is_money(name)).map(|(at, _)| *at);
        let mut money = named.iter().find(|(_, name)| is_money(name)).map(|(at, _)| *at);
        if let [(first, _), (second, _)] = named[..]
            && (base.is_none() || money.is_none())
        {
            (base, money) = (Some(first), Some(second));
        }
        let is_given = |field| self.given.iter().any(|(named, _)| *named == field);
        if !by_name && !is_given(Field::Volume) {
            self.found.extend(base.map(|at| (Field::Volume, at)));
        }
        if !worth && !is_given(Field::QuoteVolume) {
            self.found.extend(money.map(|at| (Field::QuoteVolume, at)));
        }
    }
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
