//! Pinball (quantile) loss: what a forecast of quantiles is judged by.

/// Levels of the five published quantiles.
pub const LEVELS: [f32; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// Targets are clipped to ± this, in units of the scale, so that one wild move does not take over a minibatch.
pub const TARGET_LIMIT: f32 = 12.0;

/// A target within ±[`TARGET_LIMIT`].
#[must_use]
pub fn clip_target(target: f32) -> f32 {
    target.clamp(-TARGET_LIMIT, TARGET_LIMIT)
}

/// Mean pinball loss of five quantiles at `target`, summed in f64.
#[must_use]
pub fn pinball(quantiles: &[f32; 5], target: f32) -> f64 {
    let losses = quantiles.iter().zip(LEVELS).map(|(quantile, level)| {
        let distance = f64::from(target) - f64::from(*quantile);
        let level = f64::from(level);
        (level * distance).max((level - 1.0) * distance)
    });
    losses.sum::<f64>() / 5.0
}

/// Gradient of [`pinball`] by each quantile. Where the target lies on a quantile, the mean of both one-sided gradients.
#[must_use]
pub fn pinball_gradient(quantiles: &[f32; 5], target: f32) -> [f32; 5] {
    let mut gradient = [0.0; 5];
    for ((gradient, quantile), level) in gradient.iter_mut().zip(quantiles).zip(LEVELS) {
        *gradient = match target.partial_cmp(quantile) {
            Some(std::cmp::Ordering::Greater) => -level,
            Some(std::cmp::Ordering::Less) => 1.0 - level,
            Some(std::cmp::Ordering::Equal) => 0.5 - level,
            None => f32::NAN,
        } / 5.0;
    }
    gradient
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_least_where_the_level_is_the_share_below() {
        let sample: Vec<f32> = (0..1000).map(|at| (at as f32 + 0.5) / 1000.0).collect();
        let mean = |at: usize, quantile: f32| {
            let mut quantiles = [0.5; 5];
            quantiles[at] = quantile;
            sample.iter().map(|target| pinball(&quantiles, *target)).sum::<f64>()
        };
        for (at, level) in LEVELS.into_iter().enumerate() {
            assert!(mean(at, level) < mean(at, level + 0.02), "{level}");
            assert!(mean(at, level) < mean(at, level - 0.02), "{level}");
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let quantiles = [-1.5, -0.5, 0.1, 0.6, 2.0];
        for target in [-3.0, -1.0, 0.0, 0.3, 1.0, 4.0] {
            let gradient = pinball_gradient(&quantiles, target);
            for at in 0..5 {
                let moved = |by: f32| {
                    let mut quantiles = quantiles;
                    quantiles[at] += by;
                    pinball(&quantiles, target)
                };
                let slope = (moved(0.0625) - moved(-0.0625)) / 0.125;
                assert!((slope - f64::from(gradient[at])).abs() < 1e-6, "{target} {at}: {slope}");
            }
        }
    }

    #[test]
    fn wild_targets_are_clipped() {
        assert_eq!([clip_target(-40.0), clip_target(3.0), clip_target(40.0)], [-12.0, 3.0, 12.0]);
    }
}
