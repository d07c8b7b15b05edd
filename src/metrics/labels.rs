//! Labels. Their values are words of the program, so that nobody outside can make up series.

use prometheus_client::encoding::EncodeLabelSet;

use super::{DatabaseFailure, DatabaseOperation};

/// One set of labels: `label_sets! { Name { label, ... } ... }`.
macro_rules! label_sets {
    ($($name:ident { $($label:ident),+ })+) => {
        $(
            #[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
            pub(super) struct $name {
                $(pub(super) $label: &'static str,)+
            }
        )+
    };
}

label_sets! {
    Cause { cause }
    Dependency { dependency }
    Dialect { dialect }
    DialectStatus { dialect, status }
    Event { kind, cause }
    Kernel { kernel }
    Operation { operation }
    Outcome { outcome }
    RpcLabel { rpc }
    RpcOutcome { rpc, outcome }
    Scheme { scheme }
    State { state }
}

impl DatabaseOperation {
    pub(super) const fn label(self) -> Operation {
        let operation = match self {
            Self::Commit => "commit",
            Self::Statement => "statement",
        };
        Operation { operation }
    }
}

impl DatabaseFailure {
    /// The word for it in metrics and traces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoConnection => "no_connection",
            Self::Query => "query",
            Self::Unavailable => "unavailable",
        }
    }

    pub(super) const fn label(self) -> Cause {
        Cause { cause: self.as_str() }
    }
}
