//! The run plan: where a job begins, decided before anything is touched.

pub mod again;

use super::computation::{Computation, Difference, keys};
use super::manifest::{Damage, Manifest};
use super::progress::{Offsets, PROGRESS_VERSION, Progress};
use super::refusal::Refusal;
use super::topic::TopicState;
use crate::market::symbol::PARTS;
use crate::market::{Generation, PartitionId, Release, Timestamp};

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
    /// The job's checkpoints, the newest first: what each is called, and what was found there.
    pub checkpoints: &'a [Found],
    /// Where results go, by names that stay.
    pub sinks: &'a [String],
    /// How states are laid out.
    pub layout: &'a str,
}

/// A checkpoint's name, and what it holds.
pub type Found = (String, Result<Manifest, Damage>);

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
    /// At the offsets of a checkpoint, or of the first start; what is published is computed again, and suppressed.
    Resume {
        /// The first offset of each partition.
        starts: Offsets,
        /// Of these, partitions that are new. They begin where the others have come to: earlier ticks of theirs are late.
        added: Offsets,
        /// The checkpoint that it goes on from; none where it computes from the beginning.
        checkpoint: Option<Box<Manifest>>,
        /// Newer checkpoints that cannot be used, and why.
        skipped: Vec<String>,
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
    let Some(progress) = known.progress else { return without_progress(known) };
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
    // Of a history that may be over, later.
    if let Some(difference) = progress.computation.difference_from_checkpoint(known.computation) {
        return Err(differs(known, progress, difference));
    }
    let Some(topic) = known.topic else {
        let (starts, added) = (Offsets::new(), Offsets::new());
        return Ok(RunPlan::Resume { starts, added, checkpoint: None, skipped: Vec::new() });
    };
    let mut skipped = Vec::new();
    for (name, found) in known.checkpoints {
        if let Some(manifest) = found.as_ref().ok().filter(|manifest| manifest.generation > progress.generation) {
            let (generation, known_generation) = (manifest.generation, progress.generation);
            let (job, checkpoint) = (known.job.to_owned(), name.clone());
            return Err(Refusal::CheckpointAhead { job, checkpoint, generation, known: known_generation });
        }
        let manifest = match usable(found, known).and_then(|manifest| of_history(manifest, progress)) {
            Ok(manifest) => manifest,
            Err(why) => {
                skipped.push(format!("{name}: {why}"));
                continue;
            }
        };
        match offsets(&manifest.offsets, |partition| progress.start.get(partition).copied(), topic) {
            Ok((starts, added)) => {
                holds_what_was_read(progress, topic)?;
                let checkpoint = Some(Box::new(manifest.clone()));
                return Ok(RunPlan::Resume { starts, added, checkpoint, skipped });
            }
            // Another one may need less; anything else is wrong with the topic.
            Err(refusal @ Refusal::OffsetsExpired { .. }) => skipped.push(format!("{name}: {refusal}")),
            Err(refusal) => return Err(refusal),
        }
    }
    match differs_from(progress) {
        Some(_) if !known.computation.has_history() => {
            return Err(Refusal::HistoryNeeded { job: known.job.to_owned(), found: skipped });
        }
        Some(difference) => return Err(differs(known, progress, difference)),
        None => {}
    }
    if !progress.releases_from.is_empty() {
        return Err(Refusal::CheckpointNeeded { job: known.job.to_owned(), found: skipped });
    }
    let (starts, added) = offsets(&progress.start, |_| None, topic)?;
    holds_what_was_read(progress, topic)?;
    Ok(RunPlan::Resume { starts, added, checkpoint: None, skipped })
}

/// A partition that was read has what was read of it.
fn holds_what_was_read(progress: &Progress, topic: &TopicState) -> Result<(), Refusal> {
    for (&partition, &next) in &progress.dead_letters {
        let end = topic.partitions.get(&partition).map(|(_, high)| *high);
        if end.is_some_and(|end| next > end) {
            return Err(Refusal::OffsetsAhead { topic: topic.name.clone(), partition, needed: next, end });
        }
    }
    Ok(())
}

/// Whether a checkpoint belongs to what the progress record tells of, and what was decided since then is on record.
fn of_history<'a>(manifest: &'a Manifest, progress: &Progress) -> Result<&'a Manifest, String> {
    if manifest.generation < progress.history {
        return Err("of a history that was given up".to_owned());
    }
    if manifest.cut > progress.through {
        return Err(format!("of {}, and published through {}", manifest.cut, progress.through));
    }
    if is_older(manifest, progress) {
        return Err("what was decided after it is no longer on record".to_owned());
    }
    Ok(manifest)
}

/// Whether releases that a resume from it needs are no longer on record.
fn is_older(manifest: &Manifest, progress: &Progress) -> bool {
    let from = |partition: &PartitionId| {
        manifest.offsets.get(partition).or_else(|| progress.start.get(partition)).copied().unwrap_or(0)
    };
    progress.releases_from.iter().any(|(partition, complete)| from(partition) < *complete)
}

/// The manifest of a checkpoint that was read, and is of this computation.
fn usable<'a>(found: &'a Result<Manifest, Damage>, known: Known<'_>) -> Result<&'a Manifest, String> {
    let manifest = found.as_ref().map_err(Damage::to_string)?;
    if manifest.layout != known.layout || manifest.parts != PARTS {
        return Err(format!("layout {}, this tickcast reads {}", manifest.layout, known.layout));
    }
    if let Some(sink) = known.sinks.iter().find(|sink| !manifest.sinks.contains(*sink)) {
        return Err(format!("{sink} was no sink then, and would have nothing of the time before"));
    }
    match manifest.computation.difference_from_checkpoint(known.computation) {
        Some(Difference { key, .. }) => Err(format!("of another computation ({key} differs)")),
        None => Ok(manifest),
    }
}

