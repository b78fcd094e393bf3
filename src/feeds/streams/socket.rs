//! One WebSocket: opened within a time, read without waiting for long.

use super::fault::Fault;
use super::transport::{self, OPEN_WITHIN, Stream};
use crate::feeds::outbound::Outbound;
use crate::feeds::retry_after::retry_after;
use std::io::ErrorKind;
use std::time::Instant;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::error::{CapacityError, Error};
use tungstenite::handshake::HandshakeError;
use tungstenite::http::{HeaderValue, Response, header};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, Utf8Bytes, WebSocket};

/// The longest frame and message: a batch of a thousand trades has 150 kB.
const BYTES_MAX: usize = 1 << 20;

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
    /// By name: no connection, a proxy, TLS, an answer that is none of a WebSocket.
    pub fn open(address: &str, outbound: &Outbound, cancelled: impl Fn() -> bool) -> Result<Self, Fault> {
        let mut request =
            address.into_client_request().map_err(|error| Fault::new("refused", format!("{address}: {error}")))?;
        let agent = HeaderValue::from_static(concat!("tickcast/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let stream = transport::open(request.uri(), outbound, &cancelled)?;
        let begun = Instant::now();
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
