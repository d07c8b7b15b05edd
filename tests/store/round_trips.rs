//! What is written comes back as it was, to the microsecond, on both engines.

use std::fmt::Debug;

use chrono::Duration;
use rstest::rstest;
use serde_json::{Map, Value, json};
use signet::{
    clock::Timestamp,
    crypto::secret_token::SecretHash,
    domain::{
        bucket::Guarded,
        challenge::{CountedAs, SignInWishes, TokenWishes},
        claims::{ClaimsRequest, CustomClaims},
        client::{ClientType, RefreshTokenFormat, TokenDelivery, TokenProfile},
        client_context::ClientContext,
        event::{Event, EventKind},
        id::{DeviceId, EventId, SessionId, SigningKeyId, UserId},
        identifier::IdentifierKind,
        password::PasswordPolicy,
        project::ProjectSettings,
        refresh::RefreshState,
        session::{AuthenticationMethod, SessionChoice, SessionDuration, SessionState},
        signing_key::{KeyUse, SigningAlgorithm, StoredKey},
        user::{Profile, UserStatus},
    },
    random::Random,
    store::{NewUser, RecordedBy},
};

use super::support::{Engine, TestStore, client, identifier, now, project};

/// Times that a database could bend: without a fraction, with zeros at its end, with all of it, long ago, far ahead.
fn times() -> [Timestamp; 6] {
    [0, 1, 1_800_000_000_000_000, 1_800_000_000_500_000, 1_800_000_000_123_457, 253_402_300_799_999_999]
        .map(|micros| Timestamp::from_timestamp_micros(micros).unwrap())
}

/// JSON that a database could bend.
fn object() -> Map<String, Value> {
    let value = json!({
        "text": "Zażółć \"gęślą\" \\ jaźń 🐢\n", "whole": 9_007_199_254_740_992_i64, "negative": -7,
        "fraction": 0.1, "tiny": 1e-300, "huge": 1e300, "null": null, "yes": true,
        "deep": {"list": [1, [2, {"three": 3}], {}]},
    });
    serde_json::from_value(value).unwrap()
}

fn same(written: &impl Debug, read: &impl Debug) {
    assert_eq!(format!("{written:#?}"), format!("{read:#?}"));
}

#[rstest]
#[tokio::test]
async fn a_session(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    for (number, time) in times().into_iter().enumerate() {
        let mut session = test.session(ada);
        session.authenticated_at = time;
        session.created_at = time;
        session.state = SessionState::Active { idle_expires_at: time, expires_at: time + Duration::microseconds(1) };
        if number % 2 == 0 {
            session.methods = vec![AuthenticationMethod::Password, AuthenticationMethod::EmailCode];
            session.client_context = ClientContext {
                ip_address: Some("2001:db8::1".parse().unwrap()),
                user_agent: Some("curl/8 (żółw)".into()),
            };
            session.custom_claims = CustomClaims::parse(object()).unwrap();
            session.resource = Some("https://api.example/".into());
            session.refresh = RefreshState { generation: i32::MAX.unsigned_abs(), rotated_at: Some(now()) };
            session.refresh_token_format = RefreshTokenFormat::Jwt;
        }
        if number == 4 {
            session.state = SessionState::Revoked { revoked_at: time };
        }
        let tx = test.store.begin().await.unwrap();
        tx.sessions().insert(&session).await.unwrap();
        tx.commit().await.unwrap();
        same(&session, &test.store.view().sessions().find(test.project.id, session.id).await.unwrap().unwrap());
    }
}

