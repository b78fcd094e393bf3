//! What was traded before we listened, as the venues' own candles of a minute: asked for, and published by time.

use super::backoff::Backoff;
use super::candle::{Candle, MINUTE};
use super::fault::Fault;
use super::join::Join;
use super::plan::Plan;
use super::record::Names;
use super::rest::{self, Refusal};
use super::venues::Venue;
use crate::delivery::Stop;
use crate::feeds::outbound::Outbound;
use crate::market::{Span, Timestamp};
use crate::operators::support::gauges::wall_clock;
use serde::{Serialize, Serializer};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use ureq::Agent;

/// A page is asked for so often.
const TRIES: u32 = 4;
/// Who asks to be left alone for longer is not asked again.
const PATIENCE: Duration = Duration::from_secs(20);
/// A minute is over for the venue, too, so long after it has ended.
const SETTLED: Span = Span::from_millis(5_000);
/// While some were asked for, others' last minutes have ended: they are asked for again, so often.
const ROUNDS: usize = 4;
/// Trades of a minute to look back for before a first one, where the venue's candles do not say how many there are.
const IDS_DEFAULT: u64 = 1_500;
/// And no further.
const IDS_MAX: u64 = 50_000;
/// How many of the last candles tell.
const RECENT: usize = 5;

/// What was had of a symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warmth {
    /// As the job knows it.
    pub symbol: String,
    /// Who was asked.
    pub venue: &'static str,
    /// The venue's spelling.
    pub market: String,
    /// The first minute that was asked for.
    #[serde(serialize_with = "stamp")]
    pub from: Timestamp,
    /// The end of the last one; trades follow from there.
    #[serde(serialize_with = "stamp")]
    pub to: Timestamp,
    /// Candles of minutes in which something was traded.
    pub candles: usize,
    /// Why there are none.
    pub why: Option<String>,
}

fn stamp<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// The candles of all symbols.
#[derive(Default)]
pub struct Warm {
    /// Of each venue.
    of_venue: Vec<Vec<Series>>,
    outbound: Option<Arc<Outbound>>,
}

struct Series {
    names: Names,
    venue: Arc<dyn Venue>,
    api: String,
    /// Candles that were had, and those of them that are to be published; trades in the last ones.
    had: usize,
    recent: VecDeque<Option<u64>>,
    from: Timestamp,
    through: Timestamp,
    /// When the last candle that was had opens.
    last: Option<Timestamp>,
    candles: Vec<Candle>,
    fault: Option<Fault>,
    /// All minutes up to one that was the last were had, and then no more could be.
    is_stale: bool,
}

/// A venue may write a candle so late: trades are asked for from the last one on.
const LATE: Span = Span::from_millis(300_000);

impl Warm {
    /// Asks for the candles of so long until now: of each symbol from the first of its markets. What cannot be had is left out, with
    /// the reason. `asked` counts minutes of those that are [`Warm::minutes`].
    #[must_use]
    pub fn fetch(plan: &Plan, back: Span, asked: &AtomicUsize, stop: &Stop) -> Self {
        let mut of_venue: BTreeMap<usize, Vec<Series>> = BTreeMap::new();
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (book, (place, names)) in plan.books.iter().enumerate() {
            let Entry::Vacant(vacant) = first.entry(&names.symbol) else { continue };
            vacant.insert(book);
            let (venue, _, api) = &plan.venues[*place];
            let from = begin(back, venue.as_ref());
            let (names, venue, api) = (names.clone(), Arc::clone(venue), api.clone());
            let series = Series {
                names,
                venue,
                api,
                had: 0,
                recent: VecDeque::new(),
                from,
                through: from,
                last: None,
                candles: vec![],
                fault: None,
                is_stale: false,
            };
            of_venue.entry(*place).or_default().push(series);
        }
        let outbound = Some(Arc::clone(&plan.outbound));
        let mut warm = Self { of_venue: of_venue.into_values().collect(), outbound };
        warm.go_on(asked, stop);
        warm
    }

