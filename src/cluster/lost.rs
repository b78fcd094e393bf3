//! What becomes of a process that lost another: it cannot go on, and says why once.

use crate::recovery::Fault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a process is left: told why, it does not return.
#[derive(Clone)]
pub struct Leaving {
    begun: Arc<AtomicBool>,
    leave: Arc<dyn Fn(&Fault) + Send + Sync>,
}

impl Leaving {
    /// `leave` says why and ends the process.
    #[must_use]
    pub fn new(leave: Arc<dyn Fn(&Fault) + Send + Sync>) -> Self {
        Self { begun: Arc::default(), leave }
    }

    /// Leaves, unless somebody does so already.
    pub fn leave(&self, why: &Fault) {
        if !self.begun.swap(true, Ordering::SeqCst) {
            (self.leave)(why);
        }
    }
}

impl std::fmt::Debug for Leaving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaving").field("begun", &self.begun).finish_non_exhaustive()
    }
}

/// Of a thread that serves a socket of timely's, which panics where the other end is gone: the index of that process.
#[must_use]
pub fn is_of_data_socket(thread: Option<&str>) -> Option<usize> {
    let name = thread?;
    let index = name.strip_prefix("timely:send-").or_else(|| name.strip_prefix("timely:recv-"))?;
    index.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_data_sockets_are_known_by_their_names() {
        assert_eq!(is_of_data_socket(Some("timely:recv-2")), Some(2));
        assert_eq!(is_of_data_socket(Some("timely:send-0")), Some(0));
        assert_eq!(is_of_data_socket(Some("timely:work-0")), None);
        assert_eq!(is_of_data_socket(None), None);
    }
}
