//! What a running job counts, shared by its workers and readable from outside.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Records by outcome: every record read is counted in exactly one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Records {
    /// Entered a window.
    pub used: u64,
    /// Came after its pane had closed.
    pub late: u64,
    /// Too far ahead of its broker's stamp.
    pub quarantined: u64,
    /// Could not be read.
    pub undecodable: u64,
    /// Well-formed, but without a price.
    pub ignored: u64,
}

impl Records {
    /// All records read.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.used + self.late + self.quarantined + self.undecodable + self.ignored
    }
}

/// Counters of one job in one process.
#[derive(Debug, Default)]
pub struct Stats {
    used: AtomicU64,
    late: AtomicU64,
    quarantined: AtomicU64,
    undecodable: AtomicU64,
    ignored: AtomicU64,
    rows: AtomicU64,
    forecasts: AtomicU64,
    /// End of the last pane that every sink has, in epoch ms; 0 before the first.
    published_through: AtomicI64,
    /// Unused records by `outcome/reason`.
    reasons: Mutex<BTreeMap<String, u64>>,
}

impl Stats {
    /// Adds to the records by outcome.
    pub fn add_records(&self, more: &Records) {
        let Records { used, late, quarantined, undecodable, ignored } = *more;
        let counters = [
            (&self.used, used),
            (&self.late, late),
            (&self.quarantined, quarantined),
            (&self.undecodable, undecodable),
            (&self.ignored, ignored),
        ];
        for (counter, by) in counters.into_iter().filter(|(_, by)| *by > 0) {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Counts an unused record's reason, as `outcome/reason`; `partly/reason`: a record some of whose trades were left out.
    pub fn add_reason(&self, outcome: &str, reason: &str) {
        let mut reasons = self.reasons.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *reasons.entry(format!("{outcome}/{reason}")).or_default() += 1;
    }

    /// Records by outcome so far.
    #[must_use]
    pub fn records(&self) -> Records {
        Records {
            used: self.used.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            quarantined: self.quarantined.load(Ordering::Relaxed),
            undecodable: self.undecodable.load(Ordering::Relaxed),
            ignored: self.ignored.load(Ordering::Relaxed),
        }
    }

    /// Unused records by `outcome/reason` so far.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<String, u64> {
        self.reasons.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Adds to the feature rows.
    pub fn add_rows(&self, more: u64) {
        self.rows.fetch_add(more, Ordering::Relaxed);
    }

    /// Feature rows so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Adds to the forecasts.
    pub fn add_forecasts(&self, more: u64) {
        self.forecasts.fetch_add(more, Ordering::Relaxed);
    }

    /// Forecasts so far.
    #[must_use]
    pub fn forecasts(&self) -> u64 {
        self.forecasts.load(Ordering::Relaxed)
    }

    /// Notes how far everything is published, in epoch ms.
    pub fn set_published_through(&self, ms: i64) {
        self.published_through.fetch_max(ms, Ordering::Relaxed);
    }

    /// End of the last pane that every sink has, in epoch ms; 0 before the first.
    #[must_use]
    pub fn published_through(&self) -> i64 {
        self.published_through.load(Ordering::Relaxed)
    }
}
