use std::{env, fs, process::Command as Process};

use clap::{Args as _, Command, FromArgMatches};

use super::*;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// `serve` as a subcommand, which is where the settings are in the real command line.
struct Cli(ServeConfig);

impl FromArgMatches for Cli {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let (_, matches) = matches.subcommand().unwrap();
        ServeConfig::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, _: &clap::ArgMatches) -> Result<(), clap::Error> {
        unreachable!("nothing is parsed twice")
    }
}

fn command() -> Command {
    Command::new("signet").subcommand(ServeConfig::augment_args(Command::new("serve"))).subcommand_required(true)
}

/// What `signet serve` says to these flags, all of a machine without `SIGNET_` variables.
fn serve(flags: &[&str]) -> Result<ServeConfig, Refusal> {
    let command = command().mut_subcommand("serve", |serve| serve.mut_args(without_value_of_variable));
    let args = ["signet", "serve"].iter().chain(flags);
    let Cli(config) = parse::parse_from(command, args, Vec::new())?;
    config.validate()?;
    Ok(config)
}

/// Names the variable without its value: clap reads that when the variable is named.
fn without_value_of_variable(arg: clap::Arg) -> clap::Arg {
    let name = format!("UNSET_{}", arg.get_env().unwrap().to_str().unwrap());
    arg.env(name)
}

fn problems(flags: &[&str]) -> String {
    serve(flags).unwrap_err().to_string()
}

#[test]
fn a_master_key_is_all_that_serve_needs() {
    let config = serve(&["--master-key", KEY]).unwrap();
    assert_eq!(config.listen.grpc_addr, "127.0.0.1:50051".parse().unwrap());
    assert_eq!(config.passwords.memory_kib, 19_456);
    assert!(config.grpc.reflection);
}

