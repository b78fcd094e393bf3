//! Binance's HTTP API, for what its archives lack: rows as its archives have them.
//!
//! <https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints>

use super::content::{NUMBER_MAX, Rows};
use crate::config::HistoryKind;
use crate::connectors::files::index::Point;
use crate::market::Timestamp;
use crate::market::time::{TIMESTAMP_END, TIMESTAMP_MIN};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;

/// Rows of a page, at most.
pub const PAGE: u64 = 1000;

/// The API of one of its markets.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    path: &'static str,
    rows: Rows,
}

#[derive(Deserialize)]
struct Trade<'a> {
    id: u64,
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
    #[serde(borrow, rename = "quoteQty")]
    quote: &'a RawValue,
    time: i64,
    #[serde(rename = "isBuyerMaker")]
    buyer_is_maker: bool,
    #[serde(rename = "isBestMatch")]
    is_best_match: Option<bool>,
}

#[derive(Deserialize)]
struct Aggregate<'a> {
    a: u64,
    #[serde(borrow)]
    p: &'a RawValue,
    #[serde(borrow)]
    q: &'a RawValue,
    f: u64,
    l: u64,
    #[serde(rename = "T")]
    time: i64,
    m: bool,
    #[serde(rename = "M")]
    best: Option<bool>,
}

fn unquoted(raw: &RawValue) -> &str {
    raw.get().trim_matches('"')
}

/// Whether a text is a number and no more, as a cell of a table may have it.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'))
}

fn cells(cells: &[&str]) -> Result<String, String> {
    match cells.iter().find(|cell| !is_plain(cell)) {
        Some(cell) => Err(format!("{cell:?} is no number")),
        None => Ok(cells.join(",")),
    }
}

impl Api {
    /// The API of a market, at `base` or where it is; none where what is wanted needs a key.
    #[must_use]
    pub fn new(market: &str, base: Option<&str>, rows: Rows) -> Option<Self> {
        let (own, path) = match market {
            "spot" => ("https://data-api.binance.vision", "/api/v3"),
            "futures/um" => ("https://fapi.binance.com", "/fapi/v1"),
            "futures/cm" => ("https://dapi.binance.com", "/dapi/v1"),
            _ => return None,
        };
        let needs_key = rows.kind == HistoryKind::Trades && market != "spot";
        let base = base.unwrap_or(own).trim_end_matches('/').to_owned();
        (!needs_key).then_some(Self { base, path, rows })
    }

    /// How often it may be asked: a page of trades weighs 25, others up to 10; 2,400 a minute are allowed of futures, 6,000 of spot.
    #[must_use]
    pub const fn page_every(&self) -> Duration {
        Duration::from_millis(300)
    }

    /// The address of the page that begins with this number, and ends before `to`.
    #[must_use]
    pub fn url(&self, market: &str, first: u64, to: Timestamp) -> String {
        let Self { base, path, rows } = self;
        match rows.kind {
            HistoryKind::Klines => {
                let from = first.saturating_mul(rows.interval.millis().unsigned_abs());
                let interval = rows.interval;
                let to = to.millis() - 1;
                format!(
                    "{base}{path}/klines?symbol={market}&interval={interval}&startTime={from}&endTime={to}&limit={PAGE}"
                )
            }
            HistoryKind::Trades => format!("{base}{path}/historicalTrades?symbol={market}&fromId={first}&limit={PAGE}"),
            HistoryKind::AggTrades => format!("{base}{path}/aggTrades?symbol={market}&fromId={first}&limit={PAGE}"),
        }
    }

