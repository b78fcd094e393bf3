//! What only librdkafka's C interface tells of a topic: the id that it was created with. A question is asked and its answer
//! looked for later, so that nobody waits.

use super::context::Context;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;
use std::ffi::{CStr, CString};
use std::ops::Deref;
use std::time::Duration;

/// How long a question waits for its answer within the client.
const ANSWER_WAIT_MS: i32 = 5_000;

/// What a broker says of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    /// The id that it was created with; none where the broker is too old to have one.
    pub id: Option<String>,
    /// How many partitions it has.
    pub partitions: u32,
}

/// Why there is no description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// There is no such topic.
    NoTopic,
    /// Not now, or not for us.
    Trouble(RDKafkaErrorCode),
}

/// A question on its way.
pub(super) struct Question<C> {
    queue: *mut sys::rd_kafka_queue_t,
    /// Who asks: the queue must not outlive it.
    _client: C,
}

impl<C: Deref<Target = BaseConsumer<Context>>> Question<C> {
    /// Asks for `topic` a broker, or else the controller. None where its name is none, or the client has no memory for it.
    pub fn ask(asking: C, topic: &str, broker: Option<i32>) -> Option<Self> {
        let name = CString::new(topic).ok()?;
        let mut names = [name.as_ptr()];
        // SAFETY: the client lives for all of this call; each thing that is made here is checked, handed over by pointer for the
        // length of a call, and destroyed once. librdkafka copies names and options before it returns.
        unsafe {
            let client = asking.client().native_ptr();
            let queue = sys::rd_kafka_queue_new(client);
            let options =
                sys::rd_kafka_AdminOptions_new(client, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
            let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
            let complete = !queue.is_null() && !options.is_null() && !topics.is_null();
            if complete {
                let mut text = [0; 128];
                sys::rd_kafka_AdminOptions_set_request_timeout(options, ANSWER_WAIT_MS, text.as_mut_ptr(), text.len());
                if let Some(broker) = broker {
                    sys::rd_kafka_AdminOptions_set_broker(options, broker, text.as_mut_ptr(), text.len());
                }
                sys::rd_kafka_DescribeTopics(client, topics, options, queue);
            }
            if !topics.is_null() {
                sys::rd_kafka_TopicCollection_destroy(topics);
            }
            if !options.is_null() {
                sys::rd_kafka_AdminOptions_destroy(options);
            }
            if !complete && !queue.is_null() {
                sys::rd_kafka_queue_destroy(queue);
            }
            complete.then_some(Self { queue, _client: asking })
        }
    }

    /// The answer, where it comes within `wait`.
    pub fn answer(&self, wait: Duration) -> Option<Result<Description, Unknown>> {
        let wait = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is ours until it is dropped; the event is destroyed after its last use, and what is read from it is
        // copied before.
        unsafe {
            let event = sys::rd_kafka_queue_poll(self.queue, wait);
            if event.is_null() {
                return None;
            }
            let description = read(event);
            sys::rd_kafka_event_destroy(event);
            Some(description)
        }
    }
}

impl<C> Drop for Question<C> {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, destroyed nowhere else.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

/// # Safety
/// `event` must be one of a queue, and not destroyed.
unsafe fn read(event: *mut sys::rd_kafka_event_t) -> Result<Description, Unknown> {
    // SAFETY: as the caller promises; null pointers are looked for before what they would point to is read.
    unsafe {
        let trouble = |code: sys::rd_kafka_resp_err_t| match RDKafkaErrorCode::from(code) {
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => Unknown::NoTopic,
            code => Unknown::Trouble(code),
        };
        let code = sys::rd_kafka_event_error(event);
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(trouble(code));
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        if result.is_null() {
            return Err(Unknown::Trouble(RDKafkaErrorCode::Fail));
        }
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count != 1 || (*topics).is_null() {
            return Err(Unknown::NoTopic);
        }
        let topic = *topics;
        let error = sys::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            let code = sys::rd_kafka_error_code(error);
            if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(trouble(code));
            }
        }
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let id = text_of(sys::rd_kafka_TopicDescription_topic_id(topic));
        Ok(Description { id, partitions: u32::try_from(partitions).unwrap_or(u32::MAX) })
    }
}

/// # Safety
/// `id` must be null or an id that lives.
unsafe fn text_of(id: *const sys::rd_kafka_Uuid_t) -> Option<String> {
    // SAFETY: as the caller promises.
    unsafe {
        if id.is_null() {
            return None;
        }
        let halves = (sys::rd_kafka_Uuid_most_significant_bits(id), sys::rd_kafka_Uuid_least_significant_bits(id));
        // Brokers before 2.8 have none.
        if halves == (0, 0) {
            return None;
        }
        let text = sys::rd_kafka_Uuid_base64str(id);
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}
