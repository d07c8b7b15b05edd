//! The way to PostgreSQL is cut without a word: nothing arrives any more, and nobody is told. So it looks when a machine or a network dies
//! and another one takes over.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use secrecy::SecretString;
use signet::store::{DatabaseSettings, Store};
use signet_test_support::Engine;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    time::timeout,
};
use tonic::Code;
use url::Url;

use crate::{
    calls::get,
    service::{EMAIL, Service, eventually},
};

/// A network in front of a server. It ends with the runtime.
struct Network {
    /// Of the server behind it.
    url: Url,
    /// How often the way was cut or mended. Odd: it is cut.
    cuts: watch::Sender<u32>,
    /// Whether what is said arrives only later.
    is_late: watch::Sender<bool>,
}

const CONNECTIONS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_falls_silent_is_taken_up_again_by_new_connections() {
    let Some(service) = Service::on(Engine::Postgres).await else { return };
    let Network { url, cuts, .. } = network(service.url()).await;
    let connections = format!("--database-connections={CONNECTIONS}");
    let settings =
        [&format!("--database-url={url}"), &connections, "--database-acquire-timeout=2s", "--grpc-deadline=4s"];
    let replica = service.replica(&settings);
    let back_end = service.back_end(&replica.grpc);
    let session = back_end.sign_in(EMAIL).await.unwrap();
    let checks = async || {
        let check = || {
            let (client, token) = (back_end.clone(), session.access_token.clone());
            tokio::spawn(async move { client.check(&token).await })
        };
        let mut answers = Vec::new();
        for running in (0..2 * CONNECTIONS).map(|_| check()).collect::<Vec<_>>() {
            answers.push(running.await.unwrap());
        }
        answers
    };
    assert!(checks().await.iter().all(Result::is_ok), "the pool is full of connections that work");

    cuts.send_modify(|cuts| *cuts += 1);
    // Every connection that the pool has is used, and none answers.
    for refused in checks().await {
        let code = refused.unwrap_err().code();
        assert!([Code::DeadlineExceeded, Code::Unavailable].contains(&code), "{code:?}");
    }
    eventually("not ready", async || get(&replica.ops, "/readyz").await.unwrap().0 == 503).await;

    // What was cut stays silent; new connections arrive.
    cuts.send_modify(|cuts| *cuts += 1);
    eventually("every connection works", async || checks().await.iter().all(Result::is_ok)).await;
    eventually("ready again", async || get(&replica.ops, "/readyz").await.unwrap().0 == 200).await;
    back_end.refresh(&session.refresh_token).await.unwrap();
    assert_eq!(replica.running.terminate().code, 0, "nothing waits for those that are silent");
}

/// Where no calls come, those who ask whether the replica is ready must not use up the pool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_nobody_calls_is_ready_again_after_a_silence() {
    let Some(service) = Service::on(Engine::Postgres).await else { return };
    let Network { url, cuts, .. } = network(service.url()).await;
    let settings = [&format!("--database-url={url}"), "--database-connections=2", "--database-acquire-timeout=2s"];
    let replica = service.replica(&settings);
    let status = async || get(&replica.ops, "/readyz").await.unwrap().0;
    eventually("ready", async || status().await == 200).await;
    // A connection that is just being given back would be lost for as long as the system waits: see `store::trouble`.
    tokio::time::sleep(Duration::from_millis(500)).await;
    cuts.send_modify(|cuts| *cuts += 1);
    for _ in 0..4 {
        eventually("not ready", async || status().await == 503).await;
    }
    cuts.send_modify(|cuts| *cuts += 1);
    eventually("ready again", async || status().await == 200).await;
}

