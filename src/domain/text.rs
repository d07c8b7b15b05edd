//! Short texts for people, and language tags.

use super::user::LOCALE_BYTES_MAX;

/// The text cannot be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseTextError {
    /// Not of the form of a BCP 47 tag.
    #[error("must be a BCP 47 language tag of at most {LOCALE_BYTES_MAX} bytes, such as en or pt-BR")]
    NotLocale,
    /// Too long, or not for people.
    #[error("must be at most {bytes_max} bytes without control characters")]
    NotShort {
        /// Longest text, in bytes.
        bytes_max: usize,
    },
}

/// Takes a text of bounded length without control characters.
pub fn parse_short(text: &str, bytes_max: usize) -> Result<String, ParseTextError> {
    let is_fine = text.len() <= bytes_max && !text.chars().any(char::is_control);
    if is_fine { Ok(text.to_owned()) } else { Err(ParseTextError::NotShort { bytes_max }) }
}

/// Takes a language tag of the form of BCP 47 (RFC 5646, section 2.1): a language of 2 to 8 letters, then subtags of 1 to 8
/// letters and digits. Whether they are registered is nobody's business here.
pub fn parse_locale(text: &str) -> Result<String, ParseTextError> {
    let mut subtags = text.split('-');
    let language = subtags.next().unwrap_or_default();
    let is_tag = text.len() <= LOCALE_BYTES_MAX
        && (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && subtags.all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if is_tag { Ok(text.to_owned()) } else { Err(ParseTextError::NotLocale) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_tag_has_the_form_of_bcp_47() {
        for tag in ["en", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske-1994", "de-a-b", "de-12345678-12345678-12345678-12345"]
        {
            assert_eq!(parse_locale(tag).unwrap(), tag);
        }
        let too_long = "de-12345678-12345678-12345678-123456";
        for text in [
            "",
            "e",
            "english99",
            "languages",
            "1n",
            "en_GB",
            "en-",
            "-en",
            "en--GB",
            "en-123456789",
            "é",
            "en GB",
            too_long,
        ] {
            assert_eq!(parse_locale(text), Err(ParseTextError::NotLocale), "{text}");
        }
    }

    #[test]
    fn a_short_text_is_bounded_in_bytes_and_has_no_control_characters() {
        assert_eq!(parse_short("éé", 4).unwrap(), "éé");
        for text in ["ééé", "a\nb", "\u{85}"] {
            assert_eq!(parse_short(text, 4), Err(ParseTextError::NotShort { bytes_max: 4 }), "{text:?}");
        }
    }
}
