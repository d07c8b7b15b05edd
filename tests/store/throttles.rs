//! No attempt is lost, however many come at once, and none is remembered for ever.

use chrono::Duration;
use rstest::rstest;
use signet::{
    clock::Timestamp,
    domain::{
        bucket::{Bucket, Guarded, Nobody, Subject},
        id::{DeviceId, ProjectId, UserId},
        identifier::{Identifier, IdentifierKind},
        limits::Limits,
        throttle::{Admission, Failures, Outcome, PlainRoom, Reservations, Throttle},
    },
    random::Random,
    store::Store,
};

use super::support::{Engine, TestStore, at_once, now, project};

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_failures_at_once_count_to_a_hundred(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (project_id, bucket) = (test.project.id, a_user());
    let mut counts = at_once(100, |_| {
        let (store, bucket) = (test.store.clone(), bucket.clone());
        async move { count(&store, project_id, &bucket, now()).await.count }
    })
    .await;
    counts.sort_unstable();
    assert_eq!(counts, (1..=100).collect::<Vec<_>>(), "each saw a count of its own");
    assert_eq!(find(&test, &bucket).await.failures.unwrap().count, 100);
}

/// Each of a hundred tries to reserve a place, and gives it back as a failure after all have tried.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reservations_that_come_at_once_are_no_more_than_the_machine_allows(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (project_id, user, address) = (test.project.id, a_user(), an_address());
    // Named in either order: whoever locks two must not wait for whoever locks the same two.
    let reserve = |number: usize| {
        let store = test.store.clone();
        let buckets = if number.is_multiple_of(2) { [&user, &address] } else { [&address, &user] };
        let buckets: Vec<Bucket> = buckets.into_iter().cloned().collect();
        async move { reserve(&store, project_id, buckets, now()).await }
    };
    let admitted =
        at_once(100, reserve).await.into_iter().filter(|admission| *admission == Admission::Admitted).count();
    assert_eq!(admitted, 10);
    for bucket in [&user, &address] {
        assert_eq!(find(&test, bucket).await.reservations, Some(Reservations { count: 10, newest_at: now() }));
    }

    settle(&test, &[&user, &address], 10, Outcome::Failed).await;
    let again = at_once(20, reserve).await;
    assert_eq!(again.into_iter().filter(|admission| *admission == Admission::Admitted).count(), 1, "one at a time");
    settle(&test, &[&user, &address], 1, Outcome::Failed).await;
    assert!(at_once(5, reserve).await.iter().all(|admission| matches!(admission, Admission::Blocked { .. })));
}

#[rstest]
#[tokio::test]
async fn what_is_withdrawn_leaves_no_row(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let bucket = a_user();
    reserve(&test.store, test.project.id, vec![bucket.clone()], now()).await;
    assert_eq!(test.rows("throttles").await, 1);
    settle(&test, &[&bucket], 1, Outcome::Withdrawn).await;
    assert_eq!(test.rows("throttles").await, 0);
}

/// What an attempt that succeeded leaves in one statement: nothing of its own, and everything of others.
#[rstest]
#[tokio::test]
async fn a_bucket_is_forgotten_by_the_only_one_who_holds_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (bucket, other, later) = (a_user(), a_user(), now() + Duration::microseconds(1));
    let forget = async |reserved_at| {
        let tx = test.store.begin().await.unwrap();
        let left = tx.throttles().forget(test.project.id, vec![(bucket.clone(), true)], reserved_at).await.unwrap();
        tx.commit().await.unwrap();
        left.is_empty()
    };
    assert!(!forget(now()).await, "there is no row");
    for bucket in [&bucket, &other] {
        count(&test.store, test.project.id, bucket, now()).await;
    }
    let failed = find(&test, &bucket).await;
    assert!(!forget(now()).await, "nobody holds it");
    for bucket in [&bucket, &other] {
        reserve(&test.store, test.project.id, vec![bucket.clone()], now()).await;
    }
    assert!(!forget(later).await, "another one holds it");
    reserve(&test.store, test.project.id, vec![bucket.clone()], later).await;
    assert!(!forget(now()).await && !forget(later).await, "two hold it");
    let held = Some(Reservations { count: 2, newest_at: later });
    assert_eq!(find(&test, &bucket).await, Throttle { reservations: held, ..failed });
    settle(&test, &[&bucket], 1, Outcome::Withdrawn).await;
    assert!(!forget(now()).await, "whose place is left is not known");
    assert!(forget(later).await);
    assert_eq!(find(&test, &bucket).await, Throttle::default(), "the failures are forgotten with it");
    assert_eq!(test.rows("throttles").await, 1, "the other one's");
}

