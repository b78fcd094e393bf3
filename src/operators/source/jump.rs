//! Stamps that jump: a record far ahead of everything before it in its partition is kept in hand until the next one tells.
//!
//! If that one comes back, the first was wild and is quarantined; else there was a hole in the data. So one wrong stamp does not
//! make everything after it late. The first record of a file has nothing before it, and waits for the next one, too; that of a
//! topic does not, since its next may be long in coming. What happens now needs no witness: where record after record is as
//! old as its broker says, a hole is one.
//!
//! Decided by the partition's own sequence, broker stamps included, hence the same in a replay.

use super::outcome::{Bounds, Read, begins};
use crate::formats::Decoded;
use crate::market::{Observation, Span, SymbolTable, Timestamp};

/// The most records in hand: only such with the same stamp wait together, as of two collectors that write the same.
const HELD_MAX: usize = 64;
/// The most bytes in hand, beside the last record's.
const HELD_BYTES_MAX: usize = 1 << 20;

/// A record that waits.
pub(super) struct Held {
    pub used: Decoded,
    pub observations: Vec<Observation>,
    offset: u64,
    broker_time: Option<Timestamp>,
    key: Option<Vec<u8>>,
    bytes: Option<Vec<u8>>,
    bounds: Bounds,
}

impl Held {
    /// The record, as it was read.
    pub fn read(&self) -> Read<'_> {
        let (key, bytes) = (self.key.as_deref(), self.bytes.as_deref());
        Read { offset: self.offset, broker_time: self.broker_time, key, bytes, bounds: self.bounds }
    }
}

/// What the next record tells.
pub(super) struct Told {
    pub held: Vec<Held>,
    /// Of what was in hand, observations that begin after this were wild; none where there was a hole.
    pub wild_after: Option<Timestamp>,
}

/// The records of one partition that wait.
pub(super) struct Jumps {
    max_ahead: Span,
    held: Vec<Held>,
    held_bytes: usize,
    /// Whether its latest record was as old as its broker said.
    is_live: bool,
}

impl Jumps {
    pub fn new(max_ahead: Span) -> Self {
        Self { max_ahead, held: Vec::new(), held_bytes: 0, is_live: false }
    }

    /// Whether its latest record was as old as its broker said.
    pub const fn is_live(&self) -> bool {
        self.is_live
    }

    /// Puts back what [`Jumps::is_live`] gave.
    pub const fn set_live(&mut self, is_live: bool) {
        self.is_live = is_live;
    }

    /// Whether something is in hand.
    #[inline]
    pub fn waits(&self) -> bool {
        !self.held.is_empty()
    }

    /// What a record with these observations, ascending by time, makes of those in hand; `latest`: the greatest event time
    /// before them. None where it waits with them.
    #[cold]
    pub fn tell(&mut self, observations: &[Observation], latest: Option<Timestamp>) -> Option<Told> {
        let (Some(first), Some(wild)) = (observations.first().map(begins), self.last_in_hand()) else {
            return Some(Told { held: Vec::new(), wild_after: None });
        };
        let is_same = observations.last().map(begins) == Some(wild);
        if is_same && self.held.len() < HELD_MAX && self.held_bytes < HELD_BYTES_MAX {
            return None;
        }
        // The first of a partition is held against what follows.
        let reach = latest.unwrap_or(first).plus(self.max_ahead);
        let came_back = if latest.is_some() { first <= reach } else { wild > reach };
        self.held_bytes = 0;
        Some(Told { held: std::mem::take(&mut self.held), wild_after: came_back.then_some(reach) })
    }

    fn last_in_hand(&self) -> Option<Timestamp> {
        self.held.last().and_then(|held| held.observations.last()).map(begins)
    }

    /// What is in hand where nothing follows: a hole.
    pub fn take(&mut self) -> Vec<Held> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// Whether a record has to wait.
    #[inline]
    pub fn must_wait(&mut self, observations: &[Observation], read: &Read<'_>, latest: Option<Timestamp>) -> bool {
        let Some(last) = observations.last() else { return false };
        if let Some(latest) = latest
            && begins(last) <= latest.plus(self.max_ahead)
        {
            if last.at >= latest {
                self.is_live = self.is_now(last.at, read.broker_time);
            }
            return false;
        }
        let is_now = self.is_now(begins(last), read.broker_time);
        let is_first_of_topic = latest.is_none() && read.broker_time.is_some();
        if is_first_of_topic || (is_now && self.is_live) {
            self.is_live = is_now;
            return false;
        }
        // What is quarantined by its broker's stamp need not wait for that.
        read.broker_time.is_none_or(|broker| begins(last) <= broker.plus(self.max_ahead))
    }

    fn is_now(&self, at: Timestamp, broker: Option<Timestamp>) -> bool {
        broker.is_some_and(|broker| at >= broker.minus(self.max_ahead) && at <= broker.plus(self.max_ahead))
    }

    /// Takes a record in hand.
    #[cold]
    pub fn hold(&mut self, used: Decoded, observations: Vec<Observation>, read: &Read<'_>, symbols: &mut SymbolTable) {
        observations.iter().for_each(|observation| symbols.hold(observation.symbol));
        self.held_bytes += read.bytes.map_or(0, <[u8]>::len);
        self.held.push(Held {
            used,
            observations,
            offset: read.offset,
            broker_time: read.broker_time,
            key: read.key.map(<[u8]>::to_vec),
            bytes: read.bytes.map(<[u8]>::to_vec),
            bounds: read.bounds,
        });
    }
}
