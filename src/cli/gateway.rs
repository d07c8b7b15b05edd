//! `signet gateway`.

use crate::{app::Gateway, config::gateway::GatewayConfig, lifecycle::Shutdown, telemetry};

const EXAMPLES: &str = "\
Examples:
  signet gateway --upstream https://auth.internal:50051
  signet gateway --upstream https://auth.internal:50051 --upstream-ca /etc/signet/ca.pem --rest-addr 0.0.0.0:8080
  signet gateway --upstream http://localhost:50051 --rest-addr 127.0.0.1:8081 --ops-addr 127.0.0.1:9091

It answers the same REST API as `signet serve`, and holds nothing: no database, no keys. It starts without its upstream and \
connects when it is called; until then calls are answered with 503, and /readyz says so.";

/// Run the REST API alone, in front of a service elsewhere
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct GatewayArgs {
    #[command(flatten)]
    config: GatewayConfig,
}

pub(super) async fn run(args: GatewayArgs) -> anyhow::Result<u8> {
    let config = args.config;
    config.validate()?;
    let telemetry = telemetry::init(&config.telemetry)?;
    if config.upstream.is_unencrypted() {
        tracing::warn!(
            "calls go to the upstream without TLS, passwords included; give an https URL to --upstream \
             (SIGNET_UPSTREAM) unless a mesh or proxy encrypts"
        );
    }
    let gateway = Gateway::build(&config).await?;
    let shutdown = Shutdown::new();
    shutdown.listen_to_signals(config.edge.stop_delay)?;
    let (rest, ops) = gateway.addresses()?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), %rest, %ops, "ready");
    let ended = gateway.run(shutdown).await;
    tracing::info!("stopped: {}", ended.drain);
    telemetry.shutdown().await;
    Ok(ended.exit_code())
}
