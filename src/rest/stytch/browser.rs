//! The browsers' side: `/sdk/v1` (contract, section 6). Successes stand inside of `data`.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    answer::{Nothing, enveloped},
    objects::{Session, User, end_of},
    outcome::{with_cookies, without_cookies},
    passwords::{self, StartReset},
    session_fields::SessionFields,
    sessions::renewal,
    site::Site,
};
use crate::{
    proto::{
        AuthenticateSessionRequest, ErrorReason, PasswordResetMethod, SignOutRequest, StartPasswordResetRequest,
        authenticate_session_request, session_options::ExistingSession, sign_out_request,
    },
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// Answer of a session that goes on.
#[derive(Serialize)]
struct Renewed {
    session: Session,
    session_token: String,
    session_jwt: String,
    user: User,
}

/// The body, less the claims for a session: they are a back end's to give, and the vendor's pages lose them without a word.
fn body<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, Refusal> {
    let mut members: Map<String, Value> = incoming.json()?;
    members.remove("session_custom_claims");
    serde_json::from_value(members.into()).map_err(|error| Refusal::Body(error.to_string()))
}

/// `POST /sdk/v1/events`: what the page reports about itself is dropped.
pub(super) async fn drop_events(_api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    Ok(enveloped(&incoming.head, Nothing {}))
}

/// `POST /sdk/v1/passwords`.
pub(super) async fn create(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (site, _) = Site::page(incoming)?;
    Ok(passwords::create(api, &site, body(incoming)?).await?.for_page(&incoming.head))
}

/// `POST /sdk/v1/passwords/authenticate`. A page that shows a session joins it.
pub(super) async fn authenticate(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (site, page) = Site::page(incoming)?;
    let body: passwords::Authenticate = body(incoming)?;
    let existing = page.session.map(|shown| ExistingSession::RefreshToken(shown.token));
    let has_shown_one = existing.is_some();
    let outcome = match passwords::authenticate(api, &site, &body, existing).await {
        // What it has shown is over, or somebody else's, which must not keep anybody from signing in.
        Err(refusal) if has_shown_one && is_about_a_session(&refusal) => {
            passwords::authenticate(api, &site, &body, None).await?
        }
        answered => answered?,
    };
    Ok(outcome.for_page(&incoming.head))
}

fn is_about_a_session(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Api(failure)
        if matches!(failure.reason, ErrorReason::SessionNotActive | ErrorReason::TokenInvalid))
}

/// `POST /sdk/v1/passwords/email/reset/start`. A page does not learn whether the address is somebody's.
pub(super) async fn start_reset(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, (site, _)) = (&incoming.head, Site::page(incoming)?);
    let body: StartReset = incoming.json()?;
    let request = StartPasswordResetRequest {
        email: passwords::email(head, body.email.clone())?,
        method: PasswordResetMethod::Link.into(),
        reset_url: body.page(head)?,
        locale: body.locale.clone().unwrap_or_default(),
        client_context: site.connection.clone(),
    };
    let started = api.auth.clone().start_password_reset(site.call(request)).await;
    started.map_err(|status| body.refused_page(head, status.into()))?;
    Ok(enveloped(head, Nothing {}))
}

/// `POST /sdk/v1/passwords/email/reset`.
pub(super) async fn complete_reset(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (site, _) = Site::page(incoming)?;
    Ok(passwords::complete_reset(api, &site, body(incoming)?).await?.for_page(&incoming.head))
}

/// `POST /sdk/v1/passwords/existing_password/reset`.
pub(super) async fn replace(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (site, _) = Site::page(incoming)?;
    Ok(passwords::replace(api, &site, body(incoming)?).await?.for_page(&incoming.head))
}

/// `POST /sdk/v1/sessions/authenticate`, which pages call again and again to stay signed in.
pub(super) async fn renew(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, (site, page)) = (&incoming.head, Site::page(incoming)?);
    let shown = page.session(head)?;
    let fields: SessionFields = body(incoming)?;
    let credential = authenticate_session_request::Credential::RefreshToken(shown.token.clone());
    let request = renewal(head, credential, &fields)?;
    let answer = api.auth.clone().authenticate_session(site.call(request)).await?.into_inner();
    let (session, user) = (answer.session.unwrap_or_default(), answer.user.unwrap_or_default());
    let (token, jwt) = (shown.token.clone(), answer.session_token.unwrap_or_default());
    let renewed = |session_token, session_jwt| {
        let (session, user) = (Session::of(&session, &user), User::from(&user));
        enveloped(head, Renewed { session, session_token, session_jwt, user })
    };
    Ok(match end_of(&session) {
        Some(ends) if shown.in_cookie => with_cookies(renewed(String::new(), String::new()), &token, &jwt, ends),
        _ => renewed(token, jwt),
    })
}

/// `POST /sdk/v1/sessions/revoke`.
pub(super) async fn revoke(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, (site, page)) = (&incoming.head, Site::page(incoming)?);
    let shown = page.session(head)?;
    let credential = sign_out_request::Credential::RefreshToken(shown.token.clone());
    let request = SignOutRequest { credential: Some(credential), all_sessions: false };
    api.auth.clone().sign_out(site.call(request)).await?;
    let reply = enveloped(head, Nothing {});
    Ok(if shown.in_cookie { without_cookies(reply) } else { reply })
}

/// `GET /sdk/v1/users/me`.
pub(super) async fn read_me(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, (site, page)) = (&incoming.head, Site::page(incoming)?);
    let token = page.session(head)?.token.clone();
    let request = AuthenticateSessionRequest {
        credential: Some(authenticate_session_request::Credential::RefreshToken(token)),
        ..AuthenticateSessionRequest::default()
    };
    let user = api.auth.clone().authenticate_session(site.call(request)).await?.into_inner().user;
    Ok(enveloped(head, User::from(&user.unwrap_or_default())))
}
