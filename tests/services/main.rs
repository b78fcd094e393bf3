//! Guarantees against a real Apache Kafka and a MongoDB-protocol server: ignored unless `deploy/test` brings them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../support/api.rs"]
mod api;
mod asyncapi;
mod bad_input;
mod careful_start;
mod checkpoints;
mod collect_to_database;
mod consumers;
mod decisions;
mod doctor;
#[path = "../support/exchange/mod.rs"]
mod exchange;
mod explain;
mod face;
#[path = "../support/kafka_batches.rs"]
mod kafka_batches;
mod kafka_sink_real;
mod kubernetes;
#[path = "../support/live.rs"]
mod live;
mod live_is_backfill;
#[path = "../support/markets.rs"]
mod markets;
mod mongodb_sink;
mod object_store;
#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/proxy.rs"]
mod proxy;
mod quiet_partitions;
mod repeats_and_wrappings;
mod report_sources;
mod secrets;
#[path = "../support/simulated.rs"]
mod simulated;
mod slow_broker;
mod sources_services;
mod start_errors;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod support_itself;
mod weights_python;
