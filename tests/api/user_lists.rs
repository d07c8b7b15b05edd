//! Lists of users and sessions: which, in which order, and from where.

use chrono::Duration;
use prost_types::Timestamp;
use rstest::rstest;
use signet::proto::{
    CreateUserRequest, DisableUserRequest, ListOrder, ListSessionsRequest, ListUsersRequest, ListUsersResponse,
    UserFilter, UserStatus, list_users_request::Identifier,
};

use crate::{
    sign_in::{email, try_password},
    support::{ADA, Engine, PASSWORD, TestApp},
};

/// Four more users, a minute apart.
async fn populate(app: &TestApp) -> Vec<String> {
    let mut ids = Vec::new();
    let new = [
        CreateUserRequest {
            email: Some("emile@example.com".into()),
            display_name: Some("Émile Zola".into()),
            external_id: Some("crm-1".into()),
            ..Default::default()
        },
        CreateUserRequest {
            email: Some("jane@example.org".into()),
            email_verified: true,
            given_name: Some("Jane".into()),
            family_name: Some("Austen".into()),
            password: Some(PASSWORD.into()),
            ..Default::default()
        },
        CreateUserRequest {
            username: Some("100%_sure".into()),
            middle_name: Some("Quincy".into()),
            ..Default::default()
        },
        CreateUserRequest {
            phone_number: Some("+442079460018".into()),
            external_id: Some("crm-4".into()),
            ..Default::default()
        },
    ];
    for request in new {
        app.clock.advance(Duration::minutes(1));
        let user = app.back_end().users.create_user(request).await.unwrap().into_inner().user.unwrap();
        ids.push(user.user_id);
    }
    ids
}

async fn list(app: &TestApp, request: ListUsersRequest) -> ListUsersResponse {
    app.back_end().users.list_users(request).await.unwrap().into_inner()
}

fn ids(answer: &ListUsersResponse) -> Vec<String> {
    answer.users.iter().map(|user| user.user_id.clone()).collect()
}

async fn found(app: &TestApp, filter: UserFilter) -> Vec<String> {
    let request = ListUsersRequest { filter: Some(filter), include_total: true, ..Default::default() };
    let answer = list(app, request).await;
    assert_eq!(answer.total, Some(i32::try_from(answer.users.len()).unwrap()), "as many as are listed");
    ids(&answer)
}

#[rstest]
#[tokio::test]
async fn a_filter_lets_through_whom_all_of_its_members_match(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    let made = populate(&app).await;
    let (ada, grace, mute) = (app.fixture.ada, app.fixture.grace, app.fixture.mute);
    let [ada, grace, mute] = [ada, grace, mute].map(|id| id.to_string());
    let [emile, jane, sure, phone] = [0, 1, 2, 3].map(|at| made[at].clone());
    app.back_end().users.disable_user(DisableUserRequest { user_id: sure.clone() }).await.unwrap();
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let filter = UserFilter::default;
    let minute =
        |minutes: i64| Some(Timestamp { seconds: crate::support::start().timestamp() + 60 * minutes, nanos: 0 });

    let cases: Vec<(UserFilter, Vec<&String>)> = vec![
        (UserFilter { user_ids: vec![jane.clone(), ada.clone()], ..filter() }, vec![&ada, &jane]),
        (UserFilter { emails: texts(&["ADA@Example.com", "jane@example.org"]), ..filter() }, vec![&ada, &jane]),
        (UserFilter { emails: texts(&["nobody@example.com"]), ..filter() }, vec![]),
        (UserFilter { usernames: texts(&["ＡＤＡ", "100%_SURE"]), ..filter() }, vec![&ada, &sure]),
        (UserFilter { phone_numbers: texts(&["+44 20 7946 0018"]), ..filter() }, vec![&phone]),
        (UserFilter { external_ids: texts(&["crm-4", "crm-1", "CRM-1"]), ..filter() }, vec![&emile, &phone]),
        (
            UserFilter { login_ids: texts(&["mute", "grace@example.com", "+12025550123"]), ..filter() },
            vec![&ada, &grace, &mute],
        ),
        (UserFilter { statuses: vec![UserStatus::Disabled.into()], ..filter() }, vec![&sure]),
        (UserFilter { email_verified: Some(true), ..filter() }, vec![&ada, &jane]),
        (UserFilter { email_verified: Some(false), ..filter() }, vec![&grace, &mute, &emile, &sure, &phone]),
        (UserFilter { has_password: Some(true), ..filter() }, vec![&ada, &grace, &jane]),
        (UserFilter { has_password: Some(false), ..filter() }, vec![&mute, &emile, &sure, &phone]),
        (UserFilter { created_from: minute(2), created_before: minute(4), ..filter() }, vec![&jane, &sure]),
        // Several members at once.
        (UserFilter { emails: texts(&[ADA]), usernames: texts(&["ada"]), ..filter() }, vec![&ada]),
        (UserFilter { emails: texts(&[ADA]), usernames: texts(&["mute"]), ..filter() }, vec![]),
        (UserFilter { has_password: Some(true), email_verified: Some(false), ..filter() }, vec![&grace]),
        // Part of a name, in any case; what means something to a database means itself.
        (UserFilter { text: "aust".into(), ..filter() }, vec![&jane]),
        (UserFilter { text: "QUINC".into(), ..filter() }, vec![&sure]),
        (UserFilter { text: "émile z".into(), ..filter() }, vec![&emile]),
        (UserFilter { text: "ÉMILE".into(), ..filter() }, vec![&emile]),
        (UserFilter { text: "CRM-".into(), ..filter() }, vec![&emile, &phone]),
        (UserFilter { text: "example.org".into(), ..filter() }, vec![&jane]),
        (UserFilter { text: "0%_S".into(), ..filter() }, vec![&sure]),
        (UserFilter { text: "%".into(), ..filter() }, vec![&sure]),
        (UserFilter { text: "a_a".into(), ..filter() }, vec![]),
        (UserFilter { text: "' OR 1=1 --".into(), ..filter() }, vec![]),
        (UserFilter { text: "\\".into(), ..filter() }, vec![]),
    ];
    for (filter, expected) in cases {
        let mut seen = found(&app, filter.clone()).await;
        // The three of the fixture were made in one moment.
        seen.sort();
        let mut expected: Vec<_> = expected.into_iter().cloned().collect();
        expected.sort();
        assert_eq!(seen, expected, "{filter:?}");
    }
    assert!(
        app.stranger()
            .users
            .list_users(ListUsersRequest { filter: Some(filter()), ..Default::default() })
            .await
            .unwrap()
            .into_inner()
            .users
            .is_empty(),
        "another project has its own"
    );
}

