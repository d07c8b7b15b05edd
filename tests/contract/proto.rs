//! The rules of the API that matter most, read off the descriptors: they hold where `buf` is not installed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, FileDescriptor, MessageDescriptor, MethodDescriptor, Value,
};
use signet::proto::{CallerKind, DESCRIPTORS, RPCS, Rpc};

/// The package of our own files; the others are vendored.
const PACKAGE: &str = "auth.v1";
/// Words that have to be spelled out in the name of anything.
const ABBREVIATIONS: [&str; 20] = [
    "addr", "auth", "authn", "authz", "cfg", "cnt", "cred", "ctx", "desc", "err", "idx", "msg", "num", "org", "params",
    "pwd", "req", "resp", "sess", "usr",
];

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap());

pub(crate) fn methods() -> Vec<MethodDescriptor> {
    let methods: Vec<_> = POOL
        .services()
        .filter(|service| service.package_name() == PACKAGE)
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect();
    assert!(!methods.is_empty());
    methods
}

fn messages() -> impl Iterator<Item = MessageDescriptor> {
    POOL.all_messages().filter(|message| message.package_name() == PACKAGE && !message.is_map_entry())
}

pub(crate) fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The comment right above the thing at this path of a file, without surrounding space; empty if there is none.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let source = file.file_descriptor_proto().source_code_info.as_ref().expect("build.rs keeps the comments");
    let location = source.location.iter().find(|location| location.path == path);
    location.and_then(|location| location.leading_comments.as_deref()).unwrap_or_default().trim().to_owned()
}

#[test]
fn everything_has_a_comment() {
    let mut things = Vec::new();
    for file in POOL.files().filter(|file| file.package_name() == PACKAGE) {
        for service in file.services() {
            things.push((file.clone(), service.full_name().to_owned(), service.path().to_vec()));
            things.extend(service.methods().map(|rpc| (file.clone(), rpc.full_name().to_owned(), rpc.path().to_vec())));
        }
        things.extend(
            file.extensions().map(|option| (file.clone(), option.full_name().to_owned(), option.path().to_vec())),
        );
    }
    for message in messages() {
        let file = message.parent_file();
        things.push((file.clone(), message.full_name().to_owned(), message.path().to_vec()));
        things
            .extend(message.fields().map(|field| (file.clone(), field.full_name().to_owned(), field.path().to_vec())));
        // An optional field is a oneof of one that the compiler makes up.
        let oneofs = message.oneofs().filter(|oneof| !oneof.is_synthetic());
        things.extend(oneofs.map(|oneof| (file.clone(), oneof.full_name().to_owned(), oneof.path().to_vec())));
    }
    for kind in POOL.all_enums().filter(|kind| kind.package_name() == PACKAGE) {
        let file = kind.parent_file();
        things.push((file.clone(), kind.full_name().to_owned(), kind.path().to_vec()));
        things.extend(kind.values().map(|value| (file.clone(), value.full_name().to_owned(), value.path().to_vec())));
    }
    let bare: Vec<_> =
        things.iter().filter(|(file, _, path)| comment(file, path).is_empty()).map(|(_, name, _)| name).collect();
    assert!(things.len() > 200, "only {} things were looked at", things.len());
    assert!(bare.is_empty(), "these have no comment above them: {bare:#?}");
}

#[test]
fn every_rpc_has_a_request_and_a_response_of_its_own() {
    for method in methods() {
        let rpc = method.name();
        assert_eq!(method.input().full_name(), format!("{PACKAGE}.{rpc}Request"));
        assert_eq!(method.output().full_name(), format!("{PACKAGE}.{rpc}Response"));
    }
    // And none of them is used by another RPC or inside another message.
    let wrappers: BTreeSet<_> = methods()
        .iter()
        .flat_map(|method| [method.input(), method.output()])
        .map(|message| message.full_name().to_owned())
        .collect();
    assert_eq!(wrappers.len(), methods().len() * 2, "two RPCs of different services share a name");
    // But for one: a sign-up brings all that creating a user does, also what users are given one day.
    let is_agreed = |field: &FieldDescriptor| field.full_name() == "auth.v1.SignUpRequest.user";
    for field in messages().flat_map(|message| message.fields().collect::<Vec<_>>()) {
        if let Some(message) = field.kind().as_message().filter(|_| !is_agreed(&field)) {
            assert!(!wrappers.contains(message.full_name()), "{} holds the wrapper of an RPC", field.full_name());
        }
    }
}

#[test]
fn the_zero_of_every_enum_is_unspecified() {
    for kind in POOL.all_enums().filter(|kind| kind.package_name() == PACKAGE) {
        let zero = kind.get_value(0).unwrap();
        assert!(zero.name().ends_with("_UNSPECIFIED"), "{}", zero.full_name());
    }
}

#[test]
fn names_are_spelled_out() {
    let names = messages()
        .flat_map(|message| {
            message
                .fields()
                .map(|field| field.full_name().to_owned())
                .chain([message.full_name().to_owned()])
                .collect::<Vec<_>>()
        })
        .chain(methods().into_iter().map(|method| method.name().to_owned()))
        .chain(POOL.all_enums().filter(|kind| kind.package_name() == PACKAGE).map(|kind| kind.full_name().to_owned()));
    let short: Vec<_> = names.filter(|name| words(name).any(|word| ABBREVIATIONS.contains(&word.as_str()))).collect();
    assert!(short.is_empty(), "spell these out: {short:#?}");
}

#[test]
fn the_check_for_abbreviations_sees_words_in_both_spellings() {
    let words = |name| words(name).collect::<Vec<_>>();
    assert_eq!(words("auth.v1.GetUserReq.user_msg"), ["get", "user", "req", "user", "msg"]);
}

