//! The files of each market: months where they are good, days where they are not.

use super::choose::{prefer_days, suspects};
use super::compare::{Incomparable, Rising, compare};
use super::files::{Archive, NOT_RECHECKED, Outcome};
use super::journal::{Compared, Entry};
use super::period::{Period, periods};
use super::{HistoryError, Request, pool};
use crate::config::{HistoryConfig, HistoryFiles, HistoryVenue};
use crate::connectors::files::index::{Differs, Faulty};
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
    /// Months whose file is not as their days have it.
    pub differs: Vec<Differs>,
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
    let HistoryConfig { venue, files, url, .. } = &request.config;
    let with_months = *venue == HistoryVenue::Binance && *files != HistoryFiles::Daily;
    let mut wanted = periods(request.from, end, with_months);
    if *venue == HistoryVenue::Tardis && url.is_none() {
        tracing::info!("of tardis the first day of each month is free, and asked for");
        wanted.retain(|period| Period::month_of(period.begin()).begin() == period.begin());
    }
    let jobs: Vec<Job> = (0..markets.len()).flat_map(|at| wanted.iter().map(move |period| (at, *period))).collect();
    had(request, archive, &mut markets, &jobs, &progress)?;
    // Days of months that are not right, once each: what is asked for last may show another. Then those of all others, where they
    // are to be compared.
    let mut tried: BTreeSet<(usize, i64)> = BTreeSet::new();
    let compares = with_months && *files == HistoryFiles::Both;
    loop {
        let mut due = |months: &dyn Fn(&Market) -> Vec<Period>| {
            let mut jobs: BTreeMap<usize, Vec<Period>> = BTreeMap::new();
            for (at, market) in markets.iter().enumerate() {
                let mut months = months(market);
                months.retain(|month| tried.insert((at, month.begin().millis())));
                if !months.is_empty() {
                    jobs.insert(at, months);
                }
            }
            jobs
        };
        let mut jobs = due(&|market| [suspects(&market.entries), market.without_file(request.now)].concat());
        if jobs.is_empty() && compares {
            jobs = due(&Market::months);
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
                market.choose(month, beside.entries, archive, compares)?;
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
            Outcome::Faulty { reason: "not_given", why } | Outcome::Kept { reason: NOT_RECHECKED, why, .. } => {
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
            Outcome::Faulty { reason, why } => market.fault(*period, reason, why),
            Outcome::Kept { entry, reason, why } => {
                market.entries.push(*entry);
                market.fault(*period, reason, why);
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
        Self { symbol, name, entries: vec![], faults: vec![], absent: vec![], differs: vec![] }
    }

    fn fault(&mut self, period: Period, reason: &str, why: String) {
        tracing::warn!("{} {period}: {why}", self.name);
        self.faults.push(Faulty { period: period.to_string(), reason: reason.to_owned(), why });
    }

    /// The months of which there is a good file.
    fn months(&self) -> Vec<Period> {
        let months = self.entries.iter().map(|entry| entry.period);
        months.filter(|period| matches!(period, Period::Month(_))).collect()
    }

    /// Takes a month's days, or its own file, and notes where these say different things.
    fn choose(
        &mut self,
        month: Period,
        days: Vec<Entry>,
        archive: &Archive<'_>,
        compares: bool,
    ) -> Result<(), HistoryError> {
        let own = self.entries.iter().find(|entry| entry.period == month).filter(|_| compares && !days.is_empty());
        let compared = own.map(|own| compared(own, &days, archive)).transpose()?;
        let is_right = !suspects(&self.entries).contains(&month);
        match compared {
            // The one is as good as the other.
            Some(Compared { difference: None, .. }) if is_right => {}
            Some(Compared { difference: Some(difference), .. }) => {
                let taken = if prefer_days(&mut self.entries, month, days) { "days" } else { "month" };
                let text = difference.text("the month's file", "its days'");
                tracing::warn!("{} {month}: its file is not as its days' have it: {text}; taken: {taken}", self.name);
                self.differs.push(Differs { period: month.to_string(), taken: taken.to_owned(), difference });
            }
            _ => drop(prefer_days(&mut self.entries, month, days)),
        }
        Ok(())
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
        let has_file = |month: &Period| self.entries.iter().any(|entry| entry.period == *month);
        let faulty = self.faults.iter().filter_map(|fault| month(&fault.period)).filter(|month| !has_file(month));
        absent.copied().chain(faulty).collect()
    }
}

/// Where a month's file is not as its days' have it; what is known of these very files is not looked at again.
fn compared(month: &Entry, days: &[Entry], archive: &Archive<'_>) -> Result<Compared, HistoryError> {
    let (one, others) = (&month.listed.sha256, days.iter().map(|day| day.listed.sha256.clone()).collect::<Vec<_>>());
    if let Some(known) = archive.journal.compared(one, &others) {
        return Ok(known);
    }
    let rising = |entries| Rising::new(archive.rows, archive.dir, entries, archive.stop);
    // A day without a file is told as such.
    let has_file = |at: i64| days.iter().any(|day| day.period.begin().millis() <= at && at < day.period.end().millis());
    let difference =
        compare(rising(std::slice::from_ref(month)), rising(days), has_file).map_err(|error| match error {
            Incomparable::Stopped => HistoryError::Stopped,
            Incomparable::Unreadable(why) => {
                HistoryError::Failed(format!("{why}: remove it, and run `tickcast history` again"))
            }
        })?;
    let compared = Compared { one: one.clone(), others, difference };
    let wrong = |error| HistoryError::Failed(format!("cannot write into {}: {error}", archive.dir.display()));
    archive.journal.add_compared(compared.clone()).map_err(wrong)?;
    Ok(compared)
}

/// The month that is written so; none of a day.
fn month(text: &str) -> Option<Period> {
    let first = Timestamp::parse(format!("{text}-01T00:00:00Z").as_bytes()).ok()?;
    Some(Period::month_of(first))
}
