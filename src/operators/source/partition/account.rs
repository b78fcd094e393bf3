//! Each record is counted in exactly one outcome.

use super::super::outcome::{Bounds, Outcome, Read, begins};
use super::SourcePartition;
use crate::connectors::input::{Flow, Payload, Record};
use crate::formats::Decoded;
use crate::formats::envelope::TOMBSTONE;
use crate::market::{Observation, Pane, SymbolId, SymbolTable, Timestamp};
use crate::operators::support::board::Standing;
use crate::operators::support::repeats::Share;

impl SourcePartition {
    /// Takes one record.
    pub(super) fn account_for(&mut self, record: Record<'_>, bounds: Bounds, symbols: &mut SymbolTable) -> Flow {
        let Record { offset, broker_time, key, value } = record;
        if let Payload::Decoder(decoder) = value {
            self.decoder = decoder.with_reported(self.config.stored_ticks);
            return Flow::Continue;
        }
        self.next_offset = offset + 1;
        self.broker_time = broker_time.or(self.broker_time);
        let counted = self.counted.total();
        let flow = self.account_for_value(Record { offset, broker_time, key, value }, bounds, symbols);
        // What did not settle what is in hand, and did not join it.
        self.passed_in_hold |= self.jumps.waits() && self.counted.total() > counted;
        flow
    }

    fn account_for_value(&mut self, record: Record<'_>, bounds: Bounds, symbols: &mut SymbolTable) -> Flow {
        let Record { offset, broker_time, key, value } = record;
        self.watermark.replay_releases(offset);
        if self.standing == Standing::Idle {
            self.standing = Standing::Active;
            if let Some((capability, _)) = &self.capabilities {
                self.watermark.wake_from_idle(offset, *capability.time());
            }
        }
        let bytes = match value {
            Payload::Bytes(bytes) => bytes,
            Payload::Decoder(_) => return Flow::Continue,
            Payload::Null => {
                self.counted.ignored += 1;
                self.unused.add("ignored", TOMBSTONE);
                return self.flow();
            }
            Payload::Observed(observation) => {
                let read = Read { offset, broker_time, key, bytes: None, bounds };
                self.save_before(std::slice::from_ref(&observation), &read, None, symbols);
                let outcome = self.admit(observation, &read, 0, symbols);
                self.count(&[outcome], &read);
                symbols.settle();
                return self.flow();
            }
        };
        self.bytes_left = self.bytes_left.saturating_sub(bytes.len());
        let read = Read { offset, broker_time, key, bytes: Some(bytes), bounds };
        let mut decoded = std::mem::take(&mut self.decoded);
        decoded.clear();
        let result = self.decoder.decode(key, bytes, symbols, &mut decoded);
        match result {
            Ok(used @ (Decoded::Used | Decoded::Partly(_))) => self.take(used, &mut decoded, &read, symbols),
            Ok(Decoded::Ignored(kind)) => {
                self.counted.ignored += 1;
                self.unused.add("ignored", kind);
            }
            Err(error) => {
                self.counted.undecodable += 1;
                self.unused.add_refused("undecodable", error.reason, offset, &error.detail);
                self.dead_letter(&read, &error.detail);
            }
        }
        self.decoded = decoded;
        symbols.settle();
        self.flow()
    }

    /// Takes what a record says, unless it has to wait for the next.
    #[inline]
    fn take(&mut self, used: Decoded, decoded: &mut Vec<Observation>, read: &Read<'_>, symbols: &mut SymbolTable) {
        // Some exchanges list the newest trade first: it must not make the others late. Of one stamp, their order stays.
        if decoded.len() > 1 && !decoded.is_sorted_by_key(|observation| observation.at) {
            decoded.sort_by_key(|observation| observation.at);
        }
        if self.jumps.waits() && self.live.known.contains_all(decoded) {
            // What a reconnect repeats does not come back: it tells nothing of what is in hand.
            self.admit_all(used, decoded.drain(..), read, None, symbols);
            return;
        }
        let waits = self.jumps.waits() && !self.settle_jumps(Some(decoded), read.bounds, symbols);
        if waits || self.must_wait(decoded, read) {
            self.jumps.hold(used, std::mem::take(decoded), read, symbols);
            return;
        }
        self.save_before(decoded, read, None, symbols);
        self.admit_all(used, decoded.drain(..), read, None, symbols);
    }

