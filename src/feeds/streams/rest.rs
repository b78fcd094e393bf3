//! One call of a venue's HTTP API.

use super::fault::Fault;
use crate::feeds::outbound::{Outbound, is_refused};
use crate::feeds::retry_after::retry_after;
use std::time::Duration;
use ureq::Agent;
use ureq::http::{Uri, header};

/// The longest answer: a thousand trades have 200 kB, a busy day of Bitstamp's 15 MB.
const BYTES_MAX: u64 = 32 << 20;
/// How long one may take.
const WITHIN: Duration = Duration::from_secs(10);

/// A proxy that refuses is left alone for so long: names and passwords that are wrong too often lock people out.
const PROXY_REFUSED_WAIT: Duration = Duration::from_secs(60);

/// An answer that is no use, and whether there may be one later.
pub struct Refusal {
    /// Why, and how long to wait.
    pub fault: Fault,
    /// The venue will say the same again.
    pub is_final: bool,
}

/// A client.
pub fn agent(outbound: &Outbound) -> Agent {
    let builder = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(3)
        .timeout_global(Some(WITHIN))
        .user_agent(concat!("tickcast/", env!("CARGO_PKG_VERSION")))
        .accept("application/json");
    outbound.apply(builder).build().new_agent()
}

/// By which proxy an address is asked, for people.
fn way(agent: &Agent, url: &str) -> String {
    let proxy = agent.config().proxy().zip(url.parse::<Uri>().ok()).filter(|(proxy, uri)| !proxy.is_no_proxy(uri));
    proxy.map_or_else(String::new, |(proxy, _)| format!(" (by the proxy {}:{})", proxy.host(), proxy.port()))
}

/// The body at an address.
pub fn get(agent: &Agent, url: &str) -> Result<String, Refusal> {
    let passing = |fault: Fault| Refusal { fault, is_final: false };
    let mut response = agent.get(url).call().map_err(|error| {
        let way = way(agent, url);
        let wait = if is_refused(&error) { PROXY_REFUSED_WAIT } else { Duration::ZERO };
        let fault = match error {
            ureq::Error::ConnectProxyFailed(what) => Fault::new("proxy", format!("{what}{way}")),
            ureq::Error::Timeout(_) => Fault::new("silent", format!("{error}{way}")),
            error => Fault::new("no_connection", format!("{error}{way}")),
        };
        passing(Fault { wait, ..fault })
    })?;
    let status = response.status().as_u16();
    if status != 200 {
        let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let wait = text(header::RETRY_AFTER).and_then(|value| retry_after(value, text(header::DATE)));
        let is_final = matches!(status, 300..=499) && !matches!(status, 408 | 418 | 425 | 429);
        return Err(Refusal { fault: Fault::of_status(status, wait), is_final });
    }
    let body = response.body_mut().with_config().limit(BYTES_MAX).lossy_utf8(false).read_to_string();
    body.map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(most) => {
            passing(Fault::new("too_large", format!("an answer of more than {most} bytes")))
        }
        error => passing(Fault::new("cut", error.to_string())),
    })
}
