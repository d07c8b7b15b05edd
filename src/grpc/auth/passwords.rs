//! Passwords that their owners change.

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    sign_in::{Answer, Opening, custom_claims, sign_in_wishes},
    token_wishes,
};
use crate::{
    domain::{
        challenge::{SignInWishes, TokenWishes},
        identifier::Identifier,
        password::Password,
        violation::InField as _,
    },
    grpc::convert::{complete_password_reset_from, end_user, password_rule, user_message},
    proto::{
        ChangePasswordRequest, ChangePasswordResponse, CheckNewPasswordRequest, CheckNewPasswordResponse,
        CompletePasswordResetRequest, CompletePasswordResetResponse, PasswordRule, PasswordViolation,
        ReplacePasswordRequest, ReplacePasswordResponse,
    },
    usecase::{
        Call, Error, Services,
        change_password::{PasswordChange, change_password as change},
        check_new_password::{Shortcoming, check_new_password as shortcomings_of},
        complete_password_reset::{PasswordResetDone, complete_password_reset as complete_reset},
        replace_own_password::{PasswordReplacement, replace_own_password},
    },
};

/// Most names that a new password is compared with.
const NAMES_MAX: usize = 5;

pub(super) async fn replace_password(
    services: &Services,
    call: &Call,
    body: ReplacePasswordRequest,
) -> Result<ReplacePasswordResponse, Error> {
    let Opening { choice, joins } = Opening::parse(body.session_options)?;
    let request = PasswordReplacement {
        wishes: sign_in_wishes(body.options, token_wishes(body.token_options)?, choice)?,
        identifier: Identifier::parse_login_id(&body.login_id).in_field("login_id")?,
        current_password: Password::parse(&body.current_password).in_field("current_password")?,
        new_password: Password::parse(&body.new_password).in_field("new_password")?,
        joins,
        end_user: end_user(body.client_context)?,
    };
    let signed_in = Answer::from(replace_own_password(services, call, request).await?, call);
    Ok(ReplacePasswordResponse {
        user: signed_in.user,
        session: signed_in.session,
        tokens: signed_in.tokens,
        first_seen: signed_in.first_seen,
        refresh_token_cookie: signed_in.refresh_token_cookie,
        device_token: signed_in.device_token,
    })
}

pub(super) async fn change_password(
    services: &Services,
    call: &Call,
    body: ChangePasswordRequest,
) -> Result<ChangePasswordResponse, Error> {
    if body.refresh_token.is_empty() {
        return Err(Error::field("refresh_token", "must not be empty"));
    }
    let login_id = Some(body.login_id).filter(|login_id| !login_id.is_empty());
    let request = PasswordChange {
        refresh_token: body.refresh_token.into(),
        new_password: Password::parse(&body.new_password).in_field("new_password")?,
        login_id: login_id.map(|text| Identifier::parse_login_id(&text)).transpose().in_field("login_id")?,
    };
    let user = change(services, call, request).await?;
    Ok(ChangePasswordResponse { user: Some(user_message(user)) })
}

pub(super) async fn complete_password_reset(
    services: &Services,
    call: &Call,
    mut body: CompletePasswordResetRequest,
) -> Result<CompletePasswordResetResponse, Error> {
    let sign_in = match body.session_options.take() {
        None => None,
        options @ Some(_) => Some(SignInWishes {
            tokens: TokenWishes { session_token: true, ..token_wishes(body.token_options.take())? },
            custom_claims: custom_claims("custom_claims", body.custom_claims.take())?,
            session: Opening::parse_new(options)?,
            ..SignInWishes::default()
        }),
    };
    match complete_reset(services, call, complete_password_reset_from(body, sign_in)?).await? {
        PasswordResetDone::PasswordSet(user) => {
            Ok(CompletePasswordResetResponse { user: Some(user_message(*user)), ..Default::default() })
        }
        PasswordResetDone::SignedIn(signed_in) => {
            let signed_in = Answer::from(*signed_in, call);
            Ok(CompletePasswordResetResponse {
                user: signed_in.user,
                session: signed_in.session,
                tokens: signed_in.tokens,
                refresh_token_cookie: signed_in.refresh_token_cookie,
                device_token: signed_in.device_token,
            })
        }
    }
}

pub(super) fn check_new_password(
    call: &Call,
    body: CheckNewPasswordRequest,
) -> Result<CheckNewPasswordResponse, Error> {
    if body.identifiers.len() > NAMES_MAX {
        return Err(Error::field("identifiers", format!("must be at most {NAMES_MAX}")));
    }
    let identifiers = body.identifiers.iter().map(|text| Identifier::parse_login_id(text).in_field("identifiers"));
    let identifiers = identifiers.collect::<Result<Vec<_>, _>>()?;
    let password = SecretString::from(body.password);
    let shortcomings = shortcomings_of(call, password.expose_secret(), &identifiers)?;
    let violation = |shortcoming: &Shortcoming| PasswordViolation {
        rule: match shortcoming {
            Shortcoming::TooLong => PasswordRule::TooLong.into(),
            Shortcoming::Weak(weakness) => password_rule(weakness).into(),
        },
        description: shortcoming.to_string(),
    };
    Ok(CheckNewPasswordResponse { violations: shortcomings.iter().map(violation).collect() })
}
