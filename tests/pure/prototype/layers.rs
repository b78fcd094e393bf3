//! The crate's layers one after another, each over the whole series, as the prototype runs them: a second wiring beside
//! `HorizonModel`, which runs all layers step by step.

use super::exact::{self, ExactWindow, Window};
use crate::series::{Bar, MINUTE_MS};
use std::collections::BTreeMap;
use tickcast::evaluation::pinball::NORMAL_QUANTILES;
use tickcast::features::{BarStatistics, MARKET_INPUTS, StepFeatures};
use tickcast::market::Timestamp;
use tickcast::market::forecast::EXPERTS;
use tickcast::model::Mixture;
use tickcast::model::experts::{Expert, Parts};
use tickcast::model::gate::{MedianGate, closed};
use tickcast::model::horizon::{SLOW_MAX, drawn, join, regressors};
use tickcast::model::intervals::{GAINS, Gains, IntervalControl};
use tickcast::model::location::LocationRegression;
use tickcast::model::mixture::ascending;
use tickcast::model::quantile_regression::QuantileRegression;
use tickcast::model::quantile_window::QuantileWindow;
use tickcast::model::random_features::RandomFeatures;
use tickcast::model::scale::{RangeScale, Realised, Scales};
use tickcast::model::terciles::{Tercile, Terciles};

/// Five quantiles at every step.
pub type Quantiles = Vec<[f64; 5]>;

/// Experts of the mixture without the LSTM, by the prototype's names.
pub const ITEMS: [(&str, Expert); 9] = [
    ("gaussian", Expert::Gaussian),
    ("empirical", Expert::Empirical),
    ("scale_shape", Expert::RangeScale),
    ("location", Expert::Location),
    ("window_range", Expert::WindowRange),
    ("geometric", Expert::GeometricRange),
    ("slow", Expert::Slow),
    ("sn", Expert::QuantileRegression),
    ("snrf", Expert::RandomFeatures),
];

/// Whose way it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Prototype,
    Crate,
}

/// All steps from the first bar on, those without a bar included.
pub struct Series {
    /// The minute, since 1970, in which the first step ends.
    pub first: i64,
    pub steps: Vec<StepFeatures>,
    /// The volatility of the prototype's mixture.
    judges: Vec<f64>,
}

impl Series {
    pub fn of(bars: &[Bar]) -> Self {
        let (first, mut statistics) = (bars[0].0.millis() / MINUTE_MS, BarStatistics::default());
        let mut steps: Vec<StepFeatures> = Vec::new();
        for (end, bar) in bars {
            let place = (end.millis() / MINUTE_MS - first) as usize;
            while steps.len() < place {
                let end = Timestamp::from_millis((first + steps.len() as i64) * MINUTE_MS);
                steps.push(statistics.step(end, None));
            }
            steps.push(statistics.step(*end, Some(bar)));
        }
        let returns: Vec<_> = steps.iter().map(|step| step.present.then_some(step.bar.change)).collect();
        Self { first, steps, judges: exact::judges_volatility(&returns) }
    }

    /// The issue whose label comes at `step`, and its return: with a bar at both.
    fn due(&self, step: usize, horizon: usize) -> Option<(usize, f64)> {
        let issue = step.checked_sub(horizon)?;
        let (then, now) = (&self.steps[issue], &self.steps[step]);
        (then.present && now.present).then(|| (issue, now.log_price() - then.log_price()))
    }

    /// A layer over all steps: it learns from the label that is due, also by what it said at the issue, then speaks.
    fn run<L, T>(
        &self,
        horizon: usize,
        mut layer: L,
        mut learn: impl FnMut(&mut L, &[T], usize, f64),
        mut say: impl FnMut(&mut L, usize) -> T,
    ) -> Vec<T> {
        let mut said = Vec::with_capacity(self.steps.len());
        for step in 0..self.steps.len() {
            if let Some((issue, actual)) = self.due(step, horizon) {
                learn(&mut layer, &said, issue, actual);
            }
            let now = say(&mut layer, step);
            said.push(now);
        }
        said
    }

    /// The volatility of the first two experts and of the terciles.
    pub fn volatility(&self, way: Way) -> Vec<f64> {
        match way {
            Way::Prototype => self.judges.clone(),
            Way::Crate => self.steps.iter().map(|step| step.volatility).collect(),
        }
    }

    pub fn terciles(&self, volatility: &[f64], way: Way) -> Vec<Tercile> {
        let mut terciles = Terciles::new();
        let mut next = |value: &f64| {
            terciles.add(*value);
            terciles.tercile()
        };
        match way {
            Way::Prototype => exact::terciles(volatility),
            Way::Crate => volatility.iter().map(&mut next).collect(),
        }
    }
}

/// The layers of one horizon.
pub struct Layers<'a> {
    pub series: &'a Series,
    pub horizon: usize,
    pub scales: Vec<Scales>,
    /// That of the model.
    pub scale: Vec<f64>,
    /// Whose empirical quantiles.
    windows: Way,
    /// By the prototype's names.
    pub items: BTreeMap<&'static str, Quantiles>,
}

