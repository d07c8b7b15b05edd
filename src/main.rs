//! The life of the process.

use std::{process::ExitCode, time::Duration};

use signet::{cli, config};

/// How long the end of the process waits for threads that are still at work.
const LAST_THREADS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // Before anything speaks TLS: there is more than one provider to choose from.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        unreachable!("nothing has installed another provider before the first line of the process");
    }
    let cli = match config::parse() {
        Ok(cli) => cli,
        Err(refusal) => return cli::refuse(&refusal),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(&error.into()),
    };
    let code = runtime.block_on(cli::run(cli));
    runtime.shutdown_timeout(LAST_THREADS);
    code
}
