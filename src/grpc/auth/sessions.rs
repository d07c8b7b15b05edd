//! Sessions that go on, and end, without a refresh token.

use crate::{
    proto::{
        EndSessionRequest, EndSessionResponse, GetUserInfoRequest, GetUserInfoResponse, ResumeSessionRequest,
        ResumeSessionResponse,
    },
    usecase::{Call, Error, Services},
};

pub(super) async fn resume_session(
    _services: &Services,
    _call: &Call,
    _body: ResumeSessionRequest,
) -> Result<ResumeSessionResponse, Error> {
    Err(Error::NotSupported("resume_session"))
}

pub(super) async fn end_session(
    _services: &Services,
    _call: &Call,
    _body: EndSessionRequest,
) -> Result<EndSessionResponse, Error> {
    Err(Error::NotSupported("end_session"))
}

pub(super) async fn get_user_info(
    _services: &Services,
    _call: &Call,
    _body: GetUserInfoRequest,
) -> Result<GetUserInfoResponse, Error> {
    Err(Error::NotSupported("get_user_info"))
}