#[rstest]
#[tokio::test]
async fn failures_that_a_success_does_not_forget_keep_their_bucket(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (user, address, quiet) = (a_user(), an_address(), Bucket { guarded: Guarded::CodeMail, ..an_address() });
    for bucket in [&user, &address] {
        count(&test.store, test.project.id, bucket, now()).await;
    }
    let failed = find(&test, &address).await;
    reserve(&test.store, test.project.id, vec![user.clone(), address.clone(), quiet.clone()], now()).await;
    let tx = test.store.begin().await.unwrap();
    let buckets = vec![(address.clone(), false), (user.clone(), true), (quiet.clone(), false)];
    let left = tx.throttles().forget(test.project.id, buckets, now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(left, std::slice::from_ref(&address));
    let held = Some(Reservations { count: 1, newest_at: now() });
    assert_eq!(find(&test, &address).await, Throttle { reservations: held, ..failed }, "as it was");
    assert_eq!(test.rows("throttles").await, 1);
}

#[rstest]
#[tokio::test]
async fn a_place_is_held_in_one_statement_where_room_is_plain_to_see(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (user, address, other, later) = (a_user(), an_address(), a_user(), now() + Duration::seconds(1));
    let reserve = async |buckets: [&Bucket; 2], bound, at: Timestamp| {
        let room = PlainRoom { bound, reserved_after: at - Duration::seconds(1) };
        reserve_plainly(&test.store, test.project.id, buckets, room, at).await
    };
    let held = |count, newest_at| Throttle { failures: None, reservations: Some(Reservations { count, newest_at }) };
    assert_eq!(reserve([&address, &user], 3, now()).await, 2, "there is no row");
    assert_eq!(reserve([&user, &address], 2, later - Duration::microseconds(1)).await, 2, "in rows that are there");
    for bucket in [&user, &address] {
        assert_eq!(find(&test, bucket).await, held(2, later - Duration::microseconds(1)));
    }
    assert_eq!(reserve([&other, &address], 2, later).await, 0, "there is no room in one");
    assert_eq!(reserve([&other, &address], 9, later + Duration::seconds(1)).await, 0, "who holds it may have died");
    assert_eq!(find(&test, &other).await, Throttle::default(), "nothing is half-written");
    assert_eq!(reserve([&other, &user], 3, now()).await, 2);
    assert_eq!(find(&test, &user).await, held(3, later - Duration::microseconds(1)), "the newest is kept");
    let failures = count(&test.store, test.project.id, &other, now()).await;
    assert_eq!(reserve([&other, &a_user()], 2, now()).await, 0, "failures count");
    assert_eq!(reserve([&other, &a_user()], 3, now()).await, 2);
    assert_eq!(find(&test, &other).await, Throttle { failures: Some(failures), ..held(2, now()) });
    let elsewhere = project();
    let tx = test.store.begin().await.unwrap();
    tx.projects().insert(&elsewhere).await.unwrap();
    tx.commit().await.unwrap();
    let room = PlainRoom { bound: 1, reserved_after: now() - Duration::seconds(1) };
    assert_eq!(reserve_plainly(&test.store, elsewhere.id, [&user, &address], room, now()).await, 2, "of that project");
}

/// Each names them in another order.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn places_that_are_held_in_one_statement_are_no_more_than_there_is_room(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (project_id, user, address) = (test.project.id, a_user(), an_address());
    let room = PlainRoom { bound: 10, reserved_after: now() - Duration::seconds(1) };
    let reserve = |number: usize| {
        let (store, user, address) = (test.store.clone(), user.clone(), address.clone());
        async move {
            let buckets = if number.is_multiple_of(2) { [&user, &address] } else { [&address, &user] };
            reserve_plainly(&store, project_id, buckets, room, now()).await
        }
    };
    let places: usize = at_once(100, reserve).await.into_iter().sum();
    assert_eq!(places, 20, "in both");
    for bucket in [&user, &address] {
        assert_eq!(find(&test, bucket).await.reservations, Some(Reservations { count: 10, newest_at: now() }));
    }
}

#[rstest]
#[tokio::test]
async fn each_bucket_has_room_of_its_own(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (user, address) = (a_user(), an_address());
    let room = |bound| PlainRoom { bound, reserved_after: now() - Duration::seconds(1) };
    let reserve = async |wide, narrow| {
        let buckets = vec![(user.clone(), room(narrow)), (address.clone(), room(wide))];
        test.store.alone().await.unwrap().throttles().reserve(test.project.id, buckets, now()).await.unwrap().len()
    };
    count(&test.store, test.project.id, &address, now()).await;
    assert_eq!(reserve(1, 9).await, 0);
    assert_eq!(reserve(2, 1).await, 2);
    let nothing =
        test.store.alone().await.unwrap().throttles().reserve(test.project.id, Vec::new(), now()).await.unwrap();
    assert!(nothing.is_empty());
    let tx = test.store.begin().await.unwrap();
    assert!(tx.throttles().forget(test.project.id, Vec::new(), now()).await.unwrap().is_empty());
    tx.commit().await.unwrap();
    assert_eq!(test.rows("throttles").await, 2, "nothing is not everything");
}

