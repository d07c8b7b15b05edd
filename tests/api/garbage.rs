//! What is not a message of an RPC at all: refused with a reason, never with a fault of ours, and without a trace.

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, TestCaseError, TestRunner},
};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use rstest::rstest;
use signet::{
    error::wire,
    proto::{RPCS, Rpc},
};
use tonic::Code;

use crate::support::{Answer, Engine, RawCall, TestApp, field_violations, method};

/// Calls an RPC as somebody it is open to.
async fn call(app: &TestApp, rpc: &Rpc, message: &[u8]) -> Answer {
    let call = RawCall::to(rpc.path).authorization(app.fixture.entitled(rpc.caller));
    call.message(message).send(&app.routes()).await
}

/// Fails if the answer blames us, or tells what goes on inside.
fn assert_calm(rpc: &Rpc, answer: &Answer) {
    let reason = answer.reason();
    assert!(
        !matches!(answer.status.code(), Code::Internal | Code::Unknown) && reason != "INTERNAL",
        "{}: {:?}",
        rpc.path,
        answer.status
    );
    if answer.is_ok() {
        return;
    }
    let declared = rpc.error_reasons.iter().chain(&Rpc::COMMON_REASONS);
    let declared = declared.copied().find(|declared| declared.wire_name() == reason).expect("a declared reason");
    assert!(answer.status.message().starts_with(wire(declared).message), "{}: {:?}", rpc.path, answer.status);
}

