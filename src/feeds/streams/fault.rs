//! Why a connection ended, or was not made: each with its name and how long to leave the venue alone.

use std::fmt;
use std::time::Duration;

/// The kinds, as metrics and summaries name them.
pub const KINDS: [&str; 17] = [
    "no_connection",
    "proxy",
    "tls",
    "rate_limited",
    "banned",
    "blocked",
    "refused",
    "server_error",
    "not_acknowledged",
    "silent",
    "closed",
    "cut",
    "lost",
    "too_large",
    "not_utf8",
    "protocol",
    "renewed",
];

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One word, as metrics and summaries name it.
    pub kind: &'static str,
    /// For people.
    pub what: String,
    /// What the venue asks for, or what is decent.
    pub wait: Duration,
}

impl Fault {
    /// A fault after which only the usual wait is needed.
    pub fn new(kind: &'static str, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), wait: Duration::ZERO }
    }

    /// An answer to the handshake that is none of a WebSocket.
    pub fn of_status(status: u16, retry_after: Option<Duration>) -> Self {
        let (kind, advice, least) = match status {
            429 => ("rate_limited", "too many connections from this address", 10),
            418 => ("banned", "this address is banned for a while: too many requests were made before", 120),
            403 => ("blocked", "this address is refused: the venue does not serve it", 300),
            451 => ("blocked", "the venue does not serve this country: choose another one, or another address", 300),
            404 => ("refused", "there is nothing at this address: look at stream_url", 60),
            300..=399 => ("refused", "the address has moved: look at stream_url", 60),
            500.. => ("server_error", "the venue is in trouble", 1),
            _ => ("refused", "the venue refuses: look at stream_url and symbols", 60),
        };
        let wait = retry_after.unwrap_or_default().max(Duration::from_secs(least));
        Self { kind, what: format!("HTTP {status}: {advice}"), wait }
    }

    /// A connection that the venue has closed with a word.
    pub fn of_close(code: u16, reason: &str) -> Self {
        // 1008: a policy was broken, mostly too many messages: nothing that haste would mend.
        let wait = Duration::from_secs(if code == 1008 { 10 } else { 0 });
        let reason = if reason.is_empty() { String::new() } else { format!(" ({reason:?})") };
        Self { kind: "closed", what: format!("the venue closed with {code}{reason}"), wait }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}
