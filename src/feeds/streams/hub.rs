//! Brings all connections together, and publishes.

mod holes;

use super::book::Book;
use super::clock::Clock;
use super::counters::{Counters, OfVenue, Tally};
use super::error::HubError;
use super::join::Join;
use super::known;
use super::plan::Plan;
use super::record::{self, Names};
use super::repair::{Order, Repairer};
use super::sequence::Verdict;
use super::trade::Trade;
use super::venues::Venue;
use crate::config::{CollectConfig, KafkaSourceConfig};
use crate::connectors::kafka::{PublishError, Publisher};
use crate::delivery::Stop;
use crate::market::{Span, Timestamp};
use crate::operators::support::gauges::wall_clock;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Batches of trades that wait for the hub; then connections are not read.
pub(super) const WAITING_MAX: usize = 4096;
/// When it has not come to look for so long, the time was not lived: trades may have come meanwhile.
const ABSENCE: Duration = Duration::from_secs(1);
/// The longest time between two looks at what else there is to do.
const TICK: Duration = Duration::from_millis(50);
/// While the broker has something to acknowledge.
const QUICK_TICK: Duration = Duration::from_millis(5);
/// So many of those that it has to are timed.
const TIMED_MAX: usize = 4096;
/// Events that are taken in between two of them.
const BITE: usize = 1000;
/// How often to tell what was done.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How long to wait for the broker at the end.
const FLUSH_WAIT: Duration = Duration::from_secs(10);
/// Partitions of a topic that is missing.
const PARTITIONS: u32 = 4;

/// What reaches the hub.
pub enum Event {
    /// As they came; their markets are places among all.
    Trades(Vec<Trade>),
    /// A connection with these markets was opened: something may be missing.
    Interrupted(Arc<[usize]>),
    /// The venue will tell of a market.
    Acknowledged(usize),
    /// The venue will not, with its words.
    Refused(usize, String),
    /// Part of what was missing: all that there is through that id, but for what the venue `lacks` before the first.
    Page { book: usize, number: u64, trades: Vec<Trade>, through: u64, lacks: bool },
    /// It cannot be asked for.
    Unrepaired { book: usize, number: u64, why: String },
}

/// See above.
pub struct Hub {
    books: Vec<Book>,
    /// Those in which something is held.
    holding: BTreeSet<usize>,
    held: usize,
    venues: Vec<Arc<dyn Venue>>,
    orders: Vec<Sender<Order>>,
    events: Receiver<Event>,
    publisher: Publisher,
    gaps: Publisher,
    counters: Arc<Counters>,
    repair_wait: Duration,
    stop: Stop,
    begun: Instant,
    /// How much of the time since then was not lived.
    absent: Duration,
    /// Of each venue.
    clocks: Vec<Clock>,
    told: Instant,
    sent: u64,
    /// Of some that the broker has not acknowledged: how many were sent with it, and when it came.
    on_their_way: VecDeque<(u64, Timestamp)>,
    /// Orders that were given.
    asked: u64,
    out: Vec<Trade>,
    value: Vec<u8>,
}

