//! Ending a session.

use super::{
    Call, Error, Services,
    authenticate_session::{SessionCredential, verify_token},
    end_sessions::end_session,
    refresh_tokens::read_refresh_token,
};
use crate::domain::{client::ClientType, project::LATE_TOKEN_MAX};

/// Ends the session that the credential stands for; one that has ended already stays so.
pub async fn sign_out(services: &Services, call: &Call, credential: SessionCredential) -> Result<(), Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let session_id = match credential {
        // An id is no secret: only a client that keeps one may name a session by it.
        SessionCredential::Id(_) if caller.client.client_type == ClientType::Public => {
            return Err(Error::CallerNotPermitted);
        }
        SessionCredential::Id(id) => id,
        SessionCredential::RefreshToken(token) => read_refresh_token(services, caller, &token, now).await?.0.session_id,
        SessionCredential::Token(kind, token) => {
            verify_token(services, caller, kind, &token, now, LATE_TOKEN_MAX).await?.session_id
        }
    };
    let tx = services.store.begin().await?;
    end_session(services, call, &tx, session_id, "sign_out", now).await?;
    Ok(tx.commit().await?)
}
