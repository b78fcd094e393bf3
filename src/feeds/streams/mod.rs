//! The exchanges' public trades, from their streams into the source's topic: each trade once, in the order of its ids.
//!
//! ```text
//! socket ──> link ──┐ (trades as they came)
//! socket ──> link ──┼──> hub: a sequence per market ──> topic
//! HTTP <──> repair ─┘ (what is missing between ids)  └──> topic.gaps
//! ```
//!
//! A [`venues::Venue`] knows what is the venue's own: addresses, subscription, acknowledgement, heartbeat, ids, and how what was
//! missed is asked for. All else is the same for each: a `link` opens, subscribes, watches and opens again; a
//! [`Sequence`] says what comes next of a market, what is a repeat and what is missing; `repair` asks for that; the
//! `hub` publishes. Sequences, waits and watches are pure: the time is what they are told.

mod backoff;
mod book;
mod candle;
mod check;
mod clock;
mod counters;
mod error;
mod fault;
mod hub;
mod join;
mod known;
mod link;
mod plan;
mod record;
mod repair;
mod rest;
mod sequence;
mod socket;
mod trade;
mod transport;
pub mod venues;
mod warm;
mod watch;

pub use backoff::Backoff;
pub use candle::Candle;
pub use check::{Check, Checked, check};
pub use clock::apart;
pub use counters::{Counters, Tally};
pub use error::HubError;
pub use fault::Fault;
pub use hub::Hub;
pub use join::Join;
pub use plan::Plan;
pub use record::{Ids, Names, write_told};
pub use sequence::{Hole, Numbering, Sequence, Verdict};
pub use trade::Trade;
pub use warm::{Warm, Warmth};
