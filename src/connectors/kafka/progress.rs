//! The job's progress, read from its topic.

use super::connect::{CALL_WAIT, Inquirer, Passing, START_WAIT};
use super::context::Context;
use super::options::Server;
use super::patience::Patience;
use crate::recovery::Progress;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::time::{Duration, Instant};

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

/// What to do about transactions that are open: they may be of another job, and hide our last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Wait until they are over.
    Await,
    /// Leave them out, and what comes after them. Of an instance that died, one stays open until the next takes over: who only
    /// looks would wait for the broker's time-out. What is hidden so is seen at the takeover.
    LeaveOut,
}

/// How long a look waits for transactions that are about to end.
const LOOK_WAIT: Duration = Duration::from_millis(300);

/// Reads the job's last committed progress record. Waits for `wait` for a broker that does not answer.
pub(super) fn read(
    server: &Server,
    topic: &str,
    job: &str,
    wait: Duration,
    open: Open,
    patience: &mut Patience<'_>,
) -> Result<Option<Progress>, ReadError> {
    let (first, end) = committed_bounds(server, topic, wait, open, patience)?;
    if end == first {
        return Ok(None);
    }
    let config = server.consumer(&format!("tickcast-{job}"), 1);
    let consumer: BaseConsumer<Context> = config
        .create_with_context(Context::default())
        .map_err(|error| ReadError::Unusable(server.explain(&error).0))?;
    let consumer = Passing::new(consumer);
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(first))
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

/// The first offset of the one partition, so that the reader need not ask for it, which takes it half a second; and its end, once
/// no transaction is open below it, or the end of what is committed.
fn committed_bounds(
    server: &Server,
    topic: &str,
    wait: Duration,
    open: Open,
    patience: &mut Patience<'_>,
) -> Result<(i64, i64), ReadError> {
    let inquirer = |config| Inquirer::new(server, &config, wait, patience.stop()).map_err(ReadError::Unusable);
    let uncommitted = inquirer(server.uncommitted_inquirer())?;
    let (first, end) = uncommitted.watermarks(topic, 0).map_err(ReadError::Again)?;
    let committed = inquirer(server.inquirer())?;
    let begin = Instant::now();
    loop {
        patience.check().map_err(|_| ReadError::Stopped)?;
        let (_, stable) = committed.watermarks(topic, 0).map_err(ReadError::Again)?;
        if stable >= end {
            return Ok((first, end));
        }
        if open == Open::LeaveOut && begin.elapsed() > LOOK_WAIT {
            return Ok((first, stable.max(first)));
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
    use crate::market::{Generation, PartitionId, Release, Sequence, Timestamp};
    use crate::recovery::Computation;

    #[test]
    fn the_record_reads_back() {
        let release = Release { partition: PartitionId(0), offset: 4, before: Timestamp::from_millis(45_000) };
        let mut computation = Computation::default();
        computation.set("time.slide", Some("5s".to_owned()));
        let progress = Progress {
            version: 1,
            job: "btc".to_owned(),
            generation: Generation(3),
            sequence: Sequence(17),
            through: Timestamp::from_millis(1_611_239_640_000),
            within: None,
            computation,
            start: [(PartitionId(0), 12)].into(),
            history: Generation(2),
            releases_from: Default::default(),
            partitions: 1,
            dead_letters: [(PartitionId(0), 13)].into(),
            releases: vec![release],
            idle: [(PartitionId(0), release)].into(),
            covers: vec!["kafka".to_owned()],
        };
        let json = serde_json::to_string(&progress).unwrap();
        assert_eq!(
            json,
            r#"{"version":1,"job":"btc","generation":3,"sequence":17,"through":1611239640000,"computation":{"time.slide":"5s"},"start":{"0":12},"history":2,"partitions":1,"dead_letters":{"0":13},"releases":[{"partition":0,"offset":4,"before":45000}],"idle":{"0":{"partition":0,"offset":4,"before":45000}},"covers":["kafka"]}"#
        );
        assert_eq!(parse("t", "btc", json.as_bytes()).unwrap(), progress);
        assert!(parse("t", "eth", json.as_bytes()).is_err());
    }
}
