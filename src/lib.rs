//! tickcast forecasts the Bitcoin price (and any other symbol's) in real time.
//!
//! Market ticks come from Kafka (or files), a Timely dataflow keeps sliding-window OHLCV features, an LSTM per symbol
//! is trained once per epoch of event time, and forecasts go to Kafka, MongoDB and files. `ARCHITECTURE.md` is the map;
//! [`dataflows`] is where to start reading.

pub mod cli;
pub mod cluster;
pub mod config;
pub mod connectors;
#[path = "../dataflows/mod.rs"]
pub mod dataflows;
pub mod delivery;
pub mod evaluation;
pub mod features;
pub mod feeds;
pub mod formats;
pub mod history;
pub mod market;
pub mod model;
pub mod operators;
pub mod recovery;
pub mod replay;
pub mod report;
pub mod serving;
pub mod simulation;
