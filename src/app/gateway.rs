//! The REST API alone, in front of a gRPC API elsewhere.

use std::{fmt, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::net::TcpListener;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::{BuildError, endless, listeners::bind_edge, open_files};
use crate::{
    config::{
        ConfigError, Setting,
        gateway::{GatewayConfig, Target},
        rest::RestConfig,
    },
    lifecycle::{Ended, Shutdown},
    listener::{self, ListenerSettings, Stop},
    metrics::Metrics,
    ops::{self, Readiness},
    random::Random,
    rest::{self, RestSettings},
};

/// The gateway, ready to run.
pub struct Gateway {
    upstream: Channel,
    rest: TcpListener,
    ops: TcpListener,
    config: RestConfig,
    drain_timeout: Duration,
}

impl Gateway {
    /// Binds the ports. The upstream is connected when it is first called, and again whenever it has to be. The settings have been
    /// validated.
    pub async fn build(config: &GatewayConfig) -> Result<Self, BuildError> {
        open_files::allow(u64::from(config.rest.connections) + u64::from(ops::CONNECTIONS_MAX));
        let upstream = rest::upstream::channel(endpoint(&config.upstream.target()?)?);
        let (rest, ops) = bind_edge(&config.edge).await?;
        Ok(Self { upstream, rest, ops, config: config.rest.clone(), drain_timeout: config.edge.drain_timeout })
    }

    /// Where REST and operations are listened to.
    pub fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.rest.local_addr()?, self.ops.local_addr()?))
    }

    /// Serves until `shutdown` says stop; tells how that went.
    pub async fn run(self, shutdown: Shutdown) -> Ended {
        let stop = Stop { leaving: shutdown.leaving(), stop: shutdown.token() };
        let upstream = self.upstream.clone();
        let readiness = Readiness::needing("upstream", shutdown.leaving(), move || is_serving(upstream.clone()));
        let metrics = Metrics::new();
        let shown = readiness.clone().show_in(metrics.clone(), shutdown.last_token());
        shutdown.spawn_last("what shows readiness", endless(shown));
        let router = ops::router(metrics.clone(), readiness, Router::new());
        shutdown.spawn_last("the operations listener", endless(ops::serve(self.ops, router, shutdown.last_token())));
        let settings = rest_settings(&self.config, metrics);
        let router = rest::router(rest::upstream::remote(self.upstream), Random::System, settings);
        shutdown.spawn(
            "the REST listener",
            endless(listener::serve(self.rest, router, listener_settings(&self.config), stop)),
        );
        shutdown.finish(self.drain_timeout).await
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

/// Whether the upstream takes calls.
async fn is_serving(upstream: Channel) -> Result<(), String> {
    let answer = HealthClient::new(upstream).check(HealthCheckRequest::default()).await;
    let status = answer.map_err(|status| status.message().to_owned())?.into_inner().status();
    if status == ServingStatus::Serving { Ok(()) } else { Err(status.as_str_name().to_owned()) }
}

fn endpoint(target: &Target) -> Result<Endpoint, ConfigError> {
    let refuse = |error: tonic::transport::Error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        ConfigError::malformed(Setting::new("upstream"), format!("cannot be used with the files for TLS: {cause}"))
    };
    let endpoint = Endpoint::from_shared(target.url.to_string()).map_err(refuse)?;
    let Some(tls) = &target.tls else { return Ok(endpoint) };
    let mut config = match &tls.ca {
        Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    if let Some(name) = &tls.name {
        config = config.domain_name(name);
    }
    if let Some((cert, key)) = &tls.identity {
        config = config.identity(Identity::from_pem(cert, key.as_slice()));
    }
    endpoint.tls_config(config).map_err(refuse)
}

/// How the REST API takes its settings.
pub(super) fn rest_settings(config: &RestConfig, metrics: Metrics) -> RestSettings {
    RestSettings {
        body_bytes_max: usize::try_from(config.body_bytes).unwrap_or(usize::MAX),
        deadline: config.deadline,
        default_project: config.default_project.clone().unwrap_or_default(),
        metrics,
    }
}

/// How its listener takes them.
pub(super) fn listener_settings(config: &RestConfig) -> ListenerSettings {
    ListenerSettings {
        header_bytes_max: config.header_bytes,
        start_timeout: config.header_timeout,
        header_timeout: config.header_timeout,
        connection_age: config.connection_age,
        // What was begun before may take its whole time, and be read by a slow caller.
        connection_grace: config.deadline.saturating_mul(2),
        connections_max: usize::try_from(config.connections).unwrap_or(usize::MAX),
        ..ListenerSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_listener() {
        let config = config::defaults::<RestConfig>();
        assert_eq!(format!("{:?}", rest_settings(&config, Metrics::new())), format!("{:?}", RestSettings::default()));
        assert_eq!(format!("{:?}", listener_settings(&config)), format!("{:?}", ListenerSettings::default()));
    }
}
