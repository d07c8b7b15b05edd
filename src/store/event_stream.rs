//! The audit trail as a stream: every event has a place in it, given after its commit, and is read in that order.
//!
//! Ids are made before the commit, so a reader that went by them could pass by one that is committed late. Places are given by one
//! unit of work at a time, and only to what is committed: whoever has read up to one has read everything before it.

use sea_orm::{
    ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select, Statement,
    entity::prelude::*,
};

use super::{
    StoreError,
    entity::{event, event_stream},
};
use crate::{
    clock::Timestamp,
    domain::{
        event::{EventPlace, RecordedEvent},
        id::{EventId, ProjectId},
    },
};

/// Id of the only row.
const STREAM: i16 = 1;

/// The stream.
#[derive(Debug)]
pub struct EventStream<'c, C>(pub(super) &'c C);

/// Events without a place.
pub(super) fn unnumbered(limit: u64) -> Select<event::Entity> {
    event::Entity::find().filter(event::Column::Position.is_null()).order_by_asc(event::Column::Id).limit(limit)
}

/// Events behind a place, of one project or of all.
pub(super) fn behind(project_id: Option<ProjectId>, position: i64, limit: u64) -> Select<event::Entity> {
    let query = event::Entity::find().filter(event::Column::Position.gt(position));
    let query = match project_id {
        Some(id) => query.filter(event::Column::ProjectId.eq(Uuid::from(id))),
        None => query,
    };
    query.order_by_asc(event::Column::Position).limit(limit)
}

/// The event at a place.
pub(super) fn at(position: i64) -> Select<event::Entity> {
    event::Entity::find().filter(event::Column::Position.eq(position))
}

/// The event that was numbered last.
pub(super) fn newest() -> Select<event::Entity> {
    let query = event::Entity::find().filter(event::Column::Position.is_not_null());
    query.order_by_desc(event::Column::Position).limit(1)
}

/// What a request left behind.
pub(super) fn of_request(request_id: &str, limit: u64) -> Select<event::Entity> {
    let query = event::Entity::find().filter(event::Column::RequestId.eq(request_id));
    query.order_by_asc(event::Column::Id).limit(limit)
}

