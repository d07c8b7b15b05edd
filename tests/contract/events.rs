//! `docs/events.md` says for each kind of event what it means, and why it may have happened. It is generated from `src/domain/event`;
//! write it anew with `SIGNET_UPDATE_DOCS=1 cargo test --test contract`.

use std::{collections::BTreeSet, fmt::Write as _};

use signet::domain::{
    bucket::{Bucket, Guarded, Subject},
    event::{Cause, EventKind},
};
use signet_test_support::generated;

use crate::sources;

const FILE: &str = "docs/events.md";
const HEAD: &str = "\
# Events

The audit trail says what happened, to whom, and why. An event is written in the transaction of the thing it tells about: it is there
if and only if that happened. It never holds a secret, nor what somebody is called.

`EventService.ListEvents` and `EventService.WatchEvents` read it, a back end for its project, an operator for all; `signet explain
REQUEST_ID` tells what one request left behind. [`operations.md`](operations.md) says how to follow it. An event has an `event_id`, a
`kind` and mostly a `cause`, `project_id`, `user_id`, `client_id` (the client it is about, or else the one that called), `operator_id`,
`session_id`, `request_id` (of the `x-request-id` of the answer), `ip_address` of the end user if the caller said so, and
`created_at`. What is not known is empty. Later versions bring new kinds and causes: pass by what you do not know.

This file is generated from `src/domain/event`: change that, then run `SIGNET_UPDATE_DOCS=1 cargo test --test contract`.
";

fn document() -> String {
    let mut document = HEAD.to_owned();
    for kind in EventKind::ALL {
        write!(document, "\n## {}\n\n{}\n", kind.as_str(), kind.meaning()).unwrap();
        if !kind.causes().is_empty() {
            document.push_str("\n| cause | meaning |\n|---|---|\n");
        }
        for cause in kind.causes() {
            writeln!(document, "| `{}` | {} |", cause.as_str(), cause.meaning()).unwrap();
        }
    }
    document
}

#[test]
fn the_document_of_events_is_what_the_code_says() {
    generated::assert_current(&sources::path(FILE), &document(), "--test contract");
}

#[test]
fn no_two_words_are_the_same_and_each_is_read_back() {
    let kinds: BTreeSet<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(kinds.len(), EventKind::ALL.len());
    assert!(EventKind::ALL.iter().all(|kind| EventKind::parse(kind.as_str()) == Some(*kind)));
    for kind in EventKind::ALL {
        let causes: BTreeSet<_> = kind.causes().iter().map(|cause| cause.as_str()).collect();
        assert_eq!(causes.len(), kind.causes().len(), "{kind:?}");
        assert!(kind.causes().iter().all(|cause| kind.parse_cause(cause.as_str()) == Some(*cause)), "{kind:?}");
    }
    assert_eq!((EventKind::parse("made.up"), EventKind::PasswordFailed.parse_cause("made_up")), (None, None));
}

/// Every cause belongs to a kind, and every counter that can be reached is among those that can slow down.
#[test]
fn every_cause_has_a_kind_that_it_can_stand_at() {
    let listed: BTreeSet<_> =
        EventKind::ALL.iter().flat_map(|kind| kind.causes()).map(|cause| cause.as_str()).collect();
    let unlisted: Vec<_> =
        Cause::ALL.iter().map(|cause| cause.as_str()).filter(|word| !listed.contains(word)).collect();
    assert_eq!(
        unlisted,
        ["code_mail_device", "email_change_device", "password_reset_mail_device"],
        "devices have none there"
    );

    let user = signet::domain::id::UserId::from(uuid::Uuid::nil());
    let device = signet::domain::id::DeviceId::from(uuid::Uuid::nil());
    let address = "192.0.2.1".parse().unwrap();
    for guarded in Guarded::ALL {
        let mut subjects = vec![Subject::User(user), Subject::ip(address)];
        subjects.extend(guarded.knows_devices().then_some(Subject::Device(user, device)));
        for subject in subjects {
            let name = Bucket { guarded, subject }.name();
            assert!(EventKind::ThrottleTripped.causes().contains(&name), "{name:?}");
        }
    }
}
