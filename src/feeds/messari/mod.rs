//! Messari's market-data API as a source of ticks: asked again and again, its answers published as they are.
//!
//! ```text
//!            (asset)                 (answer)
//!   pace ─────────────> asker ─────────────────> collector ──(new ones)──> publisher ──> topic
//!    ^                (a thread)                     │  ^
//!    └──────────────(what came of it)────────────────┘  └─ seen <── the topic's end, at the start
//! ```
//!
//! [`pace`] (when to ask whom) and [`seen`] (what is new) are pure: no clock, no I/O. [`client`] makes one call,
//! [`collector`] puts them together. One call at a time: a server in trouble never meets more than one of ours.

pub mod asker;
pub mod client;
pub mod collector;
pub mod counters;
mod history;
pub mod market_data;
pub mod pace;
pub mod seen;

pub use client::{Client, ClientError};
pub use collector::{CollectError, Collector};
pub use counters::{Counters, Tally};
