//! The promises hold, in every reachable state.

use stateright::{Checker as _, Model as _};

use crate::{
    claims::{
        FAILOVER, LOST_UPDATE, NOT_OUTLIVED, NOT_OVERLOOKED, NOT_SIGNED_OUT, ONE_SUCCESSOR, OVER_AFTER_REUSE,
        REFRESH_PAST_WINDOW, REPEAT, REUSE, THIEF_FOLLOWS,
    },
    model::Protocol,
    owner::Duties,
    service::{Service, Tick},
};

/// Long enough for something to happen within it.
pub(crate) const GRACE: Tick = 2;

/// An owner who does its duties, and a thief.
pub(crate) const PROTOCOL: Protocol = Protocol {
    service: Service { grace: GRACE, flaw: None },
    duties: Duties { patience: Some(GRACE), rests: true },
    has_thief: true,
    skew: 0,
    fails_over: false,
    claims: &[
        NOT_SIGNED_OUT,
        ONE_SUCCESSOR,
        NOT_OUTLIVED,
        NOT_OVERLOOKED,
        OVER_AFTER_REUSE,
        REPEAT,
        LOST_UPDATE,
        REUSE,
        REFRESH_PAST_WINDOW,
        THIEF_FOLLOWS,
    ],
};

/// Visits every reachable state.
fn assert_holds(what: &str, protocol: Protocol) {
    let checker = protocol.checker().spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.is_done());
    println!("{what}: {} states", checker.unique_state_count());
}

#[test]
fn an_owner_is_not_signed_out_and_a_thief_does_not_stay() {
    assert_holds("an owner and a thief", PROTOCOL);
}

#[test]
fn no_thief_gains_by_a_careless_owner() {
    assert_holds(
        "a careless owner and a thief",
        Protocol {
            duties: Duties { patience: None, rests: false },
            claims: &[ONE_SUCCESSOR, NOT_OUTLIVED, NOT_OVERLOOKED, OVER_AFTER_REUSE, REPEAT, LOST_UPDATE, REUSE],
            ..PROTOCOL
        },
    );
}

#[test]
fn an_owner_is_not_signed_out_by_a_failover_that_loses_a_rotation() {
    assert_holds(
        "a failover",
        Protocol {
            has_thief: false,
            fails_over: true,
            claims: &[NOT_SIGNED_OUT, ONE_SUCCESSOR, REPEAT, LOST_UPDATE, FAILOVER, REFRESH_PAST_WINDOW],
            ..PROTOCOL
        },
    );
}

#[test]
fn an_owner_who_is_that_much_quicker_is_not_signed_out_by_clocks_that_differ() {
    assert_holds(
        "clocks that differ",
        Protocol {
            service: Service { grace: GRACE + 1, flaw: None },
            skew: 1,
            has_thief: false,
            claims: &[NOT_SIGNED_OUT, ONE_SUCCESSOR, REPEAT, LOST_UPDATE, REFRESH_PAST_WINDOW],
            ..PROTOCOL
        },
    );
}
