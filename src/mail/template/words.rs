//! The words of mails, by language.

/// A language that mails are written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Language {
    /// English, also for readers of every language that is not here.
    English,
}

/// The paragraphs of a mail about a code or a link.
pub(super) struct Words {
    pub(super) subject: String,
    pub(super) lead: String,
    pub(super) instruction: String,
    pub(super) warning: String,
    pub(super) unasked: String,
}

impl Language {
    const ALL: [Self; 1] = [Self::English];

    /// The language of a BCP 47 tag, by its primary subtag. This is the one place that falls back to English.
    pub(super) fn for_locale(locale: Option<&str>) -> Self {
        // POSIX spells `pt_BR` what BCP 47 spells `pt-BR`.
        let primary = locale.and_then(|tag| tag.split(['-', '_']).next()).unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary)).unwrap_or(Self::English)
    }

    /// Its BCP 47 tag, only the primary subtag.
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
        }
    }

    /// The words of the mail with the code that verifies an address.
    pub(super) fn email_verification_code(self, project: &str, valid_minutes: i64) -> Words {
        match self {
            Self::English => {
                let valid = minutes_in_english(valid_minutes);
                Words {
                    // Not the code: subjects are shown on locked screens and kept in the logs of mail servers.
                    subject: format!("Your verification code for {project}"),
                    lead: format!("This is your code to verify your email address for {project}:"),
                    instruction: format!(
                        "Enter it where you were asked for it. It is valid for {valid} and works once."
                    ),
                    warning: format!("Do not pass it on: nobody from {project} will ever ask you for it."),
                    unasked:
                        "If you did not ask for this code, you can ignore this mail. Somebody may have typed your \
                              address by mistake; without the code they cannot verify it."
                            .to_owned(),
                }
            }
        }
    }

    /// The words of the mail with the code that sets a new password.
    pub(super) fn password_reset_code(self, project: &str, valid_minutes: i64) -> Words {
        match self {
            Self::English => {
                let valid = minutes_in_english(valid_minutes);
                Words {
                    subject: format!("Your code for a new password at {project}"),
                    lead: format!("This is your code to set a new password at {project}:"),
                    instruction: format!(
                        "Enter it where you asked for a new password. It is valid for {valid} and works once."
                    ),
                    warning: format!(
                        "Do not pass it on: whoever has it can take over your account. Nobody from {project} will ever \
                         ask you for it."
                    ),
                    unasked:
                        "If you did not ask for a new password, you can ignore this mail: your password stays as it \
                              is as long as nobody else has the code."
                            .to_owned(),
                }
            }
        }
    }

    /// The words of the mail with the link to the page that sets a new password.
    pub(super) fn password_reset_link(self, project: &str, valid_minutes: i64) -> Words {
        match self {
            Self::English => {
                let valid = minutes_in_english(valid_minutes);
                Words {
                    subject: format!("Set a new password at {project}"),
                    lead: format!("With this link you can set a new password at {project}:"),
                    instruction: format!(
                        "It is valid for {valid} and works once. Opening it changes nothing until you have chosen a new \
                         password."
                    ),
                    warning: "Do not pass this mail on: whoever has the link can take over your account.".to_owned(),
                    unasked:
                        "If you did not ask for a new password, you can ignore this mail: your password stays as it \
                              is as long as nobody else has the link."
                            .to_owned(),
                }
            }
        }
    }
}

fn minutes_in_english(count: i64) -> String {
    format!("{count} {}", if count == 1 { "minute" } else { "minutes" })
}
