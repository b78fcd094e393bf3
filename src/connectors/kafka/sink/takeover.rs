//! A job is taken over: topics are made, earlier instances fenced, what they published is read, and the next generation begins.
//!
//! The broker has answered before. One that goes away meanwhile is waited for, as it is while the job runs, for a minute.

use super::super::budget::Budget;
use super::super::connect::{START_WAIT, TAKEOVER_WAIT};
use super::super::context::Limiter;
use super::super::options::Server;
use super::super::patience::{Backoff, Patience, Trouble};
use super::super::records::Topics;
use super::super::topics::{Wanted, ensure};
use super::super::work::Work;
use super::{KafkaSink, RELEASES_WARNED};
use crate::config::KafkaSinkConfig;
use crate::delivery::{SinkError, Stop};
use crate::market::{Generation, Sequence};
use crate::recovery::{Progress, Refusal, point};
use std::sync::Arc;
use std::time::Instant;

/// Gives the first record of a job's next instance, from the last one of the instance before.
pub type Begin<'a> = &'a dyn Fn(Option<&Progress>) -> Result<Progress, Refusal>;

/// The records that attempts of this start to take over wrote, as far as they did, and the one of before.
struct Attempted {
    ours: Vec<(Generation, Sequence)>,
    before: Option<Progress>,
}

impl KafkaSink {
    /// [`KafkaSink::take_over`], going on from what was published.
    ///
    /// # Errors
    /// As there.
    pub fn open(
        config: &KafkaSinkConfig,
        job: &str,
        dead_letters: Option<&str>,
        partitions: u32,
        stop: &Stop,
    ) -> Result<(Self, Option<Progress>), SinkError> {
        let begin = |found: Option<&Progress>| {
            let mut mine = found.cloned().unwrap_or_else(|| Progress::of(job));
            mine.generation = mine.generation.following();
            mine.sequence = mine.sequence.following();
            Ok(mine)
        };
        Self::take_over(config, job, dead_letters, partitions, &begin, stop)
    }

    /// Creates missing topics (`partitions` each), fences earlier instances of the job, reads what they published, and
    /// notes that this one has begun, with the record that `begin` makes of it. Returns that progress as it was, `None` for a
    /// job that has never run.
    ///
    /// # Errors
    /// When no broker answers within a minute, when topics are missing, when the options cannot be used, and when `begin`
    /// refuses: earlier instances are fenced by then, as one that began meanwhile has fenced them already.
    pub fn take_over(
        config: &KafkaSinkConfig,
        job: &str,
        dead_letters: Option<&str>,
        partitions: u32,
        begin: Begin<'_>,
        stop: &Stop,
    ) -> Result<(Self, Option<Progress>), SinkError> {
        let server = Server::of_sink(config).map_err(|error| SinkError::Fatal(error.0))?;
        let topics = Topics::new(&config.topic, dead_letters);
        let wanted = |name, partitions, compacted| Wanted { name, partitions, compacted };
        let mut all = vec![
            wanted(topics.forecasts.as_str(), partitions, false),
            wanted(&topics.scores, partitions, false),
            wanted(&topics.progress, 1, true),
        ];
        all.extend(topics.dead_letters.as_deref().map(|name| wanted(name, partitions, false)));
        ensure(&server, &all, config.create_topics, stop)
            .map_err(|text| if stop.requested() { SinkError::Stopped } else { SinkError::Fatal(text) })?;
        let progress = Progress::of(job);
        let delivery = config.delivery;
        let limiter = Limiter::default();
        let (budget, scratch) = (Budget::FULL, Vec::new());
        let kept_from = Arc::default();
        let mut sink = Self {
            server,
            topics,
            delivery,
            channel: None,
            progress,
            budget,
            limiter,
            scratch,
            kept_from,
            warn_at: RELEASES_WARNED,
        };
        let found = sink.begin(begin, &mut Patience::new(stop))?;
        Ok((sink, found))
    }

    /// Takes the job over: the next generation. A broker that goes away meanwhile is waited for.
    fn begin(&mut self, begin: Begin<'_>, patience: &mut Patience<'_>) -> Result<Option<Progress>, Trouble> {
        let mut backoff = Backoff::new();
        let mut attempted = None;
        let since = Instant::now();
        loop {
            match self.attempt(begin, &mut attempted, patience) {
                Err(Trouble::Renew(why)) if since.elapsed() > TAKEOVER_WAIT => {
                    let job = &self.progress.job;
                    return Err(Trouble::Fatal(format!(
                        "job `{job}` cannot begin to write: {why} (is another instance starting at the same time?)"
                    )));
                }
                Err(Trouble::Renew(why)) => {
                    self.complain(&why);
                    backoff.wait(patience)?;
                }
                taken_or_hopeless => return taken_or_hopeless,
            }
        }
    }

    /// One attempt at it. `attempted` is what the last one wrote, if it did.
    fn attempt(
        &mut self,
        begin: Begin<'_>,
        attempted: &mut Option<Attempted>,
        patience: &mut Patience<'_>,
    ) -> Result<Option<Progress>, Trouble> {
        let channel = self.connect(Some(TAKEOVER_WAIT), patience)?;
        point::reach("takeover.fenced");
        let now = self.read_progress(START_WAIT, patience)?;
        let stands = now.as_ref().map(|now| (now.generation, now.sequence));
        let mut all = attempted.take().unwrap_or(Attempted { ours: vec![], before: None });
        if stands.is_none_or(|stands| !all.ours.contains(&stands)) {
            // Not one of ours: of before, or of another start in between.
            all.before = now;
        }
        let found = all.before.clone();
        let mut mine = begin(found.as_ref()).map_err(|refusal| Trouble::Refused(refusal.into()))?;
        if let Some((generation, sequence)) = stands {
            mine.generation = mine.generation.max(generation.following());
            mine.sequence = mine.sequence.max(sequence.following());
        }
        all.ours.push((mine.generation, mine.sequence));
        *attempted = Some(all);
        let work = Work::of(mine);
        self.publish(&channel, &work, patience)?;
        self.progress = work.progress;
        self.channel = Some(channel);
        Ok(found)
    }
}
