//! JSON objects, and `google.protobuf.Struct`, which holds them in messages.

use prost_types::{ListValue, Struct, Value as Message, value::Kind};
use serde_json::{Map, Number, Value};

/// Whole numbers up to here are exact in a `double`, the only number of `Struct`.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A JSON object as a message.
pub fn struct_of(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(name, value)| (name.clone(), message_of(value))).collect() }
}

/// A message as a JSON object; an absent one is empty. A number that JSON has no word for becomes null.
pub fn object_of(message: Option<&Struct>) -> Map<String, Value> {
    let fields = message.into_iter().flat_map(|object| &object.fields);
    fields.map(|(name, value)| (name.clone(), value_of(value))).collect()
}

fn message_of(value: &Value) -> Message {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(ListValue { values: values.iter().map(message_of).collect() }),
        Value::Object(object) => Kind::StructValue(struct_of(object)),
    };
    Message { kind: Some(kind) }
}

fn value_of(message: &Message) -> Value {
    match &message.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(*value),
        Some(Kind::NumberValue(number)) => number_of(*number),
        Some(Kind::StringValue(text)) => Value::String(text.clone()),
        Some(Kind::ListValue(list)) => list.values.iter().map(value_of).collect(),
        Some(Kind::StructValue(object)) => Value::Object(object_of(Some(object))),
    }
}

/// `5`, not `5.0`: what went in as a whole number comes out as one.
fn number_of(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range in which a double is exact")]
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_survives_the_way_there_and_back() {
        let object = json!({"a": 5, "b": [1.5, null, true], "c": {"d": "e"}});
        let Value::Object(object) = object else { unreachable!("an object literal") };
        assert_eq!(object_of(Some(&struct_of(&object))), object);
    }

    #[test]
    fn what_is_absent_is_empty_and_what_json_cannot_say_is_null() {
        assert_eq!(object_of(None), Map::new());
        let fields = [("x".to_owned(), Message { kind: Some(Kind::NumberValue(f64::NAN)) })];
        let object = Struct { fields: fields.into_iter().collect() };
        assert_eq!(Value::Object(object_of(Some(&object))), json!({ "x": null }));
    }
}