impl<C: ConnectionTrait> EventStream<'_, C> {
    /// True if there are events without a place.
    pub async fn has_unnumbered(&self) -> Result<bool, StoreError> {
        let id: Option<Uuid> = unnumbered(1).select_only().column(event::Column::Id).into_tuple().one(self.0).await?;
        Ok(id.is_some())
    }

    /// Gives places to so many events at most, in the order of their ids; says how many. Within a unit of work, which nobody else
    /// numbers beside. Before anybody is told of them: the version before wrote an operator's id where the client's stands, and may
    /// go on beside this one, so it is put in its place here.
    pub async fn number(&self, limit: u64) -> Result<u64, StoreError> {
        let held = event_stream::Entity::update_many()
            .col_expr(event_stream::Column::LastPosition, Expr::col(event_stream::Column::LastPosition))
            .filter(event_stream::Column::Id.eq(STREAM));
        if held.exec(self.0).await?.rows_affected != 1 {
            return Err(StoreError::corrupt("event_stream", "there is no row"));
        }
        // Read with the row held: the next statement sees everything that was numbered before.
        let last = self.state().await?.last_position;
        let waiting = format!("SELECT id FROM events WHERE position IS NULL ORDER BY id LIMIT {limit}");
        let numbers =
            format!("SELECT id, {last} + ROW_NUMBER() OVER (ORDER BY id) AS position FROM ({waiting}) AS waiting");
        let is_operator = "events.client_id IN (SELECT operators.id FROM operators)";
        let update = format!(
            "UPDATE events SET position = given.position,
             operator_id = CASE WHEN {is_operator} THEN events.client_id ELSE events.operator_id END,
             client_id = CASE WHEN {is_operator} THEN NULL ELSE events.client_id END
             FROM ({numbers}) AS given WHERE events.id = given.id"
        );
        let given = self.0.execute_raw(Statement::from_string(self.0.get_database_backend(), update)).await?;
        let given = given.rows_affected();
        let last = last.saturating_add_unsigned(given);
        event_stream::Entity::update_many()
            .col_expr(event_stream::Column::LastPosition, Expr::value(last))
            .filter(event_stream::Column::Id.eq(STREAM))
            .exec(self.0)
            .await?;
        Ok(given)
    }

    /// Key of the cursors into this stream. Another stream than it was, of another database, has another one.
    pub async fn cursor_key(&self) -> Result<[u8; 16], StoreError> {
        Ok(self.state().await?.cursor_key.into_bytes())
    }

    /// The event that was numbered last; none if there is none.
    pub async fn newest(&self) -> Result<Option<EventPlace>, StoreError> {
        let found: Option<(Option<i64>, Uuid)> = newest()
            .select_only()
            .columns([event::Column::Position, event::Column::Id])
            .into_tuple()
            .one(self.0)
            .await?;
        Ok(found.and_then(|(position, id)| Some(EventPlace { position: position?, id: id.into() })))
    }

    /// The event at a place; none if there is none, because it was cleared away or the database is another one.
    pub async fn at(&self, position: i64) -> Result<Option<EventId>, StoreError> {
        let id: Option<Uuid> = at(position).select_only().column(event::Column::Id).into_tuple().one(self.0).await?;
        Ok(id.map(EventId::from))
    }

    /// Place of the oldest event that is kept; none if there is none.
    pub async fn oldest_position(&self) -> Result<Option<i64>, StoreError> {
        let query = event::Entity::find().filter(event::Column::Position.is_not_null());
        let query = query.order_by_asc(event::Column::Position).limit(1);
        let found: Option<Option<i64>> =
            query.select_only().column(event::Column::Position).into_tuple().one(self.0).await?;
        Ok(found.flatten())
    }

    /// Events behind a place, of one project or of all, so many at most.
    pub async fn behind(
        &self,
        project_id: Option<ProjectId>,
        position: i64,
        limit: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = behind(project_id, position, limit).all(self.0).await?;
        Ok(rows.into_iter().map(recorded).collect())
    }

    /// What the requests of that id left behind, oldest first, so many at most. Callers choose their ids: there may be several.
    pub async fn of_request(&self, request_id: &str, limit: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let rows = of_request(request_id, limit).all(self.0).await?;
        Ok(rows.into_iter().map(recorded).collect())
    }

    /// Clears away events from before a time, so many at most; says how many. Always a whole beginning of the stream, and never
    /// its last event: who has read that is told so, not that something is missing.
    pub async fn delete_oldest(&self, before: Timestamp, limit: u64) -> Result<u64, StoreError> {
        let oldest: Vec<(Option<i64>, Timestamp)> = behind(None, 0, limit + 1)
            .select_only()
            .columns([event::Column::Position, event::Column::CreatedAt])
            .into_tuple()
            .all(self.0)
            .await?;
        // Without the last one, which has nothing behind it.
        let ends = oldest.iter().zip(oldest.iter().skip(1)).map(|(one, _)| one);
        let Some(end) = ends.take_while(|(_, at)| *at < before).filter_map(|(position, _)| *position).last() else {
            return Ok(0);
        };
        let delete = event::Entity::delete_many().filter(event::Column::Position.lte(end));
        Ok(delete.exec(self.0).await?.rows_affected)
    }

    async fn state(&self) -> Result<event_stream::Model, StoreError> {
        let row = event_stream::Entity::find_by_id(STREAM).one(self.0).await?;
        row.ok_or_else(|| StoreError::corrupt("event_stream", "there is no row"))
    }
}

fn recorded(row: event::Model) -> RecordedEvent {
    RecordedEvent {
        id: row.id.into(),
        position: row.position,
        kind: row.kind,
        cause: row.cause,
        project_id: row.project_id.into(),
        user_id: row.user_id.map(Into::into),
        client_id: row.client_id.map(Into::into),
        operator_id: row.operator_id.map(Into::into),
        session_id: row.session_id.map(Into::into),
        request_id: row.request_id,
        ip_address: row.ip_address,
        created_at: row.created_at,
    }
}
