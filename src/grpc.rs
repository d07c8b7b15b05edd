//! The gRPC API: parse, call the use case, convert. Decides nothing.

mod auth;
mod caller;
mod convert;
mod deadline;
mod events;
mod idempotency;
pub mod layers;
mod projects;
mod reflection;
mod respond;
mod rpc_span;
mod server;
mod sessions;
mod status;
mod users;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

pub use self::server::{ServeError, serve};
use crate::{
    metrics::Metrics,
    proto::{
        auth_service_server::AuthServiceServer, event_service_server::EventServiceServer,
        project_service_server::ProjectServiceServer, session_service_server::SessionServiceServer,
        user_service_server::UserServiceServer,
    },
    usecase::Services,
};

/// Largest request of what is open to everybody, health and reflection, in bytes: names of services and symbols.
const OPEN_MESSAGE_BYTES_MAX: usize = 4096;

/// What the API has to know beside its services.
#[derive(Clone, Copy, Debug)]
pub struct ApiSettings {
    /// Longest time a call may take; shorter if the caller says so.
    pub deadline_max: Duration,
    /// Largest request, in bytes.
    pub message_bytes_max: usize,
    /// Whether clients may ask for the descriptors.
    pub reflection: bool,
}

/// The API, with all of its layers: answers in process as over a socket.
#[derive(Clone)]
pub struct Api {
    /// The services.
    pub routes: Routes,
    /// Says per service whether it takes calls.
    pub health: HealthReporter,
    /// Ends the streams that would go on for ever.
    stop: CancellationToken,
}

impl Api {
    /// Puts services and layers together.
    pub async fn new(services: Arc<Services>, metrics: Metrics, settings: &ApiSettings) -> Self {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<AuthServiceServer<auth::AuthApi>>().await;
        health.set_serving::<UserServiceServer<users::UserApi>>().await;
        health.set_serving::<SessionServiceServer<sessions::SessionApi>>().await;
        health.set_serving::<ProjectServiceServer<projects::ProjectApi>>().await;
        health.set_serving::<EventServiceServer<events::EventApi>>().await;

        let stop = CancellationToken::new();
        let events = events::EventApi { services: services.clone(), stop: stop.clone() };
        let bytes = settings.message_bytes_max;
        let mut routes = Routes::builder();
        routes
            .add_service(health_service.max_decoding_message_size(OPEN_MESSAGE_BYTES_MAX))
            .add_service(AuthServiceServer::new(auth::AuthApi(services.clone())).max_decoding_message_size(bytes))
            .add_service(
                SessionServiceServer::new(sessions::SessionApi(services.clone())).max_decoding_message_size(bytes),
            )
            .add_service(EventServiceServer::new(events).max_decoding_message_size(bytes))
            .add_service(UserServiceServer::new(users::UserApi(services.clone())).max_decoding_message_size(bytes))
            .add_service(
                ProjectServiceServer::new(projects::ProjectApi(services.clone())).max_decoding_message_size(bytes),
            );
        if settings.reflection {
            reflection::add_to(&mut routes);
        }
        let routes = layers::apply(routes.routes(), services, metrics, settings);
        Self { routes, health, stop }
    }

    /// Tells every health check that no more calls are taken, and ends the streams of events.
    pub async fn stop_serving(&self) {
        self.stop.cancel();
        self.health.set_not_serving::<AuthServiceServer<auth::AuthApi>>().await;
        self.health.set_not_serving::<UserServiceServer<users::UserApi>>().await;
        self.health.set_not_serving::<SessionServiceServer<sessions::SessionApi>>().await;
        self.health.set_not_serving::<ProjectServiceServer<projects::ProjectApi>>().await;
        self.health.set_not_serving::<EventServiceServer<events::EventApi>>().await;
        self.health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    }
}
