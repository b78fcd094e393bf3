//! How often sinks had to try again, for who watches the process.

use std::sync::atomic::{AtomicU64, Ordering};

/// Who tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retrying {
    /// The producer to Kafka.
    Kafka,
    /// The writer into the database.
    Mongodb,
    /// The writer of the embedded store.
    Store,
}

/// Of the process, since it began.
static COUNTS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];

impl Retrying {
    /// Once more.
    pub fn note(self) {
        COUNTS[self as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often each has.
    #[must_use]
    pub fn counts() -> [(&'static str, u64); 3] {
        [(Self::Kafka, "kafka"), (Self::Mongodb, "mongodb"), (Self::Store, "store")]
            .map(|(who, name)| (name, COUNTS[who as usize].load(Ordering::Relaxed)))
    }
}
