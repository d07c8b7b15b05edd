//! SIGTERM under load, with a second replica to go to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1::SendRequest, header::CONNECTION};
use hyper_util::rt::TokioIo;
use serde_json::json;
use signet_test_support::Engine;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::{
    calls::{BackEnd, get},
    http2,
    service::{EMAIL, Replica, Service, eventually},
};

const CALLERS: usize = 3;

/// What all callers look at.
#[derive(Clone)]
struct Day {
    /// A load balancer has noticed that the first replica is not ready.
    is_noticed: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

/// How a caller finds out that a replica goes.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Manner {
    /// It is sent elsewhere by its load balancer, and never sees a failure.
    Balanced,
    /// It stays until it is not taken any more, and only then goes elsewhere.
    Stubborn,
}

impl Day {
    fn leaves(&self, manner: Manner) -> bool {
        manner == Manner::Balanced && self.is_noticed.load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }
}

/// Creates users by gRPC until the day is over; gives how many.
async fn call_grpc(day: Day, manner: Manner, prefix: String, first: BackEnd, second: BackEnd) -> usize {
    let mut moved = false;
    for number in 0.. {
        if day.is_over() {
            return number;
        }
        let name = format!("{prefix}{number}");
        moved |= day.leaves(manner);
        if !moved {
            match first.create_user(&name).await {
                Ok(_) => continue,
                Err(status) => {
                    assert!(manner == Manner::Stubborn, "{status:?}");
                    assert!(status.details().is_empty(), "an answer of the service: {status:?}");
                    moved = true;
                }
            }
        }
        // Had the first taken the call without answering it, the name would be taken.
        second.create_user(&name).await.expect("the call was not taken before");
    }
    unreachable!("the day ends")
}

/// A client of HTTP/1 that keeps its connection.
struct KeepAlive {
    address: String,
    authorization: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl KeepAlive {
    /// Creates a user; gives the status, or `None` if there is no answer.
    async fn create_user(&mut self, name: &str) -> Option<u16> {
        let kept = self.connection.take().filter(|sender| !sender.is_closed());
        let mut sender = if let Some(sender) = kept {
            sender
        } else {
            let stream = TcpStream::connect(&self.address).await.ok()?;
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            sender
        };
        sender.ready().await.ok()?;
        let request = Request::post("/api/v1/users")
            .header("host", &self.address)
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .body(Full::from(json!({"username": name}).to_string()));
        let response = sender.send_request(request.unwrap()).await.ok()?;
        let (status, stays) = (response.status().as_u16(), !response.headers().contains_key(CONNECTION));
        response.into_body().collect().await.ok()?;
        self.connection = stays.then_some(sender);
        Some(status)
    }
}

/// The same by REST.
async fn call_rest(day: Day, manner: Manner, prefix: String, mut first: KeepAlive, mut second: KeepAlive) -> usize {
    let mut moved = false;
    for number in 0.. {
        if day.is_over() {
            return number;
        }
        let name = format!("{prefix}{number}");
        moved |= day.leaves(manner);
        if !moved {
            if let Some(status) = first.create_user(&name).await {
                assert_eq!(status, 200, "{name}");
                continue;
            }
            assert!(manner == Manner::Stubborn, "{name} was not answered");
            moved = true;
        }
        assert_eq!(second.create_user(&name).await, Some(200), "{name} was not taken before");
    }
    unreachable!("the day ends")
}

fn start_callers(service: &Service, day: &Day, first: &Replica, second: &Replica) -> JoinSet<usize> {
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        for (manner, letter) in [(Manner::Balanced, 'b'), (Manner::Stubborn, 's')] {
            // Each over connections of its own.
            let clients = (service.back_end(&first.grpc), service.back_end(&second.grpc));
            let keep_alive = |replica: &Replica| KeepAlive {
                address: replica.rest.clone(),
                authorization: clients.0.authorization().to_owned(),
                connection: None,
            };
            let rest = (keep_alive(first), keep_alive(second));
            callers.spawn(call_rest(day.clone(), manner, format!("rest{letter}{number}x"), rest.0, rest.1));
            callers.spawn(call_grpc(day.clone(), manner, format!("grpc{letter}{number}x"), clients.0, clients.1));
        }
    }
    callers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_request() {
    let Some(service) = Service::on(Engine::Postgres).await else { return };
    let (first, second) = (service.replica(&["--stop-delay=3s", "--drain-timeout=20s"]), service.replica(&[]));
    let day = Day { is_noticed: Arc::default(), is_over: Arc::default() };
    let mut callers = start_callers(&service, &day, &first, &second);
    // One who says hello and freezes.
    let mut frozen = TcpStream::connect(&first.grpc).await.unwrap();
    frozen.write_all(&http2::beginning()).await.unwrap();
    let users = "SELECT count(*) FROM identifiers WHERE kind = 'username'";
    eventually("the day has begun", async || service.count(users).await > 50).await;

    first.running.ask_to_stop();
    let draining = json!({"ready": false, "checks": {"serving": "draining", "database": "ok"}});
    eventually("not ready", async || get(&first.ops, "/readyz").await.unwrap().1 == draining).await;
    // Who has not yet noticed comes over new connections, too.
    let late = service.back_end(&first.grpc);
    assert_eq!(late.health().await.unwrap(), i32::from(ServingStatus::NotServing));
    late.sign_in(EMAIL).await.unwrap();
    day.is_noticed.store(true, Ordering::SeqCst);
    drop(late);

    let Replica { running, grpc, .. } = first;
    let ended = tokio::task::spawn_blocking(move || running.ended()).await.unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(TcpStream::connect(&grpc).await.is_err());
    let before = service.count(users).await;
    eventually("all are with the second", async || service.count(users).await > before + 20).await;
    day.is_over.store(true, Ordering::SeqCst);
    let mut answered = 0;
    while let Some(count) = callers.join_next().await {
        answered += count.unwrap();
    }
    assert_eq!(service.count(users).await, i64::try_from(answered).unwrap(), "answered is done, and done is answered");
    drop(frozen);
}

/// Whoever does not want to wait need not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_delay_a_stop_is_quick() {
    let Some(service) = Service::on(Engine::Sqlite).await else { return };
    let replica = service.replica(&["--drain-timeout=60s"]);
    let back_end = service.back_end(&replica.grpc);
    back_end.sign_in(EMAIL).await.unwrap();
    let started = std::time::Instant::now();
    assert_eq!(replica.running.terminate().code, 0);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
