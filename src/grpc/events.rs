//! `EventService`.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, stream};
use http::HeaderMap;
use tokio::time::{Instant, sleep_until};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::{
    caller::caller_for,
    convert::{event_message, id, page},
    respond::{answer, open},
    status::{bare, status},
};
use crate::{
    domain::id::ProjectId,
    proto::{
        CallerKind, ErrorReason, ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse,
        event_service_server::EventService,
    },
    usecase::{
        Call, Error, Services,
        read_events::{Start, list_events},
        watch_events::{Told, Watch, watch_events},
    },
};

pub(super) struct EventApi {
    pub(super) services: Arc<Services>,
    /// Ends the streams.
    pub(super) stop: CancellationToken,
}

#[tonic::async_trait]
impl EventService for EventApi {
    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<WatchEventsResponse, Status>> + Send>>;

    async fn list_events(&self, request: Request<ListEventsRequest>) -> Result<Response<ListEventsResponse>, Status> {
        let (call, body) = open(request);
        let operation = async {
            let size = page(body.page_size, "")?.size;
            let project_id = project_id(&body.project_id)?;
            let listed = list_events(&self.services, &call, project_id, start(&body.cursor), size).await?;
            let events = listed.events.into_iter().map(|listed| event_message(listed.event)).collect();
            Ok(ListEventsResponse { events, cursor: listed.cursor, more: listed.more })
        };
        answer(&call, operation).await
    }

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let headers = request.metadata().clone().into_headers();
        let (call, body) = open(request);
        let operation = async {
            let start = match (body.only_new, body.cursor.as_str()) {
                (true, "") => Start::New,
                (true, _) => return Err(Error::field("only_new", "goes without a cursor")),
                (false, cursor) => start(cursor),
            };
            let watch = watch_events(&self.services, &call, project_id(&body.project_id)?, start).await?;
            let (services, stop) = (Arc::clone(&self.services), self.stop.clone());
            let watched = Watched { services, headers, call: call.clone(), recheck_at: Instant::now(), stop, watch };
            Ok(watched.into_stream())
        };
        answer(&call, operation).await
    }
}

/// A stream that is open.
struct Watched {
    services: Arc<Services>,
    /// The credentials it was opened with are among them.
    headers: HeaderMap,
    call: Call,
    recheck_at: Instant,
    stop: CancellationToken,
    watch: Watch,
}

impl Watched {
    /// The messages, made when there is room for them, and the error that ends them.
    fn into_stream(mut self) -> Pin<Box<dyn Stream<Item = Result<WatchEventsResponse, Status>> + Send>> {
        self.recheck_at = Instant::now() + self.watch.recheck_interval();
        Box::pin(stream::unfold(Some(self), |watched| async {
            let mut watched = watched?;
            let request_id = watched.call.request_id.clone();
            // In a task of its own: whoever asks for a message and then for no more must not keep the connection to the
            // database that it is read over.
            let next = async move { (watched.next().await, watched) };
            let next = AbortOnDropHandle::new(tokio::spawn(next.in_current_span()));
            match next.await {
                Ok((Ok(message), watched)) => Some((Ok(message), Some(watched))),
                Ok((Err(error), _)) => {
                    tracing::info!(request_id, reason = %error, "a stream of events ended");
                    Some((Err(status(&error, &request_id)), None))
                }
                Err(error) => {
                    tracing::error!(request_id, %error, "a stream of events broke off");
                    Some((Err(bare(ErrorReason::Internal, &request_id)), None))
                }
            }
        }))
    }

    async fn next(&mut self) -> Result<WatchEventsResponse, Error> {
        let stop = self.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(Error::Stopping),
            message = self.message() => message,
        }
    }

    async fn message(&mut self) -> Result<WatchEventsResponse, Error> {
        loop {
            tokio::select! {
                // First, so that a client that is gone is told nothing more, however much there is.
                biased;
                () = sleep_until(self.recheck_at) => {}
                told = self.watch.next() => return told.map(message),
            }
            caller_for(&self.services, CallerKind::ConfidentialClientOrOperator, &self.headers).await?;
            self.recheck_at = Instant::now() + self.watch.recheck_interval();
        }
    }
}

fn message(told: Told) -> WatchEventsResponse {
    match told {
        Told::Event(listed) => WatchEventsResponse { event: Some(event_message(listed.event)), cursor: listed.cursor },
        Told::Nothing { cursor } => WatchEventsResponse { event: None, cursor },
    }
}

fn start(cursor: &str) -> Start<'_> {
    if cursor.is_empty() { Start::Oldest } else { Start::Behind(cursor) }
}

/// Reads the id of a project; empty for none in particular.
fn project_id(text: &str) -> Result<Option<ProjectId>, Error> {
    (!text.is_empty()).then(|| id("project_id", text, ProjectId::parse)).transpose()
}
