//! Copies of a database in use, and what a service on such a copy does.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use rstest::rstest;
use signet_test_support::{Engine, TestDatabase, postgres_programs};

use crate::{
    OTHER_MASTER_KEY,
    calls::BackEnd,
    installation::{EMAIL, Installation, PASSWORD, command, query},
    manual::{Manual, shell},
    process::{run, signet},
};

const BACKUPS: usize = 4;
/// SQLite's default.
const PAGE_BYTES: usize = 4096;

async fn count(url: &str, what: &str) -> i64 {
    query(url, &format!("SELECT count(*) AS count FROM {what}")).await.try_get("", "count").unwrap()
}

/// Creates users one after the other until it is dropped; `created` have been answered.
async fn create_users(mut back_end: BackEnd, created: Arc<AtomicI64>) {
    loop {
        let number = created.load(Ordering::SeqCst);
        back_end.create_user(&format!("user{number}")).await;
        created.store(number + 1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_database_that_is_written_to_is_one_moment_of_it() {
    let installation = Installation::set_up(Engine::Sqlite).await.unwrap();
    let replica = installation.start_replica();
    let token = first_token(&mut installation.connect(replica.address()).await).await;
    let created = Arc::new(AtomicI64::new(0));
    let writer = tokio::spawn(create_users(installation.connect(replica.address()).await, Arc::clone(&created)));

    let mut last = String::new();
    for number in 0..BACKUPS {
        let file = installation.directory().join(format!("backup-{number}.db"));
        let backup = installation.command(&["backup", file.to_str().unwrap(), "--json"]);
        let before = created.load(Ordering::SeqCst);
        let copied = tokio::task::spawn_blocking(|| run(backup)).await.unwrap().json();
        let after = created.load(Ordering::SeqCst);

        assert!(!writer.is_finished(), "the writer goes on");
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!((metadata.permissions().mode() & 0o777, copied["bytes"].as_u64().unwrap()), (0o600, metadata.len()));
        last = format!("sqlite://{}", file.display());
        let whole: String = query(&last, "PRAGMA integrity_check").await.try_get_by_index(0).unwrap();
        assert_eq!(whole, "ok");
        // Beside the one that the command line made. The last one may be committed and not yet answered.
        let users = count(&last, "users").await - 1;
        assert!((before..=after + 1).contains(&users), "{users} users, of {before} to {after}");
        assert_eq!(count(&last, "events WHERE kind = 'user.created'").await, users + 1, "what was written together");
    }
    writer.abort();
    replica.stop();
    let left = fs::read_dir(installation.directory())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".partial"));
    assert_eq!(left.count(), 0);

    let replica = installation.start_replica_on(&last);
    let mut back_end = installation.connect(replica.address()).await;
    back_end.refresh(&token).await.unwrap();
    back_end.authenticate_password(EMAIL, PASSWORD).await.unwrap();
}

async fn first_token(back_end: &mut BackEnd) -> String {
    back_end.authenticate_password(EMAIL, PASSWORD).await.unwrap().tokens.unwrap().refresh_token
}

/// By the lines of the manual, run by a shell. A refresh token that was given out since goes on, what was revoked since does, too,
/// and a user who was created since is gone.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_restore_goes_back_to_the_moment_of_the_backup(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(mut installation) = Installation::set_up(engine).await else { return };
    let backups = tempfile::tempdir().unwrap();
    let backups = backups.path().to_str().unwrap();
    let (manual, restored) = match engine {
        Engine::Postgres => {
            let Some(programs) = postgres_programs() else { return };
            let restored = TestDatabase::from_template(engine, async |_| {}).await.unwrap();
            let manual = Manual::read("### PostgreSQL").with_programs(&programs);
            let manual = manual.with("postgres://signet@db/signet_restored", &quoted(restored.url()));
            (manual.with("postgres://signet@db/signet", &quoted(installation.database_url())), Some(restored))
        }
        Engine::Sqlite => {
            let file =
                installation.database_url().trim_start_matches("sqlite://").split('?').next().unwrap().to_owned();
            let programs = Path::new(env!("CARGO_BIN_EXE_signet")).parent().unwrap();
            let manual = Manual::read("### SQLite").with_programs(programs);
            // There is no such user here.
            let manual = manual.with("-o signet -g signet", "-o \"$(id -u)\" -g \"$(id -g)\"");
            let directory = Path::new(&file).parent().unwrap().to_str().unwrap();
            (manual.with("/var/lib/signet/signet.db", &file).with("/var/lib/signet", directory), None)
        }
    };
    let manual = manual.with("/var/backups", backups);
    let [backup, restore, ..] = manual.blocks() else { panic!("no block for the backup and one for the restore") };

    let replica = installation.start_replica();
    let mut back_end = installation.connect(replica.address()).await;
    let token = first_token(&mut back_end).await;
    shell(&installation.command(&[]), &manual, backup);
    for file in fs::read_dir(backups).unwrap() {
        assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600, "for its owner only");
    }
    let token = back_end.refresh(&token).await.unwrap();
    let token = back_end.refresh(&token).await.unwrap();
    back_end.create_user("late").await;
    installation.revoke_sessions();
    back_end.refresh(&token).await.unwrap_err();
    drop(back_end);
    replica.stop();

    shell(&installation.command(&[]), &manual, restore);
    if let Some(database) = restored {
        installation = installation.moved_to(database);
    }
    let mut other = installation.command(&["serve"]);
    other.env("SIGNET_MASTER_KEY", OTHER_MASTER_KEY);
    run(other).refused(64, &["SIGNET_MASTER_KEY", "does not open signing key"]);
    let replica = installation.start_replica();
    let mut back_end = installation.connect(replica.address()).await;
    assert_eq!(count(installation.database_url(), "users").await, 1);
    let token = back_end.refresh(&token).await.unwrap();
    assert!(!installation.session_row().await.is_revoked);
    back_end.refresh(&token).await.unwrap();
    back_end.authenticate_password(EMAIL, PASSWORD).await.unwrap();
}

