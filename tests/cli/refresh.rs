//! Refreshes over a network that loses replies, by processes that are killed.

use std::{
    collections::BTreeSet,
    env,
    hash::{BuildHasher as _, RandomState},
    thread,
    time::Duration,
};

use rstest::rstest;
use signet::random::Random;
use signet_test_support::Engine;
use tonic::{Code, Status};

use crate::{
    calls::BackEnd,
    installation::{EMAIL, Installation, PASSWORD, Replica, SessionRow},
    severing_proxy::{self, Cut},
};

const REFRESHES: u32 = 200;
/// One refresh in so many is killed.
const REFRESHES_PER_KILL: u32 = 6;
/// Variable with the seed of a run that is to be repeated.
const SEED_VARIABLE: &str = "SIGNET_TEST_SEED";

async fn first_token(back_end: &mut BackEnd) -> String {
    back_end.authenticate_password(EMAIL, PASSWORD).await.unwrap().tokens.unwrap().refresh_token
}

/// Whether that is no answer of the service: the caller does not know what became of its request.
fn is_connection_lost(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.details().is_empty()
}

#[rstest]
#[tokio::test]
async fn a_reply_that_is_cut_on_the_wire_is_given_again(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
    #[values(Cut::BeforeTheReply, Cut::WithinTheMessage)] cut: Cut,
) {
    let Some(installation) = Installation::set_up(engine).await else { return };
    let replica = installation.start_replica();
    let mut direct = installation.connect(replica.address()).await;
    let token = first_token(&mut direct).await;
    assert_eq!(installation.session_row().await.generation, 1);

    let proxy = severing_proxy::start(replica.address(), cut).await;
    let lost = installation.connect(&proxy).await.refresh(&token).await.unwrap_err();
    assert!(is_connection_lost(&lost), "{lost:?}");
    let refreshed = SessionRow { generation: 2, is_revoked: false };
    assert_eq!(installation.session_row().await, refreshed, "the service had done its part");

    let successor = direct.refresh(&token).await.unwrap();
    assert_ne!(successor, token);
    assert_eq!(direct.refresh(&token).await.unwrap(), successor);
    assert_eq!(installation.session_row().await, refreshed, "a repetition moves nothing on");
    direct.refresh(&successor).await.unwrap();
    assert_eq!(installation.session_row().await, SessionRow { generation: 3, is_revoked: false });
}

/// The service that answered may be gone, or a load balancer chooses another one for the second try.
#[rstest]
#[tokio::test]
async fn a_reply_that_is_cut_on_the_wire_is_given_again_by_any_other_replica(
    #[values(Cut::BeforeTheReply, Cut::WithinTheMessage)] cut: Cut,
) {
    let Some(installation) = Installation::set_up(Engine::Postgres).await else { return };
    let (first, mut second, mut third) =
        (installation.start_replica(), start_replica(&installation).await, start_replica(&installation).await);
    let token = first_token(&mut third.1).await;
    let proxy = severing_proxy::start(first.address(), cut).await;
    let lost = installation.connect(&proxy).await.refresh(&token).await.unwrap_err();
    assert!(is_connection_lost(&lost), "{lost:?}");
    let refreshed = SessionRow { generation: 2, is_revoked: false };
    assert_eq!(installation.session_row().await, refreshed, "the first had done its part");

    let successor = second.1.refresh(&token).await.unwrap();
    assert_ne!(successor, token);
    first.kill();
    assert_eq!(third.1.refresh(&token).await.unwrap(), successor);
    assert_eq!(installation.session_row().await, refreshed, "a repetition moves nothing on");
    assert_eq!(installation.events("refresh.repeated").await, 2);
    third.1.refresh(&successor).await.unwrap();
    assert_eq!(installation.session_row().await, SessionRow { generation: 3, is_revoked: false });
}

