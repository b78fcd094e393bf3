//! Where a forecast that is published can be computed again from, decided before anything is read.

use super::super::cause::{Cause, Fault};
use super::super::computation::{Computation, Difference, keys};
use super::super::manifest::{Damage, Manifest};
use super::super::progress::{Offsets, PROGRESS_VERSION, Progress};
use super::super::topic::TopicState;
use super::{Found, is_older, offsets};
use crate::market::Timestamp;
use crate::market::symbol::PARTS;

/// What is known before a forecast is computed again.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// When it was issued: a checkpoint from then on has it behind.
    pub issued_at: Timestamp,
    /// What it was made of begins here: a checkpoint from before shows all of that.
    pub shown_from: Timestamp,
    /// What would be computed.
    pub computation: &'a Computation,
    /// What the job has published; none where that is on no record.
    pub progress: Option<&'a Progress>,
    /// The source's topic.
    pub topic: &'a TopicState,
    /// Where a job begins that has no record of it; none where that cannot be said any more.
    pub start: Option<&'a Offsets>,
    /// The job's checkpoints, the newest first.
    pub checkpoints: &'a [Found],
    /// How states are laid out.
    pub layout: &'a str,
    /// Whether to compute from the beginning although there are checkpoints.
    pub from_start: bool,
}

/// Where a forecast is computed again from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The first offset of each partition.
    pub starts: Offsets,
    /// The checkpoint; none where it is computed from the beginning.
    pub checkpoint: Option<Box<Manifest>>,
    /// Checkpoints that were passed over, and why.
    pub passed_over: Vec<String>,
}

/// Why a forecast cannot be computed again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrepeatable {
    /// Something else would be computed.
    #[error("{}", differs(.0))]
    OtherComputation(Difference),
    /// What it was computed from is no longer there.
    #[error("{}", gone(.issued_at, .checkpoints, .beginning))]
    Gone {
        /// When it was issued.
        issued_at: Timestamp,
        /// The checkpoints that there are, and why each is of no use.
        checkpoints: Vec<String>,
        /// Why it cannot be computed from the beginning.
        beginning: String,
    },
}

impl From<Unrepeatable> for Fault {
    fn from(why: Unrepeatable) -> Self {
        Self { cause: Cause::NeedsDecision, text: why.to_string() }
    }
}

fn differs(difference: &Difference) -> String {
    let Difference { key, was, is } = difference;
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
    let (was, is) = (shown(was), shown(is));
    if key == keys::NUMERICS {
        return format!(
            "other_numerics: the job has published with numerics `{was}`, and this process computes with `{is}`: the last \
             digits would differ, and that would say nothing about the forecast. Ask on a machine of that kind, with that version"
        );
    }
    if key == keys::INITIAL_WEIGHTS {
        return "other_computation: the job started from other initial weights than those in the directory `initial` of \
                model.weights now: restore them, and ask again"
            .to_owned();
    }
    format!(
        "other_computation: the job has published with {key} = {was}, and now it is {is}: something else would be computed. \
         Ask with the configuration that the job runs with"
    )
}

fn gone(issued_at: &Timestamp, checkpoints: &[String], beginning: &str) -> String {
    let checkpoints = match checkpoints {
        [] => "no checkpoint is kept".to_owned(),
        all => format!("of the checkpoints that are kept none can be used ({})", all.join("; ")),
    };
    format!(
        "inputs_gone: the forecast of {issued_at} cannot be computed again: {checkpoints}; and {beginning}. Needed is a \
         checkpoint of before {issued_at} (checkpoint.keep says how many are kept, checkpoint.interval how far apart), or \
         every record from the beginning (the topic's retention)"
    )
}

