//! `signet user`.

mod new_password;
mod records;

use self::{
    new_password::NewPasswordArgs,
    records::{UserRecord, identifier},
};
use super::{
    Usage,
    database::{DatabaseArgs, each_page, operator_call_in},
    explain::explain,
    output::Output,
};
use crate::{
    config::passwords::PasswordConfig,
    domain::{
        id::{ProjectId, UserId},
        identifier::{Identifier, IdentifierKind},
        text::parse_locale,
        user::{NAME_BYTES_MAX, Profile},
        user_filter::UserFilter,
    },
    usecase::{
        set_password::{NewPassword, set_password},
        users::{NewUser, VouchedIdentifier, create_user, list_users},
    },
};

const CREATE_EXAMPLES: &str = "\
Examples:
  signet user create --project PROJECT --email ada@example.com --given-name Ada
  pass show ada | signet user create --project PROJECT --username ada --password-stdin

At least one of --email, --username and --phone-number is needed. A password is never taken from the command line, where the \
process list and the history of the shell would show it.";

const SET_PASSWORD_EXAMPLES: &str = "\
Examples:
  pass show ada | signet user set-password --project PROJECT --user USER --password-stdin
  signet user set-password --project PROJECT --user USER --password-file ./password

All sessions of the user end, and so does every sign-in that was begun with the old password.";

const LIST_EXAMPLES: &str = "\
Examples:
  signet user list --project PROJECT
  signet user list --project PROJECT --email ada@example.com --json | jq -r .user_id";

/// Users of a project
#[derive(clap::Subcommand, Debug)]
pub(super) enum UserCommand {
    Create(Box<CreateArgs>),
    SetPassword(SetPasswordArgs),
    List(ListArgs),
}

/// Create a user
#[derive(clap::Args, Debug)]
#[command(after_help = CREATE_EXAMPLES)]
pub(super) struct CreateArgs {
    /// The project
    #[arg(long, value_parser = ProjectId::parse)]
    project: ProjectId,
    /// Email address
    #[arg(long, value_parser = identifier(IdentifierKind::Email), required_unless_present_any = ["username", "phone_number"])]
    email: Option<Identifier>,
    /// Vouch for the email address: no code will be asked for
    #[arg(long, requires = "email")]
    email_verified: bool,
    /// Username
    #[arg(long, value_parser = identifier(IdentifierKind::Username))]
    username: Option<Identifier>,
    /// Phone number, such as +12025550123
    #[arg(long, value_parser = identifier(IdentifierKind::Phone))]
    phone_number: Option<Identifier>,
    /// Vouch for the phone number
    #[arg(long, requires = "phone_number")]
    phone_number_verified: bool,
    /// Given name
    #[arg(long, value_parser = records::short_text(NAME_BYTES_MAX))]
    given_name: Option<String>,
    /// Family name
    #[arg(long, value_parser = records::short_text(NAME_BYTES_MAX))]
    family_name: Option<String>,
    /// Language of mails to the user, a BCP 47 tag such as `en` or `pt-BR`
    #[arg(long, value_parser = parse_locale)]
    locale: Option<String>,
    #[command(flatten)]
    password: NewPasswordArgs,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    hashing: PasswordConfig,
}

/// Set or replace a user's password
#[derive(clap::Args, Debug)]
#[command(after_help = SET_PASSWORD_EXAMPLES)]
pub(super) struct SetPasswordArgs {
    /// Project of the user
    #[arg(long, value_parser = ProjectId::parse)]
    project: ProjectId,
    /// The user
    #[arg(long, value_parser = UserId::parse)]
    user: UserId,
    #[command(flatten)]
    password: NewPasswordArgs,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    hashing: PasswordConfig,
}

/// List the users of a project, oldest first, or find one
#[derive(clap::Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(super) struct ListArgs {
    /// The project
    #[arg(long, value_parser = ProjectId::parse)]
    project: ProjectId,
    /// Only the user with this email address
    #[arg(long, value_parser = identifier(IdentifierKind::Email), group = "wanted")]
    email: Option<Identifier>,
    /// Only the user with this username
    #[arg(long, value_parser = identifier(IdentifierKind::Username), group = "wanted")]
    username: Option<Identifier>,
    /// Only the user with this phone number
    #[arg(long, value_parser = identifier(IdentifierKind::Phone), group = "wanted")]
    phone_number: Option<Identifier>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) async fn run(command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create(args) => create(*args).await,
        UserCommand::SetPassword(args) => replace_password(args).await,
        UserCommand::List(args) => list(args).await,
    }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let password = args.password.read()?;
    let services = args.database.open_to_hash(&args.hashing).await?;
    let call = operator_call_in(&services, args.project).await?;
    let given =
        [(args.email, args.email_verified), (args.username, false), (args.phone_number, args.phone_number_verified)];
    let vouched = |(identifier, verified): (Option<Identifier>, bool)| {
        Some(VouchedIdentifier { identifier: identifier?, verified })
    };
    let profile = Profile {
        given_name: args.given_name,
        family_name: args.family_name,
        locale: args.locale,
        ..Profile::default()
    };
    let identifiers = given.into_iter().filter_map(vouched).collect();
    let new = NewUser { identifiers, password, password_must_change: false, external_id: None, profile };
    let user = create_user(&services, &call, new).await.map_err(explain)?;
    let note = if user.password.is_some() {
        ""
    } else {
        "The user has no password yet, and cannot sign in; see `signet user set-password --help`."
    };
    Ok(args.output.record(&UserRecord::from(user), note)?)
}

async fn replace_password(args: SetPasswordArgs) -> anyhow::Result<()> {
    let Some(password) = args.password.read()? else {
        return Err(Usage("say where the password is: --password-stdin or --password-file PATH".to_owned()).into());
    };
    let services = args.database.open_to_hash(&args.hashing).await?;
    let call = operator_call_in(&services, args.project).await?;
    let user = set_password(&services, &call, args.user, NewPassword::from(password)).await.map_err(explain)?;
    Ok(args.output.record(&UserRecord::from(user), "The password is set, and all sessions of the user have ended.")?)
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let services = args.database.open().await?;
    let call = operator_call_in(&services, args.project).await?;
    let wanted = args.email.or(args.username).or(args.phone_number).map(UserFilter::from).unwrap_or_default();
    let mut table = args.output.table();
    each_page(
        async |page| list_users(&services, &call, page, &wanted).await,
        |users| Ok(table.page(&users.into_iter().map(UserRecord::from).collect::<Vec<_>>())?),
    )
    .await
}
