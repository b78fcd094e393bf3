//! Who was seen when, and who was not seen for too long: the one rule by which operators forget symbols.
//!
//! Whether a symbol begins anew when it comes back follows from the time between its two bars alone. When its state is really
//! dropped does not matter: never before that time is over.

use crate::market::{Span, Timestamp};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

/// When each was seen last. Each costs one look per `after`, however many there are.
#[derive(Debug)]
pub struct LastSeen<K> {
    after: Span,
    last: HashMap<K, Timestamp>,
    /// When to look again, one entry for each.
    due: BinaryHeap<Reverse<(Timestamp, K)>>,
}

impl<K: Clone + Ord + Hash> LastSeen<K> {
    /// Who is not seen for longer than `after` is forgotten.
    #[must_use]
    pub fn new(after: Span) -> Self {
        Self { after, last: HashMap::new(), due: BinaryHeap::new() }
    }

    /// It was seen. Whoever is to be forgotten by then has to be taken before.
    pub fn see(&mut self, key: &K, at: Timestamp) {
        match self.last.get_mut(key) {
            Some(last) => *last = at.max(*last),
            None => {
                self.last.insert(key.clone(), at);
                self.due.push(Reverse((at, key.clone())));
            }
        }
    }

    /// Takes one who is to be forgotten now.
    pub fn take_forgotten(&mut self, now: Timestamp) -> Option<K> {
        let horizon = now.minus(self.after);
        while let Some(Reverse((seen, _))) = self.due.peek()
            && *seen < horizon
        {
            let Some(Reverse((_, key))) = self.due.pop() else { break };
            match self.last.get(&key).copied() {
                Some(last) if last >= horizon => self.due.push(Reverse((last, key))),
                _ => {
                    self.last.remove(&key);
                    return Some(key);
                }
            }
        }
        None
    }

    /// When each was seen last.
    pub fn iter(&self) -> impl Iterator<Item = (&K, Timestamp)> {
        self.last.iter().map(|(key, last)| (key, *last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_who_was_not_seen_for_longer_and_nobody_else() {
        let at = Timestamp::from_millis;
        let mut seen = LastSeen::new(Span::from_millis(100));
        for (name, ms) in [("a", 0), ("b", 10), ("c", 20), ("a", 50), ("a", 40)] {
            seen.see(&name, at(ms));
        }
        assert_eq!(seen.take_forgotten(at(110)), None);
        assert_eq!((seen.take_forgotten(at(111)), seen.take_forgotten(at(111))), (Some("b"), None));
        assert_eq!((seen.take_forgotten(at(1000)), seen.take_forgotten(at(1000))), (Some("c"), Some("a")));
        assert_eq!((seen.take_forgotten(at(1000)), seen.iter().count(), seen.due.len()), (None, 0, 0));
    }
}
