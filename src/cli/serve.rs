//! `signet serve`.

use crate::{
    app::{App, Surroundings},
    config::ServeConfig,
    lifecycle::Shutdown,
    telemetry,
};

const EXAMPLES: &str = "\
Examples:
  signet serve --database-url postgres://signet@db/signet --master-key-file /run/secrets/master-key
  SIGNET_GRPC_ADDR=0.0.0.0:50051 SIGNET_MASTER_KEY_FILE=/run/secrets/master-key signet serve

It refuses to start without a master key, with the one of `signet dev`, and on a database that is not up to date (`signet \
migrate`). For one that does not answer it waits (--database-start-timeout). SIGTERM or Ctrl-C: no new requests, running ones are finished; a second signal stops at once.";

/// Run the service
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    config: ServeConfig,
}

pub(super) async fn run(args: ServeArgs) -> anyhow::Result<u8> {
    let config = args.config;
    config.validate()?;
    let telemetry = telemetry::init(&config.telemetry)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    // Before the database is waited for: the first process of a container does not even end by a signal that it does not listen to.
    let shutdown = Shutdown::new();
    shutdown.listen_to_signals(config.listen.edge.stop_delay)?;
    let surroundings = Surroundings::default();
    let Some(built) = shutdown.leaving().run_until_cancelled(App::build(&config, surroundings)).await else {
        tracing::info!("stopped before it was ready");
        telemetry.shutdown().await;
        return Ok(0);
    };
    let app = built?;
    let addresses = app.addresses();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        grpc = %addresses.grpc,
        rest = %addresses.rest,
        ops = %addresses.ops,
        "ready"
    );
    let ended = app.run(shutdown).await;
    tracing::info!("stopped: {}", ended.drain);
    telemetry.shutdown().await;
    Ok(ended.exit_code())
}
