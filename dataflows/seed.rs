//! What the student project's model is told of a configuration.

use crate::config::Config;
use crate::model::seed::forecaster::SeedConfig;

/// `preset = "seed"`: sizes and horizon are the project's, so that little is left to be said.
#[must_use]
pub fn seed_config(config: &Config) -> SeedConfig {
    let model = &config.model;
    SeedConfig {
        job: config.job.id.as_str().into(),
        step: model.step,
        epoch: config.time.epoch,
        coverage: model.coverage,
        random_seed: model.random_seed,
    }
}
