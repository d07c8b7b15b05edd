//! The two forms of the page: `OpenMetrics` 1.0, which Prometheus asks for, and the older text format 0.0.4, which everything reads.

use std::fmt::Write as _;

/// A form of the page of numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// The text format of Prometheus, 0.0.4.
    Classic,
    /// `OpenMetrics` text, 1.0.0.
    OpenMetrics,
}

impl Form {
    /// The form that an `Accept` header asks for: `OpenMetrics` if it is named and not liked less than plain text, else the classic one.
    pub fn wanted(accept: &str) -> Self {
        let weight = |media_type: &str| accept.split(',').filter_map(|part| weight_of(part, media_type)).max();
        let open_metrics = weight("application/openmetrics-text").filter(|weight| *weight > 0);
        if open_metrics.is_some_and(|wanted| wanted >= weight("text/plain").unwrap_or(0)) {
            Self::OpenMetrics
        } else {
            Self::Classic
        }
    }

    /// Its media type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How much one element of an `Accept` header wants a media type, in thousandths (RFC 9110, section 12.4.2), if it names it. An
/// `OpenMetrics` other than 1 is one that we do not write.
fn weight_of(element: &str, media_type: &str) -> Option<u16> {
    let mut parts = element.split(';').map(str::trim);
    parts.next().filter(|named| named.eq_ignore_ascii_case(media_type))?;
    let mut weight = 1000;
    for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
        match name.trim() {
            "q" => weight = thousandths(value.trim()),
            "version" if media_type.ends_with("openmetrics-text") && !value.trim().starts_with("1.") => return None,
            _ => {}
        }
    }
    Some(weight)
}

fn thousandths(weight: &str) -> u16 {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = format!("{whole}{part:0<3}");
    digits.get(..whole.len() + 3).and_then(|digits| digits.parse().ok()).unwrap_or(0).min(1000)
}

/// Rewrites a page of `OpenMetrics` as ours are: of each family first the help, then the type. In the older format the name of a counter
/// family has the `_total` of its numbers, an info is a gauge, and there are neither units nor an end.
pub(super) fn to_classic(page: &str) -> String {
    let (mut classic, mut help) = (String::with_capacity(page.len()), "");
    for line in page.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            help = text.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|text| text.split_once(' ')) {
            let (end, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                _ => ("", kind),
            };
            // Writing to a string does not fail.
            let _ = writeln!(classic, "# HELP {name}{end} {help}\n# TYPE {name}{end} {kind}");
        } else if !line.starts_with("# ") {
            classic.push_str(line);
            classic.push('\n');
        }
    }
    classic
}
