//! Secrets come from secrets, as files, and go no further than they must.

use clap::{Args as _, Command};
use serde_json::{Value, json};
use signet::config::ServeConfig;

use crate::chart::{self, containers, variables};

/// The settings that the binary itself takes for secret.
fn secret_settings() -> Vec<String> {
    let command = ServeConfig::augment_args(Command::new("signet"));
    let secret = command.get_arguments().filter(|arg| arg.is_hide_env_values_set());
    let names: Vec<String> = secret.map(|arg| arg.get_env().unwrap().to_str().unwrap().to_owned()).collect();
    assert!(names.len() >= 3 && names.contains(&"SIGNET_MASTER_KEY".to_owned()), "{names:?}");
    names
}

#[test]
fn no_object_holds_a_secret() {
    let Some(all) = chart::all() else { return };
    let secret = secret_settings();
    for (file, rendered) in all {
        assert_eq!(rendered.of_kind("Secret").count(), 0, "{file}");
        for (owner, pod) in rendered.pods() {
            for container in containers(pod) {
                assert_eq!(container["envFrom"], json!(null), "{file}: {owner}");
                for (name, value) in variables(container) {
                    let harmless = match name {
                        "SIGNET_DATABASE_URL" => {
                            value == "sqlite:///var/lib/signet/signet.db"
                                || url::Url::parse(value).unwrap().password().is_none()
                        }
                        _ => !secret.iter().any(|secret| secret == name),
                    };
                    assert!(harmless, "{file}: {owner}: {name}");
                }
            }
        }
    }
}

#[test]
fn a_secret_is_no_setting() {
    for name in secret_settings() {
        let Some(refused) = chart::with("minimal", &["--set", &format!("settings.{name}=hunter2")]) else { return };
        let refusal = refused.unwrap_err();
        assert!(refusal.contains(&format!("at '/settings/{name}': value must be 'given by ")), "{refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

#[test]
fn what_the_chart_sets_from_values_is_no_setting() {
    let Some(all) = chart::all() else { return };
    let own = all.values().flat_map(|rendered| variables(rendered.server()).into_keys());
    let given = |name: &str| name.starts_with("SIGNET_LOG") || name == "SIGNET_OTLP_ENDPOINT";
    let mut own: Vec<&str> = own.filter(|name| name.starts_with("SIGNET_") && !given(name)).collect();
    own.sort_unstable();
    own.dedup();
    own.retain(|name| {
        !["SIGNET_DATABASE_CONNECTIONS", "SIGNET_REST_BODY_BYTES", "SIGNET_GRPC_REFLECTION"].contains(name)
    });
    assert!(own.len() > 10, "{own:?}");
    for name in own {
        let refusal = chart::with("minimal", &["--set", &format!("settings.{name}=x")]).unwrap().unwrap_err();
        assert!(refusal.contains(&format!("at '/settings/{name}'")), "{refusal}");
        let arguments = [format!("extraEnv[0].name={name}"), "extraEnv[0].value=x".to_owned()];
        let refusal = chart::with("minimal", &["--set", &arguments.join(",")]).unwrap().unwrap_err();
        assert!(refusal.contains("given by settings"), "{refusal}");
    }
}

#[test]
fn a_database_url_with_a_password_is_refused_and_not_shown() {
    for url in [
        "postgres://signet:hunter2@db/signet",
        "postgresql://:hunter2@db/signet",
        "postgres://signet@db/signet?password=hunter2",
        "postgres://signet@db/signet?sslmode=require&PassWord=hunter2",
        "postgres://signet:p@hunter2@db/signet",
        "mysql://hunter2",
    ] {
        let set = format!("database.existingSecret.name=,database.url={url}");
        let Some(refused) = chart::with("minimal", &["--set", &set]) else { return };
        let refusal = refused.unwrap_err();
        assert!(refusal.contains("at '/database/url'") && refusal.contains("database.existingSecret"), "{refusal}");
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
    for url in ["postgres://signet@db:5432/signet?sslmode=verify-full", "postgres:///signet?host=/run/postgresql"] {
        let set = format!("database.existingSecret.name=,database.url={url}");
        let rendered = chart::with("minimal", &["--set", &set]).unwrap().unwrap();
        assert_eq!(variables(rendered.server())["SIGNET_DATABASE_URL"], url);
    }
}

#[test]
fn there_is_no_value_for_a_master_key() {
    for value in ["masterKey.value", "masterKey.key", "masterKey.existingSecret.value", "masterKeyValue"] {
        let Some(refused) = chart::with("minimal", &["--set", &format!("{value}=c2VjcmV0")]) else { return };
        let refusal = refused.unwrap_err();
        assert!(refusal.contains("additional properties"), "{refusal}");
    }
}

/// Every file that a variable names lies in a volume of a secret, which only the service can read.
#[test]
fn secrets_are_files_that_only_the_service_can_read() {
    let Some(all) = chart::all() else { return };
    let mut files = 0;
    for (name, rendered) in all {
        for (owner, pod) in rendered.pods() {
            let at = format!("{name}: {owner}");
            let volumes = pod["volumes"].as_array().cloned().unwrap_or_default();
            for volume in volumes.iter().filter(|volume| volume["secret"].is_object()) {
                assert_eq!(volume["secret"]["defaultMode"], 0o440, "{at}");
            }
            for container in containers(pod) {
                let paths = variables(container).into_values().filter(|value| value.starts_with("/etc/signet/"));
                for path in paths {
                    assert!(is_in_secret(path, container, &volumes), "{at}: {path}");
                    files += 1;
                }
            }
        }
    }
    assert!(files > 20, "{files}");
}

fn is_in_secret(path: &str, container: &Value, volumes: &[Value]) -> bool {
    let (directory, file) = path.rsplit_once('/').unwrap();
    let mounts = container["volumeMounts"].as_array().unwrap();
    let Some(mount) = mounts.iter().find(|mount| mount["mountPath"] == directory) else { return false };
    let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
    let items = volume["secret"]["items"].as_array().unwrap();
    mount["readOnly"] == true && items.iter().any(|item| item["path"] == file)
}

#[test]
fn whoever_migrates_sees_the_database_alone() {
    let Some(all) = chart::all() else { return };
    for name in ["minimal", "production", "mutual-tls"] {
        let pod = &all[name].one("Job")["spec"]["template"]["spec"];
        let secrets: Vec<&Value> =
            pod["volumes"].as_array().unwrap().iter().filter(|volume| volume["secret"].is_object()).collect();
        let [database] = secrets[..] else { panic!("{name}: {secrets:?}") };
        assert_eq!(database["name"], "database", "{name}");
        assert_eq!(database["secret"]["items"], json!([{ "key": "database-url", "path": "url" }]), "{name}");
    }
    for rendered in [&all["migrations-init-container"], &all["sqlite"]] {
        let container = &rendered.one("Deployment")["spec"]["template"]["spec"]["initContainers"][0];
        assert!(!container["volumeMounts"].to_string().contains("/etc/signet/keys"), "{container}");
    }
}
