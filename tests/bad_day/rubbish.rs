//! Bytes that mean nothing, on every listener.

use rstest::rstest;
use signet::random::Random;
use signet_test_support::Engine;
use tokio::io::AsyncWriteExt as _;

use crate::{
    attacker::{Attack, Siege, connect, drain},
    http2,
    service::Service,
};

const ATTACKERS: usize = 24;
const SEED: u64 = 20_261_122;

#[derive(Clone, Copy, Debug)]
enum Rubbish {
    AfterTheBeginningOfHttp2,
    AfterTheHeadOfARequest,
    AfterTheHeadOfATlsRecord,
    Plain,
    WellFormedHttp1,
}

impl Rubbish {
    fn beginning(self) -> Vec<u8> {
        match self {
            Self::AfterTheBeginningOfHttp2 => http2::beginning(),
            Self::AfterTheHeadOfARequest => b"POST /api/v1/users HTTP/1.1\r\n".to_vec(),
            Self::AfterTheHeadOfATlsRecord => b"\x16\x03\x01\x02\x00\x01".to_vec(),
            Self::Plain => Vec::new(),
            Self::WellFormedHttp1 => b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        }
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_breaks_nothing(
    #[values(
        Rubbish::AfterTheBeginningOfHttp2,
        Rubbish::AfterTheHeadOfARequest,
        Rubbish::AfterTheHeadOfATlsRecord,
        Rubbish::Plain,
        Rubbish::WellFormedHttp1
    )]
    rubbish: Rubbish,
) {
    let Some(service) = Service::on(Engine::Sqlite).await else { return };
    let siege = Siege::of(&service, &["--grpc-handshake-timeout=1s", "--rest-header-timeout=1s"]).await;
    let addresses = [&siege.replica.grpc, &siege.replica.rest, &siege.replica.ops].map(Clone::clone);
    let random = Random::seeded(SEED);
    let attack = Attack::start(ATTACKERS, move |number| {
        let (address, random) = (addresses[number % 3].clone(), random.clone());
        async move {
            let Some(connection) = connect(&address).await else { return };
            let (from, mut to) = connection.into_split();
            let mut bytes = rubbish.beginning();
            let length = random.below(2000);
            bytes.extend((0..length).map(|_| u8::try_from(random.below(256)).unwrap()));
            let _ = to.write_all(&bytes).await;
            // Half of them say that this is all.
            if number % 2 == 0 {
                let _ = to.shutdown().await;
                drain(from).await;
            }
        }
    });
    attack.rounds(20 * ATTACKERS).await;
    siege.goes_on().await;
    attack.stop().await;
    siege.ends().await;
}
