//! What a forecast was made of.

use super::Forecaster;
use crate::features::INPUTS;
use crate::market::{Span, Timestamp};
use crate::model::experts::Expert;
use crate::model::lineage::{ExampleRange, Lineage, SequenceStep};
use crate::model::pool::Pool;

impl Forecaster {
    /// What the forecast for `horizon` was made of that was issued at `at`; none where that is not the last issue. `pool` is
    /// the network that all symbols share, where they do.
    #[must_use]
    pub fn lineage(&self, at: Timestamp, horizon: Span, pool: Option<&Pool>) -> Option<Lineage> {
        let (config, state) = (&self.config, &self.state);
        let step = at.millis().div_euclid(config.step.millis());
        let horizon = state.horizons.iter().find(|of| of.span == horizon)?;
        let issue = horizon.pending.back().filter(|issue| issue.target == step + horizon.steps as i64)?;
        let now = state.recent.back().filter(|_| state.last_step == step)?;
        let first_tick = state.first_step.map(|first| self.end_of(first));
        let (model, about) = match pool {
            Some(pool) => (pool.model, pool.weights(config).about),
            None => (state.model, config.about(Some(&self.symbol), state.model, first_tick)),
        };
        let trained = model.trained_through.map(|at| at.millis().div_euclid(config.step.millis()));
        let known = trained.filter(|_| pool.is_none()).and_then(|step| state.learner.known(step, &state.examples));
        Some(Lineage {
            features: now.features.clone(),
            market: now.market,
            sequence: self.sequence(step),
            lstm_spoke: config.parts.experts[Expert::Lstm.place()] && state.history.holds_sequence(step),
            first_tick,
            steps_seen: state.first_step.map_or(0, |first| step - first + 1),
            steps_needed: config.learner.steps,
            model,
            trained_from: about.trained_from,
            examples: known.map(|(count, first, last)| ExampleRange {
                count,
                first: self.end_of(first),
                last: self.end_of(last),
            }),
            layers: horizon.model.lineage(&issue.opinion, &issue.issued, &config.parts),
        })
    }

    fn end_of(&self, step: i64) -> Timestamp {
        Timestamp::from_millis(step * self.config.step.millis())
    }

    /// The steps that the LSTM's sequence of `step` consists of, as far as they are remembered.
    fn sequence(&self, step: i64) -> Vec<SequenceStep> {
        let (state, steps) = (&self.state, self.config.learner.steps);
        let mut inputs = ndarray::Array2::zeros((steps, INPUTS));
        state.history.copy_sequence(step, inputs.view_mut());
        let first = step - steps as i64 + 1;
        let seen =
            (first..).zip(inputs.rows()).filter(|(step, _)| state.first_step.is_some_and(|first| *step >= first));
        let each = seen.filter_map(|(of, row)| {
            let back = usize::try_from(step - of).ok()?;
            let remembered = state.recent.len().checked_sub(1 + back).and_then(|place| state.recent.get(place));
            Some(SequenceStep {
                end: self.end_of(of),
                present: state.history.is_present(of)?,
                close: remembered.map(|step| libm::exp(step.features.log_price())),
                inputs: std::array::from_fn(|at| row[at]),
            })
        });
        each.collect()
    }
}
