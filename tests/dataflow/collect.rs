//! Collecting: every distinct observation once in the topic, in order, whatever the API and the broker do; and an API
//! that is never asked more often than it should be.

use crate::api;
use crate::api::{Api, Step, observation};
use crate::support;
use crate::support::{Process, Service, Services, Signal, eventually, read_committed, run_to_end, tickcast};
use std::process::Command;
use std::time::{Duration, Instant};
use tickcast::config::CollectConfig;
use tickcast::connectors::kafka::EmbeddedBroker;
use tickcast::feeds::messari::Client;
use tickcast::feeds::messari::client::FailureKind;
use tickcast::market::Span;

const WITHIN: Duration = Duration::from_secs(120);
const EVERY: Duration = Duration::from_millis(100);

/// `tickcast collect` at the pace of [`EVERY`].
fn collect(api: &Api, brokers: &str, topic: &str, assets: &str, more: &[&str]) -> Command {
    let sets = [
        format!("collect.url={}", api.url()),
        format!("collect.assets={assets}"),
        "collect.every=100ms".to_owned(),
        // Only a step that hangs takes so long, on a busy machine too.
        "collect.timeout=4s".to_owned(),
        format!("source.kafka.brokers={brokers}"),
        format!("source.kafka.topic={topic}"),
    ];
    let mut command = tickcast(["collect", "--json"]);
    command.env("NO_PROXY", "127.0.0.1");
    for set in &sets {
        command.args(["--set", set]);
    }
    command.args(more);
    command
}

fn summary(stdout: &[u8]) -> serde_json::Value {
    serde_json::from_slice(stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(stdout)))
}

/// The values of a key, in order.
fn published(brokers: &str, topic: &str, key: &str) -> Vec<String> {
    let messages = read_committed(brokers, topic).into_iter().filter(|message| message.key.as_deref() == Some(key));
    messages.map(|message| String::from_utf8(message.value).unwrap()).collect()
}

/// That these are the same texts in the same order; names the first that differs.
fn assert_same(found: &[String], expected: &[String]) {
    if let Some(at) = found.iter().zip(expected).position(|(found, expected)| found != expected) {
        panic!("record {at}:\n  published {}\n  expected  {}", found[at], expected[at]);
    }
    assert_eq!(found.len(), expected.len(), "number of records");
}