/// The words of a full name, in lower case, without those of the package.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut spaced = String::new();
    for letter in name.trim_start_matches(PACKAGE).chars() {
        if letter.is_uppercase() {
            spaced.push(' ');
        }
        spaced.push(if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { ' ' });
    }
    spaced.split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

#[test]
fn every_rpc_has_an_http_rule_of_whole_segments_that_no_other_has() {
    let mut seen = BTreeMap::new();
    for method in methods() {
        let rpc = path_of(&method);
        // A stream is for gRPC alone.
        if method.is_server_streaming() {
            assert!(http_rule(&method).is_none(), "{rpc} streams and has a google.api.http");
            continue;
        }
        let rule = http_rule(&method).unwrap_or_else(|| panic!("{rpc} has no google.api.http"));
        let faults = rule.faults(&method.input());
        assert!(faults.is_empty(), "{rpc} is at {}: {}", rule.path, faults.join("; "));
        if let Some(other) = seen.insert(rule.shape(), rpc.clone()) {
            panic!("{rpc} and {other} are both at {:?}", rule.shape());
        }
    }
}

#[test]
fn the_check_of_http_rules_sees_each_fault() {
    let request = POOL.get_message_by_name("auth.v1.DeleteClientRequest").unwrap();
    let rule = |path: &str| HttpRule { verb: "get".to_owned(), path: path.to_owned(), body: String::new() };
    let faults = |path| rule(path).faults(&request).len();

    assert_eq!(faults("/api/v1/projects/{project_id}/clients/{client_id}/jwks"), 0);
    assert_eq!(faults("/api/v1/clients/{client_id}:revoke"), 1);
    assert_eq!(faults("/api/v1/clients/{client_id=*}"), 1);
    assert_eq!(faults("/api/v1/clients/x{client_id}"), 1);
    assert_eq!(faults("/api/v1/clients/{clients_id}"), 1);
    assert_eq!(faults("/api/v1/clients/{client_id}/{client_id}"), 1);
    assert_eq!(faults("/v1/clients"), 1);
    assert_eq!(faults("/api/v1/clients/"), 1);
    assert_eq!(rule("/api/v1/clients/{client_id}").shape(), rule("/api/v1/clients/{project_id}").shape());
}

/// The HTTP request that an RPC answers to.
struct HttpRule {
    verb: String,
    path: String,
    body: String,
}

impl HttpRule {
    /// What is wrong with the rule of an RPC that takes this request.
    fn faults(&self, request: &MessageDescriptor) -> Vec<String> {
        let Some(path) = self.path.strip_prefix("/api/v1/") else {
            return vec!["the path does not start with /api/v1/".to_owned()];
        };
        let mut faults = Vec::new();
        let mut variables = BTreeSet::new();
        for segment in path.split('/') {
            if let Some(variable) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                if !variables.insert(variable) {
                    faults.push(format!("`{variable}` stands there twice"));
                } else if request
                    .get_field_by_name(variable)
                    .is_none_or(|field| field.is_list() || field.kind().as_message().is_some())
                {
                    faults.push(format!("`{variable}` is no plain field of {}", request.name()));
                }
            } else if segment.is_empty() || !segment.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
            {
                faults.push(format!("the segment `{segment}` is not plain lower case or one whole variable"));
            }
        }
        match (self.verb.as_str(), self.body.as_str()) {
            ("get" | "delete", "") | ("patch" | "post" | "put", "*") => {}
            (verb, body) => faults.push(format!("a {verb} with the body {body:?}")),
        }
        faults
    }

    /// Equal for rules that no router could tell apart.
    fn shape(&self) -> (String, String) {
        let segments = self.path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
        (self.verb.clone(), segments.collect::<Vec<_>>().join("/"))
    }
}

fn http_rule(method: &MethodDescriptor) -> Option<HttpRule> {
    let extension = POOL.get_extension_by_name("google.api.http").unwrap();
    let options = method.options();
    if !options.has_extension(&extension) {
        return None;
    }
    let value = options.get_extension(&extension);
    let rule: &DynamicMessage = value.as_message().unwrap();
    let additional = rule.get_field_by_name("additional_bindings").unwrap();
    assert!(additional.as_list().unwrap().is_empty(), "{}: one way in is enough", method.full_name());
    let text = |name| rule.get_field_by_name(name).and_then(|value| Some(value.as_str()?.to_owned()));
    let verb = ["delete", "get", "patch", "post", "put"].into_iter().find(|verb| rule.has_field_by_name(verb))?;
    Some(HttpRule { verb: verb.to_owned(), path: text(verb)?, body: text("body")? })
}

#[test]
fn the_table_of_rpcs_is_the_proto() {
    let declared: BTreeSet<_> = methods().iter().map(path_of).collect();
    let table: BTreeSet<_> = RPCS.iter().map(|rpc| rpc.path.to_owned()).collect();
    assert_eq!(table, declared);
    assert_eq!(RPCS.len(), declared.len(), "an RPC stands in the table twice");

    let option = POOL.get_extension_by_name("auth.v1.caller").unwrap();
    for method in methods() {
        let rpc = Rpc::by_path(&path_of(&method)).unwrap();
        assert_ne!(rpc.caller, CallerKind::Unspecified, "{}", rpc.path);
        assert_eq!(rpc.is_stream, method.is_server_streaming(), "{}", rpc.path);
        assert!(!method.is_client_streaming(), "{}: the layers know no such stream", rpc.path);
        assert_eq!(
            method.options().get_extension(&option).as_ref(),
            &Value::EnumNumber(rpc.caller.into()),
            "{}",
            rpc.path
        );
    }
}
