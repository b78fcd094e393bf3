//! What is missing or wrong at the start is told within 15 s, in one message that names it and says what to do.

use crate::support;
use crate::support::{Services, tickcast};
use std::process::Command;
use std::time::{Duration, Instant};

/// Nothing listens there: the port was free a moment ago.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Runs to the end, which has to come within 15 s with `code` and a message that holds all of `parts`.
fn assert_fails(what: &str, command: Command, code: i32, parts: &[&str]) {
    let begun = Instant::now();
    let finished = support::run_to_end(command, Duration::from_secs(30));
    let took = begun.elapsed();
    println!("{what} ({took:.1?}): {}", finished.stderr.trim());
    assert_eq!(finished.code(), Some(code), "{what}: {}", finished.stderr);
    assert!(took < Duration::from_secs(15), "{what} took {took:?}");
    for part in parts {
        assert!(finished.stderr.contains(part), "{what}: `{part}` is not in: {}", finished.stderr);
    }
    for trace in ["panicked", "backtrace", "RUST_BACKTRACE"] {
        assert!(!finished.stderr.contains(trace), "{what}: {}", finished.stderr);
    }
    assert!(finished.stdout.is_empty(), "{what}: errors go to stderr");
}

fn run_with(sets: &[String]) -> Command {
    let mut command = tickcast(["run", "--workers", "1"]);
    for set in sets {
        command.args(["--set", set]);
    }
    command
}

#[test]
fn no_broker() {
    let address = nobody();
    let command = run_with(&[format!("source.kafka.brokers={address}")]);
    assert_fails("no broker", command, 1, &[&address]);
}

#[test]
fn wrong_configuration() {
    let with = |set: &str| run_with(&["source.kafka.topic=t".to_owned(), set.to_owned()]);
    for (what, set, parts) in [
        ("a misspelt key", "time.slid=5s", vec!["time.slid", "time.slide"]),
        ("a misspelt table", "sink.mongo.uri=x", vec!["sink.mongo", "sink.mongodb"]),
        ("a wrong duration", "time.slide=5 seconds", vec!["time.slide", "5 seconds", "250ms"]),
        ("a slide that does not divide", "time.slide=7s", vec!["time.slide", "7s", "1m"]),
    ] {
        assert_fails(what, with(set), 2, &parts);
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn no_topic() {
    let services = Services::shared();
    let topic = support::unique("nowhere");
    let command =
        run_with(&[format!("source.kafka.brokers={}", services.kafka()), format!("source.kafka.topic={topic}")]);
    assert_fails("no topic", command, 1, &[&topic]);
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn no_database_and_a_wrong_password() {
    let services = Services::shared();
    let topic = support::unique("ticks");
    support::create_topic(services.kafka(), &topic, 1);
    let source = [format!("source.kafka.brokers={}", services.kafka()), format!("source.kafka.topic={topic}")];
    let with = |uri: &str| {
        let mut sets = source.to_vec();
        sets.push(format!("sink.mongodb.uri={uri}"));
        run_with(&sets)
    };
    let address = nobody();
    assert_fails("no database", with(&format!("mongodb://{address}/?directConnection=true")), 1, &[&address]);
    let wrong = services.mongodb().replace("mongodb://", "mongodb://someone:s3cret@");
    let command = with(&wrong);
    let begun = Instant::now();
    let finished = support::run_to_end(command, Duration::from_secs(30));
    println!("a wrong password: {}", finished.stderr.trim());
    assert!(begun.elapsed() < Duration::from_secs(15));
    assert_eq!(finished.code(), Some(1));
    assert!(!finished.stderr.contains("s3cret"), "{}", finished.stderr);
}

#[test]
fn a_wrong_option_of_the_broker() {
    let command = run_with(&["source.kafka.topic=t".to_owned(), "source.kafka.options.sasl.passwort=x".to_owned()]);
    assert_fails("a wrong option", command, 2, &["sasl.passwort"]);
}
