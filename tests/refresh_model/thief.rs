//! The thief: copies the owner's token once, and keeps what it gets for it.

use crate::service::{NOW, Service, Tick, Write, renumbered};

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Thief {
    /// Generations of its tokens, a bit each.
    holds: u16,
    /// Whether it has shown itself.
    pub(crate) has_presented: bool,
    /// Its request, decided and not yet written. It needs no way to and fro: it may present a token at any time.
    pub(crate) decided: Option<Decided>,
    /// When it last got a token, if that is less than a grace period ago.
    last_success: Option<Tick>,
    /// When the owner got a token that the thief does not hold, nor got any since.
    left_behind_at: Option<Tick>,
    /// Got a token though it was left behind a grace period ago.
    pub(crate) has_outlived: bool,
    /// The owner got a token that the thief had got a grace period before.
    pub(crate) was_overlooked: bool,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Decided {
    pub(crate) token: u32,
    pub(crate) clock: Tick,
    pub(crate) write: Write,
}

impl Thief {
    pub(crate) fn has_copied(&self) -> bool {
        self.holds != 0
    }

    pub(crate) fn tokens(&self) -> impl Iterator<Item = u32> {
        (1..u16::BITS).filter(|token| self.holds & (1 << token) != 0)
    }

    pub(crate) fn copy(&mut self, token: u32) {
        self.holds = 1 << token;
    }

    /// The thief gets a token.
    pub(crate) fn gets(&mut self, token: u32, grace: Tick) {
        self.has_outlived |= self.left_behind_at.is_some_and(|since| NOW >= since + grace);
        self.holds |= 1 << token;
        self.last_success = Some(NOW);
        self.left_behind_at = None;
    }

    /// The owner gets a token.
    pub(crate) fn owner_gets(&mut self, token: u32) {
        let Some(copied) = self.tokens().next() else { return };
        if self.tokens().all(|held| held != token) {
            self.left_behind_at.get_or_insert(NOW);
        } else if token != copied {
            self.was_overlooked |= self.last_success.is_none();
        }
    }

    pub(crate) fn grow_older(&mut self, service: Service) {
        let grace = service.grace;
        self.last_success = self.last_success.map(|last| last - 1).filter(|last| NOW < last + grace);
        self.left_behind_at = self.left_behind_at.map(|since| (since - 1).max(NOW - grace));
        if let Some(decided) = &mut self.decided {
            decided.clock -= 1;
        }
        self.decided.take_if(|decided| service.has_given_up(decided.clock));
    }

    pub(crate) fn renumber(&mut self, by: u32) {
        self.holds = self.tokens().fold(0, |holds, token| holds | 1 << renumbered(token, by));
        if let Some(decided) = &mut self.decided {
            decided.token = renumbered(decided.token, by);
            decided.write = decided.write.renumbered(by);
        }
    }
}
