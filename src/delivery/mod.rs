//! From the dataflow to the sinks: batches, the thread that commits them, what a sink has to be, and the wish to stop.
//!
//! Which sinks there are is unknown here: they are doors to the outside, in `connectors`.

pub mod acknowledged;
pub mod batch;
pub mod committer;
pub mod reader;
pub mod resumed;
pub mod retries;
pub mod sink;
pub mod stop;

pub use batch::Batch;
pub use reader::Reader;
pub use resumed::Resumed;
pub use retries::Retrying;
pub use sink::{Ending, Sink, SinkError, Wants};
pub use stop::Stop;

#[cfg(test)]
pub(crate) mod test_records;