    /// The rows of a page.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, body: &str) -> Result<Vec<(Point, Vec<u8>)>, String> {
        let wrong = |error: serde_json::Error| error.to_string();
        let mut found = Vec::new();
        let flag = |best: Option<bool>| best.map_or(String::new(), |best| format!(",{best}"));
        match self.rows.kind {
            HistoryKind::Klines => {
                for row in serde_json::from_str::<Vec<Vec<&RawValue>>>(body).map_err(wrong)? {
                    let row: Vec<&str> = row.iter().map(|cell| unquoted(cell)).collect();
                    if row.len() != 12 {
                        return Err(format!("a candle has {} elements", row.len()));
                    }
                    let at: i64 = row[0].parse().map_err(|_| format!("{:?} is no time", row[0]))?;
                    let id = at.div_euclid(self.rows.interval.millis().max(1)).max(0).unsigned_abs();
                    found.push((Point { id, at }, cells(&row)?.into_bytes()));
                }
            }
            HistoryKind::Trades => {
                for trade in serde_json::from_str::<Vec<Trade<'_>>>(body).map_err(wrong)? {
                    let Trade { id, price, qty, quote, time, buyer_is_maker, is_best_match } = trade;
                    let row =
                        cells(&[&id.to_string(), unquoted(price), unquoted(qty), unquoted(quote), &time.to_string()])?;
                    let row = format!("{row},{buyer_is_maker}{}", flag(is_best_match));
                    found.push((Point { id, at: time }, row.into_bytes()));
                }
            }
            HistoryKind::AggTrades => {
                for trade in serde_json::from_str::<Vec<Aggregate<'_>>>(body).map_err(wrong)? {
                    let Aggregate { a, p, q, f, l, time, m, best } = trade;
                    let row = cells(&[
                        &a.to_string(),
                        unquoted(p),
                        unquoted(q),
                        &f.to_string(),
                        &l.to_string(),
                        &time.to_string(),
                    ])?;
                    found.push((Point { id: a, at: time }, format!("{row},{m}{}", flag(best)).into_bytes()));
                }
            }
        }
        for (Point { id, at }, _) in &found {
            if *id > NUMBER_MAX {
                return Err(format!("{id} is no id"));
            }
            if !(TIMESTAMP_MIN..TIMESTAMP_END).contains(&Timestamp::from_millis(*at)) {
                return Err(format!("{at} is no time in milliseconds"));
            }
        }
        found.sort_by_key(|(point, _)| point.id);
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Span;

    #[test]
    fn documented_answers_are_rows_of_the_archives() {
        let api = |kind| {
            let (interval, slack) = (Span::from_millis(60_000), Span::from_millis(0));
            let rows = Rows { kind, interval, contiguous: true, slack };
            Api::new("spot", Some("http://a/"), rows).unwrap()
        };
        let read = |kind, body: &str| {
            let mut rows = api(kind).read(body).unwrap();
            let (point, row) = rows.remove(0);
            (point.id, point.at, String::from_utf8(row).unwrap())
        };
        let kline = r#"[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,"2434.19055334",308,"1756.87402397","28.46694368","0"]]"#;
        assert_eq!(
            read(HistoryKind::Klines, kline),
            (24_984_000, 1_499_040_000_000, "1499040000000,0.01634790,0.80000000,0.01575800,0.01577100,148976.11427815,1499644799999,2434.19055334,308,1756.87402397,28.46694368,0".to_owned())
        );
        let trade = r#"[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true}]"#;
        let row = "28457,4.00000100,12.00000000,48.000012,1499865549590,true,true";
        assert_eq!(read(HistoryKind::Trades, trade), (28_457, 1_499_865_549_590, row.to_owned()));
        let aggregate = r#"[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true,"M":true}]"#;
        let row = "26129,0.01633102,4.70443515,27781,27781,1498793709153,true,true";
        assert_eq!(read(HistoryKind::AggTrades, aggregate), (26_129, 1_498_793_709_153, row.to_owned()));
        for wrong in ["{}", "<html>", r#"[{"a":1,"p":"1,2","q":"1","f":1,"l":1,"T":1,"m":true}]"#] {
            assert!(api(HistoryKind::AggTrades).read(wrong).is_err(), "{wrong}");
        }
        let one = Span::from_millis(1);
        let rows = Rows { kind: HistoryKind::Trades, interval: one, contiguous: true, slack: one };
        assert!(Api::new("futures/um", None, rows).is_none(), "it wants a key");
    }
}
