use std::time::Duration;

use super::{ConfigError, Setting, value};

/// How guessing, codes and mails are bounded.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitConfig {
    /// Wrong secrets of one user, or of one of their devices, before the next ones are slowed down
    #[arg(
        id = "free-failures",
        long = "free-failures",
        env = "SIGNET_FREE_FAILURES",
        value_name = "COUNT",
        default_value = "10",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    pub free_failures: u32,

    /// Wrong secrets from one IP address, whoever they are for, before the next ones are slowed down
    #[arg(
        id = "free-failures-per-ip",
        long = "free-failures-per-ip",
        env = "SIGNET_FREE_FAILURES_PER_IP",
        value_name = "COUNT",
        default_value = "100",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub free_failures_per_ip: u32,

    /// Mails to one user before the next ones are slowed down
    #[arg(
        id = "free-mails",
        long = "free-mails",
        env = "SIGNET_FREE_MAILS",
        value_name = "COUNT",
        default_value = "10",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    pub free_mails: u32,

    /// Mails asked for from one IP address before the next ones are slowed down
    #[arg(
        id = "free-mails-per-ip",
        long = "free-mails-per-ip",
        env = "SIGNET_FREE_MAILS_PER_IP",
        value_name = "COUNT",
        default_value = "30",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub free_mails_per_ip: u32,

    /// Delay after the first failure or mail that is not free; it doubles with each further one
    #[arg(
        id = "first-delay",
        long = "first-delay",
        env = "SIGNET_FIRST_DELAY",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = value::duration(1..=3600)
    )]
    pub first_delay: Duration,

    /// Longest delay; never shorter than the first
    #[arg(
        id = "longest-delay",
        long = "longest-delay",
        env = "SIGNET_LONGEST_DELAY",
        value_name = "DURATION",
        default_value = "15m",
        value_parser = value::duration(1..=86_400)
    )]
    pub longest_delay: Duration,

    /// As many failures and mails as are free are forgotten, one by one, in this time; all of them after this long without another. Never shorter than the longest delay
    #[arg(
        id = "failure-memory",
        long = "failure-memory",
        env = "SIGNET_FAILURE_MEMORY",
        value_name = "DURATION",
        default_value = "30m",
        value_parser = value::duration(60..=604_800)
    )]
    pub failure_memory: Duration,

    /// Wrong tries at one code, of a verification or of a password reset
    #[arg(
        id = "code-attempts",
        long = "code-attempts",
        env = "SIGNET_CODE_ATTEMPTS",
        value_name = "COUNT",
        default_value = "5",
        value_parser = clap::value_parser!(u32).range(1..=10)
    )]
    pub code_attempts: u32,

    /// How long a mailed code is good, of a verification or of a password reset
    #[arg(
        id = "code-lifetime",
        long = "code-lifetime",
        env = "SIGNET_CODE_LIFETIME",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = value::duration(60..=3600)
    )]
    pub code_lifetime: Duration,

    /// Least time between two codes that are asked for; never longer than a code is good
    #[arg(
        id = "code-resend-interval",
        long = "code-resend-interval",
        env = "SIGNET_CODE_RESEND_INTERVAL",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = value::duration(1..=600)
    )]
    pub code_resend_interval: Duration,

    /// How long the second step of a sign-in can be taken
    #[arg(
        id = "pending-authentication-lifetime",
        long = "pending-authentication-lifetime",
        env = "SIGNET_PENDING_AUTHENTICATION_LIFETIME",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = value::duration(60..=3600)
    )]
    pub pending_authentication_lifetime: Duration,

    /// How long the link of a password reset is good
    #[arg(
        id = "password-reset-lifetime",
        long = "password-reset-lifetime",
        env = "SIGNET_PASSWORD_RESET_LIFETIME",
        value_name = "DURATION",
        default_value = "30m",
        value_parser = value::duration(60..=86_400)
    )]
    pub password_reset_lifetime: Duration,

    // At most as long as the key that its token was made with is kept: the longest lifetime of a session.
    /// How long a device is known after a sign-in on it
    #[arg(
        id = "device-lifetime",
        long = "device-lifetime",
        env = "SIGNET_DEVICE_LIFETIME",
        value_name = "DURATION",
        default_value = "365d",
        value_parser = value::duration(3600..=31_622_400)
    )]
    pub device_lifetime: Duration,
}

impl LimitConfig {
    /// What no single value can tell.
    pub(super) fn problems(&self) -> Vec<ConfigError> {
        let mut problems = Vec::new();
        if self.longest_delay < self.first_delay {
            problems
                .push(ConfigError::malformed(Setting::new("longest-delay"), "must not be shorter than --first-delay"));
        }
        if self.failure_memory < self.longest_delay {
            problems.push(ConfigError::malformed(
                Setting::new("failure-memory"),
                "must not be shorter than --longest-delay",
            ));
        }
        if self.code_lifetime < self.code_resend_interval {
            // A code would be dead, and no new one to be had.
            problems.push(ConfigError::malformed(
                Setting::new("code-resend-interval"),
                "must not be longer than --code-lifetime",
            ));
        }
        problems
    }
}
