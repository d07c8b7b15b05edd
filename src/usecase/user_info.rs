//! What an access token says of its user to whoever holds it (OIDC Core 5.3).

use chrono::Duration;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{
    Error, Services, authenticate_caller::named_by_user_token, authenticate_session::verify_token,
    token_forms::user_claim,
};
use crate::{
    crypto::jwt::TokenKind,
    domain::{client::TokenProfile, id::UserId, session::Session, user::User},
    id_form,
};

/// Standard claims (OIDC Core 5.1). What is not known of a user is left out.
const STANDARD: [&str; 12] = [
    "email",
    "email_verified",
    "family_name",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "phone_number",
    "phone_number_verified",
    "picture",
    "preferred_username",
    "updated_at",
];

/// The same by the names of Transmit Security (contract section 5.3).
const TRANSMIT: [&str; 12] = [
    "created_at",
    "email",
    "email_verified",
    "fname",
    "language",
    "lname",
    "mname",
    "name",
    "phone_number",
    "phone_number_verified",
    "picture",
    "username",
];

/// The claims about the user of an access token, by the names that its client's libraries know.
pub async fn user_info(services: &Services, token: SecretString) -> Result<Map<String, Value>, Error> {
    let now = services.clock.now();
    let client = named_by_user_token(services, &token).await?;
    let verified = verify_token(services, &client, TokenKind::Access, &token, now, Duration::zero()).await?;
    let found = services.store.view().sessions().find_with_user(client.project_id(), verified.session_id).await?;
    let found = found.filter(|(session, _)| session.is_live_at(now));
    let (session, user) = found.ok_or(Error::SessionNotActive)?;
    if session.user_id != verified.user_id || session.client_id != client.client.id {
        return Err(Error::TokenInvalid);
    }
    if user.is_active() { Ok(claims_of(&user, &session)) } else { Err(Error::SessionNotActive) }
}

fn claims_of(user: &User, session: &Session) -> Map<String, Value> {
    let profile = session.token_profile;
    let names = if profile == TokenProfile::Transmit { TRANSMIT } else { STANDARD };
    let known = names.into_iter().filter_map(|name| Some((name.to_owned(), user_claim(profile, user, name)?)));
    let mut claims: Map<String, Value> = known.collect();
    claims.insert("sub".into(), json!(subject(profile, user.id)));
    if profile == TokenProfile::Transmit {
        claims.insert("tid".into(), json!(user.project_id.to_string()));
    }
    claims
}

/// The user's id in the form of the profile.
fn subject(profile: TokenProfile, id: UserId) -> String {
    match profile {
        TokenProfile::Descope => id_form::descope('U', id.into()),
        TokenProfile::Stytch => id_form::stytch("user", id.into()),
        TokenProfile::Standard | TokenProfile::Transmit | TokenProfile::WorkOs => id.to_string(),
    }
}
