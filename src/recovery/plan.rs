//! The run plan: where a job begins, decided before anything is touched.

use super::computation::{Computation, Difference, keys};
use super::progress::{Offsets, PROGRESS_VERSION, Progress};
use super::refusal::Refusal;
use super::topic::TopicState;
use crate::market::{Release, Timestamp};

/// What is known before a start.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The job.
    pub job: &'a str,
    /// The topic of its forecasts; empty where it has none.
    pub forecasts: &'a str,
    /// What it would compute.
    pub computation: &'a Computation,
    /// What it has published; none for a job that has never run, or whose progress is on no record.
    pub progress: Option<&'a Progress>,
    /// The source's topic; none where it reads something else.
    pub topic: Option<&'a TopicState>,
    /// Whether it ends with its input.
    pub bounded: bool,
    /// Whether a person said to begin anew.
    pub reset: bool,
    /// Whether a restart has to compute again what was published: results go to Kafka.
    pub resumes: bool,
}

/// Where a job begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunPlan {
    /// Nothing is published: at what `start` says.
    Fresh,
    /// The same, though something is published.
    Anew {
        /// How far it is published.
        given_up: Timestamp,
    },
    /// At the offsets of the first start; what is published is computed again, and suppressed.
    Resume {
        /// The first offset of each partition.
        starts: Offsets,
        /// Of these, partitions that are new. They begin where the others have come to: earlier ticks of theirs are late.
        added: Offsets,
    },
}

/// Decides where a job begins.
///
/// # Errors
/// Why it cannot go on where it stopped.
pub fn decide(known: Known<'_>) -> Result<RunPlan, Refusal> {
    if let (Some(topic), true, false) = (known.topic, known.resumes, known.bounded)
        && topic.compacted == Some(true)
    {
        return Err(Refusal::Compacted { topic: topic.name.clone() });
    }
    let Some(progress) = known.progress else { return Ok(RunPlan::Fresh) };
    let has_published = progress.has_published();
    if known.reset && has_published {
        return Ok(RunPlan::Anew { given_up: progress.through });
    }
    let differs_from = |progress: &Progress| progress.computation.difference(known.computation);
    // Where nothing is published, only where reading begins is settled, for the same computation.
    let is_settled = !known.bounded && !known.reset && !progress.start.is_empty() && differs_from(progress).is_none();
    if !has_published && !is_settled {
        return Ok(RunPlan::Fresh);
    }
    if known.bounded {
        let (job, topic) = (known.job.to_owned(), known.forecasts.to_owned());
        return Err(Refusal::PublishedBefore { job, topic, through: progress.through });
    }
    if progress.version != PROGRESS_VERSION {
        let (version, known_version) = (progress.version, PROGRESS_VERSION);
        return Err(Refusal::OtherFormat { job: known.job.to_owned(), version, known: known_version });
    }
    if let Some(difference) = differs_from(progress) {
        return Err(differs(known, progress, difference));
    }
    match known.topic {
        Some(topic) => offsets(progress, topic),
        None => Ok(RunPlan::Resume { starts: Offsets::new(), added: Offsets::new() }),
    }
}

fn differs(known: Known<'_>, progress: &Progress, difference: Difference) -> Refusal {
    let topic = known.topic.map(|topic| topic.name.clone()).unwrap_or_default();
    let Difference { key, was, is } = &difference;
    match (key.as_str(), was, is) {
        (keys::CLUSTER_ID, Some(was), Some(is)) => Refusal::OtherCluster { topic, was: was.clone(), is: is.clone() },
        (keys::TOPIC_ID, ..) => Refusal::TopicCreatedAnew { topic },
        _ => Refusal::OtherComputation { job: known.job.to_owned(), through: progress.through, difference },
    }
}

fn offsets(progress: &Progress, topic: &TopicState) -> Result<RunPlan, Refusal> {
    let name = || topic.name.clone();
    if let Some(missing) = progress.start.keys().find(|partition| !topic.partitions.contains_key(partition)) {
        return Err(Refusal::PartitionGone { topic: name(), partition: *missing });
    }
    let (mut starts, mut added) = (Offsets::new(), Offsets::new());
    for (&partition, &(low, high)) in &topic.partitions {
        let needed = match progress.start.get(&partition) {
            Some(needed) => *needed,
            None => *added.entry(partition).or_insert(low),
        };
        if needed < low {
            return Err(Refusal::OffsetsExpired { topic: name(), partition, needed, first: Some(low) });
        }
        // A partition that was read has what was read of it.
        let read = progress.dead_letters.get(&partition).map_or(needed, |next| needed.max(*next));
        if read > high {
            return Err(Refusal::OffsetsAhead { topic: name(), partition, needed: read, end: Some(high) });
        }
        starts.insert(partition, needed);
    }
    Ok(RunPlan::Resume { starts, added })
}

impl RunPlan {
    /// The first record of the job's next instance, where `found` is the last one of the one before. `starts`: where it begins
    /// to read. `seen`: what the plan was made from.
    ///
    /// # Errors
    /// When another instance began since then.
    pub fn begin(
        &self,
        job: &str,
        computation: &Computation,
        starts: &Offsets,
        seen: Option<&Progress>,
        found: Option<&Progress>,
    ) -> Result<Progress, Refusal> {
        let generation = |progress: Option<&Progress>| progress.map(|progress| progress.generation).unwrap_or_default();
        let (seen, now) = (generation(seen), generation(found));
        if seen != now {
            return Err(Refusal::AnotherBegan { job: job.to_owned(), seen, now });
        }
        let mut mine = Progress::of(job);
        if let Some(found) = found {
            match self {
                Self::Resume { .. } => mine = found.clone(),
                Self::Fresh | Self::Anew { .. } => mine.sequence = found.sequence,
            }
        }
        mine.generation = now.following();
        mine.sequence = mine.sequence.following();
        mine.computation = computation.clone().completed_by(&mine.computation);
        mine.start.clone_from(starts);
        if mine.partitions == 0 {
            mine.partitions = u32::try_from(starts.len()).unwrap_or(u32::MAX);
        }
        if let Self::Resume { added, .. } = self {
            let through = mine.through;
            let first = added.iter().map(|(partition, offset)| {
                let offset = u64::try_from(*offset).unwrap_or(0);
                Release { partition: *partition, offset, before: through }
            });
            mine.releases.extend(first);
        }
        Ok(mine)
    }
}

#[cfg(test)]
mod tests;
