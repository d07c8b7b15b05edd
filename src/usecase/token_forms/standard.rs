//! The standard form: RFC 9068, OIDC Core 2.

use serde_json::{Map, Value, json};

use super::{Stamp, Subject};
use crate::{
    crypto::{
        jwt::{self, ClientClaims, IdClaims, SessionClaims, TokenKind},
        project_keys::JwtKey,
        signing_key::SigningKeyError,
    },
    domain::{
        caller::ClientCaller, challenge::TokenWishes, claims::CustomClaims, client::TokenProfile,
        identifier::IdentifierKind, project::Project, user::User,
    },
};

/// What a token of that kind may say it is for.
pub(super) fn audiences(project: &Project, kind: TokenKind) -> Vec<String> {
    let mut audiences = vec![project.id.to_string()];
    if kind == TokenKind::Access {
        audiences.push(project.default_audience());
        audiences.extend(project.settings.allowed_resources.iter().cloned());
    }
    audiences
}

pub(super) fn access_token(
    key: &JwtKey,
    subject: &Subject<'_>,
    resource: Option<&str>,
    stamp: &Stamp,
) -> Result<String, SigningKeyError> {
    let audience = resource.map_or_else(|| subject.project.default_audience(), str::to_owned);
    jwt::sign(key, TokenKind::Access, &session_claims(subject, TokenKind::Access, audience, stamp))
}

pub(super) fn session_token(key: &JwtKey, subject: &Subject<'_>, stamp: &Stamp) -> Result<String, SigningKeyError> {
    let audience = subject.project.id.to_string();
    jwt::sign(key, TokenKind::Session, &session_claims(subject, TokenKind::Session, audience, stamp))
}

pub(super) fn refresh_token(
    key: &JwtKey,
    subject: &Subject<'_>,
    generation: u32,
    stamp: &Stamp,
) -> Result<String, SigningKeyError> {
    let claims = SessionClaims {
        refresh_generation: Some(generation),
        custom_claims: CustomClaims::default(),
        ..session_claims(subject, TokenKind::Refresh, subject.project.id.to_string(), stamp)
    };
    jwt::sign(key, TokenKind::Refresh, &claims)
}

pub(super) fn client_token(
    key: &JwtKey,
    caller: &ClientCaller,
    issuer: String,
    resource: Option<&str>,
    stamp: &Stamp,
) -> Result<String, SigningKeyError> {
    let client_id = caller.client.id.to_string();
    let claims = ClientClaims {
        iss: issuer,
        sub: client_id.clone(),
        aud: resource.map_or_else(|| caller.project.own_audience(), str::to_owned),
        client_id,
        iat: stamp.now.timestamp(),
        nbf: stamp.now.timestamp(),
        exp: stamp.expires_at.timestamp(),
        jti: stamp.jti.clone(),
        token_kind: TokenKind::Client,
    };
    jwt::sign(key, TokenKind::Client, &claims)
}

fn session_claims(subject: &Subject<'_>, token_kind: TokenKind, audience: String, stamp: &Stamp) -> SessionClaims {
    let session = subject.session;
    SessionClaims {
        iss: subject.issuer.clone(),
        sub: subject.user.id.to_string(),
        aud: audience,
        client_id: session.client_id.to_string(),
        iat: stamp.now.timestamp(),
        nbf: stamp.now.timestamp(),
        exp: stamp.expires_at.timestamp(),
        jti: stamp.jti.clone(),
        sid: session.id.to_string(),
        auth_time: session.authenticated_at.timestamp(),
        amr: session.methods.clone(),
        token_kind,
        refresh_generation: None,
        custom_claims: session.custom_claims.clone(),
    }
}

pub(super) fn id_claims(
    key: &JwtKey,
    subject: &Subject<'_>,
    wishes: &TokenWishes,
    access_token: &str,
    stamp: &Stamp,
) -> IdClaims {
    let session = subject.session;
    let profile = session.token_profile;
    let named = |name: &String| Some((name.clone(), user_claim(profile, subject.user, name)?));
    IdClaims {
        iss: subject.issuer.clone(),
        sub: subject.user.id.to_string(),
        aud: session.client_id.to_string(),
        iat: stamp.now.timestamp(),
        exp: stamp.expires_at.timestamp(),
        auth_time: session.authenticated_at.timestamp(),
        amr: profile.amr(&session.methods),
        sid: session.id.to_string(),
        at_hash: jwt::access_token_hash(key.signing.algorithm(), access_token),
        token_kind: TokenKind::Id,
        requested: wishes.claims.id_token.iter().filter_map(named).collect::<Map<_, _>>(),
    }
}

/// A claim about a user by its standard name (OIDC Core 5.1), or by that of the profile's vendor; none if the name is unknown or there
/// is nothing to say.
pub(in crate::usecase) fn user_claim(profile: TokenProfile, user: &User, name: &str) -> Option<Value> {
    if profile == TokenProfile::Transmit
        && let Some(claim) = super::transmit::user_claim(user, name)
    {
        return Some(claim);
    }
    let identifier = |kind| user.identifier(kind);
    let display = |kind| Some(json!(identifier(kind)?.identifier.display()));
    let verified = |kind| Some(json!(identifier(kind)?.verified_at.is_some()));
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    let person = &user.profile;
    match name {
        "email" => display(IdentifierKind::Email),
        "email_verified" => verified(IdentifierKind::Email),
        "phone_number" => display(IdentifierKind::Phone),
        "phone_number_verified" => verified(IdentifierKind::Phone),
        "preferred_username" => display(IdentifierKind::Username),
        "given_name" => text(&person.given_name),
        "middle_name" => text(&person.middle_name),
        "family_name" => text(&person.family_name),
        "name" => text(&person.display_name).or_else(|| {
            let parts: Vec<_> = [&person.given_name, &person.family_name].into_iter().flatten().cloned().collect();
            (!parts.is_empty()).then(|| json!(parts.join(" ")))
        }),
        "picture" => text(&person.picture_url),
        "locale" => text(&person.locale),
        "updated_at" => Some(json!(user.updated_at.timestamp())),
        _ => None,
    }
}
