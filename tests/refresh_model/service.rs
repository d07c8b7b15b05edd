//! The service: a row, and requests handled in two steps.

use chrono::Duration;
use signet::{
    clock::Timestamp,
    domain::refresh::{RefreshOutcome, RefreshPolicy, RefreshState},
};

/// A time, in ticks. A tick is a second.
pub(crate) type Tick = u8;

/// The time now, always: when time passes, everything gets older instead. What is too old to matter is all alike, so the
/// model has finitely many states and yet no end of time.
pub(crate) const NOW: Tick = 8;

/// A row's generation at most, for the same reason: a row that goes beyond it is renumbered, with all tokens.
pub(crate) const GENERATION: u32 = 4;

/// A generation after a renumbering by `by`. Those long gone are all alike.
pub(crate) fn renumbered(generation: u32, by: u32) -> u32 {
    generation.saturating_sub(by).max(1)
}

/// A mistake that the service could make.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flaw {
    /// A replaced token is a reuse at once.
    NoGracePeriod,
    /// An old token gets the current one, however old it is.
    NoReuseDetection,
    /// A repeat counts as a rotation: the window starts anew.
    RepeatProlongsWindow,
    /// `UPDATE` without `refresh_generation = ?`.
    UnconditionalRotation,
    /// `UPDATE` without `revoked_at IS NULL`.
    RotationOfRevoked,
}

/// How the service is set up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    /// How long a replaced token still gets its successor.
    pub(crate) grace: Tick,
    pub(crate) flaw: Option<Flaw>,
}

/// The session in the database.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Row {
    pub(crate) generation: u32,
    rotated_at: Option<Tick>,
    pub(crate) revoked: bool,
}

/// What a request still has to write.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Write {
    Revoke,
    Rotate { from: u32, to: u32 },
}

/// What a caller is told.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Answer {
    /// The session is over.
    Refused,
    /// The token of that generation, which another request had made.
    Repeated(u32),
    /// The token of that generation, new.
    Rotated(u32),
}

/// What a request does next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Answer(Answer),
    Write(Write),
}

impl Answer {
    /// Generation of the token in it.
    pub(crate) fn token(self) -> Option<u32> {
        match self {
            Self::Refused => None,
            Self::Repeated(token) | Self::Rotated(token) => Some(token),
        }
    }

    pub(crate) fn renumbered(self, by: u32) -> Self {
        match self {
            Self::Refused => self,
            Self::Repeated(token) => Self::Repeated(renumbered(token, by)),
            Self::Rotated(token) => Self::Rotated(renumbered(token, by)),
        }
    }
}

impl Service {
    /// The first step: reads the row and decides. `clock` is the request's time, which it keeps.
    pub(crate) fn read_and_decide(self, row: &mut Row, presented: u32, clock: Tick) -> Step {
        if row.revoked {
            return Step::Answer(Answer::Refused);
        }
        let current = row.generation;
        match self.outcome(row.state(), presented, clock) {
            RefreshOutcome::Keep => unreachable!("tokens of this project rotate"),
            RefreshOutcome::Repeat => {
                if self.flaw == Some(Flaw::RepeatProlongsWindow) {
                    row.rotated_at = Some(clock);
                }
                Step::Answer(Answer::Repeated(current))
            }
            RefreshOutcome::Reuse => Step::Write(Write::Revoke),
            RefreshOutcome::Rotate { to } => Step::Write(Write::Rotate { from: current, to }),
        }
    }

    fn outcome(self, state: RefreshState, presented: u32, clock: Tick) -> RefreshOutcome {
        let grace = if self.flaw == Some(Flaw::NoGracePeriod) { 0 } else { self.grace };
        let policy = RefreshPolicy { rotates: true, grace: Duration::seconds(grace.into()) };
        match state.present(presented, policy, time(clock)) {
            RefreshOutcome::Reuse if self.flaw == Some(Flaw::NoReuseDetection) => RefreshOutcome::Repeat,
            outcome => outcome,
        }
    }

    /// Whether a request of the time `clock` is past the service's own deadline, which is no longer than the grace period.
    pub(crate) fn has_given_up(self, clock: Tick) -> bool {
        NOW >= clock + self.grace
    }

    /// The second step: the conditional write. `None` if the condition matched no row: read and decide again.
    pub(crate) fn write(self, row: &mut Row, write: Write, clock: Tick) -> Option<Answer> {
        match write {
            Write::Revoke => {
                row.revoked = true;
                Some(Answer::Refused)
            }
            Write::Rotate { from, to } => {
                let same = row.generation == from || self.flaw == Some(Flaw::UnconditionalRotation);
                let live = !row.revoked || self.flaw == Some(Flaw::RotationOfRevoked);
                if !same || !live {
                    return None;
                }
                *row = Row { generation: to, rotated_at: Some(clock), ..*row };
                Some(Answer::Rotated(to))
            }
        }
    }
}

impl Row {
    pub(crate) const NEW: Self = Self { generation: RefreshState::FIRST.generation, rotated_at: None, revoked: false };

    fn state(&self) -> RefreshState {
        RefreshState { generation: self.generation, rotated_at: self.rotated_at.map(time) }
    }

    /// Whether the window after the last rotation is over.
    pub(crate) fn is_past_window(&self, grace: Tick, clock: Tick) -> bool {
        self.rotated_at.is_some_and(|rotated_at| clock >= rotated_at + grace)
    }

    pub(crate) fn grow_older(&mut self, grace: Tick) {
        // Too old also for a request whose clock is almost a grace period behind.
        self.rotated_at = self.rotated_at.map(|rotated_at| (rotated_at - 1).max(NOW - 2 * grace));
    }
}

impl Write {
    pub(crate) fn renumbered(self, by: u32) -> Self {
        match self {
            Self::Revoke => self,
            Self::Rotate { from, to } => Self::Rotate { from: renumbered(from, by), to: renumbered(to, by) },
        }
    }
}

fn time(tick: Tick) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::seconds(tick.into())
}
