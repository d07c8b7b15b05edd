//! Whose attempts are counted together, and whose are not.

use std::collections::{HashMap, HashSet};

use chrono::Duration;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    clock::Timestamp,
    domain::{
        limits::Limits,
        throttle::{Admission, Outcome, Throttle},
    },
};

fn user(number: u128) -> UserId {
    Uuid::from_u128(number).into()
}

fn claimant(number: u128, device: Option<u128>, ip: Option<&str>) -> Claimant {
    Claimant {
        target: Target::User(user(number)),
        device: device.map(|number| Uuid::from_u128(number).into()),
        ip_address: ip.map(|ip| ip.parse().unwrap()),
        reported_address: None,
    }
}

/// Buckets by name, as a database would keep them.
#[derive(Default)]
struct Counters(HashMap<Bucket, Throttle>);

impl Counters {
    fn attempt(&mut self, who: &Claimant, guarded: Guarded, outcome: Outcome, now: Timestamp) -> bool {
        let (limits, buckets) = (Limits::default(), who.buckets(guarded));
        let known = |bucket: &Bucket| self.0.get(bucket).copied().unwrap_or_default();
        let admitted =
            buckets.iter().all(|bucket| known(bucket).admit(now, &limits.policy(bucket)) == Admission::Admitted);
        for bucket in buckets.into_iter().filter(|_| admitted) {
            let policy = limits.policy(&bucket);
            let cleared = outcome != Outcome::Succeeded || bucket.is_cleared_by_success();
            let throttle = self.0.entry(bucket).or_default();
            throttle.reserve(now, &policy);
            throttle.settle(now, if cleared { outcome } else { Outcome::Withdrawn }, now, &policy);
        }
        admitted
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![3 => Just(Outcome::Failed), 1 => Just(Outcome::Succeeded), 1 => Just(Outcome::Withdrawn)]
}

prop_compose! {
    /// Somebody who holds no token of device 7 of user 1, for one of the things that are guarded, some seconds later.
    fn stranger()(
        number in 1_u128..4, device in prop::option::of(0_u128..7), last in prop::option::of(0_u8..3), kind in 0_usize..6,
        outcome in outcome(), seconds in 0_i64..60,
    ) -> (Claimant, Guarded, Outcome, i64) {
        let ip = last.map(|last| format!("192.0.2.{last}"));
        (claimant(number, device, ip.as_deref()), Guarded::ALL[kind], outcome, seconds)
    }
}

proptest! {
    #[test]
    fn nothing_a_stranger_does_changes_what_a_known_device_gets(
        traffic in prop::collection::vec((stranger(), prop::option::of(outcome())), 0..200),
    ) {
        let device = claimant(1, Some(7), Some("192.0.2.1"));
        let (mut busy, mut quiet) = (Counters::default(), Counters::default());
        let mut now = Timestamp::UNIX_EPOCH;
        for ((who, guarded, outcome, seconds), own) in traffic {
            now += Duration::seconds(seconds);
            busy.attempt(&who, guarded, outcome, now);
            if let Some(own) = own {
                let (with, without) = (busy.attempt(&device, Guarded::SignIn, own, now), quiet.attempt(&device, Guarded::SignIn, own, now));
                prop_assert_eq!(with, without);
            }
        }
    }
}

#[test]
fn every_kind_of_bucket_has_a_word_of_its_own() {
    let subjects = [
        Subject::User(user(1)),
        Subject::Device(user(1), Uuid::from_u128(1).into()),
        Subject::ip("192.0.2.1".parse().unwrap()),
    ];
    let kinds: HashSet<_> = Guarded::ALL
        .into_iter()
        .flat_map(|guarded| subjects.clone().map(|subject| Bucket { guarded, subject }.kind()))
        .collect();
    assert_eq!(kinds.len(), 3 * Guarded::ALL.len());
    for guarded in Guarded::ALL {
        for (subject, suffix) in subjects.clone().into_iter().zip(["", "_device", "_ip"]) {
            assert_eq!(Bucket { guarded, subject }.kind(), format!("{}{suffix}", guarded.as_str()));
        }
    }
}

#[test]
fn a_network_of_the_sixth_version_counts_as_one_address() {
    let ip = |text: &str| Subject::ip(text.parse().unwrap());
    assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:1"));
    assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
    assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
    assert_ne!(ip("192.0.2.1"), ip("192.0.2.2"));
}

#[test]
fn an_address_is_not_cleared_by_a_success() {
    let buckets = claimant(1, None, Some("192.0.2.1")).buckets(Guarded::SignIn);
    assert_eq!(buckets.iter().map(Bucket::is_cleared_by_success).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_device_that_is_known_does_not_help_somebody_who_is_not() {
    let identifier = Identifier::parse(IdentifierKind::Email, "Nobody@example.com").unwrap();
    let target = Target::Unknown(Nobody::from(&identifier));
    let who = Claimant { target, ..claimant(1, Some(7), None) };
    let [Bucket { subject: Subject::Unknown(nobody), .. }] = &who.buckets(Guarded::SignIn)[..] else {
        panic!("{who:?}")
    };
    assert_eq!(nobody.canonical, "nobody@example.com");
    assert!(!format!("{who:?}").contains("example"), "{who:?}");
}

#[test]
fn mails_and_address_codes_are_counted_on_the_user_whatever_the_device() {
    for guarded in Guarded::ALL {
        let subjects: Vec<_> = claimant(1, Some(7), None).buckets(guarded).into_iter().map(|one| one.subject).collect();
        let by_device = matches!(subjects[..], [Subject::Device(..)]);
        let by_user = matches!(guarded, Guarded::CodeMail | Guarded::EmailChange | Guarded::PasswordResetMail);
        assert_eq!(by_device, !by_user, "{guarded:?}");
    }
}
