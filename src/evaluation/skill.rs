//! The live score of one symbol and horizon: the last 1,440 scores, and the evidence from the first one on.

use super::evidence::Evidence;
use crate::market::{ScoreOutcome, Skill};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many scores [`Skill`] covers.
pub const SKILL_SCORES: usize = 1440;

/// The scores behind a [`Skill`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SkillWindow {
    /// Absolute errors of forecast and last price, the latter negative where the outcome was not covered. Single precision
    /// halves what most of a symbol's memory for skill is.
    recent: VecDeque<(f32, f32)>,
    error: f64,
    naive_error: f64,
    covered: u64,
    /// Scores since the sums were last added up anew, so that rounding does not pile up.
    since_sum: usize,
    evidence: Evidence,
}

impl SkillWindow {
    /// Nothing scored yet, for forecasts `horizon_steps` ahead.
    #[must_use]
    pub fn new(horizon_steps: usize) -> Self {
        Self {
            recent: VecDeque::new(),
            error: 0.0,
            naive_error: 0.0,
            covered: 0,
            since_sum: 0,
            evidence: Evidence::new(horizon_steps),
        }
    }

    /// Takes in a score that is not void; `step` numbers its target's step.
    pub fn add(&mut self, step: i64, outcome: &ScoreOutcome) {
        if self.recent.len() == SKILL_SCORES
            && let Some((error, naive)) = self.recent.pop_front()
        {
            self.error -= f64::from(error);
            self.naive_error -= f64::from(naive.abs());
            self.covered -= u64::from(naive.is_sign_positive());
        }
        if self.recent.len() == self.recent.capacity() {
            // Doubles, but not beyond what it will hold: the queue goes round through all of it.
            let left = SKILL_SCORES - self.recent.len();
            self.recent.reserve_exact(self.recent.len().max(16).min(left));
        }
        let (error, naive) = (outcome.error.abs() as f32, outcome.naive_error.abs() as f32);
        self.recent.push_back((error, if outcome.covered { naive } else { -naive }));
        self.error += f64::from(error);
        self.naive_error += f64::from(naive);
        self.covered += u64::from(outcome.covered);
        self.since_sum += 1;
        if self.since_sum >= SKILL_SCORES {
            self.since_sum = 0;
            self.error = self.recent.iter().map(|e| f64::from(e.0)).sum();
            self.naive_error = self.recent.iter().map(|e| f64::from(e.1.abs())).sum();
        }
        self.evidence.add(step, outcome.error, outcome.naive_error);
    }

    /// The figures now.
    #[must_use]
    pub fn skill(&self) -> Skill {
        let count = self.recent.len();
        // All naive errors 0, but for what rounding left of earlier ones.
        let naive = self.recent.iter().any(|e| e.1 != 0.0).then_some(self.naive_error).filter(|n| *n > 0.0);
        Skill {
            count: count as u64,
            mae_ratio: naive.map(|naive| self.error.max(0.0) / naive),
            coverage: (count > 0).then(|| self.covered as f64 / count as f64),
            e_value: self.evidence.value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Fixed;
    use crate::market::forecast::EXPERTS;

    fn outcome(error: f64, naive_error: f64, covered: bool) -> ScoreOutcome {
        ScoreOutcome {
            actual_price: Fixed::from_raw(1),
            error,
            naive_error,
            covered,
            pinball: 0.0,
            naive_pinball: 0.0,
            experts: [None; EXPERTS],
        }
    }

    #[test]
    fn covers_the_last_1440_scores() {
        let mut window = SkillWindow::new(1);
        assert_eq!(window.skill(), Skill { count: 0, mae_ratio: None, coverage: None, e_value: 1.0 });
        for step in 0..2000_i64 {
            // The first 560 are far worse, and leave the window.
            let error = if step < 560 { 100.0 } else { 1.0 };
            window.add(step, &outcome(error, -2.0, step % 10 != 0));
        }
        let skill = window.skill();
        assert_eq!(skill.count, 1440);
        assert_eq!(skill.mae_ratio, Some(0.5));
        assert_eq!(skill.coverage, Some(0.9));
    }

    #[test]
    fn a_price_that_never_moves_has_no_ratio() {
        let mut window = SkillWindow::new(1);
        window.add(0, &outcome(0.0, 0.0, true));
        assert_eq!(window.skill().mae_ratio, None);
    }
}
