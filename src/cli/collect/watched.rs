//! What a collector from an API shows of itself.

use crate::feeds::messari::Counters;
use crate::serving::Watch;
use crate::serving::job::JobStatus;
use crate::serving::metrics::{self, Family, Values};
use std::sync::Arc;

/// What a collector shows of itself.
pub(super) struct Watched(pub Arc<Counters>);

impl Watch for Watched {
    fn status(&self) -> Option<JobStatus> {
        None
    }

    fn families(&self) -> Vec<Family> {
        let tally = self.0.tally();
        let of = |outcome: &str, count: u64| (vec![("outcome", outcome.to_owned())], count);
        let polls = vec![
            of("published", tally.published),
            of("unchanged", tally.unchanged),
            of("outdated", tally.outdated),
            of("failed", tally.failed()),
        ];
        let failures = tally.failures.iter().map(|(kind, count)| (vec![("kind", (*kind).to_owned())], *count));
        let gauge = |value: f64| Values::Gauges(vec![(vec![], value)]);
        let mut families = vec![
            Family { name: "tickcast_collect_polls", help: "Calls that have ended", values: Values::Counters(polls) },
            Family {
                name: "tickcast_collect_failures",
                help: "Calls that failed, by kind",
                values: Values::Counters(failures.collect()),
            },
            Family {
                name: "tickcast_collect_unacknowledged",
                help: "Observations that the broker has not acknowledged",
                values: gauge(tally.unacknowledged as f64),
            },
            Family {
                name: "tickcast_collect_trade_age_seconds",
                help: "How old the trade was in the latest answer, by the API's own clocks",
                values: gauge(tally.lag_ms as f64 / 1000.0),
            },
        ];
        families.extend(metrics::of_process());
        families
    }

    fn dead(&self) -> Option<String> {
        None
    }

    fn unready(&self) -> Vec<String> {
        let tally = self.0.tally();
        let answered = tally.published + tally.unchanged;
        let nothing = || format!("nothing was collected yet: {tally}");
        (answered == 0).then(nothing).into_iter().collect()
    }
}
