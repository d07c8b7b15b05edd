//! The user object (contract, section 5).

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    id_form,
    proto::{User, UserStatus},
    rest::value::{epoch_seconds, object_of},
};

/// A user, every member present.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the vendor's shape")]
pub(super) struct UserObject {
    login_ids: Vec<String>,
    user_id: String,
    name: String,
    email: String,
    phone: String,
    verified_email: bool,
    verified_phone: bool,
    role_names: [String; 0],
    user_tenants: [String; 0],
    status: &'static str,
    external_ids: [String; 0],
    picture: String,
    test: bool,
    custom_attributes: Map<String, Value>,
    created_time: i64,
    #[serde(rename = "TOTP")]
    totp: bool,
    #[serde(rename = "SAML")]
    saml: bool,
    #[serde(rename = "OAuth")]
    oauth: Map<String, Value>,
    webauthn: bool,
    password: bool,
    sso_app_ids: [String; 0],
    given_name: String,
    middle_name: String,
    family_name: String,
    editable: bool,
    #[serde(rename = "SCIM")]
    scim: bool,
    push: bool,
    permissions: [String; 0],
    #[serde(rename = "OIDC")]
    oidc: bool,
    consent_expiration: i64,
    recovery_email: &'static str,
    verified_recovery_email: bool,
    recovery_phone: &'static str,
    verified_recovery_phone: bool,
}

impl From<User> for UserObject {
    fn from(user: User) -> Self {
        Self {
            status: status(&user),
            login_ids: [&user.email, &user.username, &user.phone_number].into_iter().flatten().cloned().collect(),
            user_id: shown_id(&user.user_id),
            name: user.display_name.unwrap_or_default(),
            email: user.email.unwrap_or_default(),
            phone: user.phone_number.unwrap_or_default(),
            verified_email: user.email_verified,
            verified_phone: user.phone_number_verified,
            picture: user.picture_url.unwrap_or_default(),
            custom_attributes: object_of(user.metadata.as_ref()),
            created_time: user.created_at.as_ref().map_or(0, epoch_seconds),
            password: user.has_password,
            given_name: user.given_name.unwrap_or_default(),
            middle_name: user.middle_name.unwrap_or_default(),
            family_name: user.family_name.unwrap_or_default(),
            editable: true,
            // What this service does not have.
            role_names: [],
            user_tenants: [],
            external_ids: [],
            test: false,
            totp: false,
            saml: false,
            oauth: Map::new(),
            webauthn: false,
            sso_app_ids: [],
            scim: false,
            push: false,
            permissions: [],
            oidc: false,
            consent_expiration: 0,
            recovery_email: "",
            verified_recovery_email: false,
            recovery_phone: "",
            verified_recovery_phone: false,
        }
    }
}

/// A user whom management made counts as invited until the first sign-in; who signs up is signed in by that.
fn status(user: &User) -> &'static str {
    if user.status() == UserStatus::Disabled {
        "disabled"
    } else if user.last_signed_in_at.is_none() {
        "invited"
    } else {
        "enabled"
    }
}

/// `U` and 27 characters.
fn shown_id(user_id: &str) -> String {
    id_form::parse_canonical("user", user_id).map(|id| id_form::descope('U', id)).unwrap_or_default()
}

/// The id as the API knows it, if it has the form of one.
pub(super) fn canonical_id(user_id: &str) -> Option<String> {
    id_form::parse_descope('U', user_id).map(|id| id_form::canonical("user", id))
}

/// What a user is called, one name of each kind.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Identifiers {
    pub(super) email: Option<String>,
    pub(super) username: Option<String>,
    pub(super) phone_number: Option<String>,
}

impl Identifiers {
    /// Adds a name, of the kind that it counts as at a sign-in (`SignInRequest.login_id`). False if there is another of that kind.
    #[must_use]
    pub(super) fn add(&mut self, login_id: String) -> bool {
        let place = if login_id.contains('@') {
            &mut self.email
        } else if login_id.starts_with('+') {
            &mut self.phone_number
        } else {
            &mut self.username
        };
        put(place, login_id)
    }

    /// Adds an email address and a phone number, which are names too.
    #[must_use]
    pub(super) fn add_contacts(&mut self, email: Option<String>, phone: Option<String>) -> bool {
        email.is_none_or(|email| put(&mut self.email, email))
            && phone.is_none_or(|phone| put(&mut self.phone_number, phone))
    }
}

fn put(place: &mut Option<String>, text: String) -> bool {
    let is_free = place.as_ref().is_none_or(|known| known.trim().eq_ignore_ascii_case(text.trim()));
    *place = Some(text);
    is_free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_to_its_kind_once() {
        let mut names = Identifiers::default();
        assert!(names.add("Ada@example.com".to_owned()));
        assert!(names.add("ada".to_owned()));
        assert!(names.add_contacts(Some("ada@example.com".to_owned()), Some("+12025550123".to_owned())));
        assert_eq!(names.email.as_deref(), Some("ada@example.com"));
        assert_eq!(names.username.as_deref(), Some("ada"));
        assert_eq!(names.phone_number.as_deref(), Some("+12025550123"));
        assert!(!names.add("other@example.com".to_owned()));
    }
}
