//! What the same framework costs without a service: a bare tonic server that takes the message of a token check and
//! gives an answer it was told beforehand. It is this program, started once more.

use std::{
    convert::Infallible,
    env,
    future::{Ready, ready},
    io::{self, BufRead as _, BufReader, Read as _},
    net::Ipv4Addr,
    pin::Pin,
    process::{Child, Command, Stdio},
    task::{Context, Poll},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use signet::proto::{AuthenticateSessionRequest, AuthenticateSessionResponse};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::Service,
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use crate::{proc, run::print};

/// What makes this program an echo.
pub(crate) const ARGUMENT: &str = "echo";

/// An echo, seen from outside. It ends when its standard input does.
pub(crate) struct Echo {
    process: Child,
    /// Where it listens.
    pub(crate) address: String,
}

impl Echo {
    /// Starts one that gives that answer, an `AuthenticateSessionResponse` in base64.
    pub(crate) fn start(answer: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        let command = command.args([ARGUMENT, answer]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().to_owned() }
    }

    /// CPU time that it has used.
    pub(crate) fn cpu(&self) -> std::time::Duration {
        proc::cpu(self.process.id())
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Serves until standard input ends, on as many threads as the service does.
pub(crate) fn serve() {
    let answer = STANDARD.decode(env::args().nth(2).unwrap()).unwrap();
    let answer = AuthenticateSessionResponse::decode(answer.as_slice()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.spawn(async move {
        let incoming = TcpIncoming::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap().with_nodelay(Some(true));
        print(incoming.local_addr().unwrap());
        Server::builder().add_service(Answering { answer }).serve_with_incoming(incoming).await.unwrap();
    });
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[derive(Clone)]
struct Answering {
    answer: AuthenticateSessionResponse,
}

impl NamedService for Answering {
    const NAME: &'static str = "auth.v1.AuthService";
}

impl Service<http::Request<Body>> for Answering {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answering = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(answering, request).await) })
    }
}

impl UnaryService<AuthenticateSessionRequest> for Answering {
    type Response = AuthenticateSessionResponse;
    type Future = Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, _: Request<AuthenticateSessionRequest>) -> Self::Future {
        ready(Ok(Response::new(self.answer.clone())))
    }
}
