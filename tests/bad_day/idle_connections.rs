//! Thousands of connections on which nothing happens, and such that take all the time of the world.

use std::{fs, time::Duration};

use signet_test_support::Engine;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::sleep};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::{
    attacker::{Attack, Siege, connect, many_files, until_closed},
    http2,
    service::{EMAIL, Service, skipped},
};

/// On each of two listeners; a quarter of them on the third.
const IDLE: usize = 1600;
const BOUND: usize = 1000;
/// Files that this process has to be allowed for that.
const FILES: u64 = 8192;
/// Connections where it is not.
const FEW: usize = BOUND / 5;
/// Time between two bytes of who takes its time.
const DRIP: Duration = Duration::from_millis(100);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_idle_connections_keep_nobody_out() {
    let Some(service) = Service::on(Engine::Sqlite).await else { return };
    let files = many_files();
    let count = if files > FILES { IDLE } else { FEW };
    if count < IDLE {
        let why = format!(
            "a process may open {files} files only, and {FILES} are needed; {count} connections stand for them"
        );
        skipped("thousands of idle connections", &why);
    }
    let bound = (count * BOUND / IDLE).to_string();
    let settings = [format!("--grpc-connections={bound}"), format!("--rest-connections={bound}")];
    let siege = Siege::of(&service, &[&settings[0], &settings[1]]).await;
    let mut idle = Vec::new();
    for number in 0..count {
        let mut known = TcpStream::connect(&siege.replica.grpc).await.unwrap();
        // Some of them have said hello.
        if number % 2 == 0 {
            let _ = known.write_all(&http2::beginning()).await;
        }
        idle.push(known);
        idle.push(TcpStream::connect(&siege.replica.rest).await.unwrap());
        if number % 4 == 0 {
            idle.push(TcpStream::connect(&siege.replica.ops).await.unwrap());
        }
    }
    // New callers and health checks as well as those who were there before.
    let newcomer = service.back_end(&siege.replica.grpc);
    newcomer.sign_in(EMAIL).await.unwrap();
    assert_eq!(crate::calls::get(&siege.replica.ops, "/readyz").await.unwrap().0, 200);
    assert_eq!(crate::calls::get(&siege.replica.rest, "/api/v1/openapi.json").await.unwrap().0, 200);
    siege.goes_on().await;
    let most = 2 * bound.parse::<usize>().unwrap() + 256 + 100;
    assert!(siege.replica.open_files() < most, "{} of {most}", siege.replica.open_files());
    drop(idle);
    drop(newcomer);
    siege.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_a_byte_at_a_time_is_hung_up_on() {
    let Some(service) = Service::on(Engine::Sqlite).await else { return };
    let siege = Siege::of(&service, &["--grpc-handshake-timeout=2s", "--rest-header-timeout=2s"]).await;
    let addresses = [&siege.replica.grpc, &siege.replica.rest, &siege.replica.ops].map(Clone::clone);
    let attack = Attack::start(60, move |number| {
        let address = addresses[number % 3].clone();
        async move {
            let Some(mut connection) = connect(&address).await else { return };
            let beginning = if number % 3 == 0 { "PRI * HTTP/2.0" } else { "GET /livez HTTP/1.1\r\nx-slow: " };
            let forever = std::iter::repeat(b'x');
            for byte in beginning.bytes().chain(forever) {
                if connection.write_all(&[byte]).await.is_err() {
                    return;
                }
                sleep(DRIP).await;
            }
        }
    });
    attack.rounds(60).await;
    siege.goes_on().await;
    attack.stop().await;
    siege.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_are_broken_off_or_never_end_keep_nobody_out() {
    let Some(service) = Service::on(Engine::Sqlite).await else { return };
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(service.path("certificate.pem"), issued.cert.pem()).unwrap();
    fs::write(service.path("key.pem"), issued.signing_key.serialize_pem()).unwrap();
    let tls = ["--grpc-tls-cert=certificate.pem", "--grpc-tls-key=key.pem", "--grpc-handshake-timeout=2s"];
    let replica = service.replica(&[&tls[..], &["--grpc-connections=100"]].concat());
    let trusted = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(issued.cert.pem()));
    let endpoint = || {
        let endpoint = Endpoint::from_shared(format!("https://{}", replica.grpc)).unwrap();
        endpoint.tls_config(trusted.clone().domain_name("localhost")).unwrap()
    };
    let early = service.back_end(&replica.grpc).over(endpoint().connect().await.unwrap());
    early.sign_in(EMAIL).await.unwrap();
    let (before, memory_mib) = (replica.open_sockets(), replica.memory_mib());

    let address = replica.grpc.clone();
    let attack = Attack::start(150, move |number| {
        let address = address.clone();
        async move {
            let Some(mut connection) = connect(&address).await else { return };
            // The head of a handshake that says it goes on.
            let _ = connection.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await;
            if number % 2 == 0 {
                until_closed(connection).await;
            }
        }
    });
    attack.rounds(1000).await;
    for _ in 0..5 {
        early.sign_in(EMAIL).await.unwrap();
        let newcomer = early.over(endpoint().connect().await.unwrap());
        newcomer.sign_in(EMAIL).await.unwrap();
    }
    assert!(replica.memory_mib() < memory_mib + crate::attacker::MEMORY_MIB_MAX);
    attack.stop().await;
    replica.wait_for_open_sockets(before + 8).await;
    drop(early);
    assert_eq!(replica.running.terminate().code, 0);
}
