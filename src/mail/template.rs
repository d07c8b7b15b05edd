//! What mails look like: a text part and an HTML part with the same words.
//!
//! Nothing in a mail comes from a request except what the [`Message`] holds, and that is cleaned and escaped here. Mails with
//! a code have no links: a reader types the code where they were asked for it, and cannot be sent anywhere by the mail. A
//! link leads to a page of the project's settings, and is shown as what it is.

use std::fmt;

use super::template::words::{Language, Words};
use crate::domain::message::Message;

mod words;

/// Name of the sender where a project has no name that can be shown.
const NAMELESS: &str = "Signet";

/// A mail with its words, ready to send. Holds secrets, and has no `Debug` that shows them.
#[derive(Clone)]
pub struct RenderedMail {
    /// Subject: one line, without control characters.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML document.
    pub html: String,
    /// BCP 47 tag of the language it is written in.
    pub language: &'static str,
    /// The code by itself, if the mail is about one. For the mailbox of `signet dev`; never sent as such.
    pub code: Option<String>,
    /// The link by itself, likewise.
    pub link: Option<String>,
}

impl fmt::Debug for RenderedMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderedMail").field("language", &self.language).finish_non_exhaustive()
    }
}

/// Gives a message its words, in the reader's language where there is one.
pub fn render(message: &Message) -> RenderedMail {
    let (words, secret, name, minutes, locale): (fn(Language, &str, i64) -> Words, _, _, _, _) = match message {
        Message::EmailVerificationCode { code, project_name, valid_minutes, locale } => {
            (Language::email_verification_code, Secret::Code(one_line(code)), project_name, valid_minutes, locale)
        }
        Message::PasswordResetCode { code, project_name, valid_minutes, locale } => {
            (Language::password_reset_code, Secret::Code(one_line(code)), project_name, valid_minutes, locale)
        }
        Message::PasswordResetLink { link, project_name, valid_minutes, locale } => {
            (Language::password_reset_link, Secret::Link(one_line(link)), project_name, valid_minutes, locale)
        }
    };
    let language = Language::for_locale(locale.as_deref());
    let project = Some(one_line(name)).filter(|name| !name.is_empty());
    let words = words(language, project.as_deref().unwrap_or(NAMELESS), *minutes);
    let (text, html) = (text(&words, &secret), html(&words, &secret, language));
    let (code, link) = match secret {
        Secret::Code(code) => (Some(code), None),
        Secret::Link(link) => (None, Some(link)),
    };
    RenderedMail { subject: words.subject, text, html, language: language.tag(), code, link }
}

/// What a mail is about, on one line.
enum Secret {
    Code(String),
    Link(String),
}

fn text(words: &Words, secret: &Secret) -> String {
    let Words { lead, instruction, warning, unasked, .. } = words;
    let (Secret::Code(secret) | Secret::Link(secret)) = secret;
    format!("{lead}\n\n    {secret}\n\n{instruction}\n\n{warning}\n\n{unasked}\n")
}

/// Plain enough for every mail reader and screen reader: no tables, no images, nothing loaded from elsewhere, colours that
/// keep their contrast in dark mode because there are none but the reader's own.
fn html(words: &Words, secret: &Secret, language: Language) -> String {
    let Words { subject, lead, instruction, warning, unasked } = words;
    let [subject, lead, instruction, warning, unasked] = [subject, lead, instruction, warning, unasked].map(escape);
    let secret = match secret {
        Secret::Code(code) => format!(
            r#"<p style="font-family:monospace;font-size:32px;font-weight:bold;letter-spacing:0.15em">{}</p>"#,
            escape(code)
        ),
        // The text of the link is the link: a reader sees where it leads.
        Secret::Link(link) => {
            let link = escape(link);
            format!(r#"<p style="overflow-wrap:anywhere"><a href="{link}">{link}</a></p>"#)
        }
    };
    let tag = language.tag();
    format!(
        r#"<!DOCTYPE html>
<html lang="{tag}" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{subject}</title>
</head>
<body style="margin:0 auto;max-width:32em;padding:1.5em;font-family:sans-serif;font-size:16px;line-height:1.5">
<p>{lead}</p>
{secret}
<p>{instruction}</p>
<p>{warning}</p>
<p>{unasked}</p>
</body>
</html>
"#
    )
}

/// One line without control characters, so that no value can start a header or a paragraph of its own, and without the
/// characters that turn the direction of text or end a line in other ways, so that it cannot pose as other words.
fn one_line(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() || is_line_break(c) { ' ' } else { c });
    let visible: String = visible.filter(|&c| !turns_direction_or_hides(c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

const fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// The joiners U+200C and U+200D stay: names in Persian, Indic scripts and emoji need them.
const fn turns_direction_or_hides(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

fn escape(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
