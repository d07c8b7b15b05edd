//! Challenges are good for one thing, so many tries, and once.

use chrono::Duration;
use rstest::rstest;
use sea_orm::ConnectionTrait as _;
use signet::{
    crypto::secret_token::SecretHash,
    domain::{
        challenge::{Challenge, EmailCode},
        id::{ChallengeId, UserId},
        limits::Limits,
    },
    random::Random,
};

use super::support::{Engine, TestStore, at_once, now, project};

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_tries_at_once_five_are_taken(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (code, _) = pending_and_code(&test, test.user("ada").await).await;
    let id = code.id;
    let taken = at_once(20, |_| {
        let store = test.store.clone();
        async move {
            let tx = store.begin().await.unwrap();
            let taken = tx.challenges().take_attempt(id).await.unwrap();
            tx.commit().await.unwrap();
            taken
        }
    })
    .await;
    assert_eq!(taken.into_iter().filter(|taken| *taken).count(), Limits::default().code_attempts as usize);
    let code = test.store.view().challenges().newest_code(code.user_id).await.unwrap().unwrap();
    assert_eq!(code.attempts_left, 0);
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_ten_who_use_it_up_at_once_one_does(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (code, token) = pending_and_code(&test, test.user("ada").await).await;
    let id = code.id;
    let consumed = at_once(10, |_| {
        let store = test.store.clone();
        async move {
            let tx = store.begin().await.unwrap();
            let consumed = tx.challenges().consume(id).await.unwrap();
            tx.commit().await.unwrap();
            consumed
        }
    })
    .await;
    assert_eq!(consumed.into_iter().filter(|consumed| *consumed).count(), 1);
    assert!(test.store.view().challenges().find_pending(test.project.id, &token).await.unwrap().is_none());
    assert_eq!(test.rows("challenges").await, 0, "what waited for it goes with it");
}

#[rstest]
#[tokio::test]
async fn a_challenge_of_one_kind_is_not_found_as_another(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    let (code, token) = pending_and_code(&test, ada).await;
    let view = test.store.view();
    // The hash of a code, though it stands in the same column, opens no pending authentication.
    let as_token = SecretHash(code.detail.code_hash);
    assert!(view.challenges().find_pending(test.project.id, &as_token).await.unwrap().is_none());
    assert!(view.challenges().find_pending(test.project.id, &token).await.unwrap().is_some());
    // A pending authentication is no code.
    let pending = view.challenges().find_pending(test.project.id, &token).await.unwrap().unwrap();
    assert!(view.challenges().code(pending.id).await.unwrap().is_none());
    assert!(view.challenges().code(code.id).await.unwrap().is_some());
    let tx = test.store.begin().await.unwrap();
    tx.challenges().consume(pending.id).await.unwrap();
    // Neither is a password reset, nor is that one of them.
    let (reset, reset_token) = test.reset(ada);
    tx.challenges().insert_reset(&reset, &reset_token).await.unwrap();
    tx.commit().await.unwrap();
    let view = test.store.view();
    for other in [token, as_token, SecretHash(reset.detail.code_hash.unwrap())] {
        assert!(view.challenges().find_reset(test.project.id, &other).await.unwrap().is_none());
    }
    assert!(view.challenges().find_pending(test.project.id, &reset_token).await.unwrap().is_none());
    assert!(view.challenges().code(reset.id).await.unwrap().is_none());
    assert_eq!(view.challenges().newest_code(ada).await.unwrap().unwrap().id, code.id);
    let tx = test.store.begin().await.unwrap();
    assert!(tx.challenges().consume(reset.id).await.unwrap());
    tx.commit().await.unwrap();
    assert!(test.store.view().challenges().newest_code(ada).await.unwrap().is_some());
    assert_eq!(test.rows("challenges").await, 1);
}

#[rstest]
#[tokio::test]
async fn another_project_does_not_find_it(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (_, token) = pending_and_code(&test, test.user("ada").await).await;
    let other = project();
    assert!(test.store.view().challenges().find_pending(other.id, &token).await.unwrap().is_none());
    let (reset, token) = test.reset(test.user("grace").await);
    let tx = test.store.begin().await.unwrap();
    tx.challenges().insert_reset(&reset, &token).await.unwrap();
    tx.commit().await.unwrap();
    assert!(test.store.view().challenges().find_reset(test.project.id, &token).await.unwrap().is_some());
    assert!(test.store.view().challenges().find_reset(other.id, &token).await.unwrap().is_none());
}

#[rstest]
#[tokio::test]
async fn the_newest_living_resets_of_a_user_are_kept_and_nothing_else_is_touched(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (ada, grace) = (test.user("ada").await, test.user("grace").await);
    pending_and_code(&test, ada).await;
    // Ids begin with a time: the later, the newer. The newest of them has expired.
    let mut tokens = Vec::new();
    let tx = test.store.begin().await.unwrap();
    for number in 0..4 {
        let (mut reset, token) = test.reset(ada);
        let made_at = now() + Duration::seconds(number);
        reset.id = ChallengeId::generate(made_at, &Random::System);
        reset.expires_at = if number == 3 { now() } else { now() + Limits::default().code_lifetime };
        tx.challenges().insert_reset(&reset, &token).await.unwrap();
        tokens.push(token);
    }
    let (hers, her_token) = test.reset(grace);
    tx.challenges().insert_reset(&hers, &her_token).await.unwrap();
    tx.challenges().keep_newest_resets(ada, 2, now()).await.unwrap();
    tx.commit().await.unwrap();
    let mut kept = Vec::new();
    for token in tokens.iter().chain([&her_token]) {
        kept.push(test.store.view().challenges().find_reset(test.project.id, token).await.unwrap().is_some());
    }
    assert_eq!(kept, [false, true, true, false, true]);
    assert_eq!(test.rows("challenges").await, 5, "the code and what waits for it are still there");
}

#[rstest]
#[tokio::test]
async fn new_digits_keep_the_tries_that_were_made(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (mut code, _) = pending_and_code(&test, test.user("ada").await).await;
    let tx = test.store.begin().await.unwrap();
    for _ in 0..3 {
        assert!(tx.challenges().take_attempt(code.id).await.unwrap());
    }
    // Whoever sends again has read the code before and knows nothing of tries made since.
    code.detail.code_hash = [9; 32];
    code.issued_at = now() + Duration::seconds(40);
    code.expires_at = code.issued_at + Limits::default().code_lifetime;
    tx.challenges().replace_code(&code).await.unwrap();
    tx.commit().await.unwrap();
    let found = test.store.view().challenges().code(code.id).await.unwrap().unwrap();
    assert_eq!(found.attempts_left, Limits::default().code_attempts - 3);
    assert_eq!(found.detail.code_hash, [9; 32]);
    assert_eq!((found.issued_at, found.expires_at), (code.issued_at, code.expires_at));
}

/// How long a second step can be taken is a setting of its own, and may be longer than a code is good.
#[rstest]
#[case::it_ends_before_the_new_code(5, 10)]
#[case::it_ends_after_it(60, 60)]
#[tokio::test]
async fn new_digits_prolong_what_waits_for_them_and_never_shorten_it(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[case] minutes: i64,
    #[case] expected: i64,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let mut code = test.code(test.user("ada").await);
    let (mut pending, token) = test.pending(&code);
    pending.expires_at = now() + Duration::minutes(minutes);
    code.expires_at = now() + Duration::minutes(10);
    let tx = test.store.begin().await.unwrap();
    tx.challenges().insert_code(&code).await.unwrap();
    tx.challenges().insert_pending(&pending, &token).await.unwrap();
    tx.challenges().replace_code(&code).await.unwrap();
    let found = tx.challenges().find_pending(test.project.id, &token).await.unwrap().unwrap();
    assert_eq!(found.expires_at, now() + Duration::minutes(expected));
}

#[rstest]
#[tokio::test]
async fn only_what_has_expired_is_cleared_away(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    pending_and_code(&test, test.user("ada").await).await;
    let delete_at = async |at| {
        let tx = test.store.begin().await.unwrap();
        let deleted = tx.challenges().delete_expired(at, at).await.unwrap();
        tx.commit().await.unwrap();
        deleted
    };
    assert_eq!(delete_at(now() + Limits::default().code_lifetime - Duration::microseconds(1)).await, 0);
    assert_eq!(test.rows("challenges").await, 2);
    delete_at(now() + Limits::default().code_lifetime).await;
    assert_eq!(test.rows("challenges").await, 0);
}

/// Whose end is the end of a challenge.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Client,
    Project,
    User,
}

