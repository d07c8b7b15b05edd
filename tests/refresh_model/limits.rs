//! What is not promised: each duty of an owner is needed.

use rstest::rstest;

use crate::{
    claims::NOT_SIGNED_OUT,
    flaws::assert_broken,
    model::Protocol,
    owner::Duties,
    promises::{GRACE, PROTOCOL},
};

#[rstest]
#[case::sends_or_waits_longer(Duties { patience: Some(GRACE + 1), rests: true }, 0)]
#[case::refreshes_twice_in_a_moment(Duties { patience: Some(GRACE), rests: false }, 0)]
#[case::takes_no_account_of_clocks_that_differ(Duties { patience: Some(GRACE), rests: true }, 1)]
fn an_owner_may_be_signed_out_who(#[case] duties: Duties, #[case] skew: u8) {
    assert_broken(NOT_SIGNED_OUT, Protocol { duties, skew, has_thief: false, ..PROTOCOL });
}
