use std::time::Duration;

use super::value;

/// How long the audit trail is kept, and who may follow it.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Audit trail")]
pub struct EventConfig {
    /// How long events are kept, or `forever`. Whoever reads them must come by more often than that
    #[arg(
        id = "event-retention",
        long = "event-retention",
        env = "SIGNET_EVENT_RETENTION",
        value_name = "DURATION",
        default_value = "90d",
        value_parser = Retention::parse
    )]
    retention: Retention,

    /// Most streams of events (`WatchEvents`) at the same time
    #[arg(
        id = "event-watches",
        long = "event-watches",
        env = "SIGNET_EVENT_WATCHES",
        value_name = "COUNT",
        default_value = "100",
        value_parser = clap::value_parser!(u32).range(0..=10_000)
    )]
    pub watches: u32,

    /// Most streams of events of one client at the same time
    #[arg(
        id = "event-watches-per-client",
        long = "event-watches-per-client",
        env = "SIGNET_EVENT_WATCHES_PER_CLIENT",
        value_name = "COUNT",
        default_value = "5",
        value_parser = clap::value_parser!(u32).range(0..=10_000)
    )]
    pub watches_per_client: u32,
}

impl EventConfig {
    /// How long events are kept; none for ever.
    pub const fn retention(&self) -> Option<Duration> {
        match self.retention {
            Retention::Forever => None,
            Retention::For(time) => Some(time),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Retention {
    Forever,
    For(Duration),
}

impl Retention {
    /// An hour to ten years. What is shorter than the pauses of a reader would be of no use to anybody.
    fn parse(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let parsed = value::duration(3600..=315_576_000)(text);
        parsed.map(Self::For).map_err(|error| format!("{error}, or `forever`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_kept_for_ever_only_if_that_is_said() {
        let kept = |text| {
            Retention::parse(text).map(|retention| EventConfig { retention, ..super::super::defaults() }.retention())
        };
        assert_eq!(kept("forever"), Ok(None));
        assert_eq!(kept("1h"), Ok(Some(Duration::from_hours(1))));
        assert!(kept("0s").unwrap_err().ends_with("or `forever`"));
        assert!(kept("59m").is_err());
    }
}
