//! Help that teaches: there for every command, with examples that are accepted.

use clap::{Command, CommandFactory as _};
use signet::cli::Cli;

use crate::process::{run, signet};

/// Every command that does something, as it is typed.
fn commands() -> Vec<(Vec<String>, Command)> {
    fn below(path: &[String], command: &Command, found: &mut Vec<(Vec<String>, Command)>) {
        if !command.has_subcommands() {
            found.push((path.to_vec(), command.clone()));
        }
        for child in command.get_subcommands() {
            below(&[path, &[child.get_name().to_owned()]].concat(), child, found);
        }
    }
    let mut found = Vec::new();
    below(&[], &Cli::command(), &mut found);
    found
}

#[test]
fn every_command_has_help_with_examples() {
    let directory = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for (path, command) in commands() {
        let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(signet(directory.path(), &args));
        assert_eq!((help.code, help.stderr.as_str()), (0, ""), "{path:?}");
        assert!(help.stdout.contains(&format!("Usage: signet {}", path.join(" "))), "{path:?}: {}", help.stdout);
        assert!(help.stdout.contains("Examples:\n  "), "{path:?} teaches nothing: {}", help.stdout);
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{path:?}: {arg} is not explained");
        }
        names.push(path.join(" "));
    }
    let expected = [
        "dev",
        "serve",
        "gateway",
        "migrate",
        "backup",
        "project create",
        "project list",
        "client create",
        "client rotate-secret",
        "client list",
        "client delete",
        "user create",
        "user set-password",
        "user list",
        "session list",
        "session revoke",
        "key rotate",
        "key list",
        "master-key reseal",
        "master-key status",
        "explain",
        "bench",
        "healthcheck",
    ];
    assert_eq!(names, expected);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "asking for help leaves nothing behind");
}

#[test]
fn every_example_of_the_help_is_accepted() {
    let overview = Cli::command().get_after_help().unwrap().to_string();
    let pages = commands().into_iter().map(|(_, command)| command.get_after_help().unwrap().to_string());
    let mut count = 0;
    for page in pages.chain([overview]) {
        for line in page.lines().filter(|line| line.starts_with("  ")) {
            for words in calls_of_signet(line) {
                let parsed = Cli::command().try_get_matches_from(&words);
                assert!(parsed.is_ok(), "{line}\n{}", parsed.unwrap_err());
                count += 1;
            }
        }
    }
    assert!(count > 25, "found only {count} examples");
}

/// The calls of the binary in a line of a shell, with ids in the place of the words that stand for them.
fn calls_of_signet(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" # ").next().unwrap();
    let line = line.split("   ").find(|part| !part.trim().is_empty()).unwrap_or_default();
    let calls = line.split('|').filter_map(|call| {
        let words = words(call).into_iter().skip_while(|word| word.contains('='));
        let words: Vec<String> = words.map(|word| stands_for(&word).to_owned()).collect();
        words.first().is_some_and(|word| word == "signet").then_some(words)
    });
    calls.collect()
}

/// Splits at spaces outside of single quotes.
fn words(call: &str) -> Vec<String> {
    let mut quoted = false;
    let split = call.split(|c: char| {
        quoted ^= c == '\'';
        c == ' ' && !quoted
    });
    split.map(|word| word.replace('\'', "")).filter(|word| !word.is_empty()).collect()
}

fn stands_for(word: &str) -> &str {
    match word {
        "PROJECT" => "project_01M7ZZMBGZEXJTRRC87K87YW5F",
        "CLIENT" => "client_01M7ZZMBNVEP7TMCP4KZTGWZT8",
        "SESSION" => "session_01M7ZZMBNVEP7TMCP4KZTGWZT8",
        "USER" => "user_01M7ZZMBNVEP7TMCP4KZTGWZT8",
        word => word,
    }
}

#[test]
fn no_flag_takes_a_password() {
    for (path, command) in commands() {
        for arg in command.get_arguments() {
            let flag = arg.get_long().unwrap_or_default();
            let takes_it = flag.contains("password") && arg.get_action().takes_values();
            let names_no_password = ["password-file", "password-reset-lifetime"].contains(&flag);
            assert!(!takes_it || names_no_password, "{path:?}: --{flag}");
        }
    }
}

#[test]
fn without_a_command_or_with_a_wrong_one_the_exit_code_is_64() {
    let directory = tempfile::tempdir().unwrap();
    run(signet(directory.path(), &[])).refused(64, &["Usage: signet"]);
    run(signet(directory.path(), &["severe"])).refused(64, &["serve"]);
    run(signet(directory.path(), &["user", "list"])).refused(64, &["--project"]);
    run(signet(directory.path(), &["user", "list", "--project", "shop"])).refused(64, &["project_", "26 characters"]);
    assert_eq!(
        run(signet(directory.path(), &["--version"])).stdout,
        concat!("signet ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
