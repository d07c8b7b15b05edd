//! Plain HTTP, as little as these tests need.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// How long an answer may take. Generous: the machine may be busy.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Sends a request such as `GET /metrics`; gives the status, the headers and the body.
pub(crate) fn call(address: &str, request: &str, headers: &[(&str, &str)], body: &str) -> (u16, String, String) {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(ANSWER_MAX)).unwrap();
    let headers: String = headers.iter().flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]).collect();
    let length = body.len();
    // By HTTP/1.0 nothing comes in chunks.
    write!(connection, "{request} HTTP/1.0\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n{body}").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

/// The page of numbers in the form that an `Accept` header asks for.
pub(crate) fn metrics(ops: &str, accept: &str) -> String {
    let (status, _, page) = call(ops, "GET /metrics", &[("accept", accept)], "");
    assert_eq!(status, 200, "{page}");
    page
}
