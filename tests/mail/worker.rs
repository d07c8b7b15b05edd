//! The outbox worker, with a real database and a foreign mail server.

use std::{collections::HashSet, io, time::Duration};

use chrono::Duration as Span;
use signet::{
    crypto::master_key::Purpose,
    domain::id::MailId,
    mail::{
        mailbox::Mailbox,
        transport::{TerminalTransport, Transport},
        worker::{CONCURRENCY, Outcome},
    },
    random::Random,
};
use signet_test_support::mail_peer::{Peer, reserve_port};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    CODE,
    outbox::{LIFETIME, Outbox, Row, master_key},
    smtp::transport,
};

const ADA: &str = "ada@example.com";
/// Longer than any pause between two tries, shorter than a mail's life.
const LONG_PAUSE: Span = Span::minutes(1);

fn plain_smtp(port: u16) -> Transport {
    transport(&format!("smtp://127.0.0.1:{port}"), None)
}

fn terminal(mailbox: &Mailbox) -> Transport {
    Transport::Terminal(TerminalTransport::with_sink(mailbox.clone(), io::sink()))
}

fn sent(attempts: i32, error: Option<&str>) -> Row {
    Row { attempts, error: error.map(str::to_owned), given_up: false, sealed: false, sent: true }
}

fn given_up(attempts: i32, error: &str) -> Row {
    Row { attempts, error: Some(error.to_owned()), given_up: true, sealed: false, sent: false }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

#[tokio::test]
async fn a_sent_mail_is_erased_and_not_sent_again() {
    let (outbox, clock) = Outbox::at_rest().await;
    let mailbox = Mailbox::default();
    let worker = outbox.worker(terminal(&mailbox)).await;
    let id = outbox.push(ADA).await;

    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 1);
    assert_eq!(outbox.row(id).await, sent(1, None));
    assert_eq!(mailbox.last_to(ADA).unwrap().code.unwrap(), CODE);

    clock.advance(LIFETIME);
    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 0);
    assert_eq!(mailbox.recent().len(), 1);
    assert_eq!(outbox.outcomes(), [Outcome::Sent]);
    assert_eq!(outbox.events().await, []);
}

#[tokio::test]
async fn a_4xx_is_tried_again_later_and_delivered_once() {
    let Some(peer) = Peer::start(["--put-off", "1"]) else { return };
    let (outbox, clock) = Outbox::at_rest().await;
    let worker = outbox.worker(plain_smtp(peer.port)).await;
    let id = outbox.push(ADA).await;

    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 1);
    peer.next("put_off");
    let row = outbox.row(id).await;
    assert!(row.sealed && !row.sent && !row.given_up, "{row:?}");
    assert_eq!(row.error.unwrap(), "the mail server put the mail off: 451 4.7.1");

    // Not before the least pause is over.
    clock.advance(Span::milliseconds(4_999));
    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 0);
    clock.advance(Span::milliseconds(5_001));
    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 1);
    assert_eq!(peer.next("accepted")["rcpt_to"][0], ADA);
    assert!(outbox.row(id).await.sent);

    clock.advance(LIFETIME);
    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 0);
    peer.expect_no("accepted");
    assert_eq!(outbox.outcomes(), [Outcome::Retried, Outcome::Sent]);
}

#[tokio::test]
async fn a_5xx_is_given_up_at_once_and_leaves_no_secret() {
    let Some(peer) = Peer::start(["--refuse"]) else { return };
    let (outbox, clock) = Outbox::at_rest().await;
    let worker = outbox.worker(plain_smtp(peer.port)).await;
    let id = outbox.push(ADA).await;

    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 1);
    // The server's answer quoted the code and the address.
    assert_eq!(outbox.row(id).await, given_up(1, "the mail server refused the mail: 550 5.7.1"));
    assert_eq!(outbox.events().await, [("mail.given_up".to_owned(), "refused".to_owned())]);

    clock.advance(LONG_PAUSE);
    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 0);
    peer.next("refused");
    peer.expect_no("refused");
    assert_eq!(outbox.outcomes(), [Outcome::GivenUp]);
}

#[tokio::test]
async fn a_server_that_was_away_gets_the_mail_once() {
    let (outbox, clock) = Outbox::at_rest().await;
    let (reservation, port) = reserve_port();
    let worker = outbox.worker(plain_smtp(port)).await;
    let id = outbox.push(ADA).await;
    for _ in 0..3 {
        assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 1);
        clock.advance(LONG_PAUSE);
    }
    let row = outbox.row(id).await;
    assert!(row.sealed && row.error.as_ref().unwrap().contains("cannot be reached"), "{row:?}");

    drop(reservation);
    let Some(peer) = Peer::start(["--port".to_owned(), port.to_string()]) else { return };
    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 1);
    clock.advance(LIFETIME);
    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 0);
    peer.next("accepted");
    peer.expect_no("accepted");
    let row = outbox.row(id).await;
    assert!(row.sent && !row.sealed && row.attempts == 4, "{row:?}");
}

