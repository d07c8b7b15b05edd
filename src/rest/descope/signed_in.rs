//! The answer to a sign-in: `JWTResponse` and `OptionalJWTResponse` (contract, section 5), and the cookie.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    caller::{Caller, REFRESH_COOKIE},
    user::UserObject,
};
use crate::{
    proto::{
        AuthenticateEmailCodeResponse, CookieHints, GetProviderMetadataRequest, RefreshTokensResponse,
        ReplacePasswordResponse, SignInResponse, SignUpResponse, TokenDelivery, TokenSet, User,
    },
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply, value::epoch_seconds},
};

/// `Path` of the cookie: every call of this dialect.
const COOKIE_PATH: &str = "/";

/// Whoever has signed in, or goes on.
pub(super) struct SignedIn {
    pub(super) user: Option<User>,
    pub(super) tokens: TokenSet,
    pub(super) cookie: CookieHints,
    pub(super) first_seen: bool,
    pub(super) device_token: String,
    /// The refresh token that the caller has already.
    pub(super) known_token: String,
}

macro_rules! from_sign_in {
    ($($response:ident: $first_seen:expr),* $(,)?) => {
        $(impl From<$response> for SignedIn {
            fn from(answer: $response) -> Self {
                let first_seen: fn(&$response) -> bool = $first_seen;
                Self {
                    first_seen: first_seen(&answer),
                    user: answer.user,
                    tokens: answer.tokens.unwrap_or_default(),
                    cookie: answer.refresh_token_cookie.unwrap_or_default(),
                    device_token: answer.device_token,
                    known_token: String::new(),
                }
            }
        })*
    };
}
from_sign_in! {
    AuthenticateEmailCodeResponse: |answer| answer.first_seen,
    ReplacePasswordResponse: |answer| answer.first_seen,
    SignInResponse: |answer| answer.first_seen,
    SignUpResponse: |_| true,
}

impl From<RefreshTokensResponse> for SignedIn {
    fn from(answer: RefreshTokensResponse) -> Self {
        Self {
            user: answer.user,
            tokens: answer.tokens.unwrap_or_default(),
            cookie: answer.refresh_token_cookie.unwrap_or_default(),
            first_seen: false,
            device_token: String::new(),
            known_token: String::new(),
        }
    }
}

/// `OptionalJWTResponse`: the tokens.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    session_jwt: String,
    refresh_jwt: String,
    cookie_domain: &'static str,
    cookie_path: &'static str,
    cookie_max_age: i32,
    cookie_expiration: i64,
    session_expiration: i64,
    external_token: &'static str,
    claims: Map<String, Value>,
    #[serde(rename = "tenantSSOID")]
    tenant_sso_id: &'static str,
    trusted_device_jwt: &'static str,
    /// Not in the published description; the web library keeps it and shows it at later sign-ins.
    known_device_jwt: String,
    next_refresh_seconds: i32,
    cookie_name: &'static str,
    session_cookie_name: &'static str,
    session_cookie_domain: &'static str,
}

/// `JWTResponse`: the tokens and whose they are.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(flatten)]
    tokens: Tokens,
    user: Option<UserObject>,
    first_seen: bool,
    idp_response: Option<UserObject>,
    #[serde(rename = "unsavedSSO")]
    unsaved_sso: bool,
}

impl SignedIn {
    /// `JWTResponse`, with the refresh token where the client wants it.
    pub(super) async fn reply(mut self, api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
        let cookie = self.take_cookie(api, incoming).await?;
        let (user, first_seen) = (self.user.take().map(UserObject::from), self.first_seen);
        let answer = Answer { user, first_seen, tokens: self.into(), ..Answer::default() };
        Ok(with_cookie(Reply::json(StatusCode::OK, &answer), cookie))
    }

    /// `OptionalJWTResponse`, likewise.
    pub(super) async fn optional_reply(mut self, api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
        let cookie = self.take_cookie(api, incoming).await?;
        Ok(with_cookie(Reply::json(StatusCode::OK, &Tokens::from(self)), cookie))
    }

    /// Moves the refresh token into a cookie, if it belongs there. A cookie is set again also where the token did not change, because
    /// it has to live on with the session; a body leaves such a token out.
    async fn take_cookie(&mut self, api: &Api, incoming: &Incoming) -> Result<Option<String>, Refusal> {
        let token = std::mem::take(&mut self.tokens.refresh_token);
        if self.cookie.token_delivery() != TokenDelivery::Cookie {
            self.tokens.refresh_token = Some(token).filter(|token| *token != self.known_token).unwrap_or_default();
            return Ok(None);
        }
        Ok(Some(refresh_cookie(&token, self.cookie.max_age_seconds, is_encrypted(api, incoming).await?)))
    }
}

impl From<SignedIn> for Tokens {
    fn from(signed_in: SignedIn) -> Self {
        let session_jwt = signed_in.tokens.session_token.unwrap_or_default();
        Self {
            session_expiration: claims_of(&session_jwt).get("exp").and_then(Value::as_i64).unwrap_or(0),
            session_jwt,
            refresh_jwt: signed_in.tokens.refresh_token,
            cookie_path: COOKIE_PATH,
            cookie_max_age: signed_in.cookie.max_age_seconds,
            cookie_expiration: signed_in.cookie.expires_at.as_ref().map_or(0, epoch_seconds),
            known_device_jwt: signed_in.device_token,
            ..Self::default()
        }
    }
}

/// The answer to a sign-out: nothing is left, the cookie neither.
pub(super) async fn signed_out(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let cookie = refresh_cookie("", 0, is_encrypted(api, incoming).await?);
    Ok(with_cookie(Reply::json(StatusCode::OK, &Answer::default()), Some(cookie)))
}

fn with_cookie(reply: Reply, cookie: Option<String>) -> Reply {
    match cookie {
        Some(cookie) => reply.and(header::SET_COOKIE, &cookie),
        None => reply,
    }
}

/// A cookie with the refresh token. One that takes it away has to have the same path and attributes, or browsers keep the other.
fn refresh_cookie(token: &str, max_age_seconds: i32, is_encrypted: bool) -> String {
    let site = site_attributes(is_encrypted);
    format!("{REFRESH_COOKIE}={token}; Path={COOKIE_PATH}; Max-Age={max_age_seconds}; HttpOnly; {site}")
}

/// The vendor's cookies go with calls from any site. Browsers take such ones over encrypted connections only. Whoever calls is known by
/// its `origin`, not by the cookie, and every call needs an `authorization` that a foreign page cannot send.
const fn site_attributes(is_encrypted: bool) -> &'static str {
    if is_encrypted { "SameSite=None; Secure" } else { "SameSite=Lax" }
}

/// True if the browser's connection is encrypted: a proxy in front says so, or the public URL of this server does. Anybody can send
/// the header, but it can only add `Secure`: whoever lies gets a cookie that their own connection does not keep.
async fn is_encrypted(api: &Api, incoming: &Incoming) -> Result<bool, Refusal> {
    if incoming.head.header("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) {
        return Ok(true);
    }
    let request = GetProviderMetadataRequest { project_id: Caller::of(&incoming.head)?.project_id() };
    let metadata = api.auth.clone().get_provider_metadata(incoming.call("", request)).await?.into_inner();
    Ok(metadata.public_url.starts_with("https://"))
}

/// The claims of a token that the API has made or verified.
pub(super) fn claims_of(jwt: &str) -> Map<String, Value> {
    let payload = jwt.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).unwrap_or_default();
    serde_json::from_slice(&payload).unwrap_or_default()
}
