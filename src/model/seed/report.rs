//! A training, and what it is worth: the model's errors on the test windows beside those of repeating the last price.
//!
//! The project printed the mean absolute error of the target under the name of the mean squared one. Here are both, and
//! what they are in price and in basis points.

use super::training::{Minibatch, Training};
use super::windows::Windows;
use super::{DROPOUT, EPOCHS, HIDDEN, PARAMETERS, ROWS, TRAINING_ROWS, WINDOW};
use crate::model::learner::below;
use crate::model::lstm::Lstm;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};

/// Keeps the draws of minibatches and dropout apart from those of the initial weights.
const DRAWS: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mean errors over the test windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    /// Mean squared error of the target, `P[i + 5] / P[i] - 1`.
    pub mse: f64,
    /// Mean absolute error of the target.
    pub mae: f64,
    /// Mean absolute error in units of price.
    pub mae_price: f64,
    /// `mae` in basis points.
    pub mae_bps: f64,
}

/// Which of the two forecasts the test windows better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// The project's model.
    Seed,
    /// The last price.
    Naive,
    /// Neither.
    Neither,
}

/// What a training is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeedReport {
    /// Windows that were learnt from.
    pub training_windows: usize,
    /// Windows after them, which were not.
    pub test_windows: usize,
    /// Weights that were learnt.
    pub parameters: usize,
    /// Of the model.
    pub model: Errors,
    /// Of repeating the last price of each window.
    pub naive: Errors,
    /// The model's mean absolute error in price over that of the last price; none where that is 0.
    pub mae_ratio: Option<f64>,
    /// By the mean absolute error in price.
    pub better: Better,
    /// Mean squared error of the training windows by epoch, as they were learnt: with dropout, while weights changed.
    pub training_loss: Vec<f64>,
    /// Mean squared error of the test windows after each epoch.
    pub test_loss: Vec<f64>,
}

/// Trains a model from `initial` weights on the last 400 `prices`, oldest first.
///
/// # Panics
/// When there are not [`ROWS`] prices, or the weights are of another shape.
#[must_use]
pub fn train(prices: &[f64], initial: &Lstm, random_seed: u64, minibatch: &mut Minibatch) -> (Lstm, SeedReport) {
    assert_eq!(prices.len(), ROWS, "a model is made of {ROWS} rows");
    let (training_prices, test_prices) = prices.split_at(TRAINING_ROWS);
    let (windows, test) = (Windows::of(training_prices), Windows::of(test_prices));
    let mut random = ChaCha8Rng::seed_from_u64(random_seed.wrapping_add(DRAWS));
    let mut training = Training::new(initial.clone());
    let mut order: Vec<usize> = (0..windows.len()).collect();
    let (mut training_loss, mut test_loss, mut outputs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..EPOCHS {
        shuffle(&mut order, &mut random);
        training_loss.push(training.epoch(&windows, &order, Some(&mut random), minibatch));
        outputs = minibatch.outputs(training.lstm(), &test);
        test_loss.push(mean(errors(&outputs, test.targets()).map(|error| error * error)));
    }
    let model = Errors::of(test_prices, |at, first| first * (1.0 + f64::from(outputs[at])));
    let naive = Errors::of(test_prices, |at, _| test_prices[at + WINDOW - 1]);
    let mae_ratio = (naive.mae_price > 0.0).then(|| model.mae_price / naive.mae_price);
    let better = if model.mae_price < naive.mae_price {
        Better::Seed
    } else if naive.mae_price < model.mae_price {
        Better::Naive
    } else {
        Better::Neither
    };
    let report = SeedReport {
        training_windows: windows.len(),
        test_windows: test.len(),
        parameters: PARAMETERS,
        model,
        naive,
        mae_ratio,
        better,
        training_loss,
        test_loss,
    };
    (training.into_lstm(), report)
}

/// The recipe in one line, for people.
#[must_use]
pub fn recipe() -> String {
    format!("LSTM({HIDDEN}), dropout {DROPOUT}, dense; {ROWS} rows, windows of {WINDOW}; {EPOCHS} epochs")
}

impl Errors {
    /// Of forecast prices, by the number of the test window and its first price.
    fn of(prices: &[f64], forecast: impl Fn(usize, f64) -> f64) -> Self {
        let all = || {
            prices.windows(WINDOW + 1).enumerate().map(|(at, rows)| {
                let (first, next) = (rows[0], rows[WINDOW]);
                let error = forecast(at, first) - next;
                (error.abs(), error.abs() / first)
            })
        };
        let mae = mean(all().map(|(_, error)| error));
        Self {
            mse: mean(all().map(|(_, error)| error * error)),
            mae,
            mae_price: mean(all().map(|(error, _)| error)),
            mae_bps: mae * 1e4,
        }
    }
}

fn errors<'a>(outputs: &'a [f32], targets: &'a [f32]) -> impl ExactSizeIterator<Item = f64> + 'a {
    outputs.iter().zip(targets).map(|(output, target)| f64::from(*output) - f64::from(*target))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    values.sum::<f64>() / count as f64
}

/// Every order equally likely (Fisher and Yates; Durstenfeld 1964).
fn shuffle(order: &mut [usize], random: &mut ChaCha8Rng) {
    for last in (1..order.len()).rev() {
        order.swap(last, below(random, last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_in_the_units_that_they_are_named_after() {
        // Windows that start at 100 and 102; the next rows are 110 and 120.
        let prices = [100.0, 102.0, 101.0, 103.0, 105.0, 110.0, 120.0];
        let naive = Errors::of(&prices, |at, _| prices[at + WINDOW - 1]);
        assert!((naive.mae_price - 7.5).abs() < 1e-12, "5 and 10: {naive:?}");
        let expected = f64::midpoint(5.0 / 100.0, 10.0 / 102.0);
        assert!((naive.mae - expected).abs() < 1e-12 && (naive.mae_bps - expected * 1e4).abs() < 1e-8, "{naive:?}");
        let squares = f64::midpoint(0.05 * 0.05, 10.0 / 102.0 * (10.0 / 102.0));
        assert!((naive.mse - squares).abs() < 1e-12, "{naive:?}");
    }

    #[test]
    fn a_shuffle_loses_nothing_and_is_the_seed_s() {
        let shuffled = |seed| {
            let mut order: Vec<usize> = (0..315).collect();
            shuffle(&mut order, &mut ChaCha8Rng::seed_from_u64(seed));
            order
        };
        let mut sorted = shuffled(1);
        assert_ne!(sorted, (0..315).collect::<Vec<_>>());
        assert_eq!(sorted, shuffled(1));
        assert_ne!(sorted, shuffled(2));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..315).collect::<Vec<_>>());
    }
}
