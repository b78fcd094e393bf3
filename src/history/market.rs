//! The files of each market: months where they are good, days where they are not.

use super::choose::{prefer_days, suspects};
use super::files::{Archive, Outcome};
use super::journal::Entry;
use super::period::{Period, periods};
use super::{HistoryError, Request, pool};
use crate::config::{HistoryFiles, HistoryVenue};
use crate::connectors::files::index::Faulty;
use crate::feeds::streams::Fault;
use crate::market::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many files that are not given, and none that is: the venue is not there.
const NOT_GIVEN_MAX: usize = 3;
/// How often it is said how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// A month's file is published within these days of its end.
const MONTH_SETTLED_MS: i64 = 10 * 86_400_000;

/// What was had of a market.
pub struct Market {
    /// As the job knows it.
    pub symbol: String,
    /// The venue's spelling.
    pub name: String,
    /// Its files, in the order of time.
    pub entries: Vec<Entry>,
    /// Files that were no good.
    pub faults: Vec<Faulty>,
    /// Days and months that the venue has no file of.
    pub absent: Vec<Period>,
}

/// A file to be had: whose, and when.
type Job = (usize, Period);

/// The counts of a run.
struct Progress {
    total: AtomicUsize,
    done: AtomicUsize,
    answered: AtomicUsize,
    not_given: AtomicUsize,
    said: Mutex<Instant>,
}

impl Progress {
    fn tell(&self) {
        let done = self.done.fetch_add(1, Relaxed) + 1;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= SAY_EVERY {
            *said = Instant::now();
            tracing::info!("{done} of {} files", self.total.load(Relaxed));
        }
    }
}

/// Has the files of all markets here.
///
/// # Errors
/// When it was stopped, the disk does not take them, or no file is given at all.
pub fn fetch(request: &Request, archive: &Archive<'_>) -> Result<Vec<Market>, HistoryError> {
    let mut markets: Vec<Market> = request.markets.iter().map(|(symbol, name)| Market::new(symbol, name)).collect();
    let progress = Progress {
        total: AtomicUsize::new(0),
        done: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
        not_given: AtomicUsize::new(0),
        said: Mutex::new(Instant::now()),
    };
    // Of a day that is not over there is no file.
    let end = request.to.min(Period::day_of(request.now).begin());
    let with_months = request.config.venue == HistoryVenue::Binance && request.config.files == HistoryFiles::Auto;
    let mut wanted = periods(request.from, end, with_months);
    if request.config.venue == HistoryVenue::Tardis && request.config.url.is_none() {
        tracing::info!("of tardis the first day of each month is free, and asked for");
        wanted.retain(|period| Period::month_of(period.begin()).begin() == period.begin());
    }
    let jobs: Vec<Job> = (0..markets.len()).flat_map(|at| wanted.iter().map(move |period| (at, *period))).collect();
    had(request, archive, &mut markets, &jobs, &progress)?;
    // Days of months that are not right, once each: what is asked for last may show another.
    let mut tried: BTreeSet<(usize, i64)> = BTreeSet::new();
    loop {
        let mut jobs: BTreeMap<usize, Vec<Period>> = BTreeMap::new();
        for (at, market) in markets.iter().enumerate() {
            let mut months = suspects(&market.entries);
            months.extend(market.without_file(request.now));
            months.retain(|month| tried.insert((at, month.begin().millis())));
            if !months.is_empty() {
                jobs.insert(at, months);
            }
        }
        if jobs.is_empty() {
            break;
        }
        for (at, months) in jobs {
            for month in months {
                tracing::info!("{}: asks for the days of {month}", markets[at].name);
                // Into a market of their own, to be compared.
                let mut beside = vec![Market::new(&markets[at].symbol, &markets[at].name)];
                let days: Vec<Job> = month.days().filter(|day| day.begin() < end).map(|day| (0, day)).collect();
                had(request, archive, &mut beside, &days, &progress)?;
                let Some(beside) = beside.pop() else { continue };
                let market = &mut markets[at];
                market.faults.extend(beside.faults);
                market.absent.extend(beside.absent);
                prefer_days(&mut market.entries, month, beside.entries);
            }
        }
    }
    Ok(markets)
}

/// Has these files here, and notes what came of each.
fn had(
    request: &Request,
    archive: &Archive<'_>,
    markets: &mut [Market],
    jobs: &[Job],
    progress: &Progress,
) -> Result<(), HistoryError> {
    progress.total.fetch_add(jobs.len(), Relaxed);
    let names: Vec<String> = markets.iter().map(|market| market.name.clone()).collect();
    let outcomes = pool::all(jobs, request.config.parallel, |(at, period)| {
        let outcome = match archive.have(&names[*at], *period) {
            // Some stores refuse what they do not have.
            Err(fault) if fault.kind == "blocked" && progress.answered.load(Relaxed) > 0 => {
                Outcome::Faulty { reason: "not_given", why: format!("{} {period}: {fault}", names[*at]) }
            }
            outcome => outcome?,
        };
        match &outcome {
            Outcome::Faulty { reason: "not_given", why } => {
                let not_given = progress.not_given.fetch_add(1, Relaxed) + 1;
                if not_given >= NOT_GIVEN_MAX && progress.answered.load(Relaxed) == 0 {
                    return Err(Fault::new("no_connection", format!("no file is given: {why}")));
                }
            }
            _ => drop(progress.answered.fetch_add(1, Relaxed)),
        }
        progress.tell();
        Ok(outcome)
    })?;
    for ((at, period), outcome) in jobs.iter().zip(outcomes) {
        let market = &mut markets[*at];
        match outcome {
            Outcome::Good(entry) => market.entries.push(*entry),
            Outcome::Absent => market.absent.push(*period),
            Outcome::Faulty { reason, why } => {
                tracing::warn!("{} {period}: {why}", market.name);
                market.faults.push(Faulty { period: period.to_string(), reason: reason.to_owned(), why });
            }
        }
    }
    for market in markets {
        market.entries.sort_by_key(|entry| entry.period.begin());
    }
    Ok(())
}

impl Market {
    fn new(symbol: &str, name: &str) -> Self {
        let (symbol, name) = (symbol.to_owned(), name.to_owned());
        Self { symbol, name, entries: vec![], faults: vec![], absent: vec![] }
    }

    /// Months of which there is no file, or no good one, and whose days may be there: none of before the first file that there is,
    /// when the market may not have been listed, and none of long after the last.
    fn without_file(&self, now: Timestamp) -> Vec<Period> {
        let is_month = |period: &&Period| matches!(period, Period::Month(_));
        let first = self.entries.first().map(|entry| entry.period.begin());
        let last = self.entries.last().map(|entry| entry.period.end());
        let is_recent = |month: &Period| now.millis() - month.end().millis() < MONTH_SETTLED_MS;
        let absent = self.absent.iter().filter(is_month).filter(|month| {
            let is_between =
                first.is_some_and(|first| month.begin() > first) && last.is_some_and(|last| month.begin() <= last);
            is_between || is_recent(month)
        });
        let faulty = self.faults.iter().filter_map(|fault| month(&fault.period));
        absent.copied().chain(faulty).collect()
    }
}

/// The month that is written so; none of a day.
fn month(text: &str) -> Option<Period> {
    let first = Timestamp::parse(format!("{text}-01T00:00:00Z").as_bytes()).ok()?;
    Some(Period::month_of(first))
}
