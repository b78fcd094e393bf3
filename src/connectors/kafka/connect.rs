//! The first contact with a cluster: a client, its brokers' answer, a topic's partitions. At most 10 seconds, then one
//! message that says what is wrong.

use super::context::Context;
use super::describe::Question;
use super::options::Server;
use crate::delivery::Stop;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::ops::Deref;
use std::time::{Duration, Instant};

/// How long a job waits for a broker when it starts.
pub(super) const START_WAIT: Duration = Duration::from_secs(10);
/// How long a start that has begun to take a job over waits for a broker that goes away meanwhile: it has answered before.
pub(super) const TAKEOVER_WAIT: Duration = Duration::from_secs(60);
/// How long one call into librdkafka may block.
pub(super) const CALL_WAIT: Duration = Duration::from_secs(1);
/// How long the settings of a topic may take: who does not tell them does not answer.
const SETTING_WAIT: Duration = Duration::from_secs(3);
/// How long a topic may take to become known after it was created.
const TOPIC_WAIT: Duration = Duration::from_secs(3);

/// A client that nobody waits for when it ends, which takes it a tenth of a second.
pub(super) struct Passing<C: Send + 'static>(Option<C>);

impl<C: Send + 'static> Passing<C> {
    /// Of a client.
    pub const fn new(client: C) -> Self {
        Self(Some(client))
    }
}

impl<C: Send + 'static> Deref for Passing<C> {
    type Target = C;

    fn deref(&self) -> &C {
        // It is taken when this is dropped, and not before.
        self.0.as_ref().unwrap_or_else(|| unreachable!())
    }
}

impl<C: Send + 'static> Drop for Passing<C> {
    fn drop(&mut self) {
        let client = self.0.take();
        // Where there is no thread for it, it ends here.
        drop(std::thread::Builder::new().name("ending".to_owned()).spawn(move || drop(client)));
    }
}

/// A client that asks for metadata and offsets.
pub(super) struct Inquirer {
    consumer: Passing<BaseConsumer<Context>>,
    server: Server,
    deadline: Instant,
    stop: Stop,
}

impl Inquirer {
    /// Makes the client; says nothing yet about the broker. Its questions fail after `wait` without an answer, or when
    /// the job is to stop.
    pub fn new(server: &Server, config: &ClientConfig, wait: Duration, stop: &Stop) -> Result<Self, String> {
        let consumer = config.create_with_context(Context::default()).map_err(|error| server.explain(&error).0)?;
        Ok(Self {
            consumer: Passing::new(consumer),
            server: server.clone(),
            deadline: Instant::now() + wait,
            stop: stop.clone(),
        })
    }

    /// How many partitions a topic has, or `None` when there is no such topic.
    pub fn partitions(&self, topic: &str) -> Result<Option<u32>, String> {
        self.partitions_within(topic, TOPIC_WAIT)
    }

    /// The same, without waiting for a topic that was just created.
    pub fn partitions_now(&self, topic: &str) -> Result<Option<u32>, String> {
        self.partitions_within(topic, Duration::ZERO)
    }

    fn partitions_within(&self, topic: &str, wait: Duration) -> Result<Option<u32>, String> {
        let mut unknown_since = None;
        loop {
            let metadata = self.ask(|consumer| consumer.fetch_metadata(Some(topic), CALL_WAIT))?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            match found.map(|found| (found.error().map(RDKafkaErrorCode::from), found.partitions().len())) {
                Some((None, partitions)) if partitions > 0 => {
                    return u32::try_from(partitions).map(Some).map_err(|error| error.to_string());
                }
                Some((Some(RDKafkaErrorCode::TopicAuthorizationFailed), _)) => {
                    return Err(format!("not allowed to see topic `{topic}` on {}", self.server.brokers));
                }
                Some((Some(RDKafkaErrorCode::InvalidTopic), _)) => {
                    return Err(format!(
                        "`{topic}` is no name of a Kafka topic: use letters, digits, `.`, `_` and `-`"
                    ));
                }
                _ => {
                    let since = *unknown_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= wait {
                        return Ok(None);
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }

    /// The number of partitions of a topic that must be there.
    pub fn existing(&self, topic: &str) -> Result<u32, String> {
        self.partitions(topic)?.ok_or_else(|| {
            format!("topic `{topic}` does not exist on {}: create it or publish to it first", self.server.brokers)
        })
    }

    /// Calls until it is answered, or the time is up.
    pub fn ask<T>(&self, call: impl Fn(&BaseConsumer<Context>) -> Result<T, KafkaError>) -> Result<T, String> {
        loop {
            let error = match call(&self.consumer) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Serves logs and errors: the reason stands there.
            for _ in 0..16 {
                let _ = self.consumer.poll(Duration::ZERO);
            }
            if Instant::now() >= self.deadline || self.stop.requested() {
                return Err(no_answer(&self.server, self.consumer.client().context(), &error));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The id of the cluster; none where the broker does not say.
    pub fn cluster_id(&self) -> Option<String> {
        self.consumer.client().fetch_cluster_id(CALL_WAIT).filter(|id| !id.is_empty())
    }

    /// The id that a topic was created with; none where the broker does not say.
    pub fn topic_id(&self, topic: &str) -> Option<String> {
        let question = Question::ask(&*self.consumer, topic, self.nearest(topic))?;
        question.answer(START_WAIT)?.ok()?.id
    }

    /// A broker that answers. Any knows of topics; the controller, who is asked without one, may be away, or be none.
    fn nearest(&self, topic: &str) -> Option<i32> {
        let metadata = self.consumer.fetch_metadata(Some(topic), CALL_WAIT).ok()?;
        Some(metadata.orig_broker_id()).filter(|id| *id >= 0)
    }

    /// A setting of a topic; none where the broker does not say, or not to us.
    pub fn topic_setting(&self, topic: &str, name: &str) -> Option<String> {
        self.settings(&ResourceSpecifier::Topic(topic))?.get(name)?.value.clone()
    }

    /// The settings of a topic or a broker; none where the broker does not say, or not to us.
    pub fn settings(&self, resource: &ResourceSpecifier<'_>) -> Option<ConfigResource> {
        let admin: AdminClient<Context> = self.server.inquirer().create_with_context(Context::default()).ok()?;
        let admin = Passing::new(admin);
        let runtime = tokio::runtime::Builder::new_current_thread().build().ok()?;
        let nearest = if let ResourceSpecifier::Topic(topic) = resource { self.nearest(topic) } else { None };
        let options = AdminOptions::new().request_timeout(Some(SETTING_WAIT)).broker_id(nearest);
        let asked = admin.describe_configs([resource], &options);
        let answers = runtime.block_on(asked).map_err(|error| error.to_string());
        let answer = answers.and_then(|mut answers| match answers.pop() {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(code)) => Err(code.to_string()),
            None => Err("no answer".to_owned()),
        });
        answer.inspect_err(|why| tracing::debug!(target: "tickcast::kafka", "settings of {resource:?}: {why}")).ok()
    }

    /// First and next offset of a partition.
    pub fn watermarks(&self, topic: &str, partition: u32) -> Result<(i64, i64), String> {
        let number = i32::try_from(partition).map_err(|error| error.to_string())?;
        self.ask(|consumer| consumer.fetch_watermarks(topic, number, CALL_WAIT))
    }
}

/// The message for a broker that does not answer.
pub(super) fn no_answer(server: &Server, context: &Context, error: &KafkaError) -> String {
    let reason = context.last_trouble().unwrap_or_else(|| error.to_string());
    server.redact(format!("no broker answers at {}: {reason}", server.brokers))
}
