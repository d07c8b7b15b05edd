//! The variables by which Kubernetes, and Docker before it, tell a container about services: `enableServiceLinks` of a pod.
//! Those of a service called `signet`, or `signet-...`, look like settings.

use std::net::{IpAddr, SocketAddr};

/// Whether a variable that begins with `SIGNET_` is such a link. Its value has to be of the form that belongs to the name, so
/// that a misspelt setting is not taken for one.
///
/// <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    if name.ends_with("_SERVICE_HOST") {
        return is_address(value);
    }
    // The second is of a port with a name.
    if name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return is_port(value);
    }
    if let Some((_, link)) = name.rsplit_once("_PORT_") {
        return is_port_link(link, value);
    }
    name.ends_with("_PORT") && ["tcp", "udp", "sctp"].iter().any(|protocol| url_port(protocol, value).is_some())
}

/// What follows on `SIGNET_PORT_`: `50051_TCP`, or `50051_TCP_ADDR`.
fn is_port_link(link: &str, value: &str) -> bool {
    let mut parts = link.split('_');
    let (Some(port), Some(protocol), about, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    if !is_port(port) || !["TCP", "UDP", "SCTP"].contains(&protocol) {
        return false;
    }
    let protocol = protocol.to_lowercase();
    match about {
        None => url_port(&protocol, value).is_some_and(|of_url| of_url.to_string() == port),
        Some("ADDR") => is_address(value),
        Some("PORT") => value == port,
        Some("PROTO") => value == protocol,
        Some(_) => false,
    }
}

/// The port of `tcp://10.0.0.1:50051`.
fn url_port(protocol: &str, url: &str) -> Option<u16> {
    let address: SocketAddr = url.strip_prefix(protocol)?.strip_prefix("://")?.parse().ok()?;
    Some(address.port())
}

fn is_address(value: &str) -> bool {
    value.parse::<IpAddr>().is_ok()
}

fn is_port(value: &str) -> bool {
    value.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_of_kubernetes_are_links() {
        for (name, value) in [
            ("SIGNET_PORT", "tcp://10.96.0.7:50051"),
            ("SIGNET_PORT", "tcp://[fd00::7]:50051"),
            ("SIGNET_SERVICE_HOST", "10.96.0.7"),
            ("SIGNET_SERVICE_HOST", "fd00::7"),
            ("SIGNET_SERVICE_PORT", "50051"),
            ("SIGNET_SERVICE_PORT_GRPC", "50051"),
            ("SIGNET_PORT_50051_TCP", "tcp://10.96.0.7:50051"),
            ("SIGNET_PORT_50051_TCP_PROTO", "tcp"),
            ("SIGNET_PORT_50051_TCP_PORT", "50051"),
            ("SIGNET_PORT_50051_TCP_ADDR", "10.96.0.7"),
            ("SIGNET_GRPC_PORT", "tcp://10.96.0.7:50051"),
            ("SIGNET_GRPC_SERVICE_HOST", "10.96.0.7"),
            ("SIGNET_GRPC_SERVICE_PORT_HTTP_REST", "8080"),
            ("SIGNET_GRPC_PORT_53_UDP", "udp://10.96.0.7:53"),
            // Of a service called `signet-port`.
            ("SIGNET_PORT_PORT_80_SCTP_ADDR", "10.96.0.7"),
        ] {
            assert!(is_service_link(name, value), "{name}={value}");
        }
    }

    #[test]
    fn what_a_person_may_have_meant_as_a_setting_is_no_link() {
        for (name, value) in [
            ("SIGNET_GRPC_ADDR", "10.96.0.7:50051"),
            ("SIGNET_GRPC_CLIENT_CAS", "/etc/signet/ca.pem"),
            ("SIGNET_GRPC_PORT", "50051"),
            ("SIGNET_GRPC_PORT", "https://10.96.0.7:50051"),
            ("SIGNET_GRPC_PORT", "tcp://db:50051"),
            ("SIGNET_PORT", ""),
            ("SIGNET_PORT", "0"),
            ("SIGNET_SERVICE_HOST", "auth.example.com"),
            ("SIGNET_SERVICE_PORT", "grpc"),
            ("SIGNET_SERVICE_PORT", "0"),
            ("SIGNET_PORT_50051_TCP", "tcp://10.96.0.7:50052"),
            ("SIGNET_PORT_50051_TCP", "udp://10.96.0.7:50051"),
            ("SIGNET_PORT_50051_TCP_PROTO", "udp"),
            ("SIGNET_PORT_50051_TCP_PORT", "8080"),
            ("SIGNET_PORT_50051_TCP_ADDR", "db"),
            ("SIGNET_PORT_50051_TCP_HOST", "10.96.0.7"),
            ("SIGNET_PORT_50051_TCP_ADDR_NEW", "10.96.0.7"),
            ("SIGNET_PORT_50051_QUIC", "quic://10.96.0.7:50051"),
            ("SIGNET_PORT_GRPC_TCP_ADDR", "10.96.0.7"),
            ("SIGNET_PORT_50051", "50051"),
        ] {
            assert!(!is_service_link(name, value), "{name}={value}");
        }
    }
}
