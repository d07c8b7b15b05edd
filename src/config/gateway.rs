use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use url::Url;
use zeroize::Zeroizing;

use super::{
    ConfigError, ConfigErrors, Setting, grpc, listen::EdgeConfig, rest::RestConfig, secret, telemetry::TelemetryConfig,
};

const UPSTREAM: Setting = Setting::new("upstream");
const CA: Setting = Setting::new("upstream-ca");
const NAME: Setting = Setting::new("upstream-name");
const CERT: Setting = Setting::new("upstream-cert");
const KEY: Setting = Setting::new("upstream-key");

/// The settings of `signet gateway`.
#[derive(clap::Args, Clone, Debug)]
pub struct GatewayConfig {
    /// The way to the gRPC API.
    #[command(flatten)]
    pub upstream: UpstreamConfig,
    /// Listeners.
    #[command(flatten)]
    pub edge: EdgeConfig,
    /// The REST listener.
    #[command(flatten)]
    pub rest: RestConfig,
    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
}

impl GatewayConfig {
    /// Checks what no single value can tell, reads the files that settings name, and returns every problem found.
    pub fn validate(&self) -> Result<(), ConfigErrors> {
        let mut problems = Vec::new();
        problems.extend(self.upstream.target().err());
        problems.extend(self.edge.problems(&[]));
        if problems.is_empty() { Ok(()) } else { Err(ConfigErrors(problems)) }
    }
}

/// Where the gRPC API is, and how to trust it.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Gateway")]
pub struct UpstreamConfig {
    /// The gRPC API that `signet gateway` stands in front of, such as `https://auth.internal:50051`
    #[arg(id = "upstream", long = "upstream", env = "SIGNET_UPSTREAM", value_name = "URL")]
    url: Option<String>,

    /// Certificates in PEM of which one must have signed that of the gRPC API; by default those of the system
    #[arg(id = "upstream-ca", long = "upstream-ca", env = "SIGNET_UPSTREAM_CA", value_name = "PATH")]
    ca: Option<PathBuf>,

    /// Name in the certificate of the gRPC API, if it is not the host of its URL
    #[arg(id = "upstream-name", long = "upstream-name", env = "SIGNET_UPSTREAM_NAME", value_name = "NAME")]
    name: Option<String>,

    /// Certificate chain in PEM to show to the gRPC API (mutual TLS)
    #[arg(id = "upstream-cert", long = "upstream-cert", env = "SIGNET_UPSTREAM_CERT", value_name = "PATH")]
    cert: Option<PathBuf>,

    /// Private key of that certificate, in PEM
    #[arg(id = "upstream-key", long = "upstream-key", env = "SIGNET_UPSTREAM_KEY", value_name = "PATH")]
    key: Option<PathBuf>,
}

/// The gRPC API, as the settings say.
pub struct Target {
    /// Scheme, host and port.
    pub url: Url,
    /// What TLS needs; `None` for plain text.
    pub tls: Option<TargetTls>,
}

/// How to trust the gRPC API, in PEM: read, and parsed once.
pub struct TargetTls {
    /// Authorities to trust; none for those of the system.
    pub ca: Option<Vec<u8>>,
    /// Name in the certificate, if it is not the host.
    pub name: Option<String>,
    /// Certificate chain and private key to show.
    pub identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

impl UpstreamConfig {
    /// Where the calls go. Reads the files.
    pub fn target(&self) -> Result<Target, ConfigError> {
        let hint = "is needed; give the gRPC API, such as `https://auth.internal:50051`";
        let text = self.url.as_deref().ok_or(ConfigError::Missing { setting: UPSTREAM, hint })?;
        let refuse = || ConfigError::malformed(UPSTREAM, "must be http://HOST:PORT or https://HOST:PORT");
        let url = Url::parse(text).map_err(|_| refuse())?;
        let plain =
            url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
        if !plain || !url.has_host() || url.path() != "/" {
            return Err(refuse());
        }
        match url.scheme() {
            "https" => Ok(Target { tls: Some(self.tls()?), url }),
            "http" => {
                let given = [
                    (CA, self.ca.is_some()),
                    (NAME, self.name.is_some()),
                    (CERT, self.cert.is_some()),
                    (KEY, self.key.is_some()),
                ];
                match given.into_iter().find(|(_, given)| *given) {
                    Some((setting, _)) => {
                        Err(ConfigError::malformed(setting, "is for TLS; give an https URL to --upstream"))
                    }
                    None => Ok(Target { url, tls: None }),
                }
            }
            _ => Err(refuse()),
        }
    }

