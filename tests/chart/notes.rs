//! What Helm prints at the end of an install.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
};

use signet_test_support::programs;

use crate::{
    api_server,
    chart::{self, NAMESPACE},
};

/// Only an install tells them, be it a dry one.
pub(crate) fn notes(name: &str, set: &str) -> Option<String> {
    let server = api_server::shared()?;
    let (directory, values) = (chart::path(""), chart::path(&format!("ci/{name}-values.yaml")));
    let mut command = Command::new(programs::program("helm")?);
    command.args(["install", "signet", directory.to_str()?, "--dry-run=server", "--namespace", NAMESPACE]);
    command.args(["--values", values.to_str()?, "--set", set]).env("KUBECONFIG", server.kubeconfig());
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.split_once("\nNOTES:\n").unwrap().1.trim_end().to_owned())
}

/// The secrets that lines of `kubectl` make: their keys by their names.
pub(crate) fn made(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut made = BTreeMap::new();
    for line in text.replace("\\\n", " ").lines() {
        let Some((_, rest)) = line.split_once("kubectl -n auth create secret ") else { continue };
        let mut words = rest.split_whitespace();
        assert_eq!(words.next(), Some("generic"), "the others take no further keys: {line}");
        let name = words.next().unwrap().to_owned();
        let sources =
            words.filter_map(|word| word.strip_prefix("--from-literal=").or_else(|| word.strip_prefix("--from-file=")));
        let keys: Vec<String> = sources.map(|source| source.split_once('=').unwrap().0.to_owned()).collect();
        let is_certificate = keys.iter().any(|key| key == "tls.crt");
        assert_eq!(line.contains(" --type=kubernetes.io/tls "), is_certificate, "{line}");
        let unique: BTreeSet<String> = keys.iter().cloned().collect();
        assert_eq!(unique.len(), keys.len(), "kubectl takes no key twice: {line}");
        assert_eq!(made.insert(name, unique), None, "the second of the same name would be refused: {line}");
    }
    made
}

#[test]
fn the_notes_make_every_secret_that_the_pods_need_and_each_once() {
    let Some(all) = chart::all() else { return };
    for (name, rendered) in all {
        let Some(notes) = notes(name, "") else { return };
        assert_eq!(made(&notes), rendered.secrets(), "{name}: {notes}");
    }
    let kinds = ["mutual-tls", "production", "sqlite"].map(|name| all[name].secrets().len());
    assert_eq!(kinds, [5, 1, 1]);
}

/// Somebody may have the certificates of callers' authorities beside the certificate of the service.
#[test]
fn a_secret_that_serves_two_purposes_is_made_once() {
    let set = "grpc.tls.clientCa.existingSecret=signet-tls";
    let Some(rendered) = chart::with("mutual-tls", &["--set", set]) else { return };
    let Some(notes) = notes("mutual-tls", set) else { return };
    assert_eq!(made(&notes), rendered.unwrap().secrets(), "{notes}");
}

#[test]
fn the_notes_end_with_a_line_that_needs_only_what_is_there() {
    for name in chart::values_files() {
        let Some(notes) = notes(&name, "") else { return };
        assert_eq!(notes.contains("grpcurl"), name != "production", "it has no reflection: {notes}");
    }
    let tls = notes("tls", "settings.SIGNET_GRPC_REFLECTION=false").expect("was there a moment ago");
    assert!(tls.contains("port-forward svc/signet-ops 9090:9090"), "{tls}");
    assert!(tls.ends_with(" http://localhost:9090/readyz"), "{tls}");
}

#[test]
fn the_notes_say_what_is_missing() {
    let Some(production) = notes("production", "") else { return };
    assert!(production.contains("helm -n auth test signet"), "{production}");
    assert!(!production.contains("NO MAIL") && !production.contains("TRIALS"), "{production}");
    let trial = notes("sqlite", "").expect("was there a moment ago");
    assert!(trial.contains("THIS IS FOR TRIALS") && trial.contains("NO MAIL IS SENT"), "{trial}");
    let none = notes("migrations-none", "").expect("was there a moment ago");
    assert!(none.contains("Migrations are yours"), "{none}");
}
