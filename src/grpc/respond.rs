//! From a request to its call, and from a result to its answer.

use std::time::Instant;

use futures_util::TryFutureExt as _;
use tonic::{Request, Response, Status};

use super::status::status;
use crate::{
    domain::caller::Caller,
    usecase::{Call, Error},
};

/// Splits a request into who calls and what is asked. The layers have put the call there.
pub(super) fn open<T>(mut request: Request<T>) -> (Call, T) {
    let call = request.extensions_mut().remove::<Call>().unwrap_or_else(|| {
        // Without the layers nobody is let in: anonymous may do nothing that asks for a client.
        Call { caller: Caller::Anonymous, request_id: String::new(), deadline: Instant::now() }
    });
    (call, request.into_inner())
}

/// Runs an operation and turns its error into a status. No `async fn`, as that would have room for the operation twice.
pub(super) fn answer<T>(
    call: &Call,
    operation: impl Future<Output = Result<T, Error>>,
) -> impl Future<Output = Result<Response<T>, Status>> {
    operation.map_ok(Response::new).map_err(|error| status(&error, &call.request_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_room_for_its_operation_once() {
        let call = Call { caller: Caller::Anonymous, request_id: String::new(), deadline: Instant::now() };
        let large = [0_u8; 4096];
        let operation = async move {
            tokio::task::yield_now().await;
            Ok(large.len())
        };
        let bytes = size_of_val(&operation);
        let answer = answer(&call, operation);
        assert!((4096..bytes + 256).contains(&size_of_val(&answer)), "{} bytes", size_of_val(&answer));
    }
}
