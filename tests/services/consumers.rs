//! Those who read the forecast topic get what the schemas promise: our example in Rust, the one in Python, and Kafka's own
//! console consumer see the committed forecasts, byte for byte, and none of an aborted transaction.

use crate::support;
use crate::support::{Finished, Services};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;
use tickcast::market::json::{write_forecast, write_score};
use tickcast::market::{
    Fixed, Forecast, Interval, ModelInfo, Reasons, Score, ScoreOutcome, Skill, Span, Status, Symbol, Timestamp,
};

const MINUTE: Span = Span::from_millis(60_000);
const WITHIN: Duration = Duration::from_secs(120);

/// The `n`-th forecast of a symbol: the first before any training, every third one abstaining.
fn forecast(symbol: &str, n: i64) -> Forecast {
    let issued_at = Timestamp::from_millis(1_611_239_640_000 + n * 60_000);
    let price = 31_571.74 + n as f64 / 3.0;
    let trained = n > 0;
    let abstains = n > 0 && n % 3 == 0;
    Forecast {
        job: "btc".into(),
        symbol: Symbol::new(symbol).unwrap(),
        horizon: MINUTE,
        issued_at,
        target_at: issued_at.plus(MINUTE),
        last_price: Fixed::parse(b"31571.74").unwrap(),
        price,
        interval: Interval { coverage: 0.9, lower: price - 40.0, upper: price + 40.0 },
        quantiles: [-40.0, -15.0, 0.0, 15.0, 40.0].map(|by| price + by),
        probability_up: 0.52,
        status: if abstains {
            Status::Abstain
        } else if trained {
            Status::Ok
        } else {
            Status::Warming
        },
        reasons: Reasons { quiet: abstains, gap: abstains && n % 2 == 0 },
        skill: Skill {
            count: n.unsigned_abs(),
            mae_ratio: trained.then_some(0.996),
            coverage: trained.then_some(0.903),
            e_value: 1.0,
        },
        drift: tickcast::market::Drift::default(),
        model: ModelInfo {
            version: n.unsigned_abs(),
            trained_through: trained.then_some(issued_at),
            loss: trained.then_some(0.25),
        },
    }
}

fn json(forecast: &Forecast) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_forecast(forecast, &mut bytes);
    bytes
}

