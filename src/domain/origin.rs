//! Origins of web pages (RFC 6454), as a browser sends them.

use url::{Host, Url};

use super::project::URI_BYTES_MAX;

/// Ends an origin that stands for every port.
const ANY_PORT: &str = ":*";

/// The text is not an origin that a project can allow.
#[derive(Debug, thiserror::Error)]
#[error(
    "must be origins as a browser sends them, in lower case and without a path, such as `https://app.example.com`; `http`, and `:*` for \
     any port, are for loopback"
)]
pub(super) struct ParseOriginError;

/// Checks an origin that a project allows. It has to be written as a browser writes it, or it would never be met: without the
/// default port, with an international name in its ASCII form.
pub(super) fn parse_allowed_origin(text: &str) -> Result<(), ParseOriginError> {
    let (origin, any_port) = match text.strip_suffix(ANY_PORT) {
        Some(origin) => (origin, true),
        None => (text, false),
    };
    let url = Url::parse(origin).map_err(|_| ParseOriginError)?;
    let loopback = is_loopback(&url);
    let scheme_is_fine = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    let port_is_fine = !any_port || (loopback && url.port().is_none());
    let is_fine =
        text.len() <= URI_BYTES_MAX && scheme_is_fine && port_is_fine && url.origin().ascii_serialization() == origin;
    if is_fine { Ok(()) } else { Err(ParseOriginError) }
}

/// True if what a browser sent is the origin that is allowed.
pub(super) fn is_allowed(allowed: &str, sent: &str) -> bool {
    let Some(base) = allowed.strip_suffix(ANY_PORT) else { return allowed == sent };
    // No port is the scheme's own.
    sent.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
}

fn is_port(text: &str) -> bool {
    !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// True if nothing leaves the machine on the way there.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::https("https://app.example.com", true)]
    #[case::a_port("https://app.example.com:8443", true)]
    #[case::loopback("http://localhost:3000", true)]
    #[case::loopback_with_any_port("http://localhost:*", true)]
    #[case::an_address_with_any_port("http://127.0.0.1:*", true)]
    #[case::the_other_family("http://[::1]:*", true)]
    #[case::encrypted_loopback("https://localhost:*", true)]
    #[case::anybody_on_the_way("http://app.example.com", false)]
    #[case::any_port_elsewhere("https://app.example.com:*", false)]
    #[case::two_ports("http://localhost:3000:*", false)]
    #[case::the_default_port("https://app.example.com:443", false)]
    #[case::upper_case("https://App.example.com", false)]
    #[case::a_slash("https://app.example.com/", false)]
    #[case::a_path("https://app.example.com/login", false)]
    #[case::a_query("https://app.example.com?x", false)]
    #[case::a_user("https://somebody@app.example.com", false)]
    #[case::an_international_name("https://äpp.example", false)]
    #[case::another_spelling_of_an_address("http://127.1:*", false)]
    #[case::every_host("https://*.example.com:*", false)]
    #[case::a_wildcard("*", false)]
    #[case::null("null", false)]
    #[case::nothing("", false)]
    #[case::only_a_port(":*", false)]
    #[case::a_file("file://", false)]
    fn what_can_be_allowed(#[case] text: &str, #[case] fine: bool) {
        assert_eq!(parse_allowed_origin(text).is_ok(), fine);
    }

    #[rstest]
    #[case("https://app.example.com", "https://app.example.com", true)]
    #[case("https://app.example.com", "https://app.example.com:8443", false)]
    #[case("https://app.example.com", "https://app.example.com.evil.example", false)]
    #[case("https://app.example.com", "http://app.example.com", false)]
    #[case("http://localhost:*", "http://localhost:3000", true)]
    #[case("http://localhost:*", "http://localhost", true)]
    #[case("http://localhost:*", "https://localhost:3000", false)]
    #[case("http://localhost:*", "http://localhost.evil.example:3000", false)]
    #[case("http://localhost:*", "http://localhost:3000.evil.example", false)]
    #[case("http://localhost:*", "http://localhost:", false)]
    #[case("http://localhost:*", "http://localhost:65536", false)]
    #[case("http://localhost:*", "http://localhost:+80", false)]
    #[case("http://localhost:*", "http://localhost:*", false)]
    #[case("http://localhost:*", "null", false)]
    fn what_is_allowed(#[case] allowed: &str, #[case] sent: &str, #[case] expected: bool) {
        assert_eq!(is_allowed(allowed, sent), expected);
    }
}
