//! The version before and this one on one database, as during every upgrade.

use std::{env, path::PathBuf};

use signet_test_support::{Engine, TestDatabase, mail_peer::Peer, process::run};
use tonic::Code;

use crate::{
    calls::{BackEnd, pending_token},
    load::{Done, Load, nothing},
    service::{EMAIL, PASSWORD, Service, say_skipped, skipped, this_version},
};

/// Variable with the path of the binary of the version before; empty where it could not be built, as has been said.
const VARIABLE: &str = "PREVIOUS_BINARY";

fn version_before() -> Option<PathBuf> {
    let why = format!("{VARIABLE} names no binary; .ci/run builds it");
    match env::var_os(VARIABLE) {
        Some(path) if !path.is_empty() => return Some(path.into()),
        Some(_) => say_skipped("two versions on one database", &why),
        None => skipped("two versions on one database", &why),
    }
    None
}

/// A user whose code is mailed by one version finishes the sign-in at the other.
async fn code_of_one_at_the_other(service: &Service, peer: &Peer, email: &str, one: &BackEnd, other: &BackEnd) {
    service.create_user(this_version(), email, false);
    let token = pending_token(&one.authenticate_password(email, PASSWORD).await.unwrap_err());
    let mail = peer.next("accepted");
    assert_eq!(mail["rcpt_to"][0], email);
    let text = mail["text"].as_str().unwrap();
    let code = text.split_whitespace().find(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit()));
    other.redeem(&token, code.unwrap()).await.unwrap();
}

/// What one version has issued is good at the other, and ends there.
async fn session_of_one_at_the_other(one: &BackEnd, other: &BackEnd) {
    let signed_in = one.sign_in(EMAIL).await.unwrap();
    other.check(&signed_in.access_token).await.unwrap();
    let second = other.refresh(&signed_in.refresh_token).await.unwrap();
    assert_eq!(other.refresh(&signed_in.refresh_token).await.unwrap(), second, "repeated at the same");
    assert_eq!(one.refresh(&signed_in.refresh_token).await.unwrap(), second, "and at the other");
    one.refresh(&second).await.unwrap();
    other.revoke_session(&signed_in.session_id).await.unwrap();
    for version in [one, other] {
        let refused = version.check(&signed_in.access_token).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_under_load_is_noticed_by_nobody() {
    let Some(before) = version_before() else { return };
    let Some(database) = TestDatabase::from_template(Engine::Postgres, async |_| {}).await else { return };
    let Some(peer) = Peer::start([] as [&str; 0]) else { return };
    let service = Service::at(database.url(), &before);
    let smtp = format!("--smtp-url=smtp://127.0.0.1:{}", peer.port);
    let settings = [smtp.as_str(), "--mail-from=no-reply@example.com", "--public-url=https://auth.example.com"];

    let old = service.replica_of(&before, &settings);
    let at_old = service.back_end(&old.grpc);
    let load_at_old = Load::start(&at_old, nothing).await;
    load_at_old.successes(2).await;
    let migrate = service.command(this_version(), &["migrate", "--json"]);
    let migrated = tokio::task::spawn_blocking(move || run(migrate)).await.unwrap();
    assert_eq!(migrated.code, 0, "{migrated:?}");
    load_at_old.successes(2).await;

    let new = service.replica_of(this_version(), &settings);
    let at_new = service.back_end(&new.grpc);
    session_of_one_at_the_other(&at_old, &at_new).await;
    session_of_one_at_the_other(&at_new, &at_old).await;
    code_of_one_at_the_other(&service, &peer, "one@example.com", &at_old, &at_new).await;
    code_of_one_at_the_other(&service, &peer, "two@example.com", &at_new, &at_old).await;
    load_at_old.successes(2).await;

    // As `helm rollback` does it: the version before is started on the schema of this one.
    let old_again = service.replica_of(&before, &settings);
    let at_old_again = service.back_end(&old_again.grpc);
    session_of_one_at_the_other(&at_old_again, &at_new).await;
    session_of_one_at_the_other(&at_new, &at_old_again).await;
    assert_eq!(old_again.running.terminate().code, 0);

    let Done { refreshed, sessions, .. } = load_at_old.finish().await;
    assert_eq!(old.running.terminate().code, 0);
    at_new.check(&refreshed.access_token).await.unwrap();
    for session in &sessions {
        at_new.check_session(session).await.unwrap();
    }
    assert_eq!(new.running.terminate().code, 0);
}
