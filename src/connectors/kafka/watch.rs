//! Whether the topic that is read is still the one that was there at the start: not deleted, not created anew, not grown.

use super::context::Context;
use super::describe::{Description, Question, Unknown};
use crate::recovery::Refusal;
use rdkafka::consumer::BaseConsumer;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the broker is asked. Records of a topic that takes the place of another can be read for so long.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A topic that is unknown so many times in a row is gone: a broker that has just come back may not know it yet.
const UNKNOWN_MAX: u32 = 3;

/// Asks for one topic, without waiting for the answers.
pub(super) struct TopicWatch {
    topic: String,
    id: Option<String>,
    partitions: u32,
    asked: Option<Instant>,
    question: Option<Question<Arc<BaseConsumer<Context>>>>,
    unknown: u32,
    /// Whether growth is told as a refusal, and not only warned of.
    ends_when_grown: bool,
}

impl TopicWatch {
    /// A watch of a topic that was there with this id, and so many partitions.
    pub fn new(topic: &str, id: Option<String>, partitions: u32, ends_when_grown: bool) -> Self {
        Self { topic: topic.to_owned(), id, partitions, asked: None, question: None, unknown: 0, ends_when_grown }
    }

    /// Looks for an answer, and asks anew where it is time to.
    pub fn look(&mut self, consumer: &Arc<BaseConsumer<Context>>) -> Result<(), Refusal> {
        if let Some(answer) = self.question.as_ref().and_then(|question| question.answer(Duration::ZERO)) {
            self.question = None;
            self.judge(answer)?;
        }
        if self.question.is_none() && self.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
            self.asked = Some(Instant::now());
            self.question = Question::ask(Arc::clone(consumer), &self.topic, None);
        }
        Ok(())
    }

    fn judge(&mut self, answer: Result<Description, Unknown>) -> Result<(), Refusal> {
        let topic = || self.topic.clone();
        match answer {
            Ok(Description { id, partitions }) => {
                self.unknown = 0;
                if id.is_some() && self.id.is_some() && id != self.id {
                    return Err(Refusal::TopicCreatedAnew { topic: topic() });
                }
                if partitions > self.partitions {
                    let was = std::mem::replace(&mut self.partitions, partitions);
                    let grown = Refusal::PartitionsAdded { topic: topic(), was, is: partitions };
                    if self.ends_when_grown {
                        return Err(grown);
                    }
                    tracing::warn!("{grown}: new partitions are not read until then");
                }
                self.id = id.or_else(|| self.id.take());
            }
            Err(Unknown::NoTopic) => {
                self.unknown += 1;
                if self.unknown >= UNKNOWN_MAX {
                    return Err(Refusal::TopicDeleted { topic: topic() });
                }
            }
            Err(Unknown::Trouble(code)) => {
                tracing::debug!(target: "tickcast::kafka", "describing topic {}: {code}", self.topic);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::error::RDKafkaErrorCode;

    fn says(id: Option<&str>, partitions: u32) -> Result<Description, Unknown> {
        Ok(Description { id: id.map(str::to_owned), partitions })
    }

    fn name(result: Result<(), Refusal>) -> &'static str {
        result.map_or_else(|refusal| refusal.name(), |()| "ok")
    }

    #[test]
    fn what_is_no_longer_the_same_is_told() {
        let mut watch = TopicWatch::new("t", Some("a".to_owned()), 4, true);
        assert_eq!(name(watch.judge(says(Some("a"), 4))), "ok");
        assert_eq!(name(watch.judge(says(None, 4))), "ok", "a broker that does not say");
        assert_eq!(name(watch.judge(says(Some("b"), 4))), "topic_created_anew");
        assert_eq!(name(watch.judge(says(Some("a"), 6))), "partitions_added");
        let mut unknown = TopicWatch::new("t", None, 4, false);
        assert_eq!(name(unknown.judge(says(None, 5))), "ok", "it is warned of");
        assert_eq!(name(unknown.judge(says(Some("a"), 4))), "ok");
        assert_eq!(name(unknown.judge(says(Some("b"), 4))), "topic_created_anew", "known since the first answer");
    }

    #[test]
    fn a_topic_is_gone_when_it_is_unknown_again_and_again() {
        let mut watch = TopicWatch::new("t", None, 1, false);
        let gone = || Err(Unknown::NoTopic);
        for answer in [gone(), gone(), says(None, 1), gone(), gone(), Err(Unknown::Trouble(RDKafkaErrorCode::Fail))] {
            assert_eq!(name(watch.judge(answer)), "ok");
        }
        assert_eq!(name(watch.judge(gone())), "topic_deleted");
    }
}
