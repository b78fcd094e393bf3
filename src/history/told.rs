//! Venues without archives: what their APIs tell of each day, in files of the records that `collect` and `live` publish.
//!
//! A day that is over is asked for once. Trades are walked by their ids (of Kraken by its cursor), from the first one behind the
//! beginning, which is looked for by halves.

use super::content::{Content, NUMBER_MAX};
use super::fetch::Client;
use super::files::digest;
use super::journal::{Entry, Journal};
use super::mend::{self, Inserts};
use super::period::{Period, periods};
use super::repair::TOLD;
use super::{HistoryError, Request, address, choose};
use crate::config::HistoryKind;
use crate::connectors::files::index::{Hole, Listed, Point, Series};
use crate::delivery::Stop;
use crate::feeds::streams::venues::{Venue, Want};
use crate::feeds::streams::{self as feeds, Fault, Names, Trade};
use crate::market::{Span, Timestamp};
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;
/// A minute is over for the venue, too, so long after it has ended.
const SETTLED: Span = Span::from_millis(5_000);
/// Ids that are wanted at once: more than a page has.
const IDS: u64 = 2_000;
/// No id is looked for beyond.
const ID_MAX: u64 = 1 << 40;

/// Trades of a day that are kept in memory, at most: the busiest markets have a tenth.
const DAY_ROWS_MAX: usize = 20_000_000;

/// Who is asked, and where to.
pub struct Telling<'a> {
    /// What is wanted.
    pub request: &'a Request,
    /// Who asks.
    pub client: &'a Client,
    /// Who is asked.
    pub venue: &'a dyn Venue,
    /// What is known.
    pub journal: &'a Journal,
    /// Whether to stop.
    pub stop: &'a Stop,
}

/// The rows of a day with their times, by number.
type Day = BTreeMap<u64, (i64, Vec<u8>)>;