impl Hub {
    /// Opens the topic, which is created where it is missing, reads from its end where an earlier run has ended, and connects. A
    /// market of which the topic has no trade goes on behind candles where `joins` says so, which has one for each of the plan's or
    /// is empty.
    ///
    /// # Errors
    /// When no broker answers, or where an earlier run has ended cannot be read.
    pub fn open(
        config: &CollectConfig,
        plan: Plan,
        kafka: &KafkaSourceConfig,
        joins: &[Option<Join>],
        counters: &Arc<Counters>,
        stop: &Stop,
    ) -> Result<Self, HubError> {
        let publisher = Publisher::open(kafka, Some(PARTITIONS), stop)?;
        let told = KafkaSourceConfig { topic: format!("{}.gaps", kafka.topic), ..kafka.clone() };
        let gaps = Publisher::open(&told, Some(PARTITIONS), stop)?;
        let names: Vec<Names> = plan.books.iter().map(|(_, names)| names.clone()).collect();
        let known = known::read(kafka, &names, stop)
            .map_err(|error| HubError::Known { topic: kafka.topic.clone(), why: error.to_string() })?;
        let (sender, events) = bounded(WAITING_MAX);
        let mut orders = Vec::new();
        for (venue, _, api) in &plan.venues {
            let (order, taken) = unbounded();
            orders.push(order);
            let (venue, api, outbound) = (Arc::clone(venue), api.clone(), Arc::clone(&plan.outbound));
            let events = sender.clone();
            let repairer = Repairer { venue, api, outbound, orders: taken, events, stop: stop.clone() };
            std::thread::Builder::new()
                .name(format!("repair:{}", repairer.venue.name()))
                .spawn(move || repairer.run())?;
        }
        plan.connect(&sender, counters, stop)?;
        let venues: Vec<Arc<dyn Venue>> = plan.venues.into_iter().map(|(venue, ..)| venue).collect();
        let joins = joins.iter().cloned().chain(std::iter::repeat(None));
        let books = plan
            .books
            .into_iter()
            .zip(known)
            .zip(joins)
            .map(|(((venue, names), known), join)| Book::new(names, venue, venues[venue].numbering(), known, join));
        let books = books.collect();
        let wait = |span: Span| Duration::from_millis(u64::try_from(span.millis()).unwrap_or(0));
        Ok(Self {
            books,
            holding: BTreeSet::new(),
            held: 0,
            clocks: vec![Clock::default(); venues.len()],
            venues,
            orders,
            events,
            publisher,
            gaps,
            counters: Arc::clone(counters),
            repair_wait: wait(config.repair_wait),
            stop: stop.clone(),
            begun: Instant::now(),
            absent: Duration::ZERO,
            told: Instant::now(),
            sent: 0,
            on_their_way: VecDeque::new(),
            asked: 0,
            out: Vec::new(),
            value: Vec::new(),
        })
    }

    /// Collects until it is stopped, then waits a while for the broker.
    ///
    /// # Errors
    /// When the broker refuses what is published. That it is away is no error, nor is anything that a venue does.
    pub fn run(&mut self) -> Result<Tally, HubError> {
        match self.collect() {
            // Asked to stop in the middle of a batch: what was sent of it is waited for; the rest is known to be missing at a new start.
            Ok(()) | Err(HubError::Publish(PublishError::Stopped)) => self.finish(),
            Err(error) => Err(error),
        }
    }

