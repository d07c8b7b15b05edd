//! gRPC server reflection: what the API looks like, for whoever asks. Most processes are never asked, so it is made for
//! the first who does: it takes a third of a megabyte.

use std::{
    sync::{Arc, LazyLock},
    task::{Context, Poll},
};

use tonic::{server::NamedService, service::RoutesBuilder};
use tonic_reflection::server::Builder;
use tower::Service;

use super::OPEN_MESSAGE_BYTES_MAX;
use crate::proto::DESCRIPTORS;

/// Adds it, in both versions that clients ask for.
pub(super) fn add_to(routes: &mut RoutesBuilder) {
    routes.add_service(OnDemand::new(|| {
        let service = descriptors().build_v1().expect("build.rs has compiled the descriptors");
        service.max_decoding_message_size(OPEN_MESSAGE_BYTES_MAX)
    }));
    // The client library of Python, among others, knows no other version yet.
    routes.add_service(OnDemand::new(|| {
        let service = descriptors().build_v1alpha().expect("build.rs has compiled the descriptors");
        service.max_decoding_message_size(OPEN_MESSAGE_BYTES_MAX)
    }));
}

fn descriptors() -> Builder<'static> {
    Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// A service that is made for its first call.
struct OnDemand<S>(Arc<LazyLock<S>>);

impl<S> OnDemand<S> {
    fn new(make: fn() -> S) -> Self {
        Self(Arc::new(LazyLock::new(make)))
    }
}

impl<S> Clone for OnDemand<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: NamedService> NamedService for OnDemand<S> {
    const NAME: &'static str = S::NAME;
}

impl<R, S: Service<R> + Clone> Service<R> for OnDemand<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // As a service of tonic always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> S::Future {
        S::clone(&self.0).call(request)
    }
}
