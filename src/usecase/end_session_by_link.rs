//! Ending a session by a link that a browser follows.

use super::{Call, Error, Services, end_sessions::end_one};
use crate::domain::{client::TokenProfile, event::Cause, id::SessionId};

/// Ends the session and says where the browser goes: to one of the project's pages and no other, or this would send people wherever a
/// link says. A session that has ended already sends them on likewise, so that the link can be followed twice.
///
/// Nobody is asked who they are: knowing the id is enough, but only for sessions whose clients build such links.
pub async fn end_session_by_link(
    services: &Services,
    call: &Call,
    id: SessionId,
    return_to: Option<&str>,
) -> Result<Option<String>, Error> {
    let view = services.store.view();
    let session = view.sessions().find_in_any_project(id).await?;
    let session = session.filter(|session| has_link(session.token_profile)).ok_or(Error::SessionNotFound)?;
    let project = view.projects().find(session.project_id).await?.ok_or(Error::SessionNotFound)?;
    let pages = &project.settings.sign_out_urls;
    let page = match return_to {
        None => pages.first(),
        Some(asked) => Some(pages.iter().find(|page| *page == asked).ok_or(Error::SignOutUrlNotAllowed)?),
    };
    let tx = services.store.begin().await?;
    end_one(services, call, &tx, (project.id, id), Cause::Link, services.clock.now()).await?;
    tx.commit().await?;
    Ok(page.cloned())
}

/// Whether applications of that profile sign out by a link.
const fn has_link(profile: TokenProfile) -> bool {
    match profile {
        TokenProfile::WorkOs => true,
        TokenProfile::Descope | TokenProfile::Standard | TokenProfile::Stytch | TokenProfile::Transmit => false,
    }
}
