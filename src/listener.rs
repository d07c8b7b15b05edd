//! A listener of HTTP: its bounds, and its stop.
//!
//! What cannot be read as HTTP at all, and headers beyond the bounds, are answered by hyper itself with a status of 4xx (431, 414 or
//! 400), without a body and without a request id. Everything else is answered by the router.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::service_fn;

/// Most requests at the same time on one connection of HTTP/2.
const STREAMS_MAX: u32 = 200;
/// How often a connection of HTTP/2 is asked whether its caller is still there, and how long it has to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));
/// How long no connection is accepted after one could not be: mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Bounds of the listener.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Largest sum of a request's headers, in bytes.
    pub header_bytes_max: u32,
    /// How long a connection may take to send the headers of a request, and lie idle between two.
    pub header_timeout: Duration,
    /// Age at which a connection is asked to go.
    pub connection_age: Duration,
    /// How long one that was asked to go may finish its requests.
    pub connection_grace: Duration,
    /// Most connections at the same time.
    pub connections_max: usize,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            header_bytes_max: 16 * 1024,
            header_timeout: Duration::from_secs(30),
            connection_age: Duration::from_mins(30),
            connection_grace: Duration::from_mins(1),
            connections_max: 4096,
        }
    }
}

/// Serves until `stop` is cancelled and the requests that are running then are answered.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    settings: ListenerSettings,
    stop: CancellationToken,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(settings.connections_max));
    let (connections, builder) = (TaskTracker::new(), builder(&settings));
    let serving = async {
        loop {
            // Further connections wait in the queue of the system.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
            let stream = accept(&listener).await;
            let (router, builder, settings, stop) = (router.clone(), builder.clone(), settings.clone(), stop.clone());
            connections.spawn(async move {
                let _permit = permit;
                connection(stream, router, builder, settings, stop).await;
            });
        }
    };
    stop.run_until_cancelled(serving).await;
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn builder(settings: &ListenerSettings) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(usize::try_from(settings.header_bytes_max).unwrap_or(usize::MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(settings.header_bytes_max)
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1);
    builder
}

/// Serves one connection until its caller goes, it is too old, or all stops. One that does not come to its first request in time is
/// dropped: hyper only begins to count when it knows which HTTP is spoken. Between two requests of HTTP/2 it does not count at all, so
/// age is what ends an idle one.
async fn connection(
    stream: TcpStream,
    router: Router,
    builder: Builder<TokioExecutor>,
    settings: ListenerSettings,
    stop: CancellationToken,
) {
    // Answers are small, and whole.
    let _ = stream.set_nodelay(true);
    let begun = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&begun);
    let service = service_fn(move |request: Request<Incoming>| {
        seen.store(true, Ordering::Relaxed);
        tower::ServiceExt::oneshot(router.clone(), request)
    });
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
    let mut served = pin!(served);
    let never_begun = async {
        time::sleep(settings.header_timeout).await;
        if begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    // The caller of one that ends by itself is gone, or speaks no HTTP: nobody is left to be told.
    tokio::select! {
        _ = served.as_mut() => {}
        () = never_begun => {}
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
        () = time::sleep(settings.connection_age) => {
            served.as_mut().graceful_shutdown();
            let _ = time::timeout(settings.connection_grace, served).await;
        }
    }
}

#[cfg(test)]
mod tests;
