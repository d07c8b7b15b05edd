//! Signing in, and going on being signed in (contract, sections 3 and 5.4).

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ClientAttributes, call, given, refusal};
use crate::{
    proto::{
        AuthenticatePasswordRequest, RefreshTokensRequest, ResumeSessionRequest, SessionOptions, TokenOptions,
        TokenSet, authenticate_password_request::Identifier, session_options::ExistingSession,
    },
    rest::{
        api::Api,
        failure::Refusal,
        incoming::{Head, Incoming},
        reply::Reply,
        value::struct_of,
    },
};

/// The tokens of a sign-in (contract, section 3.2): all of them, always.
#[derive(Serialize)]
struct Tokens {
    access_token: String,
    id_token: Option<String>,
    refresh_token: String,
    token_type: String,
    expires_in: i32,
    /// Not after a refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
}

fn answer(tokens: Option<TokenSet>, session_id: Option<String>) -> Reply {
    let tokens = tokens.unwrap_or_default();
    let body = Tokens {
        access_token: tokens.access_token,
        id_token: tokens.id_token,
        refresh_token: tokens.refresh_token,
        token_type: tokens.token_type,
        expires_in: tokens.expires_in_seconds,
        session_id,
    };
    Reply::json(StatusCode::OK, &body).with(http::header::PRAGMA, "no-cache")
}

/// What the tokens shall be like.
#[derive(Deserialize)]
struct Wishes {
    resource: Option<String>,
    claims: Option<Map<String, Value>>,
    org_id: Option<String>,
    client_attributes: Option<ClientAttributes>,
}

impl Wishes {
    fn token_options(&self) -> TokenOptions {
        TokenOptions {
            include_id_token: true,
            resource: self.resource.clone().unwrap_or_default(),
            claims: self.claims.as_ref().map(struct_of),
        }
    }
}

/// Body of `POST /v1/auth/password/authenticate`.
#[derive(Deserialize)]
struct Authenticate {
    username: Option<String>,
    username_type: Option<String>,
    identifier: Option<String>,
    identifier_type: Option<String>,
    password: Option<String>,
    session_id: Option<String>,
    #[serde(flatten)]
    wishes: Wishes,
}

/// `POST /v1/auth/password/authenticate`.
pub(super) async fn authenticate(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: Authenticate = incoming.json()?;
    let head = &incoming.head;
    let request = AuthenticatePasswordRequest {
        token_options: Some(body.wishes.token_options()),
        organization_id: body.wishes.org_id.clone().unwrap_or_default(),
        identifier: Some(identifier(head, &body)?),
        password: body.password.unwrap_or_default(),
        client_context: body.wishes.client_attributes.map(Into::into),
        session_options: given(body.session_id).map(|id| SessionOptions {
            existing_session: Some(ExistingSession::SessionId(id)),
            ..SessionOptions::default()
        }),
        ..AuthenticatePasswordRequest::default()
    };
    let joins = request.session_options.is_some();
    match api.auth.clone().authenticate_password(call(incoming, request)).await {
        Ok(signed_in) => {
            let signed_in = signed_in.into_inner();
            Ok(answer(signed_in.tokens, Some(signed_in.session.unwrap_or_default().session_id)))
        }
        Err(status) => match Refusal::from(status) {
            // The id of a session is opaque to clients: one that cannot be read is one that is not there.
            Refusal::Api(failure) if joins && failure.names("session_options.session_id") => Err(no_session()),
            refusal => Err(refusal),
        },
    }
}

fn no_session() -> Refusal {
    let body = serde_json::json!({ "message": "Session not found", "error_code": 400 });
    Reply::json(StatusCode::BAD_REQUEST, &body).into()
}

/// Who signs in: by the form of the seed, or by the newer one with an identifier; never both.
fn identifier(head: &Head, body: &Authenticate) -> Result<Identifier, Refusal> {
    let clone = |text: &Option<String>| given(text.clone());
    let (name, value, kind) = match (clone(&body.username), clone(&body.identifier)) {
        (Some(_), Some(_)) => return Err(refusal::field(head, "identifier", "and username exclude each other")),
        (Some(username), None) => {
            ("username_type", username, clone(&body.username_type).unwrap_or_else(|| "username".into()))
        }
        (None, Some(identifier)) => {
            let kind = clone(&body.identifier_type);
            let kind = kind.ok_or_else(|| refusal::field(head, "identifier_type", "is missing"))?;
            ("identifier_type", identifier, kind)
        }
        // The API says so itself, once it knows who is calling.
        (None, None) => return Ok(Identifier::Username(String::new())),
    };
    match kind.as_str() {
        "username" => Ok(Identifier::Username(value)),
        "email" => Ok(Identifier::Email(value)),
        "phone_number" => Ok(Identifier::PhoneNumber(value)),
        _ => Err(refusal::field(head, name, "must be username, email or phone_number")),
    }
}

/// Body of `POST /v1/auth/token/refresh`.
#[derive(Deserialize)]
struct Refresh {
    refresh_token: Option<String>,
}

/// `POST /v1/auth/token/refresh`.
pub(super) async fn refresh(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: Refresh = incoming.json()?;
    let request = RefreshTokensRequest {
        refresh_token: body.refresh_token.unwrap_or_default(),
        token_options: Some(TokenOptions { include_id_token: true, ..TokenOptions::default() }),
        include_session_token: false,
    };
    let refreshed = api.auth.clone().refresh_tokens(call(incoming, request)).await?.into_inner();
    Ok(answer(refreshed.tokens, None))
}

/// Body of `POST /v1/auth/session/authenticate`.
#[derive(Deserialize)]
struct Resume {
    session_id: Option<String>,
    #[serde(flatten)]
    wishes: Wishes,
}

/// `POST /v1/auth/session/authenticate`: silent, with the `amr` and `auth_time` of the sign-in.
pub(super) async fn resume(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let body: Resume = incoming.json()?;
    if given(body.wishes.org_id.clone()).is_some() {
        return Err(refusal::field(&incoming.head, "org_id", "is not supported by this version; leave it unset"));
    }
    let Some(session_id) = given(body.session_id) else {
        return Err(refusal::field(&incoming.head, "session_id", "is missing"));
    };
    let request = ResumeSessionRequest {
        session_id,
        token_options: Some(body.wishes.token_options()),
        include_session_token: false,
        client_context: body.wishes.client_attributes.map(Into::into),
    };
    match api.auth.clone().resume_session(call(incoming, request)).await {
        Ok(resumed) => {
            let resumed = resumed.into_inner();
            Ok(answer(resumed.tokens, Some(resumed.session.unwrap_or_default().session_id)))
        }
        Err(status) => match Refusal::from(status) {
            Refusal::Api(failure) if failure.names("session_id") => Err(no_session()),
            refusal => Err(refusal),
        },
    }
}
