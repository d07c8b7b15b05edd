use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use super::{ConfigError, Setting, secret, value};

const CERT: Setting = Setting::new("grpc-tls-cert");
const KEY: Setting = Setting::new("grpc-tls-key");
const CLIENT_CA: Setting = Setting::new("grpc-client-ca");

/// Settings of the gRPC listener.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "gRPC")]
pub struct GrpcConfig {
    /// Certificate chain in PEM; with it and its key the listener speaks TLS
    #[arg(id = "grpc-tls-cert", long = "grpc-tls-cert", env = "SIGNET_GRPC_TLS_CERT", value_name = "PATH")]
    pub tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM
    #[arg(id = "grpc-tls-key", long = "grpc-tls-key", env = "SIGNET_GRPC_TLS_KEY", value_name = "PATH")]
    pub tls_key: Option<PathBuf>,

    /// Certificates in PEM of which one must have signed a caller's certificate (mutual TLS)
    #[arg(id = "grpc-client-ca", long = "grpc-client-ca", env = "SIGNET_GRPC_CLIENT_CA", value_name = "PATH")]
    pub client_ca: Option<PathBuf>,

    /// Whether callers may ask for the schema (gRPC server reflection)
    #[arg(
        id = "grpc-reflection",
        long = "grpc-reflection",
        env = "SIGNET_GRPC_REFLECTION",
        value_name = "BOOL",
        default_value = "true",
        action = clap::ArgAction::Set
    )]
    pub reflection: bool,

    /// Largest request message, in bytes
    #[arg(
        id = "grpc-message-bytes",
        long = "grpc-message-bytes",
        env = "SIGNET_GRPC_MESSAGE_BYTES",
        value_name = "BYTES",
        default_value = "65536",
        value_parser = clap::value_parser!(u32).range(4096..=16_777_216)
    )]
    pub message_bytes: u32,

    /// Largest sum of a request's headers, in bytes
    #[arg(
        id = "grpc-header-bytes",
        long = "grpc-header-bytes",
        env = "SIGNET_GRPC_HEADER_BYTES",
        value_name = "BYTES",
        default_value = "16384",
        value_parser = clap::value_parser!(u32).range(4096..=1_048_576)
    )]
    pub header_bytes: u32,

    /// Most requests at the same time on one connection
    #[arg(
        id = "grpc-streams",
        long = "grpc-streams",
        env = "SIGNET_GRPC_STREAMS",
        value_name = "COUNT",
        default_value = "200",
        value_parser = clap::value_parser!(u32).range(1..=10_000)
    )]
    pub streams: u32,

    /// Most connections at the same time; beyond it the one idle longest makes room
    #[arg(
        id = "grpc-connections",
        long = "grpc-connections",
        env = "SIGNET_GRPC_CONNECTIONS",
        value_name = "COUNT",
        default_value = "4096",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub connections: u32,

    /// How long a new connection may take for its TLS handshake and the beginning of HTTP/2
    #[arg(
        id = "grpc-handshake-timeout",
        long = "grpc-handshake-timeout",
        env = "SIGNET_GRPC_HANDSHAKE_TIMEOUT",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = value::duration(1..=600)
    )]
    pub handshake_timeout: Duration,

    /// How long a request may take, also when its caller would wait longer
    #[arg(
        id = "grpc-deadline",
        long = "grpc-deadline",
        env = "SIGNET_GRPC_DEADLINE",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = value::duration(1..=600)
    )]
    pub deadline: Duration,

    /// Age at which a connection is asked to go, so that callers spread over new replicas
    #[arg(
        id = "grpc-connection-age",
        long = "grpc-connection-age",
        env = "SIGNET_GRPC_CONNECTION_AGE",
        value_name = "DURATION",
        default_value = "30m",
        value_parser = value::duration(10..=604_800)
    )]
    pub connection_age: Duration,

    /// How long a connection that was asked to go may finish its requests
    #[arg(
        id = "grpc-connection-grace",
        long = "grpc-connection-grace",
        env = "SIGNET_GRPC_CONNECTION_GRACE",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = value::duration(1..=3600)
    )]
    pub connection_grace: Duration,

    /// How often a connection is asked whether its caller is still there
    #[arg(
        id = "grpc-keepalive-interval",
        long = "grpc-keepalive-interval",
        env = "SIGNET_GRPC_KEEPALIVE_INTERVAL",
        value_name = "DURATION",
        default_value = "60s",
        value_parser = value::duration(5..=86_400)
    )]
    pub keepalive_interval: Duration,

    /// How long a caller has to answer that before its connection is closed
    #[arg(
        id = "grpc-keepalive-timeout",
        long = "grpc-keepalive-timeout",
        env = "SIGNET_GRPC_KEEPALIVE_TIMEOUT",
        value_name = "DURATION",
        default_value = "20s",
        value_parser = value::duration(1..=600)
    )]
    pub keepalive_timeout: Duration,
}

