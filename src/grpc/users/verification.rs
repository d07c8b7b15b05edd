//! Codes and password resets that a trusted back end handles.

use secrecy::ExposeSecret as _;

use super::user_id;
use crate::{
    domain::{
        challenge::ResetLifetime,
        code::{Code, VERIFICATION_DIGITS},
        id::{EmailVerificationId, PasswordResetId},
        identifier::{Identifier, IdentifierKind},
        violation::InField as _,
    },
    grpc::convert::{client_context, id, locale, timestamp, user_message},
    proto::{
        ConfirmEmailVerificationRequest, ConfirmEmailVerificationResponse, CreatePasswordResetRequest,
        CreatePasswordResetResponse, EmailVerification, GetEmailVerificationRequest, GetEmailVerificationResponse,
        GetPasswordResetRequest, GetPasswordResetResponse, PasswordReset,
    },
    usecase::{
        Call, Error, Services,
        confirm_email_verification::{self as codes},
        create_password_reset::{self as resets, CreatePasswordReset, ResetOnItsWay},
    },
};

pub(super) async fn confirm_email_verification(
    services: &Services,
    call: &Call,
    body: ConfirmEmailVerificationRequest,
) -> Result<ConfirmEmailVerificationResponse, Error> {
    let id = user_id(&body.user_id)?;
    let code = Code::parse(&body.code, VERIFICATION_DIGITS).in_field("code")?;
    let user = codes::confirm_email_verification(services, call, id, &code).await?;
    Ok(ConfirmEmailVerificationResponse { user: Some(user_message(user)) })
}

pub(super) async fn get_email_verification(
    services: &Services,
    call: &Call,
    body: GetEmailVerificationRequest,
) -> Result<GetEmailVerificationResponse, Error> {
    let id = id("email_verification_id", &body.email_verification_id, EmailVerificationId::parse)?;
    let code = codes::get_email_verification(services, call, id).await?;
    Ok(GetEmailVerificationResponse {
        email_verification: Some(EmailVerification {
            email_verification_id: id.to_string(),
            user_id: code.user_id.to_string(),
            email: code.email,
            code: code.code.expose_secret().into(),
            expires_at: Some(timestamp(code.expires_at)),
            created_at: Some(timestamp(code.created_at)),
        }),
    })
}

pub(super) async fn create_password_reset(
    services: &Services,
    call: &Call,
    body: CreatePasswordResetRequest,
) -> Result<CreatePasswordResetResponse, Error> {
    let lifetime = body.lifetime.map(|given| ResetLifetime::parse(given.seconds, given.nanos));
    let request = CreatePasswordReset {
        email: Identifier::parse(IdentifierKind::Email, &body.email).in_field("email")?,
        page: Some(body.reset_url).filter(|page| !page.is_empty()),
        lifetime: lifetime.transpose().in_field("lifetime")?,
        locale: locale("locale", Some(&body.locale))?,
        without_mail: body.without_mail,
        client_context: client_context(body.client_context)?,
    };
    let reset = resets::create_password_reset(services, call, request).await?;
    Ok(CreatePasswordResetResponse { password_reset: Some(reset_message(reset)) })
}

pub(super) async fn get_password_reset(
    services: &Services,
    call: &Call,
    body: GetPasswordResetRequest,
) -> Result<GetPasswordResetResponse, Error> {
    let id = id("password_reset_id", &body.password_reset_id, PasswordResetId::parse)?;
    let reset = resets::get_password_reset(services, call, id).await?;
    Ok(GetPasswordResetResponse { password_reset: Some(reset_message(reset)) })
}

fn reset_message(reset: ResetOnItsWay) -> PasswordReset {
    PasswordReset {
        password_reset_id: reset.id.to_string(),
        user_id: reset.user_id.to_string(),
        email: reset.email,
        password_reset_token: reset.token.expose_secret().into(),
        password_reset_url: reset.link.map(|link| link.expose_secret().to_owned()).unwrap_or_default(),
        expires_at: Some(timestamp(reset.expires_at)),
        created_at: Some(timestamp(reset.created_at)),
    }
}
