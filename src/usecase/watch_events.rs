//! Following the audit trail. Nothing is kept for a watcher but where it is and one page: a slow one costs nobody else anything.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync, time::sleep};

use super::{
    Call, Error, Services,
    number_events::number_events,
    read_events::{ListedEvent, Reader, Start},
};
use crate::domain::{
    caller::Caller,
    event::EventPlace,
    id::{ClientId, ProjectId},
    limits::Limits,
};

/// Events that a watcher reads at once.
const PAGE: u16 = 100;
/// When to come back if too many watch.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// How often what is done.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time between two looks for news. Watchers share them.
    pub poll: Duration,
    /// Longest time in which a watcher is told nothing.
    pub heartbeat: Duration,
    /// Time between two looks whether a watcher's credentials are still good.
    pub recheck: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let (poll, heartbeat) = (Duration::from_secs(1), Duration::from_secs(15));
        Self { poll, heartbeat, recheck: Duration::from_secs(5) }
    }
}

/// The watchers of a process.
#[derive(Debug, Default)]
pub struct Watches {
    /// How often what is done.
    pub pace: Pace,
    open: Mutex<HashMap<ClientId, u32>>,
    newest: sync::Mutex<Option<(Instant, Option<EventPlace>)>>,
}

/// What a watcher is told.
#[derive(Debug)]
pub enum Told {
    /// An event.
    Event(Box<ListedEvent>),
    /// That there is none at the moment.
    Nothing {
        /// Goes on here.
        cursor: String,
    },
}

/// Somebody who watches.
pub struct Watch {
    place: Place,
    reader: Reader,
    /// Read, but not told yet.
    pending: VecDeque<ListedEvent>,
    /// Whether there was more to read than was read.
    is_behind: bool,
    /// The newest event of the stream when the watcher read last.
    seen: Option<EventPlace>,
    /// When the watcher was last told something.
    told_at: Option<Instant>,
}

/// One watcher, who is counted until this is dropped.
struct Place {
    services: Arc<Services>,
    client_id: ClientId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.services.watches.give_back(self.client_id);
    }
}

/// Begins to watch. What can be refused is refused here, before anything is told.
pub async fn watch_events(
    services: &Arc<Services>,
    call: &Call,
    project_id: Option<ProjectId>,
    start: Start<'_>,
) -> Result<Watch, Error> {
    let client_id = match &call.caller {
        Caller::Operator(Some(id)) => *id,
        // Nobody watches from the command line.
        _ => call.client()?.client.id,
    };
    if !services.watches.take(client_id, &services.limits) {
        return Err(Error::Overloaded { retry_after: RETRY_AFTER });
    }
    let place = Place { services: Arc::clone(services), client_id };
    let reader = Reader::open(services, call, project_id, start).await?;
    Ok(Watch { place, reader, pending: VecDeque::new(), is_behind: true, seen: None, told_at: None })
}

impl Watches {
    /// Watchers at another pace than the usual one, for tests.
    pub fn at(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// How many watch now.
    pub fn open(&self) -> u32 {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    /// Counts one more of that client, if there is room.
    fn take(&self, client_id: ClientId, limits: &Limits) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = open.get(&client_id).copied().unwrap_or_default();
        let has_room = mine < limits.event_watches_per_client && open.values().sum::<u32>() < limits.event_watches;
        if has_room {
            open.insert(client_id, mine + 1);
        }
        has_room
    }

    fn give_back(&self, client_id: ClientId) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&client_id) {
            Some(mine) if *mine > 1 => *mine -= 1,
            _ => drop(open.remove(&client_id)),
        }
    }

    /// The event that was numbered last, as of less than half a look ago: of all watchers of the process one looks, the others wait
    /// for what it sees.
    async fn newest(&self, services: &Services) -> Result<Option<EventPlace>, Error> {
        let mut known = self.newest.lock().await;
        if let Some((at, newest)) = *known
            && at.elapsed() < self.pace.poll / 2
        {
            return Ok(newest);
        }
        number_events(services, 1).await?;
        let newest = services.store.view().event_stream().newest().await?;
        *known = Some((Instant::now(), newest));
        Ok(newest)
    }
}

impl Watch {
    /// Waits for the next thing to tell. If it is dropped half-way nothing was told.
    pub async fn next(&mut self) -> Result<Told, Error> {
        let services = Arc::clone(&self.place.services);
        let watches = &services.watches;
        loop {
            if let Some(event) = self.pending.pop_front() {
                self.told_at = Some(Instant::now());
                return Ok(Told::Event(Box::new(event)));
            }
            let newest = watches.newest(&services).await?;
            if self.is_behind || self.seen != newest {
                let page = self.reader.read(&services, newest, PAGE).await?;
                (self.is_behind, self.seen) = (page.more, newest);
                if !page.events.is_empty() {
                    self.pending = page.events.into();
                    continue;
                }
            }
            if self.told_at.is_none_or(|at| at.elapsed() >= watches.pace.heartbeat) {
                self.told_at = Some(Instant::now());
                return Ok(Told::Nothing { cursor: self.reader.cursor() });
            }
            sleep(watches.pace.poll).await;
        }
    }

    /// How often to look whether the watcher's credentials are still good.
    pub fn recheck_interval(&self) -> Duration {
        self.place.services.watches.pace.recheck
    }
}
