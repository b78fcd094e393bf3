//! The mixture against opponents who know it, and by hand.

use super::*;
use crate::evaluation::pinball::mean_pinball;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::VecDeque;

const PRIORS: [f64; 10] = [0.02, 0.05, 0.15, 0.05, 0.05, 0.1, 0.02, 0.28, 0.28, 0.4];

fn pinball(level: usize, quantile: f64, actual: f64) -> f64 {
    let gap = actual - quantile;
    (LEVELS[level] * gap).max((LEVELS[level] - 1.0) * gap)
}

/// Uniform within ±1.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Who chooses experts' quantiles, label and scale; some know the mixture.
#[derive(Clone, Copy, Debug)]
enum Opponent {
    /// Experts stay; labels are noise around one of them.
    Constant,
    /// Experts exchange their places at each step.
    Alternating,
    /// Another expert is right after each 150 steps.
    Switch,
    /// Scales and experts of all sizes.
    Jumps,
    /// The label lies just beyond the mixture, on either side by chance.
    Beyond,
    /// Just beyond the mixture, to the side of the expert that has gained most.
    AgainstTheLeader,
    /// Two experts, and which is right changes as the delay hurts most.
    SquareWave,
}

struct Issue {
    experts: Vec<[f64; 5]>,
    mixed: [f64; 5],
    scale: f64,
    actual: f64,
}

/// A mixture, its opponent, and what is summed up by hand.
struct Game {
    mixture: Mixture,
    opponent: Opponent,
    horizon: usize,
    rng: ChaCha8Rng,
    due: VecDeque<Option<Issue>>,
    step: usize,
    /// `[5][K]`: credits and excess losses.
    credits: Vec<Vec<f64>>,
    regrets: Vec<Vec<f64>>,
    /// `[5]` each: ranges of the labels learnt.
    ranges: Vec<Vec<f64>>,
    rho_max: f64,
}

impl Game {
    fn new(opponent: Opponent, experts: usize, horizon: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let priors: Vec<f64> = (0..experts).map(|_| 0.02 + uniform(&mut rng).abs()).collect();
        let zeros = vec![vec![0.0; experts]; 5];
        Self {
            mixture: Mixture::new(&priors, horizon),
            opponent,
            horizon,
            rng,
            due: VecDeque::new(),
            step: 0,
            credits: zeros.clone(),
            regrets: zeros,
            ranges: vec![Vec::new(); 5],
            rho_max: 0.0,
        }
    }

    fn experts(&mut self) -> (Vec<[f64; 5]>, f64) {
        let (count, step) = (self.mixture.priors.len(), self.step);
        let place = |at: usize| 2.0 * at as f64 / (count - 1) as f64 - 1.0;
        let (mut scale, mut size) = (1.0, 1.0);
        if matches!(self.opponent, Opponent::Jumps) {
            scale = libm::exp(4.0 * uniform(&mut self.rng));
            size = libm::exp(4.0 * uniform(&mut self.rng));
        }
        let shift = if matches!(self.opponent, Opponent::Alternating) { step } else { 0 };
        let experts = (0..count).map(|at| LEVELS.map(|level| size * (place((at + shift) % count) + level))).collect();
        (experts, scale)
    }

    fn actual(&mut self, experts: &[[f64; 5]], mixed: &[f64; 5]) -> f64 {
        let noise = uniform(&mut self.rng);
        let beyond = |at: usize, is_up: bool| mixed[at] + if is_up { 1e-9 } else { -1e-9 };
        match self.opponent {
            Opponent::Constant | Opponent::Alternating => experts[0][2] + 0.3 * noise,
            Opponent::Switch => experts[(self.step / 150) % experts.len()][2] + 0.1 * noise,
            Opponent::Jumps => experts[1][2] * (1.0 + noise),
            Opponent::Beyond => beyond(2, noise > 0.0),
            Opponent::AgainstTheLeader => {
                let leader = (0..experts.len()).max_by(|a, b| self.credits[3][*a].total_cmp(&self.credits[3][*b]));
                beyond(3, experts[leader.unwrap()][3] > mixed[3])
            }
            Opponent::SquareWave => beyond(2, (self.step / (2 * self.horizon)).is_multiple_of(2)),
        }
    }

    /// Labels that are due, then the next issue; one label in ten is absent. Returns whether one was learnt.
    fn play(&mut self) -> bool {
        let due = (self.due.len() == self.horizon).then(|| self.due.pop_front().flatten()).flatten();
        if let Some(issue) = &due {
            self.note(issue);
            self.mixture.learn(issue.actual, &issue.experts, &issue.mixed, issue.scale);
        }
        let (experts, scale) = self.experts();
        let mixed = self.mixture.mix(&experts);
        let actual = self.actual(&experts, &mixed);
        let is_absent = !matches!(self.opponent, Opponent::SquareWave) && uniform(&mut self.rng) > 0.8;
        self.due.push_back((!is_absent).then_some(Issue { experts, mixed, scale, actual }));
        self.step += 1;
        due.is_some()
    }

