//! `docs/configuration.md`, made from the definitions of the settings.

use std::fmt::Write as _;

use clap::{Arg, Args as _, Command};

use super::{ServeConfig, gateway::UpstreamConfig};

const INTRODUCTION: &str = "\
# Configuration

Every setting is a flag and a variable of the environment. A flag wins over its variable, a variable over the default.
Lengths of time are written as `500ms`, `20s` or `5m`.

Secrets can be kept in a file: the settings that end in `-file` (`_FILE`) take a path; the newline at the end of the file
is not part of the secret. Giving a secret both ways is refused.

`signet gateway` takes the settings of Gateway, REST and Telemetry, and the addresses of its listeners. `signet healthcheck` takes
`SIGNET_GRPC_ADDR` and has variables of its own, which begin with `SIGNET_HEALTHCHECK_` and mean nothing to the others: see
`signet healthcheck --help`.

A variable that begins with `SIGNET_` but is no setting is refused too, so that a misspelt one is noticed. Passed over are only
the service links that Kubernetes and Docker set for a service called `signet` or `signet-...`, such as
`SIGNET_SERVICE_HOST=10.96.0.7` or `SIGNET_PORT=tcp://10.96.0.7:50051`: name and value have to be of such a form. All settings
are checked, and all problems told, before a port is opened; the exit code is then 64.

This page is made from the code: `SIGNET_UPDATE_DOCS=1 cargo test --lib configuration_page` writes it.
";

/// The reference of all settings of `signet serve`, and of those that `signet gateway` adds to its own, in Markdown.
pub fn reference_markdown() -> String {
    let command = UpstreamConfig::augment_args(ServeConfig::augment_args(Command::new("signet")));
    let mut page = INTRODUCTION.to_owned();
    let mut section = "";
    for arg in command.get_arguments().filter(|arg| arg.get_long().is_some() && !arg.is_hide_set()) {
        let heading = arg.get_help_heading().unwrap_or("Other");
        if heading != section {
            section = heading;
            let _ = write!(page, "\n## {heading}\n\n| Flag | Variable | Default | Meaning |\n|---|---|---|---|\n");
        }
        page.push_str(&row(arg));
    }
    page
}

fn row(arg: &Arg) -> String {
    let flag = arg.get_long().unwrap_or_default();
    let value = arg.get_value_names().and_then(|names| names.first()).map_or("", clap::builder::Str::as_str);
    let variable = arg.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default();
    let default = arg.get_default_values().first().map(|text| format!("`{}`", text.to_string_lossy()));
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !matches!(value.get_name(), "true" | "false"))
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default().replace('|', "\\|");
    let help = if choices.is_empty() { help } else { format!("{help}: {}", choices.join(" or ")) };
    format!("| `--{flag} {value}` | {variable} | {} | {help} |\n", default.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use signet_test_support::generated;

    use super::*;
    use crate::config::Setting;

    #[test]
    fn the_configuration_page_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        generated::assert_current(&path, &reference_markdown(), "--lib configuration_page");
    }

    #[test]
    fn every_setting_has_the_variable_of_its_flag_and_a_meaning() {
        let command = ServeConfig::augment_args(Command::new("signet"));
        let settings: Vec<&Arg> = command.get_arguments().collect();
        assert!(settings.len() > 30, "{}", settings.len());
        for arg in settings {
            let setting = Setting::of_flag(arg.get_long().unwrap());
            assert_eq!(arg.get_env().unwrap().to_str(), Some(setting.variable().as_str()));
            assert!(arg.get_help().is_some() && arg.get_help_heading().is_some(), "{setting}");
            let of_link = ["_PORT", "_SERVICE_HOST"].iter().any(|end| setting.variable().ends_with(end));
            assert!(!of_link && !setting.variable().contains("_PORT_"), "{setting}: a service link has such a name");
        }
    }
}
