//! The back ends' side of passwords: `/v1/passwords` (contract, section 4.1).

use serde::Serialize;

use super::{
    answer::success,
    errors::said,
    objects::{email_id, id},
    passwords::{self, StartReset},
    site::Site,
};
use crate::{
    proto::{CreatePasswordResetRequest, ErrorReason},
    rest::{api::Api, failure::Refusal, incoming::Incoming, reply::Reply},
};

/// Answer of a start.
#[derive(Serialize)]
struct Started {
    user_id: String,
    email_id: String,
}

/// `POST /v1/passwords`.
pub(super) async fn create(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let site = Site::back_end(incoming)?;
    Ok(passwords::create(api, &site, incoming.json()?).await?.for_back_end(&incoming.head))
}

/// `POST /v1/passwords/authenticate`.
pub(super) async fn authenticate(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let site = Site::back_end(incoming)?;
    let body: passwords::Authenticate = incoming.json()?;
    let existing = body.session.existing(&incoming.head)?;
    Ok(passwords::authenticate(api, &site, &body, existing).await?.for_back_end(&incoming.head))
}

/// `POST /v1/passwords/email/reset`.
pub(super) async fn complete_reset(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let site = Site::back_end(incoming)?;
    Ok(passwords::complete_reset(api, &site, incoming.json()?).await?.for_back_end(&incoming.head))
}

/// `POST /v1/passwords/existing_password/reset`.
pub(super) async fn replace(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let site = Site::back_end(incoming)?;
    Ok(passwords::replace(api, &site, incoming.json()?).await?.for_back_end(&incoming.head))
}

/// `POST /v1/passwords/email/reset/start`. A back end learns whether the address is somebody's.
pub(super) async fn start_reset(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (head, site) = (&incoming.head, Site::back_end(incoming)?);
    let body: StartReset = incoming.json()?;
    let request = CreatePasswordResetRequest {
        email: passwords::email(head, body.email.clone())?,
        reset_url: body.page(head)?,
        lifetime: body.lifetime(),
        locale: body.locale.clone().unwrap_or_default(),
        without_mail: false,
        client_context: body.attributes.clone().map(Into::into),
    };
    let started = api.users.clone().create_password_reset(site.call(request)).await;
    let started = started.map_err(|status| match Refusal::from(status) {
        Refusal::Api(failure) if failure.reason == ErrorReason::UserNotFound => {
            said(head, 404, "email_not_found", "nobody has this email address")
        }
        refusal => body.refused_page(head, refusal),
    })?;
    let reset = started.into_inner().password_reset.unwrap_or_default();
    Ok(success(head, Started { user_id: id("user", &reset.user_id), email_id: email_id(&reset.user_id) }))
}
