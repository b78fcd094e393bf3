//! Reads forecasts from Kafka as a user would: `read_committed`, keyed, each checked against the JSON Schema.
//!
//! ```text
//! cargo run --example consumer -- --brokers localhost:9092 --topic btc.forecasts --from-beginning
//! ```
//!
//! Ends after `--max` forecasts, or when none came for `--timeout` seconds (0: never). Exits with 1 at the first record
//! that does not fit, with 2 when it was called wrongly.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::types::RDKafkaErrorCode;
use serde_json::Value;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "Prints the forecasts of a topic, each checked against schemas/forecast.schema.json")]
struct Options {
    /// Bootstrap addresses.
    #[arg(long, default_value = "localhost:9092")]
    brokers: String,
    /// Topic of forecasts.
    #[arg(long, default_value = "btc.forecasts")]
    topic: String,
    /// Consumer group. A second consumer of the same group shares the partitions.
    #[arg(long, default_value = "tickcast-example")]
    group: String,
    /// Where the group has read nothing yet: from the first record, instead of only what is new.
    #[arg(long)]
    from_beginning: bool,
    /// End after this many forecasts.
    #[arg(long)]
    max: Option<u64>,
    /// End when none came for this many seconds; 0: never.
    #[arg(long, default_value_t = 0)]
    timeout: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let schema: Value = serde_json::from_str(include_str!("../schemas/forecast.schema.json"))?;
    let schema = jsonschema::options().should_validate_formats(true).build(&schema)?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &options.brokers)
        .set("group.id", &options.group)
        // Without it, forecasts of a transaction that was aborted would be read too (librdkafka's default, said aloud).
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", if options.from_beginning { "earliest" } else { "latest" })
        .create()?;
    consumer.subscribe(&[&options.topic])?;

    let patience = (options.timeout > 0).then(|| Duration::from_secs(options.timeout));
    let (mut seen, mut last) = (0, Instant::now());
    while options.max.is_none_or(|max| seen < max) && patience.is_none_or(|patience| last.elapsed() < patience) {
        let record = match consumer.poll(Duration::from_millis(200)) {
            None => continue,
            // The client connects again by itself.
            Some(Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown,
            ))) => continue,
            Some(record) => record?,
        };
        let place = format!("{}/{}/{}", record.topic(), record.partition(), record.offset());
        println!("{}", check(&record, &schema).with_context(|| place)?);
        (seen, last) = (seen + 1, Instant::now());
    }
    println!("{seen} forecasts, all of them fit the schema");
    Ok(())
}

/// One line about a forecast that is as promised.
fn check(record: &BorrowedMessage<'_>, schema: &jsonschema::Validator) -> Result<String> {
    let forecast: Value = serde_json::from_slice(record.payload().context("no value")?).context("no JSON")?;
    if let Some(error) = schema.iter_errors(&forecast).next() {
        bail!("does not fit the schema at `{}`: {error}", error.instance_path());
    }
    let text = |name: &str| forecast[name].as_str().unwrap_or_default();
    ensure!(record.key() == Some(text("symbol").as_bytes()), "the key is not the symbol");

    let header = |name: &str| {
        let found = record.headers()?.iter().find(|header| header.key == name)?;
        std::str::from_utf8(found.value?).ok()
    };
    ensure!(header("content-type") == Some("application/json"), "header content-type: {:?}", header("content-type"));
    ensure!(header("ce_specversion") == Some("1.0"), "header ce_specversion: {:?}", header("ce_specversion"));
    ensure!(header("ce_id") == Some(text("id")), "header ce_id: {:?}", header("ce_id"));
    ensure!(header("ce_subject") == Some(text("symbol")), "header ce_subject: {:?}", header("ce_subject"));
    for name in ["ce_type", "ce_source", "ce_time"] {
        ensure!(header(name).is_some_and(|value| !value.is_empty()), "no header {name}");
    }
    let interval = &forecast["interval"];
    Ok(format!(
        "{} {} {} -> {}: {} [{}, {}] naive {} {}",
        text("symbol"),
        text("horizon"),
        text("issued_at"),
        text("target_at"),
        forecast["price"],
        interval["lower"],
        interval["upper"],
        forecast["naive_price"],
        text("status"),
    ))
}
