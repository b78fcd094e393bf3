//! The source's and the sink's clusters and topics.

use super::Findings;
use crate::config::{Config, Delivery, KafkaSinkConfig, KafkaSourceConfig};
use crate::connectors::files::look_for;
use crate::connectors::kafka::examine::{ClusterFacts, Examination, TopicFacts};
use crate::market::Timestamp;
use crate::operators::support::gauges::wall_clock;
use crate::report::grouped;

const DAY_MS: i64 = 86_400_000;
/// A record that a broker has stamped further ahead than this tells of a clock that is wrong.
const AHEAD_MS: i64 = 5_000;

/// The source's topic; whether it is there.
pub(super) fn source(config: &Config, found: &mut Findings) -> bool {
    let Some(kafka) = &config.source.kafka else {
        files(config, found);
        return true;
    };
    let KafkaSourceConfig { brokers, topic, .. } = kafka;
    let asked = Examination::of_source(kafka).and_then(|asked| {
        let cluster = asked.cluster()?;
        Ok((cluster, asked.topic(topic)?))
    });
    let (cluster, facts) = match asked {
        Ok(answer) => answer,
        Err(error) => {
            found.bad("source", error.to_string(), reach(brokers));
            return false;
        }
    };
    tell_cluster("source", &cluster, brokers, found);
    let Some(facts) = facts else {
        found.bad(
            "source",
            format!("topic `{topic}` does not exist on {brokers}"),
            "create it with as many partitions as workers may read, or publish to it first (`tickcast replay`, `tickcast collect`)",
        );
        return false;
    };
    let TopicFacts { partitions, records, copies, retention_ms, cleanup, newest, unreadable } = &facts;
    found.good(
        "source",
        format!("topic `{topic}`: {partitions} partitions, {} records, {}", grouped(*records), kept(*retention_ms)),
    );
    if let Some(why) = unreadable {
        found.bad(
            "source",
            format!("its records cannot be read: {why}"),
            "allow this user to read the topic (ACL READ)",
        );
    }
    if cleanup.as_deref().is_some_and(|policy| policy.contains("compact")) {
        let what = "the topic is compacted: its broker deletes all but the last record of each key";
        let mend = "set cleanup.policy=delete on a topic of ticks";
        if config.sink.kafka.is_some() {
            // A start is refused: what was published could not be computed again.
            found.bad("source", what, mend);
        } else {
            found.warn("source", what, mend);
        }
    }
    if *copies == 1 && cluster.brokers > 1 {
        found.warn(
            "source",
            "each partition has one copy: a broker that dies takes its ticks along",
            "give the topic a replication factor of 3",
        );
    }
    if let Some(retention) = retention_ms.filter(|ms| *ms >= 0) {
        let needed = config.checkpoint.as_ref().map(|checkpoint| checkpoint.interval.millis());
        match needed {
            None => found.warn(
                "source",
                format!(
                    "records are kept {}, and there are no checkpoints: a job computes again from where it first began",
                    span(retention)
                ),
                "set checkpoint.url, or a job that is older than that cannot go on",
            ),
            Some(interval) if retention < 10 * interval.max(60_000) => found.bad(
                "source",
                format!("records are kept {} only: a job that is away that long cannot go on", span(retention)),
                "raise retention.ms of the topic to days",
            ),
            Some(_) => {}
        }
    }
    clock(*newest, topic, found);
    true
}

/// A broker's stamps beside this machine's clock.
fn clock(newest: Option<Timestamp>, topic: &str, found: &mut Findings) {
    let Some(newest) = newest else { return };
    let ahead = newest.millis().saturating_sub(wall_clock().millis());
    if ahead > AHEAD_MS {
        found.bad(
            "clock",
            format!("the last record of `{topic}` is stamped {} ahead of this machine's clock", span(ahead)),
            "set the clocks by NTP: here, at the broker, or where the records come from",
        );
    } else {
        found.good("clock", format!("the last record of `{topic}` came {} ago by its stamp", span(-ahead)));
    }
}