#[rstest]
#[tokio::test]
async fn a_project_and_its_clients(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    for time in times() {
        let mut project = project();
        (project.created_at, project.updated_at) = (time, time + Duration::microseconds(1));
        project.name = "Żółw & Söhne".into();
        project.settings = ProjectSettings {
            signing_algorithm: SigningAlgorithm::Es256,
            password_policy: PasswordPolicy::Nist80063b4,
            require_email_verification: false,
            access_token_lifetime_seconds: 61,
            session_token_lifetime_seconds: 62,
            session_idle_lifetime_seconds: 363,
            session_absolute_lifetime_seconds: 364,
            default_audience: "https://api.example".into(),
            allowed_resources: vec!["https://api.example/a".into(), "urn:b".into()],
            issuer: "https://auth.example".into(),
            rotate_refresh_tokens: false,
            refresh_grace_seconds: 31,
            key_rotation_interval_seconds: 86_401,
            password_reset_urls: vec!["https://app.example/reset".into()],
            allowed_origins: vec!["https://app.example".into()],
            allow_sign_up: true,
            sign_out_urls: vec!["https://app.example/bye".into()],
            application_sends_mail: true,
        };
        let mut client = client(project.id);
        (client.client_type, client.created_at) = (ClientType::Public, time);
        client.refresh_token_format = RefreshTokenFormat::Jwt;
        (client.token_profile, client.token_delivery) = (TokenProfile::Descope, TokenDelivery::Cookie);
        let tx = test.store.begin().await.unwrap();
        tx.projects().insert(&project).await.unwrap();
        tx.clients().insert(&client).await.unwrap();
        tx.commit().await.unwrap();
        let view = test.store.view();
        same(&project, &view.projects().find(project.id).await.unwrap().unwrap());
        same(&client, &view.clients().find(project.id, client.id).await.unwrap().unwrap());

        let tx = test.store.begin().await.unwrap();
        project.settings = ProjectSettings::default();
        tx.projects().update(&project).await.unwrap();
        tx.commit().await.unwrap();
        same(&project, &test.store.view().projects().find(project.id).await.unwrap().unwrap());
    }
}

#[rstest]
#[tokio::test]
async fn a_signing_key_of_each_use(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let uses = [KeyUse::RefreshTokenMac].into_iter().chain(SigningAlgorithm::ALL.map(KeyUse::Jwt));
    for (key_use, time) in uses.zip(times().into_iter().skip(2).cycle()) {
        let mut key = StoredKey {
            id: SigningKeyId::generate(now(), &Random::System),
            project_id: test.project.id,
            key_use,
            sealed: (0..=255).collect(),
            created_at: time,
            activates_at: time + Duration::microseconds(1),
            replaced_at: None,
            retires_at: None,
        };
        let tx = test.store.begin().await.unwrap();
        tx.signing_keys().insert(&key).await.unwrap();
        let read = tx.signing_keys().all(test.project.id).await.unwrap();
        same(&key, read.last().unwrap());

        key.replaced_at = Some(time + Duration::microseconds(2));
        key.retires_at = Some(time + Duration::microseconds(3));
        tx.signing_keys().set_end(&key).await.unwrap();
        same(&key, tx.signing_keys().all(test.project.id).await.unwrap().last().unwrap());
        let living = async |at| tx.signing_keys().living(test.project.id, at).await.unwrap().len();
        assert_eq!(living(time + Duration::microseconds(2)).await, 1);
        assert_eq!(living(time + Duration::microseconds(3)).await, 0, "it retires at that very moment");
    }
}

