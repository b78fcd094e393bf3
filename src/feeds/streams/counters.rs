//! What collecting from streams has done so far, per venue: counted in one place, read by the log, the summary, and metrics.

use super::fault::KINDS;
use super::plan::Plan;
use crate::operators::support::gauges::{Durations, Histogram};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Of one venue, shared with other threads.
#[derive(Debug, Default)]
pub struct OfVenue {
    pub published: AtomicU64,
    pub repeats: AtomicU64,
    pub repaired: AtomicU64,
    pub missing: AtomicU64,
    pub gaps: AtomicU64,
    pub unreadable: AtomicU64,
    pub other: AtomicU64,
    pub attempts: AtomicU64,
    pub opened: AtomicU64,
    pub refused: AtomicU64,
    faults: [AtomicU64; KINDS.len()],
    pub held: AtomicU64,
    /// Connections that are open and answered for.
    pub connected: AtomicI64,
    pub delay_ms: AtomicI64,
}

impl OfVenue {
    pub fn fault(&self, kind: &str) {
        if let Some(place) = KINDS.iter().position(|known| *known == kind) {
            self.faults[place].fetch_add(1, Relaxed);
        }
    }
}

/// Of all venues.
#[derive(Debug, Default)]
pub struct Counters {
    venues: Vec<(&'static str, OfVenue)>,
    /// Of each market: its venue, the venue's spelling, and how old its last trade was when it came; [`NONE`] before that.
    markets: Vec<(&'static str, String, AtomicI64)>,
    unacknowledged: AtomicU64,
    acknowledged: Histogram,
}

/// No trade came yet.
const NONE: i64 = i64::MIN;

/// The counters of one venue at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VenueTally {
    /// Trades that were given to the broker's client, repaired ones included.
    pub published: u64,
    /// Trades that came again.
    pub repeats: u64,
    /// Those that were published from the venue's HTTP API.
    pub repaired: u64,
    /// Ids that are missing for good.
    pub missing: u64,
    /// Holes that these are in.
    pub gaps: u64,
    /// Messages that could not be read.
    pub unreadable: u64,
    /// Messages that tell of no trade.
    pub other: u64,
    /// Times that a connection was tried.
    pub attempts: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// Markets that were refused, or not answered for, each time.
    pub refused: u64,
    /// Connections that ended or were not made, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Trades that wait for those before them.
    pub held: u64,
    /// Connections that are open, all of their markets answered for.
    pub connected: u64,
    /// How old the last trade was when it came, by our clock and the venue's, in milliseconds.
    pub delay_ms: i64,
}

/// All counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Each venue's.
    pub venues: BTreeMap<&'static str, VenueTally>,
    /// Records that the broker has not acknowledged.
    pub unacknowledged: u64,
}

impl Counters {
    /// For these venues and markets.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let names = plan.names();
        let markets = plan.books.iter().map(|(venue, book)| (names[*venue], book.market.clone(), AtomicI64::new(NONE)));
        Self {
            markets: markets.collect(),
            venues: names.into_iter().map(|name| (name, OfVenue::default())).collect(),
            ..Self::default()
        }
    }

    pub(super) fn set_delay(&self, market: usize, delay_ms: i64) {
        if let Some((_, _, last)) = self.markets.get(market) {
            last.store(delay_ms, Relaxed);
        }
    }

    /// Venue and market, and how old its last trade was when it came, in milliseconds; of those that have told of one.
    pub fn delays(&self) -> impl Iterator<Item = (&'static str, &str, i64)> {
        self.markets.iter().filter_map(|(venue, market, delay)| {
            let delay = delay.load(Relaxed);
            (delay != NONE).then_some((*venue, market.as_str(), delay))
        })
    }

    pub(super) const fn acknowledged(&self) -> &Histogram {
        &self.acknowledged
    }

    /// How long trades took from when they came until the broker had them.
    #[must_use]
    pub fn acknowledgements(&self) -> Durations {
        self.acknowledged.durations()
    }

    pub(super) fn of(&self, venue: usize) -> Option<&OfVenue> {
        self.venues.get(venue).map(|(_, counters)| counters)
    }

    pub(super) fn set_unacknowledged(&self, count: u64) {
        self.unacknowledged.store(count, Relaxed);
    }

    /// The counters now.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let of = |counters: &OfVenue| VenueTally {
            published: read(&counters.published),
            repeats: read(&counters.repeats),
            repaired: read(&counters.repaired),
            missing: read(&counters.missing),
            gaps: read(&counters.gaps),
            unreadable: read(&counters.unreadable),
            other: read(&counters.other),
            attempts: read(&counters.attempts),
            opened: read(&counters.opened),
            refused: read(&counters.refused),
            faults: KINDS.iter().zip(&counters.faults).map(|(kind, count)| (*kind, read(count))).collect(),
            held: read(&counters.held),
            connected: u64::try_from(counters.connected.load(Relaxed)).unwrap_or(0),
            delay_ms: counters.delay_ms.load(Relaxed),
        };
        let mut venues: BTreeMap<&'static str, VenueTally> = BTreeMap::new();
        for (name, counters) in &self.venues {
            // A venue may be there several times: at other addresses, with another stream.
            venues.entry(name).or_default().add(of(counters));
        }
        Tally { venues, unacknowledged: read(&self.unacknowledged) }
    }
}

impl VenueTally {
    fn add(&mut self, other: Self) {
        self.published += other.published;
        self.repeats += other.repeats;
        self.repaired += other.repaired;
        self.missing += other.missing;
        self.gaps += other.gaps;
        self.unreadable += other.unreadable;
        self.other += other.other;
        self.attempts += other.attempts;
        self.opened += other.opened;
        self.refused += other.refused;
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.held += other.held;
        self.connected += other.connected;
        self.delay_ms = self.delay_ms.max(other.delay_ms);
    }
}

impl Tally {
    /// Trades that were published, over all venues.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.venues.values().map(|venue| venue.published).sum()
    }
}

/// One line for people.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, venue) in &self.venues {
            let VenueTally { published, repaired, missing, repeats, held, connected, delay_ms, .. } = venue;
            write!(f, "{name}: {published} trades ({repaired} repaired, {missing} missing), {repeats} repeats, ")?;
            write!(f, "{connected} connections, delay {:.1} s", *delay_ms as f64 / 1000.0)?;
            if *held > 0 {
                write!(f, ", {held} wait for those before them")?;
            }
            let faults: Vec<String> = venue
                .faults
                .iter()
                .filter(|(_, count)| **count > 0)
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            if !faults.is_empty() {
                write!(f, ", ended: {}", faults.join(", "))?;
            }
            write!(f, "; ")?;
        }
        write!(f, "{} wait for the broker", self.unacknowledged)
    }
}
