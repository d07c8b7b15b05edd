//! Codes that a signed-in user asks for, to verify an address.

use super::{
    sign_in::{Answer, Opening, sign_in_wishes},
    token_wishes,
};
use crate::{
    domain::{
        code::{Code, VERIFICATION_DIGITS},
        identifier::{Identifier, IdentifierKind},
        violation::InField as _,
    },
    grpc::convert::{client_context, end_user, locale, timestamp},
    proto::{
        AuthenticateEmailCodeRequest, AuthenticateEmailCodeResponse, StartEmailVerificationRequest,
        StartEmailVerificationResponse,
    },
    usecase::{
        Call, Error, Services,
        authenticate_email_code::{EmailCodeSignIn, authenticate_email_code as redeem},
        start_email_change::{StartEmailChange, start_email_change},
    },
};

pub(super) async fn start_email_verification(
    services: &Services,
    call: &Call,
    body: StartEmailVerificationRequest,
) -> Result<StartEmailVerificationResponse, Error> {
    if body.refresh_token.is_empty() {
        return Err(Error::field("refresh_token", "must not be empty"));
    }
    let login_id = Some(body.login_id).filter(|login_id| !login_id.is_empty());
    let request = StartEmailChange {
        refresh_token: body.refresh_token.into(),
        email: Identifier::parse(IdentifierKind::Email, &body.email).in_field("email")?,
        login_id: login_id.map(|text| Identifier::parse_login_id(&text)).transpose().in_field("login_id")?,
        locale: locale("locale", Some(&body.locale))?,
        client_context: client_context(body.client_context)?,
    };
    let started = start_email_change(services, call, request).await?;
    Ok(StartEmailVerificationResponse {
        email: started.email,
        expires_at: Some(timestamp(started.expires_at)),
        attempts_left: i32::try_from(started.attempts_left).unwrap_or(i32::MAX),
        email_verification_id: started.id.to_string(),
    })
}

pub(super) async fn authenticate_email_code(
    services: &Services,
    call: &Call,
    body: AuthenticateEmailCodeRequest,
) -> Result<AuthenticateEmailCodeResponse, Error> {
    let choice = Opening::parse_new(body.session_options)?;
    let request = EmailCodeSignIn {
        wishes: sign_in_wishes(body.options, token_wishes(body.token_options)?, choice)?,
        identifier: Identifier::parse_login_id(&body.login_id).in_field("login_id")?,
        code: Code::parse(&body.code, VERIFICATION_DIGITS).in_field("code")?,
        end_user: end_user(body.client_context)?,
    };
    let signed_in = Answer::from(redeem(services, call, request).await?, call);
    Ok(AuthenticateEmailCodeResponse {
        user: signed_in.user,
        session: signed_in.session,
        tokens: signed_in.tokens,
        first_seen: signed_in.first_seen,
        refresh_token_cookie: signed_in.refresh_token_cookie,
        device_token: signed_in.device_token,
    })
}
