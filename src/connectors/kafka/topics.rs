//! Output topics: created where they are missing.

use super::connect::{Inquirer, START_WAIT, TAKEOVER_WAIT};
use super::context::Context;
use super::options::Server;
use crate::delivery::Stop;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use std::time::{Duration, Instant};

/// Between attempts to create a topic.
const CREATE_PAUSE: Duration = Duration::from_millis(500);

/// What a broker answers that starts or hands over.
const PASSING: [RDKafkaErrorCode; 6] = [
    RDKafkaErrorCode::NotController,
    RDKafkaErrorCode::RequestTimedOut,
    RDKafkaErrorCode::BrokerNotAvailable,
    RDKafkaErrorCode::LeaderNotAvailable,
    RDKafkaErrorCode::NetworkException,
    RDKafkaErrorCode::OperationTimedOut,
];

/// One topic that must be there.
pub(super) struct Wanted<'a> {
    pub name: &'a str,
    pub partitions: u32,
    /// Keeps only the last record of each key.
    pub compacted: bool,
}

/// Segments of a compacted topic are small, so that cleaning starts early and reading it stays short.
const COMPACTED: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("segment.bytes", "4194304"),
    ("segment.ms", "600000"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "60000"),
];

/// Looks for the topics and creates what is missing, unless `create` is false.
pub(super) fn ensure(server: &Server, wanted: &[Wanted<'_>], create: bool, stop: &Stop) -> Result<(), String> {
    let inquirer = Inquirer::new(server, &server.inquirer(), TAKEOVER_WAIT, stop)?;
    for topic in wanted {
        // A topic that is not there yet is worth a second look only when it must be.
        let found = if create { inquirer.partitions_now(topic.name)? } else { inquirer.partitions(topic.name)? };
        match found {
            Some(partitions) if topic.compacted && partitions != 1 => {
                return Err(format!(
                    "topic `{}` on {} has {partitions} partitions: it must have one, since the last record counts",
                    topic.name, server.brokers
                ));
            }
            Some(_) => {}
            None if create => create_one(server, topic, stop)?,
            None => {
                return Err(format!(
                    "topic `{}` does not exist on {}: create it, or set `sink.kafka.create_topics = true`",
                    topic.name, server.brokers
                ));
            }
        }
    }
    for topic in wanted {
        inquirer.existing(topic.name)?;
    }
    Ok(())
}

fn create_one(server: &Server, topic: &Wanted<'_>, stop: &Stop) -> Result<(), String> {
    let name = topic.name;
    let failed = |reason: &dyn std::fmt::Display| {
        format!("cannot create topic `{name}` on {}: {reason}; create it, or allow tickcast to", server.brokers)
    };
    let admin: AdminClient<Context> =
        server.inquirer().create_with_context(Context::default()).map_err(|error| server.explain(&error).0)?;
    let partitions = i32::try_from(topic.partitions).map_err(|error| failed(&error))?;
    // -1: the broker's default.
    let mut new = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
    if topic.compacted {
        new = COMPACTED.iter().fold(new, |new, (key, value)| new.set(key, value));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| failed(&error))?;
    let options = AdminOptions::new().request_timeout(Some(START_WAIT)).operation_timeout(Some(START_WAIT));
    let begin = Instant::now();
    loop {
        let answered = runtime.block_on(admin.create_topics([&new], &options)).map_err(|error| (failed(&error), true));
        let refused = answered.and_then(|answers| match answers.into_iter().find_map(Result::err) {
            None | Some((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Some((_, code)) => Err((failed(&code), PASSING.contains(&code))),
        });
        match refused {
            Ok(()) => break,
            Err((text, true)) if begin.elapsed() < TAKEOVER_WAIT && stop.sleep(CREATE_PAUSE) => {
                tracing::warn!(target: "tickcast::kafka", "{text}: trying again");
            }
            Err((text, _)) => return Err(text),
        }
    }
    tracing::info!(target: "tickcast::kafka", "created topic {name} with {partitions} partitions");
    Ok(())
}
