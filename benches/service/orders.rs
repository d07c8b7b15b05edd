//! What a client process is told to do, and what it tells afterwards: a line of JSON each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whom a client process calls, and as whom.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Target {
    /// The gRPC listener.
    pub(crate) address: String,
    /// The `authorization` of each client of the project.
    pub(crate) clients: Vec<String>,
    /// Connections, which the calls use in turn.
    pub(crate) connections: usize,
    /// Users there are.
    pub(crate) users: usize,
    /// A bare echo, for those who compare.
    pub(crate) echo: Option<String>,
}

/// What to do next.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Order {
    /// Create the users.
    CreateUsers,
    /// Sign every user in, and keep what checks and refreshes need.
    OpenSessions,
    /// Get tokens for the sessions of these ids, and keep them for the same.
    ResumeSessions(Vec<String>),
    /// Tell what a check is answered.
    AnswerToCheck,
    /// Make calls for that long, after a time in which nothing is counted; answered when the counting begins, when it
    /// ends, and with an `Outcome` of each stream when all calls are answered.
    Call { seconds: f64, streams: Vec<Stream> },
}

/// Calls of one kind.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Stream {
    pub(crate) kind: Kind,
    /// The client that makes them, by its place in the target's list.
    pub(crate) client: usize,
    pub(crate) pace: Pace,
    /// How long the caller waits for each answer.
    pub(crate) deadline_seconds: f64,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Kind {
    /// `AuthenticatePassword`, with the right password.
    SignIn,
    /// `AuthenticateSession`, with an access token.
    Check,
    /// `IssueClientToken`.
    ClientToken,
    /// The message of a check, to the echo.
    Echo,
    /// `RefreshTokens`.
    Refresh,
}

/// Sign-ins under way for each hash worker where the lane is to be full and nobody refused: enough that no worker waits
/// for one.
const IN_FLIGHT_A_WORKER: usize = 16;

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Pace {
    /// That many calls are under way at any time: the next is made when one was answered.
    InFlight(usize),
    /// That many calls a second, whatever becomes of them: their time counts from when they should have been sent.
    PerSecond(f64),
}

impl Pace {
    /// As many sign-ins as that many hash workers can do.
    pub(crate) const fn full_lane(workers: usize) -> Self {
        Self::InFlight(workers * IN_FLIGHT_A_WORKER)
    }
}

/// The steps of an order.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum Told {
    /// What was ordered is done.
    Done,
    /// An answer, in base64.
    Answer(String),
    /// The counting begins.
    Begin,
    /// The counting ends.
    End,
    /// What became of the calls of each stream.
    Outcomes(Vec<Outcome>),
}

/// What became of the calls of a stream.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// How long was counted, in seconds.
    pub(crate) seconds: f64,
    /// Calls that were to be sent while it was counted.
    pub(crate) offered: u32,
    /// Good answers that came while it was counted.
    pub(crate) succeeded: u32,
    /// Of the offered calls with a good answer: how long it took, in seconds.
    pub(crate) latencies: Vec<f64>,
    /// The offered calls without one, by the gRPC code.
    pub(crate) refused: BTreeMap<String, Refused>,
}

/// Refused calls of one code.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Refused {
    pub(crate) count: u32,
    /// Those that were told when to come back.
    pub(crate) with_retry_info: u32,
    /// How long the refusals took together, in seconds.
    pub(crate) seconds: f64,
}

impl Outcome {
    /// Good answers a second.
    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.succeeded) / self.seconds
    }
}