#[rstest]
#[case::one_process(Engine::Sqlite, 1)]
#[case::three_replicas(Engine::Postgres, 3)]
#[tokio::test]
async fn a_client_loses_nothing_by_processes_that_are_killed(#[case] engine: Engine, #[case] replicas: usize) {
    let seed = env::var(SEED_VARIABLE).map_or_else(|_| RandomState::new().hash_one(()), |seed| seed.parse().unwrap());
    #[expect(clippy::print_stdout, reason = "shown with a failure, which the seed may bring back")]
    {
        println!("{SEED_VARIABLE}={seed}");
    }
    let Some(installation) = Installation::set_up(engine).await else { return };
    let mut client = Client::start(&installation, replicas, Random::seeded(seed)).await;
    let mut seen = BTreeSet::from([client.token.clone()]);
    for _ in 0..REFRESHES {
        client.refresh().await;
        assert!(seen.insert(client.token.clone()), "a token that had been there before");
    }
    let Client { kills, lost, .. } = client;
    assert!(lost > 0, "none of {kills} kills hit a refresh");
    // The client asks twice after a loss: both are repetitions if the commit had been made, else the second.
    let repeated = installation.events("refresh.repeated").await;
    assert!((lost..=2 * lost).contains(&repeated), "{repeated} repetitions after {lost} losses");
    assert_eq!(installation.events("refresh.reused").await, 0);
    let generation = i32::try_from(REFRESHES).unwrap() + 1;
    assert_eq!(installation.session_row().await, SessionRow { generation, is_revoked: false });
}

/// A client that keeps its last token, and asks another replica when a connection is lost.
struct Client<'a> {
    installation: &'a Installation,
    replicas: Vec<(Replica, BackEnd)>,
    /// How many there are as long as none is killed.
    count: usize,
    random: Random,
    token: String,
    /// A kill comes within this time. Follows what a refresh takes, so that about every second kill hits one.
    kill_within: Duration,
    kills: u32,
    lost: i64,
}

impl<'a> Client<'a> {
    async fn start(installation: &'a Installation, count: usize, random: Random) -> Self {
        let mut replicas = Vec::new();
        for _ in 0..count {
            replicas.push(start_replica(installation).await);
        }
        let token = first_token(&mut replicas[0].1).await;
        Self { installation, replicas, count, random, token, kill_within: Duration::from_millis(10), kills: 0, lost: 0 }
    }

    /// Refreshes once, by any replica, which may be killed meanwhile.
    async fn refresh(&mut self) {
        if self.random.below(REFRESHES_PER_KILL) > 0 {
            self.token = self.call().await.unwrap();
            return;
        }
        let (replica, mut back_end) = self.replicas.swap_remove(self.any_replica());
        let delay = self.kill_within * self.random.below(1000) / 1000;
        let kill = tokio::task::spawn_blocking(move || {
            thread::sleep(delay);
            replica.kill();
        });
        let (answer, killed) = tokio::join!(back_end.refresh(&self.token), kill);
        killed.unwrap();
        self.kills += 1;
        if self.replicas.is_empty() {
            self.replicas.push(start_replica(self.installation).await);
        }
        match answer {
            Ok(successor) => {
                self.kill_within = self.kill_within * 3 / 4;
                self.token = successor;
            }
            Err(lost) => {
                assert!(is_connection_lost(&lost), "the client was refused: {lost:?}");
                self.lost += 1;
                self.kill_within = self.kill_within * 4 / 3;
                let successor = self.call().await.unwrap();
                assert_eq!(self.call().await.unwrap(), successor, "one successor");
                self.token = successor;
            }
        }
        if self.replicas.len() < self.count {
            self.replicas.push(start_replica(self.installation).await);
        }
    }

    async fn call(&mut self) -> Result<String, Box<Status>> {
        let replica = self.any_replica();
        self.replicas[replica].1.refresh(&self.token).await
    }

    fn any_replica(&self) -> usize {
        let count = u32::try_from(self.replicas.len()).unwrap();
        usize::try_from(self.random.below(count)).unwrap()
    }
}

async fn start_replica(installation: &Installation) -> (Replica, BackEnd) {
    let replica = installation.start_replica();
    let back_end = installation.connect(replica.address()).await;
    (replica, back_end)
}
