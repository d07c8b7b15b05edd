//! `google.protobuf.Struct` and JSON objects.

use prost_types::{ListValue, Struct, Value as Message, value::Kind};
use serde_json::{Map, Number, Value};

use crate::usecase::Error;

/// Whole numbers up to here are exact in a `double`, the only number of `Struct`.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A JSON object as a message.
pub(in crate::grpc) fn object_message(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(name, value)| (name.clone(), message(value))).collect() }
}

/// A message as a JSON object; an absent one is empty.
pub(in crate::grpc) fn object_from(field: &str, object: Option<Struct>) -> Result<Map<String, Value>, Error> {
    let fields = object.unwrap_or_default().fields.into_iter();
    fields.map(|(name, message)| Ok((text(field, name)?, value(field, message)?))).collect()
}

fn message(value: &Value) -> Message {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(ListValue { values: values.iter().map(message).collect() }),
        Value::Object(object) => Kind::StructValue(object_message(object)),
    };
    Message { kind: Some(kind) }
}

fn value(field: &str, message: Message) -> Result<Value, Error> {
    Ok(match message.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::NumberValue(number)) => Value::Number(json_number(field, number)?),
        Some(Kind::StringValue(string)) => Value::String(text(field, string)?),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(|item| value(field, item)).collect::<Result<_, _>>()?)
        }
        Some(Kind::StructValue(object)) => Value::Object(object_from(field, Some(object))?),
    })
}

/// PostgreSQL keeps every character but one.
fn text(field: &str, text: String) -> Result<String, Error> {
    if text.contains('\0') { Err(Error::field(field, "must not hold the character U+0000")) } else { Ok(text) }
}

/// `5`, not `5.0`: what went in as a whole number comes out as one.
fn json_number(field: &str, number: f64) -> Result<Number, Error> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within the range in which a double is exact")]
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        return Ok(Number::from(number as i64));
    }
    Number::from_f64(number)
        .ok_or_else(|| Error::field(field, "must not hold NaN or infinity, which JSON has no word for"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_survives_the_way_there_and_back() {
        let object = json!({"a": 5, "b": [1.5, null, true], "c": {"d": "e"}});
        let Value::Object(object) = object else { unreachable!("an object literal") };
        assert_eq!(object_from("metadata", Some(object_message(&object))).unwrap(), object);
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        let fields = [("x".to_owned(), Message { kind: Some(Kind::NumberValue(f64::NAN)) })];
        let object = Struct { fields: fields.into_iter().collect() };
        assert!(matches!(object_from("metadata", Some(object)), Err(Error::InvalidFields(_))));
    }
}
