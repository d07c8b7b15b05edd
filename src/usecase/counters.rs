//! Who is counted, and the counters themselves, which stay locked while a unit of work decides over them.
//!
//! A secret that is compared within a unit of work (a code) is admitted and counted here; one that takes long to check
//! is an `Attempt`, which holds a place in its counters meanwhile.

use std::net::IpAddr;

use super::{Call, Error, Services};
use crate::{
    clock::Timestamp,
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
    store::{Store, StoreError, Tx},
};

/// Finds out who tries: a device token that is not this user's, of an earlier password, or not valid, counts as none.
/// The target comes with the version of their credential, 0 if there is none.
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

/// The address that is counted. Whoever runs an application without a secret can make it report any address: they would
/// evade the budget of their own, and use up that of others.
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
    /// Locks the counters of an attempt. Users are locked before counters, and counters of mails before those of
    /// guesses, so that no two units of work wait for each other.
    pub(super) async fn lock(
        limits: &Limits,
        tx: &Tx,
        project_id: ProjectId,
        claimant: &Claimant,
        guarded: Guarded,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        Self::lock_these(limits, tx, project_id, claimant, claimant.buckets(guarded), now).await
    }

    /// The same for some of the claimant's buckets.
    pub(super) async fn lock_these(
        limits: &Limits,
        tx: &Tx,
        project_id: ProjectId,
        claimant: &Claimant,
        buckets: Vec<Bucket>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let rows = tx.throttles().lock(project_id, buckets, now).await?;
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

    /// Holds a place for the attempt, which was admitted, and writes it down.
    pub(super) async fn reserve(mut self, tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
        for (bucket, throttle) in &mut self.rows {
            throttle.reserve(now, &self.limits.policy(bucket));
        }
        self.save(tx, now).await
    }

    /// Gives the place back, and notes what became of the attempt; gives the events of the delays that begin with it.
    pub(super) async fn settle(
        mut self,
        tx: &Tx,
        (reserved_at, outcome): (Timestamp, Outcome),
        now: Timestamp,
    ) -> Result<Vec<Event>, StoreError> {
        for (bucket, throttle) in &mut self.rows {
            let keeps_failures = outcome == Outcome::Succeeded && !bucket.is_cleared_by_success();
            let outcome = if keeps_failures { Outcome::Withdrawn } else { outcome };
            throttle.settle(reserved_at, outcome, now, &self.limits.policy(bucket));
        }
        self.save(tx, now).await?;
        Ok(if outcome == Outcome::Failed { self.tripped(now) } else { Vec::new() })
    }

    /// The counters without room, by name.
    pub(super) fn full(&self, now: Timestamp) -> impl Iterator<Item = &Bucket> {
        let waits = move |bucket: &Bucket, throttle: &Throttle| {
            throttle.admit(now, &self.limits.policy(bucket)) == Admission::Wait
        };
        self.rows.iter().filter(move |(bucket, throttle)| waits(bucket, throttle)).map(|(bucket, _)| bucket)
    }

    /// Counts a failure, or a mail, and writes it down, in one statement; gives the events of the delays that begin
    /// with it.
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

    /// Gives the counters back as they are. In one statement, as `fail` is.
    pub(super) async fn withdraw(self, tx: &Tx) -> Result<(), StoreError> {
        tx.throttles().release(self.project_id, &self.rows).await
    }

    async fn save(&self, tx: &Tx, now: Timestamp) -> Result<(), StoreError> {
        tx.throttles().save(self.project_id, &self.rows, now).await
    }

    fn tripped(&self, now: Timestamp) -> Vec<Event> {
        let blocked = |(bucket, throttle): &&(Bucket, Throttle)| {
            throttle.blocked_until(now, &self.limits.policy(bucket)).is_some()
        };
        let event = |(bucket, _): &(Bucket, Throttle)| {
            event_of(EventKind::ThrottleTripped, self.project_id, &self.claimant).cause(bucket.name())
        };
        self.rows.iter().filter(blocked).map(event).collect()
    }
}

/// Holds a place for an attempt in one statement, if in all of its counters room is plain to see. False if not: then it
/// has to be decided under their locks. The time it takes says nothing of what they remember, as long as there is room.
pub(super) async fn reserve_plainly(
    store: &Store,
    limits: &Limits,
    project_id: ProjectId,
    claimant: &Claimant,
    guarded: Guarded,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let with_room = |bucket: Bucket| {
        let room = limits.policy(&bucket).plain_room(now);
        (bucket, room)
    };
    let buckets: Vec<_> = claimant.buckets(guarded).into_iter().map(with_room).collect();
    let wanted = buckets.len();
    let got = store.alone_in_order().await?.throttles().reserve(project_id, buckets, now).await?;
    if got.len() == wanted || got.is_empty() {
        return Ok(!got.is_empty());
    }
    // Somebody took the room in the others at the same time.
    let tx = store.begin().await?;
    let counters = Counters::lock_these(limits, &tx, project_id, claimant, got, now).await?;
    counters.settle(&tx, (now, Outcome::Withdrawn), now).await?;
    tx.commit().await?;
    Ok(false)
}

/// Settles an attempt that succeeded on those of its counters where it holds the only place and leaves nothing to
/// remember, in one statement; gives the others, which are still to be settled.
pub(super) async fn forget(
    tx: &Tx,
    project_id: ProjectId,
    buckets: Vec<Bucket>,
    reserved_at: Timestamp,
) -> Result<Vec<Bucket>, StoreError> {
    let with_failures = |bucket: Bucket| {
        let may_have = bucket.is_cleared_by_success();
        (bucket, may_have)
    };
    tx.throttles().forget(project_id, buckets.into_iter().map(with_failures).collect(), reserved_at).await
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

/// Forgets the failures at a user's password: there is a new one. The user's row is held, and their own counters alone
/// are locked, so counters of mails may follow: whoever else locks counters of both kinds in one unit of work holds a
/// user's row first, and an attempt that holds these waits for no others but of guesses.
pub(super) async fn forgive_passwords(
    tx: &Tx,
    project_id: ProjectId,
    user: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let guarded = [Guarded::AuthenticatePassword, Guarded::SignIn];
    let buckets = guarded.map(|guarded| Bucket { guarded, subject: Subject::User(user) });
    let mut rows = tx.throttles().lock(project_id, buckets.to_vec(), now).await?;
    for (_, throttle) in &mut rows {
        throttle.forgive();
    }
    tx.throttles().save(project_id, &rows, now).await
}

/// True if nothing by that claimant would be checked now, for the failures of themselves: an address is shared, and
/// says nothing about the user.
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
