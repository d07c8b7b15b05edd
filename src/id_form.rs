//! The forms in which ids are shown, each a reversible encoding of the UUID inside, so that no look-up table is needed: our own, which
//! is also that of `WorkOS`, and those that the client libraries of other vendors know.

use ulid::Ulid;
use uuid::Uuid;

/// Characters of an id in the form of Descope, without its prefix.
const DESCOPE_CHARACTERS: usize = 27;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Our own form: `<prefix>_` and a ULID of 26 characters.
pub fn canonical(prefix: &str, id: Uuid) -> String {
    format!("{prefix}_{}", Ulid::from_bytes(*id.as_bytes()))
}

/// Reads [`canonical`]. One id has one spelling: lower case, look-alike letters and overflow are refused.
pub fn parse_canonical(prefix: &str, text: &str) -> Option<Uuid> {
    let encoded = text.strip_prefix(prefix)?.strip_prefix('_')?;
    let id = Ulid::from_string(encoded).ok()?;
    (id.to_string() == encoded).then(|| Uuid::from_bytes(id.to_bytes()))
}

/// The form of Stytch: `<kind>-live-<UUID>` (contract section 2).
pub fn stytch(kind: &str, id: Uuid) -> String {
    format!("{kind}-live-{}", id.hyphenated())
}

/// Reads [`stytch`], with `test` in the place of `live` too: an application may have it in its settings from before.
pub fn parse_stytch(kind: &str, text: &str) -> Option<Uuid> {
    let rest = text.strip_prefix(kind)?.strip_prefix('-')?;
    let id = rest.strip_prefix("live-").or_else(|| rest.strip_prefix("test-"))?;
    Uuid::try_parse(id).ok().filter(|parsed| parsed.hyphenated().to_string() == id)
}

/// The form of Descope: a letter and 27 characters of base 62 (contract section 1).
pub fn descope(prefix: char, id: Uuid) -> String {
    let mut rest = id.as_u128();
    let mut digits = [BASE62[0]; DESCOPE_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
    }
    std::iter::once(prefix).chain(digits.into_iter().map(char::from)).collect()
}

/// Reads [`descope`].
pub fn parse_descope(prefix: char, text: &str) -> Option<Uuid> {
    let digits = text.strip_prefix(prefix)?.as_bytes();
    if digits.len() != DESCOPE_CHARACTERS {
        return None;
    }
    digits
        .iter()
        .try_fold(0_u128, |value, digit| {
            let digit = BASE62.iter().position(|known| known == digit)?;
            value.checked_mul(62)?.checked_add(u128::try_from(digit).ok()?)
        })
        .map(Uuid::from_u128)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_form_is_reversible(raw: u128) {
            let id = Uuid::from_u128(raw);
            prop_assert_eq!(parse_canonical("user", &canonical("user", id)), Some(id));
            prop_assert_eq!(parse_stytch("user", &stytch("user", id)), Some(id));
            prop_assert_eq!(parse_descope('U', &descope('U', id)), Some(id));
        }

        #[test]
        fn what_parses_is_the_only_spelling(text in "U[0-9A-Za-z]{26,28}|user-live-[0-9a-fA-F-]{36}") {
            if let Some(id) = parse_descope('U', &text) {
                prop_assert_eq!(&descope('U', id), &text);
            }
            if let Some(id) = parse_stytch("user", &text) {
                prop_assert_eq!(&stytch("user", id), &text);
            }
        }
    }

    #[test]
    fn an_id_of_another_kind_or_form_is_refused() {
        let id = Uuid::from_u128(7);
        assert_eq!(parse_descope('P', &descope('U', id)), None);
        assert_eq!(parse_stytch("session", &stytch("user", id)), None);
        assert_eq!(parse_stytch("user", "user-test-00000000-0000-0000-0000-000000000007"), Some(id));
        assert_eq!(parse_stytch("user", "user-live-00000000000000000000000000000007"), None);
        assert_eq!(parse_descope('U', &format!("U{}", "z".repeat(27))), None, "more than 128 bits");
        assert_eq!(descope('P', id).len(), 28);
    }
}
