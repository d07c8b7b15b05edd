//! The live sessions of a user, for lists that have no pages.

use super::{api::Api, failure::Refusal};
use crate::proto::{ListSessionsRequest, Session};

/// Sessions that a page of the API's list holds, and how many pages are read at most: a user with more is a fault somewhere.
const PAGE_SIZE: i32 = 100;
const PAGES_MAX: usize = 10;

/// All that `wanted` asks for. `call` makes a call of the message.
pub(super) async fn all_sessions(
    api: &Api,
    wanted: ListSessionsRequest,
    call: impl Fn(ListSessionsRequest) -> tonic::Request<ListSessionsRequest>,
) -> Result<Vec<Session>, Refusal> {
    let (mut sessions, mut page_token) = (Vec::new(), String::new());
    for _ in 0..PAGES_MAX {
        let request = ListSessionsRequest { page_size: PAGE_SIZE, page_token, ..wanted.clone() };
        let page = api.sessions.clone().list_sessions(call(request)).await?.into_inner();
        sessions.extend(page.sessions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(sessions)
}