#[rstest]
#[tokio::test]
async fn a_user(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    for time in times() {
        let id = UserId::generate(now(), &Random::System);
        let mut email = identifier(IdentifierKind::Email, &format!("Ada{}@Example.com", time.timestamp_micros()));
        email.verified_at = Some(time);
        let profile = Profile {
            given_name: Some("Ada".into()),
            family_name: Some("Łukasiewicz-O'Neil".into()),
            locale: Some("pl-PL".into()),
            metadata: object(),
            middle_name: Some("Maria".into()),
            display_name: Some("Ada Ł.".into()),
            picture_url: Some("https://example.com/ada.png".into()),
            untrusted_metadata: object(),
        };
        let identifiers = [email];
        let new = NewUser {
            id,
            project_id: test.project.id,
            identifiers: &identifiers,
            external_id: Some(&format!("crm-{time}")),
            profile: &profile,
            now: time,
        };
        let tx = test.store.begin().await.unwrap();
        tx.users().insert(&new).await.unwrap();
        let mut user = tx.users().find(test.project.id, id).await.unwrap().unwrap();
        assert_eq!((user.created_at, user.updated_at, user.last_signed_in_at), (time, time, None));
        assert_eq!((&user.profile, user.status, user.password), (&profile, UserStatus::Active, None));
        assert_eq!(user.identifiers, identifiers);

        user.profile = Profile::default();
        user.status = UserStatus::Disabled;
        user.updated_at = time + Duration::microseconds(1);
        tx.users().update(&user).await.unwrap();
        let event = Event::new(EventKind::SignedIn, test.project.id).user(id);
        let by = RecordedBy { id: EventId::generate(time, &Random::System), request_id: None, now: time };
        tx.signed_in(None, (&event, by), id, time).await.unwrap();
        user.last_signed_in_at = Some(time);
        same(&user, &tx.users().find(test.project.id, id).await.unwrap().unwrap());
        tx.commit().await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn nobody_signs_in_who_is_not_there(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let id = UserId::generate(now(), &Random::System);
    let event = Event::new(EventKind::SignedIn, test.project.id).user(id);
    let by = RecordedBy { id: EventId::generate(now(), &Random::System), request_id: None, now: now() };
    let tx = test.store.begin().await.unwrap();
    tx.signed_in(None, (&event, by), id, now()).await.unwrap_err();
    drop(tx);
    assert_eq!(test.rows("events").await, 0, "nothing is half-written");
}

#[rstest]
#[tokio::test]
async fn a_challenge_of_each_kind(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let ada = test.user("ada").await;
    for time in times() {
        let mut code = test.code(ada);
        let (mut pending, _) = test.pending(&code);
        (pending.issued_at, pending.expires_at) = (time, time + Duration::microseconds(1));
        (pending.credential_version, pending.attempts_left) = (i32::MAX, 3);
        pending.detail.wishes = SignInWishes {
            tokens: TokenWishes {
                id_token: true,
                session_token: true,
                resource: Some("https://api.example/".into()),
                claims: ClaimsRequest { id_token: vec!["email".into(), "żółw".into()] },
            },
            custom_claims: CustomClaims::parse(object()).unwrap(),
            revoke_other_sessions: true,
            locale: Some("de".into()),
            session: SessionChoice::New { duration: SessionDuration::parse(300, 0).ok() }
                .joining(SessionId::generate(now(), &Random::System)),
        };
        pending.detail.client_context =
            ClientContext { ip_address: Some("192.0.2.1".parse().unwrap()), user_agent: Some("curl".into()) };
        pending.detail.counted = CountedAs {
            guarded: Guarded::AuthenticatePassword,
            device: Some(DeviceId::generate(now(), &Random::System)),
        };
        let token = SecretHash(Random::System.bytes());
        (code.issued_at, code.expires_at) = (time, time + Duration::microseconds(1));
        let tx = test.store.begin().await.unwrap();
        tx.challenges().insert_code(&code).await.unwrap();
        tx.challenges().insert_pending(&pending, &token).await.unwrap();
        let (with_code, code_token) = test.reset(ada);
        let (mut with_link, link_token) = test.reset(ada);
        (with_link.detail.email, with_link.detail.code_hash) = (None, None);
        (with_link.issued_at, with_link.expires_at) = (time, time + Duration::microseconds(1));
        tx.challenges().insert_reset(&with_code, &code_token).await.unwrap();
        tx.challenges().insert_reset(&with_link, &link_token).await.unwrap();
        tx.commit().await.unwrap();
        let view = test.store.view();
        same(&pending, &view.challenges().find_pending(test.project.id, &token).await.unwrap().unwrap());
        same(&code, &view.challenges().code(code.id).await.unwrap().unwrap());
        for (reset, token) in [(with_code, code_token), (with_link, link_token)] {
            same(&reset, &view.challenges().find_reset(test.project.id, &token).await.unwrap().unwrap());
        }
    }
}

/// SQLite keeps times as text: it must sort as the times do.
#[rstest]
#[tokio::test]
async fn times_are_compared_as_times(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(test) = TestStore::start(engine).await else { return };
    let random = Random::seeded(7);
    let tx = test.store.begin().await.unwrap();
    let mut mails = Vec::new();
    for _ in 0..300 {
        // Fractions of 0, 3 and 6 digits, which are written with as many.
        let unit = [1, 1000, 1_000_000][random.below(3) as usize];
        let due = now() + Duration::microseconds(i64::from(random.below(4_000_000)) / unit * unit);
        let mail = test.mail();
        mails.push((due, mail.id));
        tx.outbox().push(mail).await.unwrap();
        tx.outbox().retry_at(mails[mails.len() - 1].1, due, "").await.unwrap();
    }
    mails.sort_unstable();
    let at = now() + Duration::seconds(2);
    let claimed = tx.outbox().claim_due(at, at + Duration::days(1), 1000).await.unwrap();
    let due: Vec<_> = mails.iter().filter(|(due, _)| *due <= at).collect();
    assert!((100..200).contains(&due.len()));
    assert_eq!(claimed.len(), due.len());
    let time_of = |id| mails.iter().find(|(_, mail)| *mail == id).unwrap().0;
    assert!(claimed.iter().map(|mail| time_of(mail.id)).eq(due.iter().map(|(due, _)| *due)));
}
