//! HTTP and proto3 JSON in front of any RPC, by its descriptors.
//!
//! Answers are canonical proto3 JSON as `grpcurl` prints it: lowerCamelCase, 64-bit numbers as text, and fields that have their
//! default value left out.

use bytes::{Buf as _, BufMut as _};
use http::StatusCode;
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor};
use serde_json::Value;
use tonic::{
    Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::{
    binding::{Binding, RPCS},
    query::{self, Wrong},
    status,
};
use crate::rest::{
    api::{Api, MESSAGE_BYTES_MAX},
    failure::Refusal,
    incoming::Incoming,
    reading,
    reply::Reply,
};

/// Answers a request of any RPC.
pub(super) async fn call(api: &Api, incoming: &Incoming) -> Result<Reply, Refusal> {
    let head = &incoming.head;
    let Some(rpc) = RPCS.iter().find(|rpc| rpc.path == head.route && rpc.method == head.method) else {
        return Err(Refusal::NotFound);
    };
    let message = request(rpc, incoming).map_err(|wrong| status::invalid(head, &wrong.name, &wrong.why))?;
    let authorization = head.header(http::header::AUTHORIZATION.as_str()).unwrap_or_default();
    let mut client = Grpc::new(api.upstream.clone())
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    client.ready().await.map_err(|_| Status::unavailable("the gRPC API cannot be reached"))?;
    let codec = Dynamic(rpc.descriptor.output());
    let answer = client.unary(incoming.call(authorization, message), rpc.grpc_path.clone(), codec).await?;
    Ok(Reply::json(StatusCode::OK, answer.get_ref()))
}

/// The request's message, from body, path and query.
fn request(rpc: &Binding, incoming: &Incoming) -> Result<DynamicMessage, Wrong> {
    let input = rpc.descriptor.input();
    let head = &incoming.head;
    let path = head.parameters.iter().map(|(name, value)| (*name, value.as_str()));
    if !rpc.has_body {
        if !incoming.body.iter().all(u8::is_ascii_whitespace) {
            return Err(Wrong { name: String::new(), why: "this call takes no body".into() });
        }
        let given = head.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        return from_value(input.clone(), query::object(&input, path.chain(given))?);
    }
    if let Some((name, _)) = head.query.first() {
        let name = name.chars().take(100).collect();
        return Err(Wrong { name, why: "belongs into the body: this call takes no query".into() });
    }
    let mut message = from_body(input.clone(), &incoming.body)?;
    // What the path says counts, whatever the body says.
    let named = from_value(input.clone(), query::object(&input, path)?)?;
    for field in rpc.parameters().filter_map(|name| input.get_field_by_name(name)) {
        message.set_field(&field, named.get_field(&field).into_owned());
    }
    Ok(message)
}

fn from_value(descriptor: MessageDescriptor, object: serde_json::Map<String, Value>) -> Result<DynamicMessage, Wrong> {
    read(descriptor, Value::from(object))
}

/// A body of nothing counts as `{}`, whatever its content type says.
fn from_body(descriptor: MessageDescriptor, body: &[u8]) -> Result<DynamicMessage, Wrong> {
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    let mut json = serde_json::Deserializer::from_slice(body);
    let message = read(descriptor, &mut json)?;
    json.end().map_err(|error| Wrong { name: String::new(), why: reading::problem(&error) })?;
    Ok(message)
}

fn read<'de, D>(descriptor: MessageDescriptor, json: D) -> Result<DynamicMessage, Wrong>
where
    D: serde::Deserializer<'de, Error = serde_json::Error>,
{
    let options = DeserializeOptions::new();
    let mut track = serde_path_to_error::Track::new();
    let json = serde_path_to_error::Deserializer::new(json, &mut track);
    DynamicMessage::deserialize_with_options(descriptor, json, &options).map_err(|error| {
        let (path, said) = (reading::place(&track.path()), error.to_string());
        // The field that there is not is part of the name, like one that holds something wrong.
        match said.strip_prefix("unrecognized field name '").and_then(|rest| rest.split_once('\'')) {
            Some((field, _)) => Wrong { name: joined(&path, field), why: "is not a field of this call".into() },
            None => Wrong { name: path, why: reading::problem(&error) },
        }
    })
}

fn joined(path: &str, field: &str) -> String {
    let field: String = field.chars().take(100).collect();
    // Some errors are found after their name has been noted.
    if path.is_empty() || path == field {
        field
    } else if path.strip_suffix(&field).is_some_and(|rest| rest.ends_with('.')) {
        path.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

/// Messages that are only known by their descriptors; this is the one of answers.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Writer;
    type Decoder = Reader;

    fn encoder(&mut self) -> Writer {
        Writer
    }

    fn decoder(&mut self) -> Reader {
        Reader(self.0.clone())
    }
}

struct Writer;

impl Encoder for Writer {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        message.encode(&mut buffer.limit(usize::MAX)).map_err(|error| Status::internal(error.to_string()))
    }
}

struct Reader(MessageDescriptor);

impl Decoder for Reader {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let message = DynamicMessage::decode(self.0.clone(), bytes);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
