//! JSON and time, as messages hold them and as dialects write them.

use chrono::{DateTime, SecondsFormat, Utc};
use prost_types::{ListValue, Struct, Timestamp, Value as Message, value::Kind};
use serde_json::{Map, Number, Value};

/// Whole numbers up to here are exact in a `double`, the only number of `Struct`.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A JSON object as a message.
pub(super) fn struct_of(object: &Map<String, Value>) -> Struct {
    Struct { fields: object.iter().map(|(name, value)| (name.clone(), message_of(value))).collect() }
}

/// A message as a JSON object; an absent one is empty.
pub(super) fn object_of(message: Option<&Struct>) -> Map<String, Value> {
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

fn moment(time: &Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).unwrap_or(0)).unwrap_or_default()
}

/// RFC 3339 in UTC with milliseconds: `2026-01-15T12:00:00.000Z`.
pub(super) fn rfc3339_millis(time: &Timestamp) -> String {
    moment(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// RFC 3339 in UTC with whole seconds: `2026-01-15T12:00:00Z`.
pub(super) fn rfc3339_seconds(time: &Timestamp) -> String {
    moment(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Milliseconds since 1970.
pub(super) fn epoch_millis(time: &Timestamp) -> i64 {
    moment(time).timestamp_millis()
}

/// Seconds since 1970.
pub(super) const fn epoch_seconds(time: &Timestamp) -> i64 {
    time.seconds
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
    fn a_time_has_the_form_that_each_dialect_writes() {
        let time = Timestamp { seconds: 1_768_478_400, nanos: 5_000_000 };
        assert_eq!(rfc3339_millis(&time), "2026-01-15T12:00:00.005Z");
        assert_eq!(rfc3339_seconds(&time), "2026-01-15T12:00:00Z");
        assert_eq!((epoch_millis(&time), epoch_seconds(&time)), (1_768_478_400_005, 1_768_478_400));
    }
}
