//! What the layers of a horizon said at an issue.

use super::{HorizonModel, Issued, Opinion};
use crate::market::forecast::EXPERTS;
use crate::model::experts::{ALL, Parts};
use crate::model::intervals::IntervalControl;
use crate::model::lineage::{Intervals, Layers};
use crate::model::terciles::Tercile;

impl HorizonModel {
    /// Who said what, of the last issue: nothing was learnt since.
    #[must_use]
    pub fn lineage(&self, opinion: &Opinion, issued: &Issued, parts: &Parts) -> Layers {
        let priors = parts.priors(self.steps);
        let tercile = issued.tercile;
        let offsets = |control: &IntervalControl| {
            if parts.interval_control { control.offsets(tercile) } else { [0.0; 2] }
        };
        let weights: [[f64; 5]; EXPERTS] = std::array::from_fn(|place| {
            std::array::from_fn(|level| self.mixture.weights(level).get(place).copied().unwrap_or(0.0))
        });
        Layers {
            scale: opinion.scale,
            shape: opinion.shape,
            regression: opinion.base,
            experts: ALL.map(|expert| (priors[expert.place()] > 0.0).then(|| opinion.experts[expert.place()])),
            weights,
            mixed: issued.mixed,
            median: issued.median,
            gate: self.gate.lineage(parts.median_gate),
            widening: opinion.widening,
            intervals: Intervals {
                tercile: match tercile {
                    Tercile::Low => "low",
                    Tercile::Middle => "middle",
                    Tercile::High => "high",
                },
                offsets: offsets(&self.intervals),
                own_offsets: self.other.as_ref().map(|other| offsets(&other.control)),
            },
            quantiles: issued.quantiles,
            interval: issued.interval,
        }
    }
}
