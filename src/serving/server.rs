//! The socket: a thread of its own with all connections, explicit limits, and an end that comes.

use super::app::{App, Peer, Results};
use super::guard::{self, Hosts};
use super::job::Watch;
use super::problem::Problem;
use super::stream::Streams;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service as _;

/// The longest that a request's head takes to come, and a connection waits for another.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// The longest that an answer takes to be begun.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// A reader that takes nothing for so long is gone.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// What is left to open connections at the end.
const GRACE: Duration = Duration::from_millis(1000);
/// The most questions to the store at a time.
const BLOCKING_THREADS: usize = 6;

/// Explicit limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections.
    pub connections_max: usize,
    /// Open streams.
    pub streams_max: usize,
    /// Open streams of one address.
    pub streams_per_client: usize,
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ServeError(pub String);

/// A socket that listens, before anything is served.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Listens.
    ///
    /// # Errors
    /// Where the address is taken, or none of this machine's.
    pub fn open(listen: SocketAddr) -> Result<Self, ServeError> {
        let open = || -> io::Result<(TcpListener, SocketAddr)> {
            let listener = TcpListener::bind(listen)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = open().map_err(|error| {
            ServeError(format!("cannot listen on {listen}: {error}: give another address with http.listen or --listen"))
        })?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Serves on a thread of its own; `names`: what it is called besides its addresses.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        listening: Listening,
        names: &[String],
        limits: Limits,
        watched: Arc<dyn Watch>,
        results: Option<Results>,
    ) -> Result<Self, ServeError> {
        let Listening { listener, address } = listening;
        let (stop, stopping) = watch::channel(false);
        let streams = Streams::new(limits.streams_max, limits.streams_per_client);
        let app = App::new(watched, results, streams, Hosts::new(address, names), stopping.clone());
        let failed = |error: io::Error| ServeError(format!("cannot serve: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()
            .map_err(failed)?;
        let thread = std::thread::Builder::new().name("serving".to_owned()).spawn(move || {
            runtime.block_on(serve(listener, app, limits, stopping));
            runtime.shutdown_timeout(Duration::from_millis(100));
        });
        Ok(Self { address, stop, thread: thread.map_err(failed)? })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: streams end, answers that have begun get a second.
    pub fn finish(self) {
        let _ = self.stop.send(true);
        let _ = self.thread.join();
    }
}

async fn serve(listener: TcpListener, app: App, limits: Limits, mut stopping: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!("nothing is served: {error}");
            return;
        }
    };
    let hosts = Arc::clone(&app.hosts);
    let explanations = app.explanations().cloned();
    let router = app.router();
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let open = Arc::new(Semaphore::new(0));
    let mut count: u32 = 0;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles: others may close some.
                tracing::debug!("a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // Closed at once: whoever asks sees that at once, too.
            drop(stream);
            continue;
        };
        let _ = stream.set_nodelay(true);
        count += 1;
        let (router, hosts, stopping, open) = (router.clone(), Arc::clone(&hosts), stopping.clone(), Arc::clone(&open));
        tokio::spawn(async move {
            connection(stream, peer, router, hosts, stopping).await;
            drop(place);
            open.add_permits(1);
        });
    }
    drop(listener);
    let ended = async {
        if let Some(explanations) = explanations {
            explanations.close().await;
        }
        open.acquire_many(count).await
    };
    let _ = tokio::time::timeout(GRACE, ended).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    hosts: Arc<Hosts>,
    mut stopping: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, hosts) = (router.clone(), Arc::clone(&hosts));
        async move { Ok::<_, Infallible>(answer(request, peer, router, &hosts).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(HEAD_BYTES_MAX);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(Patient::new(stream)), service));
    tokio::select! {
        // What a client does wrong is its own trouble.
        _ = serving.as_mut() => return,
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

async fn answer(request: Request<Incoming>, peer: SocketAddr, mut router: Router, hosts: &Hosts) -> Response {
    let mut response = match guard::check(&request, hosts) {
        Err(problem) => {
            let mut response = problem.into_response();
            if response.status() == StatusCode::METHOD_NOT_ALLOWED {
                let allowed = axum::http::HeaderValue::from_static("GET, HEAD");
                response.headers_mut().insert(axum::http::header::ALLOW, allowed);
            }
            response
        }
        Ok(()) => {
            let is_head = request.method() == Method::HEAD;
            let mut request = request.map(|_: Incoming| Body::empty());
            request.extensions_mut().insert(Peer(peer.ip()));
            match tokio::time::timeout(ANSWER_WITHIN, router.call(request)).await {
                Ok(Ok(response)) if is_head => response.map(|_| Body::empty()),
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => Problem::unavailable("it took too long: ask again, or for less").into_response(),
            }
        }
    };
    guard::mark(response.headers_mut());
    response
}

/// A connection that gives up on a reader who takes nothing.
struct Patient {
    stream: TcpStream,
    /// When writing is given up; none where nothing waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    const fn new(stream: TcpStream) -> Self {
        Self { stream, deadline: None }
    }

    /// What became of a write: one that waits for too long has failed.
    fn judge<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.deadline = None;
            return written;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + STALLED_AFTER)));
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
