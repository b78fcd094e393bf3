//! What is missing: asked for, given up, told.

use super::super::error::HubError;
use super::super::record;
use super::super::repair::Order;
use super::super::sequence::{Hole, Numbering, Verdict};
use super::super::trade::Trade;
use super::super::venues::Want;
use super::Hub;
use crate::operators::support::gauges::wall_clock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Why what was asked for does not come: the venue does not have it.
const NOT_THERE: &str = "not_at_the_venue";
/// So long a hole may be one that the order of arrival has made.
const GRACE: Duration = Duration::from_millis(500);
/// Behind one that is too large so many trades have to wait before it is given up, or as long as for any other.
const BEHIND_MIN: usize = 10;
/// Trades that may wait for those before them, over all markets.
const HELD_MAX: usize = 200_000;

impl Hub {
    /// Asks for what is missing, and gives up what does not come.
    pub(super) fn look_after(&mut self) -> Result<(), HubError> {
        let now = self.now();
        self.settle(now)?;
        for place in self.holding.clone() {
            let Some(book) = self.books.get_mut(place) else { continue };
            let Some((hole, since)) = book.sequence.hole() else { continue };
            let waited = now.saturating_sub(since);
            // An interruption is no matter of order, and some have only the very last trades.
            let grace = if book.numbering == Numbering::Ascending { Duration::ZERO } else { GRACE };
            if let Some(stray) = book.sequence.take_stray() {
                let (names, id) = (&book.names, stray.id);
                tracing::warn!("{names}: a trade with the number {id} is left out: others went on before it");
                self.count(place, |counters| _ = counters.unreadable.fetch_add(1, Relaxed));
                let held = self.books[place].sequence.held() + 1;
                self.moved(place, held)?;
            } else if book.sequence.is_too_large() && book.sequence.held() >= BEHIND_MIN {
                self.give_up(place, "too_large")?;
            } else if waited >= self.repair_wait {
                let reason = if book.sequence.is_too_large() { "too_large" } else { "not_in_time" };
                self.give_up(place, reason)?;
            } else if book.asked.is_none() && waited >= grace && !book.sequence.is_too_large() {
                self.asked += 1;
                book.asked = Some((self.asked, hole.last));
                let after_at = book.last_at.clone().unwrap_or_else(|| "0".into());
                let want = Want { number: self.asked, market: book.names.market.clone(), hole, after_at, cursor: None };
                let (names, ids, Hole { first, last }) = (&book.names, hole.ids(), hole);
                match book.numbering {
                    Numbering::Contiguous => {
                        tracing::info!("{names}: {ids} trades are missing, {first} to {last}: asking for them");
                    }
                    Numbering::Ascending => {
                        tracing::info!("{names}: asking for what came before its trade {}", last + 1);
                    }
                }
                let _ = self.orders[book.venue].send(Order::Fill(place, want));
            }
        }
        while self.held > HELD_MAX {
            let waits = |place: &&usize| self.books[**place].sequence.hole().is_some();
            let most = self.holding.iter().filter(waits);
            let most = most.max_by_key(|place| self.books[**place].sequence.held()).copied();
            let Some(place) = most else { break };
            self.give_up(place, "too_many_wait")?;
        }
        Ok(())
    }