    fn collect(&mut self) -> Result<(), HubError> {
        let mut looked = Instant::now();
        while !self.stop.requested() {
            match self.events.recv_timeout(if self.on_their_way.is_empty() { TICK } else { QUICK_TICK }) {
                Ok(event) => {
                    self.take(event)?;
                    let events = self.events.clone();
                    events.try_iter().take(BITE).try_for_each(|event| self.take(event))?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Repairers are gone only when it is stopped.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.serve()?;
            if looked.elapsed() >= TICK {
                // The broker was away, or this process was stopped.
                self.absent += looked.elapsed().saturating_sub(ABSENCE);
                looked = Instant::now();
                self.look_after()?;
            }
        }
        self.settle(Duration::MAX)
    }

    /// Publishes what waits for nothing that is known to be missing.
    pub(super) fn settle(&mut self, now: Duration) -> Result<(), HubError> {
        for place in self.holding.clone() {
            let Some(book) = self.books.get_mut(place) else { continue };
            let held = book.sequence.held();
            book.sequence.settle(now, &mut self.out);
            if !self.out.is_empty() {
                self.moved(place, held)?;
            }
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        self.begun.elapsed().saturating_sub(self.absent)
    }

    fn take(&mut self, event: Event) -> Result<(), HubError> {
        let now = self.now();
        match event {
            Event::Trades(trades) => {
                self.note_delay(trades.last());
                for trade in trades {
                    let place = trade.market;
                    let Some(book) = self.books.get_mut(place) else { continue };
                    let held = book.sequence.held();
                    let verdict = book.take(trade, now, &mut self.out);
                    match verdict {
                        Verdict::Repeat => self.count(place, |counters| _ = counters.repeats.fetch_add(1, Relaxed)),
                        Verdict::Anew => tracing::warn!(
                            "{}: its trades are numbered anew: what was missed before that is not known",
                            book.names
                        ),
                        Verdict::Next | Verdict::Held | Verdict::Late => {}
                    }
                    self.moved(place, held)?;
                }
            }
            Event::Interrupted(books) => {
                for place in books.iter() {
                    if let Some(book) = self.books.get_mut(*place) {
                        let held = book.sequence.held();
                        book.sequence.interrupted(&mut self.out);
                        self.moved(*place, held)?;
                    }
                }
            }
            Event::Acknowledged(_) | Event::Refused(..) => {}
            Event::Page { book: place, number, trades, through, lacks } => {
                let book =
                    self.books.get_mut(place).filter(|book| book.asked.is_some_and(|(asked, _)| asked == number));
                let Some(book) = book else { return Ok(()) };
                let held = book.sequence.held();
                self.take_page(place, &trades, through, lacks)?;
                self.moved(place, held)?;
            }
            Event::Unrepaired { book: place, number, why } => {
                let book =
                    self.books.get_mut(place).filter(|book| book.asked.is_some_and(|(asked, _)| asked == number));
                let Some(Book { names, asked, .. }) = book else { return Ok(()) };
                tracing::warn!("{names}: cannot be asked for what is missing: {why}");
                *asked = None;
                self.give_up(place, "refused")?;
            }
        }
        Ok(())
    }

    /// Publishes what a book has let go of, and notes how much it holds; it held so much before.
    fn moved(&mut self, place: usize, held_before: usize) -> Result<(), HubError> {
        let Some(book) = self.books.get_mut(place) else { return Ok(()) };
        let held = book.sequence.held();
        self.held = self.held + held - held_before;
        if held > 0 {
            self.holding.insert(place);
        } else if held_before > 0 {
            self.holding.remove(&place);
            if book.asked.take().is_some() {
                let _ = self.orders[book.venue].send(Order::Cancel(place));
            }
        }
        book.pass(&mut self.out);
        let published = self.out.len() as u64;
        for trade in self.out.drain(..) {
            record::write(&book.names, &trade, &mut self.value);
            let key = Some(book.names.symbol.as_bytes());
            self.publisher.send_from(key, &self.value, self.venues[book.venue].name(), &self.stop)?;
            self.sent += 1;
            if self.on_their_way.len() < TIMED_MAX {
                self.on_their_way.push_back((self.sent, trade.received));
            }
        }
        self.count(place, |counters| {
            counters.published.fetch_add(published, Relaxed);
            let change = held as u64;
            counters.held.fetch_add(change.wrapping_sub(held_before as u64), Relaxed);
        });
        Ok(())
    }

    fn count(&self, place: usize, note: impl FnOnce(&OfVenue)) {
        let venue = self.books.get(place).map(|book| book.venue);
        if let Some(counters) = venue.and_then(|venue| self.counters.of(venue)) {
            note(counters);
        }
    }

    /// How old the last of these was when it came.
    fn note_delay(&mut self, last: Option<&Trade>) {
        let Some((place, delay)) = last.and_then(|last| Some((last.market, last.delay_ms()?))) else { return };
        self.counters.set_delay(place, delay);
        self.count(place, |counters| counters.delay_ms.store(delay, Relaxed));
        if let Some(book) = self.books.get(place) {
            self.clocks[book.venue].note(delay);
        }
    }

    /// Looks at what the broker acknowledged, and tells what was done once a minute.
    fn serve(&mut self) -> Result<(), HubError> {
        self.publisher.serve()?;
        self.counters.set_unacknowledged(self.unacknowledged());
        let (acknowledged, now) = (self.publisher.acknowledged(), wall_clock());
        while let Some((_, came)) = self.on_their_way.front().filter(|(sent, _)| *sent <= acknowledged) {
            let took = u64::try_from(now.millis() - came.millis()).unwrap_or(0);
            self.counters.acknowledged().add(Duration::from_millis(took));
            self.on_their_way.pop_front();
        }
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            tracing::info!("{}", self.counters.tally());
            for (clock, venue) in self.clocks.iter_mut().zip(&self.venues) {
                if let Some(words) = clock.look() {
                    tracing::warn!("{}: {words}", venue.name());
                }
            }
        }
        Ok(())
    }

    fn unacknowledged(&self) -> u64 {
        self.sent.saturating_sub(self.publisher.acknowledged())
    }

    /// Waits for what the broker has not acknowledged, within [`FLUSH_WAIT`].
    fn finish(&mut self) -> Result<Tally, HubError> {
        let begun = Instant::now();
        self.serve()?;
        while self.unacknowledged() > 0 && begun.elapsed() < FLUSH_WAIT {
            std::thread::sleep(Duration::from_millis(5));
            self.serve()?;
        }
        Ok(self.counters.tally())
    }
}
