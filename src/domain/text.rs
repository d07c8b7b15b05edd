//! Short texts for people, language tags, addresses of pictures, and names that applications give.

use url::Url;

use super::user::{EXTERNAL_ID_BYTES_MAX, LOCALE_BYTES_MAX, URL_BYTES_MAX};

/// The text cannot be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseTextError {
    /// Not what an application may call a user.
    #[error("must be 1 to {EXTERNAL_ID_BYTES_MAX} printable ASCII characters")]
    NotExternalId,
    /// Not of the form of a BCP 47 tag.
    #[error("must be a BCP 47 language tag of at most {LOCALE_BYTES_MAX} bytes, such as en or pt-BR")]
    NotLocale,
    /// Too long, or not for people.
    #[error("must be at most {bytes_max} bytes without control characters")]
    NotShort {
        /// Longest text, in bytes.
        bytes_max: usize,
    },
    /// Not the address of something on the web.
    #[error("must be an http or https URL of at most {URL_BYTES_MAX} bytes")]
    NotWebUrl,
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

/// Takes what an application calls a user.
pub fn parse_external_id(text: &str) -> Result<String, ParseTextError> {
    let is_fine =
        (1..=EXTERNAL_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_fine { Ok(text.to_owned()) } else { Err(ParseTextError::NotExternalId) }
}

/// Takes the address of something on the web, as it is written. Pages show what is there: nothing but http and https may be.
pub fn parse_web_url(text: &str) -> Result<String, ParseTextError> {
    // The parser forgives white space and control characters; whoever is given the text may not.
    let is_plain = text.len() <= URL_BYTES_MAX && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if is_plain && Url::parse(text).as_ref().is_ok_and(is_web) {
        Ok(text.to_owned())
    } else {
        Err(ParseTextError::NotWebUrl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_is_printable_ascii_and_not_empty() {
        for text in ["a", "crm|42 (old)", "~", &"x".repeat(128)] {
            assert_eq!(parse_external_id(text).unwrap(), text);
        }
        for text in ["", "é", "a\nb", "a\u{7f}", &"x".repeat(129)] {
            assert_eq!(parse_external_id(text), Err(ParseTextError::NotExternalId), "{text:?}");
        }
    }

    #[test]
    fn a_picture_is_somewhere_on_the_web() {
        let longest = format!("https://a.example/{}", "x".repeat(2048 - 18));
        for text in ["https://a.example/ada.png", "http://a.example:8080/?size=2#top", "HTTPS://a.example", &longest] {
            assert_eq!(parse_web_url(text).unwrap(), text);
        }
        let too_long = format!("{longest}x");
        for text in [
            "",
            "ada.png",
            "//a.example/",
            "javascript:alert(1)",
            "data:,x",
            "ftp://a.example/",
            "https://a.example/a b",
            "https:// a.example/",
            "https://a.example/\n",
            "https://",
            &too_long,
        ] {
            assert_eq!(parse_web_url(text), Err(ParseTextError::NotWebUrl), "{text:?}");
        }
    }

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
