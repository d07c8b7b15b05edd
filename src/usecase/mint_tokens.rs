//! The tokens of a session, in the `standard` profile (RFC 9068, OIDC Core). They say only what the database says.

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use ulid::Ulid;

use super::Error;
use crate::{
    clock::Timestamp,
    crypto::{
        jwt::{self, IdClaims, SessionClaims, TokenKind},
        project_keys::{JwtKey, ProjectKeys},
        refresh_token::RefreshGrant,
    },
    domain::{
        challenge::TokenWishes, claims::CustomClaims, client::RefreshTokenFormat, identifier::IdentifierKind,
        project::Project, session::Session, user::User,
    },
    random::Random,
};

/// A token and its end.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: SecretString,
    /// Not valid from then on.
    pub expires_at: Timestamp,
}

/// The tokens of a sign-in.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Access token.
    pub access: IssuedToken,
    /// ID token, if it was asked for.
    pub id: Option<SecretString>,
    /// Session token, if it was asked for.
    pub session: Option<IssuedToken>,
    /// Refresh token.
    pub refresh: IssuedToken,
    /// When they were made.
    pub issued_at: Timestamp,
}

/// Whom the tokens are about.
pub(super) struct Subject<'a> {
    pub(super) project: &'a Project,
    pub(super) issuer: &'a str,
    pub(super) user: &'a User,
    pub(super) session: &'a Session,
}

pub(super) fn mint_tokens(
    keys: &ProjectKeys,
    subject: &Subject<'_>,
    wishes: &TokenWishes,
    now: Timestamp,
    random: &Random,
) -> Result<Tokens, Error> {
    let (key, settings, session) = (keys.signer(now)?, &subject.project.settings, subject.session);
    let resource = wishes.resource.as_ref().or(session.resource.as_ref());
    let audience = resource.cloned().unwrap_or_else(|| subject.project.default_audience());
    let access = bearer(key, subject, TokenKind::Access, audience, settings.access_token_lifetime(), now, random)?;
    let session_token = wishes.session_token.then(|| mint_session_token(keys, subject, now, random));
    let id = wishes.id_token.then(|| {
        let mut claims = id_claims(subject, wishes, now, access.expires_at);
        let access_token = secrecy::ExposeSecret::expose_secret(&access.token);
        claims.at_hash = jwt::access_token_hash(key.signing.algorithm(), access_token);
        jwt::sign(key, TokenKind::Id, &claims).map(SecretString::from)
    });
    Ok(Tokens {
        access,
        id: id.transpose()?,
        session: session_token.transpose()?,
        refresh: mint_refresh_token(keys, subject, now)?,
        issued_at: now,
    })
}

/// The refresh token of the session's generation: the same one however often it is asked for. So it is made as of the moment in
/// which that generation began, with the key of then. As a JWT it also says when the session ends, which may be moved in
/// between, and a signature of ES256 is another one each time; it still stands for the same generation.
fn mint_refresh_token(keys: &ProjectKeys, subject: &Subject<'_>, now: Timestamp) -> Result<IssuedToken, Error> {
    let Subject { project, session, .. } = subject;
    let expires_at = session.ends_at().unwrap_or(now);
    let grant = RefreshGrant { session_id: session.id, generation: session.refresh.generation };
    let made_at = if project.settings.rotate_refresh_tokens {
        session.refresh.rotated_at.unwrap_or(session.created_at)
    } else {
        // It stays good for as long as its session, which may be longer than the key of its first day is kept.
        now
    };
    let token = match session.refresh_token_format {
        RefreshTokenFormat::Opaque => {
            keys.refresh_token_key(made_at).or_else(|_| keys.refresh_token_key(now))?.mint(grant)
        }
        RefreshTokenFormat::Jwt => {
            let key = keys.signer(made_at).or_else(|_| keys.signer(now))?;
            let audience = project.id.to_string();
            let jti = format!("{}.{}", session.id, grant.generation);
            let claims = SessionClaims {
                refresh_generation: Some(grant.generation),
                custom_claims: CustomClaims::default(),
                ..session_claims(subject, TokenKind::Refresh, audience, made_at, expires_at, jti)
            };
            jwt::sign(key, TokenKind::Refresh, &claims)?.into()
        }
    };
    Ok(IssuedToken { token, expires_at })
}

