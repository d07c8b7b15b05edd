//! Signing in: what all of its RPCs read and answer in the same way.

use secrecy::ExposeSecret as _;

use super::{delivery, token_wishes};
use crate::{
    crypto::jwt::TokenKind,
    domain::{
        bucket::Guarded,
        challenge::{SignInWishes, TokenWishes},
        claims::CustomClaims,
        code::{Code, VERIFICATION_DIGITS},
        id::SessionId,
        identifier::{Identifier, IdentifierKind},
        password::Password,
        session::{SessionChoice, SessionDuration},
        violation::InField as _,
    },
    grpc::convert::{cookie_hints, end_user, id, locale, object_from, session_message, token_set, user_message},
    proto::{
        self, AuthenticateEmailVerificationRequest, AuthenticateEmailVerificationResponse, AuthenticatePasswordRequest,
        AuthenticatePasswordResponse, SignInRequest, SignInResponse, authenticate_password_request,
        session_options::ExistingSession,
    },
    usecase::{
        Call, Error, Services, SignedIn,
        authenticate_email_verification::{EmailVerification, authenticate_email_verification as verify_email},
        authenticate_session::SessionCredential,
        sign_in::{PasswordSignIn, sign_in as sign_in_with_password},
    },
};

pub(super) async fn authenticate_password(
    services: &Services,
    call: &Call,
    body: AuthenticatePasswordRequest,
) -> Result<AuthenticatePasswordResponse, Error> {
    let signed_in = Answer::from(sign_in_with_password(services, call, password_sign_in(body)?).await?, call);
    Ok(AuthenticatePasswordResponse {
        user: signed_in.user,
        session: signed_in.session,
        tokens: signed_in.tokens,
        first_seen: signed_in.first_seen,
        device_token: signed_in.device_token,
    })
}

pub(super) async fn authenticate_email_verification(
    services: &Services,
    call: &Call,
    body: AuthenticateEmailVerificationRequest,
) -> Result<AuthenticateEmailVerificationResponse, Error> {
    if body.pending_authentication_token.is_empty() {
        return Err(Error::field("pending_authentication_token", "must not be empty"));
    }
    let step = EmailVerification {
        code: Code::parse(&body.code, VERIFICATION_DIGITS).in_field("code")?,
        pending_token: body.pending_authentication_token.into(),
        end_user: end_user(body.client_context)?,
    };
    let signed_in = Answer::from(verify_email(services, call, step).await?, call);
    Ok(AuthenticateEmailVerificationResponse {
        user: signed_in.user,
        session: signed_in.session,
        tokens: signed_in.tokens,
        first_seen: signed_in.first_seen,
        refresh_token_cookie: signed_in.refresh_token_cookie,
        device_token: signed_in.device_token,
    })
}

pub(super) async fn sign_in(services: &Services, call: &Call, body: SignInRequest) -> Result<SignInResponse, Error> {
    let signed_in = Answer::from(sign_in_with_password(services, call, login_sign_in(body)?).await?, call);
    Ok(SignInResponse {
        user: signed_in.user,
        session: signed_in.session,
        tokens: signed_in.tokens,
        first_seen: signed_in.first_seen,
        refresh_token_cookie: signed_in.refresh_token_cookie,
        device_token: signed_in.device_token,
    })
}

/// What every answer to a sign-in holds.
pub(super) struct Answer {
    pub(super) user: Option<proto::User>,
    pub(super) session: Option<proto::Session>,
    pub(super) tokens: Option<proto::TokenSet>,
    pub(super) first_seen: bool,
    pub(super) refresh_token_cookie: Option<proto::CookieHints>,
    pub(super) device_token: String,
}

impl Answer {
    pub(super) fn from(signed_in: SignedIn, call: &Call) -> Self {
        let tokens = signed_in.tokens.as_ref();
        Self {
            refresh_token_cookie: tokens.map(|tokens| cookie_hints(tokens, delivery(call))),
            tokens: tokens.map(token_set),
            user: Some(user_message(signed_in.user)),
            session: signed_in.session.map(session_message),
            first_seen: signed_in.first_seen,
            device_token: signed_in.device_token.expose_secret().into(),
        }
    }
}

/// How a session shall be opened, and what stands for the one to join instead.
pub(super) struct Opening {
    pub(super) choice: SessionChoice,
    pub(super) joins: Option<SessionCredential>,
}

