//! Whether a venue's clock and ours agree, by how old its trades are when they come: pure.

/// Nothing takes so long on its way, even to a slow place: of many trades some are quicker.
const LATE_MS: i64 = 30_000;
/// Clocks that are well kept differ by less.
const EARLY_MS: i64 = 2_000;
/// Of fewer trades none may have been quick.
const TRADES_MIN: u32 = 5;

/// What was seen of a venue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    least: i64,
    trades: u32,
}

impl Clock {
    /// A trade came so long after it was made, by our clock and the venue's.
    pub fn note(&mut self, delay_ms: i64) {
        self.least = if self.trades == 0 { delay_ms } else { self.least.min(delay_ms) };
        self.trades = self.trades.saturating_add(1);
    }

    /// What there is to say of those since the last look, for people.
    pub fn look(&mut self) -> Option<String> {
        let Self { least, trades } = std::mem::take(self);
        if trades < TRADES_MIN { None } else { apart(least) }
    }
}

/// What a delay says of the clocks, where it says something.
pub fn apart(delay_ms: i64) -> Option<String> {
    if (-EARLY_MS..=LATE_MS).contains(&delay_ms) {
        return None;
    }
    let seconds = delay_ms.unsigned_abs() as f64 / 1000.0;
    let side = if delay_ms < 0 { "before" } else { "after" };
    Some(format!("its trades come {seconds:.1} s {side} they are made: this machine's clock is wrong, or the venue's"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_and_slow_trades_are_not() {
        let look = |delays: &[i64]| {
            let mut clock = Clock::default();
            delays.iter().for_each(|delay| clock.note(*delay));
            (clock.look(), clock.look())
        };
        assert_eq!(look(&[60_000, 50_000, 40_000, 90, 100_000]), (None, None), "one of them was quick");
        assert_eq!(look(&[3_600_000; 4]), (None, None), "too few");
        let words = |text: &str| Some(format!("its trades come {text}: this machine's clock is wrong, or the venue's"));
        assert_eq!(look(&[3_600_050; 5]), (words("3600.1 s after they are made"), None));
        assert_eq!(look(&[-3_600_000; 5]), (words("3600.0 s before they are made"), None));
    }
}
