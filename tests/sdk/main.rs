//! The vendors' own client libraries, pinned and unmodified, against the real binary: what the REST dialects promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../cli/process.rs"]
#[expect(dead_code, reason = "shared with the tests of the command line, which use more of it")]
mod process;
mod service;

mod descope;
mod stytch;
mod transmit;
mod workos;
