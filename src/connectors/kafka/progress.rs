//! The job's own record in each transaction: how far it has published. What stands here has been published, and nothing
//! else has.

use super::connect::{CALL_WAIT, Inquirer, START_WAIT};
use super::context::Context;
use super::offsets::Offsets;
use super::options::Server;
use super::patience::Patience;
use crate::market::{Generation, PartitionId, Release, Sequence, Timestamp};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The value of a record of `<forecast topic>.progress`, as JSON; its key is the job's id. The last one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The job's id.
    pub job: String,
    /// How many times the job has been started. A smaller one than what stands here is a zombie's.
    pub generation: Generation,
    /// How many of these records the job has written.
    pub sequence: Sequence,
    /// End of the last published pane, in epoch ms: every forecast issued and every score due by then is published.
    pub through: Timestamp,
    /// What is published of the first pane after `through` that has results; none where that is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// The offsets that `start` was resolved to; empty before the first transaction.
    pub start: Offsets,
    /// Dead letters of lower offsets are published.
    pub dead_letters: Offsets,
    /// All idle releases so far: decided by the wall clock once, replayed ever after.
    pub releases: Vec<Release>,
    /// The partitions that were idle at `through`.
    pub idle: BTreeMap<PartitionId, Release>,
    /// The names of the sinks that `through` holds for.
    #[serde(default)]
    pub covers: Vec<String>,
    /// Digest of the weights that the job started from; none where it started untrained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_weights: Option<String>,
}

/// A part of a pane's results: they have one order, so that a number says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// End of the pane.
    pub end: Timestamp,
    /// How many of its scores, then of its forecasts.
    pub records: usize,
}

impl Progress {
    /// Whether a job that starts from weights of this digest can go on from here: it recomputes what is published, and other
    /// weights would forecast something else.
    ///
    /// # Errors
    /// What differs, and what to do.
    pub fn check_initial_weights(&self, digest: Option<&str>) -> Result<(), String> {
        let recorded = self.initial_weights.as_deref();
        if self.through == Timestamp::default() || recorded == digest {
            return Ok(());
        }
        let name = |digest: Option<&str>| {
            digest.map_or("no weights".to_owned(), |digest| format!("weights {}", digest.get(..12).unwrap_or(digest)))
        };
        Err(format!(
            "job `{}` started from {} and has published through {}; now it would start from {}, and what it recomputes would \
             not be what it has published: restore the directory `initial` of model.weights as it was, or begin anew with \
             another job.id or with backfill --reset",
            self.job,
            name(recorded),
            self.through,
            name(digest)
        ))
    }
}

/// Why progress could not be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The broker does not answer, or not yet.
    Again(String),
    /// It is there, and cannot be used.
    Unusable(String),
    /// The job is to stop.
    Stopped,
}

/// Reads the job's last committed progress record. Waits for `wait` for a broker that does not answer.
pub(super) fn read(
    server: &Server,
    topic: &str,
    job: &str,
    wait: Duration,
    patience: &mut Patience<'_>,
) -> Result<Option<Progress>, ReadError> {
    let end = committed_end(server, topic, wait, patience)?;
    if end == 0 {
        return Ok(None);
    }
    let config = server.consumer(&format!("tickcast-{job}"), 1);
    let consumer: BaseConsumer<Context> = config
        .create_with_context(Context::default())
        .map_err(|error| ReadError::Unusable(server.explain(&error).0))?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning)
        .and_then(|()| consumer.assign(&list))
        .map_err(|error| ReadError::Unusable(format!("cannot read {topic}: {error}")))?;
    let mut last = None;
    let mut heard = Instant::now();
    loop {
        patience.check().map_err(|_| ReadError::Stopped)?;
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                heard = Instant::now();
                if message.key() == Some(job.as_bytes()) {
                    last = message.payload().map(<[u8]>::to_vec);
                }
                if message.offset() + 1 >= end {
                    break;
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            Some(Err(error)) if permanent(&error) => {
                return Err(ReadError::Unusable(format!("cannot read {topic} on {}: {error}", server.brokers)));
            }
            Some(Err(_)) | None if heard.elapsed() > wait.max(CALL_WAIT * 5) => {
                let reason = consumer.client().context().last_trouble().unwrap_or_else(|| "no answer".to_owned());
                return Err(ReadError::Again(format!("reading {topic} on {}: {reason}", server.brokers)));
            }
            Some(Err(_)) | None => {}
        }
    }
    last.map(|bytes| parse(topic, job, &bytes)).transpose()
}

