//! One call of the API: a body, or why there is none.

use super::pace::Verdict;
use crate::config::CollectConfig;
use crate::feeds::outbound::Outbound;
use crate::feeds::retry_after::retry_after;
use std::time::Duration;
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Agent, Body};

/// The longest body. A payload has some thousand bytes; a Kafka record of our producer at most 1,000,000, all included.
pub const BODY_BYTES_MAX: u64 = 900_000;
/// How long a connection may take, where a whole call may take longer.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// The largest file that holds a key.
const KEY_BYTES_MAX: usize = 4096;

/// Why no call can be made: a mistake in the configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(String);

/// The kinds of calls that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// 429.
    RateLimited,
    /// 5xx.
    ServerError,
    /// Any other status: a wrong key, an unknown asset, an address that has moved.
    Refused,
    /// No whole answer in time.
    TimedOut,
    /// No connection, or one that was cut.
    Connection,
    /// An answer that the job could not use.
    Unusable,
}

/// All of them, in the order of the summary.
pub const FAILURE_KINDS: [FailureKind; 6] = [
    FailureKind::RateLimited,
    FailureKind::ServerError,
    FailureKind::Refused,
    FailureKind::TimedOut,
    FailureKind::Connection,
    FailureKind::Unusable,
];

impl FailureKind {
    /// As in the summary: `rate_limited`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Refused => "refused",
            Self::TimedOut => "timed_out",
            Self::Connection => "connection",
            Self::Unusable => "unusable",
        }
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
    /// For people: what is wrong, and what to do. Holds no key.
    pub message: String,
}

impl Failure {
    /// A failure without a wish of the server's.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, retry_after: None, message: message.into() }
    }

    /// What it means for the pace.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.kind {
            FailureKind::RateLimited => Verdict::Limited(self.retry_after),
            FailureKind::Refused => Verdict::Refused,
            FailureKind::ServerError | FailureKind::TimedOut | FailureKind::Connection | FailureKind::Unusable => {
                Verdict::Failed(self.retry_after)
            }
        }
    }
}

/// Calls the API.
pub struct Client {
    agent: Agent,
    url: String,
    key: Option<String>,
}

impl Client {
    /// A client of the API at `config.url`. Reads the key's file.
    ///
    /// # Errors
    /// When that file cannot be read, or holds no key, or the roots or the proxy are none.
    pub fn new(config: &CollectConfig) -> Result<Self, ClientError> {
        let key = match &config.key_file {
            Some(path) => Some(read_key(path)?),
            None => config.key.clone(),
        };
        if key.is_some() && config.url.starts_with("http://") {
            tracing::warn!("collect.url is not https: the key is sent for all to read");
        }
        let timeout = Duration::from_millis(u64::try_from(config.timeout.millis()).unwrap_or(1));
        let outbound = Outbound::new("collect.ca_file", config.ca_file.as_deref())
            .map_err(|error| ClientError(error.to_string()))?;
        let builder = Agent::config_builder()
            .http_status_as_error(false)
            // The key would go wherever a redirect leads.
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(timeout.min(CONNECT_WAIT)))
            .user_agent(concat!("tickcast/", env!("CARGO_PKG_VERSION")))
            .accept("application/json");
        let agent = outbound.apply(builder).build().new_agent();
        Ok(Self { agent, url: config.url.trim_end_matches('/').to_owned(), key })
    }

    /// Asks for an asset's market data. Returns within the configured time.
    ///
    /// # Errors
    /// When there is no whole answer with status 200.
    pub fn market_data(&self, asset: &str) -> Result<Vec<u8>, Failure> {
        let mut request = self.agent.get(format!("{}/api/v1/assets/{asset}/metrics/market-data", self.url));
        if let Some(key) = &self.key {
            request = request.header("x-messari-api-key", key);
        }
        let mut response = request.call().map_err(|error| failed(&error))?;
        if response.status() != StatusCode::OK {
            return Err(refused(&response, asset));
        }
        response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec().map_err(|error| failed(&error))
    }
}

fn read_key(path: &std::path::Path) -> Result<String, ClientError> {
    let told = |what: String| ClientError(format!("collect.key_file = {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| told(format!("cannot be read: {error}")))?;
    let key = text.trim();
    if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|b| b.is_ascii_graphic()) {
        let what = format!("holds no key: write 1 to {KEY_BYTES_MAX} printable ASCII characters without spaces");
        return Err(told(what));
    }
    Ok(key.to_owned())
}

/// What an error of the HTTP client means.
fn failed(error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::Timeout(what) => Failure::new(FailureKind::TimedOut, format!("no answer in time ({what})")),
        ureq::Error::BodyExceedsLimit(most) => {
            Failure::new(FailureKind::Unusable, format!("an answer of more than {most} bytes"))
        }
        error => Failure::new(FailureKind::Connection, format!("no answer: {error}")),
    }
}

/// What a status other than 200 means.
fn refused(response: &Response<Body>, asset: &str) -> Failure {
    let status = response.status();
    let (kind, advice) = match status.as_u16() {
        429 => (FailureKind::RateLimited, "too many requests: make collect.every longer, or get a key".to_owned()),
        500.. => (FailureKind::ServerError, "the API is in trouble".to_owned()),
        401 => {
            (FailureKind::Refused, "the API wants a valid key: give TICKCAST_COLLECT__KEY or collect.key_file".into())
        }
        403 => (FailureKind::Refused, "the key does not allow it: get one that does".to_owned()),
        404 => (FailureKind::Refused, format!("there is no asset `{asset}`: look at collect.assets and collect.url")),
        300..=399 => (FailureKind::Refused, format!("the API has moved{}: change collect.url", moved_to(response))),
        _ => (FailureKind::Refused, "the API refuses: look at collect.url and collect.assets".to_owned()),
    };
    let waits = matches!(kind, FailureKind::RateLimited | FailureKind::ServerError);
    let retry_after = text(response.headers(), header::RETRY_AFTER)
        .filter(|_| waits)
        .and_then(|value| retry_after(value, text(response.headers(), header::DATE)));
    Failure { kind, retry_after, message: format!("HTTP {}: {advice}", status.as_u16()) }
}

fn moved_to(response: &Response<Body>) -> String {
    // Debug, so that nothing in it can break a line of the log.
    text(response.headers(), header::LOCATION).map_or_else(String::new, |place| format!(" to {place:?}"))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
