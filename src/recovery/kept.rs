//! The checkpoints that lie in a store: which there are, and which go.

use super::manifest::Manifest;
use super::plan::Found;
use super::store::{Store, StoreError};
use crate::market::Generation;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Removes checkpoints but the newest `keep` up to `newest` of these generations, what was never finished, and what is of a history
/// that was given up; nothing of a later generation, should another instance have taken over. Gives the oldest that is left.
///
/// # Errors
/// When the store does not answer.
pub(super) fn clean(
    store: &dyn Store,
    job: &str,
    newest: &str,
    generations: RangeInclusive<Generation>,
    keep: usize,
) -> Result<Option<Manifest>, StoreError> {
    let mut checkpoints: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in store.list(&format!("{job}/"))? {
        if let Some((checkpoint, _)) = name.rsplit_once('/')
            && Manifest::parse_name(job, &name).is_some_and(|(_, of)| of <= *generations.end())
        {
            checkpoints.entry(checkpoint.to_owned()).or_default().push(name.clone());
        }
    }
    let is_current = |checkpoint: &str, objects: &[String]| {
        let of_history = objects.first().and_then(|name| Manifest::parse_name(job, name));
        let of_history = of_history.is_some_and(|(_, generation)| generations.contains(&generation));
        of_history && checkpoint <= newest && objects.iter().any(|name| name.ends_with("/manifest"))
    };
    let current = checkpoints.iter().rev().filter(|(checkpoint, objects)| is_current(checkpoint, objects));
    let kept: BTreeSet<String> = current.take(keep.max(1)).map(|(checkpoint, _)| checkpoint.clone()).collect();
    for (checkpoint, objects) in checkpoints.iter().filter(|(checkpoint, _)| !kept.contains(*checkpoint)) {
        tracing::debug!("checkpoint {checkpoint} goes");
        // Its manifest first: what is left of it is none.
        let manifest_first = objects.iter().filter(|name| name.ends_with("/manifest"));
        let rest = objects.iter().filter(|name| !name.ends_with("/manifest"));
        manifest_first.chain(rest).try_for_each(|name| store.remove(name))?;
    }
    Ok(kept.first().and_then(|checkpoint| Manifest::read(store, checkpoint).ok()))
}

/// All checkpoints of a job, the newest first.
///
/// # Errors
/// When the store does not answer.
pub fn found(store: &dyn Store, job: &str) -> Result<Vec<Found>, StoreError> {
    let names = store.list(&format!("{job}/"))?;
    let of_checkpoints = names.iter().filter(|name| Manifest::parse_name(job, name).is_some());
    let checkpoints = of_checkpoints.filter_map(|name| name.strip_suffix("/manifest"));
    Ok(checkpoints.rev().map(|checkpoint| (checkpoint.to_owned(), Manifest::read(store, checkpoint))).collect())
}

/// Removes all checkpoints of a job.
///
/// # Errors
/// When the store does not answer.
pub fn forget_all(store: &dyn Store, job: &str) -> Result<(), StoreError> {
    let names = store.list(&format!("{job}/"))?;
    let (manifests, rest): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.ends_with("/manifest"));
    manifests.into_iter().chain(rest).try_for_each(|name| store.remove(name))
}

/// Removes what there is of a checkpoint that did not come about, so that a disk that is full does not get fuller.
pub(super) fn take_back(store: &dyn Store, checkpoint: &str) {
    for object in store.list(&format!("{checkpoint}/")).unwrap_or_default() {
        // The next one that comes about cleans up what stays.
        let _ = store.remove(&object);
    }
}
