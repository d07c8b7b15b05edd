use std::{fmt, str::FromStr};

/// How much more readily everything else runs than the threads that hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HashNiceness {
    /// Nice, 0 to 19.
    Nice(u8),
    /// They have what nobody else wants (`SCHED_IDLE`).
    Idle,
}

impl HashNiceness {
    const MAX: u8 = 19;
    const IDLE: &str = "idle";
}

impl FromStr for HashNiceness {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::IDLE {
            return Ok(Self::Idle);
        }
        let niceness = text.parse().ok().filter(|niceness| *niceness <= Self::MAX);
        niceness.map(Self::Nice).ok_or("must be a number from 0 to 19, or the word idle")
    }
}

impl fmt::Display for HashNiceness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nice(niceness) => niceness.fmt(f),
            Self::Idle => f.write_str(Self::IDLE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_number_that_nice_knows_or_idle() {
        for (text, niceness) in
            [("0", HashNiceness::Nice(0)), ("19", HashNiceness::Nice(19)), ("idle", HashNiceness::Idle)]
        {
            assert_eq!(text.parse(), Ok(niceness));
            assert_eq!(niceness.to_string(), text);
        }
        for text in ["20", "-1", "", "Idle", "256"] {
            let refused = text.parse::<HashNiceness>();
            assert_eq!(refused, Err("must be a number from 0 to 19, or the word idle"), "{text}");
        }
    }
}
