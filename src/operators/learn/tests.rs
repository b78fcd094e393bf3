//! A worker's part in a network that all symbols share.

use super::*;
use crate::market::{Fixed, Span};
use crate::model::experts::Parts;
use crate::model::pool::GradientSum;
use crate::model::settings::LearnerConfig;

fn config() -> ForecasterConfig {
    let (step, epoch) = (Span::from_millis(60_000), Span::from_millis(300_000));
    let learner =
        LearnerConfig { hidden: 4, layers: 1, steps: 2, minibatches: 1, epoch_steps: 5, horizons: 1, random_seed: 1 };
    let (job, horizons, parts) = ("test".into(), vec![step], Parts::default());
    ForecasterConfig { job, step, epoch, horizons, coverage: 0.9, parts, pooled: true, learner, initial: None }
}

/// A worker whose first symbol comes late waits for the epochs that others have learnt before, and learns them.
#[test]
fn a_worker_learns_what_it_had_no_part_in_before_it_takes_part() {
    let (slide, config) = (Slide::new(Span::from_millis(60_000)), config());
    let totals = Rc::new(RefCell::new(Totals::default()));
    let mut total = GradientSum::default();
    total.add(&vec![0.01; config.learner.shape().parameters()], 1.0);
    totals.borrow_mut().sums.insert(Pane::from_number(94), total);
    let pooled = Pooled::new(Pool::new(&config).unwrap(), Rc::clone(&totals), slide, 2);
    let mut state = LearnState::new(slide, config, Span::from_millis(86_400_000), Some(pooled));
    let (end, last_price) = (state.steps.end_of(Step::from_number(100)), Fixed::from_raw(1));
    let row = FeatureRow {
        symbol: Symbol::new("X").unwrap(),
        end,
        windows: Box::new([]),
        bar: Some(crate::market::Ohlcv::of_tick(last_price, last_price, None)),
        last_price,
    };
    // Step number 100 ends an epoch, and so does number 95, with pane 94.
    state.steps.insert(Step::from_number(100), vec![row]);
    let mut issued = Vec::new();
    let mut advance = |state: &mut LearnState, pool_frontier| {
        totals.borrow_mut().frontier = Some(Pane::from_number(pool_frontier));
        let (frontiers, mut results) =
            (Frontiers { rows: Some(Pane::from_number(110)), market: None }, StepResults::default());
        let pause = state
            .advance(frontiers, &mut results, &Gauges::default(), |_, results| issued.append(&mut results.forecasts));
        (pause == Pause::Waiting, state.closed.is_some())
    };
    assert_eq!(advance(&mut state, 94), (true, false), "the epoch before is not complete");
    assert_eq!(advance(&mut state, 95), (true, true), "this one is not");
    assert_eq!(advance(&mut state, 100), (false, false));
    assert_eq!(issued.iter().map(|f| f.model.version).collect::<Vec<_>>(), [1]);
    assert!(totals.borrow().sums.is_empty());
}
