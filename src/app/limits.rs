//! From the settings of limits to what the use cases work with.

use std::time::Duration;

use crate::{
    config::{ServeConfig, limits::LimitConfig},
    domain::limits::Limits,
};

/// The bounds as the settings say.
pub(super) fn limits(config: &ServeConfig) -> Limits {
    Limits {
        // Twice what a call may take, so that none is still at work when its reservation lapses.
        reservation_lease: time(config.grpc.deadline * 2),
        event_retention: config.events.retention().map(time),
        event_watches: config.events.watches,
        event_watches_per_client: config.events.watches_per_client,
        ..delays(&config.limits, Limits::default())
    }
}

/// Those of guessing, codes and mails as the settings say, the others as given.
pub fn delays(config: &LimitConfig, others: Limits) -> Limits {
    let LimitConfig {
        free_failures,
        free_failures_per_ip,
        free_mails,
        free_mails_per_ip,
        first_delay,
        longest_delay,
        failure_memory,
        code_attempts,
        code_lifetime,
        code_resend_interval,
        pending_authentication_lifetime,
        password_reset_lifetime,
        device_lifetime,
    } = *config;
    Limits {
        free_failures,
        free_failures_per_ip,
        free_mails,
        free_mails_per_ip,
        first_delay: time(first_delay),
        longest_delay: time(longest_delay),
        memory: time(failure_memory),
        code_attempts,
        code_lifetime: time(code_lifetime),
        code_resend_interval: time(code_resend_interval),
        pending_authentication_lifetime: time(pending_authentication_lifetime),
        password_reset_lifetime: time(password_reset_lifetime),
        device_lifetime: time(device_lifetime),
        ..others
    }
}

fn time(time: Duration) -> chrono::Duration {
    chrono::Duration::from_std(time).unwrap_or(chrono::Duration::MAX)
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    #[test]
    fn the_defaults_of_the_settings_are_those_of_the_limits() {
        let command = ServeConfig::augment_args(Command::new("serve"));
        let matches = command.mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
        let matches = matches.try_get_matches_from(["serve"]).unwrap();
        let config = ServeConfig::from_arg_matches(&matches).unwrap();
        assert_eq!(limits(&config), Limits::default());
    }

    #[test]
    fn each_setting_of_the_limits_is_the_limit_of_its_name() {
        let command = ServeConfig::augment_args(Command::new("serve"));
        let flags = [
            "serve",
            "--free-failures=11",
            "--free-failures-per-ip=12",
            "--free-mails=13",
            "--free-mails-per-ip=14",
            "--first-delay=15s",
            "--longest-delay=116s",
            "--failure-memory=117s",
            "--code-attempts=8",
            "--code-lifetime=118s",
            "--code-resend-interval=19s",
            "--pending-authentication-lifetime=120s",
            "--password-reset-lifetime=121s",
            "--device-lifetime=3622s",
            "--grpc-deadline=23s",
            "--event-retention=124h",
            "--event-watches=25",
            "--event-watches-per-client=26",
        ];
        let matches = command.try_get_matches_from(flags).unwrap();
        let config = ServeConfig::from_arg_matches(&matches).unwrap();
        let seconds = chrono::Duration::seconds;
        let expected = Limits {
            free_failures: 11,
            free_failures_per_ip: 12,
            free_mails: 13,
            free_mails_per_ip: 14,
            first_delay: seconds(15),
            longest_delay: seconds(116),
            memory: seconds(117),
            reservation_lease: seconds(46),
            code_attempts: 8,
            code_lifetime: seconds(118),
            code_resend_interval: seconds(19),
            pending_authentication_lifetime: seconds(120),
            password_reset_lifetime: seconds(121),
            device_lifetime: seconds(3622),
            event_retention: Some(chrono::Duration::hours(124)),
            event_watches: 25,
            event_watches_per_client: 26,
        };
        assert_eq!(limits(&config), expected);
    }
}
