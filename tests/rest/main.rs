//! The REST API, called in process: through its router, over the gRPC API with all of its layers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// The app of the tests of the gRPC API: one fixture for both.
#[path = "../api"]
mod api {
    #[expect(dead_code, unused_imports, reason = "the tests of the gRPC API need more of it")]
    pub(crate) mod support;
}
mod browsers;
mod canonical;
mod descope;
mod fuzz;
mod key_sets;
mod openapi;
mod paths;
mod rest_app;
mod shape;
mod stytch;
mod transmit;
mod vendor_app;
mod workos;
mod wrong_types;

use api::support;
