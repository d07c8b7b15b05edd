//! Calls below the generated clients: any bytes as the message, any headers, and the whole answer.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use signet::proto::{DESCRIPTORS, Rpc};
use tonic::{Code, Status, codegen::Bytes, service::Routes};
use tower::ServiceExt as _;

use super::reason;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap());

/// The descriptor of the RPC at a path.
pub(crate) fn method(path: &str) -> MethodDescriptor {
    let (service, name) = path.trim_start_matches('/').split_once('/').unwrap();
    let service = POOL.get_service_by_name(service).unwrap();
    service.methods().find(|method| method.name() == name).unwrap()
}

/// The request of an RPC, from its JSON form.
pub(crate) fn message(path: &str, json: serde_json::Value) -> Vec<u8> {
    let shown = json.to_string();
    let message = DynamicMessage::deserialize(method(path).input(), json);
    message.unwrap_or_else(|error| panic!("{path} takes no {shown}: {error}")).encode_to_vec()
}

/// A JSON object as a message.
pub(crate) fn object(object: &serde_json::Map<String, serde_json::Value>) -> prost_types::Struct {
    let descriptor = POOL.get_message_by_name("google.protobuf.Struct").unwrap();
    DynamicMessage::deserialize(descriptor, serde_json::json!(object)).unwrap().transcode_to().unwrap()
}

/// A call to be made.
pub(crate) struct RawCall<'a> {
    path: &'a str,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl<'a> RawCall<'a> {
    /// A call with an empty message and nobody's credentials.
    pub(crate) fn to(path: &'a str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        Self { path, headers, body: framed(&[]) }
    }

    /// With that message.
    pub(crate) fn message(mut self, message: &[u8]) -> Self {
        self.body = framed(message);
        self
    }

    /// With that body, which need not hold a message at all.
    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// With one more header; a second one of the same name stands beside the first.
    pub(crate) fn header(mut self, name: &'static str, value: &[u8]) -> Self {
        let value = HeaderValue::from_bytes(value).unwrap();
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// With those credentials.
    pub(crate) fn authorization(self, value: &str) -> Self {
        self.header("authorization", value.as_bytes())
    }

    /// Makes the call. Of a stream, which has no end, the first message is the answer.
    pub(crate) async fn send(self, routes: &Routes) -> Answer {
        let uri = format!("http://signet.test{}", self.path);
        let body = tonic::body::Body::new(Full::new(Bytes::from(self.body)));
        let mut request = Request::post(uri).body(body).unwrap();
        *request.headers_mut() = self.headers;
        let Ok(response) = routes.clone().oneshot(request).await;
        let (head, mut body) = response.into_parts();
        if Rpc::by_path(self.path).is_some_and(|rpc| rpc.is_stream) && !head.headers.contains_key("grpc-status") {
            let first = body.frame().await.expect("the first message comes at once").unwrap().into_data().unwrap();
            return Answer { headers: head.headers, status: Status::ok(""), message: first[5..].to_vec() };
        }
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        let body = body.to_bytes();
        let status = Status::from_header_map(&head.headers).or_else(|| Status::from_header_map(&trailers));
        let message = body.get(5..).unwrap_or_default().to_vec();
        Answer { headers: head.headers, status: status.expect("a grpc-status"), message }
    }
}

/// One message that is not compressed, as it stands on the wire.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), message].concat()
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) status: Status,
    /// Empty if the call was refused.
    pub(crate) message: Vec<u8>,
}

impl Answer {
    /// True if the call was not refused.
    pub(crate) fn is_ok(&self) -> bool {
        self.status.code() == Code::Ok
    }

    /// The reason of a refusal; empty without one.
    pub(crate) fn reason(&self) -> String {
        if self.status.details().is_empty() { String::new() } else { reason(&self.status) }
    }

    /// Everything the caller can read, decoded.
    pub(crate) fn everything(&self) -> Vec<u8> {
        let headers = self.headers.iter().flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]);
        let mut all = headers.collect::<Vec<_>>().concat();
        all.extend_from_slice(self.status.message().as_bytes());
        all.extend_from_slice(self.status.details());
        all.extend_from_slice(&self.message);
        all
    }
}

/// True if the text stands somewhere in the bytes.
pub(crate) fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A message as the JSON object it stands for.
pub(crate) fn json_of(object: &prost_types::Struct) -> serde_json::Value {
    use prost_types::value::Kind;
    let value = |value: &prost_types::Value| match value.kind.as_ref().unwrap() {
        Kind::NullValue(_) => serde_json::Value::Null,
        Kind::NumberValue(number) => serde_json::json!(number),
        Kind::StringValue(text) => serde_json::json!(text),
        Kind::BoolValue(value) => serde_json::json!(value),
        Kind::StructValue(object) => json_of(object),
        Kind::ListValue(list) => panic!("no test needs {list:?}"),
    };
    object.fields.iter().map(|(name, member)| (name.clone(), value(member))).collect()
}
