//! The kernel says what the standard, the reference implementation and the argon2 crate say, on every path of this
//! processor.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arena;
mod borders;
mod dispatch;
mod oracle;
mod paths;
mod refusals;
mod vectors;
