//! The real binary, from the outside: arguments in, exit code and output out, signals, and calls over TCP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
mod bench;
mod calls;
mod commands;
mod dev;
mod engines;
mod explain;
mod gateway;
mod help;
mod image;
mod installation;
mod lost_keys;
mod manual;
mod master_key;
mod process;
mod refresh;
mod serve;
mod settings;
mod severing_proxy;
mod tls;
mod vendors;

/// A master key that no two projects share.
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The same with another last byte.
const OTHER_MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHiA=";
/// Any free ports.
const FREE_PORTS: [&str; 6] = ["--grpc-addr", "127.0.0.1:0", "--rest-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"];
