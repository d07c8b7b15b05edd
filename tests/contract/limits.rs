//! The table of limits in `docs/security.md` is made from the definitions of the settings and from the constants of the code;
//! write it anew with `SIGNET_UPDATE_DOCS=1 cargo test --test contract`.

use std::{fmt::Write as _, fs};

use clap::{Args as _, Command};
use signet::{
    config::ServeConfig,
    domain::{
        challenge::RESETS_MAX,
        claims::{CLAIMS_BYTES_MAX, CUSTOM_CLAIMS_MAX},
        client_context::{DEVICE_TOKEN_BYTES_MAX, USER_AGENT_BYTES_MAX},
        code::{RESET_DIGITS, VERIFICATION_DIGITS},
        idempotency::{ANSWER_BYTES_MAX, ANSWER_KEPT, KEY_BYTES_MAX},
        identifier::IDENTIFIER_BYTES_MAX,
        page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, SKIP_MAX},
        password::PASSWORD_BYTES_MAX,
        project::{RESOURCES_MAX, SESSION_LIFETIME_MAX, TOKEN_LIFETIME_MAX},
        user::{EXTERNAL_ID_BYTES_MAX, METADATA_BYTES_MAX, URL_BYTES_MAX},
        user_filter::{TEXT_BYTES_MAX, VALUES_MAX},
    },
    usecase::{
        gates::{SUBJECTS_MAX, WAITING_MAX},
        issue_client_token::LIFETIME as CLIENT_TOKEN_LIFETIME,
    },
};
use signet_test_support::generated;

use crate::sources;

const FILE: &str = "docs/security.md";
const BEGIN: &str = "<!-- limits: begin -->\n";
const END: &str = "<!-- limits: end -->\n";

/// The settings that bound something, and what happens at the bound. What they bound is their help.
const SETTINGS: [(&str, &str); 28] = [
    (
        "free-failures",
        "the usual refusal, after the same work, until the delay is over; for a code `CODE_ATTEMPTS_EXHAUSTED` with the time to come back, for one by name `CODE_INCORRECT`",
    ),
    ("free-failures-per-ip", "the same; devices that are known are spared"),
    (
        "free-mails",
        "`CODE_SENT_RECENTLY` with the time to come back, or the last code serves on; a reset sends nothing",
    ),
    ("free-mails-per-ip", "the same"),
    ("first-delay", "the next attempt is checked after it"),
    (
        "longest-delay",
        "delays grow no further; they do not get there where failures are forgotten as fast as delays let them in",
    ),
    ("failure-memory", "the count goes down, to nothing in the end"),
    (
        "code-attempts",
        "`CODE_ATTEMPTS_EXHAUSTED`, at a reset `PASSWORD_RESET_INVALID`; a resend does not give new tries",
    ),
    ("code-lifetime", "`CODE_EXPIRED`, at a reset `PASSWORD_RESET_INVALID`"),
    ("code-resend-interval", "`CODE_SENT_RECENTLY` with the time to come back"),
    ("pending-authentication-lifetime", "`PENDING_AUTHENTICATION_INVALID`"),
    ("password-reset-lifetime", "`PASSWORD_RESET_INVALID`"),
    ("device-lifetime", "the device counts as unknown until it signs in again"),
    ("hash-queue", "`OVERLOADED` with the time to come back; clients take turns"),
    ("grpc-message-bytes", "`INVALID_FIELD` without a name"),
    ("grpc-deadline", "`DEADLINE_EXCEEDED`"),
    ("grpc-streams", "further calls of the connection wait"),
    ("grpc-connections", "the connection idle longest is closed; if none is idle, the new one"),
    ("grpc-handshake-timeout", "the connection is closed"),
    ("grpc-connection-age", "the connection is asked to go; calls on it are finished"),
    ("rest-body-bytes", "`INVALID_FIELD` without a name, with 413"),
    ("rest-header-bytes", "431 without a body"),
    ("rest-header-timeout", "the connection is closed"),
    ("rest-deadline", "`DEADLINE_EXCEEDED`"),
    ("rest-connection-age", "the connection is asked to go; requests on it are finished"),
    ("rest-connections", "the connection idle longest is closed; if none is idle, the new one"),
    ("database-connections", "requests wait for one"),
    ("database-acquire-timeout", "`UNAVAILABLE` with the time to come back"),
];

