//! What is claimed of the protocol: promises, and what must be able to happen, or the promises would say nothing.

use stateright::{Expectation, Property};

use crate::{
    model::{Protocol, State},
    owner::Tab,
    service::{Answer, Write},
};

/// A claim, by the name under which the checker reports it.
pub(crate) type Claim = &'static str;

pub(crate) const NOT_SIGNED_OUT: Claim = "the owner is not signed out by accident";
pub(crate) const ONE_SUCCESSOR: Claim = "there is one successor";
pub(crate) const NOT_OUTLIVED: Claim = "a thief who is left behind for a grace period gets nothing any more";
pub(crate) const NOT_OVERLOOKED: Claim =
    "an owner who comes a grace period after a thief is not given the thief's token";
pub(crate) const OVER_AFTER_REUSE: Claim = "after a reuse nobody gets a token";

pub(crate) const REPEAT: Claim = "a token is given a second time";
pub(crate) const LOST_UPDATE: Claim = "another request is faster, and a decision is taken again";
pub(crate) const REUSE: Claim = "a reuse ends the session";
pub(crate) const REFRESH_PAST_WINDOW: Claim = "the owner refreshes after the window";
pub(crate) const THIEF_FOLLOWS: Claim = "a thief who follows closely is not noticed";
pub(crate) const FAILOVER: Claim = "a token comes that the database has forgotten";

pub(crate) fn property(claim: Claim) -> Property<Protocol> {
    let (expectation, condition): (_, fn(&Protocol, &State) -> bool) = match claim {
        NOT_SIGNED_OUT => (Expectation::Always, |_, state| !state.seen.owner_refused),
        ONE_SUCCESSOR => (Expectation::Always, |_, state| !state.seen.second_successor),
        NOT_OUTLIVED => (Expectation::Always, |_, state| !state.thief.has_outlived),
        NOT_OVERLOOKED => (Expectation::Always, |_, state| !state.thief.was_overlooked),
        OVER_AFTER_REUSE => (Expectation::Always, |_, state| !state.seen.token_of_revoked),
        REPEAT => (Expectation::Sometimes, |_, state| {
            any_tab(state, |tab| matches!(tab, Tab::Answered { answer: Answer::Repeated(_), .. }))
        }),
        LOST_UPDATE => (Expectation::Sometimes, |_, state| {
            any_tab(state, |tab| {
                matches!(tab, Tab::Decided { lost_update: true, .. } | Tab::Answered { lost_update: true, .. })
            })
        }),
        REUSE => (Expectation::Sometimes, |_, state| state.row.revoked),
        REFRESH_PAST_WINDOW => (Expectation::Sometimes, |protocol, state| {
            any_tab(state, |tab| match tab {
                Tab::Decided { clock, write: Write::Rotate { .. }, .. } => {
                    state.row.is_past_window(protocol.service.grace, clock)
                }
                _ => false,
            })
        }),
        THIEF_FOLLOWS => (Expectation::Sometimes, |_, state| {
            // More than once: the copy, and two refreshes.
            let stored = state.owner.stored;
            !state.row.revoked && state.thief.tokens().any(|token| token == stored) && state.thief.tokens().count() > 2
        }),
        FAILOVER => (Expectation::Sometimes, |_, state| {
            any_tab(state, |tab| match tab {
                Tab::Decided { token, write: Write::Rotate { from, .. }, .. } => token > from,
                _ => false,
            })
        }),
        _ => unreachable!("no such claim"),
    };
    Property { expectation, name: claim, condition }
}

/// Whether no promise is broken in that state.
pub(crate) fn is_possible(claim: Claim, protocol: &Protocol, state: &State) -> bool {
    let property = property(claim);
    property.expectation == Expectation::Sometimes || (property.condition)(protocol, state)
}

fn any_tab(state: &State, condition: impl Fn(Tab) -> bool) -> bool {
    state.owner.tabs.into_iter().any(condition)
}