/// Bitcoin's script, and the bodies of it that are distinct observations.
fn everything(recorded: &str) -> (Vec<Step>, Vec<String>) {
    let new = |n: u64| observation(recorded, "BTC", 10 * n, 10 * n - 5, 30_000.0 + n as f64);
    // Told later, and in the last line so much later or earlier that a clock must have jumped; the trade is the same.
    let again = |n: u64, answered: u64| observation(recorded, "BTC", answered, 10 * n - 5, 30_000.0 + n as f64);
    let jumped = observation(recorded, "BTC", 86_400 + 130, 125, 30_013.0);
    let back = observation(recorded, "BTC", 140, 135, 30_014.0);
    let failures = [
        Step::wait(429, "1"),
        Step::wait(429, "Thu, 21 Jan 2021 14:34:31 GMT"),
        Step::status(429),
        Step::status(500),
        Step::status(503),
        Step::wait(503, "1"),
        Step::Hang,
        Step::Cut,
        Step::Body("{\"status\":{".to_owned()),
        Step::Body(r#"{"status":{"timestamp":"2021-01-21T14:34:31Z","error_code":500}}"#.to_owned()),
        Step::Long(1_000_000),
    ];
    let (mut steps, mut distinct) = (Vec::new(), Vec::new());
    for (n, failure) in (1..).zip(failures) {
        steps.extend([Step::Body(new(n)), Step::Body(again(n, 10 * n + 1)), failure]);
        distinct.push(new(n));
    }
    let outdated = again(10, 120);
    steps.extend([Step::Body(new(12)), Step::Body(outdated), Step::Body(jumped.clone()), Step::Body(back.clone())]);
    steps.push(Step::Body(again(14, 150)));
    distinct.extend([new(12), jumped, back]);
    (steps, distinct)
}

/// Plays everything while `meanwhile` happens, and looks at the topic and at what was asked.
fn play(brokers: &str, topic: &str, meanwhile: impl FnOnce(&Api, &mut Process)) {
    let Some(recorded) = api::recorded() else { return };
    let (steps, distinct) = everything(&recorded);
    let length = steps.len();
    let scripts = [("bitcoin", steps), ("ethereum", vec![Step::Fresh("ETH")])];
    let Some(api) = Api::start(scripts) else { return };
    let begun = Instant::now();
    let mut process = Process::spawn(collect(&api, brokers, topic, "bitcoin,no-such,ethereum", &[]));
    meanwhile(&api, &mut process);
    eventually("the script is played", WITHIN, || {
        assert!(process.is_running(), "{}", process.stderr());
        (api.requests("bitcoin").len() >= length + 2).then_some(())
    });
    process.signal(Signal::Term);
    let finished = process.wait(Duration::from_secs(20)).expect_code(0);
    let slots = begun.elapsed().as_millis() / EVERY.as_millis() + 1;

    assert_same(&published(brokers, topic, "BTC"), &distinct);
    let (ethereum, sent) = (published(brokers, topic, "ETH"), api.distinct("ethereum"));
    // The last answer may have come after the signal.
    assert!(ethereum == sent || ethereum == sent[..sent.len() - 1], "{} of {}", ethereum.len(), sent.len());

    let said = summary(&finished.stdout);
    println!("{said}");
    assert_eq!(said["published"], distinct.len() + ethereum.len());
    assert_eq!((&said["unacknowledged"], &said["outdated"]), (&0.into(), &1.into()));
    let failures = serde_json::json!({"rate_limited": 3, "server_error": 3, "refused": 1, "timed_out": 1,
        "connection": 1, "unusable": 3});
    assert_eq!(said["failures"], failures, "{}", finished.stderr);

    // A failure may be followed by one call more than the pace has; a wait that was asked for holds for all assets.
    let requests = api.all();
    let count = |asset: &str| api.requests(asset).len() as u128;
    println!("{slots} slots: {} + {} requests", count("bitcoin"), count("ethereum"));
    assert!(count("bitcoin") <= slots + 12 && count("ethereum") <= slots, "{slots} slots");
    assert_eq!(count("no-such"), 1, "an unknown asset is not asked for again soon");
    for (before, after) in requests.iter().zip(&requests[1..]) {
        if matches!(&before.step, Step::Status(429, headers) if !headers.is_empty()) {
            let waited = after.at - before.at;
            assert!(waited >= Duration::from_secs(1), "{} asked again after {waited:?}", after.asset);
        }
    }
    assert!(finished.stderr.contains("HTTP 404: there is no asset `no-such`"), "{}", finished.stderr);
}

#[test]
fn every_failure_of_the_api_leaves_each_observation_once_and_in_order() {
    let broker = EmbeddedBroker::start(&[("ticks", 3)]).unwrap();
    play(&broker.bootstrap(), "ticks", |_, _| {});
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_same_while_the_broker_is_away_for_20_seconds() {
    let services = Services::own();
    let topic = support::unique("collect");
    play(services.kafka(), &topic, |api, process| {
        eventually("it has begun", WITHIN, || (api.requests("ethereum").len() > 5).then_some(()));
        services.stop(Service::Kafka);
        let (end, before) = (Instant::now() + Duration::from_secs(20), api.requests("ethereum").len());
        eventually("20 seconds", Duration::from_secs(40), || (Instant::now() >= end).then_some(()));
        assert!(process.is_running(), "{}", process.stderr());
        let meanwhile = api.requests("ethereum").len() - before;
        println!("{meanwhile} observations while the broker was away");
        assert!(meanwhile > 10, "it goes on asking: {meanwhile}");
        services.start(Service::Kafka);
    });
}

#[test]
fn a_full_queue_pauses_asking_and_loses_nothing() {
    let broker = EmbeddedBroker::start(&[("ticks", 1)]).unwrap();
    let brokers = broker.bootstrap();
    let Some(api) = Api::start([("ethereum", vec![Step::Fresh("ETH")])]) else { return };
    let full = ["--set", "source.kafka.options.queue.buffering.max.messages=5"];
    let mut process = Process::spawn(collect(&api, &brokers, "ticks", "ethereum", &full));
    let asked = || api.requests("ethereum").len();
    eventually("it has begun", WITHIN, || (asked() > 3).then_some(()));
    broker.cluster().broker_down(1).unwrap();
    let before = asked();
    eventually("the queue fills", WITHIN, || (asked() >= before + 5).then_some(()));
    // Time for 20 more, were it not paused. Five wait in the queue, one for the queue; one may have been under way.
    let end = Instant::now() + 20 * EVERY;
    eventually("2 seconds", WITHIN, || (Instant::now() >= end).then_some(()));
    assert!(asked() <= before + 7, "{} requests while the queue was full", asked() - before);
    broker.cluster().broker_up(1).unwrap();
    let paused = asked();
    eventually("it goes on", WITHIN, || (asked() > paused + 5).then_some(()));
    process.signal(Signal::Term);
    process.wait(Duration::from_secs(20)).expect_code(0);
    let (topic, sent) = (published(&brokers, "ticks", "ETH"), api.distinct("ethereum"));
    assert!(topic == sent || topic == sent[..sent.len() - 1], "{} of {}", topic.len(), sent.len());
}

#[test]
fn a_stop_while_the_broker_is_away_ends_in_time_and_tells_what_was_not_acknowledged() {
    let broker = EmbeddedBroker::start(&[("ticks", 1)]).unwrap();
    let Some(api) = Api::start([("ethereum", vec![Step::Fresh("ETH")])]) else { return };
    let mut process = Process::spawn(collect(&api, &broker.bootstrap(), "ticks", "ethereum", &[]));
    eventually("it has begun", WITHIN, || (api.requests("ethereum").len() > 3).then_some(()));
    broker.cluster().broker_down(1).unwrap();
    let before = api.requests("ethereum").len();
    eventually("some wait", WITHIN, || (api.requests("ethereum").len() > before + 3).then_some(()));
    process.signal(Signal::Term);
    let finished = process.wait(Duration::from_secs(30)).expect_code(1);
    let waiting = summary(&finished.stdout)["unacknowledged"].as_u64().unwrap();
    let told = format!("the broker has not acknowledged {waiting} observations");
    assert!(waiting > 0 && finished.stderr.contains(&told), "{}", finished.stderr);
}

#[test]
fn a_restart_publishes_nothing_twice() {
    let broker = EmbeddedBroker::start(&[("ticks", 3)]).unwrap();
    let brokers = broker.bootstrap();
    let Some(recorded) = api::recorded() else { return };
    let body = |answered, traded| Step::Body(observation(&recorded, "BTC", answered, traded, 30_000.0));
    let Some(api) = Api::start([("bitcoin", vec![body(10, 9)]), ("ethereum", vec![Step::Fresh("ETH")])]) else {
        return;
    };
    let once = |assets: &str, code| {
        let finished = run_to_end(collect(&api, &brokers, "ticks", assets, &["--once"]), WITHIN).expect_code(code);
        let said = summary(&finished.stdout);
        let of = |name: &str| said[name].as_u64().unwrap();
        (of("polls"), of("published"), of("unchanged"), of("outdated"))
    };
    assert_eq!(once("bitcoin,ethereum", 0), (2, 2, 0, 0));
    api.script("bitcoin", vec![body(20, 9)]);
    assert_eq!(once("bitcoin,ethereum", 0), (2, 1, 1, 0));
    api.script("bitcoin", vec![body(30, 8)]);
    assert_eq!(once("bitcoin", 0), (1, 0, 0, 1));
    api.script("bitcoin", vec![body(40, 39)]);
    assert_eq!(once("bitcoin,no-such", 1), (2, 1, 0, 0));
    api.script("bitcoin", vec![Step::wait(429, "7")]);
    assert_eq!(once("bitcoin,ethereum", 1), (1, 0, 0, 0), "nobody else is asked for after a 429");
    let texts = published(&brokers, "ticks", "BTC");
    assert_eq!(
        texts,
        [observation(&recorded, "BTC", 10, 9, 30_000.0), observation(&recorded, "BTC", 40, 39, 30_000.0)]
    );
    assert_eq!(published(&brokers, "ticks", "ETH"), api.distinct("ethereum"));
}

#[test]
fn each_answer_is_what_it_is() {
    let Some(recorded) = api::recorded() else { return };
    let Some(api) = Api::start([("bitcoin", vec![Step::Body(recorded.clone())])]) else { return };
    let url = format!("{}/", api.url());
    let timeout = Span::from_millis(1000);
    let config = CollectConfig { url, timeout, key: Some("hunter2".to_owned()), ..CollectConfig::default() };
    let client = Client::new(&config).unwrap();
    assert_eq!(client.market_data("bitcoin"), Ok(recorded.into_bytes()));
    let head = &api.requests("bitcoin")[0].head;
    let agent = format!("user-agent: tickcast/{}\r\n", env!("CARGO_PKG_VERSION"));
    for line in ["x-messari-api-key: hunter2\r\n", "accept: application/json\r\n", &agent] {
        assert!(head.contains(line), "{line} in {head}");
    }
    let elsewhere = format!("{}/api/v1/assets/elsewhere/metrics/market-data", api.url());
    let table = [
        (Step::wait(429, "7"), FailureKind::RateLimited, Some(7), "too many requests"),
        (Step::wait(429, "Thu, 21 Jan 2021 14:34:33 GMT"), FailureKind::RateLimited, Some(3), "too many requests"),
        (Step::wait(429, "999999"), FailureKind::RateLimited, Some(3600), "too many requests"),
        (Step::status(429), FailureKind::RateLimited, None, "too many requests"),
        (Step::status(500), FailureKind::ServerError, None, "in trouble"),
        (Step::wait(503, "9"), FailureKind::ServerError, Some(9), "in trouble"),
        (Step::wait(401, "9"), FailureKind::Refused, None, "TICKCAST_COLLECT__KEY"),
        (Step::status(403), FailureKind::Refused, None, "does not allow"),
        (Step::status(404), FailureKind::Refused, None, "no asset `bitcoin`"),
        (Step::status(204), FailureKind::Refused, None, "HTTP 204"),
        // Not followed: it would take the key along.
        (Step::Status(302, vec![("Location", elsewhere)]), FailureKind::Refused, None, "has moved"),
        (Step::Hang, FailureKind::TimedOut, None, "no answer in time"),
        (Step::Cut, FailureKind::Connection, None, "no answer"),
        (Step::Long(900_001), FailureKind::Unusable, None, "more than 900000 bytes"),
    ];
    for (step, kind, seconds, part) in table {
        api.script("bitcoin", vec![step.clone()]);
        let failure = client.market_data("bitcoin").unwrap_err();
        let wait = failure.retry_after.map(|wait| wait.as_secs());
        assert_eq!((failure.kind, wait), (kind, seconds), "{step:?}: {failure:?}");
        assert!(failure.message.contains(part) && !failure.message.contains("hunter2"), "{failure:?}");
    }
    assert!(api.requests("elsewhere").is_empty());
    let nobody = CollectConfig { url: "http://127.0.0.1:1".to_owned(), ..config };
    assert_eq!(Client::new(&nobody).unwrap().market_data("bitcoin").unwrap_err().kind, FailureKind::Connection);
}

#[test]
fn the_key_comes_from_the_environment_or_a_file_and_never_shows() {
    let dir = support::temp_dir();
    let file = dir.path().join("key");
    std::fs::write(&file, "hunter2\n").unwrap();
    let mut show = tickcast(["config", "show"]);
    show.env("TICKCAST_COLLECT__KEY", "hunter2");
    let shown = run_to_end(show, WITHIN).expect_code(0);
    assert!(shown.stdout_text().contains("key = \"***\"") && !shown.stdout_text().contains("hunter2"));

    let broker = EmbeddedBroker::start(&[("ticks", 1)]).unwrap();
    let Some(api) = Api::start([("ethereum", vec![Step::status(401)])]) else { return };
    let by_file = format!("collect.key_file={}", file.display());
    for sets in [&["--once"][..], &["--once", "--set", &by_file]] {
        let mut command = collect(&api, &broker.bootstrap(), "ticks", "ethereum", sets);
        if sets.len() == 1 {
            command.env("TICKCAST_COLLECT__KEY", "hunter2");
        }
        command.env("TICKCAST_LOG", "trace");
        let finished = run_to_end(command, WITHIN).expect_code(1);
        assert!(finished.stderr.contains("the API wants a valid key"), "{}", finished.stderr);
        assert!(!finished.stderr.contains("hunter2") && !finished.stdout_text().contains("hunter2"));
        assert!(api.all().last().unwrap().head.contains("x-messari-api-key: hunter2\r\n"));
    }
    for (text, part) in [(None, "cannot be read"), (Some(" \n"), "holds no key"), (Some("two words"), "holds no key")] {
        text.map_or_else(|| std::fs::remove_file(&file), |text| std::fs::write(&file, text)).unwrap();
        let command = collect(&api, &broker.bootstrap(), "ticks", "ethereum", &["--set", &by_file]);
        let finished = run_to_end(command, WITHIN).expect_code(2);
        assert!(
            finished.stderr.contains("collect.key_file = ") && finished.stderr.contains(part),
            "{}",
            finished.stderr
        );
    }
}
