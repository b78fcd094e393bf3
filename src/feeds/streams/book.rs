//! One market of the hub.

use super::join::Join;
use super::known::Known;
use super::record::Names;
use super::sequence::{Numbering, Sequence, Verdict};
use super::trade::Trade;
use std::time::Duration;

/// A market, and how far it is.
pub struct Book {
    pub names: Names,
    /// Its venue's place.
    pub venue: usize,
    pub numbering: Numbering,
    pub sequence: Sequence,
    /// When the last one that was published was made, as JSON.
    pub last_at: Option<Box<str>>,
    /// The order to ask for what is missing: its number, and the last id that it is for.
    pub asked: Option<(u64, u64)>,
    /// Where it goes on behind candles, until it does.
    join: Option<Join>,
}

impl Book {
    /// One that goes on behind what is known of it, else behind candles.
    pub fn new(names: Names, venue: usize, numbering: Numbering, known: Option<Known>, join: Option<Join>) -> Self {
        let join = join.filter(|_| known.is_none());
        let (last, last_at) = known.map(|known| (known.id, known.at)).unzip();
        if last.is_none() && join.is_none() {
            tracing::info!("{names}: begins with its next trade");
        }
        Self { names, venue, numbering, sequence: Sequence::new(numbering, last), last_at, asked: None, join }
    }

    /// Takes in a trade: see [`Sequence::take`].
    pub fn take(&mut self, trade: Trade, now: Duration, out: &mut Vec<Trade>) -> Verdict {
        if let Some(join) = self.join.as_mut().filter(|_| self.sequence.last().is_none()) {
            let (last, last_at) = join.begin(&trade, self.numbering);
            self.sequence = Sequence::new(self.numbering, Some(last));
            self.last_at = Some(last_at);
        }
        self.sequence.take(trade, now, out)
    }

    /// Leaves out what candles have of this.
    pub fn pass(&mut self, out: &mut Vec<Trade>) {
        if let Some(last) = out.last() {
            self.last_at = Some(last.at.clone());
        }
        let Some(join) = &mut self.join else { return };
        out.retain(|trade| join.lets(trade));
        let (Some(first), Some(last)) = (out.first(), out.last()) else { return };
        if let (true, Some(lack)) = (join.passes(), join.lack()) {
            tracing::warn!(
                "{}: something is missing between its candles and its trade {}: {lack}",
                self.names,
                first.id
            );
        }
        if join.ends_with(last) {
            self.join = None;
        }
    }

    /// Whether a hole is one among trades: one between candles and the first of them is told by [`Book::pass`].
    pub const fn is_hole(&mut self, reason_is_ours: bool) -> bool {
        let Some(join) = &mut self.join else { return true };
        if join.is_passed() {
            return true;
        }
        if reason_is_ours {
            join.fail();
        }
        false
    }
}
