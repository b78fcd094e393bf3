//! One connection, kept: opened, subscribed, watched, opened again.

use super::backoff::Backoff;
use super::counters::{Counters, OfVenue};
use super::fault::Fault;
use super::hub::Event;
use super::sequence::Numbering;
use super::socket::{Frame, Socket};
use super::venues::{Markets, Said, Venue};
use super::watch::{Due, Watch};
use crate::delivery::Stop;
use crate::feeds::chance;
use crate::feeds::outbound::Outbound;
use crate::operators::support::gauges::wall_clock;
use crossbeam_channel::Sender;
use serde_json::value::RawValue;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Between two messages of ours: venues count them.
const SEND_EVERY: Duration = Duration::from_millis(250);
/// One that takes over does so when a trade came, or so long after all was answered for: a market may be quiet.
const TAKES_OVER_AFTER: Duration = Duration::from_secs(30);

/// What a connection is of.
#[derive(Clone)]
pub struct Link {
    pub venue: Arc<dyn Venue>,
    /// The venue's place among the counters.
    pub place: usize,
    /// Where the stream is.
    pub base: String,
    pub outbound: Arc<Outbound>,
    pub markets: Arc<Markets>,
    /// Of each market its place among all.
    pub books: Arc<[usize]>,
    pub events: Sender<Event>,
    pub counters: Arc<Counters>,
    pub stop: Stop,
}

/// Why a connection is not opened again by the one who had it.
enum Ended {
    Stopped,
    /// Another one has taken over, or will.
    Replaced,
}

impl Link {
    /// Begins in a thread of its own. `takes_over` is set when it does what the one before did.
    ///
    /// # Errors
    /// When the system has no thread.
    pub fn spawn(self, takes_over: Option<Arc<AtomicBool>>) -> std::io::Result<()> {
        let name = format!("collect:{}", self.venue.name());
        std::thread::Builder::new().name(name).spawn(move || self.run(takes_over)).map(drop)
    }

    fn run(self, mut takes_over: Option<Arc<AtomicBool>>) {
        let mut backoff = Backoff::default();
        while !self.stop.requested() {
            let mut session = Session::new(&self, takes_over.clone());
            let Err(fault) = session.run() else { return };
            if session.is_replaced() {
                return;
            }
            backoff.was_healthy(session.healthy_for());
            drop(session);
            takes_over = takes_over.filter(|flag| !flag.load(Relaxed));
            self.count(|counters| counters.fault(fault.kind));
            let wait = backoff.wait(fault.wait, chance());
            let name = self.venue.name();
            tracing::warn!("{name}: {fault}; opened again in {:.1} s", wait.as_secs_f64());
            if !self.stop.sleep(wait) {
                return;
            }
        }
    }

    fn count(&self, note: impl FnOnce(&OfVenue)) {
        if let Some(counters) = self.counters.of(self.place) {
            note(counters);
        }
    }

    fn names(&self, markets: impl IntoIterator<Item = usize>) -> Vec<&str> {
        markets.into_iter().filter_map(|market| self.markets.names().get(market)).map(String::as_str).collect()
    }
}

/// One connection's life.
struct Session<'a> {
    link: &'a Link,
    takes_over: Option<Arc<AtomicBool>>,
    /// Set by the one that takes over from this one, which is kept until then.
    successor: Option<Arc<AtomicBool>>,
    opened: Instant,
    answered: Option<Instant>,
    /// When the first trade came.
    fed: Option<Instant>,
    outbox: VecDeque<String>,
    sent: Option<Instant>,
    refused: BTreeSet<usize>,
    said: Vec<Said>,
    /// The number of the last message, where the venue numbers them.
    number: Option<u64>,
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if self.answered.is_some() {
            self.link.count(|counters| _ = counters.connected.fetch_sub(1, Relaxed));
        }
    }
}

