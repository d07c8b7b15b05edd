//! The access, ID and client tokens of Transmit Security (contract sections 2, 5.2 and 5.3). `tid` is the tenant: our project.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Stamp, Subject};
use crate::{
    crypto::{
        jwt::{self, BearerClaims, ClientBearer, Decisive, IdClaims, SessionBearer, TokenKind},
        project_keys::JwtKey,
        signing_key::SigningKeyError,
    },
    domain::{
        caller::ClientCaller,
        challenge::TokenWishes,
        client::Client,
        id::{ClientId, SessionId, UserId},
        identifier::IdentifierKind,
        project::Project,
        user::User,
    },
};

/// Audience of tokens for which no resource was named, of users and clients alike. No resource can be called so: it is no URI.
pub(super) const OWN_AUDIENCE: &str = "userid-api";
const SCOPE: &str = "openid";

/// What an access token may say it is for.
pub(super) fn audiences(project: &Project) -> Vec<String> {
    std::iter::once(OWN_AUDIENCE.to_owned()).chain(project.settings.allowed_resources.iter().cloned()).collect()
}

/// What tokens of users and of clients have in common.
#[derive(Deserialize, Serialize)]
struct Common {
    iss: String,
    sub: String,
    aud: String,
    iat: i64,
    exp: i64,
    jti: String,
    scope: String,
    tid: String,
    client_id: String,
    app_id: String,
    app_name: String,
    token_kind: TokenKind,
    /// Never written, but heeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

impl Common {
    fn decisive(&self) -> Decisive<'_> {
        let Self { iss, aud, nbf, exp, token_kind, .. } = self;
        Decisive { iss, aud: Some(aud), nbf: *nbf, exp: *exp, token_kind: *token_kind }
    }
}

/// Claims of the access token of a user.
#[derive(Deserialize, Serialize)]
pub(super) struct AccessClaims {
    #[serde(flatten)]
    common: Common,
    sid: String,
}

/// Claims of the access token of a client.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct ClientClaims(Common);

pub(super) fn access_token(
    key: &JwtKey,
    subject: &Subject<'_>,
    resource: Option<&str>,
    stamp: &Stamp,
) -> Result<String, SigningKeyError> {
    let (session, kind) = (subject.session, TokenKind::Access);
    let who = (subject.user.id.to_string(), subject.client, subject.project);
    let claims = AccessClaims {
        common: common(who, subject.issuer.clone(), resource, kind, stamp),
        sid: session.id.to_string(),
    };
    jwt::sign(key, kind, &claims)
}

pub(super) fn client_token(
    key: &JwtKey,
    caller: &ClientCaller,
    issuer: String,
    resource: Option<&str>,
    stamp: &Stamp,
) -> Result<String, SigningKeyError> {
    let who = (caller.client.id.to_string(), &caller.client, &caller.project);
    jwt::sign(key, TokenKind::Client, &ClientClaims(common(who, issuer, resource, TokenKind::Client, stamp)))
}

fn common(
    (sub, client, project): (String, &Client, &Project),
    iss: String,
    resource: Option<&str>,
    token_kind: TokenKind,
    stamp: &Stamp,
) -> Common {
    let client_id = client.id.to_string();
    Common {
        iss,
        sub,
        aud: resource.unwrap_or(OWN_AUDIENCE).to_owned(),
        iat: stamp.now.timestamp(),
        exp: stamp.expires_at.timestamp(),
        jti: stamp.jti.clone(),
        scope: SCOPE.to_owned(),
        tid: project.id.to_string(),
        app_id: client_id.clone(),
        client_id,
        app_name: client.name.clone(),
        token_kind,
        nbf: None,
    }
}

/// The standard ID token with the tenant in it.
pub(super) fn id_token(
    key: &JwtKey,
    subject: &Subject<'_>,
    wishes: &TokenWishes,
    mut claims: IdClaims,
) -> Result<String, SigningKeyError> {
    if wishes.claims.id_token.iter().any(|name| name == "app_name") {
        claims.requested.insert("app_name".into(), json!(subject.client.name));
    }
    claims.requested.insert("tid".into(), json!(subject.project.id.to_string()));
    jwt::sign(key, TokenKind::Id, &claims)
}

/// A claim about a user by the name that this vendor gives it.
pub(super) fn user_claim(user: &User, name: &str) -> Option<Value> {
    let person = &user.profile;
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    match name {
        "username" => user.identifier(IdentifierKind::Username).map(|known| json!(known.identifier.display())),
        "fname" => text(&person.given_name),
        "mname" => text(&person.middle_name),
        "lname" => text(&person.family_name),
        "language" => text(&person.locale),
        "external_user_id" => text(&user.external_id),
        "created_at" => Some(json!(user.created_at.timestamp())),
        "last_auth" => user.last_signed_in_at.map(|at| json!(at.timestamp())),
        _ => None,
    }
}

impl BearerClaims for AccessClaims {
    fn decisive(&self) -> Decisive<'_> {
        self.common.decisive()
    }
}

impl SessionBearer for AccessClaims {
    fn bearer(&self) -> Option<(SessionId, UserId)> {
        Some((SessionId::parse(&self.sid).ok()?, UserId::parse(&self.common.sub).ok()?))
    }
}

impl BearerClaims for ClientClaims {
    fn decisive(&self) -> Decisive<'_> {
        self.0.decisive()
    }
}

impl ClientBearer for ClientClaims {
    fn client(&self) -> Option<ClientId> {
        ClientId::parse(&self.0.client_id).ok().filter(|_| self.0.sub == self.0.client_id)
    }
}
