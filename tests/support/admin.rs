//! What happens to topics while nobody looks: deleted, created anew, grown, cut, configured otherwise.

use super::eventually;
use super::kafka::{create_topic, end_offsets};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::future::Future;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

fn config(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("log_level", "0");
    config
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    config(brokers).create().expect("an admin client")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Deletes a topic, and waits until it is gone.
pub fn delete_topic(brokers: &str, topic: &str) {
    let deleted = wait(admin(brokers).delete_topics(&[topic], &AdminOptions::new().operation_timeout(Some(TIMEOUT))));
    deleted.expect("the broker answers").into_iter().for_each(|result| drop(result.expect("deleted")));
    let consumer: BaseConsumer = config(brokers).create().expect("a consumer");
    eventually("the topic is gone", TIMEOUT, || {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).ok()?;
        metadata.topics().iter().all(|topic| topic.error().is_some()).then_some(())
    });
}

/// Deletes a topic and creates one of the same name.
pub fn create_anew(brokers: &str, topic: &str, partitions: i32) {
    delete_topic(brokers, topic);
    create_topic(brokers, topic, partitions);
}

/// Gives a topic more partitions.
pub fn grow_topic(brokers: &str, topic: &str, partitions: usize) {
    let new = NewPartitions::new(topic, partitions);
    let grown = wait(admin(brokers).create_partitions([&new], &AdminOptions::new().operation_timeout(Some(TIMEOUT))));
    grown.expect("the broker answers").into_iter().for_each(|result| drop(result.expect("grown")));
    eventually("the partitions are known", TIMEOUT, || (end_offsets(brokers, topic).len() == partitions).then_some(()));
}

/// Changes one setting of a topic.
pub fn configure_topic(brokers: &str, topic: &str, key: &str, value: &str) {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(key, value);
    let changed = wait(admin(brokers).alter_configs([&change], &AdminOptions::new().request_timeout(Some(TIMEOUT))));
    changed.expect("the broker answers").into_iter().for_each(|result| drop(result.expect("changed")));
}

/// The broker forgets the first `count` records of each partition, as after its retention.
pub fn forget_records(brokers: &str, topic: &str, count: i64) {
    let mut list = TopicPartitionList::new();
    for (partition, end) in end_offsets(brokers, topic) {
        list.add_partition_offset(topic, partition, Offset::Offset(end.min(count))).unwrap();
    }
    wait(admin(brokers).delete_records(&list, &AdminOptions::new())).expect("the broker answers");
}
