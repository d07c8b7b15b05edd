//! Attempts at a secret that takes long to check, a password: reserved first, and settled when the result is known.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    time::{sleep, timeout_at},
};
use tracing::Instrument as _;

use super::{
    Call, Error, Services,
    counters::{self, Counters, event_of},
    record,
};
use crate::{
    clock::{Clock, Timestamp},
    crypto::hash_lane::Coming,
    domain::{
        bucket::{Claimant, Guarded},
        event::{Cause, Event, EventKind},
        id::ProjectId,
        limits::Limits,
        throttle::{Admission, Outcome},
    },
    random::Random,
    store::{Store, StoreError, Tx},
};

/// First pause before the database is asked again whether there is room.
const PAUSE_MIN: Duration = Duration::from_millis(25);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(200);
/// What has to be left of a call's time when its attempt is reserved: the hash comes after that.
const TIME_LEFT_MIN: Duration = Duration::from_millis(500);
/// How long an answer of the database is waited for after the caller's deadline: well within the lease.
const LATE_MAX: Duration = Duration::from_secs(10);
/// When to come back if there was no room.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An attempt that is being checked. It holds a place in its counters until it is settled.
///
/// If its call goes away first, the place is given back behind its back: with a failure if the secret was looked at and
/// was not seen to be right, without one otherwise. Where that fails too, or the process dies, the lease ends the
/// reservation.
pub(super) struct Attempt {
    /// None once it is settled.
    place: Option<Place>,
    /// True from when the secret is looked at.
    looked_at: Arc<AtomicBool>,
    is_right: bool,
}

/// What an attempt holds, and all that is needed to give it back.
#[derive(Clone)]
struct Place {
    store: Store,
    clock: Clock,
    random: Random,
    limits: Limits,
    call: Call,
    project_id: ProjectId,
    claimant: Claimant,
    guarded: Guarded,
    reserved_at: Timestamp,
}

