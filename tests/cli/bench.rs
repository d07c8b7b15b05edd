//! `signet bench`: figures of this machine, without a database or a master key.

use std::fs;

use crate::process::{run, signet};

const QUICK: [&str; 5] = ["bench", "--duration", "1s", "--hash-workers", "1"];

#[test]
fn it_tells_figures_and_settings_to_paste() {
    let directory = tempfile::tempdir().unwrap();
    let done = run(signet(directory.path(), &[&QUICK[..], &["--latency-goal", "30s"]].concat()));
    assert_eq!(done.code, 0, "{done:?}");
    for told in [
        "1 worker, niceness 10, with the ",
        "LOGINS/S",
        "PER WORKER",
        "P99",
        "OWASP, configured",
        "suggested",
        "P99 of the suggestion",
    ] {
        assert!(done.stdout.contains(told), "{told} is missing: {}", done.stdout);
    }
    assert!(done.stderr.contains("round 5 of 5"), "whoever waits is told what happens: {}", done.stderr);
    // What it says to paste is taken by the service: it asks for the master key next.
    let flags = done.stdout.lines().find(|line| line.starts_with("  --argon2-memory-kib")).unwrap();
    let serve: Vec<&str> = ["serve"].into_iter().chain(flags.split_whitespace()).collect();
    run(signet(directory.path(), &serve)).refused(64, &["SIGNET_MASTER_KEY"]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "it leaves nothing behind");
}

#[test]
fn what_no_cost_meets_is_told_with_the_least_cost() {
    let directory = tempfile::tempdir().unwrap();
    let goal = ["--latency-goal", "1ms", "--logins-per-second", "1000000"];
    let done = run(signet(directory.path(), &[&QUICK[..], &goal].concat()));
    assert_eq!(done.code, 0, "{done:?}");
    for told in ["NOTHING", "a hash takes", "such machines", "--argon2-memory-kib 19456 --argon2-iterations 2"] {
        assert!(done.stdout.contains(told), "{told} is missing: {}", done.stdout);
    }
}

#[test]
fn machines_read_a_line_of_json_for_each_cost() {
    let directory = tempfile::tempdir().unwrap();
    let flags = ["--json", "--argon2-memory-kib", "20480", "--hash-niceness", "0"];
    let done = run(signet(directory.path(), &[&QUICK[..], &flags].concat()));
    assert_eq!(done.code, 0, "{done:?}");
    let rows: Vec<serde_json::Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["OWASP", "OWASP", "OWASP", "OWASP", "OWASP", "stronger", "configured", "suggested"]);
    let configured: Vec<bool> = rows[..7].iter().map(|row| row["configured"].as_bool().unwrap()).collect();
    assert_eq!(configured, [false, false, false, false, false, false, true]);
    for row in rows {
        assert!(row["met"].is_boolean() && row["warnings"].is_array(), "{row}");
        let figure = |name: &str| row[name].as_f64().unwrap();
        assert!(figure("p50_seconds") > 0.0 && figure("p99_seconds") >= figure("p50_seconds"), "{row}");
        assert!(figure("logins_per_second") > 0.0 && figure("hashes") >= 1.0, "{row}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (flag, value, hint) in [
        ("--duration", "10ms", "between 1s"),
        ("--latency-goal", "0ms", "between 1ms"),
        ("--logins-per-second", "0", "1.."),
    ] {
        run(signet(directory.path(), &["bench", flag, value])).refused(64, &[flag, hint]);
    }
}