fn files(config: &Config, found: &mut Findings) {
    let Some(files) = &config.source.files else { return };
    let mut missing = 0;
    for path in &files.paths {
        if let Err(error) = look_for(path) {
            missing += 1;
            found.bad("source", error, "name files that are there in source.files.paths");
        }
    }
    if missing == 0 {
        found.good("source", format!("{} files are there", files.paths.len()));
    }
}

/// The sink's topics.
pub(super) fn sink(config: &Config, found: &mut Findings) {
    let Some(kafka) = &config.sink.kafka else {
        found.warn(
            "sink.kafka",
            "there is no Kafka sink: no progress is kept, a start computes again",
            "set sink.kafka.topic for exactly-once results",
        );
        return;
    };
    let KafkaSinkConfig { brokers, topic, delivery, create_topics, .. } = kafka;
    let mut topics = vec![topic.clone(), format!("{topic}.scores"), format!("{topic}.progress")];
    topics.extend(config.dead_letter.as_ref().and_then(|dead| dead.topic.clone()));
    let asked = Examination::of_sink(kafka).and_then(|asked| {
        let cluster = asked.cluster()?;
        let facts = topics.iter().map(|topic| asked.topic(topic)).collect::<Result<Vec<_>, _>>()?;
        Ok((cluster, facts))
    });
    let (cluster, facts) = match asked {
        Ok(answer) => answer,
        Err(error) => {
            found.bad("sink.kafka", error.to_string(), reach(brokers));
            return;
        }
    };
    tell_cluster("sink.kafka", &cluster, brokers, found);
    if *delivery == Delivery::ExactlyOnce
        && let Some(max) = cluster.transaction_max_ms.filter(|max| *max < cluster.transaction_ms)
    {
        found.bad(
            "sink.kafka",
            format!("the broker lets a transaction take {max} ms, a job's takes up to {}", cluster.transaction_ms),
            format!("raise transaction.max.timeout.ms of the brokers to {} or more", cluster.transaction_ms),
        );
    }
    for (name, facts) in topics.iter().zip(&facts) {
        match facts {
            Some(facts) => {
                found.good(
                    "sink.kafka",
                    format!(
                        "topic `{name}`: {} partitions, {} records, {}",
                        facts.partitions,
                        grouped(facts.records),
                        kept(facts.retention_ms)
                    ),
                );
                let is_compacted = facts.cleanup.as_deref().is_some_and(|policy| policy.contains("compact"));
                if name.ends_with(".progress") && facts.cleanup.is_some() && !is_compacted {
                    found.bad(
                        "sink.kafka",
                        format!(
                            "topic `{name}` is not compacted: the job's place in its input is deleted after {}",
                            kept(facts.retention_ms)
                        ),
                        "set cleanup.policy=compact on it",
                    );
                }
            }
            None if *create_topics => {
                found.good("sink.kafka", format!("topic `{name}` is not there yet: a start creates it"));
            }
            None => found.bad(
                "sink.kafka",
                format!("topic `{name}` is not there, and sink.kafka.create_topics is false"),
                "create it, or let the job do so",
            ),
        }
    }
}

fn tell_cluster(area: &'static str, cluster: &ClusterFacts, brokers: &str, found: &mut Findings) {
    let id = cluster.id.as_deref().map_or_else(String::new, |id| format!(", cluster {id}"));
    let count = cluster.brokers;
    let word = if count == 1 { "broker" } else { "brokers" };
    found.good(area, format!("{brokers} answers: {count} {word}{id}"));
}

fn reach(brokers: &str) -> String {
    format!("see that a broker listens at {brokers} and is reached from here; TLS and SASL: docs/kafka.md")
}

fn kept(retention_ms: Option<i64>) -> String {
    match retention_ms {
        None => "kept for as long as the broker does not say".to_owned(),
        Some(..0) => "kept for ever".to_owned(),
        Some(ms) => format!("kept for {}", span(ms)),
    }
}

fn span(ms: i64) -> String {
    match ms.abs() {
        0..2_000 => format!("{ms} ms"),
        2_000..120_000 => format!("{} s", ms / 1000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / DAY_MS),
    }
}
