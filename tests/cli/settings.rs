//! Settings that cannot be used: exit code 64, the setting is named, nothing is left behind.

use std::fs;

use crate::{
    FREE_PORTS, MASTER_KEY,
    process::{run, signet},
};

#[test]
fn a_wrong_setting_is_named_whether_it_is_a_flag_or_a_variable() {
    let directory = tempfile::tempdir().unwrap();
    run(signet(directory.path(), &["serve", "--grpc-addr", "localhost"]))
        .refused(64, &["--grpc-addr (SIGNET_GRPC_ADDR): \"localhost\" is not usable"]);
    let mut command = signet(directory.path(), &["serve"]);
    command.env("SIGNET_DATABASE_URL", "mysql://root:hunter2@db").env("SIGNET_MASTER_KEY", "hunter2");
    let refused = run(command);
    refused.refused(64, &["SIGNET_DATABASE_URL): must begin with", "SIGNET_MASTER_KEY): must be 32 bytes"]);
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    let mut command = signet(directory.path(), &["migrate"]);
    command.env("SIGNET_DATABASE_ULR", "sqlite://x.db");
    run(command).refused(64, &["SIGNET_DATABASE_ULR: there is no such setting; did you mean SIGNET_DATABASE_URL?"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn service_links_are_passed_over_and_what_looks_like_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = signet(directory.path(), &["migrate"]);
    command.env("SIGNET_SERVICE_HOST", "10.96.0.7").env("SIGNET_SERVICE_PORT_GRPC", "50051");
    command.env("SIGNET_GRPC_PORT", "tcp://10.96.0.7:50051").env("SIGNET_GRPC_PORT_50051_TCP_ADDR", "10.96.0.7");
    let migrated = run(command);
    assert_eq!(migrated.code, 0, "{migrated:?}");
    let mut command = signet(directory.path(), &["migrate"]);
    command.env("SIGNET_GRPC_PORT", "50051");
    run(command).refused(64, &["SIGNET_GRPC_PORT: there is no such setting"]);
}

#[test]
fn serve_refuses_a_missing_master_key_and_that_of_dev() {
    let directory = tempfile::tempdir().unwrap();
    run(signet(directory.path(), &["serve"])).refused(64, &["SIGNET_MASTER_KEY", "openssl rand -base64 32"]);
    let mut command = signet(directory.path(), &["serve"]);
    command.env("SIGNET_MASTER_KEY", signet::config::keys::DEV_MASTER_KEY);
    run(command).refused(64, &["SIGNET_MASTER_KEY", "`signet dev`"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "refused before the database is touched");
}

#[test]
fn dev_refuses_postgresql_and_the_network() {
    let directory = tempfile::tempdir().unwrap();
    let url = "postgres://signet:hunter2@db/signet";
    let refused = run(signet(directory.path(), &["dev", "--database-url", url]));
    refused.refused(64, &["SIGNET_DATABASE_URL", "SQLite only", "signet serve"]);
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    for flag in ["--grpc-addr", "--rest-addr", "--ops-addr"] {
        run(signet(directory.path(), &["dev", flag, "0.0.0.0:0"])).refused(64, &[flag, "127.0.0.1"]);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_database_that_is_not_there_is_not_made_by_looking_at_it() {
    let directory = tempfile::tempdir().unwrap();
    let project = "project_01M7ZZMBGZEXJTRRC87K87YW5F";
    for args in [vec!["project", "list"], vec!["client", "list", "--project", project], vec!["serve"]] {
        let mut command = signet(directory.path(), &args);
        command.env("SIGNET_MASTER_KEY", MASTER_KEY).args(if args == ["serve"] { &FREE_PORTS[..] } else { &[] });
        run(command).refused(1, &["SIGNET_DATABASE_URL", "signet migrate"]);
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_database_that_is_not_migrated_is_refused_with_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("signet.db"), "").unwrap();
    for args in [vec!["project", "create", "--name", "Shop"], vec!["serve"]] {
        let mut command = signet(directory.path(), &args);
        command.env("SIGNET_MASTER_KEY", MASTER_KEY).args(if args == ["serve"] { &FREE_PORTS[..] } else { &[] });
        run(command).refused(1, &["not up to date", "signet migrate", "create_schema"]);
    }
}
