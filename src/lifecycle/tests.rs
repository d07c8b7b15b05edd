use std::{
    convert::Infallible,
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::process::{Pid, Signal, kill_process};

use super::*;

const LONG: Duration = Duration::from_mins(1);
/// Set for the process that does not stop.
const STUBBORN: &str = "LIFECYCLE_TEST_STUBBORN";

#[tokio::test]
async fn a_stop_waits_for_the_parts_and_ends_the_watchers_last() {
    let shutdown = Shutdown::new();
    let served = Arc::new(AtomicBool::new(false));
    let (stop, done) = (shutdown.token(), Arc::clone(&served));
    shutdown.spawn("server", async move {
        stop.cancelled().await;
        time::sleep(Duration::from_millis(50)).await;
        done.store(true, Ordering::SeqCst);
        Ok::<_, Infallible>(())
    });
    let (stop, served_before) = (shutdown.last_token(), Arc::clone(&served));
    shutdown.spawn_last("watcher", async move {
        stop.cancelled().await;
        if served_before.load(Ordering::SeqCst) { Ok(()) } else { Err("told to stop too early") }
    });

    shutdown.token().cancel();
    let ended = shutdown.finish(LONG).await;
    assert_eq!((ended.drain, ended.exit_code()), (Drain::Drained, 0), "{:?}", ended.failure);
    assert!(served.load(Ordering::SeqCst));
}

/// Says when it is dropped.
struct Told(Arc<AtomicBool>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_part_that_does_not_stop_is_cut_off_at_the_deadline() {
    let shutdown = Shutdown::new();
    let dropped = Arc::new(AtomicBool::new(false));
    let told = Told(Arc::clone(&dropped));
    shutdown.spawn("stubborn", async move {
        let _told = told;
        std::future::pending::<Result<(), Infallible>>().await
    });
    shutdown.token().cancel();
    let ended = shutdown.finish(Duration::from_millis(20)).await;
    assert_eq!((ended.drain, ended.exit_code()), (Drain::TimedOut, 1));
    time::timeout(LONG, async {
        while !dropped.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the task is dropped");
}

#[tokio::test]
async fn a_part_that_panics_fails_or_ends_early_stops_the_process_with_a_failure() {
    type Part = fn(&Shutdown);
    let parts: [(Part, &str); 4] = [
        (|s| s.spawn("mail", async { panic!("a bug") as Result<(), Infallible> }), "mail panicked"),
        (|s| s.spawn("mail", async { Err("broken") }), "mail failed"),
        (|s| s.spawn("mail", async { Ok::<_, Infallible>(()) }), "mail ended before it was told to"),
        (|s| s.spawn_last("ops", async { Ok::<_, Infallible>(()) }), "ops ended before it was told to"),
    ];
    for (spawn, text) in parts {
        let shutdown = Shutdown::new();
        let stop = shutdown.token();
        shutdown.spawn("healthy", async move {
            stop.cancelled().await;
            Ok::<_, Infallible>(())
        });
        spawn(&shutdown);
        let ended = time::timeout(LONG, shutdown.finish(LONG)).await.expect("the failure stops the process");
        assert_eq!(ended.exit_code(), 1);
        assert_eq!(ended.failure.unwrap().to_string(), text);
    }
}

#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
#[expect(clippy::print_stdout, reason = "read by the test that started this process")]
async fn a_process_with_a_part_that_does_not_stop() {
    // `--include-ignored` must not hang.
    if env::var_os(STUBBORN).is_none() {
        return;
    }
    let shutdown = Shutdown::new();
    shutdown.listen_to_signals(Duration::ZERO).unwrap();
    shutdown.spawn("stubborn", std::future::pending::<Result<(), Infallible>>());
    let stop = shutdown.token();
    println!("\nready");
    tokio::spawn(async move {
        stop.cancelled().await;
        println!("\nstopping");
    });
    shutdown.finish(LONG).await;
}

#[test]
fn the_first_signal_stops_gently_and_the_second_at_once() {
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["--exact", "lifecycle::tests::a_process_with_a_part_that_does_not_stop", "--ignored", "--nocapture"])
        .env(STUBBORN, "")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_child(&process);
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut wait_for = |word: &str| assert!(lines.any(|line| line.unwrap() == word), "the process says {word}");

    wait_for("ready");
    kill_process(pid, Signal::TERM).unwrap();
    wait_for("stopping");
    assert!(process.try_wait().unwrap().is_none(), "the first signal waits for the parts");
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(130));
}
