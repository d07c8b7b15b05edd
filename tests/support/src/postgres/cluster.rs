//! A PostgreSQL cluster of our own, started from the programs the system has, that never outlives the test process.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{fs::chown, process::CommandExt as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::Context as _;
use url::Url;

/// Runs the cluster until its standard input is closed; see there.
const SCRIPT: &str = include_str!("cluster.sh");
/// What the script answers when the server runs, and when it does not.
const READY: &[u8] = b"ready\n";
const DONE: &[u8] = b"done.\n";
/// Short, because the path of a Unix socket has 107 bytes at most, and open to every user, unlike some `TMPDIR`.
pub(super) const PARENT_DIRECTORY: &str = "/tmp";
/// Whom to be instead of root, which PostgreSQL refuses.
const UNPRIVILEGED_USERS: [&str; 2] = ["postgres", "nobody"];

/// A running cluster. It stops, and its directory goes, when the standard input of `keeper` is closed: at the latest
/// when the system closes the files of this process.
#[derive(Debug)]
pub(super) struct Cluster {
    directory: PathBuf,
    keeper: Child,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// Starts a cluster, with options of the server; `None` if the system has no PostgreSQL server programs.
    pub(super) fn start(options: &[&str]) -> anyhow::Result<Option<Self>> {
        let Some(programs) = programs() else { return Ok(None) };
        let temporary = tempfile::Builder::new().prefix("signet-pg-").tempdir_in(PARENT_DIRECTORY)?;

        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "cluster.sh"]).arg(&programs).arg(temporary.path()).args(options);
        // A group of its own, so that Ctrl-C reaches the tests only and the script can clean up after them.
        command.env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        if rustix::process::geteuid().is_root() {
            let (user, group) = unprivileged_user()?;
            chown(temporary.path(), Some(user), Some(group))?;
            command.uid(user).gid(group);
        }
        let mut keeper = command.spawn().context("starting /bin/sh")?;
        // From here on the script removes the directory.
        let directory = temporary.keep();

        let mut answers = BufReader::new(keeper.stdout.take().context("the output of the script is a pipe")?);
        let mut log = Vec::new();
        if answers.read_until(b'\n', &mut log).is_ok() && log == READY {
            return Ok(Some(Self { directory, keeper, answers }));
        }
        answers.read_to_end(&mut log)?;
        keeper.wait()?;
        anyhow::bail!(
            "cannot start a cluster with the programs in {}:\n{}",
            programs.display(),
            String::from_utf8_lossy(&log)
        )
    }

    /// Gives the script a command, and waits until it is done.
    pub(super) fn command(&mut self, command: &str) -> anyhow::Result<()> {
        let input = self.keeper.stdin.as_mut().context("the input of the script is a pipe")?;
        writeln!(input, "{command}")?;
        let mut answer = Vec::new();
        self.answers.read_until(b'\n', &mut answer)?;
        let is_done = answer == READY || answer == DONE;
        anyhow::ensure!(is_done, "{command}: {}", String::from_utf8_lossy(&answer));
        Ok(())
    }

    /// The first process of the server.
    pub(super) fn process_id(&self) -> anyhow::Result<u32> {
        let pid_file = fs::read_to_string(self.directory.join("data/postmaster.pid")).context("postmaster.pid")?;
        Ok(pid_file.lines().next().context("a line of postmaster.pid")?.parse()?)
    }

    /// URL of the database that every cluster has.
    pub(super) fn url(&self) -> Url {
        // Port and `sslmode` are the defaults, said so that variables such as `PGPORT` do not change them.
        format!("postgres://signet@localhost:5432/postgres?host={}&sslmode=disable", self.directory.display())
            .parse()
            .expect("the directory's name holds no character that is special in a URL")
    }
}

/// The directory of the server programs: where `initdb` of the `PATH` really is, else Debian's newest version.
fn programs() -> Option<PathBuf> {
    directory_with(&["initdb", "postgres"])
}

/// The directory of the programs that copy a database.
pub(crate) fn client_programs() -> Option<PathBuf> {
    directory_with(&["pg_dump", "pg_restore"])
}

/// Where the first of these programs in the `PATH` really is, else Debian's newest version; only with all of them.
fn directory_with(programs: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path)
        .filter_map(|directory| Some(fs::canonicalize(directory.join(programs[0])).ok()?.parent()?.to_owned()));

    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .collect();
    debian.sort();

    let has_all = |directory: &PathBuf| programs.iter().all(|program| directory.join(program).is_file());
    in_path.chain(debian.into_iter().rev().map(|(_, directory)| directory)).find(has_all)
}

/// Version of the server; `None` if the system has no server programs.
pub(super) fn version() -> Option<String> {
    let said = Command::new(programs()?.join("postgres")).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    Some(said.trim().trim_start_matches("postgres (PostgreSQL) ").to_owned())
}

/// User and group id of the first of `UNPRIVILEGED_USERS` that the system has.
fn unprivileged_user() -> anyhow::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    UNPRIVILEGED_USERS
        .iter()
        .find_map(|wanted| {
            let mut fields =
                users.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(wanted))?;
            Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .with_context(|| {
            format!("root cannot run PostgreSQL, and the system has none of the users {UNPRIVILEGED_USERS:?}")
        })
}