/// What a TLS listener needs, in PEM: read, parsed once and found to belong together.
#[derive(Clone)]
pub struct TlsPem {
    /// The certificate chain.
    pub cert: Vec<u8>,
    /// The private key of the first certificate.
    pub key: Zeroizing<Vec<u8>>,
    /// The authorities of callers' certificates; with them a caller must show one.
    pub client_ca: Option<Vec<u8>>,
}

impl GrpcConfig {
    /// What TLS needs, or `None` when the listener speaks plain text. Reads the files.
    pub fn tls(&self) -> Result<Option<TlsPem>, ConfigError> {
        let missing = |setting, hint| Err(ConfigError::Missing { setting, hint });
        match (&self.tls_cert, &self.tls_key, &self.client_ca) {
            (None, None, None) => Ok(None),
            (None, _, _) => missing(CERT, "is needed for TLS; give the certificate and its key"),
            (_, None, _) => missing(KEY, "is needed with --grpc-tls-cert"),
            (Some(cert), Some(key), client_ca) => read_tls(cert, key, client_ca.as_deref()).map(Some),
        }
    }
}

fn read_tls(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<TlsPem, ConfigError> {
    let pem = TlsPem {
        cert: secret::read_file(CERT, cert)?.to_vec(),
        key: secret::read_file(KEY, key)?,
        client_ca: client_ca.map(|path| secret::read_file(CLIENT_CA, path).map(|pem| pem.to_vec())).transpose()?,
    };
    let chain = certificates(CERT, &pem.cert)?;
    if let Some(authorities) = &pem.client_ca {
        certificates(CLIENT_CA, authorities)?;
    }
    let key = PrivateKeyDer::from_pem_slice(&pem.key)
        .map_err(|_| ConfigError::malformed(KEY, "the file holds no private key in PEM"))?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
        .map_err(|error| ConfigError::malformed(KEY, format!("the key does not fit the certificate: {error}")))?;
    Ok(pem)
}

pub(super) fn certificates(setting: Setting, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(ConfigError::malformed(setting, "the file holds no certificate in PEM")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Files {
        directory: tempfile::TempDir,
        config: GrpcConfig,
    }

    /// A certificate and its key on disk, and a configuration that names them.
    fn files() -> Files {
        let directory = tempfile::tempdir().unwrap();
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
        fs::write(&cert, issued.cert.pem()).unwrap();
        fs::write(&key, issued.signing_key.serialize_pem()).unwrap();
        let config = GrpcConfig { tls_cert: Some(cert), tls_key: Some(key), ..super::super::defaults() };
        Files { directory, config }
    }

    fn problem(config: &GrpcConfig) -> String {
        config.tls().err().unwrap().to_string()
    }

    #[test]
    fn a_certificate_with_its_key_is_accepted_and_without_both_there_is_no_tls() {
        let Files { directory: _directory, mut config } = files();
        config.client_ca.clone_from(&config.tls_cert);
        assert!(config.tls().unwrap().unwrap().client_ca.is_some());
        assert!(super::super::defaults::<GrpcConfig>().tls().unwrap().is_none());
    }

    #[test]
    fn half_of_the_files_is_refused() {
        let Files { directory: _directory, config } = files();
        let no_key = GrpcConfig { tls_key: None, ..config.clone() };
        assert!(problem(&no_key).starts_with("--grpc-tls-key (SIGNET_GRPC_TLS_KEY): is needed"));
        let no_cert = GrpcConfig { tls_cert: None, ..config.clone() };
        assert!(problem(&no_cert).starts_with("--grpc-tls-cert (SIGNET_GRPC_TLS_CERT): is needed"));
        let only_ca = GrpcConfig { client_ca: config.tls_cert, ..super::super::defaults() };
        assert!(problem(&only_ca).starts_with("--grpc-tls-cert"), "mutual TLS must not fall back to plain text");
    }

    #[test]
    fn a_file_with_something_else_is_refused() {
        let Files { directory, config } = files();
        let other = directory.path().join("other.pem");
        fs::write(&other, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();

        let foreign_key = GrpcConfig { tls_key: Some(other.clone()), ..config.clone() };
        assert!(problem(&foreign_key).contains("SIGNET_GRPC_TLS_KEY): the key does not fit"));
        let key_as_cert = GrpcConfig { tls_cert: Some(other.clone()), ..config.clone() };
        assert!(problem(&key_as_cert).contains("SIGNET_GRPC_TLS_CERT): the file holds no certificate"));
        let key_as_ca = GrpcConfig { client_ca: Some(other), ..config.clone() };
        assert!(problem(&key_as_ca).contains("SIGNET_GRPC_CLIENT_CA): the file holds no certificate"));
        let cert_as_key = GrpcConfig { tls_key: config.tls_cert.clone(), ..config };
        assert!(problem(&cert_as_key).contains("SIGNET_GRPC_TLS_KEY): the file holds no private key"));
    }
}