/// A session token alone.
pub(super) fn mint_session_token(
    keys: &ProjectKeys,
    subject: &Subject<'_>,
    now: Timestamp,
    random: &Random,
) -> Result<IssuedToken, Error> {
    let (audience, lifetime) = (subject.project.id.to_string(), subject.project.settings.session_token_lifetime());
    bearer(keys.signer(now)?, subject, TokenKind::Session, audience, lifetime, now, random)
}

fn bearer(
    key: &JwtKey,
    subject: &Subject<'_>,
    kind: TokenKind,
    audience: String,
    lifetime: chrono::Duration,
    now: Timestamp,
    random: &Random,
) -> Result<IssuedToken, Error> {
    // No token outlives its session.
    let expires_at = (now + lifetime).min(subject.session.ends_at().unwrap_or(now));
    let jti = Ulid::from_bytes(random.bytes()).to_string();
    let claims = session_claims(subject, kind, audience, now, expires_at, jti);
    let token = jwt::sign(key, kind, &claims)?;
    Ok(IssuedToken { token: token.into(), expires_at })
}

fn session_claims(
    subject: &Subject<'_>,
    token_kind: TokenKind,
    audience: String,
    now: Timestamp,
    expires_at: Timestamp,
    jti: String,
) -> SessionClaims {
    let session = subject.session;
    SessionClaims {
        iss: subject.issuer.to_owned(),
        sub: subject.user.id.to_string(),
        aud: audience,
        client_id: session.client_id.to_string(),
        iat: now.timestamp(),
        nbf: now.timestamp(),
        exp: expires_at.timestamp(),
        jti,
        sid: session.id.to_string(),
        auth_time: session.authenticated_at.timestamp(),
        amr: session.methods.clone(),
        token_kind,
        refresh_generation: None,
        custom_claims: session.custom_claims.clone(),
    }
}

fn id_claims(subject: &Subject<'_>, wishes: &TokenWishes, now: Timestamp, expires_at: Timestamp) -> IdClaims {
    let session = subject.session;
    let named = |name: &String| Some((name.clone(), user_claim(subject.user, name)?));
    IdClaims {
        iss: subject.issuer.to_owned(),
        sub: subject.user.id.to_string(),
        aud: session.client_id.to_string(),
        iat: now.timestamp(),
        exp: expires_at.timestamp(),
        auth_time: session.authenticated_at.timestamp(),
        amr: session.methods.clone(),
        sid: session.id.to_string(),
        at_hash: None,
        token_kind: TokenKind::Id,
        requested: wishes.claims.id_token.iter().filter_map(named).collect::<Map<_, _>>(),
    }
}

/// A standard claim about a user (OIDC Core 5.1); none if the name is unknown or there is nothing to say.
pub(super) fn user_claim(user: &User, name: &str) -> Option<Value> {
    let identifier = |kind| user.identifier(kind);
    let display = |kind| Some(json!(identifier(kind)?.identifier.display()));
    let verified = |kind| Some(json!(identifier(kind)?.verified_at.is_some()));
    let profile = &user.profile;
    match name {
        "email" => display(IdentifierKind::Email),
        "email_verified" => verified(IdentifierKind::Email),
        "phone_number" => display(IdentifierKind::Phone),
        "phone_number_verified" => verified(IdentifierKind::Phone),
        "preferred_username" => display(IdentifierKind::Username),
        "given_name" => profile.given_name.as_ref().map(|name| json!(name)),
        "family_name" => profile.family_name.as_ref().map(|name| json!(name)),
        "name" => {
            let parts: Vec<_> = [&profile.given_name, &profile.family_name].into_iter().flatten().cloned().collect();
            (!parts.is_empty()).then(|| json!(parts.join(" ")))
        }
        "locale" => profile.locale.as_ref().map(|locale| json!(locale)),
        "updated_at" => Some(json!(user.updated_at.timestamp())),
        _ => None,
    }
}