impl<'a> Session<'a> {
    fn new(link: &'a Link, takes_over: Option<Arc<AtomicBool>>) -> Self {
        Self {
            link,
            takes_over,
            successor: None,
            opened: Instant::now(),
            answered: None,
            fed: None,
            outbox: VecDeque::new(),
            sent: None,
            refused: BTreeSet::new(),
            said: Vec::new(),
            number: None,
        }
    }

    fn is_replaced(&self) -> bool {
        self.successor.is_some()
    }

    fn healthy_for(&self) -> Duration {
        self.fed.map_or(Duration::ZERO, |fed| fed.elapsed())
    }

    fn run(&mut self) -> Result<Ended, Fault> {
        let link = self.link;
        link.count(|counters| _ = counters.attempts.fetch_add(1, Relaxed));
        let all: Vec<&str> = link.markets.names().iter().map(String::as_str).collect();
        let address = link.venue.address(&link.base, &all);
        let mut socket = Socket::open(&address, &link.outbound, || link.stop.requested())?;
        link.count(|counters| _ = counters.opened.fetch_add(1, Relaxed));
        self.opened = Instant::now();
        self.outbox.extend(link.venue.subscribe(&all));
        let mut watch = Watch::new(link.venue.rules(), all.len());
        if self.takes_over.is_none() && link.events.send(Event::Interrupted(Arc::clone(&link.books))).is_err() {
            return Ok(Ended::Stopped);
        }
        loop {
            if link.stop.requested() {
                socket.close();
                return Ok(Ended::Stopped);
            }
            if self.successor.as_ref().is_some_and(|took_over| took_over.load(Relaxed)) {
                tracing::info!("{}: another connection has taken over", link.venue.name());
                socket.close();
                return Ok(Ended::Replaced);
            }
            if self.sent.is_none_or(|sent| sent.elapsed() >= SEND_EVERY)
                && let Some(text) = self.outbox.pop_front()
            {
                socket.send(&text)?;
                self.sent = Some(Instant::now());
            }
            self.look_after(&mut watch)?;
            match socket.read()? {
                Frame::Text(text) => {
                    watch.frame(self.opened.elapsed());
                    if self.take(text.as_str(), &mut watch).is_err() {
                        return Ok(Ended::Stopped);
                    }
                }
                Frame::Ping => watch.ping(self.opened.elapsed()),
                Frame::Nothing => {}
            }
        }
    }

    /// Does what is due.
    fn look_after(&mut self, watch: &mut Watch) -> Result<(), Fault> {
        let link = self.link;
        match watch.due(self.opened.elapsed()) {
            Due::Nothing => {}
            Due::Ping => self.outbox.extend(link.venue.ping().map(str::to_owned)),
            Due::Unanswered(markets) => {
                for market in markets {
                    self.refuse(market, "it was not acknowledged");
                }
            }
            Due::Again(markets) => {
                let names = link.names(markets);
                self.outbox.extend(link.venue.subscribe(&names));
            }
            Due::Renew => {
                let took_over = Arc::new(AtomicBool::new(false));
                let next = link.clone().spawn(Some(Arc::clone(&took_over)));
                next.map_err(|error| Fault::new("renewed", format!("no thread to renew it: {error}")))?;
                link.count(|counters| counters.fault("renewed"));
                self.successor = Some(took_over);
            }
            Due::End(fault) => return Err(fault),
        }
        if self.answered.is_none() && watch.is_answered() {
            self.answered = Some(Instant::now());
            link.count(|counters| _ = counters.connected.fetch_add(1, Relaxed));
        }
        if let (Some(flag), Some(answered)) = (&self.takes_over, self.answered)
            && (self.fed.is_some() || answered.elapsed() >= TAKES_OVER_AFTER)
        {
            flag.store(true, Relaxed);
        }
        Ok(())
    }