/// For a shell.
fn quoted(url: &str) -> String {
    format!("'{url}'")
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let backup = || signet(directory.path(), &["backup", "backup.db"]);
    assert_eq!(run(signet(directory.path(), &["migrate"])).code, 0);
    fs::write(directory.path().join("backup.db"), "precious").unwrap();
    run(backup()).refused(1, &["backup.db is there already", "name another file"]);
    assert_eq!(fs::read(directory.path().join("backup.db")).unwrap(), b"precious");

    // What a backup that was killed leaves behind, or another one that is under way.
    fs::remove_file(directory.path().join("backup.db")).unwrap();
    fs::write(directory.path().join("backup.db.partial"), "half").unwrap();
    run(backup()).refused(1, &["backup.db.partial is there already"]);
    assert!(!directory.path().join("backup.db").exists());
    fs::remove_file(directory.path().join("backup.db.partial")).unwrap();
    assert_eq!(run(backup()).code, 0);
}

/// Overwrites the first page of a table, which is not read before its rows are.
async fn destroy(file: &Path, table: &str) {
    let page = format!("SELECT rootpage - 1 AS page FROM sqlite_schema WHERE name = '{table}'");
    let page: i64 = query(&format!("sqlite://{}", file.display()), &page).await.try_get("", "page").unwrap();
    let start = usize::try_from(page).unwrap() * PAGE_BYTES;
    let mut content = fs::read(file).unwrap();
    content[start..start + PAGE_BYTES].fill(0xFF);
    fs::write(file, content).unwrap();
}

#[tokio::test]
async fn what_cannot_be_copied_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let signet = |args: &[&str]| signet(directory.path(), args);
    run(signet(&["backup", "backup.db"])).refused(1, &["cannot read the database", "SIGNET_DATABASE_URL"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    assert_eq!(run(signet(&["migrate"])).code, 0);
    run(signet(&["backup", "missing/backup.db"])).refused(1, &["cannot write", "missing/backup.db"]);
    let file = directory.path().join("signet.db");
    destroy(&file, "users").await;
    run(signet(&["backup", "backup.db"])).refused(1, &["cannot copy the database to", "malformed"]);
    assert!(!directory.path().join("backup.db").exists() && !directory.path().join("backup.db.partial").exists());
}

/// The command, run by a shell that sends its standard output to `target`.
fn redirected(command: &Command, target: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$0\" \"$@\" > {target}")]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    for (name, _) in command.get_envs().filter(|(_, value)| value.is_none()) {
        shell.env_remove(name);
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_to_standard_output_is_a_database_that_serves() {
    let installation = Installation::set_up(Engine::Sqlite).await.unwrap();
    let replica = installation.start_replica();
    let token = first_token(&mut installation.connect(replica.address()).await).await;
    let file = installation.database_url().trim_start_matches("sqlite://").split('?').next().unwrap().to_owned();
    let beside = Path::new(&file).parent().unwrap();
    let before = names(beside);

    let copied = run(redirected(&installation.command(&["backup", "-"]), "copy.db"));
    assert_eq!((copied.code, copied.stdout.as_str()), (0, ""), "{copied:?}");
    assert!(copied.stderr.contains("master key"), "{copied:?}");
    assert_eq!(names(beside), before, "nothing is left beside the database");
    replica.stop();

    let copy = format!("sqlite://{}", installation.directory().join("copy.db").display());
    let whole: String = query(&copy, "PRAGMA integrity_check").await.try_get_by_index(0).unwrap();
    assert_eq!(whole, "ok");
    let replica = installation.start_replica_on(&copy);
    installation.connect(replica.address()).await.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn what_does_not_get_to_standard_output_is_said_and_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let backup = || signet(directory.path(), &["backup", "-"]);
    run(backup()).refused(1, &["cannot read the database", "SIGNET_DATABASE_URL"]);
    assert_eq!(run(signet(directory.path(), &["migrate"])).code, 0);
    run(signet(directory.path(), &["backup", "-", "--json"])).refused(64, &["--json"]);
    run(redirected(&backup(), "/dev/full")).refused(1, &["cannot write the copy to standard output", "half a copy"]);
    // `script` gives it a terminal.
    let typed = format!("{} backup -", env!("CARGO_BIN_EXE_signet"));
    let script = ["--quiet", "--return", "--command", &typed, "/dev/null"];
    let refused = run(signet_test_support::process::signet("script".as_ref(), directory.path(), &script));
    assert_eq!(refused.code, 64, "{refused:?}");
    assert!(refused.stdout.contains("standard output is a terminal"), "{refused:?}");
    destroy(&directory.path().join("signet.db"), "users").await;
    run(backup()).refused(1, &["cannot copy the database", "malformed"]);
    assert_eq!(names(directory.path()), ["signet.db"]);
}

#[test]
fn a_new_database_is_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run(signet(directory.path(), &["migrate"])).code, 0);
    let mode = fs::metadata(directory.path().join("signet.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn postgresql_has_its_own_tool() {
    let directory = tempfile::tempdir().unwrap();
    let backup = command(directory.path(), "postgres://signet:hunter2@db/signet", &["backup", "backup.db"]);
    let refused = run(backup);
    refused.refused(64, &["SQLite only", "pg_dump --format=custom"]);
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
