//! Ending a session.

use super::{
    Call, Error, Services,
    authenticate_session::{SessionCredential, verify_token},
    refresh_tokens::read_refresh_token,
};
use crate::domain::{
    client::ClientType,
    event::{Event, EventKind},
};

/// Ends the session that the credential stands for; one that has ended already stays so.
pub async fn sign_out(services: &Services, call: &Call, credential: SessionCredential) -> Result<(), Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    let session_id = match credential {
        // An id is no secret: only a client that keeps one may name a session by it.
        SessionCredential::Id(_) if caller.client.client_type == ClientType::Public => {
            return Err(Error::CallerNotPermitted);
        }
        SessionCredential::Id(id) => id,
        SessionCredential::RefreshToken(token) => {
            let keys = services.key_ring.keys(&services.store, caller.project_id(), now).await?;
            read_refresh_token(services, caller, &keys, &token, now, true).ok_or(Error::TokenInvalid)?.session_id
        }
        SessionCredential::Token(kind, token) => {
            verify_token(services, caller, kind, &token, now, true).await?.session_id
        }
    };
    let tx = services.store.begin().await?;
    if tx.sessions().revoke(caller.project_id(), session_id, now).await? {
        let event = Event::new(EventKind::SessionRevoked, caller.project_id()).session(session_id).cause("sign_out");
        services.record(&tx, call, now, [event]).await?;
    }
    Ok(tx.commit().await?)
}
