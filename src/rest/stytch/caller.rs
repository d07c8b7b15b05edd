//! Who is calling: credentials of Stytch, as those of the gRPC API.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::errors::said;
use crate::{
    id_form,
    rest::{failure::Refusal, incoming::Head},
};

/// The cookie that holds a session token, in both ways of keeping it.
pub(super) const SESSION_COOKIE: &str = "stytch_session";

/// The credentials of a back end, `Basic project_id:secret`, as `authorization` of the API.
pub(super) fn back_end(head: &Head) -> Result<String, Refusal> {
    let Some((project, secret)) = head.basic() else {
        return Err(said(
            head,
            401,
            "unauthorized_credentials",
            "send the project id and a secret as Basic credentials",
        ));
    };
    let Some(project) = project_id(&project) else {
        let message = "the user name of the Basic credentials is no project id: project-live- and a UUID";
        return Err(said(head, 400, "invalid_project_id_authentication", message));
    };
    // Without a secret the API would take the call for one of a public client.
    if secret.is_empty() {
        return Err(said(head, 401, "unauthorized_credentials", "the Basic credentials have no secret"));
    }
    Ok(format!("Bearer {project}:{secret}"))
}

/// A project's id in our own form.
pub(super) fn project_id(text: &str) -> Option<String> {
    Some(id_form::canonical("project", id_form::parse_stytch("project", text)?))
}

/// A web page: its public token, and the session that it shows, if any.
pub(super) struct Page {
    /// As `authorization` of the API.
    pub(super) authorization: String,
    /// Taken for what it is only by what needs a session: after the end of one, its token still comes with every call.
    pub(super) session: Option<Shown>,
}

/// A session token as a page shows it.
pub(super) struct Shown {
    pub(super) token: String,
    /// True if it came in a cookie that the page itself cannot read.
    pub(super) in_cookie: bool,
}

impl Page {
    /// Reads `Basic public_token:X`, where X is the session token, or the public token once more (contract, section 6.2).
    pub(super) fn of(head: &Head) -> Result<Self, Refusal> {
        let unknown =
            || said(head, 404, "public_token_not_found", "send the public token as the user name of Basic credentials");
        let (public_token, shown) = head.basic().ok_or_else(unknown)?;
        let client = id_form::parse_stytch("public-token", &public_token).ok_or_else(unknown)?;
        let credentials = STANDARD.encode(format!("{}:", id_form::canonical("client", client)));
        // What the page says itself comes first: cookies know no ports, so one of another service may be with it.
        let session = if shown.is_empty() || shown == public_token {
            head.cookie(SESSION_COOKIE).map(|token| Shown { token: token.to_owned(), in_cookie: true })
        } else {
            Some(Shown { token: shown, in_cookie: false })
        };
        Ok(Self { authorization: format!("Basic {credentials}"), session })
    }

    /// The session, for calls that need one.
    pub(super) fn session(&self, head: &Head) -> Result<&Shown, Refusal> {
        let missing = || said(head, 401, "user_unauthenticated", "this call needs a session");
        self.session.as_ref().filter(|shown| !shown.token.is_empty()).ok_or_else(missing)
    }
}
