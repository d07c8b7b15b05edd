//! The version of a credential tells a new password from a new hash of the same one.

use rstest::rstest;
use signet::{
    crypto::{
        argon2_kernel::{Argon2Cost, Argon2Kernel},
        password_hash::PasswordHash,
    },
    domain::{
        id::UserId,
        identifier::{Identifier, IdentifierKind},
        password::Password,
        user::UserStatus,
    },
};

use super::support::{Engine, TestStore, at_once, now, project};

fn hash(text: &str) -> PasswordHash {
    let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
    let password = Password::parse(text).unwrap();
    PasswordHash::compute(&mut Argon2Kernel::default(), cost, &password, &[7; 16]).unwrap()
}

#[rstest]
#[tokio::test]
async fn each_new_password_raises_the_version_by_one(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    assert_eq!(test.store.view().credentials().version(test.project.id, ada).await.unwrap(), 0);
    for version in 1..=3 {
        set(&test, ada, &format!("password {version}")).await;
        let found = test.store.view().credentials().find(test.project.id, ada).await.unwrap().unwrap();
        assert_eq!(found.version, version);
        assert_eq!(found.password_hash.to_phc(), hash(&format!("password {version}")).to_phc());
    }
    let elsewhere = test.store.view().credentials().find(project().id, ada).await.unwrap();
    assert!(elsewhere.is_none(), "another project does not see it");
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_new_passwords_at_once_raise_the_version_by_twenty(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (project_id, ada) = (test.project.id, test.user("ada").await);
    at_once(20, |number| {
        let store = test.store.clone();
        async move {
            let tx = store.begin().await.unwrap();
            tx.credentials().set(project_id, ada, &hash(&number.to_string()), false, now()).await.unwrap();
            tx.commit().await.unwrap();
        }
    })
    .await;
    assert_eq!(test.store.view().credentials().version(project_id, ada).await.unwrap(), 20);
}

#[rstest]
#[tokio::test]
async fn a_new_hash_of_the_same_password_keeps_the_version_and_loses_against_a_new_password(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    set(&test, ada, "old").await;
    let rehash = async |version, text: &str| {
        let tx = test.store.begin().await.unwrap();
        tx.credentials().rehash(ada, version, &hash(text)).await.unwrap();
        tx.commit().await.unwrap();
        test.store.view().credentials().find(test.project.id, ada).await.unwrap().unwrap()
    };
    let upgraded = rehash(1, "old, dearer").await;
    assert_eq!((upgraded.version, upgraded.password_hash.to_phc()), (1, hash("old, dearer").to_phc()));

    // It was being computed while the password was changed.
    set(&test, ada, "new").await;
    let late = rehash(1, "old, dearer still").await;
    assert_eq!((late.version, late.password_hash.to_phc()), (2, hash("new").to_phc()));
}

#[rstest]
#[tokio::test]
async fn an_account_is_found_by_identifier_with_what_a_sign_in_needs(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (ada, grace) = (test.user("ada").await, test.user("grace").await);
    set(&test, ada, "first").await;
    set(&test, ada, "second").await;
    let find = async |project_id, kind, text| {
        let identifier = Identifier::parse(kind, text).unwrap();
        test.store.view().credentials().find_account(project_id, &identifier).await.unwrap()
    };
    let found = find(test.project.id, IdentifierKind::Username, "ADA").await.unwrap();
    assert_eq!((found.user_id, found.status), (ada, UserStatus::Active));
    let credential = found.credential.unwrap();
    assert_eq!((credential.version, credential.password_hash.to_phc()), (2, hash("second").to_phc()));

    let found = find(test.project.id, IdentifierKind::Username, "grace").await.unwrap();
    assert_eq!(found.user_id, grace);
    assert!(found.credential.is_none(), "no password");
    assert!(find(test.project.id, IdentifierKind::Username, "nobody").await.is_none());
    assert!(find(test.project.id, IdentifierKind::Email, "ada@example.com").await.is_none());
    assert!(find(project().id, IdentifierKind::Username, "ada").await.is_none(), "another project");

    let tx = test.store.begin().await.unwrap();
    let mut user = tx.users().lock(test.project.id, ada).await.unwrap().unwrap();
    user.status = UserStatus::Disabled;
    tx.users().update(&user).await.unwrap();
    tx.commit().await.unwrap();
    let found = find(test.project.id, IdentifierKind::Username, "ada").await.unwrap();
    assert_eq!(found.status, UserStatus::Disabled);
}

/// On PostgreSQL both are on their way at once: the new hash waits for the new password, and then finds its version gone.
#[tokio::test]
async fn a_new_hash_that_waits_for_a_new_password_loses() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let ada = test.user("ada").await;
    set(&test, ada, "old").await;
    let (first, second) = (test.store.begin().await.unwrap(), test.store.begin().await.unwrap());
    first.credentials().set(test.project.id, ada, &hash("new"), false, now()).await.unwrap();
    let waiting = tokio::spawn(async move {
        second.credentials().rehash(ada, 1, &hash("old, dearer")).await.unwrap();
        second.commit().await.unwrap();
    });
    while test.waiting_for_locks().await == 0 {
        tokio::task::yield_now().await;
    }
    first.commit().await.unwrap();
    waiting.await.unwrap();
    let found = test.store.view().credentials().find(test.project.id, ada).await.unwrap().unwrap();
    assert_eq!((found.version, found.password_hash.to_phc()), (2, hash("new").to_phc()));
}

async fn set(test: &TestStore, user_id: UserId, password: &str) {
    let tx = test.store.begin().await.unwrap();
    tx.credentials().set(test.project.id, user_id, &hash(password), false, now()).await.unwrap();
    tx.commit().await.unwrap();
}

#[rstest]
#[tokio::test]
async fn whether_a_password_has_to_be_changed_is_found_with_it_and_ends_with_the_next_one(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (project_id, ada) = (test.project.id, test.user("ada").await);
    let identifier = Identifier::parse(IdentifierKind::Username, "ada").unwrap();
    for must_change in [true, false, true] {
        let tx = test.store.begin().await.unwrap();
        tx.credentials().set(project_id, ada, &hash("a password"), must_change, now()).await.unwrap();
        tx.commit().await.unwrap();
        let view = test.store.view();
        let found = view.credentials().find(project_id, ada).await.unwrap().unwrap();
        let account = view.credentials().find_account(project_id, &identifier).await.unwrap().unwrap();
        assert_eq!([found.must_change, account.credential.unwrap().must_change], [must_change; 2]);
    }
}
