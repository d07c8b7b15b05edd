//! Bad days, with real parts: the binary, databases that go away, mail servers that are down, callers who are up to no good, and
//! honest ones who go on meanwhile. `docs/operations.md` has the table of what is promised.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attacker;
mod calls;
mod database_away;
mod floods;
mod http2;
mod idle_connections;
mod load;
mod mail_away;
mod open_files;
mod partition;
mod pool_exhausted;
mod rubbish;
mod service;
mod stop;
mod two_versions;
