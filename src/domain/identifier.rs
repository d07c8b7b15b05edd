//! Email addresses, usernames and phone numbers. Each kind is its own look-up space, and the parser of each is the only
//! place that canonicalises it.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

/// Longest identifier as it arrives, in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 320;

/// The text is not an identifier of the wanted kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseIdentifierError {
    /// Nothing is left once surrounding space is removed.
    #[error("must not be empty")]
    Empty,
    /// Not an address such as `ada@example.com`.
    #[error("is not an email address such as ada@example.com")]
    Email,
    /// Not E.164.
    #[error("is not a phone number in E.164 form, `+` and 8 to 15 digits, such as +12025550123")]
    Phone,
    /// Longer than [`IDENTIFIER_BYTES_MAX`].
    #[error("must be at most {IDENTIFIER_BYTES_MAX} bytes long")]
    TooLong,
    /// Control characters or white space.
    #[error("must not contain white space or control characters")]
    Username,
}

/// Which look-up space an identifier belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum IdentifierKind {
    /// Email address.
    Email,
    /// Phone number.
    Phone,
    /// Username.
    Username,
}

impl IdentifierKind {
    /// The word for it in the database and in field names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone_number",
            Self::Username => "username",
        }
    }

    /// Reads the word from the database.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Email, Self::Phone, Self::Username].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A parsed identifier: what was given, and the one spelling by which it is compared.
#[derive(Clone, Eq, PartialEq)]
pub struct Identifier {
    kind: IdentifierKind,
    canonical: String,
    display: String,
}

impl Identifier {
    /// Reads an identifier of the given kind.
    pub fn parse(kind: IdentifierKind, text: &str) -> Result<Self, ParseIdentifierError> {
        if text.len() > IDENTIFIER_BYTES_MAX {
            return Err(ParseIdentifierError::TooLong);
        }
        let display = text.trim();
        if display.is_empty() {
            return Err(ParseIdentifierError::Empty);
        }
        let canonical = match kind {
            IdentifierKind::Email => canonical_email(display).ok_or(ParseIdentifierError::Email)?,
            IdentifierKind::Phone => canonical_phone(display).ok_or(ParseIdentifierError::Phone)?,
            IdentifierKind::Username => canonical_username(display).ok_or(ParseIdentifierError::Username)?,
        };
        // What is shown, sent to and put into tokens must be what was verified: another spelling may be another mailbox. Only
        // a username is a name, and is kept as its owner writes it.
        let display = if kind == IdentifierKind::Username { display.to_owned() } else { canonical.clone() };
        Ok(Self { kind, canonical, display })
    }

    /// Reads what a user typed as their name: an email address if it holds an `@`, a phone number if it starts with `+`,
    /// else a username.
    pub fn parse_login_id(text: &str) -> Result<Self, ParseIdentifierError> {
        let kind = match text.trim() {
            text if text.contains('@') => IdentifierKind::Email,
            text if text.starts_with('+') => IdentifierKind::Phone,
            _ => IdentifierKind::Username,
        };
        Self::parse(kind, text)
    }

    /// Rebuilds an identifier that was parsed before it was stored.
    pub fn from_stored(kind: IdentifierKind, canonical: String, display: String) -> Self {
        Self { kind, canonical, display }
    }

    /// Its look-up space.
    pub const fn kind(&self) -> IdentifierKind {
        self.kind
    }

    /// The spelling by which it is stored, found and counted.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The spelling to show: of a username as given, without surrounding space; of the others the canonical one.
    pub fn display(&self) -> &str {
        &self.display
    }
}

impl fmt::Debug for Identifier {
    /// Names the kind only: identifiers are personal data and stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({})", self.kind.as_str())
    }
}

/// NFKC and lower case, until neither changes anything.
fn fold(text: &str) -> String {
    let mut folded: String = text.nfkc().collect::<String>().to_lowercase();
    loop {
        let next: String = folded.nfkc().collect::<String>().to_lowercase();
        if next == folded {
            return folded;
        }
        folded = next;
    }
}

fn has_space_or_control(text: &str) -> bool {
    text.chars().any(|c| c.is_whitespace() || c.is_control() || is_invisible(c))
}

