//! The vendors' own client libraries, pinned and unmodified, against the real binary: what the REST dialects promise.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod service;

mod descope;
mod stytch;
mod transmit;
mod workos;

/// The binary, in a directory of its own, on a machine without settings.
fn signet(directory: &std::path::Path, args: &[&str]) -> std::process::Command {
    signet_test_support::process::signet(env!("CARGO_BIN_EXE_signet").as_ref(), directory, args)
}
