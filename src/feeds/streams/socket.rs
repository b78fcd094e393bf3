//! One WebSocket: opened within a time, read without waiting for long.

use super::fault::Fault;
use crate::feeds::retry_after::retry_after;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::error::{CapacityError, Error};
use tungstenite::handshake::HandshakeError;
use tungstenite::http::{HeaderValue, Response, Uri, header};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes, WebSocket};

/// So long it may take until a connection is a WebSocket.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// The longest wait for a frame: then it is looked at what else there is to do.
const READ_WAIT: Duration = Duration::from_millis(100);
/// A venue that takes nothing for so long is gone.
const WRITE_WAIT: Duration = Duration::from_secs(5);
/// The longest frame and message: a batch of a thousand trades has 150 kB.
const BYTES_MAX: usize = 1 << 20;

enum Stream {
    Plain(TcpStream),
    Tls(Box<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>),
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

/// An open one.
pub struct Socket(WebSocket<Stream>);

/// What came.
pub enum Frame {
    /// A text.
    Text(Utf8Bytes),
    /// A sign of life without one.
    Ping,
    /// Nothing, yet.
    Nothing,
}

impl Socket {
    /// Opens `address`; `cancelled` is asked meanwhile.
    ///
    /// # Errors
    /// By name: no connection, TLS, an answer that is none of a WebSocket.
    pub fn open(address: &str, cancelled: impl Fn() -> bool) -> Result<Self, Fault> {
        let begun = Instant::now();
        let mut request =
            address.into_client_request().map_err(|error| Fault::new("refused", format!("{address}: {error}")))?;
        let agent = HeaderValue::from_static(concat!("tickcast/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let stream = connect(request.uri())?;
        let config = WebSocketConfig::default().max_message_size(Some(BYTES_MAX)).max_frame_size(Some(BYTES_MAX));
        let mut shaking = tungstenite::client::client_with_config(request, stream, Some(config));
        loop {
            match shaking {
                Ok((socket, _)) => return Ok(Self(socket)),
                Err(HandshakeError::Interrupted(_)) if begun.elapsed() >= OPEN_WITHIN || cancelled() => {
                    return Err(Fault::new("no_connection", "no answer to the handshake"));
                }
                Err(HandshakeError::Interrupted(middle)) => shaking = middle.handshake(),
                Err(HandshakeError::Failure(error)) => return Err(of_error(error)),
            }
        }
    }

    /// The next frame. Pings of the venue are answered.
    ///
    /// # Errors
    /// By name, when the connection is at its end.
    pub fn read(&mut self) -> Result<Frame, Fault> {
        match self.0.read() {
            Ok(Message::Text(text)) => Ok(Frame::Text(text)),
            Ok(Message::Binary(bytes)) => {
                Utf8Bytes::try_from(bytes).map(Frame::Text).map_err(|error| Fault::new("not_utf8", error.to_string()))
            }
            Ok(Message::Close(frame)) => Err(frame.map_or_else(
                || Fault::new("closed", "the venue closed without a word"),
                |frame| Fault::of_close(frame.code.into(), frame.reason.as_str()),
            )),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {
                // The answer waits in the buffer.
                self.0.flush().or_else(passing).map_err(of_error)?;
                Ok(Frame::Ping)
            }
            Err(error) => passing(error).map(|()| Frame::Nothing).map_err(of_error),
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// By name, when the connection is at its end.
    pub fn send(&mut self, text: &str) -> Result<(), Fault> {
        self.0.send(Message::text(text)).map_err(of_error)
    }

    /// Says good-bye; whether it is heard does not matter.
    pub fn close(mut self) {
        let _ = self.0.close(None);
        let _ = self.0.flush();
    }
}

/// No error where there is only nothing to read yet.
fn passing(error: Error) -> Result<(), Error> {
    match error {
        Error::Io(ref io)
            if matches!(io.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
        {
            Ok(())
        }
        error => Err(error),
    }
}

fn connect(uri: &Uri) -> Result<Stream, Fault> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_tls = uri.scheme_str() == Some("wss");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let no_connection = |error: io::Error| Fault::new("no_connection", format!("{host}:{port}: {error}"));
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs().map_err(no_connection)? {
        match TcpStream::connect_timeout(&address, OPEN_WITHIN / 2) {
            Ok(stream) => {
                let set = stream
                    .set_nodelay(true)
                    .and_then(|()| stream.set_read_timeout(Some(READ_WAIT)))
                    .and_then(|()| stream.set_write_timeout(Some(WRITE_WAIT)));
                set.map_err(no_connection)?;
                return if is_tls { encrypt(host, stream) } else { Ok(Stream::Plain(stream)) };
            }
            Err(error) => last = error,
        }
    }
    Err(no_connection(last))
}

/// The handshake of TLS, so that its failures have their name.
fn encrypt(host: &str, mut stream: TcpStream) -> Result<Stream, Fault> {
    let begun = Instant::now();
    let of_tls = |what: String| Fault::new("tls", format!("{host}: {what}"));
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| of_tls(error.to_string()))?;
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let name = rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(|error| of_tls(error.to_string()))?;
    let mut tls = rustls::ClientConnection::new(config, name).map_err(|error| of_tls(error.to_string()))?;
    while tls.is_handshaking() {
        match tls.complete_io(&mut stream) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if begun.elapsed() >= OPEN_WITHIN {
                    return Err(of_tls("no answer to its handshake".to_owned()));
                }
            }
            Err(error) => return Err(of_tls(error.to_string())),
        }
    }
    Ok(Stream::Tls(Box::new(rustls::StreamOwned::new(tls, stream))))
}

fn of_error(error: Error) -> Fault {
    match error {
        Error::Http(response) => of_response(&response),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            Fault::new("too_large", format!("a message of {size} bytes: at most {max_size} are taken"))
        }
        Error::Capacity(error) => Fault::new("too_large", error.to_string()),
        Error::Utf8(what) => Fault::new("not_utf8", format!("a text that is not UTF-8: {what}")),
        Error::Protocol(error) => match error {
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake => {
                Fault::new("cut", "the connection was cut")
            }
            error => Fault::new("protocol", format!("it does not speak WebSocket: {error}")),
        },
        Error::ConnectionClosed | Error::AlreadyClosed => Fault::new("closed", "the venue closed"),
        Error::Io(error) => Fault::new("cut", format!("the connection was cut: {error}")),
        error => Fault::new("protocol", format!("it does not speak WebSocket: {error}")),
    }
}

fn of_response(response: &Response<Option<Vec<u8>>>) -> Fault {
    let text = |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let wait = text(header::RETRY_AFTER).and_then(|value| retry_after(value, text(header::DATE)));
    Fault::of_status(response.status().as_u16(), wait)
}
