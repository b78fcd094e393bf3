//! Sinks that an earlier run has written to.

use super::batch::Batch;
use super::sink::{Ending, Sink, SinkError, Wants};
use super::stop::Stop;
use crate::market::Timestamp;

/// A sink that an earlier run has written up to `through`: what lies before is left out.
///
/// Where the progress record says so, every result of a pane that ends by then is in the sink.
pub struct Resumed {
    sink: Box<dyn Sink>,
    through: Timestamp,
}

impl Resumed {
    /// Leaves out what `sink` has through `through`.
    #[must_use]
    pub fn new(sink: Box<dyn Sink>, through: Timestamp) -> Self {
        Self { sink, through }
    }

    fn is_new(&self, batch: &Batch) -> bool {
        let through = self.through;
        batch.scores.first().is_none_or(|s| s.target_at > through)
            && batch.forecasts.first().is_none_or(|f| f.issued_at > through)
            && batch.rows.first().is_none_or(|r| r.end > through)
            && batch.ticks.iter().all(|t| t.at >= through)
    }
}

impl Sink for Resumed {
    fn name(&self) -> &'static str {
        self.sink.name()
    }

    fn wants(&self) -> Wants {
        self.sink.wants()
    }

    fn records_max(&self) -> usize {
        self.sink.records_max()
    }

    fn write(&mut self, batch: &Batch, stop: &Stop) -> Result<(), SinkError> {
        if self.is_new(batch) {
            return self.sink.write(batch, stop);
        }
        let mut rest = batch.clone();
        rest.scores.retain(|s| s.target_at > self.through);
        rest.forecasts.retain(|f| f.issued_at > self.through);
        rest.rows.retain(|r| r.end > self.through);
        rest.ticks.retain(|t| t.at >= self.through);
        if rest.is_empty() { Ok(()) } else { self.sink.write(&rest, stop) }
    }

    fn finish(&mut self, ending: Ending) -> Result<(), SinkError> {
        self.sink.finish(ending)
    }
}
