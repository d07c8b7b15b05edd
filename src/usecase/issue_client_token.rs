//! Access tokens of clients themselves (RFC 6749, section 4.4; RFC 9068).

use chrono::Duration;

use super::{
    Call, Error, IssuedToken, Services,
    token_forms::{self, Stamp},
};
use crate::domain::caller::ClientProof;

/// Lifetime of a client's token. It cannot be refreshed, and costs no more than a signature to get anew; an hour is what client
/// libraries reckon with. It outlives the secret it was got with by so much, but not its client.
pub const LIFETIME: Duration = Duration::hours(1);

/// Gives the calling client a token of its own: for a resource, or for its calls to this service.
pub async fn issue_client_token(
    services: &Services,
    call: &Call,
    resource: Option<String>,
) -> Result<IssuedToken, Error> {
    let (caller, now) = (call.client()?, services.clock.now());
    // A token that could get the next one would be good for ever.
    if caller.proof != ClientProof::Secret {
        return Err(Error::CallerNotPermitted);
    }
    let project = &caller.project;
    if resource.as_ref().is_some_and(|resource| !project.settings.allowed_resources.contains(resource)) {
        return Err(Error::ResourceNotAllowed("resource"));
    }
    let expires_at = now + LIFETIME;
    let stamp = Stamp::new(now, expires_at, &services.random);
    let keys = services.key_ring.keys(&services.store, project.id, now).await?;
    let token = token_forms::client_token(services, keys.signer(now)?, caller, resource.as_deref(), &stamp)?;
    Ok(IssuedToken { token: token.into(), expires_at })
}
