//! The gRPC listener: transport security and limits.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpListener;

use super::Api;
use crate::{
    config::{
        ConfigError,
        grpc::{GrpcConfig, TlsPem},
    },
    listener::{self, ListenerSettings, Stop, Versions},
};

/// Protocol of HTTP/2 in the handshake of TLS (RFC 9113, section 3.3).
const ALPN_HTTP2: &[u8] = b"h2";

/// The listener could not be run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Wrong settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The certificates are of no use.
    #[error("the certificates of the gRPC listener cannot be used")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Serves until told to stop, then lets running calls finish. Health checks say so first.
pub async fn serve(
    listener: TcpListener,
    api: Api,
    config: &GrpcConfig,
    stop: impl Into<Stop>,
) -> Result<(), ServeError> {
    let (settings, stop) = (settings(config)?, stop.into());
    let leaving = stop.leaving.clone();
    let serving = listener::serve(listener, api.routes.clone().into_axum_router(), settings, stop);
    let telling = async {
        leaving.cancelled().await;
        api.stop_serving().await;
    };
    tokio::join!(serving, telling);
    Ok(())
}

fn settings(config: &GrpcConfig) -> Result<ListenerSettings, ServeError> {
    Ok(ListenerSettings {
        name: "gRPC",
        tls: config.tls()?.map(|pem| tls(&pem)).transpose().map_err(ServeError::Tls)?.map(Arc::new),
        versions: Versions::Http2,
        header_bytes_max: config.header_bytes,
        start_timeout: config.handshake_timeout,
        header_timeout: config.handshake_timeout,
        streams_max: config.streams,
        keepalive_interval: config.keepalive_interval,
        keepalive_timeout: config.keepalive_timeout,
        connection_age: config.connection_age,
        connection_grace: config.connection_grace,
        connections_max: usize::try_from(config.connections).unwrap_or(usize::MAX),
    })
}

fn tls(pem: &TlsPem) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &pem.client_ca {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in CertificateDer::pem_slice_iter(authorities) {
                roots.add(authority?)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let chain = CertificateDer::pem_slice_iter(&pem.cert).collect::<Result<_, _>>()?;
    let mut config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_slice(&pem.key)?)?;
    config.alpn_protocols.push(ALPN_HTTP2.to_vec());
    Ok(config)
}
