//! Rows to windows, scaled as the project scaled them: each by its own least and greatest price.
//!
//! This erases how large the window's moves were, and the target begins five rows back: what the model could know best, the
//! last price, it has to put together again from both. That is how the project did it.

use super::WINDOW;

/// Windows of consecutive rows, and their targets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Windows {
    inputs: Vec<[f32; WINDOW]>,
    targets: Vec<f32>,
}

impl Windows {
    /// Of `prices`, oldest first: as many as have a row after them, `prices.len() - 5`. The target of `P[i..i + 5]` is
    /// `P[i + 5] / P[i] - 1`.
    #[must_use]
    pub fn of(prices: &[f64]) -> Self {
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for rows in prices.windows(WINDOW + 1) {
            let Some((window, [next])) = rows.split_first_chunk::<WINDOW>() else { continue };
            inputs.push(scaled(window));
            targets.push((next / window[0] - 1.0) as f32);
        }
        Self { inputs, targets }
    }

    /// Given ones, for comparisons with other implementations.
    ///
    /// # Panics
    /// When there is not one target for each window.
    #[must_use]
    pub fn given(inputs: Vec<[f32; WINDOW]>, targets: Vec<f32>) -> Self {
        assert_eq!(inputs.len(), targets.len(), "one target for each window");
        Self { inputs, targets }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The targets.
    #[must_use]
    pub fn targets(&self) -> &[f32] {
        &self.targets
    }

    /// Copies the windows of these numbers to `inputs`, `[T, B, 1]`, and their targets to `targets`, `[B]`.
    pub(super) fn gather(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut [f32]) {
        for (place, &number) in numbers.iter().enumerate() {
            for (step, price) in self.inputs[number].iter().enumerate() {
                inputs[step * numbers.len() + place] = *price;
            }
            targets[place] = self.targets[number];
        }
    }
}

/// A window between 0, its least price, and 1, its greatest. One of equal prices is all zeros, as with scikit-learn's
/// `MinMaxScaler`, which divides by 1 where there is no range.
#[must_use]
pub fn scaled(window: &[f64; WINDOW]) -> [f32; WINDOW] {
    let least = window.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = if greatest > least { greatest - least } else { 1.0 };
    window.map(|price| ((price - least) / range) as f32)
}

#[cfg(test)]
mod tests {
    use super::super::{ROWS, TRAINING_ROWS};
    use super::*;

    #[test]
    fn four_hundred_rows_are_315_and_75_windows() {
        let prices: Vec<f64> = (0..ROWS).map(|row| 100.0 + row as f64).collect();
        let (training, test) = prices.split_at(TRAINING_ROWS);
        assert_eq!((Windows::of(training).len(), Windows::of(test).len()), (315, 75));
        assert!(Windows::of(&prices[..WINDOW]).is_empty());
    }

    #[test]
    fn each_window_is_scaled_by_itself_and_its_target_starts_at_its_first_price() {
        let windows = Windows::of(&[10.0, 12.0, 11.0, 14.0, 13.0, 15.0, 9.0]);
        assert_eq!(windows.inputs, [[0.0, 0.5, 0.25, 1.0, 0.75], [0.25, 0.0, 0.75, 0.5, 1.0]]);
        assert_eq!(windows.targets, [0.5, -0.25]);
    }

    #[test]
    fn a_window_without_a_range_is_zeros() {
        assert_eq!(scaled(&[31_571.74; WINDOW]), [0.0; WINDOW]);
    }
}
