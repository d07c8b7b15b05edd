//! Replacing a password by whoever knows it, and signing in with the new one.

use super::{
    Call, Error, Services, SignedIn,
    authenticate_session::SessionCredential,
    check_password::{Claim, RightPassword, check_password},
    finish_sign_in::{FirstStep, finish},
    join_session::{hold, named_session},
    replace_password::{Occasion, replace_password},
    sign_in::{OPTIONS, check_wishes},
    users::check_policy,
};
use crate::domain::{
    bucket::Guarded,
    challenge::SignInWishes,
    client_context::EndUser,
    event::{Cause, Event, EventKind},
    identifier::Identifier,
    password::Password,
    session::AuthenticationMethod,
    throttle::Outcome,
};

/// Somebody who wants another password.
#[derive(Debug)]
pub struct PasswordReplacement {
    /// Who.
    pub identifier: Identifier,
    /// Their password of today.
    pub current_password: Password,
    /// The one they want.
    pub new_password: Password,
    /// What else the sign-in shall do.
    pub wishes: SignInWishes,
    /// What stands for the session that it shall join, if there is one.
    pub joins: Option<SessionCredential>,
    /// The end user.
    pub end_user: EndUser,
}

/// Sets the new password and signs in with it. The one of today is checked exactly like that of a sign-in, and on the same counters:
/// it would else be a second place to guess at. One that has to be changed is good enough here.
pub async fn replace_own_password(
    services: &Services,
    call: &Call,
    mut request: PasswordReplacement,
) -> Result<SignedIn, Error> {
    let caller = call.client()?;
    let (project, project_id) = (&caller.project, caller.project_id());
    check_wishes(caller, &request.wishes, request.joins.as_ref()).map_err(|error| error.within(OPTIONS))?;
    let claim = Claim {
        identifier: &request.identifier,
        password: &request.current_password,
        end_user: &request.end_user,
        guarded: Guarded::SignIn,
        // It is replaced anyway.
        may_upgrade: false,
    };
    let RightPassword { attempt, claimant, credential, .. } = check_password(services, call, caller, claim).await?;
    // At once: what is left takes as long as another attempt, whose place this one would hold.
    let now = services.clock.now();
    let tx = services.store.begin().await?;
    attempt.settle(&tx, Outcome::Succeeded, now).await?;
    tx.commit().await?;

    let coming = services.lane.expect(call.ticket()).await?;
    let user = services.store.view().users().find(project_id, credential.user_id).await?;
    let identifiers = user.ok_or(Error::InvalidCredentials)?.identifiers;
    let identifiers: Vec<_> = identifiers.into_iter().map(|known| known.identifier).collect();
    check_policy(project.settings.password_policy, "new_password", &request.new_password, &identifiers)?;
    let hash = services.lane.hash(coming, request.new_password).await?;

    let now = services.clock.now();
    let keys = services.key_ring.keys(&services.store, project_id, now).await?;
    let named = match request.joins.take() {
        Some(joins) => Some(named_session(services, caller, joins, now).await?),
        None => None,
    };
    let tx = services.store.begin().await?;
    let mut user = credential.hold(&tx, project_id).await?;
    let mut wishes = request.wishes;
    let joined = match &named {
        Some(named) => Some(hold(&tx, caller, &user, named, now).await?.id),
        None => None,
    };
    if let Some(id) = joined {
        wishes.session = wishes.session.joining(id);
    }
    let event = Event::new(EventKind::PasswordSet, project_id).user(user.id).cause(Cause::Replaced);
    let event = event.ip_address(request.end_user.context.ip_address);
    let occasion = Occasion { event, sessions_end: Cause::PasswordReplaced, except: joined };
    replace_password(services, call, &tx, &mut user, &hash, occasion, now).await?;
    let first = FirstStep {
        keys,
        credential_version: user.credential_version(),
        user,
        methods: vec![AuthenticationMethod::Password],
        wishes,
        client_context: request.end_user.context,
        claimant,
        guarded: Guarded::SignIn,
    };
    let step = finish(services, call, caller, &tx, first, now).await?;
    tx.commit().await?;
    services.mail_waits.notify_one();
    step.answer(services)
}
