//! What an access token says of its user to whoever holds it (OIDC Core 5.3).

use chrono::Duration;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{
    Error, Services, authenticate_caller::named_by_user_token, authenticate_session::verify_token,
    mint_tokens::user_claim,
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

/// What Transmit Security calls them (contract section 5.3).
const TRANSMIT: [(&str, &str); 5] = [
    ("family_name", "lname"),
    ("given_name", "fname"),
    ("locale", "language"),
    ("middle_name", "mname"),
    ("preferred_username", "username"),
];

/// The claims about the user of an access token, by the names that its client's libraries know.
pub async fn user_info(services: &Services, token: SecretString) -> Result<Map<String, Value>, Error> {
    let now = services.clock.now();
    let client = named_by_user_token(services, &token).await?;
    let verified = verify_token(services, &client, TokenKind::Access, &token, now, Duration::zero()).await?;
    let view = services.store.view();
    let session = view.sessions().find(client.project_id(), verified.session_id).await?;
    let session = session.filter(|session| session.is_live_at(now)).ok_or(Error::SessionNotActive)?;
    if session.user_id != verified.user_id || session.client_id != client.client.id {
        return Err(Error::TokenInvalid);
    }
    let user = view.users().find(client.project_id(), session.user_id).await?;
    let user = user.filter(User::is_active).ok_or(Error::SessionNotActive)?;
    Ok(claims_of(&user, &session))
}

fn claims_of(user: &User, session: &Session) -> Map<String, Value> {
    let known = STANDARD.into_iter().filter_map(|name| Some((name.to_owned(), user_claim(user, name)?)));
    let mut claims: Map<String, Value> = known.collect();
    claims.insert("sub".into(), json!(subject(session.token_profile, user.id)));
    if session.token_profile == TokenProfile::Transmit {
        claims.insert("tid".into(), json!(user.project_id.to_string()));
        for (standard, vendors) in TRANSMIT {
            if let Some(value) = claims.remove(standard) {
                claims.insert(vendors.into(), value);
            }
        }
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