#[test]
fn every_malformed_setting_is_named_not_just_the_first() {
    let text = problems(&[
        "--grpc-addr=localhost:50051",
        "--database-connections=0",
        "--argon2-memory-kib=1024",
        "--log-format=xml",
        "--drain-timeout=20",
        "--public-url=example.com",
        "--log=signet=loud",
        "--otlp-endpoint=https://collector:4317",
        "--trace-ratio=1.5",
        "--mail-from=nobody",
        "--grpc-tls-cert=",
    ]);
    for (setting, part) in [
        ("--grpc-addr (SIGNET_GRPC_ADDR): ", "\"localhost:50051\" is not usable: must be an IP address"),
        ("--database-connections (SIGNET_DATABASE_CONNECTIONS): ", "0 is not in 1..=200"),
        ("--argon2-memory-kib (SIGNET_ARGON2_MEMORY_KIB): ", "1024 is not in 19456..="),
        ("--log-format (SIGNET_LOG_FORMAT): ", "must be one of json, text"),
        ("--drain-timeout (SIGNET_DRAIN_TIMEOUT): ", "write it as 500ms"),
        ("--public-url (SIGNET_PUBLIC_URL): ", "must be an absolute http"),
        ("--log (SIGNET_LOG): ", "signet=loud"),
        ("--otlp-endpoint (SIGNET_OTLP_ENDPOINT): ", "must be http://HOST:PORT"),
        ("--trace-ratio (SIGNET_TRACE_RATIO): ", "must be a number from 0 to 1"),
        ("--mail-from (SIGNET_MAIL_FROM): ", "nobody"),
        ("--grpc-tls-cert (SIGNET_GRPC_TLS_CERT): ", "an empty value"),
    ] {
        let line = text.lines().find(|line| line.contains(setting)).unwrap_or_else(|| panic!("{setting} in {text}"));
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(text.lines().count(), 12, "{text}");
}

#[test]
fn settings_that_do_not_go_together_are_all_named() {
    let text = problems(&[
        "--smtp-url=smtps://mail",
        "--grpc-tls-key=k",
        "--ops-addr=127.0.0.1:8080",
        "--longest-delay=20s",
        "--failure-memory=10m",
        "--first-delay=1m",
    ]);
    assert!(!text.contains("SIGNET_FAILURE_MEMORY"), "{text}");
    assert!(problems(&["--failure-memory=10m"]).contains("SIGNET_FAILURE_MEMORY"));
    let resend = ["--code-lifetime=1m", "--code-resend-interval=61s"];
    assert!(problems(&resend).contains("SIGNET_CODE_RESEND_INTERVAL"));
    assert!(!problems(&["--code-lifetime=1m", "--code-resend-interval=1m"]).contains("SIGNET_CODE_RESEND_INTERVAL"));
    // The key of a device token is kept as long as the longest session.
    let longest = format!("--device-lifetime={}d", crate::domain::project::SESSION_LIFETIME_MAX.num_days());
    assert!(!problems(&[&longest]).contains("SIGNET_DEVICE_LIFETIME"));
    assert!(problems(&["--device-lifetime=367d"]).contains("SIGNET_DEVICE_LIFETIME"));
    for part in
        ["SIGNET_LONGEST_DELAY", "SIGNET_MASTER_KEY", "SIGNET_MAIL_FROM", "SIGNET_GRPC_TLS_CERT", "SIGNET_OPS_ADDR"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn serve_warns_of_missing_mail_and_of_plain_text_in_the_network() {
    let local = serve(&["--master-key", KEY, "--public-url=https://auth.example.com"]).unwrap();
    let warnings = local.warnings();
    assert!(warnings.len() == 1 && warnings[0].contains("SIGNET_SMTP_URL"), "{warnings:?}");
    let mail = ["--smtp-url=smtps://mail", "--mail-from=a@example.com"];
    let open = serve(&["--master-key", KEY, "--grpc-addr=0.0.0.0:0", mail[0], mail[1]]).unwrap();
    let warnings = open.warnings().join(" ");
    assert!(warnings.contains("SIGNET_GRPC_TLS_CERT") && warnings.contains("SIGNET_PUBLIC_URL"), "{warnings}");
    assert!(!warnings.contains("SIGNET_SMTP_URL"), "{warnings}");
}

#[test]
fn serve_warns_of_an_issuer_that_depends_on_a_port_and_of_one_without_tls() {
    let warnings = |public_url: &[&str]| {
        let args =
            [&["--master-key", KEY, "--smtp-url=smtps://mail", "--mail-from=a@example.com"], public_url].concat();
        serve(&args).unwrap().warnings()
    };
    assert!(matches!(warnings(&[])[..], [only] if only.contains("issuer") && only.contains("SIGNET_PUBLIC_URL")));
    let unencrypted = warnings(&["--public-url=http://auth.example.com"]);
    assert!(matches!(unencrypted[..], [only] if only.contains("not https")), "{unencrypted:?}");
    assert!(warnings(&["--public-url=https://auth.example.com"]).is_empty());
}

#[test]
fn the_key_of_dev_is_refused() {
    assert!(
        problems(&["--master-key", keys::DEV_MASTER_KEY]).contains("SIGNET_MASTER_KEY): is the key of `signet dev`")
    );
}

#[test]
fn a_secret_can_come_from_a_file_but_not_twice() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{KEY}\n")).unwrap();
    let path = file.path().to_str().unwrap();
    assert!(serve(&["--master-key-file", path]).is_ok());
    assert!(problems(&["--master-key", KEY, "--master-key-file", path]).contains("SIGNET_MASTER_KEY): given twice"));
}

#[test]
fn an_unknown_flag_is_named_and_help_is_not_hidden_by_problems() {
    assert!(problems(&["--grpc-adr=127.0.0.1:1"]).contains("--grpc-adr"));
    let unknown = || vec![("SIGNET_NONSENSE".to_owned(), String::new())];
    let help = parse::parse_from::<Cli>(command(), ["signet", "--help"], unknown()).err().unwrap();
    assert!(matches!(help, Refusal::Usage(_)), "{help}");
}

#[test]
fn an_unknown_variable_is_named_with_the_nearest_that_exists() {
    let variables = [
        ("SIGNET_GRPC_CLIENT_CAS", "ca.pem"),
        ("SIGNET_NONSENSE", ""),
        ("SIGNET_SERVICE_HOST", "10.96.0.7"),
        ("SIGNET_LOG", "info"),
        ("PATH", "/bin"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let refusal = parse::parse_from::<Cli>(command(), ["signet", "serve"], variables);
    let text = refusal.err().unwrap().to_string();
    assert!(text.contains("SIGNET_GRPC_CLIENT_CAS: there is no such setting; did you mean SIGNET_GRPC_CLIENT_CA?"));
    assert!(
        text.contains("SIGNET_NONSENSE: there is no such setting\n") || text.ends_with("no such setting"),
        "{text}"
    );
    assert!(!text.contains("SERVICE_HOST") && !text.contains("SIGNET_LOG"), "{text}");
}

/// Runs [`serve_in_a_process_of_its_own`] with these variables and returns what it printed: a test cannot set
/// variables of its own process without racing the other tests.
fn serve_with_variables(variables: &[(&str, &str)]) -> String {
    let output = Process::new(env::current_exe().unwrap())
        .args(["--exact", "config::tests::serve_in_a_process_of_its_own", "--ignored", "--nocapture"])
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "run by other tests, in a process of its own"]
#[expect(clippy::print_stdout, reason = "read by the test that started this process")]
fn serve_in_a_process_of_its_own() {
    let parsed = parse::parse_from::<Cli>(command(), ["signet", "serve"], parse::variables());
    match parsed.and_then(|Cli(config)| config.validate().map(|()| config).map_err(Refusal::from)) {
        Ok(config) => println!("accepted {config:?}"),
        Err(refusal) => println!("refused {refusal}"),
    }
}

#[test]
fn variables_are_read_and_secrets_in_them_are_not_shown() {
    let shown = serve_with_variables(&[
        ("SIGNET_MASTER_KEY", KEY),
        ("SIGNET_DATABASE_URL", "postgres://signet:hunter2@db/signet"),
        ("SIGNET_GRPC_ADDR", "0.0.0.0:0"),
        ("SIGNET_SMTP_URL", ""),
    ]);
    assert!(shown.contains("accepted") && shown.contains("0.0.0.0:0"), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains(KEY), "{shown}");
}

#[test]
fn problems_of_variables_name_them() {
    let shown = serve_with_variables(&[
        ("SIGNET_GRPC_ADDR", "nowhere"),
        ("SIGNET_HASH_QUEUE", "many"),
        ("SIGNET_REST_ADR", "127.0.0.1:1"),
    ]);
    for part in ["(SIGNET_GRPC_ADDR): \"nowhere\"", "(SIGNET_HASH_QUEUE): \"many\"", "did you mean SIGNET_REST_ADDR?"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn a_file_named_by_a_variable_is_read_and_conflicts_with_the_value() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), KEY).unwrap();
    let path = file.path().to_str().unwrap();
    assert!(serve_with_variables(&[("SIGNET_MASTER_KEY_FILE", path)]).contains("accepted"));
    let shown = serve_with_variables(&[("SIGNET_MASTER_KEY_FILE", path), ("SIGNET_MASTER_KEY", KEY)]);
    assert!(shown.contains("--master-key (SIGNET_MASTER_KEY): given twice"), "{shown}");
}