    /// Takes in part of what is missing: all that there is through that id, but for what the venue lacks before the first.
    pub(super) fn take_page(
        &mut self,
        place: usize,
        trades: &[Trade],
        mut through: u64,
        mut lacks: bool,
    ) -> Result<(), HubError> {
        let (now, received) = (self.now(), wall_clock());
        let ids = trades.first().zip(trades.last()).map(|(first, last)| (first.id, last.id));
        let mut repaired = 0;
        while let Some(book) = self.books.get_mut(place)
            && let Some((hole, _)) = book.sequence.hole()
        {
            for trade in trades.iter().filter(|trade| (hole.first..=hole.last).contains(&trade.id)) {
                let trade = Trade { market: place, received, ..trade.clone() };
                repaired += u64::from(book.sequence.take(trade, now, &mut self.out) != Verdict::Repeat);
            }
            if lacks {
                self.tell_time(place, NOT_THERE)?;
            }
            let Some(book) = self.books.get_mut(place) else { break };
            let missing = book.sequence.covered(through, hole.last, now, &mut self.out);
            // What is missing now may lie behind what was asked for.
            book.asked = book.asked.filter(|(_, last)| through < *last);
            // The last trades of a market are not there for long: they fill the hole of another interruption, too.
            let next = book.sequence.hole().filter(|_| book.numbering == Numbering::Ascending);
            for hole in missing {
                self.tell_gap(place, hole, NOT_THERE)?;
            }
            let (Some((oldest, newest)), Some((hole, _))) = (ids, next) else { break };
            if newest < hole.first {
                break;
            }
            (through, lacks) = (newest.min(hole.last), oldest >= hole.first);
        }
        self.count(place, |counters| _ = counters.repaired.fetch_add(repaired, Relaxed));
        Ok(())
    }

    /// Tells that what is missing will not come, and goes on behind it.
    pub(super) fn give_up(&mut self, place: usize, reason: &str) -> Result<(), HubError> {
        let now = self.now();
        let Some(book) = self.books.get_mut(place) else { return Ok(()) };
        let held = book.sequence.held();
        let is_of_time = book.numbering == Numbering::Ascending && book.sequence.hole().is_some();
        if is_of_time {
            self.tell_time(place, reason)?;
        }
        let Some(book) = self.books.get_mut(place) else { return Ok(()) };
        let Some(hole) = book.sequence.give_up(now, &mut self.out) else { return Ok(()) };
        if book.asked.take().is_some() {
            let _ = self.orders[book.venue].send(Order::Cancel(place));
        }
        if !is_of_time {
            self.tell_gap(place, hole, reason)?;
        }
        self.moved(place, held)
    }

    /// Publishes that it is not known what was traded before the first of those that are held, where no ids tell.
    pub(super) fn tell_time(&mut self, place: usize, reason: &str) -> Result<(), HubError> {
        let Some(book) = self.books.get_mut(place) else { return Ok(()) };
        if !book.is_hole(true) {
            return Ok(());
        }
        let (Some(after), Some(before)) = (book.sequence.last(), book.sequence.first_held()) else { return Ok(()) };
        let names = &book.names;
        tracing::warn!(
            "{names}: it is not known what was traded between its trades {after} and {}: {reason}",
            before.id
        );
        // It may be on its way out.
        let after_at = self.out.last().map(|trade| &*trade.at).or(book.last_at.as_deref());
        let after = (after, after_at);
        record::write_time_gap(names, after, (before.id, &*before.at), reason, wall_clock(), &mut self.value);
        self.gaps.send_from(Some(names.symbol.as_bytes()), &self.value, self.venues[book.venue].name(), &self.stop)?;
        self.gaps.flush(&self.stop)?;
        self.count(place, |counters| _ = counters.gaps.fetch_add(1, Relaxed));
        Ok(())
    }

    /// Publishes that ids are missing, before what comes after them.
    pub(super) fn tell_gap(&mut self, place: usize, hole: Hole, reason: &str) -> Result<(), HubError> {
        let Some(book) = self.books.get_mut(place) else { return Ok(()) };
        if !book.is_hole(reason != NOT_THERE) {
            return Ok(());
        }
        let (names, ids, Hole { first, last }) = (&book.names, hole.ids(), hole);
        tracing::warn!("{names}: {ids} trades are missing for good, {first} to {last}: {reason}");
        record::write_gap(&book.names, hole, book.last_at.as_deref(), reason, wall_clock(), &mut self.value);
        self.gaps.send_from(Some(names.symbol.as_bytes()), &self.value, self.venues[book.venue].name(), &self.stop)?;
        self.gaps.flush(&self.stop)?;
        self.count(place, |counters| {
            counters.gaps.fetch_add(1, Relaxed);
            counters.missing.fetch_add(hole.ids(), Relaxed);
        });
        Ok(())
    }
}