    fn note(&mut self, issue: &Issue) {
        for level in 0..5 {
            let mixed = issue.mixed[level];
            let slope = f64::from(u8::from(issue.actual <= mixed)) - LEVELS[level];
            let rho: Vec<f64> = issue.experts.iter().map(|x| slope * (mixed - x[level]) / issue.scale).collect();
            for (at, rho) in rho.iter().enumerate() {
                let theirs = pinball(level, issue.experts[at][level], issue.actual);
                self.credits[level][at] += rho;
                self.regrets[level][at] += (pinball(level, mixed, issue.actual) - theirs) / issue.scale;
                self.rho_max = self.rho_max.max(rho.abs());
            }
            let ends = rho.iter().fold((f64::MAX, f64::MIN), |ends, rho| (ends.0.min(*rho), ends.1.max(*rho)));
            self.ranges[level].push(ends.1 - ends.0);
        }
    }

    /// The bound over all labels by the formula in the module's documentation, written out anew.
    fn bound(&self, level: usize, expert: usize) -> f64 {
        let (h, n) = (self.horizon as f64, self.ranges[level].len() as f64);
        let (eta, d) = (0.1 / h.sqrt(), h - 1.0);
        let s: f64 = self.ranges[level].iter().sum();
        let q: f64 = self.ranges[level].iter().map(|range| range * range).sum();
        let first = ((1.0 / self.mixture.priors[expert]).ln() + n * (1.0 / (1.0 - 1e-4_f64)).ln()) / eta;
        first + eta * (1.0 + 2.0 * d) * q / 8.0 + 1e-4 * d * s
    }
}

fn opponents() -> impl Strategy<Value = Opponent> {
    use Opponent::*;
    proptest::sample::select(vec![Constant, Alternating, Switch, Jumps, Beyond, AgainstTheLeader, SquareWave])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every expert, every level, after every label; and from a label in the middle on.
    #[test]
    fn the_regret_never_exceeds_its_bound(
        opponent in opponents(),
        experts in 2..6_usize,
        horizon in proptest::sample::select(vec![1_usize, 5, 15, 60]),
        seed in any::<u64>(),
        from in 0..800_usize,
    ) {
        let mut game = Game::new(opponent, experts, horizon, seed);
        let mut since = None;
        for step in 0..1600 {
            if step == from {
                since = Some((game.credits.clone(), game.ranges[0].len()));
            }
            if !game.play() {
                continue;
            }
            for level in 0..5 {
                let slack = 1e-9 * (1.0 + game.mixture.tallies[level].ranges);
                for expert in 0..experts {
                    let (credit, regret) = (game.credits[level][expert], game.regrets[level][expert]);
                    let bound = game.mixture.regret_bound(level, expert);
                    prop_assert!(regret <= credit + slack, "{} above its line {}", regret, credit);
                    prop_assert!(credit <= bound + slack, "{} above {} at step {}", credit, bound, step);
                    if let Some((credits, label)) = &since {
                        let mut tally = Tally::default();
                        let ranges = &game.ranges[level];
                        ranges[label.saturating_sub(horizon - 1)..].iter().for_each(|range| tally.add(*range));
                        tally.labels = (ranges.len() - label) as u64;
                        let start = SHARE * game.mixture.priors[expert];
                        let bound = tally.regret_bound(start, game.mixture.eta, horizon);
                        let credit = credit - credits[level][expert];
                        prop_assert!(credit <= bound + slack, "{} above {} since {}", credit, bound, from);
                    }
                }
            }
        }
        for level in 0..5 {
            for expert in 0..experts {
                let (found, bound) = (game.mixture.regret_bound(level, expert), game.bound(level, expert));
                prop_assert!((found - bound).abs() <= 1e-9 * bound, "{} is not {}", found, bound);
            }
        }
    }

    #[test]
    fn sorting_never_costs(quantiles in prop::array::uniform5(-3.0..3.0_f64), actual in -4.0..4.0_f64) {
        let sorted = ascending(quantiles);
        prop_assert!(sorted.is_sorted());
        prop_assert!(mean_pinball(&sorted, actual) <= mean_pinball(&quantiles, actual) + 1e-12);
    }

    /// Whatever comes, weights are a distribution, and none falls below its share.
    #[test]
    fn nothing_poisons_the_weights(numbers in prop::collection::vec(any::<f64>(), 40 * 17)) {
        let mut mixture = Mixture::new(&[1.0, 0.0, 3.0], 5);
        for wild in numbers.chunks_exact(17) {
            let experts: Vec<[f64; 5]> = wild[..15].chunks_exact(5).map(|x| x.try_into().unwrap()).collect();
            mixture.learn(wild[15], &experts, &mixture.mix(&experts), wild[16].abs());
            for level in 0..5 {
                let weights = mixture.weights(level);
                prop_assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{:?}", weights);
                prop_assert!(weights[0] >= 0.25 * SHARE && weights[1] == 0.0 && weights[2] >= 0.75 * SHARE);
            }
        }
    }
}