#[rstest]
#[tokio::test]
async fn sessions_and_challenges_go_with_their_owner(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(Owner::Client, Owner::Project, Owner::User)] owner: Owner,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    pending_and_code(&test, ada).await;
    let tx = test.store.begin().await.unwrap();
    tx.sessions().insert(&test.session(ada)).await.unwrap();
    tx.outbox().push(test.mail()).await.unwrap();
    match owner {
        Owner::Client => assert!(tx.clients().delete(test.project.id, test.client.id).await.unwrap()),
        Owner::User => assert!(tx.users().delete(test.project.id, ada).await.unwrap()),
        Owner::Project => {}
    }
    tx.commit().await.unwrap();
    if let Owner::Project = owner {
        // Nobody can delete a project yet; the schema is ready for it.
        let raw = test.raw().await;
        raw.execute_unprepared("DELETE FROM projects").await.unwrap();
    }
    let mut gone = vec!["sessions"];
    match owner {
        // The code belongs to the user: only what waited for it was the client's.
        Owner::Client => gone.extend(["clients"]),
        Owner::User => gone.extend(["challenges", "users", "identifiers", "credentials"]),
        Owner::Project => gone.extend(["challenges", "clients", "users", "identifiers", "outbox"]),
    }
    for table in gone {
        assert_eq!(test.rows(table).await, 0, "{table}");
    }
}

/// Stores a pending authentication and its code; gives the code and the hash of the token.
async fn pending_and_code(test: &TestStore, user_id: UserId) -> (Challenge<EmailCode>, SecretHash) {
    let code = test.code(user_id);
    let (pending, token) = test.pending(&code);
    let tx = test.store.begin().await.unwrap();
    tx.challenges().insert_code(&code).await.unwrap();
    tx.challenges().insert_pending(&pending, &token).await.unwrap();
    tx.commit().await.unwrap();
    (code, token)
}
