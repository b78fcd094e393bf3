//! How much goes into one transaction. One that the broker did not take in time would fail in the same way for ever, so the
//! next one is half of it, down to one record; what goes through with ease lets it grow back.

use super::options::TRANSACTION_TIMEOUT;
use crate::delivery::batch::{BYTES_MAX, RECORDS_MAX};
use std::time::Duration;

/// What one transaction may hold. Its first record fits always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    pub records: usize,
    pub bytes: usize,
}

impl Budget {
    pub const FULL: Self = Self { records: RECORDS_MAX, bytes: BYTES_MAX };

    /// Takes a record of `bytes` out of it; false where it does not fit. `first`: into an empty transaction.
    pub fn take(&mut self, bytes: usize, first: bool) -> bool {
        let fits = self.records > 0 && bytes <= self.bytes;
        if fits || first {
            self.records = self.records.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        fits || first
    }

    /// A transaction of this size went through.
    pub fn succeeded(&mut self, took: Duration) {
        if took < TRANSACTION_TIMEOUT / 4 {
            let grown = |now: usize, max: usize| (now + now / 4 + 1).min(max);
            *self = Self { records: grown(self.records, RECORDS_MAX), bytes: grown(self.bytes, BYTES_MAX) };
        }
    }

    /// A transaction of this size failed. Unless it was at once, it was too slow. True where the next one is smaller.
    pub fn failed(&mut self, tried: Self, took: Duration) -> bool {
        let was_slow = took >= TRANSACTION_TIMEOUT / 2 && tried.records > 0;
        if was_slow {
            let half = |now: usize, tried: usize| (now.min(tried) / 2).max(1);
            *self = Self { records: half(self.records, tried.records), bytes: half(self.bytes, tried.bytes) };
        }
        was_slow && tried.records > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = TRANSACTION_TIMEOUT;
    const QUICK: Duration = Duration::from_millis(30);

    #[test]
    fn what_times_out_is_halved_down_to_one_record_and_grows_back() {
        let mut budget = Budget::FULL;
        assert!(!budget.failed(Budget::FULL, QUICK), "a failure at once says nothing of the size");
        assert_eq!(budget, Budget::FULL);
        assert!(budget.failed(Budget { records: 20, bytes: 8_000_000 }, SLOW));
        assert_eq!(budget, Budget { records: 10, bytes: 4_000_000 });
        for _ in 0..30 {
            budget.failed(budget, SLOW);
        }
        assert_eq!(budget, Budget { records: 1, bytes: 1 });
        budget.succeeded(TRANSACTION_TIMEOUT / 2);
        assert_eq!(budget.records, 1, "it was slow enough");
        let mut rounds = 0;
        while budget != Budget::FULL {
            budget.succeeded(QUICK);
            rounds += 1;
        }
        assert!((40..100).contains(&rounds), "{rounds}");
    }

    #[test]
    fn the_first_record_fits_always() {
        let mut left = Budget { records: 3, bytes: 100 };
        assert!(left.take(500, true) && !left.take(1, false));
        let mut left = Budget { records: 2, bytes: 100 };
        assert!(left.take(60, true) && !left.take(60, false) && left.take(40, false) && !left.take(0, false));
    }
}
