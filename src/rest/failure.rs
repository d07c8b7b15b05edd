//! Why a request is not answered with what it asked for.

use std::{collections::HashMap, time::Duration};

use prost::Message as _;
use prost_types::Any;
use tonic_types::{StatusExt as _, pb};

use super::reply::Reply;
use crate::{
    error::wire,
    proto::{ErrorReason, PendingAuthentication},
};

/// A refusal, before the dialect puts it into its own words.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The gRPC API refused.
    Api(Box<Failure>),
    /// The body cannot be read, and why.
    Body(String),
    /// The body is larger than this listener takes.
    BodyTooLarge,
    /// A fault of ours.
    Internal,
    /// The path takes other methods.
    MethodNotAllowed,
    /// There is nothing at this path.
    NotFound,
    /// The handler has found the dialect's words itself.
    Said(Box<Reply>),
}

/// What the gRPC API says when it refuses.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) reason: ErrorReason,
    /// Text for people.
    pub(super) message: String,
    /// The fields that are wrong: name in the proto, and what is wrong with it.
    pub(super) violations: Vec<(String, String)>,
    /// When to come back.
    pub(super) retry_after: Option<Duration>,
    /// More of the reason, such as `attempts_left`.
    pub(super) metadata: HashMap<String, String>,
    /// The password was right, something is missing.
    pub(super) pending: Option<PendingAuthentication>,
    /// All of the details as they came.
    pub(super) details: Vec<Any>,
}

/// When to try again, if the way to the API is broken.
const RETRY_UNAVAILABLE: Duration = Duration::from_secs(1);

impl Failure {
    /// A failure that the API did not tell.
    pub(super) fn of(reason: ErrorReason) -> Self {
        Self {
            reason,
            message: wire(reason).message.to_owned(),
            violations: Vec::new(),
            retry_after: (reason == ErrorReason::Unavailable).then_some(RETRY_UNAVAILABLE),
            metadata: HashMap::new(),
            pending: None,
            details: Vec::new(),
        }
    }

    /// True if that field of the request is wrong.
    pub(super) fn names(&self, field: &str) -> bool {
        self.violations.iter().any(|(named, _)| named == field)
    }

    /// True if the token in the request is no good, or its session is over.
    pub(super) const fn is_about_the_token(&self) -> bool {
        matches!(self.reason, ErrorReason::TokenInvalid | ErrorReason::SessionNotActive)
    }

    /// Whole seconds for `Retry-After`, at least one.
    pub(super) fn retry_after_seconds(&self) -> Option<u64> {
        let wait = self.retry_after?;
        Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        let info = status.get_details_error_info();
        let reason =
            info.as_ref().and_then(|info| ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason)));
        let Some(reason) = reason else {
            return unexplained(&status);
        };
        let details = pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
        let fields = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
        Self {
            reason,
            message: status.message().to_owned(),
            violations: fields.into_iter().map(|field| (field.field, field.description)).collect(),
            retry_after: status.get_details_retry_info().and_then(|retry| retry.retry_delay),
            metadata: info.map(|info| info.metadata).unwrap_or_default(),
            pending: pending(&details),
            details,
        }
    }
}

/// An answer without a reason of ours: from what stands between us and the API, or of the way there.
fn unexplained(status: &tonic::Status) -> Failure {
    let error = status as &dyn std::error::Error;
    match status.code() {
        // It heals by itself.
        tonic::Code::Unavailable => {
            tracing::warn!(error, "the gRPC API cannot be reached");
            Failure {
                message: "the service cannot be reached; try again".into(),
                ..Failure::of(ErrorReason::Unavailable)
            }
        }
        tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => Failure::of(ErrorReason::DeadlineExceeded),
        code => {
            tracing::error!(?code, error, "an answer of the API has no reason");
            Failure::of(ErrorReason::Internal)
        }
    }
}

fn pending(details: &[Any]) -> Option<PendingAuthentication> {
    let found = details.iter().find(|any| any.type_url.ends_with("/auth.v1.PendingAuthentication"))?;
    PendingAuthentication::decode(found.value.as_slice()).ok()
}

impl From<tonic::Status> for Refusal {
    fn from(status: tonic::Status) -> Self {
        Self::Api(Box::new(status.into()))
    }
}

impl From<Reply> for Refusal {
    fn from(reply: Reply) -> Self {
        Self::Said(Box::new(reply))
    }
}
