//! What the image and its manual say of the binary is true. `.ci/image` builds and runs it.

use std::{collections::BTreeSet, fs, path::Path};

use clap::CommandFactory as _;
use signet::cli::Cli;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// What an instruction of the Dockerfile is given, each time it occurs; lines that go on are one.
fn instructions(name: &str) -> Vec<String> {
    let file = read("Dockerfile").replace("\\\n", " ");
    file.lines().filter_map(|line| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned())).collect()
}

/// The variables of the settings of all commands, each with its default.
fn settings() -> Vec<(String, String)> {
    let cli = Cli::command();
    let args = cli.get_subcommands().flat_map(|command| command.get_arguments().chain(below(command)));
    let settings = args.filter_map(|arg| {
        let default = arg.get_default_values().first().map(|value| value.to_string_lossy().into_owned());
        Some((arg.get_env()?.to_str()?.to_owned(), default.unwrap_or_default()))
    });
    settings.collect()
}

fn below(command: &clap::Command) -> impl Iterator<Item = &clap::Arg> {
    command.get_subcommands().flat_map(clap::Command::get_arguments)
}

#[test]
fn its_ports_are_those_of_the_binary() {
    let settings = settings();
    let mut ports = Vec::new();
    for variable in instructions("ENV")[0].split_whitespace() {
        let (name, address) = variable.split_once('=').unwrap();
        let default = &settings.iter().find(|(setting, _)| setting == name).unwrap_or_else(|| panic!("{name}")).1;
        let port = address.strip_prefix("0.0.0.0:").unwrap();
        assert_eq!(default, &format!("127.0.0.1:{port}"), "{name}");
        ports.push(port.to_owned());
    }
    assert_eq!((ports.len(), ports.join(" ")), (3, instructions("EXPOSE")[0].clone()));
}

#[test]
fn it_runs_commands_that_there_are_and_as_nobody_in_particular() {
    let words = |text: &str| -> Vec<String> { serde_json::from_str(text).unwrap() };
    let program = words(&instructions("ENTRYPOINT")[0]);
    let healthcheck = instructions("HEALTHCHECK")[0].split_once(" CMD ").unwrap().1.to_owned();
    for arguments in [[program, words(&instructions("CMD")[0])].concat(), words(&healthcheck)] {
        assert_eq!(arguments[0], "/usr/local/bin/signet");
        assert!(Cli::command().try_get_matches_from(&arguments).is_ok(), "{arguments:?}");
    }
    assert_eq!(instructions("USER"), ["65532:65532"]);
}

#[test]
fn every_builder_takes_the_dockerfile() {
    for line in read("Dockerfile").lines().filter(|line| !line.starts_with("# ") || line.contains("syntax=")) {
        for word in ["<<", "--link", "--mount", "--chmod", "syntax="] {
            assert!(!line.contains(word), "only BuildKit knows {word}: {line}");
        }
    }
}

#[test]
fn the_layer_of_the_dependencies_has_every_manifest() {
    let (cargo, copies, ignore) = (read("Cargo.toml"), instructions("COPY"), read(".dockerignore"));
    let members = cargo.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<String> = serde_json::from_str(members).unwrap();
    for member in members {
        assert!(copies.contains(&format!("{member}/Cargo.toml {member}/")), "{member}: {copies:?}");
        let allowed = [format!("!{member}"), format!("!{member}/Cargo.toml")];
        assert!(ignore.lines().any(|line| allowed.iter().any(|allowed| allowed == line)), "{member}");
    }
    let version = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let needed = cargo.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let image = instructions("ARG").into_iter().find_map(|arg| Some(arg.split_once("/rust:")?.1.to_owned())).unwrap();
    assert!(version(image.split('-').next().unwrap()) >= version(needed), "{image} is older than {needed}");
}

#[test]
fn every_variable_in_the_manual_is_a_setting() {
    let known: BTreeSet<String> = settings().into_iter().map(|(name, _)| name).collect();
    let mut count = 0;
    for page in ["docs/operations.md", "docs/image.md"] {
        for name in read(page).split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_') {
            if name.strip_prefix("SIGNET_").is_some_and(|rest| !rest.is_empty()) {
                assert!(known.contains(name), "{page}: {name} is no setting");
                count += 1;
            }
        }
    }
    assert!(count > 15, "found only {count}");
}
