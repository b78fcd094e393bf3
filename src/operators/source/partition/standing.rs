//! How a partition stands among the others: how far its capability is, whether it is idle or at its end.

use super::super::{Aside, Idleness, Outputs, SourceLinks};
use super::SourcePartition;
use crate::connectors::input::{Input, PartitionState};
use crate::market::Pane;
use crate::operators::support::board::Standing;
use crate::operators::support::gauges::{Gauges, PartitionGauge};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl SourcePartition {
    /// Tells of its standing where that has changed.
    pub(in super::super) fn note_standing(&mut self) {
        let now = match (self.standing, self.watermark.open_release()) {
            (Standing::Idle, _) => Idleness::Idle { next_offset: self.next_offset },
            (_, Some(release)) => Idleness::Since(release),
            _ => Idleness::None,
        };
        if now != self.told {
            self.told = now;
            self.aside.push(Aside::Standing(self.id, now));
        }
    }

    /// Brings the others up to date about its standing.
    pub fn tell_standing(&mut self, aside: Outputs<'_, Aside>, links: &SourceLinks) {
        self.note_standing();
        if let (Some((_, side)), false) = (&self.capabilities, self.aside.is_empty()) {
            aside.activate().session(side).give_container(&mut self.aside);
            self.aside.clear();
        }
        links.board.update(self.id, self.board_entry());
    }

    /// Brings capability and standing up to date; `read`: after a read. Without one, nobody knows whether it is caught up.
    pub fn update_standing(&mut self, read: bool, gauges: &Gauges) {
        let slide = self.config.slide;
        let before = self.capabilities.as_ref().map(|(main, _)| *main.time());
        if let Some(watermark) = self.watermark.value() {
            // Later trades of its own record must not overtake a tick in hand.
            let in_hand = self.in_hand.as_ref().map_or(Pane::LAST, |tick| slide.pane_of(tick.order.at));
            let pane = slide.pane_of(watermark).min(in_hand);
            self.downgrade(pane);
            if let (Some(broker_time), Some(closed)) = (self.broker_time, pane.previous())
                && before.is_some_and(|before| pane > before)
            {
                gauges.note_arrival(slide.end_of(closed), broker_time);
            }
        }
        if self.in_hand.is_none() {
            match self.state {
                PartitionState::Ended => {
                    self.standing = Standing::Ended;
                    self.capabilities = None;
                    self.end_history();
                }
                PartitionState::CaughtUp { .. } if read => {
                    let missing = self.quiet.missing(self.config.idle_timeout.to_std());
                    if self.empty || missing.is_some_and(|missing| missing.is_zero()) {
                        self.standing = Standing::Idle;
                    }
                }
                PartitionState::CaughtUp { .. } | PartitionState::Waiting | PartitionState::Behind => {}
            }
        }
    }

    /// How far it is read, for people.
    pub fn gauge(&self, input: &dyn Input) -> PartitionGauge {
        // What lies between the last record and the end may be no record: marks of transactions.
        let is_through = matches!(self.state, PartitionState::CaughtUp { .. } | PartitionState::Ended);
        PartitionGauge {
            source: Arc::clone(&self.topic),
            next_offset: self.next_offset,
            end: if is_through { Some(self.next_offset) } else { input.end(self.id) },
            broker_time: self.broker_time,
        }
    }

    /// How soon it will be idle if nothing comes.
    pub fn idle_within(&self) -> Option<Duration> {
        let missing = self.quiet.missing(self.config.idle_timeout.to_std());
        missing.filter(|missing| self.standing == Standing::Active && !missing.is_zero())
    }

    /// Of an idle partition: the moment whose watermark of the others it goes to. Never to what they reached while it may hold
    /// something itself: after a stall of ours, or while an upstream transaction is open.
    pub fn follows_as_of(&self, now: Instant) -> Option<Instant> {
        self.quiet.follows_as_of(now).filter(|_| self.standing == Standing::Idle)
    }

    /// Whether it goes on when more is forecast.
    pub const fn waits_for_forecasts(&self) -> bool {
        self.in_hand.is_some()
    }

    pub fn downgrade(&mut self, pane: Pane) {
        if let Some((main, side)) = &mut self.capabilities
            && pane > *main.time()
        {
            main.downgrade(&pane);
            side.downgrade(&pane);
        }
    }
}