fn headers(forecast: &Forecast) -> OwnedHeaders {
    let (id, time) = (forecast.id(), forecast.issued_at.to_string());
    let all = [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", &id),
        ("ce_type", "tickcast.forecast"),
        ("ce_source", "tickcast/btc"),
        ("ce_time", &time),
        ("ce_subject", forecast.symbol.as_str()),
    ];
    all.into_iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

/// Publishes in one transaction, and commits it or not.
fn publish(producer: &BaseProducer, topic: &str, forecasts: &[Forecast], commit: bool) {
    producer.begin_transaction().unwrap();
    for forecast in forecasts {
        let value = json(forecast);
        let record = BaseRecord::to(topic).key(forecast.symbol.as_str()).payload(&value).headers(headers(forecast));
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(WITHIN).unwrap();
    if commit { producer.commit_transaction(WITHIN) } else { producer.abort_transaction(WITHIN) }.unwrap();
}

/// Runs both examples over the topic from its beginning; one group each.
fn examples(services: &Services, topic: &str, more: &[&str]) -> [Finished; 2] {
    let rust = Command::new(support::example("consumer"));
    let mut python = Command::new(services.python());
    python.arg(support::project().join("examples/consumer.py"));
    let running = [rust, python].map(|mut command| {
        command.args(["--brokers", services.kafka(), "--topic", topic, "--group", &support::unique("group")]);
        command.arg("--from-beginning").args(more);
        support::Process::spawn(command)
    });
    running.map(|process| process.wait(WITHIN))
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn every_consumer_reads_the_committed_forecasts_and_no_other() {
    let services = Services::shared();
    let topic = support::unique("forecasts");
    support::create_topic(services.kafka(), &topic, 2);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", services.kafka())
        .set("transactional.id", support::unique("producer"))
        .create()
        .unwrap();
    producer.init_transactions(WITHIN).unwrap();
    let batch = |from: i64, to: i64| -> Vec<Forecast> {
        (from..to).flat_map(|n| ["BTC", "Ünï/\"1\""].map(|symbol| forecast(symbol, n))).collect()
    };
    let committed = [batch(0, 5), batch(10, 15)];
    publish(&producer, &topic, &committed[0], true);
    publish(&producer, &topic, &batch(5, 10), false);
    publish(&producer, &topic, &committed[1], true);

    let mut expected: Vec<Vec<u8>> = committed.iter().flatten().map(json).collect();
    expected.sort();
    let ours = support::read_committed(services.kafka(), &topic);
    let theirs = support::console_consumer(&services, &topic, Duration::from_secs(10));
    let fields = |all: &[support::Message]| -> Vec<_> {
        all.iter().map(|m| (m.partition, m.offset, m.key.clone(), m.value.clone())).collect()
    };
    assert_eq!(fields(&ours), fields(&theirs), "our client and Kafka's own");
    let mut values: Vec<Vec<u8>> = theirs.into_iter().map(|message| message.value).collect();
    values.sort();
    assert_eq!(values, expected);

    let count = expected.len();
    for done in examples(&services, &topic, &["--timeout", "15"]) {
        let text = done.expect_code(0).stdout_text();
        assert_eq!(text.lines().count(), count + 1, "{text}");
        assert_eq!(text.lines().last(), Some(&*format!("{count} forecasts, all of them fit the schema")));
    }
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn a_record_that_does_not_fit_fails_the_consumers() {
    let services = Services::shared();
    let topic = support::unique("forecasts");
    support::create_topic(services.kafka(), &topic, 1);
    let bad = |value: &[u8]| support::Record { key: Some("BTC".to_owned()), value: value.to_vec(), partition: None };
    support::produce(services.kafka(), &topic, [bad(b"{\"id\":\"btc/BTC/1m/1\"}")]);
    for done in examples(&services, &topic, &["--max", "1", "--timeout", "60"]) {
        assert!(done.expect_code(1).stderr.contains("does not fit the schema"), "the message says why");
    }
}

/// Reads a schema's name and `{"fit": [value], "unfit": [[what, value]]}`, and says what is not as it should be.
const CHECK: &str = r#"
import json, sys
from jsonschema import Draft202012Validator
schema, cases = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
for value in cases["fit"]:
    for error in validator.iter_errors(value):
        sys.exit(f"{value}: {error.message} at {error.json_path}")
for what, value in cases["unfit"]:
    if validator.is_valid(value):
        sys.exit(f"{what} must not fit: {value}")
"#;

/// What one schema has to say of values.
struct Cases {
    schema: &'static str,
    fit: Vec<Value>,
    unfit: Vec<(String, Value)>,
}

impl Cases {
    /// A value that fits, and nothing that is like it but spoilt.
    fn fits(&mut self, bytes: &[u8]) {
        let value: Value = serde_json::from_slice(bytes).unwrap();
        self.unfit.extend(spoilt(&value));
        self.fit.push(value);
    }

    fn does_not_fit(&mut self, what: &str, bytes: &[u8]) {
        self.unfit.push((what.to_owned(), serde_json::from_slice(bytes).unwrap()));
    }

    /// Asks a library that was not written for us.
    fn check(&self, services: &Services) {
        let dir = support::temp_dir();
        let cases = dir.path().join("cases.json");
        std::fs::write(&cases, serde_json::json!({ "fit": self.fit, "unfit": self.unfit }).to_string()).unwrap();
        let mut command = Command::new(services.python());
        command.args(["-c", CHECK]).arg(support::project().join("schemas").join(self.schema)).arg(&cases);
        support::run_to_end(command, WITHIN).expect_code(0);
    }
}

/// Each field at each depth, once removed, once of another type: none of them may fit.
fn spoilt(value: &Value) -> Vec<(String, Value)> {
    let Value::Object(fields) = value else { return Vec::new() };
    let mut all = Vec::new();
    for (name, field) in fields {
        let mut with = |what: &str, new: Option<Value>| {
            let mut fields = fields.clone();
            match new {
                Some(new) => fields.insert(name.clone(), new),
                None => fields.remove(name),
            };
            all.push((format!("{name}{what}"), Value::Object(fields)));
        };
        with(" absent", None);
        with(" an array of null", Some(serde_json::json!([null])));
        for (path, inner) in spoilt(field) {
            with(&format!(".{path}"), Some(inner));
        }
    }
    let mut more = fields.clone();
    more.insert("unknown".to_owned(), Value::Null);
    all.push(("an unknown field".to_owned(), Value::Object(more)));
    all
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_forecast_schema_is_strict_and_holds_what_is_written() {
    let mut cases = Cases { schema: "forecast.schema.json", fit: vec![], unfit: vec![] };
    for n in 0..10 {
        cases.fits(&json(&forecast("BTC", n)));
    }
    let with_reason = json(&Forecast { reasons: Reasons { quiet: true, gap: false }, ..forecast("BTC", 1) });
    cases.does_not_fit("a reason without abstaining", &with_reason);
    let without = json(&Forecast { reasons: Reasons::default(), ..forecast("BTC", 3) });
    cases.does_not_fit("abstaining without a reason", &without);
    cases.check(&Services::shared());
}

#[test]
#[ignore = "needs services: run ./deploy/test"]
fn the_score_schema_is_strict_and_holds_what_is_written() {
    let mut cases = Cases { schema: "score.schema.json", fit: vec![], unfit: vec![] };
    let outcome = ScoreOutcome {
        actual_price: Fixed::parse(b"31571.74").unwrap(),
        error: -1.5,
        naive_error: 0.0,
        covered: true,
        pinball: 2.25,
        naive_pinball: 2.5,
        experts: [None; 10],
    };
    for outcome in [Some(outcome), None] {
        let f = forecast("BTC", 1);
        let score = Score { job: f.job, symbol: f.symbol, horizon: f.horizon, target_at: f.target_at, outcome };
        let mut bytes = Vec::new();
        write_score(&score, &mut bytes);
        cases.fits(&bytes);
        let swapped = String::from_utf8(bytes)
            .unwrap()
            .replace("scored", "VOID")
            .replace("void", "scored")
            .replace("VOID", "void");
        cases.does_not_fit("nulls without void, or void without nulls", swapped.as_bytes());
    }
    cases.check(&Services::shared());
}
