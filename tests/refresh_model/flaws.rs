//! Each mistake that the protocol guards against breaks a promise: the checker finds how.

use rstest::rstest;
use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::{
    claims::{Claim, NOT_OUTLIVED, NOT_OVERLOOKED, NOT_SIGNED_OUT, ONE_SUCCESSOR, OVER_AFTER_REUSE},
    model::Protocol,
    promises::{GRACE, PROTOCOL},
    service::{Flaw, Service},
};

/// Fails unless the checker finds a way to break `promise`. Prints it: it is short.
pub(crate) fn assert_broken(promise: Claim, protocol: Protocol) {
    let checker = protocol.checker().finish_when(HasDiscoveries::AnyOf([promise].into())).spawn_bfs().join();
    let path = checker.assert_any_discovery(promise);
    println!("not \"{promise}\": {:?}", path.into_actions());
}

#[rstest]
#[case::no_grace_period(Flaw::NoGracePeriod, NOT_SIGNED_OUT)]
#[case::no_reuse_detection_and_the_thief_stays(Flaw::NoReuseDetection, NOT_OUTLIVED)]
#[case::no_reuse_detection_and_the_owner_joins_the_thief(Flaw::NoReuseDetection, NOT_OVERLOOKED)]
#[case::prolonged_window_and_the_thief_stays(Flaw::RepeatProlongsWindow, NOT_OUTLIVED)]
#[case::prolonged_window_and_the_owner_joins_the_thief(Flaw::RepeatProlongsWindow, NOT_OVERLOOKED)]
#[case::unconditional_rotation(Flaw::UnconditionalRotation, ONE_SUCCESSOR)]
#[case::rotation_of_a_revoked_session(Flaw::RotationOfRevoked, OVER_AFTER_REUSE)]
fn a_mistake_in_the_service_breaks_a_promise(#[case] flaw: Flaw, #[case] promise: Claim) {
    assert_broken(promise, Protocol { service: Service { grace: GRACE, flaw: Some(flaw) }, ..PROTOCOL });
}
