//! From the configuration to what the learning room is told, and the weights that it starts from.

use crate::config::{Config, ExpertsConfig, Scope};
use crate::connectors::weights::{INITIAL, WeightsFileError, names, path, read_all};
use crate::market::Symbol;
use crate::model::experts::Parts;
use crate::model::settings::{ForecasterConfig, LearnerConfig};
use crate::model::weights::{FILE_BYTES_MAX, InitialWeights};
use std::sync::Arc;

/// The weights that a job of this configuration starts from; none where it starts untrained.
///
/// # Errors
/// When a file of `model.weights` cannot be read, or does not fit.
pub fn initial_weights(config: &Config) -> Result<Option<Arc<InitialWeights>>, WeightsFileError> {
    let Some(dir) = &config.model.weights else { return Ok(None) };
    let (dir, settings) = (dir.join(INITIAL), forecaster_config(config, None));
    let wanted = |symbol: Option<&Symbol>| symbol.is_none() == settings.pooled;
    for other in names(&dir)?.iter().filter(|s| !wanted(s.as_ref())) {
        let scope = if settings.pooled { "pooled" } else { "symbol" };
        tracing::warn!("{} is not used: model.scope is {scope}", path(&dir, other.as_ref()).display());
    }
    let files = read_all(&dir, FILE_BYTES_MAX, wanted)?;
    let initial = InitialWeights::read(&files, |weights| settings.check_fits(weights)).map_err(|(symbol, error)| {
        let file = path(&dir, symbol.as_ref());
        WeightsFileError(format!("{}: {error}; take the file away to start untrained", file.display()))
    })?;
    if let Some(initial) = &initial {
        tracing::info!("starts from {} files of weights in {}", initial.all().count(), dir.display());
    }
    Ok(initial.map(Arc::new))
}

/// What the learning room is told, with the weights that it starts from.
#[must_use]
pub fn forecaster_config(config: &Config, initial: Option<Arc<InitialWeights>>) -> ForecasterConfig {
    let model = &config.model;
    ForecasterConfig {
        job: config.job.id.as_str().into(),
        step: model.step,
        epoch: config.time.epoch,
        horizons: model.horizons.clone(),
        coverage: model.coverage,
        parts: Parts { prior: model.prior, ..parts(&model.experts) },
        pooled: model.scope == Scope::Pooled && model.experts.lstm,
        learner: LearnerConfig {
            hidden: model.hidden,
            layers: model.layers,
            steps: model.steps,
            minibatches: model.minibatches,
            epoch_steps: config.time.epoch.in_units_of(model.step).unwrap_or(1).unsigned_abs() as usize,
            horizons: model.horizons.len(),
            random_seed: model.random_seed,
        },
        initial,
    }
}

fn parts(config: &ExpertsConfig) -> Parts {
    let ExpertsConfig {
        gaussian,
        empirical,
        range_scale,
        location,
        window_range,
        geometric_range,
        slow,
        quantile_regression,
        random_features,
        lstm,
        median_gate,
        interval_control,
        flow,
        market,
    } = *config;
    let experts = [
        gaussian,
        empirical,
        range_scale,
        location,
        window_range,
        geometric_range,
        slow,
        quantile_regression,
        random_features,
        lstm,
    ];
    Parts { experts, median_gate, interval_control, flow, market, ..Parts::default() }
}
