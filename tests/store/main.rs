//! The store on real databases, each test on both engines.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod isolation;
