//! What forecasting remembers, for a checkpoint, and how it goes on from one.

use super::{Frontiers, LearnState, Pause};
use crate::market::{Pane, Step, Symbol, Timestamp};
use crate::model::forecaster::Forecaster;
use crate::model::pool::Pool;
use crate::model::state::StateError;
use crate::operators::support::keeping::Keeping;
use crate::operators::support::stats::Stats;
use crate::recovery::cuts::Saving;
use crate::recovery::manifest::Keeper;
use crate::recovery::restored::{Unreadable, encode, encode_parts};
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// One symbol's state, and when it had its last bar.
type SymbolState = (Symbol, Option<Timestamp>, Vec<u8>);

/// What belongs to no symbol.
#[derive(Debug, Serialize, Deserialize)]
struct OfWorker {
    last_pane: Pane,
    forecasts: u64,
}

impl LearnState {
    /// Goes on from a checkpoint's state, where there is one.
    pub(super) fn restore(&mut self, keeping: &Keeping, stats: &Stats) -> Result<(), Unreadable> {
        let wrong = |keeper: Keeper| move |error: StateError| Unreadable(keeper, error.to_string());
        let Some(cut) = keeping.restored_cut() else { return Ok(()) };
        for OfWorker { last_pane, forecasts } in keeping.each::<OfWorker>(Keeper::Forecasters)? {
            self.steps.restore(cut, last_pane);
            // The sum of all workers', kept by the first from now on.
            self.issued += if keeping.worker == 0 { forecasts } else { 0 };
        }
        stats.add_forecasts(self.issued);
        let needs = |symbol: &Symbol| self.trace.as_ref().is_none_or(|trace| trace.needs(symbol));
        let states = keeping.symbols::<SymbolState>(Keeper::Forecasters)?.into_iter();
        for (symbol, last_bar, bytes) in states.filter(|(symbol, ..)| needs(symbol)).collect::<Vec<_>>() {
            let forecaster = Forecaster::read_state(Rc::clone(&self.config), &bytes);
            self.steps.see(&symbol, last_bar);
            self.forecasters.insert(symbol, forecaster.map_err(wrong(Keeper::Forecasters))?);
        }
        self.steps.awake = self.forecasters.values().any(Forecaster::awaits_scores);
        if let (Some(pooled), Some(bytes)) = (&mut self.pooled, keeping.shared::<Vec<u8>>(Keeper::Network)?) {
            pooled.pool = Pool::read_state(&self.config, &bytes).map_err(wrong(Keeper::Network))?;
            pooled.has_learnt(Some(cut));
        }
        Ok(())
    }

    /// Gives the state where a cut is wanted, and all steps that end by then are worked off: the next one ends after it, or
    /// both inputs have passed it.
    pub(super) fn save(&mut self, passed: Option<Frontiers>) -> Option<Pause> {
        let cut = self.steps.due(&self.saving.as_ref()?.forecasters, passed.map(Frontiers::least))?;
        if self.closed.is_some() {
            return None;
        }
        // A worker without symbols may not have learnt what the others have by then.
        if self.pooled.is_some() && self.join(Step::before(cut, self.config.step)).is_none() {
            return Some(Pause::Waiting);
        }
        self.give(cut);
        None
    }

    fn give(&mut self, cut: Timestamp) {
        let last_bars: std::collections::HashMap<&Symbol, Timestamp> = self.steps.last_bars().collect();
        let state = |(symbol, forecaster): (&'_ Symbol, &'_ Forecaster)| {
            let mut bytes = Vec::new();
            // Never but for a fault in this program: then the checkpoint does not read back, and the one before is gone on from.
            let written = forecaster.write_state(&mut bytes);
            debug_assert!(written.is_ok(), "{written:?}");
            (symbol.clone(), last_bars.get(symbol).copied(), bytes)
        };
        let states: Vec<SymbolState> = self.forecasters.iter().map(state).collect();
        let mut states = encode_parts(states.iter().map(|state| (&state.0, state)));
        let of_worker = OfWorker { last_pane: self.steps.last_pane(), forecasts: self.issued };
        states.push((None, encode(&of_worker)));
        let network = self.pooled.as_ref().map(|pooled| {
            let mut bytes = Vec::new();
            let written = pooled.pool.write_state(&self.config, &mut bytes);
            debug_assert!(written.is_ok(), "{written:?}");
            bytes
        });
        let Some(saving) = &mut self.saving else { return };
        saving.forecasters.give(cut, None, states);
        if let (Some(saving), Some(bytes)) = (&mut saving.network, network) {
            saving.give(cut, None, vec![(None, encode(&bytes))]);
        }
    }
}

/// The operator's parts in checkpoints.
#[derive(Debug)]
pub(super) struct LearnSaving {
    forecasters: Saving,
    /// Of the network that all symbols share: the same on every worker, so that the first one gives it.
    network: Option<Saving>,
}

impl LearnSaving {
    pub fn new(keeping: &Keeping, is_pooled: bool) -> Option<Self> {
        let network = keeping.saving(Keeper::Network).filter(|_| is_pooled && keeping.worker == 0);
        keeping.saving(Keeper::Forecasters).map(|forecasters| Self { forecasters, network })
    }
}
