//! What a start finds, and what it does about it: decided by a pure function over the job's own record and what the broker says
//! of the topic, before anything is fenced or written.

pub mod cause;
pub mod compare;
pub mod computation;
pub mod cuts;
pub mod kept;
pub mod manifest;
mod packed;
pub mod plan;
pub mod point;
pub mod progress;
pub mod refusal;
pub mod restored;
pub mod saver;
pub mod store;
pub mod topic;

pub use cause::{Cause, Fault};
pub use computation::Computation;
pub use plan::{RunPlan, decide};
pub use progress::{Offsets, Progress, Within};
pub use refusal::Refusal;
pub use topic::TopicState;
