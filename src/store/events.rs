//! Table `events`: the audit trail, written in the transaction of the thing it tells about.

use std::sync::{Mutex, PoisonError};

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, Statement,
    entity::prelude::*,
};

use super::{StoreError, entity::event, kept_statement::KeptStatement};
use crate::{
    clock::Timestamp,
    domain::{
        event::{Cause, Event, EventKind},
        id::{EventId, ProjectId},
    },
};

/// Where and when an event is recorded.
#[derive(Clone, Copy, Debug)]
pub struct RecordedBy<'a> {
    /// Id of the row.
    pub id: EventId,
    /// Request that made it happen.
    pub request_id: Option<&'a str>,
    /// Time.
    pub now: Timestamp,
}

/// The audit trail. What it records is counted when the unit of work is committed.
#[derive(Debug)]
pub struct Events<'c, C>(pub(super) &'c C, pub(super) &'c Recorded);

/// Kinds and causes of the events of a unit of work.
#[derive(Debug, Default)]
pub(super) struct Recorded(Mutex<Vec<(&'static str, &'static str)>>);

impl Recorded {
    pub(super) fn note(&self, event: &Event) {
        let words = (event.kind.as_str(), event.cause.map_or("", Cause::as_str));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(words);
    }

    pub(super) fn into_words(self) -> Vec<(&'static str, &'static str)> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kinds and causes of the events that alerts and the dashboard look for by their kind.
pub(super) fn watched_for_bursts() -> impl Iterator<Item = (&'static str, &'static str)> {
    use EventKind as K;
    let kinds =
        [K::MailGivenUp, K::PasswordFailed, K::RefreshRepeated, K::RefreshReused, K::SignedIn, K::ThrottleTripped];
    kinds.into_iter().flat_map(|kind| {
        // Of these only a sign-in may have a cause or none.
        let has_plain = kind == K::SignedIn || kind.causes().is_empty();
        let causes = has_plain.then_some("").into_iter().chain(kind.causes().iter().map(|cause| cause.as_str()));
        causes.map(move |cause| (kind.as_str(), cause))
    })
}

/// Rows that are written in one statement: few enough for SQLite's limit of 32766 parameters.
const ROWS_A_STATEMENT: usize = 1000;

impl<C: ConnectionTrait> Events<'_, C> {
    /// Records an event.
    pub async fn push(&self, event: &Event, by: RecordedBy<'_>) -> Result<(), StoreError> {
        self.0.execute_raw(inserting(self.0, event, by)).await?;
        self.1.note(event);
        Ok(())
    }

    /// Records events, many in one statement: ending all sessions of a user may take thousands.
    pub async fn push_all(&self, events: &[(Event, RecordedBy<'_>)]) -> Result<(), StoreError> {
        if let [(event, by)] = events {
            return self.push(event, *by).await;
        }
        for events in events.chunks(ROWS_A_STATEMENT) {
            let rows = events.iter().map(|(event, by)| row(event, *by));
            event::Entity::insert_many(rows).exec_without_returning(self.0).await?;
            for (event, _) in events {
                self.1.note(event);
            }
        }
        Ok(())
    }

    /// Kinds and causes of a project's events, oldest first.
    pub async fn kinds(&self, project_id: ProjectId) -> Result<Vec<(String, Option<String>)>, StoreError> {
        let query = event::Entity::find().filter(event::Column::ProjectId.eq(Uuid::from(project_id)));
        let rows = query.order_by_asc(event::Column::Id).all(self.0).await?;
        Ok(rows.into_iter().map(|row| (row.kind, row.cause)).collect())
    }
}

/// Adds an event.
pub(super) fn inserting(connection: &impl ConnectionTrait, event: &Event, by: RecordedBy<'_>) -> Statement {
    static INSERT: KeptStatement = KeptStatement::new();
    INSERT.inserting(connection, &row(event, by))
}

fn row(event: &Event, by: RecordedBy<'_>) -> event::ActiveModel {
    event::ActiveModel {
        id: Set(by.id.into()),
        project_id: Set(event.project_id.into()),
        kind: Set(event.kind.as_str().to_owned()),
        user_id: Set(event.user_id.map(Into::into)),
        client_id: Set(event.client_id.map(Into::into)),
        operator_id: Set(event.operator_id.map(Into::into)),
        session_id: Set(event.session_id.map(Into::into)),
        request_id: Set(by.request_id.map(str::to_owned)),
        cause: Set(event.cause.map(|cause| cause.as_str().to_owned())),
        ip_address: Set(event.ip_address.map(|address| address.to_string())),
        created_at: Set(by.now),
        // It is given later: nobody knows yet in which order the units of work that run now are committed.
        position: Set(None),
    }
}
