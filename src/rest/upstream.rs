//! The way to the gRPC API: in the same process, or over the network.

use std::time::Duration;

use http::{Request, Response};
use tonic::{
    Status, TimeoutExpired,
    body::Body,
    service::Routes,
    transport::{Channel, Endpoint},
};
use tower::{BoxError, ServiceExt, service_fn, util::BoxCloneSyncService};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the connection is asked whether the other side is still there, and how long that has to answer.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// The API could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("the gRPC API cannot be reached")]
pub struct UpstreamError(#[source] BoxError);

/// The gRPC API as a service, wherever it runs.
pub type Upstream = BoxCloneSyncService<Request<Body>, Response<Body>, UpstreamError>;

/// The API in this process: a call goes through all of its layers, and through no socket.
pub fn in_process(routes: Routes) -> Upstream {
    let service = ServiceExt::<Request<Body>>::map_err(routes, |never| match never {});
    BoxCloneSyncService::new(service)
}

/// A connection that is made when it is first used, and anew when it is lost.
pub fn channel(endpoint: Endpoint) -> Channel {
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .keep_alive_while_idle(true)
        .connect_lazy()
}

/// The API over the network. What goes wrong on the way is a status, as what goes wrong there is.
pub fn remote(channel: Channel) -> Upstream {
    BoxCloneSyncService::new(service_fn(move |request: Request<Body>| {
        let channel = channel.clone();
        async move { channel.oneshot(request).await.map_err(|error| UpstreamError(Box::new(of_transport(&error)))) }
    }))
}

fn of_transport(error: &tonic::transport::Error) -> Status {
    let causes = || std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    if causes().any(<dyn std::error::Error>::is::<TimeoutExpired>) {
        return Status::deadline_exceeded("the deadline of the call passed");
    }
    let said: Vec<String> = causes().map(ToString::to_string).collect();
    Status::unavailable(said.join(": "))
}