impl Opening {
    pub(super) fn parse(options: Option<proto::SessionOptions>) -> Result<Self, Error> {
        let options = options.unwrap_or_default();
        let duration = options.duration.map(|given| SessionDuration::parse(given.seconds, given.nanos));
        let duration = duration.transpose().in_field("session_options.duration")?;
        let joins = options.existing_session.map(existing_session).transpose()?;
        if !options.without_session {
            return Ok(Self { choice: SessionChoice::New { duration }, joins });
        }
        if duration.is_some() || joins.is_some() {
            let problem = "leaves no session to last, or to join: unset it, or the other options";
            return Err(Error::field("session_options.without_session", problem));
        }
        Ok(Self { choice: SessionChoice::None, joins: None })
    }

    /// The same where there can be no session to join.
    pub(super) fn parse_new(options: Option<proto::SessionOptions>) -> Result<SessionChoice, Error> {
        let Self { choice, joins } = Self::parse(options)?;
        let Some(joins) = joins else { return Ok(choice) };
        let field = match joins {
            SessionCredential::Id(_) => "session_options.session_id",
            SessionCredential::RefreshToken(_) => "session_options.refresh_token",
            SessionCredential::Token(..) => "session_options.session_token",
        };
        Err(Error::field(field, "must be unset: there is no session to join here"))
    }
}

fn existing_session(given: ExistingSession) -> Result<SessionCredential, Error> {
    let token = |field: &str, token: String| {
        let field = format!("session_options.{field}");
        if token.is_empty() { Err(Error::field(&field, "must not be empty")) } else { Ok(token.into()) }
    };
    Ok(match given {
        ExistingSession::SessionId(text) => {
            SessionCredential::Id(id("session_options.session_id", &text, SessionId::parse)?)
        }
        ExistingSession::SessionToken(text) => {
            SessionCredential::Token(TokenKind::Session, token("session_token", text)?)
        }
        ExistingSession::RefreshToken(text) => SessionCredential::RefreshToken(token("refresh_token", text)?),
    })
}

pub(super) fn custom_claims(field: &str, object: Option<prost_types::Struct>) -> Result<CustomClaims, Error> {
    Ok(CustomClaims::parse(object_from(field, object)?).in_field(field)?)
}

/// The wishes of an application that signs an end user in: it always gets a session token.
pub(super) fn sign_in_wishes(
    options: Option<proto::SignInOptions>,
    tokens: TokenWishes,
    session: SessionChoice,
) -> Result<SignInWishes, Error> {
    let options = options.unwrap_or_default();
    let unsupported = [
        (options.step_up, "options.step_up"),
        (options.additional_factor, "options.additional_factor"),
        (!options.organization_id.is_empty(), "options.organization_id"),
    ];
    if let Some((_, field)) = unsupported.into_iter().find(|(asked, _)| *asked) {
        return Err(Error::NotSupported(field));
    }
    Ok(SignInWishes {
        tokens: TokenWishes { session_token: true, ..tokens },
        custom_claims: custom_claims("options.custom_claims", options.custom_claims)?,
        revoke_other_sessions: options.revoke_other_sessions,
        locale: locale("options.locale", Some(&options.locale))?,
        session,
    })
}

fn password_sign_in(body: AuthenticatePasswordRequest) -> Result<PasswordSignIn, Error> {
    use authenticate_password_request::Identifier as Given;
    if !body.invitation_token.is_empty() {
        return Err(Error::InvitationInvalid);
    }
    if !body.organization_id.is_empty() {
        return Err(Error::NotSupported("organization_id"));
    }
    let (kind, text) = match body.identifier {
        Some(Given::Email(text)) => (IdentifierKind::Email, text),
        Some(Given::Username(text)) => (IdentifierKind::Username, text),
        Some(Given::PhoneNumber(text)) => (IdentifierKind::Phone, text),
        None => return Err(Error::field("identifier", "set one of email, username and phone_number")),
    };
    let Opening { choice, joins } = Opening::parse(body.session_options)?;
    Ok(PasswordSignIn {
        identifier: Identifier::parse(kind, &text).in_field(kind.as_str())?,
        password: Password::parse(&body.password).in_field("password")?,
        wishes: SignInWishes {
            tokens: token_wishes(body.token_options)?,
            custom_claims: custom_claims("custom_claims", body.custom_claims)?,
            session: choice,
            ..SignInWishes::default()
        },
        joins,
        end_user: end_user(body.client_context)?,
        guarded: Guarded::AuthenticatePassword,
    })
}

fn login_sign_in(body: SignInRequest) -> Result<PasswordSignIn, Error> {
    let Opening { choice, joins } = Opening::parse(body.session_options)?;
    Ok(PasswordSignIn {
        wishes: sign_in_wishes(body.options, TokenWishes::default(), choice)?,
        identifier: Identifier::parse_login_id(&body.login_id).in_field("login_id")?,
        password: Password::parse(&body.password).in_field("password")?,
        joins,
        end_user: end_user(body.client_context)?,
        guarded: Guarded::SignIn,
    })
}
