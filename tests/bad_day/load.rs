//! Honest callers who go on, whatever happens.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;
use tonic::Status;

use crate::{
    calls::{BackEnd, DEADLINE, SignedIn},
    service::{EMAIL, eventually},
};

/// What a caller does before it calls again.
const PAUSE: Duration = Duration::from_millis(20);

/// One who signs in, one who refreshes, one who creates users and one who checks a token, each again and again.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    callers: [Caller; 4],
    sessions: Arc<Mutex<Vec<String>>>,
    users: Arc<Mutex<Vec<(String, bool)>>>,
    refreshed: SignedIn,
}

/// What the callers were answered.
pub(crate) struct Done {
    /// What was refreshed all the time.
    pub(crate) refreshed: SignedIn,
    /// Ids of all sessions that were opened.
    pub(crate) sessions: Vec<String>,
    /// Names of users, and whether their creation was answered with success.
    pub(crate) users: Vec<(String, bool)>,
}

struct Caller {
    name: &'static str,
    successes: Arc<AtomicU32>,
    failures: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

/// What a failed call has to look like.
pub(crate) type Tolerated = fn(&Status);

/// For days on which no call may fail.
#[track_caller]
pub(crate) fn nothing(status: &Status) {
    panic!("an honest caller was refused: {status:?}");
}

impl Load {
    /// Starts the callers, who fail the test if a call fails otherwise than tolerated.
    pub(crate) async fn start(back_end: &BackEnd, tolerated: Tolerated) -> Self {
        let (refreshed, checked) = (back_end.sign_in(EMAIL).await.unwrap(), back_end.sign_in(EMAIL).await.unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let sessions = Arc::new(Mutex::new(vec![refreshed.session_id.clone(), checked.session_id.clone()]));
        let users = Arc::new(Mutex::new(Vec::new()));
        let caller = |name| (name, Arc::clone(&stop), tolerated);

        let (client, opened) = (back_end.clone(), Arc::clone(&sessions));
        let sign_in = repeat(caller("sign in"), move |_| {
            let (client, opened) = (client.clone(), Arc::clone(&opened));
            async move {
                let signed_in = client.sign_in(EMAIL).await?;
                opened.lock().unwrap().push(signed_in.session_id);
                Ok(())
            }
        });
        let (client, token) = (back_end.clone(), Arc::new(Mutex::new(refreshed.refresh_token.clone())));
        let refresh = repeat(caller("refresh"), move |_| {
            let (client, token) = (client.clone(), Arc::clone(&token));
            async move {
                let presented = token.lock().unwrap().clone();
                let successor = client.refresh(&presented).await?;
                *token.lock().unwrap() = successor;
                Ok(())
            }
        });
        let (client, created) = (back_end.clone(), Arc::clone(&users));
        let create = repeat(caller("create a user"), move |number| {
            let (client, created) = (client.clone(), Arc::clone(&created));
            async move {
                let name = format!("user{number}");
                let answer = client.create_user(&name).await;
                created.lock().unwrap().push((name, answer.is_ok()));
                answer.map(drop)
            }
        });
        let client = back_end.clone();
        let check = repeat(caller("check a token"), move |_| {
            let (client, token) = (client.clone(), checked.access_token.clone());
            async move { client.check(&token).await }
        });
        Self { stop, callers: [sign_in, refresh, create, check], sessions, users, refreshed }
    }

    /// Waits until every caller has had that many more calls answered with success.
    pub(crate) async fn successes(&self, count: u32) {
        self.wait(count, |caller| &caller.successes).await;
    }

    /// Waits until every caller has had that many more calls refused.
    pub(crate) async fn failures(&self, count: u32) {
        self.wait(count, |caller| &caller.failures).await;
    }

    async fn wait(&self, count: u32, counter: fn(&Caller) -> &AtomicU32) {
        let goals: Vec<_> =
            self.callers.iter().map(|caller| counter(caller).load(Ordering::SeqCst).saturating_add(count)).collect();
        for (caller, goal) in self.callers.iter().zip(goals) {
            eventually(caller.name, async || {
                assert!(!caller.task.is_finished(), "`{}` has failed", caller.name);
                counter(caller).load(Ordering::SeqCst) >= goal
            })
            .await;
        }
    }

    /// Lets the callers finish; fails if one of them had reason to.
    pub(crate) async fn finish(self) -> Done {
        self.stop.store(true, Ordering::SeqCst);
        for caller in self.callers {
            caller.task.await.unwrap();
        }
        let (sessions, users) = (self.sessions.lock().unwrap().clone(), self.users.lock().unwrap().clone());
        Done { refreshed: self.refreshed, sessions, users }
    }
}

fn repeat<A>(
    (name, stop, tolerated): (&'static str, Arc<AtomicBool>, Tolerated),
    mut call: impl FnMut(u32) -> A + Send + 'static,
) -> Caller
where
    A: Future<Output = Result<(), Status>> + Send,
{
    let (successes, failures) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (good, bad) = (Arc::clone(&successes), Arc::clone(&failures));
    let task = tokio::spawn(async move {
        for number in 0.. {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let started = Instant::now();
            match call(number).await {
                Ok(()) => good.fetch_add(1, Ordering::SeqCst),
                Err(status) => {
                    tolerated(&status);
                    bad.fetch_add(1, Ordering::SeqCst)
                }
            };
            assert!(started.elapsed() < DEADLINE, "`{name}` hung");
            tokio::time::sleep(PAUSE).await;
        }
    });
    Caller { name, successes, failures, task }
}
