//! The back ends' side of sessions: `/v1/sessions` (contract, section 4.4).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    answer::{Nothing, success},
    errors::said,
    objects::{Session, User},
    session_fields::{SessionFields, too_many},
    site::Site,
    users,
};
use crate::{
    id_form,
    proto::{
        AuthenticateSessionRequest, AuthenticateSessionResponse, ListOrder, ListSessionsRequest, ResumeSessionRequest,
        RevokeSessionRequest, SignOutRequest, authenticate_session_request, sign_out_request,
    },
    rest::{
        all_sessions::all_sessions,
        api::Api,
        failure::Refusal,
        incoming::{Head, Incoming},
        reply::Reply,
        value::struct_of,
    },
};

/// Body of `POST /v1/sessions/authenticate`.
#[derive(Deserialize)]
struct Authenticate {
    #[serde(flatten)]
    session: SessionFields,
    authorization_check: Option<Map<String, Value>>,
}

/// Its answer. There is no verdict, because no check succeeds.
#[derive(Serialize)]
struct Authenticated {
    session: Session,
    session_token: String,
    session_jwt: String,
    user: User,
    verdict: Option<()>,
}

/// Body of `POST /v1/sessions/revoke`.
#[expect(clippy::struct_field_names, reason = "the vendor's names")]
#[derive(Deserialize)]
struct Revoke {
    session_id: Option<String>,
    session_token: Option<String>,
    session_jwt: Option<String>,
}

#[derive(Serialize)]
struct Sessions {
    sessions: Vec<Session>,
}

/// The call that moves a session on as `fields` say, and makes a fresh session JWT.
pub(super) fn renewal(
    head: &Head,
    credential: authenticate_session_request::Credential,
    fields: &SessionFields,
) -> Result<AuthenticateSessionRequest, Refusal> {
    Ok(AuthenticateSessionRequest {
        credential: Some(credential),
        session_duration: fields.duration(),
        renew_session_token: true,
        custom_claims: fields.claims_to_merge(head)?.map(|claims| struct_of(&claims)),
    })
}

/// `POST /v1/sessions/authenticate`.
pub(super) async fn authenticate(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    use authenticate_session_request::Credential;

    let (head, site) = (&incoming.head, Site::back_end(incoming)?);
    let body: Authenticate = incoming.json()?;
    let fields = &body.session;
    let (credential, opaque) = match (fields.session_token.clone(), fields.session_jwt.clone()) {
        (Some(_), Some(_)) => return Err(too_many(head)),
        (None, None) => {
            return Err(said(head, 400, "no_session_arguments", "name the session by session_token or session_jwt"));
        }
        (Some(token), None) => (Credential::RefreshToken(token.clone()), Some(token)),
        (None, Some(jwt)) => (Credential::SessionToken(legible(head, jwt)?), None),
    };
    if body.authorization_check.is_some() {
        // Whoever has no session learns that first. Nothing is prolonged for a check that fails.
        let request =
            AuthenticateSessionRequest { credential: Some(credential), ..AuthenticateSessionRequest::default() };
        api.auth.clone().authenticate_session(site.call(request)).await?;
        let message = "there are no roles with permissions, so nobody passes an authorization check";
        return Err(said(head, 403, "consumer_session_authorization_error", message));
    }
    let request = renewal(head, credential, fields)?;
    let answer = api.auth.clone().authenticate_session(site.call(request)).await?.into_inner();
    let session_token = match opaque {
        Some(token) => token,
        None => opaque_token(api, &site, &answer).await?,
    };
    let (session, user) = (answer.session.unwrap_or_default(), answer.user.unwrap_or_default());
    let body = Authenticated {
        session: Session::of(&session, &user),
        session_token,
        session_jwt: answer.session_token.unwrap_or_default(),
        user: (&user).into(),
        verdict: None,
    };
    Ok(success(head, body))
}

/// The session's opaque token, for whoever has shown a JWT of it. Of this dialect's sessions it stays the same, so asking twice changes
/// nothing.
async fn opaque_token(api: &Api, site: &Site<'_>, answer: &AuthenticateSessionResponse) -> Result<String, Refusal> {
    let session_id = answer.session.as_ref().map(|session| session.session_id.clone()).unwrap_or_default();
    let request = ResumeSessionRequest { session_id, ..ResumeSessionRequest::default() };
    let resumed = api.auth.clone().resume_session(site.secondary_call(request)).await?.into_inner();
    Ok(resumed.tokens.unwrap_or_default().refresh_token)
}

/// Something that has the form of a JWT at least (RFC 7519, section 3).
fn legible(head: &Head, jwt: String) -> Result<String, Refusal> {
    if jwt.split('.').filter(|part| !part.is_empty()).count() == 3 {
        return Ok(jwt);
    }
    Err(said(head, 400, "unable_to_parse_session_jwt", "the session_jwt is no JWT"))
}

/// `POST /v1/sessions/revoke`.
pub(super) async fn revoke(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    use sign_out_request::Credential;

    let (head, site) = (&incoming.head, Site::back_end(incoming)?);
    let body: Revoke = incoming.json()?;
    let credential = match (body.session_id, body.session_token, body.session_jwt) {
        (Some(id), None, None) => {
            let Some(id) = id_form::parse_stytch("session", &id) else {
                return Err(said(head, 400, "invalid_session_id", "the session_id is no session id"));
            };
            let request = RevokeSessionRequest { session_id: id_form::canonical("session", id) };
            api.sessions.clone().revoke_session(site.call(request)).await?;
            return Ok(success(head, Nothing {}));
        }
        (None, Some(token), None) => Credential::RefreshToken(token),
        (None, None, Some(jwt)) => Credential::SessionToken(legible(head, jwt)?),
        (None, None, None) => {
            let message = "name the session by session_id, session_token or session_jwt";
            return Err(said(head, 400, "no_session_revoke_arguments", message));
        }
        _ => {
            let message = "name the session by one of session_id, session_token and session_jwt";
            return Err(said(head, 400, "too_many_session_revoke_arguments", message));
        }
    };
    let request = SignOutRequest { credential: Some(credential), all_sessions: false };
    api.auth.clone().sign_out(site.call(request)).await?;
    Ok(success(head, Nothing {}))
}

/// `GET /v1/sessions`: those of a user that are live.
pub(super) async fn list(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, site) = (&incoming.head, Site::back_end(incoming)?);
    let user = users::find(api, &site, head.query("user_id").unwrap_or_default()).await?;
    let wanted = ListSessionsRequest {
        user_id: user.user_id.clone(),
        order: ListOrder::NewestFirst.into(),
        ..ListSessionsRequest::default()
    };
    let sessions = all_sessions(api, wanted, |message| site.call(message)).await?;
    let sessions = sessions.iter().map(|session| Session::of(session, &user)).collect();
    Ok(success(head, Sessions { sessions }))
}