impl<'a> Layers<'a> {
    /// The scale, and what does not depend on volatility: all experts but the first two.
    pub fn new(series: &'a Series, horizon: usize, windows: Way, projections: &RandomFeatures) -> Self {
        let learn = |layer: &mut RangeScale, _: &[Scales], issue: usize, _: f64| {
            let realised = Realised::of(series.steps[issue + 1..=issue + horizon].iter());
            layer.learn(&series.steps[issue], &realised);
        };
        let say = |layer: &mut RangeScale, step: usize| layer.predict(&series.steps[step]);
        let scales = series.run(horizon, RangeScale::new(horizon), learn, say);
        let scale = scales.iter().map(|scale| scale.mixed).collect();
        let mut layers = Self { series, horizon, scales, scale, windows, items: BTreeMap::new() };
        layers.shapes();
        let shape = layers.shape(&layers.scale, &[], 20_000, true);
        let plain = layers.regression(&shape, None);
        let featured = if horizon <= 5 { layers.regression(&shape, Some(projections)) } else { plain.clone() };
        layers.items.insert("scale_shape", times(&shape, &layers.scale));
        layers.items.insert("sn", times(&plain, &layers.scale));
        layers.items.insert("snrf", times(&featured, &layers.scale));
        layers
    }

    fn shapes(&mut self) {
        let root = (self.horizon as f64).sqrt();
        let every = |of: &dyn Fn(&StepFeatures) -> f64| self.series.steps.iter().map(of).collect::<Vec<f64>>();
        // The prototype adds so much to this scale.
        let floor = if self.windows == Way::Prototype { 1e-9 } else { 0.0 };
        let mut slow = every(&|step| step.slow_volatility * root + floor);
        if self.windows == Way::Crate {
            slow.iter_mut().zip(&self.scale).for_each(|(slow, scale)| *slow = slow.min(SLOW_MAX * scale));
        }
        let geometric = every(&|step| (step.geometric_range / 1.6 + 1e-7) * root);
        let window: Vec<f64> = self.scales.iter().map(|scale| scale.window).collect();
        let location = self.location();
        let around = self.shape(&self.scale, &location, 20_000, true);
        let around: Quantiles = around.iter().zip(&location).map(|(e, m)| e.map(|e| m + e)).collect();
        let items = [
            ("window_range", times(&self.shape(&window, &[], 10_000, false), &window)),
            ("geometric", times(&self.shape(&geometric, &[], 20_000, true), &geometric)),
            ("slow", times(&self.shape(&slow, &[], 20_000, false), &slow)),
            ("location", times(&around, &self.scale)),
        ];
        self.items.extend(items);
    }

    fn location(&self) -> Vec<f64> {
        let inputs = |step: usize| &self.series.steps[step].location;
        let learn = |layer: &mut LocationRegression, _: &[f64], issue: usize, actual: f64| {
            layer.learn(inputs(issue), actual / self.scale[issue]);
        };
        let say = |layer: &mut LocationRegression, step: usize| layer.predict(inputs(step));
        self.series.run(self.horizon, LocationRegression::new(self.horizon), learn, say)
    }

    /// Quantiles of the returns in units of `scale`, less the `location` (0 where that is empty).
    fn shape(&self, scale: &[f64], location: &[f64], labels: usize, symmetric: bool) -> Quantiles {
        let window: Box<dyn Window> = match (self.windows, symmetric) {
            (Way::Prototype, _) => Box::new(ExactWindow::new(labels, symmetric)),
            (Way::Crate, true) => Box::new(QuantileWindow::symmetric(labels)),
            (Way::Crate, false) => Box::new(QuantileWindow::asymmetric(labels)),
        };
        let learn = |window: &mut Box<dyn Window>, _: &[[f64; 5]], issue: usize, actual: f64| {
            window.add(actual / scale[issue] - location.get(issue).unwrap_or(&0.0));
        };
        let say = |window: &mut Box<dyn Window>, step: usize| {
            if step.is_multiple_of(60) {
                window.refresh();
            }
            window.quantiles()
        };
        self.series.run(self.horizon, window, learn, say)
    }

    /// Inputs of layer 3, without a flow of orders and a market.
    pub fn inputs(&self, step: usize, projections: Option<&RandomFeatures>) -> Vec<f64> {
        let scale = self.scale[step] / (self.horizon as f64).sqrt();
        let x = regressors(&self.series.steps[step], &[0.0; MARKET_INPUTS], scale);
        projections.map_or_else(|| x.to_vec(), |projections| join(&x, &drawn(&x, projections)).to_vec())
    }

