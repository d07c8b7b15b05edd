//! `docs/errors.md` says for each reason what it means, its codes, and which RPCs can answer with it. It is generated from
//! `proto/` and `src/error.rs`; write it anew with `SIGNET_UPDATE_DOCS=1 cargo test --test contract`.

use std::fmt::Write as _;

use prost_reflect::DescriptorPool;
use signet::{
    error::{code_name, wire},
    proto::{CallerKind, DESCRIPTORS, ErrorReason, RPCS, Rpc},
};
use signet_test_support::generated;

use crate::{proto::comment, sources};

const FILE: &str = "docs/errors.md";
const HEAD: &str = "\
# Errors

Every failed call answers with a gRPC status whose details hold a `google.rpc.ErrorInfo`: `domain` is `signet.auth.v1` and
`reason` is one of the names below. Branch on the reason, never on the message, which is for people and may change.
`google.rpc.BadRequest` names the fields at fault; `google.rpc.RetryInfo` says when to come back.

This file is generated from the comments in `proto/` and the codes in `src/error.rs`: change those, then run
`SIGNET_UPDATE_DOCS=1 cargo test --test contract`.
";

/// Each reason that can be sent, with the comment above it in `proto/errors.proto`.
fn reasons() -> Vec<(ErrorReason, String)> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let reasons = pool.get_enum_by_name("auth.v1.ErrorReason").unwrap();
    let file = reasons.parent_file();
    reasons
        .values()
        .filter(|value| value.number() != 0)
        .map(|value| (ErrorReason::try_from(value.number()).unwrap(), comment(&file, value.path())))
        .collect()
}

/// RPCs as `Service.Rpc`, in backquotes.
fn names(rpcs: impl Iterator<Item = &'static Rpc>) -> Vec<String> {
    rpcs.map(|rpc| format!("`{}`", rpc.path.trim_start_matches("/auth.v1.").replace('/', "."))).collect()
}

/// The RPCs that declare the reason.
fn declared_by(reason: ErrorReason) -> Vec<String> {
    names(RPCS.iter().filter(|rpc| rpc.error_reasons.contains(&reason)))
}

fn document() -> String {
    let mut document = HEAD.to_owned();
    for (reason, comment) in reasons() {
        let text = comment.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        let rpcs = if reason == ErrorReason::CallerUnauthenticated {
            // Who may be anybody is not asked for credentials.
            let open: Vec<_> = names(RPCS.iter().filter(|rpc| rpc.caller == CallerKind::Anyone));
            format!("every RPC but {}, which anybody may call", open.join(", "))
        } else if Rpc::COMMON_REASONS.contains(&reason) {
            "every RPC".to_owned()
        } else {
            declared_by(reason).join(", ")
        };
        let wire = wire(reason);
        let (name, code, http) = (reason.wire_name(), code_name(wire.code), wire.http_status);
        write!(document, "\n## {name}\n\ngRPC `{code}`, HTTP {http}.\n\n{text}\n\nAnswered by {rpcs}.\n").unwrap();
    }
    document
}

#[test]
fn the_document_of_errors_is_what_the_proto_says() {
    generated::assert_current(&sources::path(FILE), &document(), "--test contract");
}

#[test]
fn every_reason_is_common_or_declared_by_an_rpc() {
    let unused: Vec<_> = reasons()
        .into_iter()
        .map(|(reason, _)| reason)
        .filter(|reason| !Rpc::COMMON_REASONS.contains(reason) && declared_by(*reason).is_empty())
        .collect();
    assert!(unused.is_empty(), "no RPC can answer with {unused:?}");
}

#[test]
fn no_rpc_declares_a_reason_twice_or_one_that_is_common() {
    for rpc in RPCS {
        for (index, reason) in rpc.error_reasons.iter().enumerate() {
            assert!(!Rpc::COMMON_REASONS.contains(reason), "{}: {reason:?} is common to all", rpc.path);
            assert!(!rpc.error_reasons[..index].contains(reason), "{}: {reason:?} stands there twice", rpc.path);
        }
    }
}

#[test]
fn the_comment_of_the_option_lists_the_common_reasons() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let option = pool.get_extension_by_name("auth.v1.error_reasons").unwrap();
    let comment = comment(&option.parent_file(), option.path());
    let named: Vec<_> = comment.split('`').skip(1).step_by(2).collect();
    assert_eq!(named, Rpc::COMMON_REASONS.map(ErrorReason::wire_name));
}
