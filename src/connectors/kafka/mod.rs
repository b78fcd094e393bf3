//! Kafka: where ticks come from and where forecasts go.
//!
//! [`source`] reads with explicit assignment, one consumer per worker; [`offsets`] resolves `start` once, before the
//! workers begin. [`sink`] is one transactional producer per job: each transaction carries results *and* the
//! [`Progress`](crate::recovery::Progress) record, so that what is published and what is known to be published cannot differ. Whatever goes wrong
//! with a transaction mends the same way: a new producer, `init_transactions` (which aborts what was open and fences
//! zombies), read the progress, then send the batch again or skip it. [`embedded`] is a broker in this process.

mod budget;
mod channel;
mod connect;
mod context;
pub mod dead_letters;
mod describe;
pub mod embedded;
pub mod examine;
pub mod offsets;
pub mod options;
pub(in crate::connectors) mod outputs;
mod patience;
pub mod positions;
mod progress;
pub mod published;
pub mod publisher;
mod reach;
mod records;
pub mod sink;
pub mod source;
mod topics;
mod watch;
mod work;

pub use dead_letters::DeadLetterSink;
pub use embedded::{EmbeddedBroker, EmbeddedError};
pub use offsets::{Offsets, end_offsets, is_compacted, resolve_start, topic_bounds, topic_state};
pub use options::{OptionError, check_sink, check_source};
pub use positions::Positions;
pub use publisher::{PublishError, Publisher};
pub use sink::{Begin, KafkaSink};
pub use source::{KafkaInput, Reading};
