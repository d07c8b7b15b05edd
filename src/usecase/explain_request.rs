//! What the audit trail tells of a request, with what became of it since: for an operator whose caller was told nothing.

use std::{collections::HashMap, net::IpAddr};

use super::{Call, Error, Services};
use crate::{
    clock::Timestamp,
    domain::{
        bucket::{Bucket, Guarded, Subject},
        event::{Cause, EventKind, RecordedEvent},
        id::UserId,
        message::PostedMail,
        user::User,
    },
};

/// Events that are looked at. A request leaves a few, but its id comes from the caller, who may use it for many.
pub const EVENTS_MAX: u64 = 100;

/// An event, and what is known about it now.
#[derive(Debug)]
pub struct ExplainedEvent {
    /// The event.
    pub event: RecordedEvent,
    /// Its user as they are now; none if it has none, or they were deleted.
    pub user: Option<User>,
    /// What slows the user or their address down now, if the event is about that, by counter. Not what slows down a known device,
    /// which only its token names.
    pub delays: Vec<(Cause, Timestamp)>,
    /// The mail that was written with it, as long as that is kept.
    pub mail: Option<PostedMail>,
}

/// Tells what the requests of that id left behind, oldest first, and at most [`EVENTS_MAX`] of it.
pub async fn explain_request(services: &Services, call: &Call, request_id: &str) -> Result<Vec<ExplainedEvent>, Error> {
    call.operator()?;
    let view = services.store.view();
    let mut users: HashMap<UserId, Option<User>> = HashMap::new();
    let mut explained = Vec::new();
    for event in view.event_stream().of_request(request_id, EVENTS_MAX).await? {
        let user = match event.user_id {
            None => None,
            Some(id) => match users.get(&id) {
                Some(known) => known.clone(),
                None => users.entry(id).or_insert(view.users().find(event.project_id, id).await?).clone(),
            },
        };
        let mail = match (EventKind::parse(&event.kind), event.user_id) {
            (Some(EventKind::EmailCodeSent | EventKind::PasswordResetStarted), Some(id)) => {
                view.outbox().posted_at(id, event.created_at).await?
            }
            _ => None,
        };
        let delays = delays(services, &event).await?;
        explained.push(ExplainedEvent { event, user, delays, mail });
    }
    Ok(explained)
}

/// The delays that hold now, of those that the event may be about.
async fn delays(services: &Services, event: &RecordedEvent) -> Result<Vec<(Cause, Timestamp)>, Error> {
    let is_about_one =
        event.kind == EventKind::ThrottleTripped.as_str() || event.cause.as_deref() == Some(Cause::Throttled.as_str());
    let address = event.ip_address.as_deref().and_then(|address| address.parse::<IpAddr>().ok());
    let subjects = [event.user_id.map(Subject::User), address.map(Subject::ip)];
    let mut delays = Vec::new();
    for subject in subjects.into_iter().flatten().filter(|_| is_about_one) {
        for guarded in Guarded::ALL {
            let bucket = Bucket { guarded, subject: subject.clone() };
            let throttle = services.store.view().throttles().find(event.project_id, &bucket).await?;
            let until = throttle.blocked_until(services.clock.now(), &services.limits.policy(&bucket));
            delays.extend(until.map(|until| (bucket.name(), until)));
        }
    }
    Ok(delays)
}
