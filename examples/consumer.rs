//! Reads forecasts from Kafka as a user would: `read_committed`, keyed, into types that hold what
//! `schemas/forecast.schema.json` promises (the example in Python checks against the schema itself).
//!
//! ```text
//! cargo run --example consumer -- --brokers localhost:9092 --topic btc.forecasts --from-beginning
//! ```
//!
//! Ends after `--max` forecasts, or when none came for `--timeout` seconds (0: never). Exits with 1 at the first record
//! that does not fit, with 2 when it was called wrongly.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::types::RDKafkaErrorCode;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(about = "Prints the forecasts of a topic, each checked to be as schemas/forecast.schema.json says")]
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
        println!("{}", check(&record).with_context(|| place)?);
        (seen, last) = (seen + 1, Instant::now());
    }
    println!("{seen} forecasts, all of them fit the schema");
    Ok(())
}

/// A forecast, as far as this consumer looks into it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forecast {
    id: String,
    symbol: String,
    horizon: String,
    issued_at: String,
    target_at: String,
    #[serde(rename = "last_price")]
    _last_price: f64,
    naive_price: f64,
    price: f64,
    interval: Interval,
    quantiles: BTreeMap<String, f64>,
    probability_up: f64,
    status: Status,
    #[serde(rename = "reasons")]
    _reasons: Vec<Reason>,
    skill: Skill,
    #[serde(rename = "drift")]
    _drift: serde_json::Value,
    #[serde(rename = "model")]
    _model: Model,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Interval {
    coverage: f64,
    lower: f64,
    upper: f64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Warming,
    Abstain,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reason {
    Quiet,
    Gap,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skill {
    count: u64,
    #[serde(rename = "mae_ratio")]
    _mae_ratio: Option<f64>,
    #[serde(rename = "coverage")]
    _coverage: Option<f64>,
    #[serde(rename = "e_value")]
    _e_value: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    #[serde(rename = "version")]
    _version: u64,
    #[serde(rename = "trained_through")]
    _trained_through: Option<String>,
    #[serde(rename = "loss")]
    _loss: Option<f64>,
}

/// One line about a forecast that is as promised.
fn check(record: &BorrowedMessage<'_>) -> Result<String> {
    let forecast: Forecast = serde_json::from_slice(record.payload().context("no value")?)
        .map_err(|error| anyhow::anyhow!("does not fit the schema: {error}"))?;
    let Forecast { id, symbol, horizon, issued_at, target_at, naive_price, price, interval, status, .. } = &forecast;
    ensure!(record.key() == Some(symbol.as_bytes()), "the key is not the symbol");
    let Interval { coverage, lower, upper } = interval;
    ensure!(0.0 < *coverage && *coverage < 1.0 && lower <= upper, "an interval [{lower}, {upper}] of {coverage}");
    ensure!(forecast.quantiles.len() == 5 && (0.0..=1.0).contains(&forecast.probability_up), "not a distribution");
    ensure!(forecast.skill.count <= 1440, "skill of {} scores", forecast.skill.count);

    let header = |name: &str| {
        let found = record.headers()?.iter().find(|header| header.key == name)?;
        std::str::from_utf8(found.value?).ok()
    };
    ensure!(header("content-type") == Some("application/json"), "header content-type: {:?}", header("content-type"));
    ensure!(header("ce_specversion") == Some("1.0"), "header ce_specversion: {:?}", header("ce_specversion"));
    ensure!(header("ce_id") == Some(id), "header ce_id: {:?}", header("ce_id"));
    ensure!(header("ce_subject") == Some(symbol), "header ce_subject: {:?}", header("ce_subject"));
    for name in ["ce_type", "ce_source", "ce_time"] {
        ensure!(header(name).is_some_and(|value| !value.is_empty()), "no header {name}");
    }
    let status = format!("{status:?}").to_lowercase();
    Ok(format!(
        "{symbol} {horizon} {issued_at} -> {target_at}: {price} [{lower}, {upper}] naive {naive_price} {status}"
    ))
}