/// What is fixed: what is bounded, the bound, and what happens at it.
fn fixed() -> Vec<(&'static str, String, &'static str)> {
    let refused = "`INVALID_FIELD` with the field's name";
    vec![
        ("Identifier", format!("{IDENTIFIER_BYTES_MAX} bytes"), refused),
        ("Password", format!("{PASSWORD_BYTES_MAX} bytes"), refused),
        (
            "Code",
            format!("{VERIFICATION_DIGITS} digits, {RESET_DIGITS} for a password reset"),
            "`INVALID_FIELD`; costs no try",
        ),
        ("External id", format!("{EXTERNAL_ID_BYTES_MAX} characters"), refused),
        ("URL of a picture", format!("{URL_BYTES_MAX} bytes"), refused),
        (
            "Metadata of a user, each of the two",
            format!("{METADATA_BYTES_MAX} bytes, also of what merging makes"),
            refused,
        ),
        ("Filter of a list", format!("{VALUES_MAX} values of each member, {TEXT_BYTES_MAX} bytes of text"), refused),
        ("Users to pass over", SKIP_MAX.to_string(), refused),
        ("Key of a repeated call", format!("{KEY_BYTES_MAX} characters"), refused),
        (
            "Answer kept for repetitions",
            format!("{} hours, {ANSWER_BYTES_MAX} bytes", ANSWER_KEPT.num_hours()),
            "the call runs anew; a larger answer is not kept",
        ),
        ("Open password resets of a user", RESETS_MAX.to_string(), "the oldest makes room"),
        ("Attempts of one subject that wait for room", format!("{WAITING_MAX} in one process"), "`OVERLOADED`"),
        ("Subjects whose attempts wait for room", format!("{SUBJECTS_MAX} in one process"), "`OVERLOADED`"),
        ("Resources, and pages for password resets, of a project", format!("{RESOURCES_MAX} each"), refused),
        ("Client token", format!("good for {} hour", CLIENT_TOKEN_LIFETIME.num_hours()), "`TOKEN_INVALID`"),
        ("User agent", format!("{USER_AGENT_BYTES_MAX} bytes"), "cut"),
        ("Device token", format!("{DEVICE_TOKEN_BYTES_MAX} bytes"), "counts as none"),
        ("Custom claims", format!("{CUSTOM_CLAIMS_MAX} claims, {CLAIMS_BYTES_MAX} bytes"), refused),
        ("Page of a list", format!("{PAGE_SIZE_DEFAULT}, at most {PAGE_SIZE_MAX}"), refused),
        ("Lifetime of a token", format!("{} hours at most", TOKEN_LIFETIME_MAX.num_hours()), refused),
        ("Lifetime of a session", format!("{} days at most", SESSION_LIFETIME_MAX.num_days()), refused),
    ]
}

fn table() -> String {
    let command = ServeConfig::augment_args(Command::new("signet"));
    let mut table = String::from("| Setting | Default | What it bounds | At the bound |\n|---|---|---|---|\n");
    for (flag, at_bound) in SETTINGS {
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(flag));
        let arg = arg.unwrap_or_else(|| panic!("--{flag} is no setting"));
        let default = arg.get_default_values()[0].to_string_lossy();
        let help = arg.get_help().unwrap();
        writeln!(table, "| `--{flag}` | `{default}` | {help} | {at_bound} |").unwrap();
    }
    table.push_str("\n| Fixed | Bound | At the bound |\n|---|---|---|\n");
    for (what, bound, at_bound) in fixed() {
        writeln!(table, "| {what} | {bound} | {at_bound} |").unwrap();
    }
    table
}

#[test]
fn the_table_of_limits_is_what_the_code_says() {
    let written = fs::read_to_string(sources::path(FILE)).unwrap();
    let (before, rest) = written.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let document = format!("{before}{BEGIN}\n{}\n{END}{after}", table());
    generated::assert_current(&sources::path(FILE), &document, "--test contract");
}

#[test]
fn every_setting_of_the_section_of_limits_is_in_the_table() {
    let command = ServeConfig::augment_args(Command::new("signet"));
    let limits = command.get_arguments().filter(|arg| arg.get_help_heading() == Some("Limits"));
    let missing: Vec<_> = limits
        .filter_map(|arg| arg.get_long())
        .filter(|flag| !SETTINGS.iter().any(|(known, _)| known == flag))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