/// Decides where a forecast is computed again from: from the newest checkpoint that shows all that it was made of, else from the
/// oldest that lies before it, else from the beginning.
///
/// # Errors
/// Why it cannot be computed again: what is missing, and what is needed.
pub fn again(asked: Asked<'_>) -> Result<Beginning, Unrepeatable> {
    if let Some(progress) = asked.progress {
        if let Some(difference) = progress.computation.difference_from_checkpoint(asked.computation) {
            return Err(Unrepeatable::OtherComputation(difference));
        }
        if progress.version != PROGRESS_VERSION {
            let beginning =
                format!("its progress is of format {}, and this tickcast reads {PROGRESS_VERSION}", progress.version);
            return Err(Unrepeatable::Gone { issued_at: asked.issued_at, checkpoints: Vec::new(), beginning });
        }
    }
    let mut passed_over = Vec::new();
    let mut found: Option<Beginning> = None;
    for (name, manifest) in asked.checkpoints.iter().filter(|_| !asked.from_start) {
        match usable(manifest, asked) {
            Err(why) => passed_over.push(format!("{name}: {why}")),
            Ok((manifest, starts)) => {
                let is_enough = manifest.cut <= asked.shown_from;
                let checkpoint = Some(Box::new(manifest.clone()));
                found = Some(Beginning { starts, checkpoint, passed_over: Vec::new() });
                if is_enough {
                    break;
                }
            }
        }
    }
    if let Some(found) = found {
        return Ok(Beginning { passed_over, ..found });
    }
    match from_the_beginning(asked) {
        Ok(starts) => Ok(Beginning { starts, checkpoint: None, passed_over }),
        Err(beginning) => Err(Unrepeatable::Gone { issued_at: asked.issued_at, checkpoints: passed_over, beginning }),
    }
}

/// A checkpoint that it can be computed again from, and where reading goes on then.
fn usable<'a>(found: &'a Result<Manifest, Damage>, asked: Asked<'_>) -> Result<(&'a Manifest, Offsets), String> {
    let manifest = found.as_ref().map_err(Damage::to_string)?;
    if manifest.cut >= asked.issued_at {
        return Err(format!("of {}, the forecast is not after it", manifest.cut));
    }
    if manifest.layout != asked.layout || manifest.parts != PARTS {
        return Err(format!("layout {}, this tickcast reads {}", manifest.layout, asked.layout));
    }
    if let Some(Difference { key, was, is }) = manifest.computation.difference_from_checkpoint(asked.computation) {
        let [was, is] = [was, is].map(|value| value.unwrap_or_else(|| "not set".to_owned()));
        return Err(format!("of another computation ({key} was {was}, and is {is})"));
    }
    if let Some(progress) = asked.progress {
        if manifest.generation < progress.history {
            return Err("of a history that was given up".to_owned());
        }
        if is_older(manifest, progress) {
            return Err("what was decided after it is no longer on record".to_owned());
        }
    }
    let begun = |partition: &_| asked.progress?.start.get(partition).copied();
    let read = offsets(&manifest.offsets, begun, asked.topic).map_err(|refusal| short(&refusal.to_string()))?;
    Ok((manifest, without_new(read)))
}

/// What the job has read: not partitions that the topic has got since.
fn without_new((mut starts, added): (Offsets, Offsets)) -> Offsets {
    starts.retain(|partition, _| !added.contains_key(partition));
    starts
}

/// What a refusal has found, without what a job that is to go on could do about it.
fn short(refusal: &str) -> String {
    let end = [". ", ": was ", " (retention)"].iter().filter_map(|mark| refusal.find(mark)).min();
    let text = end.map_or(refusal, |end| &refusal[..end]);
    text.split_once(": ").map_or(text, |(_, found)| found).to_owned()
}

fn from_the_beginning(asked: Asked<'_>) -> Result<Offsets, String> {
    let begun = asked.progress.map(|progress| &progress.start).filter(|start| !start.is_empty());
    if asked.progress.is_some_and(|progress| !progress.releases_from.is_empty()) {
        return Err("what was decided of idle partitions is on record from a later moment on only".to_owned());
    }
    if let Some(progress) = asked.progress
        && let Some(difference) = progress.computation.difference(asked.computation)
    {
        return Err(format!("it begins with a history that is not as it was ({} differs)", difference.key));
    }
    let Some(recorded) = begun.or(asked.start) else {
        return Err("where the job began (source.kafka.start = latest) is on no record".to_owned());
    };
    offsets(recorded, |_| None, asked.topic)
        .map(without_new)
        .map_err(|refusal| format!("from the beginning {}", short(&refusal.to_string())))
}

#[cfg(test)]
mod tests;
