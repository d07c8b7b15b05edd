use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use url::Url;

use super::{ConfigError, Setting, value};

/// Where the service listens and where it is reached.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Listeners")]
pub struct ListenConfig {
    /// Address of the gRPC listener; port 0 takes a free one
    #[arg(
        id = "grpc-addr",
        long = "grpc-addr",
        env = "SIGNET_GRPC_ADDR",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:50051",
        value_parser = value::socket_address
    )]
    pub grpc_addr: SocketAddr,

    /// The listeners beside it.
    #[command(flatten)]
    pub edge: EdgeConfig,

    /// URL under which the outside world reaches the service: base of the tokens' issuer and of links in mails; by default `http://localhost` with the port of the REST listener
    #[arg(id = "public-url", long = "public-url", env = "SIGNET_PUBLIC_URL", value_name = "URL")]
    public_url: Option<PublicUrl>,
}

/// The listeners that `signet serve` and `signet gateway` both have.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Listeners")]
pub struct EdgeConfig {
    /// Address of the REST listener; port 0 takes a free one
    #[arg(
        id = "rest-addr",
        long = "rest-addr",
        env = "SIGNET_REST_ADDR",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8080",
        value_parser = value::socket_address
    )]
    pub rest_addr: SocketAddr,

    /// Address of the operations listener (health and metrics, plain HTTP); port 0 takes a free one
    #[arg(
        id = "ops-addr",
        long = "ops-addr",
        env = "SIGNET_OPS_ADDR",
        value_name = "IP:PORT",
        default_value = "127.0.0.1:9090",
        value_parser = value::socket_address
    )]
    pub ops_addr: SocketAddr,

    /// How long a service that was told to stop takes requests on, while it says that it is not ready: as long as whoever sends it requests may take to notice
    #[arg(
        id = "stop-delay",
        long = "stop-delay",
        env = "SIGNET_STOP_DELAY",
        value_name = "DURATION",
        default_value = "0s",
        value_parser = value::duration(0..=600)
    )]
    pub stop_delay: Duration,

    /// How long a stop waits after that for requests that are still running
    #[arg(
        id = "drain-timeout",
        long = "drain-timeout",
        env = "SIGNET_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "20s",
        value_parser = value::duration(0..=3600)
    )]
    pub drain_timeout: Duration,
}

impl EdgeConfig {
    /// Listeners that share a port, with each other or with `others`.
    pub(super) fn problems(&self, others: &[(&'static str, SocketAddr)]) -> Vec<ConfigError> {
        let own = [("rest-addr", self.rest_addr), ("ops-addr", self.ops_addr)];
        let addresses: Vec<_> = others.iter().copied().chain(own).collect();
        let taken = |index: usize, address: SocketAddr| {
            address.port() != 0 && addresses[..index].iter().any(|(_, other)| *other == address)
        };
        let refuse = |(_, (name, address)): (usize, &(&'static str, SocketAddr))| {
            ConfigError::malformed(
                Setting::new(name),
                format!("{address} is also the address of another listener; give each a port of its own"),
            )
        };
        addresses.iter().enumerate().filter(|(index, (_, address))| taken(*index, *address)).map(refuse).collect()
    }
}

impl ListenConfig {
    /// Where the service is reached, once the REST listener is bound to `rest`.
    pub fn public_url(&self, rest: SocketAddr) -> PublicUrl {
        self.public_url.clone().unwrap_or_else(|| PublicUrl(format!("http://localhost:{}", rest.port())))
    }

    /// Whether it has been said where the service is reached.
    pub(super) const fn has_public_url(&self) -> bool {
        self.public_url.is_some()
    }

    /// Whether what is sent to the public URL that was set travels unencrypted.
    pub(super) fn is_reached_unencrypted(&self) -> bool {
        self.public_url.as_ref().is_some_and(PublicUrl::is_unencrypted)
    }

    pub(super) fn problems(&self) -> Vec<ConfigError> {
        self.edge.problems(&[("grpc-addr", self.grpc_addr)])
    }
}

/// An absolute `http` or `https` URL without credentials, query and fragment, and without a slash at its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicUrl(String);

/// Why a text is no [`PublicUrl`].
#[derive(Debug, thiserror::Error)]
#[error("must be an absolute http or https URL without user, query and fragment, such as https://auth.example.com")]
pub struct NotPublicUrl;

impl PublicUrl {
    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_unencrypted(&self) -> bool {
        self.0.starts_with("http://")
    }
}

impl FromStr for PublicUrl {
    type Err = NotPublicUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| NotPublicUrl)?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.has_host();
        if !plain || !matches!(url.scheme(), "http" | "https") {
            return Err(NotPublicUrl);
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_loses_the_slash_at_its_end() {
        for (text, kept) in [
            ("http://localhost:8080", "http://localhost:8080"),
            ("https://AUTH.example.com:443/", "https://auth.example.com"),
            ("https://example.com/auth//", "https://example.com/auth"),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().as_str(), kept);
        }
    }

    #[test]
    fn without_a_public_url_it_is_the_rest_listener_on_this_machine() {
        let mut config: ListenConfig = super::super::defaults();
        let rest = "127.0.0.1:4711".parse().unwrap();
        assert_eq!(config.public_url(rest).as_str(), "http://localhost:4711");
        config.public_url = Some("https://auth.example.com".parse().unwrap());
        assert_eq!(config.public_url(rest).as_str(), "https://auth.example.com");
    }

    #[test]
    fn a_url_that_cannot_be_an_issuer_is_refused() {
        for text in [
            "",
            "localhost:8080",
            "/auth",
            "ftp://example.com",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "https://example.com?",
            "https://me:secret@example.com",
        ] {
            assert!(text.parse::<PublicUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn two_listeners_cannot_share_a_port() {
        let mut config: ListenConfig = super::super::defaults();
        assert!(config.problems().is_empty());
        config.edge.ops_addr = config.grpc_addr;
        assert!(config.problems()[0].to_string().starts_with("--ops-addr (SIGNET_OPS_ADDR): 127.0.0.1:50051"));
        (config.edge.ops_addr, config.grpc_addr) = ("127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap());
        assert!(config.problems().is_empty(), "port 0 is a different port each time");
    }
}
