//! The promise that a private PostgreSQL cluster never outlives the tests.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test; its second process reports on standard output")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, test_kill_process};
use signet_test_support::{Engine, TestDatabase};
use url::Url;

const CHILD_VARIABLE: &str = "SIGNET_TEST_CLUSTER_CHILD";
const MARKER: &str = "directory of the cluster: ";

/// The test runs itself a second time, as a process that starts a cluster and waits to be killed.
#[tokio::test]
async fn a_killed_test_process_leaves_no_cluster_behind() {
    if env::var_os(CHILD_VARIABLE).is_some() {
        return start_a_cluster_and_wait_to_be_killed().await;
    }
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_killed_test_process_leaves_no_cluster_behind", "--nocapture"])
        .env(CHILD_VARIABLE, "1")
        .env_remove("TEST_DATABASE_URL")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let directory = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(PathBuf::from(line.split_once(MARKER)?.1)));
    let Some(directory) = directory else {
        // There is no PostgreSQL here, as the child has said. With `CI=true` it has failed, and so does this test.
        assert!(child.wait().unwrap().success());
        return;
    };
    let server = postmaster(&directory);
    test_kill_process(server).expect("the cluster runs while the test does");

    // SIGKILL: no destructor and no signal handler of the test process runs any more.
    child.kill().unwrap();
    child.wait().unwrap();

    let deadline = Instant::now() + Duration::from_secs(20);
    while directory.exists() || test_kill_process(server).is_ok() {
        assert!(Instant::now() < deadline, "{} or process {server:?} is still there", directory.display());
        thread::sleep(Duration::from_millis(20));
    }
}

async fn start_a_cluster_and_wait_to_be_killed() {
    let Some(database) = TestDatabase::from_template(Engine::Postgres, async |_| {}).await else { return };
    let url: Url = database.url().parse().unwrap();
    let (_, directory) = url.query_pairs().find(|(key, _)| key == "host").unwrap();
    println!("{MARKER}{directory}");
    std::io::stdout().flush().unwrap();
    thread::sleep(Duration::from_mins(1));
    panic!("nobody killed this process");
}

fn postmaster(directory: &Path) -> Pid {
    let file = fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
    Pid::from_raw(file.lines().next().unwrap().parse().unwrap()).unwrap()
}
