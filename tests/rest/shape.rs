//! Answers without what is new each time, for snapshots.

use serde_json::Value;

use crate::rest_app::Answer;

/// Status and body of an answer, with a name in the place of every id, token and time.
pub(crate) fn shape(answer: &Answer) -> Value {
    serde_json::json!({ "status": answer.status, "body": named(&answer.json) })
}

/// The same value with such names.
pub(crate) fn named(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(named_text(text)),
        // Seconds since 1970, and milliseconds.
        Value::Number(number) if number.as_i64().is_some_and(|number| number > 1_000_000_000) => "<time>".into(),
        Value::Array(values) => values.iter().map(named).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (named_text(name), named(value))).collect())
        }
        other => other.clone(),
    }
}

fn named_text(text: &str) -> String {
    let kind = |separator: char| text.rsplit_once(separator).map_or("", |(kind, _)| kind);
    if text.starts_with("eyJ") && text.matches('.').count() == 2 {
        "<JWT>".into()
    } else if let Some(rest) = text.strip_prefix("signet_") {
        format!("<signet_{}>", rest.split('_').next().unwrap_or_default())
    } else if is_time(text) {
        "<time>".into()
    } else if text.rsplit_once('_').is_some_and(|(_, id)| is_word(id, 26)) {
        format!("{}_<ULID>", kind('_'))
    } else if text.len() > 36 && text.is_char_boundary(text.len() - 36) && is_uuid(&text[text.len() - 36..]) {
        format!("{}<UUID>", &text[..text.len() - 36])
    } else if text.len() == 28 && text.starts_with(['P', 'U']) && is_word(&text[1..], 27) {
        format!("{}<27>", &text[..1])
    } else {
        text.to_owned()
    }
}

fn is_word(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_uuid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn is_time(text: &str) -> bool {
    let (date, time) = text.split_at_checked(10).unwrap_or(("", ""));
    date.split('-').map(str::len).eq([4, 2, 2]) && time.starts_with('T') && time.ends_with('Z')
}
