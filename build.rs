//! Compiles `proto/` without a system `protoc`, and fails for an RPC that does not say who may call it.

use std::{env, fs, io, path::PathBuf};

use prost_reflect::{DescriptorPool, MethodDescriptor, Value};

const PACKAGE: &str = "auth.v1";
/// The last two are for reflection only: with them a client can print the details of an error.
const FILES: [&str; 9] = [
    "auth.proto",
    "errors.proto",
    "events.proto",
    "options.proto",
    "projects.proto",
    "sessions.proto",
    "users.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;

    // protox's own encoding keeps the options that prost would drop, `google.api.http` and ours among them.
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), &descriptors)?;
    fs::write(out.join("rpcs.rs"), rpc_table(&DescriptorPool::decode(descriptors.as_slice())?)?)?;

    tonic_prost_build::configure()
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The table of RPCs that `src/proto.rs` includes: path, least caller, whether it is a POST, a stream or begins with a
/// hash, reasons of failure.
fn rpc_table(pool: &DescriptorPool) -> io::Result<String> {
    let mut rows = Vec::new();
    for service in pool.services().filter(|service| service.package_name() == PACKAGE) {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let http = extension(pool, "google.api.http");
            let is_stream = method.is_server_streaming();
            if !method.options().has_extension(&http) && !is_stream {
                return Err(missing(&path, "(google.api.http)"));
            }
            let is_post =
                method.options().get_extension(&http).as_message().is_some_and(|rule| rule.has_field_by_name("post"));
            let caller = enum_names(&method, pool, "auth.v1.caller");
            let caller = caller.first().ok_or_else(|| missing(&path, "(caller)"))?;
            let hashes_first = extension(pool, "auth.v1.hashes_first");
            let hashes_first = method.options().get_extension(&hashes_first).as_bool().unwrap_or_default();
            let reasons: Vec<String> = enum_names(&method, pool, "auth.v1.error_reasons")
                .iter()
                .map(|reason| format!("ErrorReason::{}", variant("ERROR_REASON_", reason)))
                .collect();
            rows.push(format!(
                "Rpc {{ path: {path:?}, caller: CallerKind::{}, is_post: {is_post}, is_stream: {is_stream}, \
                 hashes_first: {hashes_first}, error_reasons: &[{}] }}",
                variant("CALLER_KIND_", caller),
                reasons.join(", "),
            ));
        }
    }
    Ok(format!("&[\n{}\n]", rows.join(",\n")))
}

fn missing(path: &str, option: &str) -> io::Error {
    io::Error::other(format!("proto: {path} lacks `option {option}`; see proto/options.proto"))
}

fn extension(pool: &DescriptorPool, name: &str) -> prost_reflect::ExtensionDescriptor {
    pool.get_extension_by_name(name).unwrap_or_else(|| panic!("proto: extension {name} is not defined"))
}

/// The names of the enum values that an option of the method holds, without unspecified ones.
fn enum_names(method: &MethodDescriptor, pool: &DescriptorPool, option: &str) -> Vec<String> {
    let extension = extension(pool, option);
    let kind = extension.kind();
    let values = kind.as_enum().expect("the options of an RPC are enums");
    let options = method.options();
    let numbers = match options.get_extension(&extension).as_ref() {
        Value::EnumNumber(number) => vec![*number],
        Value::List(list) => list.iter().filter_map(Value::as_enum_number).collect(),
        _ => Vec::new(),
    };
    numbers
        .into_iter()
        .filter(|number| *number != 0)
        .filter_map(|number| values.get_value(number))
        .map(|value| value.name().to_owned())
        .collect()
}

/// `CALLER_KIND_PUBLIC_CLIENT` as prost spells it: `PublicClient`.
fn variant(prefix: &str, name: &str) -> String {
    name.trim_start_matches(prefix).split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}
