//! Why a job cannot go on where it stopped. Each has a name, says what was found, and what a person can do.

use super::cause::Cause;
use super::computation::{Difference, keys};
use crate::market::{Generation, PartitionId, Timestamp};

/// Why a job cannot go on where it stopped. Nothing was fenced, written or given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It would compute something else than what is published.
    OtherComputation {
        /// The job.
        job: String,
        /// How far it has published.
        through: Timestamp,
        /// What differs.
        difference: Difference,
    },
    /// The topic lies in another cluster than the one that was read.
    OtherCluster {
        /// The topic.
        topic: String,
        /// The cluster that was read.
        was: String,
        /// The one that is there.
        is: String,
    },
    /// The topic was deleted, and one of the same name created.
    TopicCreatedAnew {
        /// The topic.
        topic: String,
    },
    /// The topic was deleted.
    TopicDeleted {
        /// The topic.
        topic: String,
    },
    /// The topic has fewer partitions than were read.
    PartitionGone {
        /// The topic.
        topic: String,
        /// The first that is missing.
        partition: PartitionId,
    },
    /// Records that are needed are no longer there.
    OffsetsExpired {
        /// The topic.
        topic: String,
        /// Where.
        partition: PartitionId,
        /// The first offset that is needed.
        needed: i64,
        /// The first that is there; none where the broker does not say.
        first: Option<i64>,
    },
    /// The partition ends before what was read of it.
    OffsetsAhead {
        /// The topic.
        topic: String,
        /// Where.
        partition: PartitionId,
        /// The offset that is needed.
        needed: i64,
        /// Where the partition ends; none where the broker does not say.
        end: Option<i64>,
    },
    /// The broker keeps only the last record of each key.
    Compacted {
        /// The topic.
        topic: String,
    },
    /// A bounded run would publish where a job has published.
    PublishedBefore {
        /// The job.
        job: String,
        /// The topic of its forecasts.
        topic: String,
        /// How far it has published.
        through: Timestamp,
    },
    /// The record is of a tickcast that wrote another format.
    OtherFormat {
        /// The job.
        job: String,
        /// The record's version.
        version: u32,
        /// The version that is read here.
        known: u32,
    },
    /// Another instance began between the look and the takeover.
    AnotherBegan {
        /// The job.
        job: String,
        /// The generation that was seen.
        seen: Generation,
        /// The one that is there now.
        now: Generation,
    },
    /// A checkpoint was written by an instance that the progress record knows nothing of.
    CheckpointAhead {
        /// The job.
        job: String,
        /// The checkpoint.
        checkpoint: String,
        /// Its generation.
        generation: Generation,
        /// That of the progress record.
        known: Generation,
    },
    /// What is on record does not reach back to the start, and no checkpoint can be used.
    CheckpointNeeded {
        /// The job.
        job: String,
        /// Why the checkpoints that there are cannot be used.
        found: Vec<String>,
    },
    /// It began with a history that no checkpoint has come beyond, and is to go on without it.
    HistoryNeeded {
        /// The job.
        job: String,
        /// Why the checkpoints that there are cannot be used.
        found: Vec<String>,
    },
    /// The topic has more partitions than the job reads.
    PartitionsAdded {
        /// The topic.
        topic: String,
        /// How many are read.
        was: u32,
        /// How many there are.
        is: u32,
    },
}

impl Refusal {
    /// Its name, for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OtherComputation { .. } => "other_computation",
            Self::OtherCluster { .. } => "other_cluster",
            Self::TopicCreatedAnew { .. } => "topic_created_anew",
            Self::TopicDeleted { .. } => "topic_deleted",
            Self::PartitionGone { .. } => "partition_gone",
            Self::OffsetsExpired { .. } => "offsets_expired",
            Self::OffsetsAhead { .. } => "offsets_ahead",
            Self::Compacted { .. } => "source_compacted",
            Self::PublishedBefore { .. } => "published_before",
            Self::OtherFormat { .. } => "other_format",
            Self::AnotherBegan { .. } => "another_began",
            Self::CheckpointAhead { .. } => "checkpoint_ahead",
            Self::CheckpointNeeded { .. } => "checkpoint_needed",
            Self::HistoryNeeded { .. } => "history_needed",
            Self::PartitionsAdded { .. } => "partitions_added",
        }
    }

    /// What a supervisor makes of it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::AnotherBegan { .. } => Cause::Fenced,
            Self::PartitionsAdded { .. } => Cause::StartAgain,
            _ => Cause::NeedsDecision,
        }
    }
}

