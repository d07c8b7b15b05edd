use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::*;

/// No step of these tests takes longer, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer that no buffers between here and there can hold, in bytes.
const LARGE: usize = 32 * 1024 * 1024;

struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
    /// A message for each request to `/held` that has begun; it is answered when told to.
    begun: mpsc::UnboundedReceiver<mpsc::UnboundedSender<()>>,
}

async fn served(settings: ListenerSettings) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let (tell, begun) = mpsc::unbounded_channel();
    let held = async move || {
        let (release, mut released) = mpsc::unbounded_channel();
        tell.send(release).unwrap();
        released.recv().await;
        "held"
    };
    let router = Router::new()
        .route("/", get(async || "here"))
        .route("/body", post(async |body: String| body))
        .route("/held", get(held))
        .route("/large", get(async || "x".repeat(LARGE)));
    let server = tokio::spawn(serve(listener, router, settings, stop.clone()));
    Served { address, stop, server, begun }
}

/// Sends that, and reads until the connection is closed.
async fn send(address: SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    read(&mut connection).await
}

async fn read(connection: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection may also be reset: what was read counts.
    let _ = timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("closed in time");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn whoever_sends_no_request_in_time_is_dropped() {
    let soon = Duration::from_millis(50);
    let settings = ListenerSettings { start_timeout: soon, header_timeout: soon, ..ListenerSettings::default() };
    let served = served(settings).await;
    // The beginning of HTTP/2 is known by its first bytes: until then neither of hyper's clocks runs.
    for request in ["", "P", "PRI * HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let answer = send(served.address, request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{request:?}: {answer}");
    }
    // Nor does a connection that had its request stay for ever.
    let answer = send(served.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
}

#[tokio::test]
async fn headers_are_bounded() {
    let settings = ListenerSettings { header_bytes_max: 8192, ..ListenerSettings::default() };
    let served = served(settings).await;
    let request = |bytes: usize| {
        format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-large: {}\r\n\r\n", "x".repeat(bytes))
    };
    assert!(send(served.address, &request(4000)).await.starts_with("HTTP/1.1 200"));
    assert!(send(served.address, &request(20_000)).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn at_the_bound_an_idle_connection_makes_room_and_a_busy_one_does_not() {
    let settings = ListenerSettings { connections_max: 1, ..ListenerSettings::default() };
    let mut served = served(settings).await;
    let request = "GET /held HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut first = TcpStream::connect(served.address).await.unwrap();
    first.write_all(request.as_bytes()).await.unwrap();
    let release = served.begun.recv().await.unwrap();
    assert_eq!(send(served.address, request).await, "", "closed at once");

    release.send(()).unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let second = tokio::spawn(send(served.address, request));
    let release = timeout(PATIENCE, served.begun.recv()).await.expect("the second has room").unwrap();
    read(&mut first).await;
    release.send(()).unwrap();
    served.stop.cancel();
    assert!(second.await.unwrap().ends_with("held"));
}

#[tokio::test]
async fn who_has_shown_nothing_yet_makes_room_before_who_has() {
    let settings = ListenerSettings { connections_max: 2, ..ListenerSettings::default() };
    let served = served(settings).await;
    let mut known = TcpStream::connect(served.address).await.unwrap();
    known.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    known.read_exact(&mut [0; 12]).await.unwrap();
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let answer = send(served.address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(read(&mut silent).await, "", "though it came later");
    known.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    assert!(read(&mut known).await.contains("HTTP/1.1 200"));
}

/// The beginning of a connection of HTTP/2 (RFC 9113, section 3.4), and a request: `GET /`.
const HTTP2_REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\
    \x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x84\x86\x41\x01x";

#[tokio::test]
async fn no_connection_grows_older_than_it_may() {
    let soon = Duration::from_millis(50);
    let settings = ListenerSettings { connection_age: soon, connection_grace: soon, ..ListenerSettings::default() };
    let served = served(settings).await;
    let answer = send(served.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
    // One of HTTP/2 has no other end, and goes whether its caller is polite or not.
    let mut connection = TcpStream::connect(served.address).await.unwrap();
    connection.write_all(HTTP2_REQUEST).await.unwrap();
    let answer = read(&mut connection).await;
    assert!(answer.contains("here"), "{answer:?}");
}

#[tokio::test]
async fn a_connection_that_is_too_old_finishes_its_request() {
    let age = Duration::from_millis(50);
    let mut served = served(ListenerSettings { connection_age: age, ..ListenerSettings::default() }).await;
    let running = tokio::spawn(send(served.address, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    let release = served.begun.recv().await.unwrap();
    assert!(timeout(Duration::from_millis(150), served.begun.recv()).await.is_err(), "it is too old by now");
    release.send(()).unwrap();
    assert!(running.await.unwrap().ends_with("held"));
}

#[tokio::test]
async fn a_stop_lets_running_requests_finish_and_waits_for_no_idle_connection() {
    let mut served = served(ListenerSettings::default()).await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 12]).await.unwrap();
    let running = tokio::spawn(send(served.address, "GET /held HTTP/1.1\r\nhost: x\r\n\r\n"));
    let release = served.begun.recv().await.unwrap();
    served.stop.cancel();
    read(&mut idle).await;
    assert!(!served.server.is_finished());
    release.send(()).unwrap();
    assert!(running.await.unwrap().ends_with("held"));
    timeout(PATIENCE, served.server).await.expect("stops").unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
}

/// The same without a request.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

fn http2_only() -> ListenerSettings {
    let start_timeout = Duration::from_millis(100);
    ListenerSettings { versions: Versions::Http2, start_timeout, ..ListenerSettings::default() }
}

#[tokio::test]
async fn where_only_http2_is_spoken_its_beginning_has_to_come_in_time_and_nothing_else() {
    let served = served(http2_only()).await;
    for beginning in [&b""[..], &HTTP2_PREFACE[..20], &HTTP2_PREFACE[..32]] {
        let mut connection = TcpStream::connect(served.address).await.unwrap();
        connection.write_all(beginning).await.unwrap();
        read(&mut connection).await;
    }
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(HTTP2_PREFACE).await.unwrap();
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_millis(500), idle.read_to_end(&mut answer)).await;
    assert!(ended.is_err() && !answer.is_empty(), "a caller may connect long before it calls");
    assert!(send(served.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.find("HTTP/1.1 200").is_none());
}

#[tokio::test]
async fn a_handshake_that_is_not_finished_in_time_is_dropped() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_no_client_auth().with_single_cert(vec![issued.cert.der().clone()], key.into()).unwrap();
    let served = served(ListenerSettings { tls: Some(Arc::new(tls)), ..http2_only() }).await;
    // Half of a record that says it is longer.
    for beginning in [&b""[..], &b"\x16\x03\x01\x02\x00\x01\x00\x01"[..]] {
        let mut connection = TcpStream::connect(served.address).await.unwrap();
        connection.write_all(beginning).await.unwrap();
        assert_eq!(read(&mut connection).await, "");
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_caller_that_is_frozen() {
    let served = served(http2_only()).await;
    let mut frozen = TcpStream::connect(served.address).await.unwrap();
    frozen.write_all(HTTP2_REQUEST).await.unwrap();
    frozen.read_exact(&mut [0; 9]).await.unwrap();
    served.stop.cancel();
    // It never answers the PING with which h2 finds out that its GOAWAY has arrived (RFC 9113, section 6.8).
    timeout(PATIENCE, served.server).await.expect("stops").unwrap();
}

#[tokio::test]
async fn before_a_stop_callers_of_http1_are_sent_elsewhere_and_still_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), Stop::default());
    let router = Router::new().route("/", get(async || "here"));
    let server = tokio::spawn(serve(listener, router, ListenerSettings::default(), stop.clone()));
    stop.leaving.cancel();
    for _ in 0..2 {
        let answer = send(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    }
    assert!(!server.is_finished());
    stop.stop.cancel();
    timeout(PATIENCE, server).await.expect("stops").unwrap();
}

/// The head of a request and the first byte of its body, which never ends.
async fn owe_a_body(address: SocketAddr) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx").await.unwrap();
    connection
}

#[tokio::test]
async fn who_owes_the_rest_of_a_request_makes_room_after_who_is_idle() {
    let served = served(ListenerSettings { connections_max: 2, ..ListenerSettings::default() }).await;
    let mut owing = owe_a_body(served.address).await;
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 12]).await.unwrap();
    // The idle one makes room for the third, and with two that owe a body, one of them for the fourth.
    let _third = owe_a_body(served.address).await;
    read(&mut idle).await;
    let answer = send(served.address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.ends_with("here"), "{answer}");
    assert_eq!(read(&mut owing).await, "");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_request_that_never_ends() {
    let served = served(ListenerSettings::default()).await;
    let mut owing = owe_a_body(served.address).await;
    assert!(send(served.address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.ends_with("here"));
    served.stop.cancel();
    timeout(PATIENCE, served.server).await.expect("stops").unwrap();
    read(&mut owing).await;
}

#[tokio::test]
async fn a_stop_waits_for_a_caller_that_is_slow_but_takes_its_answer() {
    let served = served(ListenerSettings::default()).await;
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    slow.read_exact(&mut [0; 12]).await.unwrap();
    served.stop.cancel();
    let (mut read, mut piece) = (12, vec![0; LARGE / 32]);
    for _ in 0..12 {
        // Longer in all than a frozen caller is waited for.
        tokio::time::sleep(Duration::from_millis(500)).await;
        slow.read_exact(&mut piece).await.expect("what was taken on is answered");
        read += piece.len();
    }
    let mut rest = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(read + rest.len() > LARGE);
    timeout(PATIENCE, served.server).await.expect("stops").unwrap();
}
