//! Guarantees of what is pure: formats, settings, learning, weights, state. No dataflow, no process, no service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../support/allocations.rs"]
mod allocations;
mod bombs;
mod envelopes;
mod figures;
mod first_day;
mod formats;
mod formats_archive;
mod formats_candle;
mod formats_ids;
mod formats_recorded;
mod formats_trade;
#[path = "../support/fuzz.rs"]
mod fuzz;
mod fuzz_config;
mod fuzz_formats;
mod fuzz_recovery;
mod fuzz_weights;
mod gaps;
mod learning;
mod lstm_learning;
mod lstm_pytorch;
mod nothing_to_know;
mod order_flow;
mod prototype;
mod prototype_parity;
mod seed_pytorch;
#[path = "../support/series.rs"]
mod series;
#[path = "../support/shown.rs"]
mod shown;
mod state;
