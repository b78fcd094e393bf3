//! Why collecting from streams ends early.

use crate::connectors::kafka::PublishError;

/// Why collecting ended early.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The topic cannot be written.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The configuration names what there is not.
    #[error("{0}")]
    Config(String),
    /// Where to go on cannot be read.
    #[error("topic {topic} cannot be read, so it is not known which trades it has: {why}")]
    Known {
        /// Its name.
        topic: String,
        /// Why.
        why: String,
    },
    /// The system refuses a thread.
    #[error("a thread: {0}")]
    Thread(#[from] std::io::Error),
}