/// Many users at one address, and each of them at another one, too: whoever settles holds some and wants others.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_who_reserves_waits_for_somebody_who_settles_and_is_waited_for(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (project_id, users) = (test.project.id, [a_user(), a_user()]);
    let addresses = [an_address(), Bucket { subject: Subject::Ip("192.0.2.8".parse().unwrap()), ..an_address() }];
    let attempts = |number: usize| {
        let (store, user, address) = (test.store.clone(), users[number % 2].clone(), addresses[number / 2 % 2].clone());
        async move {
            for round in 0..20 {
                // A time of its own for each, by which it finds its place.
                let at = now() + Duration::microseconds(i64::try_from(number * 100 + round).unwrap());
                let room = PlainRoom { bound: 100, reserved_after: now() - Duration::seconds(1) };
                assert_eq!(reserve_plainly(&store, project_id, [&address, &user], room, at).await, 2);
                let tx = store.begin().await.unwrap();
                let buckets = vec![(address.clone(), false), (user.clone(), true)];
                let left = tx.throttles().forget(project_id, buckets, at).await.unwrap();
                let mut left = tx.throttles().lock(project_id, left, at).await.unwrap();
                for (bucket, throttle) in &mut left {
                    throttle.settle(at, Outcome::Succeeded, at, &Limits::default().policy(bucket));
                }
                tx.throttles().save(project_id, &left, at).await.unwrap();
                tx.commit().await.unwrap();
            }
        }
    };
    at_once(8, attempts).await;
    assert_eq!(test.rows("throttles").await, 0, "everything was given back");
}

#[rstest]
#[tokio::test]
async fn what_is_given_back_unchanged_keeps_what_it_remembers(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (failed, held, new, elsewhere) = (a_user(), a_user(), an_address(), a_user());
    let failures = count(&test.store, test.project.id, &failed, now()).await;
    reserve(&test.store, test.project.id, vec![held.clone()], now()).await;
    let tx = test.store.begin().await.unwrap();
    // Another one's row without anything is left to that one.
    tx.throttles().lock(test.project.id, vec![elsewhere], now()).await.unwrap();
    let buckets = vec![failed.clone(), held.clone(), new];
    let locked = tx.throttles().lock(test.project.id, buckets, now()).await.unwrap();
    tx.throttles().release(test.project.id, &locked).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(find(&test, &failed).await.failures, Some(failures));
    assert_eq!(find(&test, &held).await.reservations.unwrap().count, 1);
    assert_eq!(test.rows("throttles").await, 3, "two that remember something, and the other one's");
}

