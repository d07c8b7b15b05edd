//! The place that a request comes from: a back end, or a page in a browser.

use http::header;

use super::caller::{Page, back_end};
use crate::{
    proto::ClientContext,
    rest::{
        failure::Refusal,
        incoming::{Head, Incoming},
    },
};

/// Who calls, and what is known of the end user's connection.
pub(super) struct Site<'a> {
    incoming: &'a Incoming,
    authorization: String,
    pub(super) connection: Option<ClientContext>,
}

impl<'a> Site<'a> {
    /// A back end.
    pub(super) fn back_end(incoming: &'a Incoming) -> Result<Self, Refusal> {
        let authorization = back_end(&incoming.head)?;
        Ok(Self { incoming, authorization, connection: None })
    }

    /// A page. Its browser is the end user's.
    pub(super) fn page(incoming: &'a Incoming) -> Result<(Self, Page), Refusal> {
        let page = Page::of(&incoming.head)?;
        let user_agent = incoming.head.header(header::USER_AGENT.as_str()).unwrap_or_default().to_owned();
        let connection = Some(ClientContext { user_agent, ..ClientContext::default() });
        Ok((Self { incoming, authorization: page.authorization.clone(), connection }, page))
    }

    /// The request, without its body.
    pub(super) fn head(&self) -> &'a Head {
        &self.incoming.head
    }

    /// A call of the API.
    pub(super) fn call<T>(&self, message: T) -> tonic::Request<T> {
        self.incoming.call(&self.authorization, message)
    }

    /// Another call of the API for the same request; see [`Incoming::secondary_call`].
    pub(super) fn secondary_call<T>(&self, message: T) -> tonic::Request<T> {
        self.incoming.secondary_call(&self.authorization, message)
    }
}
