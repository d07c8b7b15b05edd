//! Users: found by what they are called, listed page by page, locked for as long as their standing must not change.

use std::collections::HashSet;

use rstest::rstest;
use signet::domain::{
    id::UserId,
    identifier::{Identifier, IdentifierKind},
    page::Page,
    user::UserStatus,
    user_filter::UserFilter,
};

use super::support::{Engine, TestStore, identifier, insert_user, now, project};

#[rstest]
#[tokio::test]
async fn pages_hold_each_user_once_in_order(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(1, 50, 100)] size: u16,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let count = if size == 1 { 5 } else { 250 };
    let other = project();
    let tx = test.store.begin().await.unwrap();
    tx.projects().insert(&other).await.unwrap();
    let mut made = HashSet::new();
    for number in 0..count {
        made.insert(insert_user(&tx, test.project.id, &format!("user{number}")).await.unwrap());
        insert_user(&tx, other.id, &format!("user{number}")).await.unwrap();
    }
    tx.commit().await.unwrap();

    let (mut listed, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = test
            .store
            .view()
            .users()
            .list(test.project.id, &UserFilter::default(), Page { size, after })
            .await
            .unwrap();
        assert!(page.items.len() <= usize::from(size));
        listed.extend(page.items.into_iter().map(|user| user.id));
        pages += 1;
        after = Page::parse_token(&page.next_page_token).unwrap();
        if after.is_none() {
            break;
        }
    }
    assert!(listed.is_sorted());
    assert_eq!(listed.len(), count, "each once");
    assert_eq!(listed.into_iter().collect::<HashSet<UserId>>(), made);
    assert_eq!(pages, count.div_ceil(usize::from(size)), "no empty page at the end");
}

#[rstest]
#[tokio::test]
async fn a_user_is_found_by_each_identifier_and_by_none_they_gave_up(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    let email = identifier(IdentifierKind::Email, "Ada@Example.com");
    let tx = test.store.begin().await.unwrap();
    tx.users().insert_identifier(test.project.id, ada, &email).await.unwrap();
    assert!(tx.users().verify_identifier(ada, &email.identifier, now()).await.unwrap());
    let never_had = Identifier::parse(IdentifierKind::Email, "grace@example.com").unwrap();
    assert!(!tx.users().verify_identifier(ada, &never_had, now()).await.unwrap());
    tx.commit().await.unwrap();

    let find = async |kind, text| {
        let identifier = Identifier::parse(kind, text).unwrap();
        test.store.view().users().find_by_identifier(test.project.id, &identifier).await.unwrap()
    };
    let found = find(IdentifierKind::Email, "ADA@example.com").await.unwrap();
    assert_eq!(found.id, ada);
    let known = found.identifier(IdentifierKind::Email).unwrap();
    assert_eq!((known.identifier.display(), known.verified_at), ("ada@example.com", Some(now())));
    assert_eq!(find(IdentifierKind::Username, "ada").await.unwrap().id, ada);
    assert!(find(IdentifierKind::Email, "grace@example.com").await.is_none());

    let tx = test.store.begin().await.unwrap();
    tx.users().delete_identifier(ada, IdentifierKind::Email).await.unwrap();
    tx.commit().await.unwrap();
    assert!(find(IdentifierKind::Email, "ada@example.com").await.is_none());
    assert!(find(IdentifierKind::Username, "ada").await.is_some());
}

#[rstest]
#[tokio::test]
async fn another_project_neither_sees_nor_deletes_a_user(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let (ada, other) = (test.user("ada").await, project().id);
    let tx = test.store.begin().await.unwrap();
    assert!(tx.users().find(other, ada).await.unwrap().is_none());
    assert!(tx.users().lock(other, ada).await.unwrap().is_none());
    assert!(!tx.users().delete(other, ada).await.unwrap());
    tx.commit().await.unwrap();
    assert!(test.store.view().users().find(test.project.id, ada).await.unwrap().is_some());
}

/// A sign-in has locked the user and opens a session; a `disable` waits for it, and then ends that session too.
#[tokio::test]
async fn on_postgres_a_disable_waits_for_a_sign_in_and_sees_its_session() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let (project_id, ada) = (test.project.id, test.user("ada").await);
    let session = test.session(ada);

    let sign_in = test.store.begin().await.unwrap();
    assert!(sign_in.users().lock(project_id, ada).await.unwrap().unwrap().is_active());
    let disable = test.store.begin().await.unwrap();
    let disabled = tokio::spawn(async move {
        let mut user = disable.users().lock(project_id, ada).await.unwrap().unwrap();
        user.status = UserStatus::Disabled;
        disable.users().update(&user).await.unwrap();
        let ended = disable.sessions().revoke_all(ada, None, now()).await.unwrap();
        disable.commit().await.unwrap();
        ended
    });
    while test.waiting_for_locks().await == 0 {
        tokio::task::yield_now().await;
    }
    sign_in.sessions().insert(&session).await.unwrap();
    sign_in.commit().await.unwrap();
    assert_eq!(disabled.await.unwrap(), [session.id]);
    let found = test.store.view().sessions().find(project_id, session.id).await.unwrap().unwrap();
    assert!(!found.is_live_at(now()));
}

/// The other way round: a sign-in that waits for a `disable` finds the user as the `disable` left them.
#[tokio::test]
async fn on_postgres_a_sign_in_that_waits_for_a_disable_finds_the_user_disabled() {
    let Some(test) = TestStore::start(Engine::Postgres).await else { return };
    let (project_id, ada) = (test.project.id, test.user("ada").await);
    let disable = test.store.begin().await.unwrap();
    let mut user = disable.users().lock(project_id, ada).await.unwrap().unwrap();
    let sign_in = test.store.begin().await.unwrap();
    let seen = tokio::spawn(async move { sign_in.users().lock(project_id, ada).await.unwrap().unwrap().status });
    while test.waiting_for_locks().await == 0 {
        tokio::task::yield_now().await;
    }
    user.status = UserStatus::Disabled;
    disable.users().update(&user).await.unwrap();
    disable.commit().await.unwrap();
    assert_eq!(seen.await.unwrap(), UserStatus::Disabled);
}
