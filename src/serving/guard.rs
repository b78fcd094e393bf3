//! Which requests are answered at all, and what every answer carries.

use super::problem::Problem;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use std::net::{IpAddr, SocketAddr};

/// The longest path and query.
pub const URI_BYTES_MAX: usize = 4096;

/// Only what this server gave may run on its page: no code within it, nothing from elsewhere.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                              connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Names under which this server may be asked for.
#[derive(Clone, Debug)]
pub struct Hosts {
    names: Vec<String>,
    /// Whether others than this machine are meant to ask.
    is_open: bool,
}

impl Hosts {
    /// A server that listens there, and has these names besides.
    #[must_use]
    pub fn new(listen: SocketAddr, names: &[String]) -> Self {
        Self {
            names: names.iter().map(|name| name.to_ascii_lowercase()).collect(),
            is_open: !listen.ip().is_loopback(),
        }
    }

    /// Whether a `Host` header names this server. A page of somebody else's, whose name was made to point here, does not: it
    /// could read what a browser on this machine may.
    #[must_use]
    pub fn contains(&self, host: &str) -> bool {
        let name = host_name(host).to_ascii_lowercase();
        if let Ok(ip) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return self.is_open || ip.is_loopback();
        }
        name == "localhost" || self.names.contains(&name)
    }
}

/// The name in a `Host` header, without its port.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// Whether a request is answered.
///
/// # Errors
/// Why it is not.
pub fn check<B>(request: &Request<B>, hosts: &Hosts) -> Result<(), Problem> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let detail = "nothing can be changed here: GET and HEAD only".to_owned();
        return Err(Problem { status: StatusCode::METHOD_NOT_ALLOWED, detail });
    }
    if request.uri().path().len() + request.uri().query().unwrap_or_default().len() > URI_BYTES_MAX {
        let detail = format!("the address is longer than {URI_BYTES_MAX} bytes");
        return Err(Problem { status: StatusCode::URI_TOO_LONG, detail });
    }
    let has_body = request.headers().get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || request.headers().contains_key(header::TRANSFER_ENCODING);
    if has_body {
        let detail = "a request has no body here".to_owned();
        return Err(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, detail });
    }
    let mut names = request.headers().get_all(header::HOST).iter();
    let host = names.next().and_then(|host| host.to_str().ok()).filter(|_| names.next().is_none());
    match host {
        Some(host) if hosts.contains(host) => Ok(()),
        Some(host) => Err(Problem {
            status: StatusCode::MISDIRECTED_REQUEST,
            detail: format!("{:?} is no name of this server: add it to http.hosts", host_name(host)),
        }),
        None => Err(Problem::bad_request("a request names its host once")),
    }
}

/// What every answer carries.
pub fn mark(headers: &mut HeaderMap) {
    let mut put = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    put(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::REFERRER_POLICY, "no-referrer");
    put(header::CACHE_CONTROL, "no-cache");
    put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_names_count() {
        let of = |listen: &str, names: &[&str]| {
            Hosts::new(listen.parse().unwrap(), &names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        let closed = of("127.0.0.1:8080", &["Box.local"]);
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "127.0.0.1", "box.local:1"] {
            assert!(closed.contains(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8080", "10.0.0.1", "localhost.evil.example", "", ":8080", "[::2]:80"]
        {
            assert!(!closed.contains(host), "{host}");
        }
        let open = of("0.0.0.0:8080", &[]);
        assert!(open.contains("10.0.0.1:8080") && open.contains("localhost") && !open.contains("evil.example"));
    }

    #[test]
    fn what_would_change_something_is_refused() {
        let hosts = Hosts::new("127.0.0.1:1".parse().unwrap(), &[]);
        let ask = |method: &str, uri: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri(uri);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            check(&request.body(()).unwrap(), &hosts).map_err(|problem| problem.status.as_u16())
        };
        let host = ("host", "localhost");
        assert_eq!(ask("GET", "/", &[host]), Ok(()));
        assert_eq!(ask("HEAD", "/x?y", &[host, ("content-length", "0")]), Ok(()));
        assert_eq!(ask("POST", "/", &[host]), Err(405));
        assert_eq!(ask("GET", "/", &[host, ("content-length", "1")]), Err(413));
        assert_eq!(ask("GET", "/", &[]), Err(400));
        assert_eq!(ask("GET", "/", &[host, host]), Err(400));
        assert_eq!(ask("GET", "/", &[("host", "evil.example")]), Err(421));
        assert_eq!(ask("GET", &format!("/{}", "a".repeat(5000)), &[host]), Err(414));
    }
}
