//! Arrows between modules run one way: a module names only those to the left of it in [`ORDER`].

use std::{collections::BTreeSet, path::Path};

use crate::{
    references::{Reference, References, module_of},
    sources,
};

/// What anything may be built on. They may name each other and nothing else of ours.
const BASE: [&str; 10] = [
    "clock",
    "error",
    "id_form",
    "json_struct",
    "listener",
    "metrics",
    "proto",
    "random",
    "request_id",
    "trace_context",
];
/// What carries the process rather than the business. They may name the base and each other.
const INFRASTRUCTURE: [&str; 4] = ["config", "lifecycle", "ops", "telemetry"];
/// Each may name those before it, and the base.
const ORDER: [&str; 10] = ["domain", "crypto", "store", "mail", "usecase", "grpc", "rest", "app", "cli", "main"];
/// Who may name the infrastructure.
const USERS_OF_INFRASTRUCTURE: [&str; 3] = ["app", "cli", "main"];
/// Who else may name `config`: for the section of their own settings.
const USERS_OF_CONFIG: [&str; 4] = ["crypto", "grpc", "mail", "store"];
/// Crates that do I/O or carry requests: `domain` is free of them.
const FRAMEWORKS: [&str; 13] = [
    "axum",
    "http",
    "hyper",
    "lettre",
    "sea_orm",
    "sqlx",
    "tokio",
    "tokio_stream",
    "tokio_util",
    "tonic",
    "tonic_types",
    "tower",
    "tower_http",
];

/// Why the first module may not name the second; `None` if it may.
fn objection(from: &str, to: &str) -> Option<&'static str> {
    let rank = |name: &str| ORDER.iter().position(|module| *module == name);
    let known = |name: &str| BASE.contains(&name) || INFRASTRUCTURE.contains(&name) || rank(name).is_some();
    if !known(from) || !known(to) {
        Some("a module without a place in the order; give it one in tests/contract/arrows.rs")
    } else if from == to || BASE.contains(&to) {
        None
    } else if BASE.contains(&from) {
        Some("the base names nothing but itself")
    } else if INFRASTRUCTURE.contains(&to) {
        let may = INFRASTRUCTURE.contains(&from)
            || USERS_OF_INFRASTRUCTURE.contains(&from)
            || (to == "config" && USERS_OF_CONFIG.contains(&from));
        (!may).then_some("only the outermost modules name the infrastructure")
    } else if INFRASTRUCTURE.contains(&from) {
        Some("the infrastructure names only the base and itself")
    } else if from == "rest" {
        Some("`rest` is a client of the API: it names only `proto`, the base and itself")
    } else {
        (rank(from) <= rank(to)).then_some("the arrow runs backward")
    }
}

/// The faults of the sources, each a sentence. `files` are paths below the repository and their content.
fn faults<'a>(files: impl Iterator<Item = (&'a Path, &'a str)>) -> Vec<String> {
    let mut tests = BTreeSet::new();
    let mut read = Vec::new();
    for (file, source) in files {
        let module = module_of(file);
        let references = References::of(source, &module).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        tests.extend(references.test_modules);
        read.push((file, module, references.found));
    }
    read.retain(|(_, module, _)| !(1..=module.len()).any(|length| tests.contains(&module[..length])));

    let mut faults = Vec::new();
    for (file, module, references) in read {
        // The root of the library only declares the modules.
        let Some(from) = module.first() else { continue };
        for reference in references {
            match reference {
                Reference::Module(to) => faults.extend(
                    objection(from, &to).map(|why| format!("{}: `{from}` names `{to}`: {why}", file.display())),
                ),
                Reference::Other(name) if from == "domain" && FRAMEWORKS.contains(&name.as_str()) => {
                    faults.push(format!("{}: `domain` names the crate `{name}`", file.display()));
                }
                // The binary sees the library as a crate.
                Reference::Other(name) if from != "main" && name == "signet" => {
                    faults.push(format!("{}: names this crate as `signet`; say `crate`", file.display()));
                }
                Reference::Other(_) => {}
            }
        }
    }
    faults
}

