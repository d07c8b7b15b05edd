//! Attempts at a secret: who is counted, when one may be checked, and what becomes of it.
//!
//! A secret that takes long to check (a password) is reserved first and settled when its result is known: [`Attempt`]. One that
//! is compared within a unit of work (a code) keeps its counters locked meanwhile: [`Counters`].

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, time::sleep};

use super::{Call, Error, Services, record};
use crate::{
    clock::{Clock, Timestamp},
    crypto::project_keys::ProjectKeys,
    domain::{
        bucket::{Bucket, Claimant, Guarded, Subject, Target},
        caller::ClientCaller,
        client::ClientType,
        client_context::{ClientContext, EndUser},
        event::{Event, EventKind},
        id::{DeviceId, ProjectId, UserId},
        limits::Limits,
        throttle::{Admission, Outcome, Throttle},
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
/// When to come back if there was no room.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Finds out who tries: a device token that is not this user's, of an earlier password, or not valid, counts as none. The target
/// comes with the version of their credential, 0 if there is none.
pub(super) async fn claimant(
    services: &Services,
    caller: &ClientCaller,
    (target, credential_version): (Target, i32),
    end_user: &EndUser,
    now: Timestamp,
) -> Result<Claimant, Error> {
    if end_user.device_token.is_none() {
        return Ok(claimant_on(None, caller, target, &end_user.context));
    }
    let keys = services.key_ring.keys(&services.store, caller.project_id(), now).await?;
    Ok(claimant_with(&keys, &services.limits, caller, (target, credential_version), end_user, now))
}

/// The same with the project's keys at hand: within a unit of work they must not be fetched.
pub(super) fn claimant_with(
    keys: &ProjectKeys,
    limits: &Limits,
    caller: &ClientCaller,
    (target, credential_version): (Target, i32),
    end_user: &EndUser,
    now: Timestamp,
) -> Claimant {
    let device = match (&target, &end_user.device_token) {
        (Target::User(user), Some(token)) => {
            keys.known_device(token.expose(), (*user, credential_version), now, limits.device_lifetime)
        }
        _ => None,
    };
    claimant_on(device, caller, target, &end_user.context)
}

fn claimant_on(device: Option<DeviceId>, caller: &ClientCaller, target: Target, context: &ClientContext) -> Claimant {
    let ip_address = believed_address(caller, context.ip_address);
    Claimant { target, device, ip_address, reported_address: context.ip_address }
}

/// The address that is counted. Whoever runs an application without a secret can make it report any address: they would evade
/// the budget of their own, and use up that of others.
pub(super) fn believed_address(caller: &ClientCaller, reported: Option<IpAddr>) -> Option<IpAddr> {
    reported.filter(|_| caller.client.client_type == ClientType::Confidential)
}

/// Counters that are locked until the unit of work ends.
pub(super) struct Counters {
    project_id: ProjectId,
    limits: Limits,
    claimant: Claimant,
    rows: Vec<(Bucket, Throttle)>,
}

impl Counters {
    /// Locks the counters of an attempt. Users are locked before counters, and counters of mails before those of guesses, so
    /// that no two units of work wait for each other.
    pub(super) async fn lock(
        limits: &Limits,
        tx: &Tx,
        project_id: ProjectId,
        claimant: &Claimant,
        guarded: Guarded,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let rows = tx.throttles().lock(project_id, claimant.buckets(guarded), now).await?;
        Ok(Self { project_id, limits: *limits, claimant: claimant.clone(), rows })
    }

    /// Whether the attempt may be checked.
    pub(super) fn admission(&self, now: Timestamp) -> Admission {
        let mut admission = Admission::Admitted;
        for (bucket, throttle) in &self.rows {
            admission = match (throttle.admit(now, &self.limits.policy(bucket)), admission) {
                (Admission::Blocked { until: one }, Admission::Blocked { until: other }) => {
                    Admission::Blocked { until: one.max(other) }
                }
                (blocked @ Admission::Blocked { .. }, _) | (_, blocked @ Admission::Blocked { .. }) => blocked,
                (Admission::Wait, _) | (_, Admission::Wait) => Admission::Wait,
                (Admission::Admitted, Admission::Admitted) => Admission::Admitted,
            };
        }
        admission
    }

    /// The counters without room, by name.
    fn full(&self, now: Timestamp) -> impl Iterator<Item = &Bucket> {
        let waits = move |bucket: &Bucket, throttle: &Throttle| {
            throttle.admit(now, &self.limits.policy(bucket)) == Admission::Wait
        };
        self.rows.iter().filter(move |(bucket, throttle)| waits(bucket, throttle)).map(|(bucket, _)| bucket)
    }

    /// Counts a failure, or a mail, and writes it down; gives the events of the delays that begin with it.
    pub(super) async fn fail(mut self, tx: &Tx, now: Timestamp) -> Result<Vec<Event>, StoreError> {
        for (bucket, throttle) in &mut self.rows {
            throttle.fail(now, &self.limits.policy(bucket));
        }
        self.save(tx, now).await?;
        Ok(self.tripped(now))
    }

    /// Forgets the failures, where a success does so.
    pub(super) async fn succeed(mut self, tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
        for (_, throttle) in self.rows.iter_mut().filter(|(bucket, _)| bucket.is_cleared_by_success()) {
            throttle.forgive();
        }
        self.save(tx, now).await
    }

    /// Writes the counters back as they are.
    pub(super) async fn withdraw(self, tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
        self.save(tx, now).await
    }

    async fn save(&self, tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
        for (bucket, throttle) in &self.rows {
            tx.throttles().save(self.project_id, bucket, throttle, now).await?;
        }
        Ok(())
    }

    fn tripped(&self, now: Timestamp) -> Vec<Event> {
        let blocked = |(bucket, throttle): &&(Bucket, Throttle)| {
            throttle.blocked_until(now, &self.limits.policy(bucket)).is_some()
        };
        let event = |(bucket, _): &(Bucket, Throttle)| {
            event_of(EventKind::ThrottleTripped, self.project_id, &self.claimant).cause(bucket.kind())
        };
        self.rows.iter().filter(blocked).map(event).collect()
    }
}

/// An event about an attempt: whom it was aimed at, and where it came from.
pub(super) fn event_of(kind: EventKind, project_id: ProjectId, claimant: &Claimant) -> Event {
    let event = Event::new(kind, project_id).ip_address(claimant.reported_address);
    match &claimant.target {
        Target::Unknown(_) => event,
        Target::User(id) => event.user(*id),
    }
}

/// Counts a mail, if there are not too many of late; tells until when there will be none, if there are.
pub(super) async fn count_mail(
    services: &Services,
    call: &Call,
    tx: &Tx,
    (project_id, claimant, guarded): (ProjectId, &Claimant, Guarded),
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let counters = Counters::lock(&services.limits, tx, project_id, claimant, guarded, now).await?;
    if let Admission::Blocked { until } = counters.admission(now) {
        return Ok(Some(until));
    }
    let tripped = counters.fail(tx, now).await?;
    services.record(tx, call, now, tripped).await?;
    Ok(None)
}

/// Forgets the failures at a user's password: there is a new one.
pub(super) async fn forgive_passwords(
    tx: &Tx,
    project_id: ProjectId,
    user: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let guarded = [Guarded::AuthenticatePassword, Guarded::SignIn];
    let buckets = guarded.map(|guarded| Bucket { guarded, subject: Subject::User(user) });
    for (bucket, mut throttle) in tx.throttles().lock(project_id, buckets.to_vec(), now).await? {
        throttle.forgive();
        tx.throttles().save(project_id, &bucket, &throttle, now).await?;
    }
    Ok(())
}

/// True if nothing by that claimant would be checked now, for the failures of themselves: an address is shared, and says nothing
/// about the user.
pub(super) async fn is_slowed_down(
    services: &Services,
    tx: &Tx,
    project_id: ProjectId,
    (claimant, guarded): (&Claimant, Guarded),
    now: Timestamp,
) -> Result<bool, StoreError> {
    for bucket in claimant.buckets(guarded) {
        if !matches!(bucket.subject, Subject::Ip(_)) {
            let throttle = tx.throttles().find(project_id, &bucket).await?;
            if throttle.blocked_until(now, &services.limits.policy(&bucket)).is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// An attempt that is being checked. It holds a place in its counters until it is settled.
///
/// If its call goes away first, the place is given back behind its back: with a failure if the secret was looked at and was not
/// seen to be right, without one otherwise. Where that fails too, or the process dies, the lease ends the reservation.
pub(super) struct Attempt {
    /// None once it is settled.
    place: Option<Place>,
    /// True from when the secret is looked at.
    looked_at: Arc<AtomicBool>,
    is_right: bool,
}

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

/// Reserves a place for an attempt, and waits for one while the results of others decide. None if it is slowed down: then it
/// must not be checked, but be answered in the same way, after the same work.
pub(super) async fn reserve(
    services: &Services,
    call: &Call,
    project_id: ProjectId,
    claimant: &Claimant,
    guarded: Guarded,
) -> Result<Option<Attempt>, Error> {
    let buckets = claimant.buckets(guarded);
    let no_room = Error::Overloaded { retry_after: RETRY_AFTER };
    let Some(until) = call.deadline.checked_sub(TIME_LEFT_MIN) else { return Err(no_room) };
    let Some(mut line) = buckets.first().cloned() else { return Err(no_room) };
    // Never in two lines at once: whoever waits for an address must not hold up its user.
    'lines: loop {
        let Some(turn) = services.gates.turn(project_id, &line, until).await else { return Err(no_room) };
        let mut pause = PAUSE_MIN;
        loop {
            let tx = services.store.begin().await?;
            let now = services.clock.now();
            let mut counters = Counters::lock(&services.limits, &tx, project_id, claimant, guarded, now).await?;
            match counters.admission(now) {
                Admission::Blocked { .. } => return Ok(None),
                Admission::Admitted => {
                    for (bucket, throttle) in &mut counters.rows {
                        throttle.reserve(now, &services.limits.policy(bucket));
                    }
                    counters.save(&tx, now).await?;
                    tx.commit().await?;
                    return Ok(Some(Attempt::at(services, call, project_id, claimant, guarded, now)));
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
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

impl Attempt {
    fn at(
        services: &Services,
        call: &Call,
        project_id: ProjectId,
        claimant: &Claimant,
        guarded: Guarded,
        reserved_at: Timestamp,
    ) -> Self {
        let place = Place {
            store: services.store.clone(),
            clock: services.clock.clone(),
            random: services.random.clone(),
            limits: services.limits,
            call: call.clone(),
            project_id,
            claimant: claimant.clone(),
            guarded,
            reserved_at,
        };
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

    /// Settles the attempt within a unit of work; gives the events of the delays that begin with it. If the unit of work does
    /// not come to its end, the lease ends the reservation as a failure: whether it was committed may not be known.
    pub(super) async fn settle(mut self, tx: &Tx, outcome: Outcome, now: Timestamp) -> Result<Vec<Event>, StoreError> {
        match self.place.take() {
            Some(place) => place.settle(tx, outcome, now).await,
            None => Ok(Vec::new()),
        }
    }
}

impl Place {
    async fn settle(&self, tx: &Tx, outcome: Outcome, now: Timestamp) -> Result<Vec<Event>, StoreError> {
        let Self { limits, project_id, claimant, guarded, .. } = self;
        let mut counters = Counters::lock(limits, tx, *project_id, claimant, *guarded, now).await?;
        for (bucket, throttle) in &mut counters.rows {
            let keeps_failures = outcome == Outcome::Succeeded && !bucket.is_cleared_by_success();
            let outcome = if keeps_failures { Outcome::Withdrawn } else { outcome };
            throttle.settle(self.reserved_at, outcome, now, &limits.policy(bucket));
        }
        counters.save(tx, now).await?;
        Ok(if outcome == Outcome::Failed { counters.tripped(now) } else { Vec::new() })
    }

    /// Settles the attempt of a call that went away.
    async fn settle_alone(&self, outcome: Outcome) -> Result<(), Error> {
        let tx = self.store.begin().await?;
        let now = self.clock.now();
        let mut events = self.settle(&tx, outcome, now).await?;
        if outcome == Outcome::Failed {
            let failed = event_of(EventKind::PasswordFailed, self.project_id, &self.claimant).cause("caller_left");
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
