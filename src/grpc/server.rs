//! The gRPC listener: transport security and limits.

use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::Api;
use crate::config::grpc::GrpcConfig;

/// The listener could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Wrong settings.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The transport failed.
    #[error("the gRPC listener failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves until told to stop, then lets running calls finish.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    config: &GrpcConfig,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let mut server = Server::builder()
        .max_concurrent_streams(config.streams)
        .max_connection_age(config.connection_age)
        .max_connection_age_grace(config.connection_grace)
        .http2_keepalive_interval(Some(config.keepalive_interval))
        .http2_keepalive_timeout(Some(config.keepalive_timeout))
        .http2_max_header_list_size(config.header_bytes)
        .tcp_nodelay(true);
    if let Some(pem) = config.tls()? {
        let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(pem.cert, pem.key.as_slice()));
        if let Some(authorities) = pem.client_ca {
            tls = tls.client_ca_root(Certificate::from_pem(authorities));
        }
        server = server.tls_config(tls)?;
    }
    let routes = api.routes.clone();
    let stopped = async move {
        stop.cancelled().await;
        api.stop_serving().await;
    };
    server.add_routes(routes).serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped).await?;
    Ok(())
}
