//! JSON read so that what is wrong in it is named: where it stands and what is expected there, never what stands there. That may be a
//! secret in the wrong place or of the wrong type, and answers are kept and logged by others.

use serde::de::DeserializeOwned;
use serde_json::{Deserializer, Error, Value, error::Category};
use serde_path_to_error::Path;

/// Longest name of a place in what is said; it may hold keys that the caller chose.
const PLACE_CHARS_MAX: usize = 100;

/// Reads a text of JSON.
pub(super) fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let mut json = Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| said(&error))?;
    json.end().map_err(|error| problem(&error))?;
    Ok(value)
}

/// Reads what is JSON already.
pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| said(&error))
}

fn said(error: &serde_path_to_error::Error<Error>) -> String {
    let (place, problem) = (place(error.path()), problem(error.inner()));
    if place.is_empty() { problem } else { format!("{place}: {problem}") }
}

/// Where something is wrong; empty for the whole, and for what has no name.
pub(super) fn place(path: &Path) -> String {
    path.to_string().trim_end_matches(['.', '?']).chars().take(PLACE_CHARS_MAX).collect()
}

/// What is wrong, without the value.
pub(super) fn problem(error: &Error) -> String {
    let said = error.to_string();
    if error.classify() != Category::Data {
        // About the grammar; says line and column.
        return said;
    }
    let said = without_position(&said);
    // serde says `invalid type: integer `7`, expected a string`. The value comes first, so the last of these is not inside of it.
    match said.rsplit_once(", expected ") {
        // The names of types are our own.
        Some((_, kind)) if kind.starts_with("struct ") => "expected an object".to_owned(),
        Some((_, kind)) => format!("expected {kind}"),
        None if said.starts_with("missing field `") || said.starts_with("duplicate field `") => said.to_owned(),
        None => "has a value that cannot stand here".to_owned(),
    }
}

/// What `serde_json` says without `at line 1 column 2` at its end. The same words inside of a value are no position.
fn without_position(said: &str) -> &str {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match said.rsplit_once(" at line ") {
        Some((rest, position)) if position.split(" column ").all(is_number) => rest,
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Body {
        password: Option<String>,
        flag: Option<bool>,
        kind: Option<Kind>,
        inner: Option<Box<Self>>,
        list: Option<Vec<u8>>,
        numbers: Option<HashMap<String, u8>>,
        address: Option<std::net::IpAddr>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        One,
        Two,
    }

    #[test]
    fn what_is_wrong_is_named_and_not_repeated() {
        let table = [
            (r#"{"password": 8675309}"#, "password: expected a string"),
            (r#"{"password": 8675309.5}"#, "password: expected a string"),
            (r#"{"password": ["8675309"]}"#, "password: expected a string"),
            (r#"{"inner": {"password": true}}"#, "inner.password: expected a string"),
            (r#"{"inner": "8675309"}"#, "inner: expected an object"),
            (r#"{"flag": "8675309, expected nothing at line 1"}"#, "flag: expected a boolean"),
            (r#"{"kind": "8675309"}"#, "kind: expected `one` or `two`"),
            (r#"{"list": [1, 8675309]}"#, "list[1]: expected u8"),
            (r#"{"numbers": {"a": "8675309"}}"#, "numbers.a: expected u8"),
            (r#"{"address": "8675309"}"#, "address: has a value that cannot stand here"),
            (r#"{"flag": true, "flag": true}"#, "duplicate field `flag`"),
            ("[8675309]", "expected a string"),
            ("8675309", "expected an object"),
            (r#""8675309""#, "expected an object"),
            (r#"{"password": "8675309"#, "EOF while parsing a string at line 1 column 21"),
            (r#"{"list": [1 8675309]}"#, "expected `,` or `]` at line 1 column 13"),
            ("{} 8675309", "trailing characters at line 1 column 4"),
        ];
        for (text, expected) in table {
            let told = from_slice::<Body>(text.as_bytes()).unwrap_err();
            assert!(!told.contains("8675309"), "{text}: {told}");
            assert!(told.ends_with(expected), "{text}: {told}");
            if let Ok(value) = serde_json::from_str::<Value>(text)
                && value != serde_json::json!({"flag": true})
            {
                let told = from_value::<Body>(value).unwrap_err();
                assert!(told.ends_with(expected), "{text}: {told}");
            }
        }
    }
}