/// Fails unless the request was refused as a whole.
fn assert_unreadable(rpc: &Rpc, answer: &Answer) {
    assert_calm(rpc, answer);
    assert_eq!((answer.status.code(), answer.reason().as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    assert_eq!(field_violations(&answer.status), [""], "no single field is to blame");
    let told = answer.status.message();
    assert!(told.ends_with(": the request is not a message of this RPC") || told.ends_with("than this server takes"));
}

#[rstest]
#[tokio::test]
async fn an_empty_message_names_what_is_missing_or_is_fine(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    for rpc in RPCS {
        let answer = call(&app, rpc, &[]).await;
        assert_calm(rpc, &answer);
        if answer.is_ok() {
            let needs_no_word = ["/List", "/IssueClientToken", "/GetSignInSettings", "/WatchEvents"];
            let needs_no_word = needs_no_word.iter().any(|name| rpc.path.contains(name));
            assert!(needs_no_word, "{} does something without being told what", rpc.path);
        } else if ["GetJsonWebKeySet", "GetProviderMetadata"].iter().any(|name| rpc.path.ends_with(name)) {
            // Without a name it is the only project, of which there are two here.
            assert_eq!(answer.reason(), "PROJECT_NOT_FOUND", "{}", rpc.path);
        } else {
            assert_eq!(answer.reason(), "INVALID_FIELD", "{}", rpc.path);
            assert!(!field_violations(&answer.status).is_empty(), "{}", rpc.path);
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_message_above_the_limit_is_refused_and_one_at_the_limit_is_read(
    #[values(Engine::Sqlite, Engine::Postgres)] engine: Engine,
) {
    let Some(app) = TestApp::start(engine).await else { return };
    for rpc in RPCS {
        // A field that no message has, which a reader skips.
        let padded = |bytes: usize| holding(1000, &vec![0; bytes]);
        let overhead = padded(60_000).len() - 60_000;
        assert_unreadable(rpc, &call(&app, rpc, &padded(65536 - overhead + 1)).await);
        let same_as_empty = call(&app, rpc, &padded(65536 - overhead)).await;
        assert_eq!(same_as_empty.reason(), call(&app, rpc, &[]).await.reason(), "{}", rpc.path);
    }
}

#[rstest]
#[tokio::test]
async fn a_broken_frame_is_refused(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let bodies: [&[u8]; 7] = [
        &[],
        &[0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 0, 9, 1],
        &[0, 0xFF, 0xFF, 0xFF, 0xFF],
        &[1, 0, 0, 0, 0],
        &[7, 0, 0, 0, 0],
    ];
    for rpc in RPCS {
        for body in bodies {
            let call = RawCall::to(rpc.path).authorization(app.fixture.entitled(rpc.caller)).body(body);
            assert_unreadable(rpc, &call.send(&app.routes()).await);
        }
    }
}

/// Where in a request a `google.protobuf.Struct` stands: the numbers of the fields that lead to it.
fn structs_of(message: &MessageDescriptor) -> Vec<Vec<u32>> {
    let mut found = Vec::new();
    for field in message.fields() {
        let Kind::Message(inner) = field.kind() else { continue };
        if inner.full_name() == "google.protobuf.Struct" {
            found.push(vec![field.number()]);
        } else {
            found.extend(structs_of(&inner).into_iter().map(|path| [vec![field.number()], path].concat()));
        }
    }
    found
}

/// A field that holds a message, on the wire.
fn holding(number: u32, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut bytes);
    prost::encoding::encode_varint(message.len() as u64, &mut bytes);
    [bytes.as_slice(), message].concat()
}

/// A `Struct` that holds a `Struct`, and so on.
fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| {
        // Value.struct_value = 5, the entry's key = 1 and value = 2, Struct.fields = 1.
        let entry = [holding(1, b"a"), holding(2, &holding(5, &inner))].concat();
        holding(1, &entry)
    })
}

#[rstest]
#[tokio::test]
async fn an_object_nested_too_deeply_is_refused(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let Some(app) = TestApp::start(engine).await else { return };
    let mut places = 0;
    for rpc in RPCS {
        for path in structs_of(&method(rpc.path).input()) {
            places += 1;
            for depth in [1, 30, 31, 32, 33, 34, 35, 1000] {
                let object = nested(depth);
                let message = path.iter().rev().fold(object, |inner, number| holding(*number, &inner));
                let answer = call(&app, rpc, &message).await;
                assert_calm(rpc, &answer);
                if depth == 1000 {
                    assert_unreadable(rpc, &answer);
                }
            }
        }
    }
    assert!(places >= 4, "claims, custom claims and twice metadata");
}

/// Bytes that are no message, nearly one, or one with nonsense in it.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let field = (1_u32..20, 0_u8..8, vec(any::<u8>(), 0..40));
    let fields = vec(field, 0..8).prop_map(|fields| {
        let field = |(number, wire_type, bytes): (u32, u8, Vec<u8>)| match wire_type {
            0..4 => holding(number, &bytes),
            _ => [vec![u8::try_from(number << 3).unwrap() | wire_type], bytes].concat(),
        };
        fields.into_iter().flat_map(field).collect()
    });
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), 0..300), fields]
}

#[rstest]
fn any_bytes_are_answered_calmly(#[values(Engine::Sqlite, Engine::Postgres)] engine: Engine) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let Some(app) = runtime.block_on(TestApp::start(engine)) else { return };
    let before = runtime.block_on(app.events());
    let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
    let case = (0..RPCS.len(), bytes());
    let result = runner.run(&case, |(rpc, bytes)| {
        let rpc = &RPCS[rpc];
        let answer = runtime.block_on(call(&app, rpc, &bytes));
        assert_calm(rpc, &answer);
        // What cannot be read is never taken for something that can.
        let readable = DynamicMessage::decode(method(rpc.path).input(), bytes.as_slice()).is_ok();
        if !readable && field_violations_or_none(&answer) != Some(vec![String::new()]) {
            return Err(TestCaseError::fail(format!("{}: {:?}", rpc.path, answer.status)));
        }
        Ok(())
    });
    result.unwrap();
    assert_eq!(runtime.block_on(app.events()), before, "nothing was done");
}

fn field_violations_or_none(answer: &Answer) -> Option<Vec<String>> {
    (!answer.is_ok()).then(|| field_violations(&answer.status))
}
