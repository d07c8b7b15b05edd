//! Sessions and their tokens.

use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::{seconds_until, timestamp};
use crate::{
    domain::{
        id::EmailVerificationId,
        session::{AuthenticationMethod, Session, SessionState},
    },
    json_struct::struct_of,
    proto,
    usecase::{PendingSignIn, Tokens},
};

/// A session as a message.
pub(in crate::grpc) fn session_message(session: Session) -> proto::Session {
    let method = |method: &AuthenticationMethod| match method {
        AuthenticationMethod::EmailCode => proto::AuthenticationMethod::EmailCode.into(),
        AuthenticationMethod::Password => proto::AuthenticationMethod::Password.into(),
    };
    let (idle_expires_at, expires_at, revoked_at) = match session.state {
        SessionState::Active { idle_expires_at, expires_at } => (idle_expires_at, expires_at, None),
        SessionState::Revoked { revoked_at } => (revoked_at, revoked_at, Some(revoked_at)),
    };
    let context = session.client_context;
    proto::Session {
        session_id: session.id.to_string(),
        user_id: session.user_id.to_string(),
        client_id: session.client_id.to_string(),
        authentication_methods: session.methods.iter().map(method).collect(),
        authenticated_at: Some(timestamp(session.authenticated_at)),
        client_context: Some(proto::ClientContext {
            ip_address: context.ip_address.map(|address| address.to_string()).unwrap_or_default(),
            user_agent: context.user_agent.unwrap_or_default(),
            // Shown at the sign-in, this once.
            device_token: String::new(),
        }),
        custom_claims: Some(struct_of(session.custom_claims.as_object())),
        created_at: Some(timestamp(session.created_at)),
        idle_expires_at: Some(timestamp(idle_expires_at)),
        expires_at: Some(timestamp(expires_at)),
        revoked_at: revoked_at.map(timestamp),
        last_used_at: Some(timestamp(session.last_used_at)),
    }
}

/// Tokens as a message: the one place where they are shown.
pub(in crate::grpc) fn token_set(tokens: &Tokens) -> proto::TokenSet {
    let until = |time| seconds_until(tokens.issued_at, time);
    let session = tokens.session.as_ref();
    proto::TokenSet {
        access_token: tokens.access.token.expose_secret().into(),
        expires_in_seconds: until(tokens.access.expires_at),
        token_type: "Bearer".into(),
        id_token: tokens.id.as_ref().map(|token| token.expose_secret().into()),
        refresh_token: tokens.refresh.token.expose_secret().into(),
        refresh_expires_in_seconds: until(tokens.refresh.expires_at),
        session_token: session.map(|session| session.token.expose_secret().into()),
        session_token_expires_in_seconds: session.map_or(0, |session| until(session.expires_at)),
    }
}

/// How to keep the refresh token in a cookie.
pub(in crate::grpc) fn cookie_hints(tokens: &Tokens, delivery: proto::TokenDelivery) -> proto::CookieHints {
    proto::CookieHints {
        path: "/".into(),
        max_age_seconds: seconds_until(tokens.issued_at, tokens.refresh.expires_at),
        expires_at: Some(timestamp(tokens.refresh.expires_at)),
        token_delivery: delivery.into(),
    }
}

/// What is missing to complete a sign-in, as a message.
pub(in crate::grpc) fn pending_authentication(
    pending: &PendingSignIn,
    missing_step: proto::PendingStep,
) -> proto::PendingAuthentication {
    // Nothing was mailed for the other step.
    let mailed_to = pending.user.unverified_email().filter(|_| pending.code_id.is_some());
    let code_id = pending.code_id.map(|id| EmailVerificationId::from(Uuid::from(id)));
    // It travels in headers, of which many a client library takes no more than 8 KiB: little of the user.
    proto::PendingAuthentication {
        pending_authentication_token: pending.token.expose_secret().into(),
        missing_step: missing_step.into(),
        user: Some(proto::PendingUser {
            user_id: pending.user.id.to_string(),
            email: mailed_to.map(|email| email.display().to_owned()).unwrap_or_default(),
        }),
        expires_at: Some(timestamp(pending.expires_at)),
        email_verification_id: code_id.map(|id| id.to_string()).unwrap_or_default(),
    }
}
