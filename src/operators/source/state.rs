//! What a partition remembers, for a checkpoint: as it was before the record that reading goes on with.

use super::SourceLinks;
use super::known::{Listed, OfSymbol};
use super::partition::SourcePartition;
use super::watermark::WatermarkState;
use crate::market::{Symbol, SymbolTable, Timestamp};
use crate::operators::support::board::Standing;
use crate::operators::support::stats::{Records, Stats, UnusedCounts};
use crate::operators::windows::Counted;
use crate::recovery::manifest::Keeper;
use crate::recovery::restored::{Unreadable, encode};
use serde::{Deserialize, Serialize};

/// A partition's state.
#[derive(Debug, Serialize, Deserialize)]
pub struct PartitionState {
    /// The offset that reading goes on with.
    pub offset: u64,
    watermark: WatermarkState,
    is_live: bool,
    symbols: Vec<SymbolState>,
    listed: Listed,
    records: Records,
    unused: UnusedCounts,
}

/// What is known of one symbol.
#[derive(Debug, Serialize, Deserialize)]
struct SymbolState {
    symbol: Symbol,
    last: Timestamp,
    known: OfSymbol,
}

impl SourcePartition {
    /// Gives the state for the cut at hand: reading goes on with `offset`.
    #[cold]
    pub(super) fn save(&mut self, offset: u64, symbols: &SymbolTable) {
        let cut = std::mem::replace(&mut self.cut, Timestamp::MAX);
        let history = self.history_kept();
        let Some(saving) = &mut self.saving else { return };
        // Another may be wanted by now, which this record is past: the next look says so.
        if saving.open() != Some(cut) {
            return;
        }
        let mut records = self.all_counted;
        records.add(&self.counted);
        let mut unused = self.all_unused.clone();
        self.unused.add_to(&mut unused);
        if let Some((of_records, of_unused)) = history {
            records.add(&of_records);
            of_unused.into_iter().for_each(|(reason, count)| *unused.entry(reason).or_default() += count);
        }
        let of = |(symbol, last)| SymbolState {
            symbol: symbols.name(symbol).clone(),
            last,
            known: self.live.known.of_symbol(symbol),
        };
        let state = PartitionState {
            offset,
            watermark: self.watermark.state(),
            is_live: self.jumps.is_live(),
            symbols: self.live.iter().map(of).collect(),
            listed: self.live.known.listed(),
            records,
            unused,
        };
        saving.give(cut, Some(offset), vec![(None, encode(&state))]);
    }

    /// Goes on from a checkpoint's state, where there is one.
    pub(super) fn go_on(&mut self, links: &SourceLinks, symbols: &mut SymbolTable) -> Result<(), Unreadable> {
        let Some(restored) = &links.restored else { return Ok(()) };
        for state in restored.take(Keeper::Source(self.id))? {
            self.restore(state, restored.cut(), symbols, &links.stats);
        }
        for Counted { taken_back, .. } in restored.read_each::<Counted>(Keeper::Windows)? {
            links.stats.add_taken_back(&self.topic, self.id, &taken_back);
        }
        Ok(())
    }

    /// Goes on from a state; what lies before `cut` is in the state of others.
    fn restore(&mut self, state: PartitionState, cut: Timestamp, symbols: &mut SymbolTable, stats: &Stats) {
        let PartitionState { offset, watermark, is_live, symbols: states, listed, records, unused } = state;
        self.next_offset = offset;
        self.watermark.restore(watermark);
        self.jumps.set_live(is_live);
        for SymbolState { symbol, last, known } in states {
            // It was one of so many before.
            let Ok(id) = symbols.intern(symbol.as_str()) else { continue };
            self.live.restore(id, last, known, symbols);
        }
        symbols.settle();
        self.live.known.set_listed(listed);
        self.state_before = cut;
        (self.all_counted, self.all_unused) = (records, unused.clone());
        stats.add_records(&records);
        stats.add_all_unused(&self.topic, self.id.number(), unused);
    }

    /// Gives the cut at hand up, where there is one.
    #[cold]
    pub(super) fn miss(&mut self) {
        let cut = std::mem::replace(&mut self.cut, Timestamp::MAX);
        if let Some(saving) = self.saving.as_mut().filter(|saving| saving.open() == Some(cut)) {
            saving.miss(cut);
        }
    }

    /// Looks whether a cut is wanted. Of one that the partition is past already it says so.
    pub(super) fn look_for_cut(&mut self) {
        let Some(saving) = &mut self.saving else { return };
        let Some(cut) = saving.open().filter(|cut| *cut != self.cut) else { return };
        let is_past = self.watermark.latest().is_some_and(|latest| latest >= cut) || self.jumps.waits();
        let passed = self.capabilities.as_ref().is_some_and(|(main, _)| *main.time() > self.config.slide.pane_of(cut));
        if is_past || passed {
            saving.miss(cut);
            self.cut = Timestamp::MAX;
        } else {
            self.cut = cut;
        }
    }

    /// Gives the state where the partition has passed the cut without a record after it: it is idle and follows the others, or
    /// at its end.
    pub(super) fn save_where_quiet(&mut self, symbols: &SymbolTable) {
        if self.cut == Timestamp::MAX {
            return;
        }
        let pane = self.config.slide.pane_of(self.cut);
        let passed = self.capabilities.as_ref().is_none_or(|(main, _): &(_, _)| *main.time() >= pane);
        if passed && !self.jumps.waits() {
            let awake = self.watermark.clone();
            if let (Standing::Idle, Some((main, _))) = (self.standing, &self.capabilities) {
                // What it still brings for a closed pane is late: as if it came back now.
                self.watermark.wake_from_idle(self.next_offset, *main.time());
            }
            self.save(self.next_offset, symbols);
            self.watermark = awake;
        }
    }
}