    fn regression(&self, shape: &Quantiles, projections: Option<&RandomFeatures>) -> Quantiles {
        let layer = QuantileRegression::new(self.inputs(0, projections).len(), self.horizon);
        let learn = |layer: &mut QuantileRegression, _: &[[f64; 5]], issue: usize, actual: f64| {
            layer.learn(&self.inputs(issue, projections), &shape[issue], actual / self.scale[issue]);
        };
        let say =
            |layer: &mut QuantileRegression, step: usize| layer.predict(&self.inputs(step, projections), &shape[step]);
        self.series.run(self.horizon, layer, learn, say)
    }

    /// The first two experts, then layers 5 to 7. Returns how often quantiles of the mixture crossed.
    pub fn publish(&mut self, volatility: Way, of_terciles: Way) -> usize {
        let root = (self.horizon as f64).sqrt();
        let of_one_step = self.series.volatility(volatility);
        let terciles = self.series.terciles(&of_one_step, of_terciles);
        // The prototype adds so much to this scale, and rounds the normal quantiles.
        let (floor, normal) = match volatility {
            Way::Prototype => (1e-9, exact::NORMAL_QUANTILES),
            Way::Crate => (0.0, NORMAL_QUANTILES),
        };
        let wide: Vec<f64> = of_one_step.iter().map(|volatility| volatility * root + floor).collect();
        self.items.insert("gaussian", wide.iter().map(|scale| normal.map(|z| z * scale)).collect());
        self.items.insert("empirical", times(&self.shape(&wide, &[], 20_000, true), &wide));
        let mixed = self.mixture();
        let ordered: Quantiles = mixed.iter().map(|quantiles| ascending(*quantiles)).collect();
        let crossings = ordered.iter().zip(&mixed).filter(|(ordered, mixed)| ordered != mixed).count();
        let all = [self.windows, volatility, of_terciles] == [Way::Crate; 3];
        let gated = if all { self.gate_of_scores(&ordered) } else { self.gate(&ordered) };
        let gains = if all { GAINS } else { Gains { shared: 0.003, tercile: 0.008 } };
        let published = self.intervals(&gated, &terciles, gains);
        self.items.extend([("mix", ordered), ("gated", gated), ("final0", published)]);
        crossings
    }

    /// Before its quantiles are put in order.
    fn mixture(&self) -> Quantiles {
        let mut parts = Parts::default();
        parts.experts[Expert::Lstm.place()] = false;
        // Beyond five steps layer 3 speaks twice in the prototype; here it has both priors.
        let mixture = Mixture::new(&parts.priors(self.horizon), self.horizon);
        let experts = |step: usize| {
            let mut experts = [[0.0; 5]; EXPERTS];
            ITEMS.iter().for_each(|(item, expert)| experts[expert.place()] = self.items[item][step]);
            experts
        };
        let learn = |mixture: &mut Mixture, said: &[[f64; 5]], issue: usize, actual: f64| {
            mixture.learn(actual, &experts(issue), &said[issue], self.scale[issue]);
        };
        self.series.run(self.horizon, mixture, learn, |mixture, step| mixture.mix(&experts(step)))
    }

    /// The crate's: it learns from all that counts as scored, and is closed where there is no tick.
    fn gate_of_scores(&self, mixed: &Quantiles) -> Quantiles {
        let (steps, mut gate) = (&self.series.steps, MedianGate::new(self.horizon));
        let mut said = Vec::with_capacity(steps.len());
        for (step, now) in steps.iter().enumerate() {
            let is_fresh = steps[..=step].iter().rev().take(5).any(|step| step.present);
            if let Some(issue) = step.checked_sub(self.horizon)
                && steps[issue].present
                && is_fresh
            {
                gate.learn(now.bar.close - steps[issue].bar.close, mixed[issue][2], self.scale[issue]);
            }
            said.push(if now.present { gate.apply(mixed[step]) } else { closed(mixed[step]) });
        }
        said
    }

    fn gate(&self, mixed: &Quantiles) -> Quantiles {
        let learn = |gate: &mut MedianGate, _: &[[f64; 5]], issue: usize, actual: f64| {
            gate.learn(actual, mixed[issue][2], self.scale[issue]);
        };
        self.series.run(self.horizon, MedianGate::new(self.horizon), learn, |gate, step| gate.apply(mixed[step]))
    }

    fn intervals(&self, gated: &Quantiles, terciles: &[Tercile], gains: Gains) -> Quantiles {
        let learn = |control: &mut IntervalControl, said: &[[f64; 5]], issue: usize, actual: f64| {
            control.learn(actual, [said[issue][0], said[issue][4]], terciles[issue]);
        };
        let say =
            |control: &mut IntervalControl, step: usize| control.apply(gated[step], self.scale[step], terciles[step]);
        self.series.run(self.horizon, IntervalControl::with_gains(self.horizon, 0.05, gains), learn, say)
    }
}

fn times(quantiles: &Quantiles, scale: &[f64]) -> Quantiles {
    quantiles.iter().zip(scale).map(|(quantiles, scale)| quantiles.map(|z| z * scale)).collect()
}
