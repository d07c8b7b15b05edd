//! The owner: two tabs that share the stored token.

use std::mem;

use crate::service::{Answer, NOW, Service, Tick, Write, renumbered};

/// A deadline that does not come.
const NEVER: Tick = Tick::MAX;

/// Where a tab's request is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Tab {
    #[default]
    Idle,
    /// On its way to the service.
    Sent { token: u32, over_by: Tick },
    /// Decided by a replica and not yet written. `lost_update`: for the second time, as another request was faster.
    Decided { token: u32, over_by: Tick, clock: Tick, write: Write, lost_update: bool },
    /// The reply is on its way back.
    Answered { over_by: Tick, answer: Answer, lost_update: bool },
}

/// What an owner sees to, so as never to be signed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Duties {
    /// How many ticks after the first request with a token all requests with it are over, in every tab: none is sent any
    /// more, and the deadline of those under way has passed. `None`: sends them whenever it likes.
    pub(crate) patience: Option<Tick>,
    /// Whether a new token rests until the requests with the one before are over.
    pub(crate) rests: bool,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Owner {
    /// In a fixed order, whichever it is: the tabs are alike.
    pub(crate) tabs: [Tab; 2],
    /// The newest token, stored where both tabs find it.
    pub(crate) stored: u32,
    /// Until when the stored token is not presented.
    rests_until: Tick,
    /// When all requests with the stored token are over; none before the first.
    over_by: Option<Tick>,
    /// Was told that the session is over, and gives up.
    pub(crate) signed_out: bool,
}

impl Owner {
    pub(crate) const NEW: Self =
        Self { tabs: [Tab::Idle; 2], stored: 1, rests_until: NOW, over_by: None, signed_out: false };

    /// Whether a tab may send the stored token: for the first time, or again.
    pub(crate) fn may_send(&self) -> bool {
        !self.signed_out && NOW >= self.rests_until && self.over_by.is_none_or(|over_by| NOW < over_by)
    }

    pub(crate) fn send(&mut self, tab: usize, duties: Duties) {
        let over_by = *self.over_by.get_or_insert(duties.patience.map_or(NEVER, |patience| NOW + patience));
        self.tabs[tab] = Tab::Sent { token: self.stored, over_by };
    }

    pub(crate) fn receive(&mut self, tab: usize, duties: Duties) {
        let Tab::Answered { over_by, answer, .. } = mem::take(&mut self.tabs[tab]) else { unreachable!() };
        match answer.token() {
            None => *self = Self { signed_out: true, ..Self::NEW },
            Some(token) if token > self.stored => {
                let rests_until = if duties.rests { over_by } else { NOW };
                *self = Self { stored: token, over_by: None, rests_until, ..self.clone() };
            }
            Some(_) => {}
        }
    }

    /// A tick passes. What is over is given up.
    pub(crate) fn grow_older(&mut self, service: Service) {
        self.rests_until = older(self.rests_until);
        self.over_by = self.over_by.map(older);
        for tab in &mut self.tabs {
            tab.grow_older();
            if tab.is_over(service) {
                *tab = Tab::Idle;
            }
        }
    }

    pub(crate) fn renumber(&mut self, by: u32) {
        self.stored = renumbered(self.stored, by);
        for tab in &mut self.tabs {
            match tab {
                Tab::Idle => {}
                Tab::Sent { token, .. } => *token = renumbered(*token, by),
                Tab::Decided { token, write, .. } => {
                    (*token, *write) = (renumbered(*token, by), write.renumbered(by));
                }
                Tab::Answered { answer, .. } => *answer = answer.renumbered(by),
            }
        }
    }
}

impl Tab {
    fn grow_older(&mut self) {
        match self {
            Self::Idle => {}
            Self::Sent { over_by, .. } | Self::Answered { over_by, .. } => *over_by = older(*over_by),
            Self::Decided { over_by, clock, .. } => (*over_by, *clock) = (older(*over_by), *clock - 1),
        }
    }

    fn is_over(self, service: Service) -> bool {
        match self {
            Self::Idle => false,
            Self::Sent { over_by, .. } | Self::Answered { over_by, .. } => NOW >= over_by,
            Self::Decided { over_by, clock, .. } => NOW >= over_by || service.has_given_up(clock),
        }
    }
}

/// A deadline, a tick later. All that have passed are alike.
fn older(deadline: Tick) -> Tick {
    if deadline == NEVER { NEVER } else { (deadline - 1).max(NOW) }
}