/// Characters that are not seen, with which one name could be spelled in two ways (Unicode `Default_Ignorable_Code_Point`).
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// RFC 5321 `Dot-string @ Domain` with UTF-8 (RFC 6531), the domain in ASCII form (UTS 46). No quoted local parts, no
/// address literals: nobody signs in with them, and they invite header tricks.
fn canonical_email(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let local = fold(local);
    let local_is_fine = !local.is_empty()
        && local.len() <= 64
        && !has_space_or_control(&local)
        && !local.contains(['"', '(', ')', ',', ':', ';', '<', '>', '@', '[', '\\', ']'])
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    // The strict form also enforces the lengths of DNS labels and LDH characters.
    let domain = idna::domain_to_ascii_strict(domain).ok()?;
    let domain_is_fine =
        !domain.is_empty() && domain.len() <= 253 && !domain.ends_with('.') && !domain.starts_with('.');
    (local_is_fine && domain_is_fine).then(|| format!("{local}@{domain}"))
}

/// E.164: `+`, a country code that does not start with 0, at most 15 digits in all.
fn canonical_phone(text: &str) -> Option<String> {
    let digits = text.strip_prefix('+')?;
    let digits: String = digits.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    let fine = (8..=15).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && !digits.starts_with('0');
    fine.then(|| format!("+{digits}"))
}

/// In the manner of `UsernameCaseMapped` (RFC 8265, section 3.3).
fn canonical_username(text: &str) -> Option<String> {
    let canonical = fold(text);
    (!canonical.is_empty() && !has_space_or_control(&canonical)).then_some(canonical)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(IdentifierKind::Email, " Ada@Example.COM ", "ada@example.com")]
    #[case(IdentifierKind::Email, "ada@BÜCHER.example", "ada@xn--bcher-kva.example")]
    #[case(IdentifierKind::Email, "ａｄａ@example.com", "ada@example.com")]
    #[case(IdentifierKind::Username, "ÅDA", "åda")]
    #[case(IdentifierKind::Username, "A\u{30A}da", "åda")]
    #[case(IdentifierKind::Username, "ＡＤＡ", "ada")]
    #[case(IdentifierKind::Phone, "+1 (202) 555-0123", "+12025550123")]
    fn spellings_meet_in_one(#[case] kind: IdentifierKind, #[case] text: &str, #[case] canonical: &str) {
        assert_eq!(Identifier::parse(kind, text).unwrap().canonical(), canonical);
    }

    #[rstest]
    #[case(IdentifierKind::Email, "ada")]
    #[case(IdentifierKind::Email, "@example.com")]
    #[case(IdentifierKind::Email, "ada@")]
    #[case(IdentifierKind::Email, "a da@example.com")]
    #[case(IdentifierKind::Email, "ada@example.com\r\nBcc: eve@example.com")]
    #[case(IdentifierKind::Email, "ada@exa mple.com")]
    #[case(IdentifierKind::Email, "ada\u{200B}@example.com")]
    #[case(IdentifierKind::Email, "eve@evil.example@example.com")]
    #[case(IdentifierKind::Username, "ada lovelace")]
    #[case(IdentifierKind::Username, "ada\0")]
    #[case(IdentifierKind::Username, "a\u{2060}da")]
    #[case(IdentifierKind::Phone, "2025550123")]
    #[case(IdentifierKind::Phone, "+0123456789")]
    #[case(IdentifierKind::Phone, "+1234567890123456")]
    fn nonsense_is_refused(#[case] kind: IdentifierKind, #[case] text: &str) {
        assert!(Identifier::parse(kind, text).is_err());
    }

    #[rstest]
    #[case("ada@example.com", IdentifierKind::Email)]
    #[case("+12025550123", IdentifierKind::Phone)]
    #[case("ada", IdentifierKind::Username)]
    fn a_login_id_tells_its_kind(#[case] text: &str, #[case] kind: IdentifierKind) {
        assert_eq!(Identifier::parse_login_id(text).unwrap().kind(), kind);
    }

    #[test]
    fn the_bound_is_320_bytes() {
        let longest = "u".repeat(IDENTIFIER_BYTES_MAX);
        assert!(Identifier::parse(IdentifierKind::Username, &longest).is_ok());
        assert_eq!(Identifier::parse(IdentifierKind::Username, &(longest + "u")), Err(ParseIdentifierError::TooLong));
    }

    proptest! {
        #[test]
        fn a_canonical_form_is_its_own(text in "\\PC{1,40}", domain in "[a-z]{1,9}\\.[a-z]{2,5}") {
            for (kind, text) in [(IdentifierKind::Username, text.clone()), (IdentifierKind::Email, format!("{text}@{domain}"))] {
                if let Ok(identifier) = Identifier::parse(kind, &text)
                    && identifier.canonical().len() <= IDENTIFIER_BYTES_MAX
                {
                    let again = Identifier::parse(kind, identifier.canonical()).unwrap();
                    prop_assert_eq!(again.canonical(), identifier.canonical());
                }
            }
        }
    }
}
