//! Why something happened.

words! {
    /// Why something happened, in a word, where the caller is told less. Of a delay it names the counter.
    pub enum Cause {
        /// The user has another email address by now.
        AddressChanged = "address_changed",
        /// All sessions of the user were ended by a back end or an operator.
        AllRevoked = "all_revoked",
        /// The code was guessed wrong too often: only a new one helps.
        AttemptsExhausted = "attempts_exhausted",
        /// The caller went away while the password was checked. It counts as a failure.
        CallerLeft = "caller_left",
        /// The password had to be changed before it signs in again.
        ChangeRequired = "change_required",
        /// By the user, who was signed in.
        Changed = "changed",
        /// The password was right, but the user was disabled or got another one while it was checked.
        ChangedMeanwhile = "changed_meanwhile",
        /// The reset was mailed as a code, and none was given.
        CodeMissing = "code_missing",
        /// The reset was mailed as a link, and a code was given.
        CodeNotExpected = "code_not_expected",
        /// For tokens that are signed with EdDSA.
        EdDsa = "EdDSA",
        /// For tokens that are signed with ES256.
        Es256 = "ES256",
        /// Its time was over.
        Expired = "expired",
        /// For refresh tokens.
        Hs256 = "HS256",
        /// The sign-in joined a session that the user had.
        Joined = "joined",
        /// The user signed out by a link.
        Link = "link",
        /// The user has no password.
        NoPassword = "no_password",
        /// Another client began the sign-in.
        OtherClient = "other_client",
        /// A sign-in asked for the user's other sessions to be ended.
        OtherSessions = "other_sessions",
        /// The password has to be changed first.
        PasswordChange = "password_change",
        /// The user has got another password since.
        PasswordChanged = "password_changed",
        /// The user replaced the password, and proved the old one.
        PasswordReplaced = "password_replaced",
        /// The user set a new password with a mailed secret.
        PasswordReset = "password_reset",
        /// A back end or an operator set a new password.
        PasswordSet = "password_set",
        /// A refresh token came again that had been replaced long before: a copy, or a late repetition.
        RefreshTokenReuse = "refresh_token_reuse",
        /// The mail server refused the mail or its address for good.
        Refused = "refused",
        /// By a new one; a password by the user, who proved the old one.
        Replaced = "replaced",
        /// With a mailed secret.
        Reset = "reset",
        /// By a back end or an operator.
        Revoked = "revoked",
        /// For tokens that are signed with RS256.
        Rs256 = "RS256",
        /// The session that the code was asked from has ended.
        SessionEnded = "session_ended",
        /// The user signed out.
        SignOut = "sign_out",
        /// Passwords of back ends, for one user.
        SlowedAuthenticatePassword = "authenticate_password",
        /// Passwords of back ends, on one device of a user.
        SlowedAuthenticatePasswordDevice = "authenticate_password_device",
        /// Passwords of back ends, from one IP address.
        SlowedAuthenticatePasswordIp = "authenticate_password_ip",
        /// Mails with codes, for one user.
        SlowedCodeMail = "code_mail",
        /// Mails with codes, on one device of a user.
        SlowedCodeMailDevice = "code_mail_device",
        /// Mails with codes, from one IP address.
        SlowedCodeMailIp = "code_mail_ip",
        /// Codes for a new address, for one user.
        SlowedEmailChange = "email_change",
        /// Codes for a new address, on one device of a user.
        SlowedEmailChangeDevice = "email_change_device",
        /// Codes for a new address, from one IP address.
        SlowedEmailChangeIp = "email_change_ip",
        /// Codes of verifications, for one user.
        SlowedEmailCode = "email_code",
        /// Codes of verifications, on one device of a user.
        SlowedEmailCodeDevice = "email_code_device",
        /// Codes of verifications, from one IP address.
        SlowedEmailCodeIp = "email_code_ip",
        /// Codes of password resets, for one user.
        SlowedPasswordReset = "password_reset",
        /// Codes of password resets, on one device of a user.
        SlowedPasswordResetDevice = "password_reset_device",
        /// Codes of password resets, from one IP address.
        SlowedPasswordResetIp = "password_reset_ip",
        /// Mails with password resets, for one user.
        SlowedPasswordResetMail = "password_reset_mail",
        /// Mails with password resets, on one device of a user.
        SlowedPasswordResetMailDevice = "password_reset_mail_device",
        /// Mails with password resets, from one IP address.
        SlowedPasswordResetMailIp = "password_reset_mail_ip",
        /// Passwords of applications, for one user.
        SlowedSignIn = "sign_in",
        /// Passwords of applications, on one device of a user.
        SlowedSignInDevice = "sign_in_device",
        /// Passwords of applications, from one IP address.
        SlowedSignInIp = "sign_in_ip",
        /// Slowed down after too many failures or mails, so it was not looked at.
        Throttled = "throttled",
        /// It was tried too often.
        TooManyAttempts = "too_many_attempts",
        /// Nobody in the project is called that.
        UnknownUser = "unknown_user",
        /// It cannot be decrypted, or is of a kind that this version does not know.
        Unreadable = "unreadable",
        /// The user was deleted.
        UserDeleted = "user_deleted",
        /// The user is disabled.
        UserDisabled = "user_disabled",
        /// The client asked for no session.
        WithoutSession = "without_session",
        /// The code was wrong.
        WrongCode = "wrong_code",
        /// The password was wrong.
        WrongPassword = "wrong_password",
    }
}

impl Cause {
    /// The counters that can slow down. Where mails are counted, and codes for a new address, devices have none of their own.
    pub const COUNTERS: [Self; 18] = [
        Self::SlowedAuthenticatePassword,
        Self::SlowedAuthenticatePasswordDevice,
        Self::SlowedAuthenticatePasswordIp,
        Self::SlowedCodeMail,
        Self::SlowedCodeMailIp,
        Self::SlowedEmailChange,
        Self::SlowedEmailChangeIp,
        Self::SlowedEmailCode,
        Self::SlowedEmailCodeDevice,
        Self::SlowedEmailCodeIp,
        Self::SlowedPasswordReset,
        Self::SlowedPasswordResetDevice,
        Self::SlowedPasswordResetIp,
        Self::SlowedPasswordResetMail,
        Self::SlowedPasswordResetMailIp,
        Self::SlowedSignIn,
        Self::SlowedSignInDevice,
        Self::SlowedSignInIp,
    ];
}
