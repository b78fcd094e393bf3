//! Where the crate counts in bins, the prototype sorts; where the crate has a causal volatility, the prototype looks ahead.

use std::collections::VecDeque;
use tickcast::market::forecast::LEVELS;
use tickcast::model::quantile_window::QuantileWindow;
use tickcast::model::terciles::Tercile;

/// Rounded, as the prototype has them.
pub const NORMAL_QUANTILES: [f64; 5] = [-1.6448536, -0.6744898, 0.0, 0.6744898, 1.6448536];

/// Empirical quantiles of the last labels.
pub trait Window {
    fn add(&mut self, z: f64);
    fn refresh(&mut self);
    fn quantiles(&self) -> [f64; 5];
}

impl Window for QuantileWindow {
    fn add(&mut self, z: f64) {
        Self::add(self, z);
    }
    fn refresh(&mut self) {
        Self::refresh(self);
    }
    fn quantiles(&self) -> [f64; 5] {
        Self::quantiles(self)
    }
}

/// The prototype's order statistics.
pub struct ExactWindow {
    size: usize,
    symmetric: bool,
    labels: VecDeque<f64>,
    sorted: Vec<f64>,
    /// Since `sorted` was brought up to date.
    added: Vec<f64>,
    removed: Vec<f64>,
    quantiles: [f64; 5],
}

impl ExactWindow {
    pub fn new(size: usize, symmetric: bool) -> Self {
        let (labels, sorted, added, removed) = Default::default();
        Self { size, symmetric, labels, sorted, added, removed, quantiles: NORMAL_QUANTILES }
    }

    /// `sorted` with what was added and without what was removed.
    fn merge(&mut self) {
        self.added.sort_by(f64::total_cmp);
        self.removed.sort_by(f64::total_cmp);
        let (mut merged, mut gone) = (Vec::with_capacity(self.labels.len()), self.removed.iter().peekable());
        let (mut old, mut new) = (self.sorted.iter().peekable(), self.added.iter().peekable());
        loop {
            let is_old = match (old.peek(), new.peek()) {
                (Some(old), Some(new)) => old.total_cmp(new).is_le(),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            let value = *if is_old { old.next() } else { new.next() }.unwrap();
            if gone.next_if(|gone| gone.total_cmp(&value).is_eq()).is_none() {
                merged.push(value);
            }
        }
        assert_eq!(merged.len(), self.labels.len());
        self.sorted = merged;
        self.added.clear();
        self.removed.clear();
    }
}

impl Window for ExactWindow {
    fn add(&mut self, z: f64) {
        let z = if self.symmetric { z.abs() } else { z + 0.0 };
        if self.labels.len() == self.size {
            self.removed.extend(self.labels.pop_front());
        }
        self.labels.push_back(z);
        self.added.push(z);
    }

    fn refresh(&mut self) {
        if self.labels.len() <= 50 {
            return;
        }
        self.merge();
        let labels = self.sorted.len();
        let at = |share: f64| self.sorted[((share * labels as f64) as usize).min(labels - 1)];
        self.quantiles = LEVELS.map(|level| {
            if !self.symmetric {
                return at(level);
            }
            // In floating point 2 .95 - 1 is less than 1 - 2 .05: the upper quantile may be one place lower than the lower one.
            let share = (2.0 * level - 1.0).abs();
            if share == 0.0 { 0.0 } else { at(share).copysign(level - 0.5) }
        });
    }

    fn quantiles(&self) -> [f64; 5] {
        self.quantiles
    }
}

/// The prototype's terciles: of all values so far, by sorting.
pub fn terciles(values: &[f64]) -> Vec<Tercile> {
    let mut boundaries = [0.0; 2];
    let tercile = |step: usize| {
        if step < 240 {
            return Tercile::Middle;
        }
        if step.is_multiple_of(60) {
            let mut past = values[..=step].to_vec();
            let count = past.len();
            boundaries = [count / 3, 2 * count / 3].map(|rank| *past.select_nth_unstable_by(rank, f64::total_cmp).1);
        }
        match values[step] {
            value if value < boundaries[0] => Tercile::Low,
            value if value < boundaries[1] => Tercile::Middle,
            _ => Tercile::High,
        }
    };
    (0..values.len()).map(tercile).collect()
}

/// The judge's volatility as the prototype's mixture has it: without the first bar's own return, undefined for 60 bars and
/// there, against causality, the first value that is defined; carried over steps without a bar.
pub fn judges_volatility(returns: &[Option<f64>]) -> Vec<f64> {
    let decay = 0.5_f64.powf(1.0 / 60.0);
    let (mut sum, mut weight, mut bars, mut last) = (0.0, 0.0, 0, None);
    let mut values: Vec<Option<f64>> = Vec::with_capacity(returns.len());
    for change in returns {
        if let Some(change) = change {
            bars += 1;
            if bars > 1 {
                (sum, weight) = (decay * sum + change * change, decay * weight + 1.0);
            }
            if bars > 60 {
                last = Some((sum / weight).sqrt());
            }
        }
        values.push(last);
    }
    let first = values.iter().flatten().next().copied().unwrap();
    values.into_iter().map(|value| value.unwrap_or(first)).collect()
}
