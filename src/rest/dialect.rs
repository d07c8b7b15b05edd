//! Which dialect does a request speak? By its path first, then by the form of its credentials.

use super::{
    canonical, descope,
    failure::Refusal,
    incoming::Head,
    reply::Reply,
    route::{Route, knows},
    stytch, transmit, workos,
};

/// A dialect: its routes, and its words for refusals.
pub(super) struct Dialect {
    /// Its name, in logs and tests.
    pub(super) name: &'static str,
    pub(super) routes: &'static [Route],
    pub(super) refuse: fn(&Head, Refusal) -> Reply,
}

/// All dialects.
pub(super) const DIALECTS: [fn() -> &'static Dialect; 5] =
    [|| &canonical::DIALECT, || &workos::DIALECT, || &stytch::DIALECT, || &descope::DIALECT, || &transmit::DIALECT];

/// The dialect of a request. Every path belongs to exactly one for given credentials; a path that nobody knows is answered in the
/// words of the canonical one.
pub(super) fn dialect_of(head: &Head) -> &'static Dialect {
    let path = head.path.as_str();
    let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if ["/api", "/.well-known", "/projects"].into_iter().any(below) {
        return &canonical::DIALECT;
    }
    if ["/user_management", "/sso", "/organizations", "/auth"].into_iter().any(below) {
        return &workos::DIALECT;
    }
    // Fetched without credentials.
    if below("/sdk") || below("/v1/sessions/jwks") {
        return &stytch::DIALECT;
    }
    if ["/cis", "/oidc", "/loginPreferences"].into_iter().any(below) {
        return &transmit::DIALECT;
    }
    if below("/v2") || below("/v1/keys") || below("/v1/mgmt") {
        return &descope::DIALECT;
    }
    if !below("/v1") {
        return &canonical::DIALECT;
    }
    if head.basic().is_some() {
        return &stytch::DIALECT;
    }
    if head.bearer().is_some_and(names_a_descope_project) {
        return &descope::DIALECT;
    }
    if head.bearer().is_some() {
        return &transmit::DIALECT;
    }
    // Without credentials it will be refused: in the words of whoever alone knows the call, or else the path with another method.
    let only = |method| {
        let mut known = [&stytch::DIALECT, &descope::DIALECT, &transmit::DIALECT]
            .into_iter()
            .filter(|dialect| knows(dialect.routes, method, path));
        known.next().filter(|_| known.next().is_none())
    };
    only(Some(&head.method)).or_else(|| only(None)).unwrap_or(&transmit::DIALECT)
}

/// True for `P<27 characters>[:...]` (Descope contract, section 2): also for a project that cannot be ours, such as one of the vendor
/// itself, so that its libraries are told so in words that they know.
fn names_a_descope_project(bearer: &str) -> bool {
    let project = bearer.split(':').next().unwrap_or_default();
    project.len() == 28 && project.starts_with('P') && project.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests;
