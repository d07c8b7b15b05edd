//! The binary, started as the pods of the chart start it, with the files that their volumes would hold.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::Value;
use signet_test_support::{
    Engine, TestDatabase,
    process::{PATIENCE, Running, run, signet},
    programs,
};
use tempfile::TempDir;

use crate::{
    chart::{self, Rendered, variables},
    notes::notes,
};

/// A machine on which the containers of a release run as processes.
struct Node {
    /// Stands for the root of every container.
    root: TempDir,
}

impl Node {
    fn new() -> Self {
        let node = Self { root: tempfile::tempdir().unwrap() };
        node.write("/etc/signet/keys/master-key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
        fs::create_dir_all(node.path("/var/lib/signet")).unwrap();
        node
    }

    fn path(&self, absolute: &str) -> String {
        format!("{}{absolute}", self.root.path().display())
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The authority, the certificate of the service and that of a caller, where the volumes of `mutual-tls` put them.
    fn write_certificates(&self, name: &str) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        for file in ["/etc/signet/client-ca/ca.crt", "/etc/signet/ca/ca.crt"] {
            self.write(file, &authority.pem());
        }
        let (server, client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
        for (volume, purpose) in [("tls", server), ("client", client)] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.extended_key_usages = vec![purpose];
            let certificate = params.signed_by(&key, &authority).unwrap().pem();
            self.write(&format!("/etc/signet/{volume}/tls.crt"), &certificate);
            self.write(&format!("/etc/signet/{volume}/tls.key"), &key.serialize_pem());
        }
    }

    /// The process of a container.
    fn command(&self, container: &Value) -> Command {
        let here = |text: &str| {
            let text = text.replace("/etc/signet/", &self.path("/etc/signet/"));
            text.replace("/var/lib/signet/", &self.path("/var/lib/signet/"))
        };
        let arguments = container["args"].as_array().unwrap().iter();
        let arguments: Vec<String> = arguments.map(|argument| here(argument.as_str().unwrap())).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = signet(env!("CARGO_BIN_EXE_signet").as_ref(), self.root.path(), &arguments);
        for (name, value) in variables(container) {
            // The ports of a pod are its own; those of this machine are not.
            let value = if name.ends_with("_ADDR") { "127.0.0.1:0".to_owned() } else { here(value) };
            command.env(name, value);
        }
        command
    }

    /// Migrates, starts the service and asks it how it is as the pod of `helm test` does; gives the address of gRPC.
    fn bring_up(&self, rendered: &Rendered) -> (Running, String) {
        let pod = &rendered.one("Deployment")["spec"]["template"]["spec"];
        let job = rendered.of_kind("Job").map(|job| &job["spec"]["template"]["spec"]["containers"][0]);
        let migrate = job.chain(pod["initContainers"].as_array().into_iter().flatten()).next().unwrap();
        let server = rendered.server();

        let early = run(self.command(server));
        early.refused(1, &["signet migrate"]);
        let migrated = run(self.command(migrate));
        assert_eq!(migrated.code, 0, "{migrated:?}");
        let running = Running::start(self.command(server));
        let ready: Value = serde_json::from_str(&running.log_line("\"message\":\"ready\"")).unwrap();
        let grpc = ready["grpc"].as_str().unwrap().to_owned();

        let mut test = rendered.one("Pod")["spec"]["containers"][0].clone();
        let arguments = test["args"].as_array_mut().unwrap();
        let address = arguments.iter_mut().find(|argument| argument.as_str().unwrap().contains("--grpc-addr")).unwrap();
        assert_eq!(*address, "--grpc-addr=signet-grpc.auth.svc:50051");
        *address = Value::from(format!("--grpc-addr={grpc}"));
        let asked = run(self.command(&test));
        assert_eq!(asked.code, 0, "{asked:?}");
        (running, grpc)
    }
}

#[test]
fn a_trial_with_sqlite_runs() {
    let Some(rendered) = chart::one("sqlite") else { return };
    let node = Node::new();
    let (running, _) = node.bring_up(rendered);
    assert!(Path::new(&node.path("/var/lib/signet/signet.db")).is_file());
    assert_eq!(running.terminate().code, 0);
}

#[tokio::test]
async fn the_service_runs_on_postgres_and_ends_well() {
    let Some(rendered) = chart::one("minimal") else { return };
    let Some(database) = TestDatabase::from_template(Engine::Postgres, async |_| {}).await else { return };
    let node = Node::new();
    node.write("/etc/signet/database/url", &format!("{}\n", database.url()));
    let (running, _) = node.bring_up(rendered);
    assert_eq!(running.terminate().code, 0);
}

/// NOTES end with a line to paste, and it works.
#[tokio::test]
async fn the_last_line_of_the_notes_says_how_the_service_is() {
    let Some(all) = chart::all() else { return };
    let Some(grpcurl) = programs::program("grpcurl") else { return };
    for (name, expected) in [("minimal", "-plaintext"), ("mutual-tls", "-cacert ca.crt")] {
        let Some(notes) = notes(name, "") else { return };
        let line = notes.lines().last().unwrap().trim();
        assert!(line.starts_with("grpcurl ") && line.contains(expected), "{notes}");
        assert!(notes.contains("port-forward svc/signet-grpc 50051:50051"), "{notes}");

        let Some(database) = TestDatabase::from_template(Engine::Postgres, async |_| {}).await else { return };
        let node = Node::new();
        node.write("/etc/signet/database/url", database.url());
        if name == "mutual-tls" {
            node.write_certificates("grpc.auth.example.com");
            for (from, to) in
                [("ca/ca.crt", "/ca.crt"), ("client/tls.crt", "/client.crt"), ("client/tls.key", "/client.key")]
            {
                fs::copy(node.path(&format!("/etc/signet/{from}")), node.path(to)).unwrap();
            }
        }
        let (running, grpc) = node.bring_up(&all[name]);
        let line = line.replace("localhost:50051", &grpc);
        let mut words = line.split(' ').skip(1).collect::<Vec<_>>();
        let patience = PATIENCE.as_secs().to_string();
        words.splice(0..0, ["-max-time", &patience]);
        let mut command = Command::new(&grpcurl);
        command.args(&words).current_dir(node.root.path());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("\"status\": \"SERVING\""), "{line}: {output:?}");
        assert_eq!(running.terminate().code, 0);
    }
}

/// Without reflection grpcurl does not know what it is to ask; the binary does.
#[tokio::test]
async fn without_reflection_the_last_line_of_the_notes_is_another_one_that_works() {
    let set = "settings.SIGNET_GRPC_REFLECTION=false";
    let Some(rendered) = chart::with("minimal", &["--set", set]) else { return };
    let (rendered, Some(notes)) = (rendered.unwrap(), notes("minimal", set)) else { return };
    assert!(!notes.contains("grpcurl"), "{notes}");
    let line = notes.lines().last().unwrap().trim();
    let arguments = line.strip_prefix("kubectl -n auth exec deploy/signet -- /usr/local/bin/signet ").unwrap();

    let Some(database) = TestDatabase::from_template(Engine::Postgres, async |_| {}).await else { return };
    let node = Node::new();
    node.write("/etc/signet/database/url", database.url());
    let (running, grpc) = node.bring_up(&rendered);
    let mut container = rendered.server().clone();
    container["args"] = arguments.split(' ').collect();
    let mut asked = node.command(&container);
    asked.env("SIGNET_GRPC_ADDR", &grpc);
    let asked = run(asked);
    assert_eq!(asked.code, 0, "{asked:?}");
    assert_eq!(running.terminate().code, 0);
}
