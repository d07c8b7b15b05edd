//! `loginOptions` (contract, section 6).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::caller::Caller;
use crate::{
    proto::SignInOptions,
    rest::{failure::Refusal, text::filled, value::struct_of},
};

/// What is read of them. The rest has no effect on a sign-in by password: `templateId` and `templateOptions` choose among mails that this
/// service does not have, `ssoAppId` names what the sign-in is for, and `pkceChallenge` belongs to links. `locale` is
/// handed on, and is of mails as well.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LoginOptions {
    custom_claims: Map<String, Value>,
    locale: String,
    mfa: bool,
    revoke_other_sessions: bool,
    stepup: bool,
    tenant_id: String,
}

impl LoginOptions {
    /// The wishes in the words of the API, which refuses a step-up, a further factor and an organization: it has none of them.
    pub(super) fn wishes(self, caller: &Caller<'_>) -> Result<SignInOptions, Refusal> {
        if self.stepup || self.mfa {
            // Both build on a session: without one it is not the wish that is wrong.
            caller.refresh_token()?;
        }
        Ok(SignInOptions {
            custom_claims: Some(&self.custom_claims).filter(|claims| !claims.is_empty()).map(struct_of),
            revoke_other_sessions: self.revoke_other_sessions,
            locale: self.locale,
            step_up: self.stepup,
            additional_factor: self.mfa,
            organization_id: filled(self.tenant_id).unwrap_or_default(),
        })
    }
}
