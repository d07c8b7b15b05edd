//! Path and query as a message in its JSON form: nested fields by dots, repeated ones by repetition.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

/// A parameter that is wrong: its name and what is wrong with it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Wrong {
    pub(super) name: String,
    pub(super) why: String,
}

/// Puts parameters into the JSON form of a message. Names are those of the proto or lowerCamelCase.
pub(super) fn object<'p>(
    message: &MessageDescriptor,
    parameters: impl Iterator<Item = (&'p str, &'p str)>,
) -> Result<Map<String, Value>, Wrong> {
    let mut object = Map::new();
    for (name, text) in parameters {
        insert(&mut object, message, name, text)
            .map_err(|why| Wrong { name: name.chars().take(100).collect(), why: why.to_owned() })?;
    }
    Ok(object)
}

fn insert(
    object: &mut Map<String, Value>,
    message: &MessageDescriptor,
    name: &str,
    text: &str,
) -> Result<(), &'static str> {
    let (first, rest) = name.split_once('.').map_or((name, None), |(first, rest)| (first, Some(rest)));
    let field = message.get_field_by_name(first).or_else(|| message.get_field_by_json_name(first));
    let field = field.ok_or("is not a field of this call")?;
    let key = field.json_name().to_owned();
    if let Some(rest) = rest {
        let kind = field.kind();
        let inner = kind.as_message().filter(|inner| !field.is_list() && !field.is_map() && !is_well_known(inner));
        let inner = inner.ok_or("has no fields of its own")?;
        let nested = object.entry(key).or_insert_with(|| Map::new().into());
        return insert(nested.as_object_mut().ok_or("is given twice")?, inner, rest, text);
    }
    let value = value(&field, text)?;
    match object.entry(key).or_insert_with(|| if field.is_list() { Value::Array(Vec::new()) } else { Value::Null }) {
        Value::Array(items) => items.push(value),
        empty @ Value::Null => *empty = value,
        _ => return Err("is given twice"),
    }
    Ok(())
}

/// What a text stands for. Numbers stay text, which proto3 JSON takes too.
fn value(field: &FieldDescriptor, text: &str) -> Result<Value, &'static str> {
    if field.is_map() {
        return Err("cannot stand in a query");
    }
    scalar(&field.kind(), text)
}

fn scalar(kind: &Kind, text: &str) -> Result<Value, &'static str> {
    Ok(match kind {
        Kind::Bool => text.parse::<bool>().map_err(|_| "must be true or false")?.into(),
        Kind::Enum(_) => text.parse::<i32>().map_or_else(|_| text.into(), Value::from),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Timestamp" | "google.protobuf.Duration" | "google.protobuf.FieldMask" => text.into(),
            name if is_wrapper(name) => {
                let inner = message.get_field_by_name("value").ok_or("cannot stand in a query")?;
                return scalar(&inner.kind(), text);
            }
            _ => return Err("cannot stand in a query as a whole; name its fields"),
        },
        _ => text.into(),
    })
}

/// True if its JSON form is not an object of its fields.
fn is_well_known(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("google.protobuf.")
}

fn is_wrapper(name: &str) -> bool {
    name.starts_with("google.protobuf.") && name.ends_with("Value") && name != "google.protobuf.Value"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rest::canonical::binding::POOL;

    fn read(message: &str, query: &str) -> Result<Value, Wrong> {
        let message = POOL.get_message_by_name(message).unwrap();
        let pairs: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        object(&message, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).map(Value::from)
    }

    #[test]
    fn fields_are_named_in_both_spellings_and_nested_by_dots() {
        let query = "user_id=u&sessionOptions.idle_timeout=60s&token_options.includeIdToken=true&return_to=";
        let expected = Wrong { name: "user_id".into(), why: "is not a field of this call".into() };
        assert_eq!(read("auth.v1.SignInRequest", query), Err(expected));
        assert_eq!(
            read(
                "auth.v1.RefreshTokensRequest",
                "refresh_token=a&tokenOptions.include_id_token=true&tokenOptions.resource=b"
            ),
            Ok(json!({"refreshToken": "a", "tokenOptions": {"includeIdToken": true, "resource": "b"}}))
        );
    }

    #[test]
    fn repetition_makes_a_list_and_is_refused_elsewhere() {
        let check = "auth.v1.CheckNewPasswordRequest";
        assert_eq!(read(check, "identifiers=a&identifiers=b"), Ok(json!({"identifiers": ["a", "b"]})));
        assert_eq!(read(check, "password=a&password=b").unwrap_err().why, "is given twice");
    }

    #[test]
    fn every_kind_of_scalar_is_read_as_proto3_json_has_it() {
        let file = "auth.v1.AuthenticateSessionRequest";
        assert_eq!(read(file, "session_duration=300s"), Ok(json!({"sessionDuration": "300s"})));
        assert_eq!(read(file, "renew_session_token=1").unwrap_err().why, "must be true or false");
        assert_eq!(
            read(file, "custom_claims=a").unwrap_err().why,
            "cannot stand in a query as a whole; name its fields"
        );
        assert_eq!(read(file, "session_duration.seconds=1").unwrap_err().why, "has no fields of its own");
        assert_eq!(read("auth.v1.ListUsersRequest", "page_size=2"), Ok(json!({"pageSize": "2"})));
        let reset = "auth.v1.StartPasswordResetRequest";
        assert_eq!(
            read(reset, "method=PASSWORD_RESET_METHOD_LINK"),
            Ok(json!({"method": "PASSWORD_RESET_METHOD_LINK"}))
        );
        assert_eq!(read(reset, "method=2"), Ok(json!({"method": 2})));
    }

    #[test]
    fn a_name_in_an_answer_is_bounded() {
        let name = read("auth.v1.ListUsersRequest", &"x".repeat(1000)).unwrap_err().name;
        assert_eq!(name.len(), 100);
    }
}
