//! Sessions that are looked at, go on and end.

use secrecy::ExposeSecret as _;

use super::token_wishes;
use crate::{
    crypto::jwt::TokenKind,
    domain::{claims::CustomClaims, id::SessionId, session::SessionDuration, violation::InField as _},
    grpc::convert::{self, client_context, id, object_from, seconds_until, session_message, token_set, user_message},
    json_struct::struct_of,
    proto::{
        AuthenticateSessionRequest, AuthenticateSessionResponse, EndSessionRequest, EndSessionResponse,
        GetUserInfoRequest, GetUserInfoResponse, ResumeSessionRequest, ResumeSessionResponse, SignOutRequest,
        SignOutResponse, authenticate_session_request, sign_out_request,
    },
    usecase::{
        Call, Error, Services,
        authenticate_session::{self as sessions, SessionCredential, SessionWishes},
        end_session_by_link::end_session_by_link,
        resume_session::{self as resume, ResumeSession},
        sign_out as ending,
        user_info::user_info,
    },
};

pub(super) async fn authenticate_session(
    services: &Services,
    call: &Call,
    body: AuthenticateSessionRequest,
) -> Result<AuthenticateSessionResponse, Error> {
    let credential = session_credential(body.credential.map(Into::into))?;
    let duration = body.session_duration.map(|given| SessionDuration::parse(given.seconds, given.nanos));
    let field = "custom_claims";
    let wishes = SessionWishes {
        duration: duration.transpose().in_field("session_duration")?,
        renew_session_token: body.renew_session_token,
        custom_claims: CustomClaims::parse(object_from(field, body.custom_claims)?).in_field(field)?,
    };
    let live = sessions::authenticate_session(services, call, credential, wishes).await?;
    let (now, fresh) = (live.checked_at, live.session_token);
    Ok(AuthenticateSessionResponse {
        user: Some(user_message(live.user)),
        session: Some(session_message(live.session)),
        token_expires_in: live.token_expires_at.map(|end| convert::duration(now, end)),
        session_token_expires_in_seconds: fresh.as_ref().map_or(0, |t| seconds_until(now, t.expires_at)),
        session_token: fresh.map(|fresh| fresh.token.expose_secret().into()),
    })
}

pub(super) async fn resume_session(
    services: &Services,
    call: &Call,
    body: ResumeSessionRequest,
) -> Result<ResumeSessionResponse, Error> {
    let mut wishes = token_wishes(body.token_options)?;
    wishes.session_token = body.include_session_token;
    let request = ResumeSession {
        session_id: id("session_id", &body.session_id, SessionId::parse)?,
        wishes,
        client_context: client_context(body.client_context)?,
    };
    let resumed = resume::resume_session(services, call, request).await?;
    Ok(ResumeSessionResponse {
        tokens: Some(token_set(&resumed.tokens)),
        user: Some(user_message(resumed.user)),
        session: Some(session_message(resumed.session)),
    })
}

pub(super) async fn sign_out(services: &Services, call: &Call, body: SignOutRequest) -> Result<SignOutResponse, Error> {
    let credential = session_credential(body.credential.map(Into::into))?;
    let ended = ending::sign_out(services, call, credential, body.all_sessions).await?;
    Ok(SignOutResponse { revoked_sessions: i32::try_from(ended).unwrap_or(i32::MAX) })
}

pub(super) async fn end_session(
    services: &Services,
    call: &Call,
    body: EndSessionRequest,
) -> Result<EndSessionResponse, Error> {
    let session_id = id("session_id", &body.session_id, SessionId::parse)?;
    let return_to = Some(body.return_to.as_str()).filter(|page| !page.is_empty());
    let page = end_session_by_link(services, call, session_id, return_to).await?;
    Ok(EndSessionResponse { redirect_url: page.unwrap_or_default() })
}

pub(super) async fn get_user_info(
    services: &Services,
    _call: &Call,
    body: GetUserInfoRequest,
) -> Result<GetUserInfoResponse, Error> {
    if body.access_token.is_empty() {
        return Err(Error::field("access_token", "must not be empty"));
    }
    let claims = user_info(services, body.access_token.into()).await?;
    Ok(GetUserInfoResponse { claims: Some(struct_of(&claims)) })
}

/// What stands for a session, as both messages spell it.
enum Presented {
    RefreshToken(String),
    Token(&'static str, TokenKind, String),
    Id(String),
}

impl From<authenticate_session_request::Credential> for Presented {
    fn from(credential: authenticate_session_request::Credential) -> Self {
        use authenticate_session_request::Credential;
        match credential {
            Credential::AccessToken(token) => Self::Token("access_token", TokenKind::Access, token),
            Credential::SessionToken(token) => Self::Token("session_token", TokenKind::Session, token),
            Credential::SessionId(id) => Self::Id(id),
            Credential::RefreshToken(token) => Self::RefreshToken(token),
        }
    }
}

impl From<sign_out_request::Credential> for Presented {
    fn from(credential: sign_out_request::Credential) -> Self {
        use sign_out_request::Credential;
        match credential {
            Credential::AccessToken(token) => Self::Token("access_token", TokenKind::Access, token),
            Credential::SessionToken(token) => Self::Token("session_token", TokenKind::Session, token),
            Credential::SessionId(id) => Self::Id(id),
            Credential::RefreshToken(token) => Self::RefreshToken(token),
        }
    }
}

fn session_credential(presented: Option<Presented>) -> Result<SessionCredential, Error> {
    match presented {
        None => Err(Error::field("credential", "set one of access_token, session_token, session_id and refresh_token")),
        Some(Presented::RefreshToken(token)) if token.is_empty() => {
            Err(Error::field("refresh_token", "must not be empty"))
        }
        Some(Presented::RefreshToken(token)) => Ok(SessionCredential::RefreshToken(token.into())),
        Some(Presented::Token(field, _, token)) if token.is_empty() => Err(Error::field(field, "must not be empty")),
        Some(Presented::Token(_, kind, token)) => Ok(SessionCredential::Token(kind, token.into())),
        Some(Presented::Id(text)) => Ok(SessionCredential::Id(id("session_id", &text, SessionId::parse)?)),
    }
}
