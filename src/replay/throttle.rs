//! Keeps a replay from running away from its reader: the embedded broker silently drops the oldest records of a
//! partition that grows beyond its bounds.

use std::collections::VecDeque;
use std::fmt;

/// How many records and bytes of each partition may be published and not yet read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// Records per partition.
    pub records_max: usize,
    /// Bytes of keys and values per partition.
    pub bytes_max: usize,
}

impl Default for Ahead {
    /// Well below the embedded broker's 100,000 batches and 5 MiB, which count what framing adds as well.
    fn default() -> Self {
        Self { records_max: 20_000, bytes_max: 2 * 1024 * 1024 }
    }
}

/// How far the reader is in a partition: how many of its records, from the first that this replay published, it has
/// read and no longer needs.
pub type Position = Box<dyn Fn(u32) -> u64 + Send>;

/// What each partition holds that was not read yet.
pub struct Throttle {
    ahead: Ahead,
    position: Position,
    partitions: Vec<Unread>,
}

#[derive(Default)]
struct Unread {
    /// Records that were read.
    read: u64,
    /// Sizes of the records after them.
    sizes: VecDeque<u32>,
    bytes: usize,
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle").field("ahead", &self.ahead).finish_non_exhaustive()
    }
}

impl Throttle {
    /// A throttle for records that name their partition; those that do not are not held back.
    #[must_use]
    pub fn new(ahead: Ahead, position: Position) -> Self {
        Self { ahead, position, partitions: Vec::new() }
    }

    /// Whether `bytes` more fit into `partition` now. A record larger than the bound fits into an empty partition.
    pub fn admits(&mut self, partition: u32, bytes: usize) -> bool {
        let index = partition as usize;
        if self.partitions.len() <= index {
            self.partitions.resize_with(index + 1, Unread::default);
        }
        let unread = &mut self.partitions[index];
        if unread.fits(self.ahead, bytes) {
            return true;
        }
        // Only a partition that seems full asks how far the reader is.
        unread.read_up_to((self.position)(partition));
        unread.fits(self.ahead, bytes)
    }

    /// Notes that a record was published.
    pub fn published(&mut self, partition: u32, bytes: usize) {
        if let Some(unread) = self.partitions.get_mut(partition as usize) {
            unread.bytes += bytes;
            unread.sizes.push_back(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
    }
}

impl Unread {
    fn fits(&self, ahead: Ahead, bytes: usize) -> bool {
        self.sizes.is_empty() || (self.sizes.len() < ahead.records_max && self.bytes + bytes <= ahead.bytes_max)
    }

    fn read_up_to(&mut self, position: u64) {
        while self.read < position {
            let Some(size) = self.sizes.pop_front() else {
                // Positions can also stand for what was there before, or for another writer's records.
                self.read = position;
                return;
            };
            self.bytes -= size as usize;
            self.read += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    proptest! {
        #[test]
        fn never_exceeds_its_bounds_and_never_sticks(
            steps in proptest::collection::vec((1_usize..50, 0_u64..10), 1..400)
        ) {
            let ahead = Ahead { records_max: 7, bytes_max: 100 };
            let read = Arc::new(AtomicU64::new(0));
            let reader = Arc::clone(&read);
            let mut throttle = Throttle::new(ahead, Box::new(move |_| reader.load(Ordering::Relaxed)));
            let mut published: Vec<usize> = Vec::new();
            for (bytes, advance) in steps {
                let position = (read.load(Ordering::Relaxed) + advance).min(published.len() as u64);
                read.store(position, Ordering::Relaxed);
                let unread = &published[position as usize..];
                let fits = unread.is_empty()
                    || (unread.len() < ahead.records_max && unread.iter().sum::<usize>() + bytes <= ahead.bytes_max);
                prop_assert_eq!(throttle.admits(0, bytes), fits);
                if fits {
                    throttle.published(0, bytes);
                    published.push(bytes);
                }
            }
        }
    }

    #[test]
    fn partitions_are_apart() {
        let mut throttle = Throttle::new(Ahead { records_max: 1, bytes_max: 10 }, Box::new(|_| 0));
        assert!(throttle.admits(1, 99), "one record always fits");
        throttle.published(1, 99);
        assert!(!throttle.admits(1, 1));
        assert!(throttle.admits(0, 1));
    }
}
