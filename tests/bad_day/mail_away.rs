//! The mail server is down, and the service restarted meanwhile.

use std::collections::BTreeMap;

use signet_test_support::{
    Engine,
    mail_peer::{Peer, reserve_port},
};

use crate::{
    calls::pending_token,
    service::{PASSWORD, Replica, Service, eventually, this_version},
};

const USERS: usize = 5;
/// Mails that were tried in vain.
const TRIED: &str = "SELECT count(*) FROM outbox WHERE attempts > 0 AND sent_at IS NULL AND given_up_at IS NULL";
const UNSENT: &str = "SELECT count(*) FROM outbox WHERE sent_at IS NULL";

fn email(number: usize) -> String {
    format!("user{number}@example.com")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_wait_for_the_mail_server_and_go_out_once() {
    let Some(service) = Service::on(Engine::Postgres).await else { return };
    let (closed, port) = reserve_port();
    let smtp = format!("--smtp-url=smtp://127.0.0.1:{port}");
    let settings = [smtp.as_str(), "--mail-from=no-reply@example.com"];
    let start = || service.replica(&settings);
    let (first, second) = (start(), start());

    let mut pending = BTreeMap::new();
    for number in 0..USERS {
        service.create_user(this_version(), &email(number), false);
        let replica: &Replica = if number % 2 == 0 { &first } else { &second };
        let back_end = service.back_end(&replica.grpc);
        let refused = back_end.authenticate_password(&email(number), PASSWORD).await.unwrap_err();
        pending.insert(email(number), pending_token(&refused));
    }
    let users = i64::try_from(USERS).unwrap();
    eventually("each mail was tried", async || service.count(TRIED).await == users).await;
    // One is stopped, the other dies; what they had in hand is not forgotten.
    assert_eq!(first.running.terminate().code, 0);
    second.running.kill();
    let replicas = [start(), start(), start()];

    drop(closed);
    let Some(peer) = Peer::start(["--port", &port.to_string()]) else { return };
    eventually("every mail is sent", async || service.count(UNSENT).await == 0).await;
    let back_end = service.back_end(&replicas[0].grpc);
    for _ in 0..USERS {
        let mail = peer.next("accepted");
        let recipient = mail["rcpt_to"][0].as_str().unwrap();
        let token = pending.remove(recipient).unwrap_or_else(|| panic!("a second mail to {recipient}"));
        let text = mail["text"].as_str().unwrap();
        let code = text.split_whitespace().find(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit()));
        back_end.redeem(&token, code.unwrap_or_else(|| panic!("no code in {text}"))).await.unwrap();
    }
    peer.expect_no("accepted");
}
