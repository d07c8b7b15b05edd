//! The way to the gRPC API: in the same process, or over the network.

use http::{Request, Response};
use tonic::{body::Body, service::Routes};
use tower::{BoxError, ServiceExt, util::BoxCloneSyncService};

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
