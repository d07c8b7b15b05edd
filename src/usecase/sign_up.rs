//! Signing up: a new user with a password, and their first session.

use super::{
    Call, Error, Services, SignedIn, counters,
    finish_sign_in::{FirstStep, finish},
    sign_in::{OPTIONS, check_wishes},
    users::{NewUser, add_user},
};
use crate::domain::{
    bucket::{Guarded, Target},
    challenge::SignInWishes,
    client::ClientType,
    client_context::EndUser,
    session::AuthenticationMethod,
    violation::Violation,
};

/// The field of the request that the user stands in.
const USER: &str = "user.";

/// Somebody new.
#[derive(Debug)]
pub struct SignUp {
    /// Who they are, with a password.
    pub user: NewUser,
    /// What else the sign-in shall do.
    pub wishes: SignInWishes,
    /// The end user.
    pub end_user: EndUser,
}

/// Creates a user and signs them in, or mails a code if the email address has to be verified first; then the user is there all the
/// same. All of it or nothing.
pub async fn sign_up(services: &Services, call: &Call, request: SignUp) -> Result<SignedIn, Error> {
    let caller = call.client()?;
    let is_public = caller.client.client_type == ClientType::Public;
    if is_public && !caller.project.settings.allow_sign_up {
        return Err(Error::SignUpNotAllowed);
    }
    let wrong = violations(&request.user, is_public);
    if !wrong.is_empty() {
        return Err(Error::InvalidFields(wrong).within(USER));
    }
    check_wishes(caller, &request.wishes, None).map_err(|error| error.within(OPTIONS))?;

    // Before the transaction, for the same reason as at a sign-in.
    let keys = services.key_ring.keys(&services.store, caller.project_id(), services.clock.now()).await?;
    let added = add_user(services, call, request.user, "user.password").await;
    let (tx, user) = added.map_err(|error| error.within(USER))?;
    let (now, end_user) = (user.created_at, request.end_user);
    let credential_version = user.credential_version();
    let target = (Target::User(user.id), credential_version);
    let claimant = counters::claimant_with(&keys, &services.limits, caller, target, &end_user, now);
    let first = FirstStep {
        keys,
        user,
        credential_version,
        methods: vec![AuthenticationMethod::Password],
        wishes: request.wishes,
        client_context: end_user.context,
        claimant,
        guarded: Guarded::SignIn,
    };
    let step = finish(services, call, caller, &tx, first, now).await?;
    tx.commit().await?;
    services.mail_waits.notify_one();
    step.answer(services)
}

/// What a user who signs up may not be. Fields are named as in a user.
fn violations(user: &NewUser, is_public: bool) -> Vec<Violation> {
    let mut wrong = Vec::new();
    if user.password.is_none() {
        wrong.push(Violation::new("password", "must be given"));
    }
    if user.password_must_change {
        wrong.push(Violation::new("password_must_change", "is for passwords that somebody else has chosen"));
    }
    // Whoever runs an application without a secret could make it say anything.
    if is_public {
        let verified = user.identifiers.iter().filter(|known| known.verified);
        let mut vouched: Vec<String> =
            verified.map(|known| format!("{}_verified", known.identifier.kind().as_str())).collect();
        vouched.extend((!user.profile.metadata.is_empty()).then(|| "metadata".to_owned()));
        vouched.extend(user.external_id.is_some().then(|| "external_id".to_owned()));
        wrong.extend(vouched.iter().map(|field| Violation::new(field, "is for confidential clients only")));
    }
    wrong
}
