use std::time::Duration;

use super::value;
use crate::id_form;

/// Settings of the REST listener.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "REST")]
pub struct RestConfig {
    /// Largest body of a request, in bytes
    #[arg(
        id = "rest-body-bytes",
        long = "rest-body-bytes",
        env = "SIGNET_REST_BODY_BYTES",
        value_name = "BYTES",
        default_value = "262144",
        value_parser = clap::value_parser!(u32).range(4096..=16_777_216)
    )]
    pub body_bytes: u32,

    /// Largest sum of a request's headers, in bytes
    #[arg(
        id = "rest-header-bytes",
        long = "rest-header-bytes",
        env = "SIGNET_REST_HEADER_BYTES",
        value_name = "BYTES",
        default_value = "16384",
        value_parser = clap::value_parser!(u32).range(8192..=1_048_576)
    )]
    pub header_bytes: u32,

    /// How long a connection may take to send the headers of a request, and lie idle between two
    #[arg(
        id = "rest-header-timeout",
        long = "rest-header-timeout",
        env = "SIGNET_REST_HEADER_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = value::duration(1..=600)
    )]
    pub header_timeout: Duration,

    /// How long a request may take, its body included
    #[arg(
        id = "rest-deadline",
        long = "rest-deadline",
        env = "SIGNET_REST_DEADLINE",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = value::duration(1..=600)
    )]
    pub deadline: Duration,

    /// Most connections at the same time; beyond it the one idle longest makes room
    #[arg(
        id = "rest-connections",
        long = "rest-connections",
        env = "SIGNET_REST_CONNECTIONS",
        value_name = "COUNT",
        default_value = "4096",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub connections: u32,

    /// Age at which a connection is asked to go, so that none stays for ever
    #[arg(
        id = "rest-connection-age",
        long = "rest-connection-age",
        env = "SIGNET_REST_CONNECTION_AGE",
        value_name = "DURATION",
        default_value = "30m",
        value_parser = value::duration(10..=604_800)
    )]
    pub connection_age: Duration,

    /// Project whose keys and metadata lie at `/.well-known`, beside those below each project; by default the only project there is
    #[arg(
        id = "default-project",
        long = "default-project",
        env = "SIGNET_DEFAULT_PROJECT",
        value_name = "PROJECT",
        value_parser = project_id
    )]
    pub default_project: Option<String>,
}

fn project_id(text: &str) -> Result<String, &'static str> {
    let id = id_form::parse_canonical("project", text);
    id.map(|_| text.to_owned()).ok_or("must be the id of a project, as `signet project list` shows it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_project_is_an_id() {
        assert!(project_id("project_01M7ZZMBGZEXJTRRC87K87YW5F").is_ok());
        assert!(project_id("Shop").is_err() && project_id("").is_err());
    }
}
