//! Events.

use super::timestamp;
use crate::{domain::event::RecordedEvent, proto};

/// An event as the API shows it.
pub(in crate::grpc) fn event_message(event: RecordedEvent) -> proto::Event {
    fn text<T: ToString>(id: Option<T>) -> String {
        id.map(|id| id.to_string()).unwrap_or_default()
    }
    proto::Event {
        event_id: event.id.to_string(),
        kind: event.kind,
        cause: event.cause.unwrap_or_default(),
        project_id: event.project_id.to_string(),
        user_id: text(event.user_id),
        client_id: text(event.client_id),
        operator_id: text(event.operator_id),
        session_id: text(event.session_id),
        request_id: event.request_id.unwrap_or_default(),
        ip_address: event.ip_address.unwrap_or_default(),
        created_at: Some(timestamp(event.created_at)),
    }
}
