//! What HTTP/2 lets a caller do very often, and bodies that are too large.

use std::io::ErrorKind;

use rstest::rstest;
use signet_test_support::{Engine, process::PATIENCE};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    attacker::{Attack, Siege, connect, drain},
    calls::BackEnd,
    http2::{self, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, frame},
    service::Service,
};

const ATTACKERS: usize = 8;
const PATH: &str = "/auth.v1.AuthService/AuthenticatePassword";
/// Most bytes of one flood on one connection.
const FLOOD_BYTES: usize = 4 * 1024 * 1024;

/// Begins a connection of HTTP/2 and writes that again and again; tells whether the service hung up before it was enough.
async fn flood(address: String, first: Vec<u8>, mut next: impl FnMut(u32) -> Vec<u8>) -> bool {
    let Some(connection) = connect(&address).await else { return true };
    let (from, mut to) = connection.into_split();
    let reader = tokio::spawn(drain(from));
    let mut written = 0;
    let mut bytes = [http2::beginning(), first].concat();
    for number in 0.. {
        if written > FLOOD_BYTES || to.write_all(&bytes).await.is_err() {
            break;
        }
        written += bytes.len();
        // Many at a time: an attacker does not wait either.
        bytes = (0..64).flat_map(|offset| next(number * 64 + offset)).collect();
    }
    reader.abort();
    written <= FLOOD_BYTES
}

/// A service, which owns its database, a siege of one replica, and an honest caller.
async fn besieged() -> Option<(Service, Siege, BackEnd)> {
    let service = Service::on(Engine::Sqlite).await?;
    let siege = Siege::of(&service, &[]).await;
    let back_end = service.back_end(&siege.replica.grpc);
    Some((service, siege, back_end))
}

/// CVE-2023-44487.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_at_once_cost_little() {
    let Some((_service, siege, back_end)) = besieged().await else { return };
    let (address, block) = (siege.replica.grpc.clone(), http2::call(PATH, back_end.authorization()));
    let attack = Attack::start(ATTACKERS, move |_| {
        let (address, block) = (address.clone(), block.clone());
        async move {
            let next = move |number| {
                let stream = 2 * number + 1;
                let request = frame(HEADERS, END_HEADERS, stream, &block);
                [request, frame(RST_STREAM, 0, stream, &http2::CANCEL)].concat()
            };
            assert!(flood(address, Vec::new(), next).await, "it is not hung up on");
        }
    });
    attack.rounds(2 * ATTACKERS).await;
    siege.goes_on().await;
    attack.stop().await;
    siege.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_without_end_cost_little() {
    let Some((_service, siege, back_end)) = besieged().await else { return };
    let block = http2::call(PATH, back_end.authorization());
    // Headers that never end are hung up on; the others are answered as fast as the caller reads the answers.
    for (first, next, is_hung_up_on) in [
        (frame(HEADERS, 0, 1, &block), frame(CONTINUATION, 0, 1, &[]), true),
        (frame(HEADERS, 0, 1, &block), frame(CONTINUATION, 0, 1, &[0x40, 0x01, b'a', 0x01, b'b'].repeat(2000)), true),
        (Vec::new(), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]), false),
        (Vec::new(), frame(PING, 0, 0, b"ping ..."), false),
        (frame(HEADERS, END_HEADERS, 1, &block), frame(DATA, 0, 1, &[]), false),
    ] {
        let address = siege.replica.grpc.clone();
        let attack = Attack::start(ATTACKERS, move |_| {
            let (address, first, next) = (address.clone(), first.clone(), next.clone());
            async move {
                let hung_up = flood(address, first, move |_| next.clone()).await;
                assert!(hung_up || !is_hung_up_on, "it is not hung up on");
            }
        });
        attack.rounds(ATTACKERS).await;
        siege.goes_on().await;
        attack.stop().await;
    }
    siege.ends().await;
}

