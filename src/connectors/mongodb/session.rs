//! The asynchronous driver behind a blocking call: its own runtime, limits in time, and the wish to stop.

use crate::delivery::Stop;
use mongodb::error::{Error, ErrorKind};
use mongodb::{Client, Database};
use std::future::Future;
use std::ops::Deref;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How often a call looks whether the job was asked to stop.
const STOP_TICK: Duration = Duration::from_millis(50);
/// How long the driver may take to say good-bye.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);
/// Codes of a server that will be well again: not primary, stepping down, shutting down, time-outs, no space, conflicts.
const TRANSIENT_CODES: [i32; 22] =
    [6, 7, 24, 46, 50, 64, 89, 91, 112, 134, 189, 262, 317, 358, 9001, 10107, 11600, 11602, 13388, 13435, 13436, 14031];
/// Labels under which server and driver say the same.
const TRANSIENT_LABELS: [&str; 4] =
    ["RetryableWriteError", "TransientTransactionError", "SystemOverloadedError", "RetryableError"];

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    Stopped,
    /// No answer within this time.
    TimedOut(Duration),
    Driver(Box<Error>),
}

impl Trouble {
    /// Whether trying again later may help.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Stopped => false,
            Self::TimedOut(_) => true,
            Self::Driver(error) => {
                let kind = match &*error.kind {
                    ErrorKind::Io(_)
                    | ErrorKind::ServerSelection { .. }
                    | ErrorKind::ConnectionPoolCleared { .. }
                    | ErrorKind::DnsResolve { .. } => true,
                    ErrorKind::Command(command) => is_transient_code(command.code),
                    _ => false,
                };
                kind || TRANSIENT_LABELS.iter().any(|label| error.contains_label(label))
            }
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::TimedOut(limit) => write!(f, "no answer within {} s", limit.as_secs()),
            Self::Driver(error) => f.write_str(&cause(&error.kind.to_string())),
        }
    }
}

/// Whether a server that answers with this code may be well again later.
pub(super) fn is_transient_code(code: i32) -> bool {
    TRANSIENT_CODES.contains(&code)
}

/// The reason in the driver's picture of all servers, where there is one: `… Error: Kind: I/O error: REASON, labels: …`.
fn cause(text: &str) -> String {
    let reason = text.split_once("Error: Kind: ").map_or(text, |(_, rest)| rest);
    reason.split(", labels: ").next().unwrap_or(reason).to_owned()
}

/// A runtime that ends without waiting, so that it may be let go of anywhere, on another runtime too.
pub(super) struct Background(Option<Runtime>);

impl Background {
    pub(super) const fn new(runtime: Runtime) -> Self {
        Self(Some(runtime))
    }
}

impl Deref for Background {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        // It is taken when this is dropped, and not before.
        self.0.as_ref().unwrap_or_else(|| unreachable!())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A connected database, and the runtime that its driver lives on.
pub(super) struct Session {
    pub(super) runtime: Background,
    pub(super) client: Client,
    pub(super) database: Database,
    /// For messages: host and port, several with commas.
    pub(super) host: String,
}

impl Session {
    /// Waits for `call`, at most for `limit`.
    pub(super) fn run<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
        limit: Duration,
        stop: &Stop,
    ) -> Result<T, Trouble> {
        run(&self.runtime, call, limit, stop)
    }

    /// Lets `pause` pass (the driver looks for its servers meanwhile), or less when somebody asks to stop. True when
    /// nobody did.
    pub(super) fn pause(&self, pause: Duration, stop: &Stop) -> bool {
        let end = Instant::now() + pause;
        self.runtime.block_on(async {
            while !stop.requested() {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return true;
                }
                tokio::time::sleep(left.min(STOP_TICK)).await;
            }
            false
        })
    }

    /// Ends the connections.
    pub(super) fn close(&self) {
        let bye = async {
            self.client.clone().shutdown().immediate(true).await;
            Ok(())
        };
        // A server that does not answer any more is left without a good-bye.
        let _ = run(&self.runtime, bye, CLOSE_TIME_MAX, &Stop::default());
    }
}

/// As [`Session::run`], before there is one.
pub(super) fn run<T>(
    runtime: &Runtime,
    call: impl Future<Output = Result<T, Error>>,
    limit: Duration,
    stop: &Stop,
) -> Result<T, Trouble> {
    runtime.block_on(async {
        let mut call = pin!(call);
        let start = Instant::now();
        loop {
            if let Ok(outcome) = tokio::time::timeout(STOP_TICK, call.as_mut()).await {
                return outcome.map_err(|error| Trouble::Driver(Box::new(error)));
            }
            if start.elapsed() >= limit {
                return Err(Trouble::TimedOut(limit));
            }
            if stop.is_over() {
                return Err(Trouble::Stopped);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_the_drivers_picture() {
        let text = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ { Address: \
                    127.0.0.1:1, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {} } ] }";
        assert_eq!(cause(text), "I/O error: Connection refused (os error 111)");
        assert_eq!(cause("something else"), "something else");
    }

    #[test]
    fn a_call_ends_in_time() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let never = || std::future::pending::<Result<(), Error>>();
        let stop = Stop::default();
        let late = run(&runtime, never(), Duration::from_millis(60), &stop).unwrap_err();
        assert!(matches!(late, Trouble::TimedOut(_)) && late.is_transient());
        stop.request();
        let stopped = run(&runtime, never(), Duration::from_secs(60), &stop).unwrap_err();
        assert!(matches!(stopped, Trouble::Stopped) && !stopped.is_transient());
        // What has its answer is not thrown away.
        assert!(run(&runtime, async { Ok(()) }, Duration::from_secs(60), &stop).is_ok());
    }
}