    /// Asks for the candles of the minutes that have ended meanwhile. False where there are none.
    pub fn go_on(&mut self, asked: &AtomicUsize, stop: &Stop) -> bool {
        if let Some(outbound) = &self.outbound {
            std::thread::scope(|scope| {
                for some in &mut self.of_venue {
                    scope.spawn(|| fetch_all(some, outbound, asked, stop));
                }
            });
        }
        self.series().any(|series| !series.candles.is_empty())
    }

    fn series(&self) -> impl Iterator<Item = &Series> {
        self.of_venue.iter().flatten()
    }

    /// How many minutes are asked for.
    #[must_use]
    pub fn minutes(plan: &Plan, back: Span) -> usize {
        let mut symbols: BTreeMap<&str, usize> = BTreeMap::new();
        for (place, names) in &plan.books {
            symbols.entry(&names.symbol).or_insert(*place);
        }
        let minutes = |place: usize| {
            let from = begin(back, plan.venues[place].0.as_ref());
            usize::try_from((minute_before(wall_clock()).millis() - from.millis()) / MINUTE.millis()).unwrap_or(0)
        };
        symbols.into_values().map(minutes).sum()
    }

    /// What was had.
    #[must_use]
    pub fn told(&self) -> Vec<Warmth> {
        let told = |series: &Series| Warmth {
            symbol: series.names.symbol.clone(),
            venue: series.venue.name(),
            market: series.names.market.clone(),
            from: series.from,
            to: series.end(),
            candles: series.had,
            why: series.fault.as_ref().map(ToString::to_string),
        };
        self.series().map(told).collect()
    }

    /// Where the trades of each of the plan's markets go on behind them.
    #[must_use]
    pub fn joins(&self, plan: &Plan) -> Vec<Option<Join>> {
        let join = |(_, names): &(usize, Names)| {
            let of = self.series().find(|series| series.names.symbol == names.symbol && series.fault.is_none())?;
            let is_own = of.names.market == names.market && of.names.exchange == names.exchange;
            Some(Join::new(of.end(), of.ids(is_own)))
        };
        plan.books.iter().map(join).collect()
    }

    /// The records of all candles that were not published yet, by time: symbol, venue, value.
    ///
    /// # Errors
    /// What `publish` says.
    pub fn publish<E>(&mut self, mut publish: impl FnMut(&str, &str, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut candles: Vec<(Timestamp, usize, Candle)> = Vec::new();
        let mut all: Vec<&mut Series> = self.of_venue.iter_mut().flatten().collect();
        for (place, series) in all.iter_mut().enumerate() {
            candles.extend(series.candles.drain(..).map(|candle| (candle.open_at, place, candle)));
        }
        candles.sort_by_key(|(at, place, _)| (*at, *place));
        let mut value = Vec::new();
        for (_, place, candle) in candles {
            let series = &all[place];
            candle.write(&series.names, &mut value);
            publish(&series.names.symbol, series.venue.name(), &value)?;
        }
        Ok(())
    }
}

/// The end of the last minute that is over.
fn minute_before(now: Timestamp) -> Timestamp {
    let now = now.minus(SETTLED).millis();
    Timestamp::from_millis(now.div_euclid(MINUTE.millis()) * MINUTE.millis())
}

/// The first minute to ask a venue for.
fn begin(back: Span, venue: &dyn Venue) -> Timestamp {
    let most = venue.candle_pages().back.map_or(i64::MAX, |minutes| minutes * MINUTE.millis());
    let back = back.millis().min(most) / MINUTE.millis() * MINUTE.millis();
    minute_before(wall_clock()).minus(Span::from_millis(back))
}

/// Of one venue.
fn fetch_all(all: &mut [Series], outbound: &Outbound, asked: &AtomicUsize, stop: &Stop) {
    let agent = rest::agent(outbound);
    let mut away = None;
    for round in 0..ROUNDS {
        let end = minute_before(wall_clock());
        let is_due = |series: &&mut Series| series.fault.is_none() && !series.is_stale && series.through < end;
        for series in all.iter_mut().filter(is_due) {
            let fetched = match &away {
                Some(fault) => Err(Fault::clone(fault)),
                None => series.fetch(end, &agent, (round == 0).then_some(asked), stop),
            };
            if let Err(fault) = fetched {
                if !matches!(fault.kind, "refused" | "protocol") {
                    // What is no fault of one market is one of all: nobody waits for each of them.
                    away = Some(fault.clone());
                }
                if round > 0 || series.had > series.candles.len() {
                    // Trades are asked for from there on.
                    tracing::warn!("{}: its last candles cannot be had: {fault}", series.names);
                    series.is_stale = true;
                    continue;
                }
                tracing::warn!(
                    "{}: its candles cannot be had, so it begins with its next trade: {fault}",
                    series.names
                );
                series.had -= series.candles.len();
                series.candles.clear();
                series.fault = Some(fault);
            }
        }
    }
}

impl Series {
    fn fetch(&mut self, end: Timestamp, agent: &Agent, asked: Option<&AtomicUsize>, stop: &Stop) -> Result<(), Fault> {
        let minutes = self.venue.candle_pages().minutes;
        while self.through < end {
            let from = self.through;
            let to = end.min(from.plus(Span::from_millis(minutes * MINUTE.millis())));
            let mut page = self.page(agent, from, to, stop)?;
            page.retain(|candle| candle.open_at >= from && candle.open_at < to && !candle.is_empty);
            page.sort_by_key(|candle| candle.open_at);
            page.dedup_by_key(|candle| candle.open_at);
            self.had += page.len();
            self.last = page.last().map(|candle| candle.open_at).or(self.last);
            self.recent.extend(page.iter().map(|candle| candle.count));
            self.recent.drain(..self.recent.len().saturating_sub(RECENT));
            self.candles.append(&mut page);
            self.through = to;
            if let Some(asked) = asked {
                asked.fetch_add(((to.millis() - from.millis()) / MINUTE.millis()) as usize, Relaxed);
            }
        }
        Ok(())
    }

