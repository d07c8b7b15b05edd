//! The id of a request, in both directions and in front of both APIs.

use http::{HeaderMap, HeaderName, HeaderValue};
use ulid::Ulid;

use crate::random::Random;

/// Header with the id of a request.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken from a caller, in bytes.
const BYTES_MAX: usize = 128;

/// The caller's own id if it is well-formed, else a new one.
pub fn of(headers: &HeaderMap, random: &Random) -> String {
    headers.get(HEADER).and_then(well_formed).unwrap_or_else(|| generate(random))
}

/// A new id, also for what this service does of its own accord.
pub fn generate(random: &Random) -> String {
    Ulid::from_bytes(random.bytes()).to_string()
}

/// Letters, digits, `-`, `_` and `.`: what can stand in a log, a table and a header as it is.
fn well_formed(id: &HeaderValue) -> Option<String> {
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_fine = (1..=BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(fine);
    is_fine.then(|| id.to_str().ok().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a-request_1.2", true)]
    #[case(&"x".repeat(BYTES_MAX), true)]
    #[case(&"x".repeat(BYTES_MAX + 1), false)]
    #[case("", false)]
    #[case("two words", false)]
    #[case("a\tb", false)]
    #[case("é", false)]
    fn a_callers_id_is_kept_if_it_is_well_formed(#[case] id: &str, #[case] kept: bool) {
        let headers = HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(id.as_bytes()).unwrap())]);
        assert_eq!(of(&headers, &Random::seeded(1)) == id, kept);
    }
}
