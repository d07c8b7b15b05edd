//! Messages and enums as JSON schemas of their proto3 JSON form.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::rest::canonical::comments::comment;

/// The schemas that were referred to so far, by name.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, Value>);

/// True for messages whose JSON form is no object of their fields.
pub(super) fn is_plain(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("google.protobuf.")
}

impl Schemas {
    /// Refers to the schema of a message.
    pub(super) fn reference(&mut self, message: &MessageDescriptor) -> Value {
        self.without(message, std::iter::empty())
    }

    /// The same for a message that is without some of its fields.
    pub(super) fn without<'n>(&mut self, message: &MessageDescriptor, but: impl Iterator<Item = &'n str>) -> Value {
        if is_plain(message) {
            return well_known(message);
        }
        let name = message.name().to_owned();
        if !self.0.contains_key(&name) {
            // A message may hold itself.
            self.0.insert(name.clone(), Value::Null);
            let but: Vec<&str> = but.collect();
            let schema = self.object(message, &but);
            self.0.insert(name.clone(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn object(&mut self, message: &MessageDescriptor, but: &[&str]) -> Value {
        let file = message.parent_file();
        let mut properties = Map::new();
        for field in message.fields().filter(|field| !but.contains(&field.name())) {
            let mut schema = self.of_field(&field);
            let said = comment(&file, field.path());
            if !said.is_empty() {
                schema["description"] = said.into();
            }
            properties.insert(field.json_name().to_owned(), schema);
        }
        let mut description = comment(&file, message.path()).to_owned();
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let names: Vec<String> = oneof.fields().map(|field| format!("`{}`", field.json_name())).collect();
            description.extend([" At most one of ", &names.join(", "), " is set."]);
        }
        json!({ "type": "object", "description": description, "properties": properties })
    }

    /// The schema of a field's value.
    pub(super) fn of_field(&mut self, field: &FieldDescriptor) -> Value {
        if let Some(entry) = field.kind().as_message().filter(|_| field.is_map()) {
            let value = self.of_kind(&entry.map_entry_value_field().kind());
            return json!({ "type": "object", "additionalProperties": value });
        }
        let one = self.of_kind(&field.kind());
        if field.is_list() { json!({ "type": "array", "items": one }) } else { one }
    }

    fn of_kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Double | Kind::Float => json!({ "type": "number" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "format": "int32" })
            }
            // JSON's numbers would lose digits.
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => {
                json!({ "type": "string", "format": "int64" })
            }
            Kind::Message(message) => self.reference(message),
            Kind::Enum(values) => self.of_enum(values),
        }
    }

    fn of_enum(&mut self, values: &EnumDescriptor) -> Value {
        let name = values.name().to_owned();
        self.0.entry(name.clone()).or_insert_with(|| {
            let file = values.parent_file();
            let names: Vec<String> = values.values().map(|value| value.name().to_owned()).collect();
            let meanings =
                values.values().map(|value| format!("- `{}`: {}", value.name(), comment(&file, value.path())));
            let description =
                [vec![comment(&file, values.path()).to_owned(), String::new()], meanings.collect()].concat();
            json!({ "type": "string", "enum": names, "description": description.join("\n") })
        });
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    /// All of them, and the one of refusals.
    pub(super) fn finish(mut self, status: Value) -> BTreeMap<String, Value> {
        self.0.insert("Status".into(), status);
        self.0
    }
}

/// The JSON form of a message of `google.protobuf`.
fn well_known(message: &MessageDescriptor) -> Value {
    match message.name() {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" => json!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$", "examples": ["90s"] }),
        "FieldMask" => json!({ "type": "string", "description": "Names of fields, separated by commas." }),
        "Struct" => json!({ "type": "object", "additionalProperties": true }),
        "ListValue" => json!({ "type": "array" }),
        "BoolValue" => json!({ "type": "boolean" }),
        "StringValue" | "Int64Value" | "UInt64Value" | "BytesValue" => json!({ "type": "string" }),
        "Int32Value" | "UInt32Value" => json!({ "type": "integer", "format": "int32" }),
        "DoubleValue" | "FloatValue" => json!({ "type": "number" }),
        "Empty" => json!({ "type": "object" }),
        // `Value`: anything at all.
        _ => json!({}),
    }
}