/// After each two horizons the other expert is right: what the labels teach is wrong by the time that it counts.
#[test]
fn the_price_of_delay_is_real() {
    let mut game = Game::new(Opponent::SquareWave, 2, 60, 1);
    game.mixture = Mixture::new(&[1.0, 1.0], 60);
    for _ in 0..20_000 {
        game.play();
    }
    let worst = (0..2).max_by(|a, b| game.credits[2][*a].total_cmp(&game.credits[2][*b])).unwrap();
    let (credit, bound) = (game.credits[2][worst], game.mixture.regret_bound(2, worst));
    let undelayed = game.mixture.tallies[2].regret_bound(game.mixture.priors[worst], game.mixture.eta, 1);
    assert!(credit > 5.0 * undelayed, "{credit} would be within {undelayed}, the bound without delay");
    assert!(credit > 0.4 * bound && credit < bound, "{credit} is far below {bound}, or above");
}

/// A bound above what any mixture could lose would say nothing.
#[test]
fn the_bound_is_not_vacuous() {
    for horizon in [1, 5, 15, 60] {
        let mut game = Game::new(Opponent::Constant, 5, horizon, 7);
        while game.ranges[2].len() < 20_000 {
            game.play();
        }
        for level in 0..5 {
            let (bound, trivial) = (game.mixture.regret_bound(level, 0), 20_000.0 * game.rho_max);
            assert!(bound < 0.2 * trivial, "{horizon} steps ahead: {bound} against {trivial}");
        }
    }
}

#[test]
fn one_label_by_hand() {
    let mut mixture = Mixture::new(&[3.0, 1.0], 4);
    let experts = [[1.0; 5], [5.0; 5]];
    let mixed = mixture.mix(&experts);
    assert_eq!(mixed, [2.0; 5]);
    // Above the mixture: slope -tau, so the credits are -tau (2 - 1) / 0.5 and -tau (2 - 5) / 0.5; eta is 0.05.
    mixture.learn(3.0, &experts, &mixed, 0.5);
    for (level, tau) in LEVELS.into_iter().enumerate() {
        let (near, far) = (0.75 * (0.05 * -2.0 * tau).exp(), 0.25 * (0.05 * 6.0 * tau).exp());
        let expected = 0.9999 * far / (near + far) + 1e-4 * 0.25;
        assert!((mixture.weights(level)[1] - expected).abs() < 1e-15, "{level}");
    }
}

#[test]
fn an_expert_without_a_prior_is_never_heard() {
    let mut with = Mixture::new(&[0.3, 0.0, 0.7], 1);
    let mut without = Mixture::new(&[0.3, 0.7], 1);
    for step in 0..300 {
        let (a, b) = ([f64::from(step % 7); 5], [f64::from(step % 11); 5]);
        let absent = if step % 2 == 0 { [f64::NAN; 5] } else { [4.0; 5] };
        let mixed = with.mix(&[a, absent, b]);
        assert_eq!(mixed, without.mix(&[a, b]));
        with.learn(4.0, &[a, absent, b], &mixed, 2.0);
        without.learn(4.0, &[a, b], &mixed, 2.0);
    }
    assert_eq!((with.weights(0)[0], with.weights(0)[1]), (without.weights(0)[0], 0.0));
    assert_eq!(with.regret_bound(0, 1), f64::INFINITY);
}

#[test]
fn what_is_not_finite_teaches_nothing() {
    let fresh = Mixture::new(&PRIORS, 15);
    let good = [[0.1, 0.2, 0.3, 0.4, 0.5]; 10];
    let mixed = fresh.mix(&good);
    let mut bad = good;
    bad[9] = [f64::NAN; 5];
    let mut mixture = fresh.clone();
    mixture.learn(f64::NAN, &good, &mixed, 1.0);
    mixture.learn(f64::INFINITY, &good, &mixed, 1.0);
    mixture.learn(0.1, &good, &mixed, 0.0);
    mixture.learn(0.1, &good, &mixed, -1.0);
    mixture.learn(0.1, &good, &mixed, f64::NAN);
    mixture.learn(0.1, &good, &[f64::NAN; 5], 1.0);
    mixture.learn(0.1, &bad, &mixed, 1.0);
    assert_eq!(mixture, fresh);
}

#[test]
fn a_running_maximum_can_cost_what_sorting_saves() {
    let crossed = [1.0, 0.0, 0.0, 0.0, 0.0];
    assert!(mean_pinball(&ascending(crossed), 0.0) < mean_pinball(&crossed, 0.0));
    assert!(mean_pinball(&[1.0; 5], 0.0) > mean_pinball(&crossed, 0.0));
}

#[test]
fn goes_on_from_a_checkpoint_with_the_same_bits() {
    let mut game = Game::new(Opponent::Switch, 4, 5, 3);
    for _ in 0..500 {
        game.play();
    }
    let bytes = postcard::to_allocvec(&game.mixture).unwrap();
    assert_eq!(postcard::from_bytes::<Mixture>(&bytes).unwrap(), game.mixture);
}