/// Reserves a place for an attempt, and waits for one while the results of others decide. None if it is slowed down:
/// then it must not be checked, but be answered in the same way, after the same work.
///
/// Whoever waits is not coming to the lane meanwhile: many who wait for one user would keep everybody else of their
/// client from it. After that, the database is asked again only for whoever still has a chance there.
pub(super) async fn reserve(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    claimant: &Claimant,
    guarded: Guarded,
    coming: &mut Coming<'_>,
) -> Result<Option<Attempt>, Error> {
    let buckets = claimant.buckets(guarded);
    let no_room = Error::Overloaded { retry_after: RETRY_AFTER };
    let Some(until) = call.deadline.checked_sub(TIME_LEFT_MIN) else { return Err(no_room) };
    let Some(mut line) = buckets.first().cloned() else { return Err(no_room) };
    let place = Place::of(services, call, project_id, claimant, guarded);
    let mut is_first = true;
    // Never in two lines at once: whoever waits for an address must not hold up its user.
    'lines: loop {
        let turn = services.gates.turn(project_id, &line, until, || coming.pause()).await;
        let Some(turn) = turn else { return Err(no_room) };
        let mut pause = PAUSE_MIN;
        loop {
            coming.resume()?;
            if mem::take(&mut is_first)
                && let Some(attempt) = place.clone().reserve_plainly().await?
            {
                return Ok(Some(attempt));
            }
            let tx = services.store.begin().await?;
            let now = services.clock.now();
            let counters = Counters::lock(&services.limits, &tx, project_id, claimant, guarded, now).await?;
            match counters.admission(now) {
                Admission::Blocked { .. } => return Ok(None),
                Admission::Admitted => {
                    counters.reserve(&tx, now).await?;
                    tx.commit().await?;
                    return Ok(Some(Attempt::holding(Place { reserved_at: now, ..place })));
                }
                Admission::Wait => {
                    drop(tx);
                    if !counters.full(now).any(|bucket| *bucket == line)
                        && let Some(other) = counters.full(now).next()
                    {
                        line = other.clone();
                        drop(turn);
                        continue 'lines;
                    }
                }
            }
            if Instant::now() + pause >= until {
                return Err(no_room);
            }
            coming.pause();
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

impl Attempt {
    fn holding(place: Place) -> Self {
        Self { place: Some(place), looked_at: Arc::default(), is_right: false }
    }

    /// To be set when the secret is looked at, by whoever does so.
    pub(super) fn looked_at(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.looked_at)
    }

    /// Notes that the secret is right; the attempt still has to be settled.
    pub(super) const fn found_right(&mut self) {
        self.is_right = true;
    }

    /// Settles the attempt within a unit of work; gives the events of the delays that begin with it. If the unit of
    /// work does not come to its end, the lease ends the reservation as a failure: whether it was committed may not be
    /// known.
    pub(super) async fn settle(mut self, tx: &Tx, outcome: Outcome, now: Timestamp) -> Result<Vec<Event>, StoreError> {
        match self.place.take() {
            Some(place) => place.settle(tx, outcome, now).await,
            None => Ok(Vec::new()),
        }
    }
}

impl Place {
    /// Nothing is held yet.
    fn of(services: &Services, call: &Call, project_id: ProjectId, claimant: &Claimant, guarded: Guarded) -> Self {
        Self {
            store: services.store.clone(),
            clock: services.clock.clone(),
            random: services.random.clone(),
            limits: services.limits,
            call: call.clone(),
            project_id,
            claimant: claimant.clone(),
            guarded,
            reserved_at: services.clock.now(),
        }
    }

    /// Reserves in one statement, if room is plain to see; none if it is not.
    ///
    /// Brought to its end even if the caller goes away, or its time is over: then the attempt is given back at once. If
    /// there is no answer for [`LATE_MAX`] after that, nobody knows whether it is reserved, and its lease ends it.
    async fn reserve_plainly(mut self) -> Result<Option<Attempt>, Error> {
        self.reserved_at = self.clock.now();
        let until = self.call.deadline + LATE_MAX;
        let reserving = async move {
            let Self { store, limits, project_id, claimant, guarded, reserved_at, .. } = &self;
            let is_reserved =
                counters::reserve_plainly(store, limits, *project_id, claimant, *guarded, *reserved_at).await?;
            Ok::<_, StoreError>(is_reserved.then(|| Attempt::holding(self)))
        };
        match tokio::spawn(timeout_at(until.into(), reserving).in_current_span()).await {
            Ok(Ok(reserved)) => Ok(reserved?),
            Ok(Err(_)) => Err(Error::Overloaded { retry_after: RETRY_AFTER }),
            Err(stopped) => Err(Error::Internal(Box::new(stopped))),
        }
    }

    async fn settle(&self, tx: &Tx, outcome: Outcome, now: Timestamp) -> Result<Vec<Event>, StoreError> {
        let Self { limits, project_id, claimant, guarded, reserved_at, .. } = self;
        let mut buckets = claimant.buckets(*guarded);
        if outcome == Outcome::Succeeded {
            buckets = counters::forget(tx, *project_id, buckets, *reserved_at).await?;
        }
        let counters = Counters::lock_these(limits, tx, *project_id, claimant, buckets, now).await?;
        counters.settle(tx, (*reserved_at, outcome), now).await
    }

    /// Settles the attempt of a call that went away.
    async fn settle_alone(&self, outcome: Outcome) -> Result<(), Error> {
        let tx = self.store.begin().await?;
        let now = self.clock.now();
        let mut events = self.settle(&tx, outcome, now).await?;
        if outcome == Outcome::Failed {
            let failed = event_of(EventKind::PasswordFailed, self.project_id, &self.claimant).cause(Cause::CallerLeft);
            events.insert(0, failed);
        }
        record(&self.random, &tx, &self.call, now, events).await?;
        Ok(tx.commit().await?)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        let is_guess = self.looked_at.load(Ordering::Acquire) && !self.is_right;
        let outcome = if is_guess { Outcome::Failed } else { Outcome::Withdrawn };
        runtime.spawn(async move {
            if let Err(error) = place.settle_alone(outcome).await {
                tracing::debug!(%error, "an attempt is left to its lease");
            }
        });
    }
}