    /// Gives the state for a checkpoint where this record is the first of a pane after the cut: reading goes on with it. Its
    /// observations ascend by time; those that begin after `wild_after` are wild.
    #[inline]
    fn save_before(
        &mut self,
        observations: &[Observation],
        read: &Read<'_>,
        wild_after: Option<Timestamp>,
        symbols: &SymbolTable,
    ) {
        if observations.last().is_none_or(|last| last.at < self.cut) {
            return;
        }
        let moves_time = |observation: &Observation| {
            observation.at >= self.cut
                && self.is_asked_for(observation.at)
                && !self.is_ahead(observation, read)
                && wild_after.is_none_or(|reach| begins(observation) <= reach)
        };
        if observations.iter().any(moves_time) {
            self.save(read.offset, symbols);
        }
    }

    /// Whether a record waits for the next. What was not asked for need not.
    #[inline]
    fn must_wait(&mut self, decoded: &[Observation], read: &Read<'_>) -> bool {
        let waits = self.jumps.must_wait(decoded, read, self.watermark.latest());
        waits && decoded.iter().any(|observation| self.is_asked_for(observation.at))
    }

    /// Takes what is in hand, of which `next` tells whether it was wild; nothing where the input has ended. False where it
    /// stays in hand.
    #[cold]
    pub(super) fn settle_jumps(
        &mut self,
        next: Option<&[Observation]>,
        bounds: Bounds,
        symbols: &mut SymbolTable,
    ) -> bool {
        let (held, wild_after) = match next {
            Some(next) => match self.jumps.tell(next, self.watermark.latest()) {
                Some(told) => (told.held, told.wild_after),
                None => return false,
            },
            None => (self.jumps.take(), None),
        };
        for mut record in held {
            let observations = std::mem::take(&mut record.observations);
            let names: Vec<SymbolId> = observations.iter().map(|observation| observation.symbol).collect();
            let read = Read { bounds, ..record.read() };
            if self.passed_in_hold && wild_after.is_none() {
                // What came behind it is counted already, and would be once more.
                self.miss();
            }
            self.save_before(&observations, &read, wild_after, symbols);
            self.admit_all(record.used, observations.into_iter(), &read, wild_after, symbols);
            // Held by who uses them from now on, or by nobody.
            names.into_iter().for_each(|name| symbols.release(name, Pane::default()));
        }
        self.passed_in_hold = false;
        true
    }

    /// Takes the observations of one record; those that begin after `wild_after` are wild.
    #[inline]
    fn admit_all(
        &mut self,
        used: Decoded,
        mut observations: impl ExactSizeIterator<Item = Observation>,
        read: &Read<'_>,
        wild_after: Option<Timestamp>,
        symbols: &mut SymbolTable,
    ) {
        let is_wild = |observation: &Observation| wild_after.is_some_and(|reach| begins(observation) > reach);
        if observations.len() == 1 && used == Decoded::Used {
            if let Some(observation) = observations.next() {
                let wild = is_wild(&observation);
                let outcome = if wild { Outcome::Jumped } else { self.admit(observation, read, 0, symbols) };
                self.count(&[outcome], read);
            }
            return;
        }
        let before = self.ticks.len();
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.extend(observations.zip(0_u32..).map(|(observation, index)| {
            let wild = is_wild(&observation);
            if wild { Outcome::Jumped } else { self.admit(observation, read, index, symbols) }
        }));
        self.count(&outcomes, read);
        // Beside an outcome of its own, a record may say once that it was not used as a whole.
        if outcomes.contains(&Outcome::Used) {
            let left_out = match used {
                Decoded::Partly(reason) => Some(reason),
                _ => outcomes.iter().find_map(Outcome::words).map(|(_, reason)| reason),
            };
            left_out.into_iter().for_each(|reason| self.unused.add("partly", reason));
            self.share(before, &outcomes, read.offset, left_out == Some("duplicate"));
        }
        outcomes.clear();
        self.outcomes = outcomes;
    }

    /// Ticks from `before` on are of one record: each is to know of how many, should they turn out to be repeats.
    fn share(&mut self, before: usize, outcomes: &[Outcome], offset: u64, told: bool) {
        let used = outcomes.iter().filter(|outcome| **outcome == Outcome::Used).count();
        let share = Share { of: u16::try_from(used).unwrap_or(u16::MAX), told };
        let in_hand = self.in_hand.iter_mut().filter(|tick| tick.order.offset == offset);
        self.ticks[before..].iter_mut().chain(in_hand).for_each(|tick| tick.share = share);
    }
}
