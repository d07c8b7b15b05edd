//! The life of one connection.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use http::{HeaderValue, Request, Version, header::CONNECTION};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{self, Instant},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use super::{ListenerSettings, Stop, Versions, activity::Activity, counted::Counted, incoming::Received};

/// How long a stop waits for a caller that has its answers and does not hang up: it may be frozen, or watch something
/// for ever.
const LINGER: Duration = Duration::from_secs(5);

/// What all connections of a listener share.
pub(super) struct Server {
    pub(super) router: Router,
    pub(super) builder: Builder<TokioExecutor>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) settings: ListenerSettings,
    pub(super) stop: Stop,
}

/// What the requests of a connection share. To clone a token anew for each takes a lock that all connections have in
/// common.
struct Connection {
    router: Router,
    leaving: CancellationToken,
    activity: Arc<Activity>,
}

impl Server {
    /// Serves one connection until its caller goes, it has to make room, it is too old, or all stops.
    pub(super) async fn connection(&self, stream: TcpStream, activity: &Arc<Activity>) {
        // Answers are small, and whole.
        let _ = stream.set_nodelay(true);
        tokio::select! {
            () = self.secured(stream, activity) => {}
            () = activity.evicted() => {}
        }
    }

    async fn secured(&self, stream: TcpStream, activity: &Arc<Activity>) {
        let start_end = Instant::now() + self.settings.start_timeout;
        let Some(tls) = &self.tls else { return self.plain(stream, activity, start_end).await };
        let handshake = time::timeout_at(start_end, tls.accept(stream));
        // Who breaks off a handshake, or cannot finish it, has nobody to tell; nor has anybody asked for anything at a
        // stop.
        if let Some(Ok(Ok(stream))) = self.stop.stop.run_until_cancelled(handshake).await {
            self.plain(stream, activity, start_end).await;
        }
    }

    /// One that has not begun in time is dropped: hyper only begins to count when it knows which HTTP is spoken.
    /// Between two requests of HTTP/2 it does not count at all, so age is what ends an idle one.
    async fn plain(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        activity: &Arc<Activity>,
        start_end: Instant,
    ) {
        let preface_counts = self.settings.versions == Versions::Http2;
        let stream = Counted::new(stream, Arc::clone(activity), preface_counts);
        let (router, leaving) = (self.router.clone(), self.stop.leaving.clone());
        let connection = Arc::new(Connection { router, leaving, activity: Arc::clone(activity) });
        let service = service_fn(move |request| answer(Arc::clone(&connection), request));
        let mut served = pin!(self.builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
        let never_begun = async {
            time::sleep_until(start_end).await;
            if activity.has_begun() {
                std::future::pending::<()>().await;
            }
        };
        // The caller of one that ends by itself is gone, or speaks no HTTP: nobody is left to be told.
        tokio::select! {
            _ = served.as_mut() => {}
            () = never_begun => {}
            () = self.stop.stop.cancelled() => {
                served.as_mut().graceful_shutdown();
                tokio::select! {
                    _ = served => {}
                    () = activity.quiet_for(LINGER) => {}
                }
            }
            () = time::sleep(self.settings.connection_age) => {
                served.as_mut().graceful_shutdown();
                let _ = time::timeout(self.settings.connection_grace, served).await;
            }
        }
    }
}

/// Answers one request.
async fn answer(connection: Arc<Connection>, request: Request<Incoming>) -> Result<Response, std::convert::Infallible> {
    let unanswered = Arc::new(Mutex::new(Some(connection.activity.request())));
    let has_connection_header = request.version() <= Version::HTTP_11;
    let request = request.map(|body| Received::new(body, Arc::clone(&unanswered)));
    let mut response = tower::ServiceExt::oneshot(connection.router.clone(), request).await?;
    // The handler may have left the body somewhere.
    drop(unanswered.lock().unwrap_or_else(PoisonError::into_inner).take());
    if has_connection_header && connection.leaving.is_cancelled() {
        // Callers come back over a new connection, elsewhere, instead of meeting the end of this one with a request in
        // hand.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            connection.activity.answered();
            frame
        }))
    }))
}
