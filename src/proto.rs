//! The generated code of `proto/`, and what each RPC declares about itself.

#[expect(clippy::pedantic, clippy::allow_attributes, reason = "generated")]
mod generated {
    tonic::include_proto!("auth.v1");
}

pub use generated::*;

/// The encoded descriptors of `proto/` with all options, for reflection and the REST transcoder.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Domain of the `google.rpc.ErrorInfo` in a status.
pub const ERROR_DOMAIN: &str = "signet.auth.v1";

/// What an RPC declares about itself in `proto/`.
#[derive(Debug)]
pub struct Rpc {
    /// Path of the request, `/auth.v1.AuthService/SignIn`.
    pub path: &'static str,
    /// The least kind of caller that may use it.
    pub caller: CallerKind,
    /// Whether it is a POST in REST: twice is not the same as once.
    pub is_post: bool,
    /// Whether it answers with a stream, which REST has not.
    pub is_stream: bool,
    /// Whether it begins with a password hash, whoever calls.
    pub hashes_first: bool,
    /// The reasons it can fail for, beyond those common to all.
    pub error_reasons: &'static [ErrorReason],
}

/// What becomes of the answer to a call that carries an `idempotency-key`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnswerKept {
    /// It is kept for as long as the reply to a lost call is waited for: it holds tokens, or says what was true then.
    Briefly,
    /// It is kept for a day: it says what was made, sent or ended.
    ForADay,
    /// It is not kept, and the key counts for nothing: the call reads the present state, or twice is the same as once.
    Never,
}

/// Every RPC of the service.
pub const RPCS: &[Rpc] = include!(concat!(env!("OUT_DIR"), "/rpcs.rs"));

impl Rpc {
    /// Reasons that every RPC can fail for; see `proto/options.proto`.
    pub const COMMON_REASONS: [ErrorReason; 10] = [
        ErrorReason::CallerUnauthenticated,
        ErrorReason::CallerNotPermitted,
        ErrorReason::InvalidField,
        ErrorReason::OriginNotAllowed,
        ErrorReason::IdempotencyKeyReused,
        ErrorReason::IdempotentCallRunning,
        ErrorReason::Overloaded,
        ErrorReason::DeadlineExceeded,
        ErrorReason::Unavailable,
        ErrorReason::Internal,
    ];

    /// What becomes of its answer if the call carries an `idempotency-key`.
    pub fn answer_kept(&self) -> AnswerKept {
        if !self.is_post {
            return AnswerKept::Never;
        }
        match self.path {
            // Whether a session is live, and what a client may do, is asked anew each time: a day-old "yes" would
            // outlive its end.
            "/auth.v1.AuthService/AuthenticateSession"
            | "/auth.v1.AuthService/CheckNewPassword"
            | "/auth.v1.AuthService/GetUserInfo"
            | "/auth.v1.AuthService/IssueClientToken"
            | "/auth.v1.AuthService/ResumeSession" => AnswerKept::Never,
            "/auth.v1.AuthService/AuthenticateEmailCode"
            | "/auth.v1.AuthService/AuthenticateEmailVerification"
            | "/auth.v1.AuthService/AuthenticatePassword"
            | "/auth.v1.AuthService/CompletePasswordReset"
            | "/auth.v1.AuthService/RefreshTokens"
            | "/auth.v1.AuthService/ReplacePassword"
            | "/auth.v1.AuthService/SignIn"
            | "/auth.v1.AuthService/SignUp" => AnswerKept::Briefly,
            _ => AnswerKept::ForADay,
        }
    }

    /// The RPC behind a request path.
    pub fn by_path(path: &str) -> Option<&'static Self> {
        RPCS.iter().find(|rpc| rpc.path == path)
    }
}

impl PasswordRule {
    /// The name on the wire: `TOO_SHORT` for `PASSWORD_RULE_TOO_SHORT`.
    pub fn wire_name(self) -> &'static str {
        let name = self.as_str_name();
        name.strip_prefix("PASSWORD_RULE_").unwrap_or(name)
    }
}

impl ErrorReason {
    /// The name on the wire: `INVALID_CREDENTIALS` for `ERROR_REASON_INVALID_CREDENTIALS`.
    pub fn wire_name(self) -> &'static str {
        let name = self.as_str_name();
        name.strip_prefix("ERROR_REASON_").unwrap_or(name)
    }
}