/// What a person can do where the old history is over.
const ANEW: &str = "begin anew with --reset, which gives up what was published, or with another job.id";

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.name())?;
        match self {
            Self::OtherComputation { job, through, difference } => other_computation(f, job, *through, difference),
            Self::OtherCluster { topic, was, is } => write!(
                f,
                "topic {topic} was read from cluster {was} so far, and source.kafka.brokers leads to cluster {is}: offsets \
                 there mean other records. Lead it to the old cluster, or {ANEW}"
            ),
            Self::TopicCreatedAnew { topic } => write!(
                f,
                "topic {topic} was deleted and created anew: its offsets mean other records than those that were read. \
                 Where its history is complete in itself, {ANEW}"
            ),
            Self::TopicDeleted { topic } => {
                write!(f, "topic {topic} does not exist any more: was it deleted? Once it is there again, {ANEW}")
            }
            Self::PartitionGone { topic, partition } => write!(
                f,
                "partition {} of {topic} was read before and does not exist any more: was the topic created anew? {}",
                partition.0,
                Sentence(ANEW)
            ),
            Self::OffsetsExpired { topic, partition, needed, first } => {
                write!(
                    f,
                    "offset {needed} of {topic}/{} is no longer there: the broker has deleted it (retention)",
                    partition.0
                )?;
                if let Some(first) = first {
                    write!(f, ", and now begins at {first}")?;
                }
                write!(
                    f,
                    ". What was published was computed from records that are gone: give the topic a longer retention, and {ANEW}"
                )
            }
            Self::OffsetsAhead { topic, partition, needed, end } => {
                write!(f, "offset {needed} of {topic}/{} is not there yet", partition.0)?;
                if let Some(end) = end {
                    write!(f, ": the partition ends at {end}")?;
                }
                write!(f, ". Was the topic created anew, or did the broker lose records? {}", Sentence(ANEW))
            }
            Self::Compacted { topic } => write!(
                f,
                "topic {topic} is compacted (cleanup.policy): the broker deletes all but the last record of each key, so \
                 that a restart cannot compute again what was published. Set its cleanup.policy to delete; where records are \
                 gone already, {ANEW}"
            ),
            Self::PublishedBefore { job, topic, through } => write!(
                f,
                "job `{job}` has published to {topic} before, through {through}: a backfill would end the live job and \
                 publish anew; give --reset to do so, or another job.id"
            ),
            Self::OtherFormat { job, version, known } => {
                let which = if version > known { "a newer" } else { "an older" };
                write!(
                    f,
                    "the progress of job `{job}` was written by {which} tickcast (format {version}, this one reads {known}): \
                     start that version, or {ANEW}"
                )
            }
            Self::AnotherBegan { job, seen, now } => write!(
                f,
                "another instance of job `{job}` began while this one started (generation {now} after {seen}): see that one \
                 of them runs, and start again"
            ),
            Self::CheckpointAhead { job, checkpoint, generation, known } => write!(
                f,
                "checkpoint {checkpoint} was written by generation {generation} of job `{job}`, and its progress record knows of \
                 {known} only: was the progress topic deleted, or does another job of this id write to checkpoint.url? Lead \
                 both to where they belong, or {ANEW}"
            ),
            Self::CheckpointNeeded { job, found } => {
                let found = if found.is_empty() { "there is none".to_owned() } else { found.join("; ") };
                write!(
                    f,
                    "job `{job}` can go on from a checkpoint only, since what it decided before is no longer on record, and \
                     none can be used ({found}). Lead checkpoint.url to its checkpoints, or {ANEW}"
                )
            }
            Self::HistoryNeeded { job, found } => {
                let found = if found.is_empty() { "there is no checkpoint".to_owned() } else { found.join("; ") };
                write!(
                    f,
                    "job `{job}` began with a history (`backfill --then-live`), has no checkpoint from after it ({found}), and \
                     would have to read it again: give source.files or source.mongodb as they were, or {ANEW}"
                )
            }
            Self::PartitionsAdded { topic, was, is } => {
                write!(f, "topic {topic} has grown from {was} to {is} partitions: the job has to be started again")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// With a capital letter.
struct Sentence(&'static str);

impl std::fmt::Display for Sentence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, rest) = self.0.split_at(1);
        write!(f, "{}{rest}", first.to_uppercase())
    }
}

fn other_computation(
    f: &mut std::fmt::Formatter<'_>,
    job: &str,
    through: Timestamp,
    difference: &Difference,
) -> std::fmt::Result {
    let Difference { key, was, is } = difference;
    let (was, is) = (was.as_deref(), is.as_deref());
    let none = |value: Option<&str>| value.map_or_else(|| "not set".to_owned(), str::to_owned);
    if key == keys::INITIAL_WEIGHTS {
        let name = |digest: Option<&str>| {
            digest.map_or("no weights".to_owned(), |digest| format!("weights {}", digest.get(..12).unwrap_or(digest)))
        };
        return write!(
            f,
            "job `{job}` started from {} and has published through {through}; now it would start from {}, and what it \
             recomputes would not be what it has published: restore the directory `initial` of model.weights as it was, or \
             {ANEW}",
            name(was),
            name(is)
        );
    }
    if key == keys::NUMERICS {
        return write!(
            f,
            "job `{job}` has published through {through} with numerics `{}`, and this process computes with `{}`: its \
             forecasts would differ in their last digits. Run it on a processor of that kind and with that version, or {ANEW}",
            none(was),
            none(is)
        );
    }
    write!(
        f,
        "job `{job}` has published through {through} with {key} = {}, and now it is {}: what it recomputes would not be what \
         it has published. Set it back, or {ANEW}",
        none(was),
        none(is)
    )
}
