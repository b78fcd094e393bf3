//! Processes that run one job together: who they are, how they meet, and what connects them.
//!
//! ```text
//!   process 1 ──control──> process 0 <──control── process 2      plan, stop, failures, checkpoints' parts, heartbeats
//!       └───────────────────data────────────────────┘            what workers exchange: a socket for each pair
//! ```
//!
//! Membership is fixed, and fate is shared: where one process is lost, all end, and are started again together. So there is no
//! election and no handover. Process 0 knows everybody; the others know it, and each other's sockets.
//!
//! Sockets are our own, handed to timely when everybody is there: a stranger on the port is turned away, whoever is missing is
//! named, and a process of another version or configuration is told so.

mod hello;
mod hosts;
mod link;
mod lost;
mod meeting;
pub mod supervisor;
mod wire;

pub use hello::{Identity, PROTOCOL};
pub use hosts::{Hosts, HostsError, PROCESSES_MAX};
pub use link::{Event, Link};
pub use lost::{Leaving, is_of_data_socket};
pub use meeting::{Meeting, Member};