/// Where a job without a progress record begins: it publishes to no topic, and its checkpoints say how far it is. Or it has
/// never run.
fn without_progress(known: Known<'_>) -> Result<RunPlan, Refusal> {
    if known.checkpoints.is_empty() || known.bounded {
        return Ok(RunPlan::Fresh);
    }
    let newest = known.checkpoints.iter().find_map(|(name, found)| Some((name, found.as_ref().ok()?)));
    if known.reset {
        return Ok(RunPlan::Anew { given_up: newest.map(|(_, newest)| newest.cut).unwrap_or_default() });
    }
    let Some((name, newest)) = newest else {
        // What is there may be all that is known of the job.
        let found =
            known.checkpoints.iter().filter_map(|(name, found)| Some(format!("{name}: {}", found.as_ref().err()?)));
        return Err(Refusal::CheckpointNeeded { job: known.job.to_owned(), found: found.collect() });
    };
    if known.resumes {
        let (job, checkpoint, generation) = (known.job.to_owned(), name.clone(), newest.generation);
        return Err(Refusal::CheckpointAhead { job, checkpoint, generation, known: Generation::default() });
    }
    if let Some(difference) = newest.computation.difference_from_checkpoint(known.computation) {
        let progress = Progress { through: newest.cut, ..Progress::of(known.job) };
        return Err(differs(known, &progress, difference));
    }
    let Some(topic) = known.topic else { return Ok(RunPlan::Fresh) };
    let (mut skipped, mut refused) = (Vec::new(), None);
    for (name, found) in known.checkpoints {
        match usable(found, known) {
            Err(why) => skipped.push(format!("{name}: {why}")),
            Ok(manifest) => match offsets(&manifest.offsets, |_| None, topic) {
                Ok((starts, added)) => {
                    let checkpoint = Some(Box::new(manifest.clone()));
                    return Ok(RunPlan::Resume { starts, added, checkpoint, skipped });
                }
                Err(refusal) => refused = refused.or(Some(refusal)),
            },
        }
    }
    Err(refused.unwrap_or_else(|| Refusal::CheckpointNeeded { job: known.job.to_owned(), found: skipped }))
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

/// Where each partition is read from, and which of them are new. `begun`: where one that is not in `recorded` began, if it did.
fn offsets(
    recorded: &Offsets,
    begun: impl Fn(&PartitionId) -> Option<i64>,
    topic: &TopicState,
) -> Result<(Offsets, Offsets), Refusal> {
    let name = || topic.name.clone();
    if let Some(missing) = recorded.keys().find(|partition| !topic.partitions.contains_key(partition)) {
        return Err(Refusal::PartitionGone { topic: name(), partition: *missing });
    }
    let (mut starts, mut added) = (Offsets::new(), Offsets::new());
    for (&partition, &(low, high)) in &topic.partitions {
        let needed = match recorded.get(&partition).copied().or_else(|| begun(&partition)) {
            Some(needed) => needed,
            None => *added.entry(partition).or_insert(low),
        };
        if needed < low {
            return Err(Refusal::OffsetsExpired { topic: name(), partition, needed, first: Some(low) });
        }
        if needed > high {
            return Err(Refusal::OffsetsAhead { topic: name(), partition, needed, end: Some(high) });
        }
        starts.insert(partition, needed);
    }
    Ok((starts, added))
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
        if !matches!(self, Self::Resume { .. }) {
            mine.history = mine.generation;
            mine.start.clone_from(starts);
        }
        mine.sequence = mine.sequence.following();
        mine.computation = computation.clone().completed_by(&mine.computation);
        if mine.partitions == 0 {
            mine.partitions = u32::try_from(starts.len()).unwrap_or(u32::MAX);
        }
        if let Self::Resume { checkpoint: Some(manifest), skipped, .. } = self
            && is_older(manifest, &mine)
        {
            // The instance that ran until now has gone on since the look.
            return Err(Refusal::CheckpointNeeded { job: job.to_owned(), found: skipped.clone() });
        }
        if let Self::Resume { added, .. } = self {
            // Of a pane that is published in part, all is settled.
            let through = mine.within.map_or(mine.through, |within| within.end);
            let first = added.iter().map(|(partition, offset)| {
                let offset = u64::try_from(*offset).unwrap_or(0);
                Release { partition: *partition, offset, before: through }
            });
            mine.releases.extend(first);
            mine.start.extend(added);
        }
        Ok(mine)
    }

    /// What partitions that are new bring of the time before the checkpoint is late, where no progress record says so.
    #[must_use]
    pub fn releases_of_added(&self) -> Vec<Release> {
        let Self::Resume { added, checkpoint: Some(manifest), .. } = self else { return Vec::new() };
        let release = |(partition, offset): (&PartitionId, &i64)| Release {
            partition: *partition,
            offset: u64::try_from(*offset).unwrap_or(0),
            before: manifest.cut,
        };
        added.iter().map(release).collect()
    }

    /// The generation of a job that has no progress record.
    #[must_use]
    pub fn generation(job: &str, checkpoints: &[Found]) -> Generation {
        let of = |(name, _): &Found| Manifest::parse_name(job, &format!("{name}/")).map(|(_, generation)| generation);
        checkpoints.iter().filter_map(of).max().unwrap_or_default().following()
    }
}

#[cfg(test)]
mod tests;
