//! The fingerprint of a computation: everything that decides what a job publishes, besides the records themselves.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names of what identifies the source; the others are keys of the configuration.
pub mod keys {
    /// The source's topic.
    pub const TOPIC: &str = "source.kafka.topic";
    /// The cluster that the source's topic lies in.
    pub const CLUSTER_ID: &str = "source.kafka cluster id";
    /// The id that the topic was created with.
    pub const TOPIC_ID: &str = "source.kafka topic id";
    /// The weights that the model starts from.
    pub const INITIAL_WEIGHTS: &str = "initial weights";
    /// Where the symbols of a history before the topic end; unknown where it need not be read.
    pub const HISTORY: &str = "history";
    /// The event time that a history before the topic is used from.
    pub const HISTORY_FROM: &str = "history --from";
    /// How floating-point numbers are computed.
    pub const NUMERICS: &str = "numerics";
}

/// What a job computes, name by name. Two runs over the same records with the same names and values publish the same bytes.
///
/// What may change between runs without changing results is not in it: workers, processes, sinks, brokers' addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Computation(BTreeMap<String, String>);

/// Whether it tells of a history, in a computation that also has a topic.
fn is_of_history(name: &str) -> bool {
    let is_input = ["source.files.", "source.mongodb."].iter().any(|table| name.starts_with(table));
    is_input || name == keys::HISTORY || name == keys::HISTORY_FROM
}

/// What two computations do not have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name: a key of the configuration, or one of [`keys`].
    pub key: String,
    /// In the earlier one; none where it has none.
    pub was: Option<String>,
    /// In the later one.
    pub is: Option<String>,
}

impl Computation {
    /// From names and values.
    pub fn new(values: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self(values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Adds a value, where it is known.
    pub fn set(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// A value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All names and values, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first thing, by name, that `later` has otherwise. An id that only one of them knows is no difference: not every
    /// broker tells them.
    #[must_use]
    pub fn difference(&self, later: &Self) -> Option<Difference> {
        self.difference_in(later, |_| true)
    }

    /// The same, of a job that goes on from a checkpoint: where it began with a history, that is over.
    #[must_use]
    pub fn difference_from_checkpoint(&self, later: &Self) -> Option<Difference> {
        let is_over = self.has_history();
        self.difference_in(later, |name| !(is_over && is_of_history(name)))
    }

    /// Whether a history comes before the topic.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.0.contains_key(keys::TOPIC) && self.0.keys().any(|name| is_of_history(name))
    }

    fn difference_in(&self, later: &Self, counts: impl Fn(&str) -> bool) -> Option<Difference> {
        let is_id = |name: &str| [keys::CLUSTER_ID, keys::TOPIC_ID, keys::HISTORY].contains(&name);
        let names = self.0.keys().chain(later.0.keys().filter(|name| !self.0.contains_key(*name)));
        let differs = |name: &&String| {
            let (was, is) = (self.get(name), later.get(name));
            counts(name) && was != is && !(is_id(name) && (was.is_none() || is.is_none()))
        };
        let key = names.filter(differs).min()?.clone();
        let (was, is) = (self.0.get(&key).cloned(), later.0.get(&key).cloned());
        Some(Difference { key, was, is })
    }

    /// The same, with the ids that only `earlier` knew, and the history that it began with.
    #[must_use]
    pub fn completed_by(mut self, earlier: &Self) -> Self {
        if earlier.has_history() {
            self.0.retain(|name, _| !is_of_history(name));
            let history = earlier.0.iter().filter(|(name, _)| is_of_history(name));
            self.0.extend(history.map(|(name, value)| (name.clone(), value.clone())));
        }
        for id in [keys::CLUSTER_ID, keys::TOPIC_ID] {
            if let Some(known) = earlier.0.get(id) {
                self.0.entry(id.to_owned()).or_insert_with(|| known.clone());
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[(&'static str, &str)]) -> Computation {
        Computation::new(values.iter().map(|(name, value)| (*name, (*value).to_owned())))
    }

    #[test]
    fn the_first_difference_by_name_is_told() {
        let one = of(&[("time.slide", "5s"), ("model.hidden", "32")]);
        assert_eq!(one.difference(&one.clone()), None);
        let other = of(&[("time.slide", "10s"), ("model.hidden", "64")]);
        let difference = one.difference(&other).unwrap();
        assert_eq!((difference.key.as_str(), difference.was.as_deref()), ("model.hidden", Some("32")));
        let more = of(&[("time.slide", "5s"), ("model.hidden", "32"), (keys::INITIAL_WEIGHTS, "ab")]);
        assert_eq!(one.difference(&more).unwrap().was, None);
        assert_eq!(more.difference(&one).unwrap().is, None);
    }

    #[test]
    fn an_id_that_nobody_tells_is_no_difference_and_is_not_forgotten() {
        let known = of(&[(keys::TOPIC_ID, "a"), (keys::CLUSTER_ID, "c")]);
        let silent = of(&[]);
        assert_eq!((known.difference(&silent), silent.difference(&known)), (None, None));
        assert_eq!(silent.completed_by(&known), known);
        assert_eq!(known.difference(&of(&[(keys::TOPIC_ID, "b")])).unwrap().key, keys::TOPIC_ID);
    }
}
