//! Why a process ends before its work is done, as those tell it apart who start it again.

use super::refusal::Refusal;
use serde::{Deserialize, Serialize};

/// Why a process ends before its work is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A check or the job failed; the message says what to mend.
    #[default]
    Failed,
    /// Another instance of the job has taken over.
    Fenced,
    /// Nothing is wrong with the job, but it has to be started again: its topic has more partitions than before.
    StartAgain,
    /// Another process of its cluster is lost, or hangs: all have to be started again.
    PeerLost,
    /// The state, the topic or its offsets do not allow to go on: a person has to decide.
    NeedsDecision,
}

impl Cause {
    /// The process's exit code, for supervisors.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Fenced => 3,
            Self::StartAgain | Self::PeerLost => 4,
            Self::NeedsDecision => 5,
        }
    }
}

/// Why something cannot go on: for people, and for supervisors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{text}")]
pub struct Fault {
    /// For supervisors.
    pub cause: Cause,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Fault {
    /// A failure of the job itself.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { cause: Cause::Failed, text: text.into() }
    }

    /// Another process is lost.
    pub fn peer_lost(text: impl Into<String>) -> Self {
        Self { cause: Cause::PeerLost, text: text.into() }
    }

    /// Another instance has taken over.
    pub fn fenced(text: impl Into<String>) -> Self {
        Self { cause: Cause::Fenced, text: text.into() }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self { cause: refusal.cause(), text: refusal.to_string() }
    }
}
