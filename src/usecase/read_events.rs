//! Reading the audit trail in the order of the stream, from a cursor on. Nothing is passed by: where that cannot be promised, the
//! reader is told.

use uuid::Uuid;

use super::{Call, Error, Services, number_events::number_events};
use crate::{
    crypto::event_cursor::CursorKey,
    domain::{
        caller::Caller,
        event::{EventPlace, RecordedEvent},
        id::{EventId, ProjectId},
    },
};

/// Units of work that a call spends on numbering before it reads. What is left has its turn later, behind what was read.
const NUMBERING_MAX: usize = 10;

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Behind a cursor.
    Behind(&'a str),
    /// With what happens from now on.
    New,
    /// With the oldest event that is kept.
    Oldest,
}

/// An event, and the cursor behind it.
#[derive(Debug)]
pub struct ListedEvent {
    /// The event.
    pub event: RecordedEvent,
    /// Goes on behind it.
    pub cursor: String,
}

/// Some events.
#[derive(Debug)]
pub struct EventPage {
    /// The events.
    pub events: Vec<ListedEvent>,
    /// Goes on behind them.
    pub cursor: String,
    /// Whether there are more now.
    pub more: bool,
}

/// Lists events that the caller may read: a client those of its project, an operator all or those of one project.
pub async fn list_events(
    services: &Services,
    call: &Call,
    project_id: Option<ProjectId>,
    start: Start<'_>,
    page_size: u16,
) -> Result<EventPage, Error> {
    let mut reader = Reader::open(services, call, project_id, start).await?;
    let newest = services.store.view().event_stream().newest().await?;
    reader.read(services, newest, page_size).await
}

/// Somebody who reads the stream.
#[derive(Debug)]
pub(super) struct Reader {
    /// Whose events; none for all.
    project_id: Option<ProjectId>,
    key: CursorKey,
    at: EventPlace,
    /// Whether everything behind `at` was promised: not yet to somebody who begins with the oldest event, whichever that is.
    is_promised: bool,
}

impl Reader {
    /// Opens the stream for a caller.
    pub(super) async fn open(
        services: &Services,
        call: &Call,
        project_id: Option<ProjectId>,
        start: Start<'_>,
    ) -> Result<Self, Error> {
        let project_id = readable(services, call, project_id).await?;
        number_events(services, NUMBERING_MAX).await?;
        let (view, is_promised) = (services.store.view(), !matches!(start, Start::Oldest));
        let key = CursorKey::new(&view.event_stream().cursor_key().await?);
        let mut reader = Self { project_id, key, at: beginning(), is_promised };
        match start {
            Start::Behind(cursor) => reader.at = reader.place_of(services, cursor).await?,
            Start::New => reader.at = view.event_stream().newest().await?.unwrap_or_else(beginning),
            Start::Oldest => {}
        }
        Ok(reader)
    }

    /// Goes on behind here.
    pub(super) fn cursor(&self) -> String {
        self.cursor_behind(self.at)
    }

    /// Reads on. `newest` is an event that had been numbered last at some time before: who has read everything is behind that,
    /// whoever's it is, so that their cursor stays young. If it is dropped half-way nothing was read.
    pub(super) async fn read(
        &mut self,
        services: &Services,
        newest: Option<EventPlace>,
        size: u16,
    ) -> Result<EventPage, Error> {
        let (view, size) = (services.store.view(), usize::from(size));
        let mut found = view.event_stream().behind(self.project_id, self.at.position, size as u64 + 1).await?;
        // Only now: as long as the event here is kept, what stands behind it was kept, too, while it was read.
        if self.is_promised && !self.is_kept(services).await? {
            return Err(Error::EventCursorExpired);
        }
        let more = found.len() > size;
        found.truncate(size);
        let events: Vec<_> = found.into_iter().map(|event| self.listed(event)).collect::<Result<_, _>>()?;
        let last = events.last().map(|(place, _)| *place);
        let reached = if more { last } else { last.into_iter().chain(newest).max_by_key(|place| place.position) };
        if let Some(place) = reached.filter(|place| place.position > self.at.position) {
            (self.at, self.is_promised) = (place, true);
        }
        Ok(EventPage { events: events.into_iter().map(|(_, listed)| listed).collect(), cursor: self.cursor(), more })
    }

    fn listed(&self, event: RecordedEvent) -> Result<(EventPlace, ListedEvent), Error> {
        // What is read by its place has one.
        let position = event.position.ok_or_else(|| Error::Internal("an event without a place".into()))?;
        let place = EventPlace { position, id: event.id };
        Ok((place, ListedEvent { event, cursor: self.cursor_behind(place) }))
    }

    fn cursor_behind(&self, place: EventPlace) -> String {
        self.key.write(self.scope(), place)
    }

    fn scope(&self) -> Uuid {
        self.project_id.map_or(Uuid::nil(), Uuid::from)
    }

    /// The place that a cursor stands for. One that was made up has the same answer as one of another scope or database.
    async fn place_of(&self, services: &Services, cursor: &str) -> Result<EventPlace, Error> {
        let presented = self.key.read(self.scope(), cursor);
        let presented =
            presented.ok_or_else(|| Error::field("cursor", "is not a cursor of ListEvents or WatchEvents"))?;
        let id = match presented.position {
            0 => Some(beginning().id),
            position => services.store.view().event_stream().at(position).await?,
        };
        let id = id.filter(|id| self.key.is_for(self.scope(), presented, *id)).ok_or(Error::EventCursorExpired)?;
        Ok(EventPlace { position: presented.position, id })
    }

    /// Whether the event here still stands here, and with it all that follows.
    async fn is_kept(&self, services: &Services) -> Result<bool, Error> {
        let view = services.store.view();
        if self.at == beginning() {
            return Ok(view.event_stream().oldest_position().await?.is_none_or(|oldest| oldest == 1));
        }
        Ok(view.event_stream().at(self.at.position).await? == Some(self.at.id))
    }
}

/// The place before the first event.
fn beginning() -> EventPlace {
    EventPlace { position: 0, id: EventId::from(Uuid::nil()) }
}

/// Whose events the caller reads; none for all.
async fn readable(services: &Services, call: &Call, project_id: Option<ProjectId>) -> Result<Option<ProjectId>, Error> {
    let own = match &call.caller {
        Caller::Operator(_) => {
            return match project_id {
                Some(id) => Ok(Some(services.project(id).await?.id)),
                None => Ok(None),
            };
        }
        Caller::Client(_) | Caller::OperatorOf(_) | Caller::Anonymous => call.project()?.id,
    };
    // As with everything of another project: it is not there.
    if project_id.is_none_or(|id| id == own) { Ok(Some(own)) } else { Err(Error::ProjectNotFound) }
}
