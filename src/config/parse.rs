//! The command line and the environment as one: every problem is found, not just the first.

use std::{collections::BTreeSet, env, error::Error as _, ffi::OsString};

use clap::{
    Arg, Command, CommandFactory, FromArgMatches,
    builder::{Resettable, ValueParser},
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{ConfigError, ConfigErrors, Setting, service_link::is_service_link};

/// Why the command line was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Some settings are not usable.
    #[error(transparent)]
    Settings(#[from] ConfigErrors),
    /// clap has something to print: help, the version, or how the command is used.
    #[error(transparent)]
    Usage(#[from] clap::Error),
}

/// Parses the command line and the environment of the process.
pub fn parse<P: CommandFactory + FromArgMatches>() -> Result<P, Refusal> {
    parse_from(P::command(), env::args_os(), variables())
}

/// A section with the defaults of all its settings, whatever the environment says.
pub fn defaults<S: clap::Args>() -> S {
    let command = S::augment_args(Command::new("defaults")).mut_args(|arg| arg.env(Resettable::Reset));
    let matches = command.try_get_matches_from(["defaults"]).expect("no setting is required by clap");
    S::from_arg_matches(&matches).expect("the defaults of settings are well-formed")
}

/// The variables whose names are text. A value that is none is no link either, whatever stands for it.
pub(super) fn variables() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
}

/// `variables` are looked through for unknown ones: the values of settings are read by clap.
pub(super) fn parse_from<P: FromArgMatches>(
    mut command: Command,
    args: impl IntoIterator<Item = impl Into<OsString>>,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<P, Refusal> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let mut problems = unknown_variables(&command, variables);
    loop {
        match command.clone().try_get_matches_from(&args) {
            Ok(matches) if problems.is_empty() => return Ok(P::from_arg_matches(&matches)?),
            Ok(_) => return Err(ConfigErrors(problems).into()),
            Err(error) => {
                let Some((flag, problem)) = malformed_setting(&command, &error) else {
                    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
                    let first = asked || problems.is_empty();
                    return Err(if first { error.into() } else { ConfigErrors(problems).into() });
                };
                // clap stops at the first malformed value: let this one pass and look for the next.
                problems.push(ConfigError::malformed(Setting::of_flag(&flag), problem));
                command = accept_anything(command, &flag);
            }
        }
    }
}

/// The flag of the setting that clap found malformed, and what is wrong with it.
fn malformed_setting(command: &Command, error: &clap::Error) -> Option<(String, String)> {
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    // Only arguments of a built command can be shown.
    let mut command = command.clone();
    command.build();
    let flag = settings(&command).find(|arg| arg.to_string() == *shown)?.get_long()?.to_owned();
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if !value.is_empty() => format!("{value:?}"),
        _ => "an empty value".to_owned(),
    };
    let problem = match (error.kind(), error.get(ContextKind::ValidValue), error.source()) {
        (ErrorKind::ValueValidation, _, Some(source)) => format!("{value} is not usable: {source}"),
        (ErrorKind::InvalidValue, Some(ContextValue::Strings(choices)), _) if !choices.is_empty() => {
            format!("{value} is not usable: must be one of {}", choices.join(", "))
        }
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, ..) => format!("{value} is not usable"),
        _ => return None,
    };
    Some((flag, problem))
}

fn accept_anything(mut command: Command, flag: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|child| child.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |child| accept_anything(child, flag));
    }
    command.mut_args(|arg| if arg.get_long() == Some(flag) { arg.value_parser(ValueParser::os_string()) } else { arg })
}

/// All arguments of a command and the commands below it that can be given by a variable.
fn settings(command: &Command) -> Box<dyn Iterator<Item = &Arg> + '_> {
    let own = command.get_arguments().filter(|arg| arg.get_env().is_some());
    Box::new(own.chain(command.get_subcommands().flat_map(settings)))
}

/// A misspelt variable must not be passed over: `SIGNET_GRPC_CLIENT_CAS` would mean no mutual TLS.
fn unknown_variables(command: &Command, variables: impl IntoIterator<Item = (String, String)>) -> Vec<ConfigError> {
    let known: BTreeSet<&str> = settings(command).filter_map(|arg| arg.get_env()?.to_str()).collect();
    let mut unknown: Vec<String> = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with("SIGNET_") && !known.contains(name.as_str()))
        .filter(|(name, value)| !is_service_link(name, value))
        .map(|(name, _)| name)
        .collect();
    unknown.sort();
    let nearest = |variable: &str| {
        let near = known.iter().map(|name| (distance(variable, name), *name)).min()?;
        (near.0 <= 3).then(|| near.1.to_owned())
    };
    unknown.into_iter().map(|variable| ConfigError::UnknownVariable { nearest: nearest(&variable), variable }).collect()
}

/// How many characters must be changed, added or removed to make one text of the other (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_the_edits() {
        assert_eq!(distance("SIGNET_GRPC_ADDR", "SIGNET_GRPC_ADDR"), 0);
        assert_eq!(distance("SIGNET_GRPC_ADR", "SIGNET_GRPC_ADDR"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
