//! The RPCs as HTTP calls, as their `google.api.http` options say.

use std::sync::LazyLock;

use http::{Method, uri::PathAndQuery};
use prost_reflect::{DescriptorPool, MethodDescriptor};

use crate::proto::{self, DESCRIPTORS};

/// The descriptors of `proto/`.
pub(super) static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).expect("build.rs has compiled the descriptors"));

/// Every RPC but the streams. Of two whose paths fit the same request, the one with the literal segment comes first.
pub(super) static RPCS: LazyLock<Vec<Binding>> = LazyLock::new(|| {
    let mut bound: Vec<Binding> = proto::RPCS.iter().filter_map(Binding::of).collect();
    // No other character of a path comes after a tilde.
    bound.sort_by_key(|rpc| rpc.path.replace('{', "~"));
    bound
});

/// An RPC as an HTTP call.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) method: Method,
    /// Pattern of the path, `/api/v1/users/{user_id}`.
    pub(super) path: &'static str,
    /// Whether the body is the request (`body: "*"`); else all that is not in the path is in the query.
    pub(super) has_body: bool,
    pub(super) descriptor: MethodDescriptor,
    pub(super) rpc: &'static proto::Rpc,
    /// Path of the gRPC call.
    pub(super) grpc_path: PathAndQuery,
}

impl Binding {
    /// `None` for an RPC without an HTTP rule: a stream, which is for gRPC alone.
    fn of(rpc: &'static proto::Rpc) -> Option<Self> {
        let (service, name) = rpc.path.trim_start_matches('/').split_once('/')?;
        let descriptor = POOL.get_service_by_name(service)?.methods().find(|method| method.name() == name)?;
        let options = descriptor.options();
        let rule = options.get_extension(&POOL.get_extension_by_name("google.api.http")?);
        let rule = rule.as_message()?;
        let text = |field: &str| Some(rule.get_field_by_name(field)?.as_str()?.to_owned());
        let methods = [
            ("get", Method::GET),
            ("post", Method::POST),
            ("put", Method::PUT),
            ("patch", Method::PATCH),
            ("delete", Method::DELETE),
        ];
        let (method, path) = methods
            .into_iter()
            .find_map(|(field, method)| Some((method, text(field).filter(|path| !path.is_empty())?)))?;
        // They live as long as the process, and so does the table of routes.
        let path: &'static str = path.leak();
        let has_body = text("body").is_some_and(|body| body == "*");
        Some(Self { method, path, has_body, descriptor, rpc, grpc_path: PathAndQuery::from_static(rpc.path) })
    }

    /// The names of the path's parameters.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The reasons it can refuse for.
    pub(super) fn reasons(&self) -> impl Iterator<Item = proto::ErrorReason> {
        self.rpc.error_reasons.iter().chain(&proto::Rpc::COMMON_REASONS).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_is_bound_and_its_path_is_whole_segments_with_fields_of_its_request() {
        assert_eq!(RPCS.len(), proto::RPCS.iter().filter(|rpc| !rpc.is_stream).count());
        for rpc in RPCS.iter() {
            assert!(rpc.path.starts_with("/api/v1/"), "{}", rpc.path);
            assert_eq!(rpc.path.matches('{').count(), rpc.parameters().count(), "{}", rpc.path);
            let input = rpc.descriptor.input();
            for name in rpc.parameters() {
                assert!(input.get_field_by_name(name).is_some(), "{} has no {name}", rpc.path);
            }
            let sends = [Method::POST, Method::PUT, Method::PATCH].contains(&rpc.method);
            assert_eq!(rpc.has_body, sends, "{}", rpc.path);
        }
    }

    #[test]
    fn a_literal_segment_comes_before_a_parameter_and_no_two_rpcs_share_a_path() {
        let keys: Vec<_> = RPCS.iter().map(|rpc| rpc.path.replace('{', "~")).collect();
        assert!(keys.is_sorted());
        let mut calls: Vec<_> = RPCS.iter().map(|rpc| (rpc.path, rpc.method.as_str())).collect();
        calls.sort_unstable();
        calls.dedup();
        assert_eq!(calls.len(), RPCS.len());
    }
}