#[test]
fn no_arrow_between_modules_runs_backward() {
    let files: Vec<_> = sources::rust_files("src").into_iter().map(|file| (sources::read(&file), file)).collect();
    let faults = faults(files.iter().map(|(source, file)| (file.as_path(), source.as_str())));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

mod the_checker {
    //! What the checker sees, shown on small samples.

    use super::*;

    /// The modules and frameworks that the faults of one file are about.
    fn faults_in(file: &str, source: &str) -> Vec<String> {
        faults([(Path::new(file), source)].into_iter())
            .into_iter()
            .map(|fault| fault.split(" names ").nth(1).unwrap().split('`').nth(1).unwrap().to_owned())
            .collect()
    }

    #[test]
    fn sees_a_backward_arrow_in_an_import() {
        assert_eq!(faults_in("src/domain/user.rs", "use crate::store::Store;"), ["store"]);
        assert_eq!(faults_in("src/store.rs", "use crate::domain::User;"), [""; 0]);
    }

    #[test]
    fn sees_each_branch_of_a_nested_import() {
        let source = "use crate::{clock::Clock, domain::{user::User, id}, usecase::X, grpc::{Y, Z as Q}, rest::*};";
        assert_eq!(faults_in("src/store/user.rs", source), ["grpc", "rest", "usecase"]);
        assert_eq!(faults_in("src/crypto.rs", "use {std::fmt, crate::{mail}};"), ["mail"]);
    }

    #[test]
    fn sees_paths_written_in_place() {
        assert_eq!(
            faults_in("src/domain.rs", "fn f(x: crate::store::A) -> Option<crate::mail::B> { None }"),
            ["mail", "store"]
        );
        assert_eq!(faults_in("src/domain.rs", "fn f() { crate::grpc::g::<u8>(); }"), ["grpc"]);
        assert_eq!(faults_in("src/domain.rs", "impl crate::usecase::T for X {}"), ["usecase"]);
        assert_eq!(faults_in("src/domain.rs", "pub(in crate::domain) struct X;"), [""; 0]);
    }

    #[test]
    fn sees_paths_inside_macros_and_attributes() {
        assert_eq!(faults_in("src/domain.rs", r#"fn f() { format!("{}", [crate::store::x()]); }"#), ["store"]);
        assert_eq!(faults_in("src/domain.rs", "macro_rules! m { () => { $crate::mail::x() } }"), ["mail"]);
        assert_eq!(faults_in("src/domain.rs", "#[derive(sea_orm::DeriveIden)] struct X;"), ["sea_orm"]);
        assert_eq!(faults_in("src/domain.rs", r#"struct X { #[serde(with = "crate::store::x")] y: u8 }"#), ["store"]);
    }

    #[test]
    fn sees_through_super() {
        assert_eq!(faults_in("src/domain/user.rs", "use super::super::store::X;"), ["store"]);
        assert_eq!(faults_in("src/domain/user.rs", "use super::store::X;"), [""; 0]);
        assert_eq!(faults_in("src/domain.rs", "mod a { mod b { use super::super::super::store::X; } }"), ["store"]);
        assert_eq!(faults_in("src/domain.rs", "mod a { mod b { use super::super::store::X; } }"), [""; 0]);
    }

    #[test]
    fn refuses_what_would_hide_an_arrow() {
        // An item of the root may stand for any module, and so may a glob or another name of the root.
        assert_eq!(faults_in("src/domain.rs", "use crate::Reexported;"), ["Reexported"]);
        assert_eq!(faults_in("src/domain.rs", "use crate::*;"), ["*"]);
        assert_eq!(faults_in("src/domain.rs", "use crate as everything;"), ["*"]);
        assert_eq!(faults_in("src/domain.rs", "use signet::store::X;").len(), 1);
    }

    #[test]
    fn keeps_frameworks_out_of_the_domain_only() {
        let source = "use tokio::sync::Mutex; fn f() -> tonic::Status { axum::g() } struct X(sea_orm::DbErr);";
        assert_eq!(faults_in("src/domain/user.rs", source), ["axum", "sea_orm", "tokio", "tonic"]);
        assert_eq!(faults_in("src/store.rs", source), [""; 0]);
    }

    #[test]
    fn lets_tests_name_anything() {
        assert_eq!(
            faults_in("src/domain.rs", "#[cfg(test)] mod tests { use crate::store::X; use tokio::y; }"),
            [""; 0]
        );
        for [declaration, file] in [
            ["#[cfg(test)] mod tests;", "src/domain/user/tests.rs"],
            ["#[cfg(test)] #[path = \"user_tests.rs\"] mod tests;", "src/domain/user_tests.rs"],
        ] {
            let files = [("src/domain/user.rs", declaration), (file, "use crate::store::X;")];
            let files = files.map(|(file, source)| (Path::new(file), source));
            assert_eq!(faults(files.into_iter()), [""; 0]);
        }
        assert_eq!(faults_in("src/domain.rs", "#[cfg(unix)] mod tests { use crate::store::X; }"), ["store"]);
    }

    #[test]
    fn keeps_rest_a_client_of_the_api() {
        let source = "use crate::{proto::User, error::E, rest::x, domain::y, usecase::z, grpc::q};";
        assert_eq!(faults_in("src/rest/workos.rs", source), ["domain", "grpc", "usecase"]);
    }

    #[test]
    fn keeps_the_infrastructure_apart() {
        assert_eq!(faults_in("src/ops.rs", "use crate::{config::X, lifecycle::Y, metrics::Z, store::Q};"), ["store"]);
        assert_eq!(faults_in("src/store.rs", "use crate::{config::X, telemetry::Y};"), ["telemetry"]);
        assert_eq!(faults_in("src/usecase.rs", "use crate::config::X;"), ["config"]);
        assert_eq!(
            faults_in("src/app.rs", "use crate::{config::X, telemetry::Y, ops::Z, usecase::Q, rest::R};"),
            [""; 0]
        );
        assert_eq!(faults_in("src/clock.rs", "use crate::{domain::X, random::Y};"), ["domain"]);
    }

    #[test]
    fn asks_for_a_place_for_a_new_module() {
        assert_eq!(faults_in("src/brand_new.rs", "use crate::clock::Clock;"), ["clock"]);
    }
}
