//! What `learn` tells of weights: those that it hands out, and a warning of initial ones that know the future.

use super::LearnState;
use crate::market::{FeatureRow, Symbol};
use crate::model::settings::ForecasterConfig;
use crate::model::weights::Weights;
use crate::operators::support::gauges::Gauges;
use std::cell::RefCell;
use std::ops::Bound;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The experts' weights are shown this often at most.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// What a worker has learnt, to be asked for when its dataflow is over.
pub struct Learnt(Rc<RefCell<LearnState>>);

impl Learnt {
    pub(super) fn new(state: Rc<RefCell<LearnState>>) -> Self {
        Self(state)
    }

    /// Hands out the weights of all the worker's symbols; those of a network that all symbols share are given back, for one
    /// of the workers to be chosen.
    #[must_use]
    pub fn hand_out(&self) -> Option<Weights> {
        let state = &mut *self.0.borrow_mut();
        let shared = state.shared_weights();
        let Some(out) = state.out.as_ref().filter(|_| shared.is_none()) else { return shared };
        for forecaster in state.forecasters.values() {
            if let Some(weights) = forecaster.weights(&mut state.scratch) {
                out.send_last(&weights);
            }
        }
        None
    }
}

impl LearnState {
    /// Hands out some weights where it is time to, and where no step is half done.
    pub(super) fn hand_out(&mut self) {
        if self.out.is_none() || self.forecasters.is_empty() || self.closed.is_some() {
            return;
        }
        let at = self.steps.end_of(self.steps.next().previous());
        let Some(after) = self.out.as_mut().and_then(|out| out.round(at)) else { return };
        // All workers have the same shared network, and any of them may have no symbol: each that has one tells.
        let shared = self.shared_weights();
        let Some(out) = &mut self.out else { return };
        if self.pooled.is_some() {
            let symbol = self.forecasters.first_key_value().map(|(symbol, _)| symbol);
            if shared.zip(symbol).is_none_or(|(weights, symbol)| out.send(symbol, &weights)) {
                out.end_round();
            }
            return;
        }
        let from = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        for (symbol, forecaster) in self.forecasters.range::<Symbol, _>((from, Bound::Unbounded)) {
            let weights = forecaster.weights(&mut self.scratch);
            if weights.is_some_and(|weights| !out.send(symbol, &weights)) {
                return;
            }
        }
        out.end_round();
    }

    /// Shows the experts' weights to who looks at them.
    pub(super) fn show(&mut self, gauges: &Gauges) {
        if gauges.wants_weights() && self.shown.is_none_or(|at| at.elapsed() >= SHOW_EVERY) {
            let all = self.forecasters.iter();
            gauges.set_weights(all.map(|(symbol, forecaster)| (symbol.clone(), forecaster.shares().collect())));
            self.shown = Some(Instant::now());
        }
    }

    /// Those that all symbols share, with what they make of the first symbol that has a whole sequence.
    fn shared_weights(&mut self) -> Option<Weights> {
        let pool = &self.pooled.as_ref()?.pool;
        let mut weights = pool.weights(&self.config);
        weights.example = self.forecasters.values().find_map(|forecaster| forecaster.example(pool, &mut self.scratch));
        Some(weights)
    }
}

/// Says where the initial weights have learnt from what they are about to forecast: scores are worth nothing then. True where
/// it was said.
pub(super) fn warn_of_the_future(config: &ForecasterConfig, row: &FeatureRow) -> bool {
    let whose = (!config.pooled).then_some(&row.symbol);
    let initial = config.initial.as_ref().and_then(|initial| initial.of(whose));
    let through = initial.and_then(|weights| weights.about.model.trained_through).filter(|through| *through > row.end);
    if let Some(through) = through {
        tracing::warn!(
            "the initial weights of {} have learnt from data up to {through}, and forecasts begin at {}: until then scores are too good to be true",
            row.symbol,
            row.end
        );
    }
    through.is_some()
}
