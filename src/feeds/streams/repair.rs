//! What is missing between two ids, asked for page by page: one thread per venue, within the venue's limits.

use super::backoff::Backoff;
use super::fault::Fault;
use super::hub::Event;
use super::rest::{self, Refusal};
use super::sequence::{Hole, Numbering};
use super::venues::{Page, Venue, Want};
use crate::delivery::Stop;
use crate::feeds::outbound::Outbound;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Asked so often without a step forward, the venue does not have it. Its pages lag behind its stream by moments.
const TRIES: u32 = 5;
/// Between two of them.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Whether to stop is looked at so often.
const TICK: Duration = Duration::from_millis(50);

/// What a [`Repairer`] is told.
pub enum Order {
    /// To ask for a hole of a market.
    Fill(usize, Want),
    /// Not to, any more.
    Cancel(usize),
}

struct Job {
    want: Want,
    backoff: Backoff,
    tries: u32,
    due: Instant,
}

/// Asks.
pub struct Repairer {
    pub venue: Arc<dyn Venue>,
    pub api: String,
    pub outbound: Arc<Outbound>,
    pub orders: Receiver<Order>,
    pub events: Sender<Event>,
    pub stop: Stop,
}

impl Repairer {
    /// Until it is stopped, or nobody is there.
    pub fn run(self) {
        let agent = rest::agent(&self.outbound);
        let is_of_time = self.venue.numbering() == Numbering::Ascending;
        let mut jobs: BTreeMap<usize, Job> = BTreeMap::new();
        // Whose turn it is next, and when the venue may be asked.
        let (mut after, mut free) = (0, Instant::now());
        while !self.stop.requested() {
            let turn = jobs.range(after..).chain(jobs.range(..after)).filter(|(_, job)| job.due <= Instant::now());
            let turn = turn.map(|(book, _)| *book).next().filter(|_| free <= Instant::now());
            match self.orders.recv_timeout(if turn.is_some() { Duration::ZERO } else { TICK }) {
                Ok(Order::Fill(book, want)) => {
                    let job = Job { want, backoff: Backoff::default(), tries: 0, due: Instant::now() };
                    jobs.insert(book, job);
                    continue;
                }
                Ok(Order::Cancel(book)) => {
                    jobs.remove(&book);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let Some((book, job)) = turn.and_then(|book| jobs.get_mut(&book).map(|job| (book, job))) else { continue };
            after = book + 1;
            free = Instant::now() + self.venue.page_every();
            let answer = rest::get(&agent, &format!("{}{}", self.api, self.venue.page(&job.want)));
            let page = answer.and_then(|body| {
                self.venue.read_page(&job.want, &body).map_err(|what| {
                    let fault = Fault::new("protocol", what);
                    Refusal { fault, is_final: false }
                })
            });
            match page {
                Ok(page) => {
                    let Some(event) = job.turned(book, page, is_of_time) else { continue };
                    let is_done = matches!(event, Event::Page { through, .. } if through >= job.want.hole.last);
                    if is_done {
                        jobs.remove(&book);
                    }
                    if self.events.send(event).is_err() {
                        return;
                    }
                }
                Err(Refusal { fault, is_final: true }) => {
                    let event = Event::Unrepaired { book, number: job.want.number, why: fault.what };
                    jobs.remove(&book);
                    if self.events.send(event).is_err() {
                        return;
                    }
                }
                Err(Refusal { fault, .. }) => {
                    let wait = job.backoff.wait(fault.wait, crate::feeds::chance());
                    tracing::debug!("{}: {fault}; asked again in {} s", job.want.market, wait.as_secs());
                    job.due = Instant::now() + wait;
                    // A limit counts for all.
                    free = free.max(Instant::now() + fault.wait);
                }
            }
        }
    }
}

impl Job {
    /// What a page means, also of a venue whose ids do not tell what is missing; nothing where it has to be asked for again.
    fn turned(&mut self, book: usize, page: Page, is_of_time: bool) -> Option<Event> {
        let Page { trades, through, cursor, mut lacks } = page;
        let number = self.want.number;
        let Hole { first, last } = self.want.hole;
        self.backoff = Backoff::default();
        let through = match through {
            Some(through) if through >= first => through.min(last),
            _ if cursor.is_some() && cursor != self.want.cursor => {
                self.want.cursor = cursor;
                self.tries = 0;
                // What a page has before its end is known is published with the one that ends it.
                let through = first - 1;
                return (!trades.is_empty()).then_some(Event::Page { book, number, trades, through, lacks: false });
            }
            _ => {
                self.tries += 1;
                self.due = Instant::now() + TRY_AGAIN;
                if self.tries < TRIES {
                    return None;
                }
                // It does not even tell of what its stream did.
                lacks |= is_of_time;
                last
            }
        };
        self.tries = 0;
        self.want.cursor = cursor;
        self.want.hole.first = through + 1;
        if through < last {
            if let Some(trade) = trades.iter().filter(|trade| trade.id <= through).max_by_key(|trade| trade.id) {
                self.want.after_at.clone_from(&trade.at);
            }
        } else {
            self.want.hole.first = last;
        }
        Some(Event::Page { book, number, trades, through, lacks })
    }
}