/// A unit of work that begins on a connection which has fallen silent is brought to its end behind the back of whoever
/// goes away, but not for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_of_work_that_begins_in_silence_keeps_no_place() {
    let Some(service) = Service::on(Engine::Postgres).await else { return };
    let Network { url, cuts, .. } = network(service.url()).await;
    let url = SecretString::from(url.to_string());
    let settings = DatabaseSettings { url, connections_max: 1, acquire_timeout: Duration::from_secs(1) };
    let store = Store::connect(&settings).await.unwrap();
    store.begin().await.unwrap().commit().await.unwrap();
    // As it is given back it is asked once more, and waited for as long as it takes.
    eventually("the connection is idle", async || store.pool().1 == 1).await;

    cuts.send_modify(|cuts| *cuts += 1);
    // The one that listens is left.
    eventually("the way is cut", async || cuts.receiver_count() == 1).await;
    timeout(Duration::from_millis(1), store.begin()).await.expect_err("there is no answer");
    cuts.send_modify(|cuts| *cuts += 1);
    eventually("the place is free again", async || match store.begin().await {
        Ok(tx) => tx.commit().await.is_ok(),
        Err(_) => false,
    })
    .await;
}

/// A transaction whose `BEGIN` is answered when nobody waits for that any more is ended by whoever gives the connection back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_of_work_that_begins_too_late_is_rolled_back() {
    let Some(service) = Service::on(Engine::Postgres).await else { return };
    // Without what cuts it, it would be cut.
    let Network { url, is_late, cuts: _cuts } = network(service.url()).await;
    let url = SecretString::from(url.to_string());
    let settings = DatabaseSettings { url, connections_max: 1, acquire_timeout: Duration::from_secs(1) };
    let store = Store::connect(&settings).await.unwrap();
    let database = Database::connect(service.url()).await.unwrap();
    let count = async |which: &str| {
        let query = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'signet' AND {which}");
        let row = database.query_one_raw(Statement::from_string(DbBackend::Postgres, query)).await.unwrap().unwrap();
        row.try_get_by_index::<i64>(0).unwrap()
    };
    assert_eq!(count("datname = current_database()").await, 1);
    eventually("the connection is idle", async || store.pool().1 == 1).await;

    is_late.send_replace(true);
    store.begin().await.expect_err("there is no answer in time");
    is_late.send_replace(false);
    eventually("the connection is idle again", async || store.pool() == (1, 1)).await;
    assert_eq!(count("datname = current_database()").await, 1, "it is the same");
    assert_eq!(count("datname = current_database() AND state <> 'idle'").await, 0, "and in no transaction");
}

/// A network in front of the server at `url`.
async fn network(url: &str) -> Network {
    let mut url = Url::parse(url).unwrap();
    let directory = url.query_pairs().find_map(|(name, value)| (name == "host").then(|| value.into_owned())).unwrap();
    let socket = Path::new(&directory).join(".s.PGSQL.5432");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_query(Some("sslmode=disable"));
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    let (cuts, seen) = watch::channel(0);
    let (is_late, lateness) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(carry(client, socket.clone(), seen.clone(), lateness.clone()));
        }
    });
    Network { url, cuts, is_late }
}

/// Carries what one connection says until the way is cut. Then, and from the beginning while it is cut, it keeps the connection and
/// carries nothing.
async fn carry(mut client: TcpStream, socket: PathBuf, mut cuts: watch::Receiver<u32>, is_late: watch::Receiver<bool>) {
    if cuts.borrow_and_update().is_multiple_of(2) {
        let mut server = UnixStream::connect(socket).await.unwrap();
        let ((heard, said), (answers, questions)) = (client.split(), server.split());
        tokio::select! {
            _ = pass_on(heard, questions, is_late.clone()) => return,
            _ = pass_on(answers, said, is_late) => return,
            _ = cuts.changed() => {}
        }
    }
    drop(cuts);
    std::future::pending::<()>().await;
}

/// Passes on what it reads as soon as nothing is late, until one of both hangs up.
async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut is_late: watch::Receiver<bool>,
) -> Option<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut bytes).await.ok().filter(|length| *length > 0)?;
        is_late.wait_for(|is_late| !is_late).await.ok()?;
        to.write_all(&bytes[..length]).await.ok()?;
    }
}
