//! A flood of sign-ins at ten times what the machine can hash, and what token checks, refreshes and other clients
//! notice of it.

mod phase;
mod tables;

use std::{thread, time::Duration};

use crate::{
    caller::Caller,
    flood::phase::{Capacity, FLOODER, Measured, Phase},
    orders::{Kind, Order, Pace, Stream},
    replica::Replica,
    run::{Run, in_turn},
};

/// What is watched, a second: little enough to cost next to nothing, enough for a p99.
const CHECKS_PER_SECOND: f64 = 100.0;
const REFRESHES_PER_SECOND: f64 = 50.0;
/// How long whoever checks or refreshes waits.
const WATCHER_DEADLINE: f64 = 10.0;
/// A session for each refresh that may be under way, and some more: a client never sends two for one.
pub(crate) const USERS_MIN: usize = 512;
const _: () = assert!(REFRESHES_PER_SECOND * WATCHER_DEADLINE < USERS_MIN as f64);
/// How long somebody waits who wants to sign in, before they try again or go.
const SIGN_IN_DEADLINE: f64 = 2.0;
/// How much more is asked for than can be done.
const FLOOD: f64 = 10.0;
/// What the client asks for that is not part of the flood, of what can be done: less than its fair share.
const NEIGHBOUR: f64 = 0.1;
/// Enough for all calls that are under way: HTTP/2 has room for 200 on each.
pub(crate) const CONNECTIONS: usize = 8;

/// What a flood leaves to be done has its end before the next measurement.
const REST: Duration = Duration::from_secs(2);

/// One who watches and one who floods, on one database.
struct Scene<'a> {
    replica: &'a Replica<'a>,
    watcher: Caller,
    flooder: Caller,
    seconds: f64,
    /// As this round has found.
    capacity: Capacity,
    measured: Vec<(Phase, Measured)>,
}

pub(crate) fn measure(run: &Run) {
    let services = run.services();
    let replicas: Vec<_> = services.iter().map(|service| service.replica()).collect();
    let mut scenes: Vec<_> = replicas.iter().map(|replica| Scene::set(replica, run.seconds_for_p99)).collect();
    for round in run.rounds("flood") {
        for phase in Phase::order(round) {
            for scene in in_turn(round, &mut scenes) {
                scene.play(phase);
                thread::sleep(REST);
            }
        }
    }
    scenes.iter().for_each(tables::print);
}

impl<'a> Scene<'a> {
    fn set(replica: &'a Replica<'a>, seconds: f64) -> Self {
        let mut watcher = replica.caller(2);
        watcher.prepare(&Order::OpenSessions);
        let flooder = replica.caller(CONNECTIONS);
        Self { replica, watcher, flooder, seconds, capacity: Capacity::default(), measured: Vec::new() }
    }

    fn play(&mut self, phase: Phase) {
        let watching =
            |kind, rate| Stream { kind, client: 0, pace: Pace::PerSecond(rate), deadline_seconds: WATCHER_DEADLINE };
        let mut watched = vec![watching(Kind::Check, CHECKS_PER_SECOND), watching(Kind::Refresh, REFRESHES_PER_SECOND)];
        let pace = Pace::PerSecond(self.capacity.per_second * NEIGHBOUR);
        watched.extend(phase.is_flood().then_some(sign_ins(0, pace)));
        // The flood first: what is watched begins beside it.
        self.flooder.call(self.seconds, self.flood(phase));
        self.watcher.call(self.seconds, watched);
        self.flooder.begun();
        self.watcher.begun();
        let before = self.cpu();
        self.flooder.ended();
        let after = self.cpu();
        self.watcher.ended();
        let (flood, watched) = (self.flooder.outcomes(), self.watcher.outcomes());
        let cores: [f64; 5] = std::array::from_fn(|index| (after[index] - before[index]) / self.seconds);
        if phase == Phase::Full {
            self.capacity = Capacity { per_second: flood[0].per_second(), callers_cpus: cores[FLOODER] };
        }
        self.measured.push((phase, Measured { watched, flood, capacity: self.capacity, cores }));
    }

    fn flood(&self, phase: Phase) -> Vec<Stream> {
        match phase {
            Phase::Alone => Vec::new(),
            Phase::Full => vec![full_lane(self.replica)],
            Phase::OneClient => from_one_client(self.capacity.per_second),
            Phase::FourClients => {
                let share = Pace::PerSecond(self.capacity.per_second * FLOOD / 4.0);
                (1..=4).map(|client| sign_ins(client, share)).collect()
            }
        }
    }

    /// CPU time in seconds of the hash workers, the rest of the service, the flooding process, the watching one, and
    /// the database.
    fn cpu(&self) -> [f64; 5] {
        use crate::proc::cpu;
        let hash = self.replica.hash_cpu();
        let rest = cpu(self.replica.pid()).saturating_sub(hash);
        let database = self.replica.service.database_cpu();
        [hash, rest, cpu(self.flooder.pid()), cpu(self.watcher.pid()), database].map(|time| time.as_secs_f64())
    }
}

/// Sign-ins a second that a replica can do.
pub(crate) fn capacity(replica: &Replica<'_>, caller: &mut Caller, seconds: f64) -> f64 {
    caller.call(seconds, vec![full_lane(replica)]);
    caller.begun();
    caller.ended();
    caller.outcomes()[0].per_second()
}

/// A flood for a replica that can do so many sign-ins a second.
pub(crate) fn from_one_client(capacity: f64) -> Vec<Stream> {
    vec![sign_ins(1, Pace::PerSecond(capacity * FLOOD))]
}

fn full_lane(replica: &Replica<'_>) -> Stream {
    let pace = Pace::full_lane(replica.hash_workers());
    Stream { kind: Kind::SignIn, client: 1, pace, deadline_seconds: WATCHER_DEADLINE }
}

/// Sign-ins of people who are in a hurry.
const fn sign_ins(client: usize, pace: Pace) -> Stream {
    Stream { kind: Kind::SignIn, client, pace, deadline_seconds: SIGN_IN_DEADLINE }
}
