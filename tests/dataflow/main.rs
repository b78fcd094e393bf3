//! Guarantees of the job in this process, of the command line, and of what speaks to the embedded broker. No service is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod accounting;
#[path = "../support/api.rs"]
mod api;
#[path = "../support/archive/mod.rs"]
mod archive;
mod archives;
mod careful_start;
mod cases;
mod cases_records;
mod checkpoints;
mod cli;
mod clusters;
mod collect;
mod deploying;
mod determinism;
mod downloads;
#[path = "../support/exchange/mod.rs"]
mod exchange;
mod explain;
mod face;
mod file_sources;
#[path = "../support/harness.rs"]
mod harness;
mod history;
mod idle;
#[path = "../support/kafka_batches.rs"]
mod kafka_batches;
mod kafka_sink;
mod kafka_source;
mod live;
mod market;
#[path = "../support/markets.rs"]
mod markets;
mod memory;
mod once;
mod pooled;
#[path = "../support/proxy.rs"]
mod proxy;
mod report;
mod seed;
#[path = "../support/series.rs"]
mod series;
#[path = "../support/simulated.rs"]
mod simulated;
mod sources;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod symbols;
mod verify;
mod weights;
mod windows_oracle;
