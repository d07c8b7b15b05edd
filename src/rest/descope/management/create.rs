//! Users whom a back end makes.

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    proto::CreateUserRequest,
    rest::{
        api::Api,
        descope::{
            body::body,
            caller::Caller,
            refusals::{not_supported, said},
            user::{Identifiers, UserObject},
        },
        failure::Refusal,
        incoming::Incoming,
        reply::Reply,
        text::filled,
        value::struct_of,
    },
};

/// A new user, and what this service does not have for one.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NewUser {
    login_id: String,
    additional_login_ids: Vec<String>,
    email: String,
    verified_email: bool,
    phone: String,
    verified_phone: bool,
    display_name: String,
    given_name: String,
    middle_name: String,
    family_name: String,
    picture: String,
    custom_attributes: Map<String, Value>,
    password: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Members that would change what the user may do or how: leaving them out in silence would be worse than refusing.
const REFUSED: [&str; 8] =
    ["roleNames", "userTenants", "ssoAppIDs", "hashedPassword", "invite", "test", "recoveryEmail", "recoveryPhone"];

impl NewUser {
    fn checked(self) -> Result<CreateUserRequest, Refusal> {
        if self.login_id.is_empty() {
            return Err(said(StatusCode::BAD_REQUEST, "E011003", "loginId must not be empty").into());
        }
        if let Some(name) = REFUSED.into_iter().find(|name| self.rest.get(*name).is_some_and(asks_for_something)) {
            return Err(not_supported(name));
        }
        let status = self.rest.get("status").and_then(Value::as_str).unwrap_or_default();
        if !["", "enabled", "invited"].contains(&status) {
            return Err(not_supported("a new user with that status"));
        }
        let mut names = Identifiers::default();
        let all = std::iter::once(self.login_id).chain(self.additional_login_ids);
        let fits = all.into_iter().all(|name| names.add(name));
        if !fits || !names.add_contacts(filled(self.email), filled(self.phone)) {
            return Err(not_supported("more than one email, phone or other name"));
        }
        Ok(CreateUserRequest {
            email_verified: self.verified_email && names.email.is_some(),
            email: names.email,
            username: names.username,
            phone_number_verified: self.verified_phone && names.phone_number.is_some(),
            phone_number: names.phone_number,
            password: filled(self.password),
            given_name: filled(self.given_name),
            middle_name: filled(self.middle_name),
            family_name: filled(self.family_name),
            display_name: filled(self.display_name),
            picture_url: filled(self.picture),
            metadata: Some(&self.custom_attributes).filter(|data| !data.is_empty()).map(struct_of),
            ..CreateUserRequest::default()
        })
    }
}

/// False for the zero values that libraries send for what was not given.
fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(object) => !object.is_empty(),
    }
}

/// `POST /v1/mgmt/user/create` (contract, section 8).
pub(in crate::rest::descope) async fn create(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let authorization = Caller::of(&incoming.head)?.management()?;
    let request = body::<NewUser>(incoming)?.checked()?;
    let answer = api.users.clone().create_user(incoming.call(&authorization, request)).await?.into_inner();
    let user = UserObject::from(answer.user.unwrap_or_default());
    Ok(Reply::json(StatusCode::OK, &json!({ "user": user, "created": true })))
}
