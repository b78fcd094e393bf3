//! The same for who asks over HTTP.

use super::{Asked, NotPublished, found, purpose};
use crate::cli::{Usage, cause};
use crate::config::{Config, check};
use crate::delivery::{Reader, Stop};
use crate::operators::support::stats::Stats;
use crate::recovery::Cause;
use crate::serving::explain::Explains;
use crate::serving::problem::Problem;
use axum::http::StatusCode;
use std::sync::Arc;

/// A job whose forecasts can be computed again.
struct Served {
    config: Config,
    /// What the page shows, where nothing else has it.
    reader: Option<Arc<dyn Reader>>,
}

/// Who computes the forecasts of a configuration again, that `reader` shows; none where it names no source.
pub fn explains(config: &Config, reader: &Arc<dyn Reader>) -> Option<Arc<dyn Explains>> {
    let mut config = config.clone();
    if config.source.kafka.is_none() {
        config.read_history();
    }
    if !check::check_for(&config, purpose(&config)).is_empty() {
        return None;
    }
    let reader = (!found::has_sink(&config)).then(|| Arc::clone(reader));
    Some(Arc::new(Served { config, reader }))
}

impl Explains for Served {
    fn explain(&self, id: &str, stop: &Stop, stats: &Arc<Stats>) -> Result<String, Problem> {
        let reader = self.reader.as_deref();
        // One worker: a job may run beside it.
        let asked = Asked { id, workers: 1, range: (None, None), from_start: false, reader };
        let explained = asked.answer(&self.config, stop, stats, || Ok(())).and_then(|explained| explained.told.json());
        explained.map_err(|error| Problem { status: status(&error), detail: format!("{error:#}") })
    }
}

fn status(error: &anyhow::Error) -> StatusCode {
    if error.is::<Usage>() {
        StatusCode::BAD_REQUEST
    } else if error.is::<NotPublished>() {
        StatusCode::NOT_FOUND
    } else if cause(error) == Cause::NeedsDecision {
        // What it was computed from is gone, or something else would be computed.
        StatusCode::CONFLICT
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}
