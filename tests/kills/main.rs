//! What a job that is killed, hung or cut off leaves behind: real services, real processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod clusters;
mod exactly_once;
mod history;
#[path = "../support/live.rs"]
mod live;
#[path = "../support/simulated.rs"]
mod simulated;
mod store;
#[path = "../support/mod.rs"]
mod support;
