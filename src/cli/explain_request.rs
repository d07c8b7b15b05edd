//! `signet explain`.

mod advice;
mod record;

use self::record::EventRecord;
use super::{
    database::{DatabaseArgs, operator_call},
    explain::explain,
    output::Output,
};
use crate::{app, config::limits::LimitConfig, usecase::explain_request::explain_request};

const EXAMPLES: &str = "\
Examples:
  signet explain 01J9ZQ4Y7N2B8K3W5T6R0V1X2C
  signet explain 01J9ZQ4Y7N2B8K3W5T6R0V1X2C --json | jq -r .cause

The id stands in the `x-request-id` of every answer, in the `google.rpc.RequestInfo` of every error, and in the log. \
Callers may choose their ids, so several requests may share one: everything is shown. Exit code 0 if something is \
recorded, 1 if nothing is.

Delays are reckoned with the limits given here: give the same as to `signet serve`.";

/// Say what a request did, and why it failed when its caller was told nothing
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// Id of the request
    #[arg(value_name = "REQUEST_ID")]
    request_id: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    limits: LimitConfig,
}

pub(super) async fn run(args: ExplainArgs) -> anyhow::Result<()> {
    let mut services = args.database.open().await?;
    services.limits = app::delays(&args.limits, services.limits);
    let explained = explain_request(&services, &operator_call(&services), &args.request_id).await.map_err(explain)?;
    if explained.is_empty() {
        return Err(nothing(&args.request_id));
    }
    let records: Vec<_> = explained.into_iter().map(EventRecord::from).collect();
    Ok(args.output.records(&records)?)
}

/// Where else to look.
fn nothing(request_id: &str) -> anyhow::Error {
    // What was typed goes to the terminal.
    let id: String = request_id.chars().filter(|c| !c.is_control()).collect();
    anyhow::anyhow!(
        "nothing is recorded under the request id `{id}`. The audit trail has no event for calls that only read; for \
         callers whose credentials are wrong, or who may not make the call; for fields that are malformed; for tokens, \
         session ids and reset tokens that are not good, and codes for names that nobody has, or strangers could fill \
         it; for what was too much, too late, or met a database that did not answer; and for what is older than \
         --event-retention. The log has a line `call finished` for each call that was refused: look for \
         `request_id={id}`, or with --log-format json for `\"request_id\":\"{id}\"`; its `outcome` is the reason of \
         docs/errors.md. Of a password that was refused with `OVERLOADED` the log has such a line at level debug only"
    )
}
