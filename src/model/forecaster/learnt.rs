//! What a forecaster has learnt, as weights to be handed out.

use super::Forecaster;
use crate::market::Timestamp;
use crate::model::experts::Expert;
use crate::model::horizon::Opinion;
use crate::model::network::Network;
use crate::model::pool::Pool;
use crate::model::scratch::LearnerScratch;
use crate::model::weights::{Example, Weights};

impl Forecaster {
    /// The weights that forecasts are made with; none where the LSTM is off, or the network is not the symbol's own.
    #[must_use]
    pub fn weights(&self, scratch: &mut LearnerScratch) -> Option<Weights> {
        let (config, state) = (&self.config, &self.state);
        let network = state.network.as_ref().filter(|_| config.parts.experts[Expert::Lstm.place()])?;
        let first = state.first_step.map(|step| Timestamp::from_millis(step * config.step.millis()));
        let about = config.about(Some(&self.symbol), state.model, first);
        Some(Weights { about, lstm: network.averaged(), example: self.example_by(network, scratch) })
    }

    /// What `pool`'s network makes of the symbol's last sequence. Right after an issue that is what the LSTM said there. None
    /// while no whole sequence is remembered.
    #[must_use]
    pub fn example(&self, pool: &Pool, scratch: &mut LearnerScratch) -> Option<Example> {
        self.example_by(&pool.network, scratch)
    }

    fn example_by(&self, network: &Network, scratch: &mut LearnerScratch) -> Option<Example> {
        let (config, state) = (&self.config, &self.state);
        let now = state.recent.back().filter(|_| state.history.holds_sequence(state.last_step))?;
        let random_features = scratch.random_features();
        let opinions: Vec<Opinion> =
            state.horizons.iter().map(|horizon| horizon.model.consult(now, random_features)).collect();
        let bases: Vec<[f32; 5]> = opinions.iter().map(|opinion| opinion.base.map(|z| z as f32)).collect();
        network.correct(&state.history, state.last_step, scratch, &bases);
        Some(Example {
            symbol: self.symbol.clone(),
            issued_at: Timestamp::from_millis(state.last_step * config.step.millis()),
            last_price: state.last_price.to_f64(),
            scales: opinions.iter().map(|opinion| opinion.scale).collect(),
            inputs: scratch.sequence.iter().copied().collect(),
            bases,
            quantiles: scratch.corrected().to_vec(),
        })
    }
}
