//! What a venue's API has of numbers that are missing, page by page.

use super::binance::{Api, PAGE};
use super::fetch::Client;
use super::mend::Inserts;
use crate::connectors::files::index::Point;
use crate::delivery::Stop;
use crate::feeds::streams::Fault;
use crate::market::Timestamp;

/// Rows that are asked for of one hole, or of what is newer than the archives: 2,000 pages, 10 minutes.
const ROWS_MAX: usize = 2_000_000;

/// What an API was asked for, and what became of it.
pub struct Asked {
    /// What it has, by number.
    pub rows: Inserts,
    /// The first of them.
    pub first: Option<Point>,
    /// The last.
    pub last: Option<Point>,
    /// Why not all of it was had.
    pub failed: Option<String>,
}

/// Asks for the rows from number `first` on that are before both number `end` and time `to`; one before `from` is no answer.
///
/// # Errors
/// When it was stopped.
pub fn ask(
    api: &Api,
    client: &Client,
    market: &str,
    (first, end): (u64, u64),
    (from, to): (Timestamp, Timestamp),
    stop: &Stop,
) -> Result<Asked, Fault> {
    let mut asked = Asked { rows: Inserts::new(), first: None, last: None, failed: None };
    let mut next = first;
    while next < end {
        let url = api.url(market, next, to);
        let page = client.text(&url).and_then(|body| {
            let body = body.ok_or_else(|| Fault::new("refused", "HTTP 404: look at history.api_url"))?;
            let page = api.read(&body).map_err(|what| Fault::new("protocol", what))?;
            let is_wrong = |point: &Point| point.id >= first && point.id < end && point.at < from.millis();
            match page.iter().map(|(point, _)| point).find(|point| is_wrong(point)) {
                Some(Point { id, at }) => {
                    let at = Timestamp::from_millis(*at);
                    Err(Fault::new("protocol", format!("its row {id} is of {at}: {from} or later was asked for")))
                }
                None => Ok(page),
            }
        });
        let page = match page {
            Ok(page) => page,
            Err(fault) if fault.kind == "stopped" => return Err(fault),
            Err(fault) => {
                asked.failed = Some(format!("{url}: {fault}"));
                break;
            }
        };
        let count = page.len() as u64;
        let Some((last, _)) = page.last().map(|(point, row)| (*point, row)) else { break };
        for (point, row) in page {
            if point.id >= first && point.id < end && point.at < to.millis() {
                asked.first = asked.first.or(Some(point));
                asked.last = Some(point);
                asked.rows.insert(point.id, row);
            }
        }
        if last.id < next || last.at >= to.millis() || count < PAGE {
            break;
        }
        next = last.id + 1;
        if asked.rows.len() >= ROWS_MAX {
            asked.failed = Some(format!("more than {ROWS_MAX} rows are missing, and so many are asked for at most"));
            break;
        }
        if !stop.sleep(api.page_every()) {
            return Err(Fault::new("stopped", "stopped"));
        }
    }
    Ok(asked)
}
