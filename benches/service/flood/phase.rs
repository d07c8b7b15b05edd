//! What happens beside what is watched, and what was found.

use crate::{
    numbers::{of_what_is_left, quantile},
    orders::{Outcome, Refused},
    proc,
};

/// What goes on while checks and refreshes are watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Nothing else.
    Alone,
    /// As many sign-ins as the machine can do: its capacity.
    Full,
    /// A flood from one client.
    OneClient,
    /// The same flood from four.
    FourClients,
}

impl Phase {
    pub(super) const ALL: [Self; 4] = [Self::Alone, Self::Full, Self::OneClient, Self::FourClients];
    pub(super) const FLOODS: [Self; 2] = [Self::OneClient, Self::FourClients];

    /// The phases of a round. They take turns, too, but for what finds the capacity: the floods go by it.
    pub(super) const fn order(round: u32) -> [Self; 4] {
        if round.is_multiple_of(2) { [Self::Full, Self::FourClients, Self::OneClient, Self::Alone] } else { Self::ALL }
    }

    pub(super) fn is_flood(self) -> bool {
        Self::FLOODS.contains(&self)
    }
}

/// The place of the flooding process in [`Measured::cores`], or of the one that calls for the capacity.
pub(super) const FLOODER: usize = 2;

/// What a round has found without a flood.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Capacity {
    /// Sign-ins a second.
    pub(super) per_second: f64,
    /// CPUs that were busy with the process that called for them.
    pub(super) callers_cpus: f64,
}

/// What was found in one round of a phase.
pub(super) struct Measured {
    /// Checks, refreshes and, beside a flood, sign-ins of the client that takes no part in it.
    pub(super) watched: Vec<Outcome>,
    /// Sign-ins of each client that floods.
    pub(super) flood: Vec<Outcome>,
    /// Found in this round.
    pub(super) capacity: Capacity,
    /// CPUs that were busy with the hashes, the rest of the service, the flooding process, the watching one, and the
    /// database.
    pub(super) cores: [f64; 5],
}

impl Measured {
    /// Of a stream that is watched, in milliseconds. A call that had no good answer took for ever.
    pub(super) fn quantile_ms(&self, stream: usize, share: f64) -> f64 {
        quantile(&times(&self.watched[stream]), share) * 1e3
    }

    /// Sign-ins a second that succeeded, over the capacity.
    pub(super) fn goodput(&self) -> f64 {
        let neighbour = self.watched.get(2).map_or(0.0, Outcome::per_second);
        (self.flood.iter().map(Outcome::per_second).sum::<f64>() + neighbour) / self.capacity.per_second
    }

    /// The same as if the flooding process had a machine of its own: it runs on the same CPUs, which is no fault of the
    /// service. Nor had the capacity the whole machine: who called for it is taken out as well.
    pub(super) fn goodput_beside_the_flooder(&self) -> f64 {
        self.goodput() * of_what_is_left(self.capacity.callers_cpus, self.cores[FLOODER], proc::cpus())
    }

    /// What part of the neighbour's sign-ins succeeded.
    pub(super) fn neighbours_successes(&self) -> f64 {
        let neighbour = &self.watched[2];
        neighbour.latencies.len() as f64 / f64::from(neighbour.offered)
    }

    /// Sign-ins that were asked for, over the capacity.
    pub(super) fn offered(&self) -> f64 {
        self.flood.iter().map(|outcome| f64::from(outcome.offered) / outcome.seconds).sum::<f64>()
            / self.capacity.per_second
    }

    /// The clients that flood: the least that one of them got, over what one would get if all got the same.
    pub(super) fn least_share(&self) -> f64 {
        let successes = || self.flood.iter().map(Outcome::per_second);
        successes().fold(f64::INFINITY, f64::min) * self.flood.len() as f64 / successes().sum::<f64>()
    }

    /// The refused sign-ins of the flood, by code.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&String, &Refused)> {
        self.flood.iter().flat_map(|outcome| &outcome.refused)
    }
}

fn times(outcome: &Outcome) -> Vec<f64> {
    let refused: u32 = outcome.refused.values().map(|refused| refused.count).sum();
    let never = std::iter::repeat_n(f64::INFINITY, refused as usize);
    outcome.latencies.iter().copied().chain(never).collect()
}