#[tokio::test]
async fn a_mail_that_expired_is_given_up_unsent() {
    let (outbox, clock) = Outbox::at_rest().await;
    let mailbox = Mailbox::default();
    let worker = outbox.worker(terminal(&mailbox)).await;
    let id = outbox.push(ADA).await;
    clock.advance(LIFETIME);

    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 1);
    assert_eq!(outbox.row(id).await, given_up(1, "the mail expired before it could be sent"));
    assert_eq!(outbox.events().await, [("mail.given_up".to_owned(), "expired".to_owned())]);
    assert!(mailbox.recent().is_empty());
}

#[tokio::test]
async fn a_mail_is_tried_as_long_as_it_is_good() {
    let (outbox, clock) = Outbox::at_rest().await;
    let worker = outbox.worker(Transport::None).await;
    let id = MailId::generate(outbox.clock.now(), &Random::System);
    let message = serde_json::to_vec(&crate::message_of("Acme")).unwrap();
    let sealed = outbox.master_key.seal(Purpose::Mail, id.into(), &message, &Random::System);
    outbox.push_sealed(id, ADA, sealed, outbox.clock.now() + Span::hours(6)).await;
    let expired = outbox.push(ADA).await;

    // Five hours without a way to send mails.
    for _ in 0..60 {
        worker.run_once(outbox.clock.now()).await.unwrap();
        clock.advance(Span::minutes(5));
    }
    assert!(outbox.row(expired).await.given_up && outbox.row(id).await.sealed);
    assert_eq!(outbox.events().await, [("mail.given_up".to_owned(), "expired".to_owned())]);

    // Of the replicas that come up then one sends it.
    let mailbox = Mailbox::default();
    for _ in 0..3 {
        outbox.worker(terminal(&mailbox)).await.run_once(outbox.clock.now()).await.unwrap();
    }
    assert!(outbox.row(id).await.sent);
    assert_eq!(mailbox.recent().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_given_up_and_does_not_stop_others() {
    let (outbox, _clock) = Outbox::at_rest().await;
    let mailbox = Mailbox::default();
    let worker = outbox.worker(terminal(&mailbox)).await;
    let now = outbox.clock.now();
    let seal =
        |purpose, owner: MailId, text: &[u8]| outbox.master_key.seal(purpose, owner.into(), text, &Random::System);
    let message = serde_json::to_vec(&crate::message_of("Acme")).unwrap();
    let [damaged, of_another_row, of_another_kind, unknown] = [(); 4].map(|()| MailId::generate(now, &Random::System));
    for (id, sealed) in [
        (damaged, b"not sealed at all".to_vec()),
        (of_another_row, seal(Purpose::Mail, damaged, &message)),
        (of_another_kind, seal(Purpose::SigningKey, of_another_kind, &message)),
        (unknown, seal(Purpose::Mail, unknown, br#"{"kind":"from_the_future","code":"271828"}"#)),
    ] {
        outbox.push_sealed(id, "eve@example.com", sealed, now + LIFETIME).await;
    }
    let good = outbox.push(ADA).await;

    while worker.run_once(now).await.unwrap() > 0 {}
    for id in [damaged, of_another_row, of_another_kind] {
        assert_eq!(outbox.row(id).await, given_up(1, "the encrypted value is damaged"));
    }
    assert_eq!(outbox.row(unknown).await, given_up(1, "the mail is of a kind that this version does not know"));
    assert_eq!(outbox.events().await, vec![("mail.given_up".to_owned(), "unreadable".to_owned()); 4]);
    assert_eq!(outbox.row(good).await, sent(1, None));
    assert_eq!(mailbox.recent().len(), 1);
}

#[tokio::test]
async fn a_replica_with_another_master_key_leaves_the_mail_to_others() {
    let (outbox, clock) = Outbox::at_rest().await;
    let mailbox = Mailbox::default();
    let right = outbox.worker(terminal(&mailbox)).await;
    let mut wrong = right.clone();
    wrong.master_key = master_key(8);
    let id = outbox.push(ADA).await;

    assert_eq!(wrong.run_once(outbox.clock.now()).await.unwrap(), 1);
    assert!(outbox.row(id).await.error.unwrap().contains("another master key"));
    clock.advance(LONG_PAUSE);
    assert_eq!(right.run_once(outbox.clock.now()).await.unwrap(), 1);
    assert!(outbox.row(id).await.sent);
}

#[tokio::test]
async fn replicas_never_send_the_same_mail() {
    let (outbox, _clock) = Outbox::at_rest().await;
    let mailbox = Mailbox::default();
    let mut ids = HashSet::new();
    for number in 0..40 {
        ids.insert(outbox.push(&format!("user{number}@example.com")).await.to_string());
    }
    let mut replicas = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let worker = outbox.worker(terminal(&mailbox)).await;
        replicas.spawn(async move { while worker.run_once(worker.clock.now()).await.unwrap() > 0 {} });
    }
    replicas.join_all().await;

    let kept: Vec<String> = mailbox.recent().into_iter().map(|mail| mail.id).collect();
    assert_eq!(kept.len(), ids.len());
    assert_eq!(kept.into_iter().collect::<HashSet<_>>(), ids);
}

#[tokio::test]
async fn the_mail_of_a_worker_that_died_is_sent_after_its_lease() {
    let (outbox, clock) = Outbox::at_rest().await;
    let mailbox = Mailbox::default();
    let worker = outbox.worker(terminal(&mailbox)).await;
    let id = outbox.push(ADA).await;
    let now = outbox.clock.now();
    let tx = outbox.store.begin().await.unwrap();
    assert_eq!(tx.outbox().claim_due(now, now + LONG_PAUSE, 1).await.unwrap().len(), 1);
    tx.commit().await.unwrap();

    clock.advance(LONG_PAUSE - Span::milliseconds(1));
    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 0);
    clock.advance(Span::milliseconds(1));
    assert_eq!(worker.run_once(outbox.clock.now()).await.unwrap(), 1);
    assert_eq!(outbox.row(id).await, sent(2, None));
}

#[tokio::test]
async fn a_call_wakes_the_worker_and_without_one_it_looks_by_itself() {
    let outbox = Outbox::in_real_time().await;
    let mailbox = Mailbox::default();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(outbox.worker(terminal(&mailbox)).await.run(cancel.clone()));

    outbox.push("quiet@example.com").await;
    until("a look without a call", async || mailbox.last_to("quiet@example.com").is_some()).await;

    // By looking alone, each mail would wait for a second.
    let start = Instant::now();
    for number in 0..10 {
        let recipient = format!("user{number}@example.com");
        outbox.push(&recipient).await;
        outbox.mail_waits.notify_one();
        until("a mail after a call", async || mailbox.last_to(&recipient).is_some()).await;
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());

    cancel.cancel();
    timeout(Duration::from_secs(10), running).await.expect("it stops").unwrap();
    let unsent = outbox.push(ADA).await;
    outbox.mail_waits.notify_one();
    sleep(Duration::from_millis(100)).await;
    assert_eq!(outbox.row(unsent).await.attempts, 0, "a stopped worker takes nothing");
}

#[tokio::test]
async fn a_burst_goes_out_a_few_at_a_time() {
    let Some(peer) = Peer::start(["--slow", "0.5"]) else { return };
    let outbox = Outbox::in_real_time().await;
    for number in 0..CONCURRENCY + 2 {
        outbox.push(&format!("user{number}@example.com")).await;
    }
    let cancel = CancellationToken::new();
    let running = tokio::spawn(outbox.worker(plain_smtp(peer.port)).await.run(cancel.clone()));
    until("all mails are sent", async || {
        // A mail that waits in a worker could not be sent by another.
        assert!(outbox.in_hand().await <= CONCURRENCY);
        outbox.store.view().outbox().waiting().await.unwrap() == 0
    })
    .await;
    cancel.cancel();
    running.await.unwrap();

    let mut in_hand = 0;
    let mut most = 0;
    let mut accepted = 0;
    while accepted < CONCURRENCY + 2 {
        match peer.next_event()["event"].as_str().unwrap() {
            "slow" => in_hand += 1,
            "accepted" => {
                in_hand -= 1;
                accepted += 1;
            }
            _ => {}
        }
        most = most.max(in_hand);
    }
    // More than one, but a busy machine may be slow to connect all.
    assert!((2..=CONCURRENCY).contains(&most), "{most}");
    peer.expect_no("accepted");
}

#[tokio::test]
async fn a_stop_finishes_the_mail_in_hand() {
    let Some(peer) = Peer::start(["--slow", "1"]) else { return };
    let outbox = Outbox::in_real_time().await;
    let id = outbox.push(ADA).await;
    let cancel = CancellationToken::new();
    let running = tokio::spawn(outbox.worker(plain_smtp(peer.port)).await.run(cancel.clone()));
    let peer = tokio::task::spawn_blocking(move || {
        peer.next("slow");
        peer
    });
    let peer = peer.await.unwrap();
    assert!(!outbox.row(id).await.sent, "the server has not accepted it yet");

    cancel.cancel();
    timeout(Duration::from_secs(10), running).await.expect("it stops").unwrap();
    assert_eq!(outbox.row(id).await, sent(1, None));
    peer.next("accepted");
}
