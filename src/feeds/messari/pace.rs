//! When to ask for which asset: a state machine of what came of earlier calls. Pure: time is what the caller says has
//! passed since the start by a clock that only goes forward, and so is chance.
//!
//! Each asset has its own slots, one per `every`, evenly between those of the others. After an answer comes the next slot
//! that still lies ahead: what a slow answer or a stalled machine missed is not made up for. After a failure comes a wait
//! that doubles, with full jitter; after a refusal a long one. A server that asks to be left alone is left alone, by all
//! assets, since limits count for a key and not for an asset.

use std::time::Duration;

/// The first wait after a failure is of this order, or that of the pace where that is quicker.
pub const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// Waits after failures grow no further: an API that is back is found within some minutes.
pub const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// How long to wait after a refusal (a wrong key, an unknown asset): somebody has to mend it, which takes a while.
pub const REFUSED_WAIT: Duration = Duration::from_secs(300);
/// When all were held back, they begin again within this time, or within one pace where that is shorter.
const RETURN_WITHIN: Duration = Duration::from_secs(10);
/// Doublings of the wait after which it certainly is at its limit.
const DOUBLINGS_MAX: u32 = 30;

/// What came of a call, as far as the pace is concerned. Waits are those that the server asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An answer that can be used.
    Answered,
    /// Nothing usable, this time.
    Failed(Option<Duration>),
    /// Too many requests.
    Limited(Option<Duration>),
    /// No, and no again until somebody mends it.
    Refused,
}

/// Whose turn it is, and when.
#[derive(Clone, Debug)]
pub struct Pace {
    every: Duration,
    turns: Vec<Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    /// Its first slot.
    offset: Duration,
    due: Duration,
    /// Calls in a row that failed.
    failures: u32,
}

impl Pace {
    /// The pace of `assets` assets, each asked for once per `every`.
    #[must_use]
    pub fn new(assets: usize, every: Duration) -> Self {
        let every = every.max(Duration::from_millis(1));
        let turn = |index: usize| {
            let offset = share(every, index, assets);
            Turn { offset, due: offset, failures: 0 }
        };
        Self { every, turns: (0..assets).map(turn).collect() }
    }

    /// The asset to ask for next, and when; `None` only where there is no asset.
    #[must_use]
    pub fn next(&self) -> Option<(usize, Duration)> {
        self.turns.iter().enumerate().map(|(asset, turn)| (asset, turn.due)).min_by_key(|(asset, due)| (*due, *asset))
    }

    /// Calls in a row that failed for `asset`.
    #[must_use]
    pub fn failures(&self, asset: usize) -> u32 {
        self.turns.get(asset).map_or(0, |turn| turn.failures)
    }

    /// Notes what came of a call for `asset` that ended `now`; `jitter` is drawn evenly from [0, 1).
    pub fn after(&mut self, asset: usize, now: Duration, verdict: Verdict, jitter: f64) {
        let (every, assets) = (self.every, self.turns.len());
        let Some(turn) = self.turns.get_mut(asset) else { return };
        turn.failures = if verdict == Verdict::Answered { 0 } else { turn.failures.saturating_add(1) };
        let backoff = backoff(BACKOFF_BASE.min(every), turn.failures, jitter);
        match verdict {
            Verdict::Answered => turn.due = slot_after(turn.offset, every, now),
            Verdict::Failed(asked) => turn.due = now + backoff.max(asked.unwrap_or_default()),
            Verdict::Refused => turn.due = now + REFUSED_WAIT.max(every),
            Verdict::Limited(asked) => {
                let hold = now + asked.unwrap_or(backoff).max(every);
                turn.due = hold;
                for (index, turn) in self.turns.iter_mut().enumerate() {
                    turn.due = turn.due.max(hold + share(RETURN_WITHIN.min(every), index, assets));
                }
            }
        }
    }
}

/// The `index`-th of `of` equal parts of a time.
fn share(time: Duration, index: usize, of: usize) -> Duration {
    time.mul_f64(index as f64 / of.max(1) as f64)
}

/// The first slot after `now`.
fn slot_after(offset: Duration, every: Duration, now: Duration) -> Duration {
    let passed = now.saturating_sub(offset).as_nanos() / every.as_nanos();
    let slot = (passed + 1).saturating_mul(every.as_nanos());
    offset + Duration::from_nanos(u64::try_from(slot).unwrap_or(u64::MAX))
}

/// The wait after so many failures in a row: `base`, and a random part of what doubles with each of them.
fn backoff(base: Duration, failures: u32, jitter: f64) -> Duration {
    let most = base.saturating_mul(1 << failures.min(DOUBLINGS_MAX)).min(BACKOFF_MAX);
    base + most.mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests;