impl Telling<'_> {
    /// The days of a market.
    ///
    /// # Errors
    /// When it was stopped, the venue does not answer, or this disk does not take a file.
    pub fn series(&self, symbol: &str, market: &str) -> Result<Series, HistoryError> {
        let names = Names::new(symbol.to_owned(), self.venue.name().to_owned(), market.to_owned());
        let mut series = Series {
            symbol: symbol.to_owned(),
            market: market.to_owned(),
            files: vec![],
            holes: vec![],
            faults: vec![],
            differs: vec![],
        };
        let entries = match self.request.config.kind {
            HistoryKind::Klines => self.candles(&names, &mut series.holes)?,
            _ => self.trades(&names)?,
        };
        if self.request.config.kind != HistoryKind::Klines {
            let hole = |gap: choose::Gap| Hole {
                after: gap.after,
                before: gap.before,
                missing: gap.missing(),
                reason: "not_at_the_venue".to_owned(),
                why: "the venue's API leaves these ids out".to_owned(),
            };
            series.holes.extend(choose::gaps(&entries).into_iter().map(hole));
        }
        series.files = entries.into_iter().map(|entry| entry.listed).collect();
        Ok(series)
    }

    fn ask(&self, path: &str) -> Result<String, HistoryError> {
        let config = &self.request.config;
        let base = config.api_url.as_deref().unwrap_or(self.venue.api_url()).trim_end_matches('/');
        let body = self.client.text(&format!("{base}{path}"))?;
        let body =
            body.ok_or_else(|| Fault::new("refused", format!("{base}{path}: HTTP 404: look at history.symbols")))?;
        if self.stop.sleep(self.venue.page_every()) { Ok(body) } else { Err(HistoryError::Stopped) }
    }

    fn wrong(&self, what: &str) -> HistoryError {
        HistoryError::Failed(format!("{}: {what}", self.venue.name()))
    }

    fn candles(&self, names: &Names, holes: &mut Vec<Hole>) -> Result<Vec<Entry>, HistoryError> {
        let Request { now, .. } = self.request;
        let pages = self.venue.candle_pages();
        let floor = |at: Timestamp| at.millis().div_euclid(MINUTE_MS) * MINUTE_MS;
        let ceil = |at: Timestamp| (at.millis() + MINUTE_MS - 1).div_euclid(MINUTE_MS) * MINUTE_MS;
        let mut from = ceil(self.request.from);
        let to = floor(self.request.to.min(now.minus(SETTLED)));
        if let Some(back) = pages.back {
            let first = floor(*now) - back * MINUTE_MS;
            if from < first {
                let [after, before] = [from, first.min(to)].map(|at| Point { id: (at / MINUTE_MS) as u64, at });
                let why = format!("{}'s API has the last {back} minutes", self.venue.name());
                let missing = before.id - after.id;
                holes.push(Hole { after, before, missing, reason: "not_at_the_venue".to_owned(), why });
                from = first;
            }
        }
        let mut entries = Vec::new();
        let [begin, end] = [from, to].map(Timestamp::from_millis);
        for day in periods(begin, end, false) {
            let (from, to) = (day.begin().max(begin), day.end().min(end));
            if let Some(known) = self.known(names, day, from, to) {
                entries.push(known);
                continue;
            }
            let mut rows = Day::new();
            let mut at = from;
            while at < to {
                let until = to.min(at.plus(Span::from_millis(pages.minutes * MINUTE_MS)));
                let body = self.ask(&self.venue.candles(&names.market, at, until))?;
                let candles = self.venue.read_candles(&body).map_err(|what| self.wrong(&what))?;
                for candle in candles.into_iter().filter(|c| c.open_at >= at && c.open_at < until && !c.is_empty) {
                    let mut row = Vec::new();
                    candle.write(names, &mut row);
                    let open = candle.open_at.millis();
                    rows.insert((open / MINUTE_MS) as u64, (open, row));
                }
                at = until;
            }
            entries.extend(self.keep(names, day, (from, to), rows)?);
        }
        Ok(entries)
    }

    fn trades(&self, names: &Names) -> Result<Vec<Entry>, HistoryError> {
        let Request { from, to, .. } = self.request;
        let mut entries = Vec::new();
        // Where the walk stands: behind the trades of days that are known.
        let mut walk: Option<Want> = None;
        let mut kept = Day::new();
        for day in periods(*from, *to, false) {
            let (begin, end) = (day.begin().max(*from), day.end().min(*to));
            if let Some(known) = self.known(names, day, begin, end) {
                walk = known.listed.last.map(|last| self.want(names, last.id + 1, Timestamp::from_millis(last.at)));
                kept.clear();
                entries.push(known);
                continue;
            }
            let mut want = match walk.take() {
                Some(want) => want,
                None => self.begin(names, begin)?,
            };
            let mut rows = std::mem::take(&mut kept);
            let mut is_over = rows.values().any(|(at, _)| *at >= end.millis());
            while !is_over {
                let trades = self.page(&mut want)?;
                if trades.is_empty() {
                    break;
                }
                if rows.len() > DAY_ROWS_MAX {
                    return Err(self.wrong(&format!("{day} has more than {DAY_ROWS_MAX} trades")));
                }
                for (id, at, trade) in trades {
                    if at >= begin.millis() {
                        let mut row = Vec::new();
                        feeds::write_told(names, &trade, &mut row);
                        rows.insert(id, (at, row));
                        is_over |= at >= end.millis();
                    }
                }
            }
            // What is of the next day waits for it.
            (kept, rows) = rows.into_iter().partition(|(_, (at, _))| *at >= end.millis());
            walk = Some(want);
            entries.extend(self.keep(names, day, (begin, end), rows)?);
        }
        Ok(entries)
    }

    /// What to ask for from an id on; `at`: when the one before was traded.
    fn want(&self, names: &Names, first: u64, at: Timestamp) -> Want {
        let hole = feeds::Hole { first, last: first + IDS };
        Want { number: 0, market: names.market.clone(), hole, after_at: format!("\"{at}\"").into(), cursor: None }
    }

    /// The next trades from where it stands, by id; moves on behind them. None at the end.
    fn page(&self, want: &mut Want) -> Result<Vec<(u64, i64, Trade)>, HistoryError> {
        let first = want.hole.first;
        loop {
            let body = self.ask(&self.venue.page(want))?;
            let page = self.venue.read_page(want, &body).map_err(|what| self.wrong(&what))?;
            let found = taken(page.trades, first).map_err(|what| self.wrong(&what))?;
            // Whose pages begin at a time may have told of others first.
            let goes_on = found.is_empty() && page.cursor.is_some() && page.cursor != want.cursor;
            want.cursor = page.cursor;
            if goes_on {
                continue;
            }
            if let Some((id, _, trade)) = found.last() {
                want.hole = feeds::Hole { first: id + 1, last: id + 1 + IDS };
                want.after_at.clone_from(&trade.at);
            }
            return Ok(found);
        }
    }

    /// Where the trades of a moment begin.
    fn begin(&self, names: &Names, at: Timestamp) -> Result<Want, HistoryError> {
        if self.venue.name() == "kraken" {
            // Its cursor is a time.
            return Ok(Want { cursor: Some(format!("{}000000", at.millis())), ..self.want(names, 0, at) });
        }
        // The first trade at or behind an id; none behind the last.
        let seen = |id: u64| -> Result<Option<(u64, i64)>, HistoryError> {
            let page = self.page(&mut self.want(names, id, at))?;
            Ok(page.first().map(|(id, at, _)| (*id, *at)))
        };
        let (mut low, mut high) = (1_u64, 1 << 10);
        while high < ID_MAX && seen(high)?.is_some_and(|(_, found)| found < at.millis()) {
            (low, high) = (high, high * 4);
        }
        while high - low > IDS / 4 {
            let middle = low + (high - low) / 2;
            match seen(middle)? {
                Some((_, found)) if found < at.millis() => low = middle,
                _ => high = middle,
            }
        }
        Ok(self.want(names, low, at))
    }

    fn path(&self, names: &Names, day: Period) -> String {
        address::path(&names.market, self.request.config.kind.name(), &day.to_string()) + TOLD
    }

    /// A whole day that is over and was had.
    fn known(&self, names: &Names, day: Period, from: Timestamp, to: Timestamp) -> Option<Entry> {
        let is_whole = (from, to) == (day.begin(), day.end());
        self.journal.known(&self.request.config.dir, &self.path(names, day)).filter(|_| is_whole)
    }

    /// Writes a day; nothing where it has no row.
    fn keep(
        &self,
        names: &Names,
        day: Period,
        (from, to): (Timestamp, Timestamp),
        rows: Day,
    ) -> Result<Option<Entry>, HistoryError> {
        if rows.is_empty() {
            return Ok(None);
        }
        let path = self.path(names, day);
        let whole = self.request.config.dir.join(&path);
        let wrong = |error: std::io::Error| HistoryError::Failed(format!("{}: {error}", whole.display()));
        if let Some(parent) = whole.parent() {
            std::fs::create_dir_all(parent).map_err(wrong)?;
        }
        let points: Vec<Point> = rows.iter().map(|(id, (at, _))| Point { id: *id, at: *at }).collect();
        let content = Content {
            rows: points.len() as u64,
            first: points.first().copied(),
            last: points.last().copied(),
            breaks: points.windows(2).filter(|two| two[1].id > two[0].id + 1).map(|two| (two[0], two[1])).collect(),
            ..Content::default()
        };
        let lines: Inserts = rows.into_iter().map(|(id, (_, row))| (id, row)).collect();
        mend::whole(lines, &whole).map_err(HistoryError::Failed)?;
        let listed = Listed {
            path,
            bytes: std::fs::metadata(&whole).map_err(wrong)?.len(),
            sha256: digest(&whole).map_err(wrong)?,
            rows: content.rows,
            first: content.first,
            last: content.last,
            url: self.request.config.api_url.clone().unwrap_or_else(|| self.venue.api_url().to_owned()),
            etag: None,
            checked: false,
        };
        let entry = Entry { listed, period: day, content };
        if (from, to) == (day.begin(), day.end()) && day.end() <= self.request.now.minus(SETTLED) {
            self.journal.add(&entry).map_err(wrong)?;
        }
        Ok(Some(entry))
    }
}

/// The trades of a page from an id on, with ids and times.
///
/// # Errors
/// When one has none that the job could read.
pub fn taken(trades: Vec<Trade>, first: u64) -> Result<Vec<(u64, i64, Trade)>, String> {
    let wanted = trades.into_iter().filter(|trade| trade.id >= first);
    let timed = wanted.map(|trade| {
        if trade.id > NUMBER_MAX {
            return Err(format!("{} is no id of a trade", trade.id));
        }
        let at = Timestamp::parse(trade.at.trim_matches('"').as_bytes());
        Ok((trade.id, at.map_err(|error| format!("a trade's time: {error}"))?.millis(), trade))
    });
    timed.collect()
}