#[rstest]
#[tokio::test]
async fn a_row_says_what_was_written(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let failures = Some(Failures { count: 3, last_at: now() });
    let reservations = Some(Reservations { count: 2, newest_at: now() + Duration::microseconds(1) });
    let states = [
        Throttle { failures, reservations },
        Throttle { failures, reservations: None },
        Throttle { failures: None, reservations },
        Throttle::default(),
    ];
    let bucket = a_user();
    for state in states {
        let tx = test.store.begin().await.unwrap();
        tx.throttles().lock(test.project.id, vec![bucket.clone()], now()).await.unwrap();
        tx.throttles().save(test.project.id, &[(bucket.clone(), state)], now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(find(&test, &bucket).await, state);
    }
}

#[rstest]
#[tokio::test]
async fn each_kind_subject_and_project_has_its_own_count(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let other = project();
    let tx = test.store.begin().await.unwrap();
    tx.projects().insert(&other).await.unwrap();
    tx.commit().await.unwrap();
    let bucket = a_user();
    let Subject::User(user) = bucket.subject else { panic!("a user") };
    count(&test.store, test.project.id, &bucket, now()).await;

    let subject = |subject| Bucket { subject, ..bucket.clone() };
    let nobody = Identifier::parse(IdentifierKind::Username, "nobody").unwrap();
    let others = [
        Bucket { guarded: Guarded::SignIn, ..bucket.clone() },
        subject(a_user().subject),
        subject(Subject::Device(user, DeviceId::generate(now(), &Random::System))),
        subject(Subject::Unknown(Nobody::from(&nobody))),
        an_address(),
    ];
    for other in &others {
        assert!(find(&test, other).await.is_empty(), "{other:?}");
    }
    assert!(test.store.view().throttles().find(other.id, &bucket).await.unwrap().is_empty());
    assert_eq!(find(&test, &bucket).await.failures.unwrap().count, 1);
}

#[rstest]
#[tokio::test]
async fn only_what_is_forgotten_is_cleared_away(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (old, young, held) = (a_user(), a_user(), a_user());
    count(&test.store, test.project.id, &old, now()).await;
    count(&test.store, test.project.id, &young, now() + Duration::microseconds(1)).await;
    count(&test.store, test.project.id, &held, now()).await;
    reserve(&test.store, test.project.id, vec![held.clone()], now() + Duration::microseconds(1)).await;

    let tx = test.store.begin().await.unwrap();
    assert_eq!(tx.throttles().delete_forgotten(now(), 500).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert!(find(&test, &old).await.is_empty());
    assert!(!find(&test, &young).await.is_empty());
    assert!(!find(&test, &held).await.is_empty(), "somebody is being checked");
}

/// They lock rows in another order than the sweep, so that each would wait for the other.
#[tokio::test]
async fn the_sweep_passes_by_what_an_attempt_holds() {
    // SQLite has one writer at a time.
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let (held, free) = (a_user(), a_user());
    for bucket in [&held, &free] {
        count(&test.store, test.project.id, bucket, now()).await;
    }
    let attempt = test.store.begin().await.unwrap();
    attempt.throttles().lock(test.project.id, vec![held.clone()], now()).await.unwrap();
    let sweep = async {
        let tx = test.store.begin().await.unwrap();
        let deleted = tx.throttles().delete_forgotten(now(), 500).await.unwrap();
        tx.commit().await.unwrap();
        deleted
    };
    let deleted = tokio::time::timeout(std::time::Duration::from_secs(20), sweep).await.expect("it does not wait");
    assert_eq!(deleted, 1, "the other one");
    attempt.commit().await.unwrap();
    assert!(find(&test, &held).await.failures.is_some());
    assert!(find(&test, &free).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn no_more_is_cleared_away_at_once_than_is_asked_for(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    for _ in 0..7 {
        count(&test.store, test.project.id, &a_user(), now()).await;
    }
    for left in [4, 1, 0] {
        let tx = test.store.begin().await.unwrap();
        tx.throttles().delete_forgotten(now(), 3).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(test.rows("throttles").await, left);
    }
}

fn a_user() -> Bucket {
    let subject = Subject::User(UserId::generate(now(), &Random::System));
    Bucket { guarded: Guarded::AuthenticatePassword, subject }
}

fn an_address() -> Bucket {
    Bucket { guarded: Guarded::AuthenticatePassword, subject: Subject::ip("192.0.2.1".parse().unwrap()) }
}

/// Holds a place in each by one statement; says in how many.
async fn reserve_plainly(
    store: &Store,
    project_id: ProjectId,
    buckets: [&Bucket; 2],
    room: PlainRoom,
    now: Timestamp,
) -> usize {
    let buckets = buckets.map(|bucket| (bucket.clone(), room)).to_vec();
    store.alone().await.unwrap().throttles().reserve(project_id, buckets, now).await.unwrap().len()
}

async fn count(store: &Store, project: ProjectId, bucket: &Bucket, at: Timestamp) -> Failures {
    let tx = store.begin().await.unwrap();
    let (_, mut throttle) = tx.throttles().lock(project, vec![bucket.clone()], at).await.unwrap().remove(0);
    throttle.fail(at, &Limits::default().policy(bucket));
    tx.throttles().save(project, &[(bucket.clone(), throttle)], at).await.unwrap();
    tx.commit().await.unwrap();
    throttle.failures.unwrap()
}

/// Reserves a place in all of the buckets, or says why not.
async fn reserve(store: &Store, project: ProjectId, buckets: Vec<Bucket>, at: Timestamp) -> Admission {
    let (tx, limits) = (store.begin().await.unwrap(), Limits::default());
    let mut locked = tx.throttles().lock(project, buckets, at).await.unwrap();
    for (bucket, throttle) in &locked {
        let admission = throttle.admit(at, &limits.policy(bucket));
        if admission != Admission::Admitted {
            return admission;
        }
    }
    for (bucket, throttle) in &mut locked {
        throttle.reserve(at, &limits.policy(bucket));
    }
    tx.throttles().save(project, &locked, at).await.unwrap();
    tx.commit().await.unwrap();
    Admission::Admitted
}

async fn settle(test: &TestStore, buckets: &[&Bucket], times: usize, outcome: Outcome) {
    for _ in 0..times {
        let tx = test.store.begin().await.unwrap();
        let buckets = buckets.iter().copied().cloned().collect();
        let mut locked = tx.throttles().lock(test.project.id, buckets, now()).await.unwrap();
        for (bucket, throttle) in &mut locked {
            throttle.settle(now(), outcome, now(), &Limits::default().policy(bucket));
        }
        tx.throttles().save(test.project.id, &locked, now()).await.unwrap();
        tx.commit().await.unwrap();
    }
}

async fn find(test: &TestStore, bucket: &Bucket) -> Throttle {
    test.store.view().throttles().find(test.project.id, bucket).await.unwrap()
}
