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
migrate`). SIGTERM or Ctrl-C: no new requests, running ones are finished; a second signal stops at once.";

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
    let app = App::build(&config, Surroundings::default()).await?;
    let shutdown = Shutdown::new();
    shutdown.listen_to_signals(config.listen.edge.stop_delay)?;
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