    /// Whether passwords leave this machine in plain text.
    pub fn is_unencrypted(&self) -> bool {
        self.target().is_ok_and(|target| {
            let host = target.url.host_str().unwrap_or_default();
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            target.tls.is_none() && host != "localhost" && !address.is_ok_and(|address| address.is_loopback())
        })
    }

    fn tls(&self) -> Result<TargetTls, ConfigError> {
        let ca = self.ca.as_deref().map(|path| secret::read_file(CA, path)).transpose()?;
        if let Some(ca) = &ca {
            grpc::certificates(CA, ca)?;
        }
        let identity = match (&self.cert, &self.key) {
            (None, None) => None,
            (None, Some(_)) => return Err(missing(CERT, "is needed with --upstream-key")),
            (Some(_), None) => return Err(missing(KEY, "is needed with --upstream-cert")),
            (Some(cert), Some(key)) => Some(identity(cert, key)?),
        };
        Ok(TargetTls { ca: ca.map(|pem| pem.to_vec()), name: self.name.clone(), identity })
    }
}

fn missing(setting: Setting, hint: &'static str) -> ConfigError {
    ConfigError::Missing { setting, hint }
}

fn identity(cert: &Path, key: &Path) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), ConfigError> {
    let (cert, key) = (secret::read_file(CERT, cert)?.to_vec(), secret::read_file(KEY, key)?);
    grpc::certificates(CERT, &cert)?;
    PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| ConfigError::malformed(KEY, "the file holds no private key in PEM"))?;
    Ok((cert, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> UpstreamConfig {
        UpstreamConfig { url: Some(url.to_owned()), ..super::super::defaults() }
    }

    fn problem(config: &UpstreamConfig) -> String {
        config.target().err().unwrap().to_string()
    }

    #[test]
    fn an_upstream_is_a_host_and_a_port() {
        assert!(problem(&super::super::defaults()).starts_with("--upstream (SIGNET_UPSTREAM): is needed"));
        for url in ["auth:50051", "ftp://auth", "https://auth/path", "https://me@auth", "https://auth?a", "https://"] {
            assert!(problem(&config(url)).contains("must be http://HOST:PORT"), "{url}");
        }
        assert!(config("http://auth:50051").target().unwrap().tls.is_none());
        assert!(config("https://auth:50051").target().unwrap().tls.is_some());
    }

    #[test]
    fn plain_text_is_noticed_unless_it_stays_on_this_machine() {
        for (url, unencrypted) in [
            ("http://auth:50051", true),
            ("http://10.0.0.7:50051", true),
            ("http://localhost:50051", false),
            ("http://127.0.0.1:50051", false),
            ("http://[::1]:50051", false),
            ("https://auth:50051", false),
        ] {
            assert_eq!(config(url).is_unencrypted(), unencrypted, "{url}");
        }
    }

    #[test]
    fn files_for_tls_need_tls_and_each_other() {
        let path = || Some(PathBuf::from("/nowhere"));
        let plain = UpstreamConfig { ca: path(), ..config("http://auth:50051") };
        assert!(problem(&plain).starts_with("--upstream-ca (SIGNET_UPSTREAM_CA): is for TLS"));
        let half = UpstreamConfig { key: path(), ..config("https://auth:50051") };
        assert!(problem(&half).starts_with("--upstream-cert (SIGNET_UPSTREAM_CERT): is needed"));
        let half = UpstreamConfig { cert: path(), ..config("https://auth:50051") };
        assert!(problem(&half).starts_with("--upstream-key (SIGNET_UPSTREAM_KEY): is needed"));
        let gone = UpstreamConfig { ca: path(), ..config("https://auth:50051") };
        assert!(problem(&gone).contains("SIGNET_UPSTREAM_CA): cannot read"));
    }
}
