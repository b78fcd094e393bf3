//! How `learn` hands out weights: some now and then while it runs, all of them at the end.
//!
//! A round through a worker's symbols begins once an hour of event time, and takes as many at a time as the writer has room
//! for: weights cost nothing between, and never hold a forecast up.

use crate::connectors::weights::WeightsSender;
use crate::market::{Span, Symbol, Timestamp};
use crate::model::weights::Weights;

/// Event time between the beginnings of two rounds.
pub const EVERY: Span = Span::from_millis(3_600_000);

/// A worker's way to the writer.
pub struct WeightsOut {
    sender: WeightsSender,
    /// When the next round begins; none before the first step.
    due: Option<Timestamp>,
    /// The last symbol of the round that goes on.
    after: Option<Option<Symbol>>,
}

impl WeightsOut {
    /// One that has handed out nothing.
    #[must_use]
    pub fn new(sender: WeightsSender) -> Self {
        Self { sender, due: None, after: None }
    }

    /// Where the round that is on at `at` goes on: behind this symbol, or at the beginning (`Some(None)`). None where there is
    /// no round, or no room.
    pub fn round(&mut self, at: Timestamp) -> Option<Option<Symbol>> {
        let due = *self.due.get_or_insert_with(|| at.plus(EVERY));
        if self.after.is_none() && at >= due {
            self.due = Some(at.plus(EVERY));
            self.after = Some(None);
        }
        self.after.clone().filter(|_| self.sender.has_room())
    }

    /// Hands out the weights that are next in the round. False where there was no room.
    pub fn send(&mut self, symbol: &Symbol, weights: &Weights) -> bool {
        let sent = self.sender.has_room() && self.sender.try_send(weights.about.symbol.clone(), weights.to_bytes());
        if sent {
            self.after = Some(Some(symbol.clone()));
        }
        sent
    }

    /// Ends the round.
    pub fn end_round(&mut self) {
        self.after = None;
    }

    /// Hands out weights at the end of the job; waits for room.
    pub fn send_last(&self, weights: &Weights) {
        self.sender.send(weights.about.symbol.clone(), weights.to_bytes());
    }
}