    fn page(&self, agent: &Agent, from: Timestamp, to: Timestamp, stop: &Stop) -> Result<Vec<Candle>, Fault> {
        let url = format!("{}{}", self.api, self.venue.candles(&self.names.market, from, to));
        let mut backoff = Backoff::default();
        let mut tries = 0;
        loop {
            let begun = Instant::now();
            let answer = rest::get(agent, &url).and_then(|body| {
                let candles = self.venue.read_candles(&body);
                candles.map_err(|what| Refusal { fault: Fault::new("protocol", what), is_final: false })
            });
            let refusal = match answer {
                Ok(candles) => {
                    pause(self.venue.page_every().saturating_sub(begun.elapsed()), stop)?;
                    return Ok(candles);
                }
                Err(refusal) => refusal,
            };
            tries += 1;
            if refusal.is_final || tries >= TRIES || refusal.fault.wait > PATIENCE {
                return Err(refusal.fault);
            }
            let wait = backoff.wait(refusal.fault.wait, crate::feeds::chance());
            tracing::debug!("{}: {}; asked again in {} s", self.names, refusal.fault, wait.as_secs());
            pause(wait, stop)?;
        }
    }

    /// Where its trades begin.
    fn end(&self) -> Timestamp {
        let last = self.last.map_or(self.from, |last| last.plus(MINUTE));
        self.through.min(last.max(self.through.minus(LATE)))
    }

    /// So many trades may lie between the last candle and the first trade that comes; of aggregates there are no more than of trades.
    fn ids(&self, is_own: bool) -> u64 {
        let minutes = (wall_clock().millis() - self.end().millis()).max(0) as u64 / MINUTE.millis() as u64 + 2;
        // The busiest of the last ones, twice.
        let most =
            self.recent.iter().copied().collect::<Option<Vec<u64>>>().and_then(|counts| counts.into_iter().max());
        let most = most.filter(|_| is_own);
        most.map_or(IDS_DEFAULT * minutes, |most| 2 * most * minutes + 500).min(IDS_MAX)
    }
}

/// Waits, unless it is stopped.
fn pause(time: Duration, stop: &Stop) -> Result<(), Fault> {
    if stop.sleep(time) { Ok(()) } else { Err(Fault::new("stopped", "stopped")) }
}
