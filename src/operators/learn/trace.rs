//! What `learn` says of a forecast that is asked about.

use super::LearnState;

impl LearnState {
    /// Answers where the step at hand has issued the forecast that is asked about.
    pub(super) fn answer(&self) {
        let Some(trace) = &self.trace else { return };
        let at = self.steps.end_of(self.steps.next());
        if at != trace.issued_at {
            return;
        }
        let pool = self.pooled.as_ref().map(|pooled| &pooled.pool);
        let lineage = self.forecasters.get(&trace.symbol).and_then(|of| of.lineage(at, trace.horizon, pool));
        lineage.into_iter().for_each(|lineage| trace.answer(lineage));
    }
}
