//! The helpers of the end-to-end tests do what they say.

use crate::support;
use crate::support::{Record, Service, Services};
use std::time::Duration;

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_server_that_was_stopped_comes_back_where_it_was_with_its_data() {
    let services = Services::own();
    let topic = support::unique("topic");
    support::create_topic(services.kafka(), &topic, 2);
    let record = |n: i32| Record { partition: Some(n % 2), key: Some(format!("k{n}")), value: b"v".to_vec() };
    support::produce(services.kafka(), &topic, (0..10).map(record));
    let before = support::read_committed(services.kafka(), &topic);
    assert_eq!(before.len(), 10);
    let pid = services.pid(Service::Kafka);

    services.stop(Service::Kafka);
    services.stop(Service::MongoDb);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "stop returns when the process has ended");
    services.start(Service::Kafka);
    services.start(Service::MongoDb);
    assert_eq!(support::read_committed(services.kafka(), &topic), before);
    assert!(support::documents(services.mongodb(), "none", "none").is_empty());
}

#[test]
fn a_process_that_does_not_end_is_killed() {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "echo started; sleep 1000"]);
    let process = support::Process::spawn(command);
    let started = || process.stdout().contains("started").then_some(());
    support::eventually("it writes", Duration::from_secs(10), started);
    let pid = process.pid();
    drop(process);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
