//! The dialect of Transmit Security.

use serde_json::json;

use super::{dialect::Dialect, failure::Refusal, incoming::Head, plain_status, reply::Reply, route::routes};

/// The dialect.
pub(super) static DIALECT: Dialect = Dialect { name: "transmit", routes: routes![], refuse };

/// A refusal in the words of Transmit Security.
fn refuse(_head: &Head, refusal: Refusal) -> Reply {
    if let Refusal::Said(reply) = refusal {
        return *reply;
    }
    Reply::json(plain_status(&refusal), &json!({ "message": "not yet" }))
}
