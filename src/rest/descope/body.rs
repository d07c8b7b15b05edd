//! Bodies as the vendor's libraries send them (contract, section 2).

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::rest::{failure::Refusal, incoming::Incoming, reading};

/// Names that mean the same, with the one that our types read.
const ALIASES: [(&str, &str); 5] = [
    ("identifier", "loginId"),
    ("name", "displayName"),
    ("additionalIdentifiers", "additionalLoginIds"),
    ("ssoAppIds", "ssoAppIDs"),
    ("phoneNumber", "phone"),
];
/// Members that are objects with the same rules. Others, such as claims, are data of the application.
const NESTED: [&str; 2] = ["loginOptions", "user"];

/// Reads a body: an empty one counts as `{}`, `null` as absent, and unknown members as nothing.
pub(super) fn body<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, Refusal> {
    let mut value = incoming.json()?;
    if !matches!(value, Value::Object(_)) {
        return Err(Refusal::Body("the body must be a JSON object".to_owned()));
    }
    normalise(&mut value);
    reading::from_value(value).map_err(Refusal::Body)
}

fn normalise(value: &mut Value) {
    let Value::Object(object) = value else { return };
    object.retain(|_, member| !member.is_null());
    for (alias, name) in ALIASES {
        if let Some(member) = object.remove(alias) {
            object.entry(name).or_insert(member);
        }
    }
    for name in NESTED {
        object.get_mut(name).into_iter().for_each(normalise);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_absent_and_aliases_are_read_but_data_of_the_application_is_left_alone() {
        let mut given = json!({
            "identifier": "a", "phone": null,
            "user": {"name": "Ada", "phoneNumber": "+1", "email": null},
            "loginOptions": {"customClaims": {"name": "x", "none": null}, "locale": null},
        });
        normalise(&mut given);
        let expected = json!({
            "loginId": "a",
            "user": {"displayName": "Ada", "phone": "+1"},
            "loginOptions": {"customClaims": {"name": "x", "none": null}},
        });
        assert_eq!(given, expected);
    }

    #[test]
    fn of_two_names_for_one_thing_the_usual_one_counts() {
        let mut given = json!({"loginId": "a", "identifier": "b"});
        normalise(&mut given);
        assert_eq!(given, json!({"loginId": "a"}));
    }
}
