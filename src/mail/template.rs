//! What mails look like: a text part and an HTML part with the same words.
//!
//! Nothing in a mail comes from a request except what the [`Message`] holds, and that is cleaned and escaped here. There
//! are no links: a reader types the code where they were asked for it, and cannot be sent anywhere by a mail.

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
}

impl fmt::Debug for RenderedMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderedMail").field("language", &self.language).finish_non_exhaustive()
    }
}

/// Gives a message its words, in the reader's language where there is one.
pub fn render(message: &Message) -> RenderedMail {
    match message {
        Message::EmailVerificationCode { code, project_name, valid_minutes, locale } => {
            let language = Language::for_locale(locale.as_deref());
            let code = one_line(code);
            let project = Some(one_line(project_name)).filter(|name| !name.is_empty());
            let words = language.email_verification_code(project.as_deref().unwrap_or(NAMELESS), *valid_minutes);
            RenderedMail {
                text: text(&words, &code),
                html: html(&words, &code, language),
                subject: words.subject,
                language: language.tag(),
                code: Some(code),
            }
        }
    }
}

fn text(words: &Words, code: &str) -> String {
    let Words { lead, instruction, warning, unasked, .. } = words;
    format!("{lead}\n\n    {code}\n\n{instruction}\n\n{warning}\n\n{unasked}\n")
}

/// Plain enough for every mail reader and screen reader: no tables, no images, nothing loaded from elsewhere, colours that
/// keep their contrast in dark mode because there are none but the reader's own.
fn html(words: &Words, code: &str, language: Language) -> String {
    let Words { subject, lead, instruction, warning, unasked } = words;
    let [subject, lead, code, instruction, warning, unasked] =
        [subject, lead, code, instruction, warning, unasked].map(escape);
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
<p style="font-family:monospace;font-size:32px;font-weight:bold;letter-spacing:0.15em">{code}</p>
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
