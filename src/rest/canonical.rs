//! The canonical REST API: every RPC by its descriptors, its description as `OpenAPI`, and what lies at well-known paths.

mod binding;
mod comments;
mod discovery;
mod docs;
mod openapi;
mod query;
mod status;
mod transcode;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use super::{
    dialect::Dialect,
    route::{Route, routes},
};

/// The dialect.
pub(super) static DIALECT: LazyLock<Dialect> =
    LazyLock::new(|| Dialect { name: "canonical", routes: table(), refuse: status::refuse });

static FIXED: &[Route] = routes![
    GET "/.well-known/jwks.json" => discovery::key_set,
    GET "/.well-known/openid-configuration" => discovery::metadata,
    // Below the issuer of the project.
    GET "/projects/{project_id}/.well-known/jwks.json" => discovery::key_set,
    GET "/projects/{project_id}/.well-known/openid-configuration" => discovery::metadata,
    GET "/api/v1/openapi.json" => openapi::serve,
    GET "/api/v1/docs" => docs::page,
    GET "/api/v1/docs/page.css" => docs::style,
    GET "/api/v1/docs/page.js" => docs::script,
];

/// The routes that are written here, then one for each RPC.
fn table() -> &'static [Route] {
    let rpcs = binding::RPCS.iter().map(|rpc| Route {
        method: rpc.method.clone(),
        path: rpc.path,
        handler: |api, incoming| Box::pin(transcode::call(api, incoming)),
    });
    Vec::leak(FIXED.iter().cloned().chain(rpcs).collect())
}
