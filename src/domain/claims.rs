//! Claims that an application asks for or brings along.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most members of custom claims.
pub const CUSTOM_CLAIMS_MAX: usize = 100;
/// Longest name of a custom claim, in characters.
pub const CUSTOM_CLAIM_NAME_CHARS_MAX: usize = 60;
/// Largest custom claims or claims request, in bytes of JSON.
pub const CLAIMS_BYTES_MAX: usize = 4096;

/// The claims are out of bounds.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParseClaimsError {
    /// A member's name is empty or too long.
    #[error("must have names of 1 to {CUSTOM_CLAIM_NAME_CHARS_MAX} characters")]
    Name,
    /// Not an object where one belongs.
    #[error("must hold an object or nothing under `{0}`")]
    NotAnObject(String),
    /// More than [`CLAIMS_BYTES_MAX`].
    #[error("must be at most {CLAIMS_BYTES_MAX} bytes of JSON")]
    TooLarge,
    /// More than [`CUSTOM_CLAIMS_MAX`].
    #[error("must have at most {CUSTOM_CLAIMS_MAX} members")]
    TooMany,
}

fn bytes_of(object: &Map<String, Value>) -> usize {
    serde_json::to_vec(object).map_or(usize::MAX, |json| json.len())
}

fn within_bytes(object: Map<String, Value>) -> Result<Map<String, Value>, ParseClaimsError> {
    if bytes_of(&object) > CLAIMS_BYTES_MAX { Err(ParseClaimsError::TooLarge) } else { Ok(object) }
}

/// Claims brought along by the application. They stand in tokens under one name of their own, so that they can never pass
/// for a claim of ours.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct CustomClaims(Map<String, Value>);

impl CustomClaims {
    /// Takes an object within the bounds.
    pub fn parse(object: Map<String, Value>) -> Result<Self, ParseClaimsError> {
        if object.len() > CUSTOM_CLAIMS_MAX {
            return Err(ParseClaimsError::TooMany);
        }
        if object.keys().any(|name| name.is_empty() || name.chars().count() > CUSTOM_CLAIM_NAME_CHARS_MAX) {
            return Err(ParseClaimsError::Name);
        }
        within_bytes(object).map(Self)
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How large they are, in bytes of JSON.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.0)
    }

    /// These claims after a change: objects are merged member by member, null takes a member away, everything else replaces what
    /// was there (RFC 7396). The bounds hold for the outcome too, or claims could grow from change to change.
    pub fn merged(&self, change: &Self) -> Result<Self, ParseClaimsError> {
        let mut object = self.0.clone();
        merge(&mut object, &change.0);
        Self::parse(object)
    }

    /// The claims.
    pub const fn as_object(&self) -> &Map<String, Value> {
        &self.0
    }
}

fn merge(object: &mut Map<String, Value>, change: &Map<String, Value>) {
    for (name, value) in change {
        match value {
            Value::Null => {
                object.remove(name);
            }
            Value::Object(members) => {
                let mut merged = match object.remove(name) {
                    Some(Value::Object(known)) => known,
                    _ => Map::new(),
                };
                merge(&mut merged, members);
                object.insert(name.clone(), Value::Object(merged));
            }
            value => {
                object.insert(name.clone(), value.clone());
            }
        }
    }
}

/// The OIDC `claims` structure, of which we honour `id_token` (OIDC Core 5.5).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClaimsRequest {
    /// Names of the claims asked for in the ID token.
    pub id_token: Vec<String>,
}

impl ClaimsRequest {
    /// Reads the structure. Unknown members and names are ignored, as the standard asks.
    pub fn parse(object: Map<String, Value>) -> Result<Self, ParseClaimsError> {
        let object = within_bytes(object)?;
        let id_token = match object.get("id_token") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(claims)) => claims.keys().cloned().collect(),
            Some(_) => return Err(ParseClaimsError::NotAnObject("id_token".into())),
        };
        Ok(Self { id_token })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn custom_claims_are_bounded() {
        assert!(CustomClaims::parse(object(json!({"plan": "pro"}))).is_ok());
        assert_eq!(CustomClaims::parse(object(json!({"": 1}))), Err(ParseClaimsError::Name));
        assert_eq!(
            CustomClaims::parse(object(json!({"a": "x".repeat(CLAIMS_BYTES_MAX)}))),
            Err(ParseClaimsError::TooLarge)
        );
        let many = (0..=CUSTOM_CLAIMS_MAX).map(|n| (n.to_string(), json!(1))).collect();
        assert_eq!(CustomClaims::parse(many), Err(ParseClaimsError::TooMany));
    }

    #[rstest]
    #[case::others_stay(json!({"a": 1, "b": 2}), json!({"b": 3, "c": 4}), json!({"a": 1, "b": 3, "c": 4}))]
    #[case::null_takes_away(json!({"a": 1, "b": 2}), json!({"a": null, "z": null}), json!({"b": 2}))]
    #[case::members_of_objects(json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": null, "d": 3}}), json!({"a": {"c": 2, "d": 3}}))]
    #[case::no_object_to_merge_into(json!({"a": 1}), json!({"a": {"b": null, "c": 2}}), json!({"a": {"c": 2}}))]
    #[case::lists_are_replaced(json!({"a": [1, 2]}), json!({"a": [null]}), json!({"a": [null]}))]
    #[case::no_change(json!({"a": null}), json!({}), json!({"a": null}))]
    fn claims_are_merged_member_by_member(#[case] claims: Value, #[case] change: Value, #[case] expected: Value) {
        let [claims, change, expected] = [claims, change, expected].map(|claims| CustomClaims(object(claims)));
        assert_eq!(claims.merged(&change), Ok(expected));
    }

    #[test]
    fn merged_claims_stay_within_the_bounds() {
        let half = |name: &str| CustomClaims::parse(object(json!({name: "x".repeat(CLAIMS_BYTES_MAX / 2)}))).unwrap();
        assert_eq!(half("a").merged(&half("b")), Err(ParseClaimsError::TooLarge));
        assert_eq!(half("a").merged(&half("a")), Ok(half("a")));
    }

    #[test]
    fn a_claims_request_ignores_what_it_does_not_know() {
        let request =
            ClaimsRequest::parse(object(json!({"id_token": {"email": null, "zodiac": null}, "other": 3}))).unwrap();
        assert_eq!(request.id_token, ["email", "zodiac"]);
        assert!(ClaimsRequest::parse(object(json!({"id_token": 3}))).is_err());
    }
}
