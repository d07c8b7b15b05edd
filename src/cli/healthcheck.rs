//! `signet healthcheck`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use clap::builder::{OsStringValueParser, TypedValueParser};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::Usage;

const EXAMPLES: &str = "\
Examples:
  signet healthcheck
  signet healthcheck --grpc-addr 10.0.0.7:50051
  signet healthcheck --tls-ca /etc/signet/ca.pem --tls-name auth.example.com

In a container: HEALTHCHECK CMD [\"signet\", \"healthcheck\"]. The address is taken from SIGNET_GRPC_ADDR, as `signet serve` \
takes it; what TLS needs, from the variables above, which `signet serve` passes over. Kubernetes can ask by itself, with a `grpc` probe, or `/readyz` of the operations listener.";

/// How long the service has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Ask a running service whether it takes calls (`grpc.health.v1`); exit code 0 if it does, 1 if not
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct HealthcheckArgs {
    /// Address of the gRPC listener
    #[arg(
        id = "grpc-addr",
        long = "grpc-addr",
        visible_alias = "addr",
        env = "SIGNET_GRPC_ADDR",
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:50051"
    )]
    address: String,
    /// Speak TLS, and trust the certificates in this PEM file
    #[arg(long, env = "SIGNET_HEALTHCHECK_TLS_CA", value_name = "PATH", value_parser = path())]
    tls_ca: Option<PathBuf>,
    /// Name in the certificate of the service, if it is not the host of the address
    #[arg(long, env = "SIGNET_HEALTHCHECK_TLS_NAME", value_name = "NAME", requires = "tls_ca")]
    tls_name: Option<String>,
    /// Certificate in PEM to show to the service (mutual TLS)
    #[arg(
        long,
        env = "SIGNET_HEALTHCHECK_TLS_CERT",
        value_name = "PATH",
        requires_all = ["tls_ca", "tls_key"],
        value_parser = path()
    )]
    tls_cert: Option<PathBuf>,
    /// Private key of that certificate, in PEM
    #[arg(
        long,
        env = "SIGNET_HEALTHCHECK_TLS_KEY",
        value_name = "PATH",
        requires = "tls_cert",
        value_parser = path()
    )]
    tls_key: Option<PathBuf>,
}

pub(super) async fn run(args: HealthcheckArgs) -> anyhow::Result<()> {
    let endpoint = args.endpoint()?.connect_timeout(TIMEOUT).timeout(TIMEOUT);
    let address = &args.address;
    let hint = if args.tls_ca.is_none() { "; if it speaks TLS, give --tls-ca (SIGNET_HEALTHCHECK_TLS_CA)" } else { "" };
    let connected = endpoint.connect().await;
    let channel: Channel = connected.with_context(|| format!("no service answers at {address}{hint}"))?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    // The text of a status alone: its debug form is for developers.
    let answer = answer.map_err(|status| anyhow!("{address} does not say how it is: {}{hint}", status.message()))?;
    let status = answer.into_inner().status();
    if status != ServingStatus::Serving {
        bail!("{address} takes no calls: {}", status.as_str_name());
    }
    Ok(())
}

impl HealthcheckArgs {
    fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let scheme = if self.tls_ca.is_some() { "https" } else { "http" };
        let refuse = || Usage(format!("--grpc-addr (SIGNET_GRPC_ADDR): {:?} is no HOST:PORT", self.address));
        let endpoint =
            Endpoint::from_shared(format!("{scheme}://{}", reachable(&self.address))).map_err(|_| refuse())?;
        if endpoint.uri().port_u16().is_none_or(|port| port == 0) {
            return Err(refuse().into());
        }
        let Some(ca) = &self.tls_ca else { return Ok(endpoint) };
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("tls-ca", ca)?));
        if let Some(name) = &self.tls_name {
            tls = tls.domain_name(name);
        }
        if let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) {
            tls = tls.identity(Identity::from_pem(read("tls-cert", cert)?, read("tls-key", key)?));
        }
        endpoint.tls_config(tls).map_err(|error| Usage(format!("the TLS files are not usable: {error}")).into())
    }
}

/// A service that listens on every address of the machine is reached on this one.
fn reachable(address: &str) -> String {
    match address.parse::<std::net::SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => format!("localhost:{}", address.port()),
        _ => address.to_owned(),
    }
}

/// Takes an empty path, too, which is refused as one that cannot be read: by the name of its variable, which is not made of the flag's
/// as those of settings are.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Usage> {
    let variable = flag.to_uppercase().replace('-', "_");
    fs::read(path).map_err(|error| {
        Usage(format!(
            "--{flag} (SIGNET_HEALTHCHECK_{variable}): cannot read {:?}: {error}",
            path.display().to_string()
        ))
    })
}