/// As many calls as a connection may have, each with as much of its message as it may have and no end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_messages_that_do_not_end_cost_what_they_may() {
    let Some((_service, siege, back_end)) = besieged().await else { return };
    // Who shows no credentials is refused before its message is read.
    for (authorization, connections) in [("Basic bm9ib2R5Om5vYm9keQ==", 20), (back_end.authorization(), 40)] {
        let block = http2::call(PATH, authorization);
        let mut held = Vec::new();
        for _ in 0..connections {
            let (from, mut to) = TcpStream::connect(&siege.replica.grpc).await.unwrap().into_split();
            tokio::spawn(drain(from));
            to.write_all(&http2::beginning()).await.unwrap();
            for stream in (1..400).step_by(2) {
                let mut bytes = frame(HEADERS, END_HEADERS, stream, &block);
                // The head of a message of 60 kB (its length after a byte for compression), and a part of it.
                let message = [&[0, 0, 0, 0xea, 0x60][..], &[b'x'; 4000]].concat();
                bytes.extend(frame(DATA, 0, stream, &message));
                let _ = to.write_all(&bytes).await;
            }
            held.push(to);
        }
        siege.goes_on().await;
    }
    siege.ends().await;
}

/// What needs no credentials: neither does room have to be made for what a caller says it will send, nor is it waited for.
#[rstest]
#[case::larger_than_names_are("/grpc.health.v1.Health/Check", 1024 * 1024)]
#[case::larger_in_reflection("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", 1024 * 1024)]
#[case::never_ending("/grpc.health.v1.Health/Check", 100)]
#[case::never_ending_to_watch("/grpc.health.v1.Health/Watch", 100)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_message_to_what_is_open_to_everybody_is_answered(#[case] path: &str, #[case] announced: u32) {
    let Some(service) = Service::on(Engine::Sqlite).await else { return };
    let replica = service.replica(&["--grpc-deadline=2s"]);
    let mut connection = TcpStream::connect(&replica.grpc).await.unwrap();
    let message = [&[0][..], &announced.to_be_bytes(), b"half"].concat();
    let call = [frame(HEADERS, END_HEADERS, 1, &http2::call(path, "")), frame(DATA, 0, 1, &message)].concat();
    connection.write_all(&[http2::beginning(), call].concat()).await.unwrap();
    let status = async {
        let mut head = [0; 9];
        loop {
            connection.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            connection.read_exact(&mut payload).await.unwrap();
            if head[3] == RST_STREAM || (head[3] == HEADERS && head[4] & END_STREAM != 0) {
                return;
            }
        }
    };
    timeout(PATIENCE, status).await.expect("the call comes to its end");
    assert_eq!(replica.running.terminate().code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_and_headers_that_are_too_large_are_refused() {
    let Some((_service, siege, back_end)) = besieged().await else { return };
    let authorization = back_end.authorization();
    let large = "x".repeat(8 * 1024 * 1024);
    let head = format!("POST /api/v1/users HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n");
    let rest = siege.replica.rest.clone();
    let ops = siege.replica.ops.clone();
    let header = "x".repeat(64 * 1024);
    for (address, request, status, is_unread) in [
        (&rest, format!("{head}content-length: {}\r\n\r\n", large.len()), "413", false),
        (&rest, format!("{head}content-length: {}\r\n\r\n{large}", large.len()), "413", true),
        (&rest, format!("{head}transfer-encoding: chunked\r\n\r\n800000\r\n{large}\r\n0\r\n\r\n"), "413", true),
        (&rest, format!("GET / HTTP/1.1\r\nhost: x\r\nx-large: {header}\r\n\r\n"), "431", true),
        (&ops, format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-large: {header}\r\n\r\n"), "431", true),
        (&ops, "POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n".to_owned(), "405", false),
    ] {
        let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
        // The service may hang up before it has all of it.
        let writer = tokio::spawn(async move {
            let _ = to.write_all(request.as_bytes()).await;
            to
        });
        let mut answer = [0; 12];
        match from.read_exact(&mut answer).await {
            Ok(_) => assert_eq!(String::from_utf8_lossy(&answer[9..]), status),
            // Hanging up with bytes unread, the system may throw away an answer that was written.
            Err(error) => assert!(is_unread && error.kind() == ErrorKind::ConnectionReset, "{status}: {error}"),
        }
        drop((writer.await, from));
    }
    let refused = back_end.authenticate_password("ada@example.com", &large).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused:?}");
    siege.ends().await;
}
