//! Several sources merged by event time.

use super::{RecordSource, ReplayError, ReplayRecord};
use crate::market::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Merges sources by event time, holding one record of each; equal stamps come in the order of the sources.
///
/// Within a source the order of arrival is kept: a record that lies before its forerunner comes right after it.
pub struct Merge<S> {
    sources: Vec<S>,
    heads: Vec<ReplayRecord>,
    /// Event time of each head, or of the latest of its source before it.
    order: BinaryHeap<Reverse<(Timestamp, usize)>>,
    started: bool,
}

impl<S: RecordSource> Merge<S> {
    /// A merge of `sources`.
    #[must_use]
    pub fn new(sources: Vec<S>) -> Self {
        let heads = sources.iter().map(|_| ReplayRecord::default()).collect();
        Self { order: BinaryHeap::with_capacity(sources.len()), heads, sources, started: false }
    }

    /// The sources, for what they have to report.
    #[must_use]
    pub fn sources(&self) -> &[S] {
        &self.sources
    }

    fn refill(&mut self, index: usize, not_before: Timestamp) -> Result<(), ReplayError> {
        if self.sources[index].read_into(&mut self.heads[index])? {
            self.order.push(Reverse((self.heads[index].at.max(not_before), index)));
        }
        Ok(())
    }
}

impl<S: RecordSource> RecordSource for Merge<S> {
    fn read_into(&mut self, record: &mut ReplayRecord) -> Result<bool, ReplayError> {
        if !self.started {
            self.started = true;
            for index in 0..self.sources.len() {
                self.refill(index, Timestamp::default())?;
            }
        }
        let Some(Reverse((at, index))) = self.order.pop() else {
            return Ok(false);
        };
        std::mem::swap(record, &mut self.heads[index]);
        self.refill(index, at)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct List(Vec<ReplayRecord>);

    impl RecordSource for List {
        fn read_into(&mut self, record: &mut ReplayRecord) -> Result<bool, ReplayError> {
            if self.0.is_empty() {
                return Ok(false);
            }
            *record = self.0.remove(0);
            Ok(true)
        }
    }

    fn list(name: u8, stamps: &[i64]) -> List {
        let record = |(place, at): (usize, &i64)| ReplayRecord {
            at: Timestamp::from_millis(*at),
            partition: None,
            key: vec![name],
            value: vec![place as u8],
        };
        List(stamps.iter().enumerate().map(record).collect())
    }

    fn merged(sources: Vec<List>) -> Vec<(i64, u8, u8)> {
        let mut merge = Merge::new(sources);
        let mut record = ReplayRecord::default();
        let mut out = Vec::new();
        while merge.read_into(&mut record).unwrap() {
            out.push((record.at.millis(), record.key[0], record.value[0]));
        }
        out
    }

    #[test]
    fn ties_come_in_the_order_of_the_sources() {
        let order = merged(vec![list(b'b', &[1, 5, 5]), list(b'a', &[1, 2, 5])]);
        assert_eq!(order, [(1, b'b', 0), (1, b'a', 0), (2, b'a', 1), (5, b'b', 1), (5, b'b', 2), (5, b'a', 2)]);
    }

    #[test]
    fn disorder_within_a_source_is_kept() {
        let order = merged(vec![list(b'a', &[5, 1, 6]), list(b'b', &[4, 5, 7])]);
        assert_eq!(order, [(4, b'b', 0), (5, b'a', 0), (1, b'a', 1), (5, b'b', 1), (6, b'a', 2), (7, b'b', 2)]);
    }

    proptest! {
        #[test]
        fn a_merge_of_sorted_sources_is_a_stable_sort(
            mut stamps in proptest::collection::vec(proptest::collection::vec(0_i64..50, 0..20), 0..5)
        ) {
            let mut expected = Vec::new();
            let mut sources = Vec::new();
            for (name, stamps) in stamps.iter_mut().enumerate() {
                stamps.sort_unstable();
                expected.extend(stamps.iter().enumerate().map(|(place, at)| (*at, name as u8, place as u8)));
                sources.push(list(name as u8, stamps));
            }
            expected.sort_by_key(|(at, ..)| *at);
            prop_assert_eq!(merged(sources), expected);
        }
    }
}