    /// Takes in a message, or a list of them. An error where nobody takes what it says.
    fn take(&mut self, text: &str, watch: &mut Watch) -> Result<(), ()> {
        let link = self.link;
        let mut said = std::mem::take(&mut self.said);
        let read = if text.trim_start().starts_with('[') {
            let list: Result<Vec<&RawValue>, _> = serde_json::from_str(text);
            list.map_err(|error| error.to_string()).and_then(|list| {
                list.into_iter().try_for_each(|one| link.venue.read(&link.markets, one.get(), &mut said))
            })
        } else {
            link.venue.read(&link.markets, text, &mut said)
        };
        let is_unreadable = read.is_err();
        if let Err(what) = read {
            link.count(|counters| {
                let count = counters.unreadable.fetch_add(1, Relaxed) + 1;
                if count.is_power_of_two() {
                    let start: String = text.chars().take(200).collect();
                    tracing::warn!(
                        "{}: a message cannot be read ({count} so far): {what}: {start:?}",
                        link.venue.name()
                    );
                }
            });
        }
        if is_unreadable && link.venue.numbering() == Numbering::Ascending {
            // Trades may have been in it, and no ids tell.
            link.events.send(Event::Interrupted(Arc::clone(&link.books))).map_err(drop)?;
        }
        let mut trades = Vec::new();
        for said in said.drain(..) {
            match said {
                Said::Trade(mut trade) => {
                    watch.acknowledged(trade.market);
                    let Some(book) = link.books.get(trade.market) else { continue };
                    trade.market = *book;
                    trade.received = wall_clock();
                    trades.push(trade);
                }
                Said::Acknowledged(market) => {
                    watch.acknowledged(market);
                    if let Some(book) = link.books.get(market) {
                        link.events.send(Event::Acknowledged(*book)).map_err(drop)?;
                    }
                }
                Said::Refused(market, why) => self.refused(market, &why, watch),
                // No ids tell what one connection lacks of another: what was missed meanwhile is asked for.
                Said::Ending if link.venue.numbering() == Numbering::Ascending => watch.leave(),
                Said::Ending => {
                    tracing::info!("{}: this connection will be ended: another one is opened", link.venue.name());
                    watch.renew();
                }
                Said::Numbered(number) => {
                    let lost = self.number.map_or(0, |last| number.saturating_sub(last.saturating_add(1)));
                    if lost > 0 {
                        watch.lost(lost);
                    }
                    self.number = self.number.max(Some(number));
                }
                Said::Foreign | Said::Other => link.count(|counters| _ = counters.other.fetch_add(1, Relaxed)),
            }
        }
        self.said = said;
        if trades.is_empty() {
            return Ok(());
        }
        self.fed.get_or_insert_with(Instant::now);
        link.events.send(Event::Trades(trades)).map_err(drop)
    }

    fn refused(&mut self, market: Option<usize>, why: &str, watch: &mut Watch) {
        let link = self.link;
        let Some(market) = market else {
            // Whoever it is of is not acknowledged.
            tracing::warn!("{}: a subscription was refused: {why}", link.venue.name());
            return;
        };
        watch.refused(market);
        self.refuse(market, why);
        if link.venue.subscribes_whole() {
            let others = (0..link.markets.names().len()).filter(|market| watch.is_waiting(*market));
            let names = link.names(others);
            if !names.is_empty() {
                self.outbox.extend(link.venue.subscribe(&names));
            }
        }
    }

    fn refuse(&mut self, market: usize, why: &str) {
        let link = self.link;
        link.count(|counters| _ = counters.refused.fetch_add(1, Relaxed));
        let is_first = self.refused.insert(market);
        if let (true, Some(name)) = (is_first, link.markets.names().get(market)) {
            let venue = link.venue.name();
            tracing::warn!(
                "{venue}: no trades of {name}: {why}; look at collect.venues. It is asked for again each minute"
            );
        }
        if let Some(book) = link.books.get(market) {
            let _ = link.events.send(Event::Refused(*book, why.to_owned()));
        }
    }
}