#[rstest]
#[tokio::test]
async fn an_external_id_finds_its_user(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let made = populate(&app).await;
    let by = |text: &str| ListUsersRequest {
        identifier: Some(Identifier::ExternalId(text.into())),
        include_total: true,
        ..Default::default()
    };
    let answer = list(&app, by("crm-4")).await;
    assert_eq!((ids(&answer), answer.total), (vec![made[3].clone()], Some(1)));
    assert_eq!(list(&app, by("crm-5")).await.total, Some(0));
}

#[rstest]
#[tokio::test]
async fn a_list_goes_both_ways_from_anybody(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    populate(&app).await;
    let oldest = ids(&list(&app, ListUsersRequest::default()).await);
    let newest: Vec<_> = oldest.iter().rev().cloned().collect();
    for (order, all) in [(ListOrder::OldestFirst, &oldest), (ListOrder::NewestFirst, &newest)] {
        let request = ListUsersRequest { order: order.into(), page_size: 2, ..Default::default() };
        // Page by page.
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = list(&app, ListUsersRequest { page_token: token, ..request.clone() }).await;
            seen.extend(ids(&page));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(&seen, all);
        // Next to somebody.
        for (at, id) in all.iter().enumerate() {
            let after = list(&app, ListUsersRequest { after_user_id: id.clone(), ..request.clone() }).await;
            assert_eq!(ids(&after), all[at + 1..].iter().take(2).cloned().collect::<Vec<_>>());
            let before = list(&app, ListUsersRequest { before_user_id: id.clone(), ..request.clone() }).await;
            assert_eq!(ids(&before), all[at.saturating_sub(2)..at]);
            if at > 0 {
                let next = ListUsersRequest { page_token: before.next_page_token, ..request.clone() };
                assert_eq!(ids(&list(&app, next).await)[0], *id, "what it ended before comes next");
            }
        }
        // Passing over some.
        for skip in [0, 3, 6, 7, 10_000] {
            let rest = list(&app, ListUsersRequest { skip, page_size: 100, ..request.clone() }).await;
            assert_eq!(ids(&rest), all[all.len().min(usize::try_from(skip).unwrap())..]);
        }
        let skipping = ListUsersRequest { skip: 1, after_user_id: all[1].clone(), ..request.clone() };
        assert_eq!(ids(&list(&app, skipping).await), all[3..5]);
    }
    let counted = list(&app, ListUsersRequest { include_total: true, page_size: 1, ..Default::default() }).await;
    assert_eq!((counted.users.len(), counted.total), (1, Some(7)));
    assert_eq!(list(&app, ListUsersRequest::default()).await.total, None, "only if asked for");
}

#[rstest]
#[tokio::test]
async fn sessions_are_listed_both_ways_too(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut oldest = Vec::new();
    for _ in 0..4 {
        app.clock.advance(Duration::minutes(1));
        let answer = try_password(&app.back_end(), email(ADA), PASSWORD).await.unwrap();
        oldest.push(answer.session.unwrap().session_id);
    }
    let newest: Vec<_> = oldest.iter().rev().cloned().collect();
    let list = async |request: ListSessionsRequest| {
        let answer = app.back_end().sessions.list_sessions(request).await.unwrap().into_inner();
        let ids: Vec<_> = answer.sessions.into_iter().map(|session| session.session_id).collect();
        (ids, answer.next_page_token)
    };
    for (order, all) in [(ListOrder::Unspecified, &oldest), (ListOrder::NewestFirst, &newest)] {
        let request = ListSessionsRequest {
            user_id: app.fixture.ada.to_string(),
            order: order.into(),
            page_size: 2,
            ..Default::default()
        };
        let (first, page_token) = list(request.clone()).await;
        let (second, end) = list(ListSessionsRequest { page_token, ..request.clone() }).await;
        assert_eq!((&[first, second].concat(), end.as_str()), (all, ""));
        let after = ListSessionsRequest { after_session_id: all[0].clone(), ..request.clone() };
        assert_eq!(list(after).await.0, all[1..3]);
        let before = ListSessionsRequest { before_session_id: all[3].clone(), ..request.clone() };
        assert_eq!(list(before).await.0, all[1..3]);
    }
}
