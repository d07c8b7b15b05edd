//! A listener of HTTP: its bounds, its transport security and its stop. gRPC, REST and operations run one each.
//!
//! What cannot be read as HTTP at all, and headers beyond the bounds, are answered by hyper itself with a status of 4xx (431, 414 or
//! 400), without a body and without a request id. Everything else is answered by the router.

mod activity;
mod connection;
mod counted;
mod incoming;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{activity::Connections, connection::Server};

/// How long no connection is accepted after one could not be for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// The log says at most this often that there are too many connections.
const WARNING_INTERVAL: Duration = Duration::from_secs(30);

/// Bounds of a listener, and what it speaks.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Name for the log.
    pub name: &'static str,
    /// Certificate and key, where the listener speaks TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Which HTTP is spoken.
    pub versions: Versions,
    /// Largest sum of a request's headers, in bytes.
    pub header_bytes_max: u32,
    /// How long a new connection may take until it is known to be one: see [`Versions`].
    pub start_timeout: Duration,
    /// How long a connection of HTTP/1 may take to send the headers of a request, and lie idle between two.
    pub header_timeout: Duration,
    /// Most requests at the same time on one connection of HTTP/2.
    pub streams_max: u32,
    /// How often a connection of HTTP/2 is asked whether its caller is still there.
    pub keepalive_interval: Duration,
    /// How long the caller has to answer that.
    pub keepalive_timeout: Duration,
    /// Age at which a connection is asked to go.
    pub connection_age: Duration,
    /// How long one that was asked to go may finish its requests.
    pub connection_grace: Duration,
    /// Most connections at the same time. At the bound the connection that has been idle longest makes room for a new one; if
    /// none is idle, the new one is closed.
    pub connections_max: usize,
}

/// Which HTTP a listener speaks, and what a caller has to show soon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Versions {
    /// 1 and 2: a new connection has to come to its first request in time.
    Any,
    /// Only 2, as callers of gRPC do, who connect long before they call: a new connection has to send the preface in time.
    Http2,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            name: "REST",
            tls: None,
            versions: Versions::Any,
            header_bytes_max: 16 * 1024,
            start_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(30),
            streams_max: 200,
            keepalive_interval: Duration::from_mins(1),
            keepalive_timeout: Duration::from_secs(20),
            connection_age: Duration::from_mins(30),
            connection_grace: Duration::from_mins(1),
            connections_max: 4096,
        }
    }
}

/// How a listener is told to end, in two steps.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Requests are still taken, but callers are sent elsewhere where their protocol has words for it.
    pub leaving: CancellationToken,
    /// No new connections and requests; what is running is finished.
    pub stop: CancellationToken,
}

impl From<CancellationToken> for Stop {
    /// Both steps at once.
    fn from(stop: CancellationToken) -> Self {
        Self { leaving: stop.child_token(), stop }
    }
}

/// Serves until `stop` says so and the requests that are running then are answered.
pub async fn serve(listener: TcpListener, router: Router, settings: ListenerSettings, stop: impl Into<Stop>) {
    let stop = stop.into();
    let room = Arc::new(Semaphore::new(settings.connections_max));
    let (connections, tasks) = (Connections::default(), TaskTracker::new());
    let server = Arc::new(Server {
        router,
        builder: builder(&settings),
        tls: settings.tls.clone().map(TlsAcceptor::from),
        settings,
        stop: stop.clone(),
    });
    let serving = async {
        let mut warning = Warning { name: server.settings.name, said: None };
        loop {
            let stream = accept(&listener, &connections, &mut warning).await;
            let Some(permit) = make_room(&room, &connections, &mut warning).await else { continue };
            let (server, activity) = (Arc::clone(&server), connections.enter());
            tasks.spawn(async move {
                let _permit = permit;
                server.connection(stream, &activity).await;
            });
        }
    };
    stop.stop.run_until_cancelled(serving).await;
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn accept(listener: &TcpListener, connections: &Connections, warning: &mut Warning) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_the_caller(&error) => {}
            Err(error) => {
                warning.say(&format!("no connection can be accepted: {error}; one that is idle makes room"));
                // It would fail again at once, and the caller waits in the queue of the system.
                connections.evict();
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether that caller was gone before it was accepted: the next one may be fine.
fn is_of_the_caller(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}

async fn make_room(
    room: &Arc<Semaphore>,
    connections: &Connections,
    warning: &mut Warning,
) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(room).try_acquire_owned() {
        return Some(permit);
    }
    if !connections.evict() {
        warning.say("too many connections, all of them busy: new ones are closed");
        return None;
    }
    warning.say("too many connections: those that have been idle longest are closed");
    // It ends as soon as it runs; never closed.
    Arc::clone(room).acquire_owned().await.ok()
}

fn builder(settings: &ListenerSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    if settings.versions == Versions::Http2 {
        builder = builder.http2_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(usize::try_from(settings.header_bytes_max).unwrap_or(usize::MAX));
    // Bounds that are h2's own: 20 streams that were reset before they were seen, 1024 resets that a caller provokes, a few
    // CONTINUATION frames more than the headers need. Beyond them the connection is closed.
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(settings.header_bytes_max)
        .max_concurrent_streams(settings.streams_max)
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout);
    builder
}

/// A warning that is not repeated too often, whatever callers do.
struct Warning {
    name: &'static str,
    said: Option<Instant>,
}

impl Warning {
    fn say(&mut self, what: &str) {
        if self.said.is_none_or(|said| said.elapsed() > WARNING_INTERVAL) {
            self.said = Some(Instant::now());
            tracing::warn!(listener = self.name, "{what}");
        }
    }
}

#[cfg(test)]
mod tests;
