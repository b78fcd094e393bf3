//! The bytes below a WebSocket: a connection, by a proxy where there is one, in TLS where the address says so.

use super::fault::Fault;
use crate::feeds::outbound::Outbound;
use crate::feeds::retry_after::retry_after;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};
use tungstenite::http::Uri;
use ureq::{Proxy, ProxyProtocol};

/// So long each step on the way may take: a connection, an answer of the proxy, TLS.
pub const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// The longest wait for a frame: then it is looked at what else there is to do.
const READ_WAIT: Duration = Duration::from_millis(100);
/// A venue that takes nothing for so long is gone.
const WRITE_WAIT: Duration = Duration::from_secs(5);
/// The longest head of a proxy's answer.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// An open one.
pub enum Stream {
    Plain(TcpStream),
    /// TLS, which may go over a proxy that is itself spoken to in TLS.
    Tls(Box<StreamOwned<ClientConnection, Stream>>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Opens what lies below an address; `cancelled` is asked meanwhile.
///
/// # Errors
/// By name: no connection, the proxy, TLS.
pub fn open(uri: &Uri, outbound: &Outbound, cancelled: &dyn Fn() -> bool) -> Result<Stream, Fault> {
    let host = uri.host().unwrap_or_default();
    let is_tls = uri.scheme_str() == Some("wss");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = match outbound.proxy_to(uri) {
        Some(proxy) => through(proxy, outbound, &format!("{host}:{port}"), cancelled)?,
        None => connect(host, port).map_err(|error| Fault::new("no_connection", format!("{host}:{port}: {error}")))?,
    };
    if !is_tls {
        return Ok(stream);
    }
    encrypt(host, stream, outbound, cancelled).map_err(|what| Fault::new("tls", format!("{host}: {what}")))
}

fn bare(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

fn connect(host: &str, port: u16) -> io::Result<Stream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (bare(host), port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, OPEN_WITHIN / 2) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(READ_WAIT))?;
                stream.set_write_timeout(Some(WRITE_WAIT))?;
                return Ok(Stream::Plain(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// By a proxy, which is asked to connect to `target`: nobody but its own answers come before the first word that is sent there.
fn through(proxy: &Proxy, outbound: &Outbound, target: &str, cancelled: &dyn Fn() -> bool) -> Result<Stream, Fault> {
    let fault = |what: String| Fault::new("proxy", format!("the proxy {}:{}: {what}", proxy.host(), proxy.port()));
    let mut stream = connect(proxy.host(), proxy.port()).map_err(|error| fault(error.to_string()))?;
    if proxy.protocol() == ProxyProtocol::Https {
        stream = encrypt(proxy.host(), stream, outbound, cancelled).map_err(&fault)?;
    }
    let mut asked = format!(
        "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: tickcast/{}\r\nProxy-Connection: Keep-Alive\r\n",
        env!("CARGO_PKG_VERSION")
    );
    let is_known = proxy.username().is_some() || proxy.password().is_some();
    if is_known {
        let (name, password) = (proxy.username().unwrap_or_default(), proxy.password().unwrap_or_default());
        asked += &format!("Proxy-Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{name}:{password}")));
    }
    asked += "\r\n";
    stream.write_all(asked.as_bytes()).and_then(|()| stream.flush()).map_err(|error| fault(error.to_string()))?;
    let head = read_head(&mut stream, cancelled).map_err(&fault)?;
    match refusal(&head, target, is_known).map_err(&fault)? {
        None => Ok(stream),
        Some((what, wait)) => Err(Fault { wait, ..fault(what) }),
    }
}

/// The head of a proxy's answer, and not a byte more.
fn read_head(stream: &mut Stream, cancelled: &dyn Fn() -> bool) -> Result<String, String> {
    let begun = Instant::now();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) if head.is_empty() => return Err("it closed without an answer".to_owned()),
            Ok(0) => return Err("its answer breaks off".to_owned()),
            Ok(_) => head.push(byte[0]),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error.to_string()),
        }
        let is_http = b"HTTP/".iter().zip(&head).all(|(expected, found)| expected == found);
        if !is_http || head.len() > HEAD_BYTES_MAX {
            return Err("it does not answer as a proxy of HTTP".to_owned());
        }
        if begun.elapsed() >= OPEN_WITHIN || cancelled() {
            return Err("no answer".to_owned());
        }
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// What a proxy says against it, and how long to leave it alone; nothing where it has connected. An error where that is no answer.
fn refusal(head: &str, target: &str, is_known: bool) -> Result<Option<(String, Duration)>, String> {
    let status = head.split_ascii_whitespace().nth(1).and_then(|text| text.parse::<u16>().ok());
    let status = status.ok_or_else(|| "it does not answer as a proxy of HTTP".to_owned())?;
    let header = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    // Names and passwords that are wrong too often lock people out.
    let (what, least) = match status {
        200..=299 => return Ok(None),
        407 if is_known => ("it refuses the name or the password that HTTPS_PROXY has".to_owned(), 60),
        407 => ("it wants a name and a password: HTTPS_PROXY takes http://NAME:PASSWORD@HOST:PORT".to_owned(), 60),
        403 => (format!("it does not let anybody through to {target}: ask who runs it, or name it in NO_PROXY"), 60),
        500.. => (format!("it cannot reach {target}"), 1),
        _ => (format!("it does not connect to {target}"), 60),
    };
    let wait = header("Retry-After").and_then(|value| retry_after(value, header("Date"))).unwrap_or_default();
    Ok(Some((format!("HTTP {status}: {what}"), wait.max(Duration::from_secs(least)))))
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// The handshake of TLS, so that its failures have their name.
fn encrypt(
    host: &str,
    mut stream: Stream,
    outbound: &Outbound,
    cancelled: &dyn Fn() -> bool,
) -> Result<Stream, String> {
    let begun = Instant::now();
    let name = ServerName::try_from(bare(host).to_owned()).map_err(|error| error.to_string())?;
    let mut tls = ClientConnection::new(outbound.tls(), name).map_err(|error| error.to_string())?;
    while tls.is_handshaking() {
        match tls.complete_io(&mut stream) {
            Ok(_) => {}
            Err(error) if is_passing(&error) => {
                if begun.elapsed() >= OPEN_WITHIN || cancelled() {
                    return Err("no answer to the handshake of TLS".to_owned());
                }
            }
            Err(error) => {
                let what = error.to_string();
                let is_unknown = what.contains("UnknownIssuer");
                let help = ": where a proxy or relay of your own answers, name its root with collect.ca_file";
                return Err(what + if is_unknown { help } else { "" });
            }
        }
    }
    Ok(Stream::Tls(Box::new(StreamOwned::new(tls, stream))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_proxy_says_is_named() {
        let said = |head: &str, is_known| {
            refusal(head, "a:443", is_known).map(|refused| refused.map(|(what, wait)| (what, wait.as_secs())))
        };
        assert_eq!(said("HTTP/1.1 200 Connection established\r\n\r\n", false), Ok(None));
        for (head, is_known, words, wait) in [
            (
                "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                false,
                "HTTP 407: it wants a name and a password",
                60,
            ),
            ("HTTP/1.0 407\r\n\r\n", true, "HTTP 407: it refuses the name or the password", 60),
            ("HTTP/1.1 403 Forbidden\r\n\r\n", false, "HTTP 403: it does not let anybody through to a:443", 60),
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n", false, "HTTP 502: it cannot reach a:443", 1),
            ("HTTP/1.1 503 No\r\nX: y\r\nretry-after: 90\r\n\r\n", false, "HTTP 503: it cannot reach a:443", 90),
            ("HTTP/1.1 301 Moved\r\n\r\n", false, "HTTP 301: it does not connect to a:443", 60),
        ] {
            let (what, least) = said(head, is_known).unwrap().unwrap();
            assert!(what.starts_with(words) && least == wait, "{what}: {least}");
        }
        assert!(said("HTTP/1.1 OK\r\n\r\n", false).is_err());
    }
}