fn permanent(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
        )
    )
}

fn parse(topic: &str, job: &str, bytes: &[u8]) -> Result<Progress, ReadError> {
    let progress: Progress = serde_json::from_slice(bytes).map_err(|error| {
        ReadError::Unusable(format!(
            "the last record of job `{job}` in {topic} is no progress record of tickcast: {error}"
        ))
    })?;
    if progress.job == job {
        Ok(progress)
    } else {
        Err(ReadError::Unusable(format!("the record of job `{job}` in {topic} says job `{}`", progress.job)))
    }
}

/// The end of the one partition, once no transaction is open below it: another job's could hide our last record.
fn committed_end(server: &Server, topic: &str, wait: Duration, patience: &mut Patience<'_>) -> Result<i64, ReadError> {
    let inquirer = |config| Inquirer::new(server, &config, wait, patience.stop()).map_err(ReadError::Unusable);
    let uncommitted = inquirer(server.uncommitted_inquirer())?;
    let (_, end) = uncommitted.watermarks(topic, 0).map_err(ReadError::Again)?;
    let committed = inquirer(server.inquirer())?;
    let begin = Instant::now();
    loop {
        patience.check().map_err(|_| ReadError::Stopped)?;
        let (_, stable) = committed.watermarks(topic, 0).map_err(ReadError::Again)?;
        if stable >= end {
            return Ok(end);
        }
        // The broker looks every 10 seconds for transactions that are open too long.
        if begin.elapsed() > START_WAIT * 2 {
            return Err(ReadError::Again(format!("a transaction stays open in {topic}")));
        }
        std::thread::sleep(CALL_WAIT / 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(through: i64) -> Progress {
        Progress { through: Timestamp::from_millis(through), ..Progress::default() }
    }

    #[test]
    fn a_job_that_has_published_goes_on_from_its_own_initial_weights_alone() {
        assert_eq!(at(0).check_initial_weights(Some("abc")), Ok(()), "nothing is published yet");
        let mut progress = at(200);
        assert_eq!(progress.check_initial_weights(None), Ok(()));
        assert!(progress.check_initial_weights(Some("abc")).unwrap_err().contains("started from no weights"));
        progress.initial_weights = Some("abc".to_owned());
        let json = serde_json::to_string(&progress).unwrap();
        let progress: Progress = serde_json::from_str(&json).unwrap();
        assert_eq!(progress.check_initial_weights(Some("abc")), Ok(()));
        assert!(progress.check_initial_weights(None).is_err() && progress.check_initial_weights(Some("abd")).is_err());
    }

    #[test]
    fn the_record_reads_back() {
        let release = Release { partition: PartitionId(0), offset: 4, pane: crate::market::Pane::from_number(9) };
        let progress = Progress {
            job: "btc".to_owned(),
            generation: Generation(3),
            sequence: Sequence(17),
            through: Timestamp::from_millis(1_611_239_640_000),
            within: None,
            start: [(PartitionId(0), 12)].into(),
            dead_letters: [(PartitionId(0), 13)].into(),
            releases: vec![release],
            idle: [(PartitionId(0), release)].into(),
            covers: vec!["kafka".to_owned()],
            initial_weights: None,
        };
        let json = serde_json::to_string(&progress).unwrap();
        assert_eq!(
            json,
            r#"{"job":"btc","generation":3,"sequence":17,"through":1611239640000,"start":{"0":12},"dead_letters":{"0":13},"releases":[{"partition":0,"offset":4,"pane":9}],"idle":{"0":{"partition":0,"offset":4,"pane":9}},"covers":["kafka"]}"#
        );
        assert_eq!(parse("t", "btc", json.as_bytes()).unwrap(), progress);
        assert!(parse("t", "eth", json.as_bytes()).is_err());
    }
}
