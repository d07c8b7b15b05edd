//! `google.protobuf.Struct` as this API takes it: less than a message can hold.

use prost_types::{Struct, Value as Message, value::Kind};
use serde_json::{Map, Value};

use crate::{json_struct::object_of, usecase::Error};

/// A message as a JSON object; an absent one is empty. Refused is what could not be given back as it came.
pub(in crate::grpc) fn object_from(field: &str, object: Option<Struct>) -> Result<Map<String, Value>, Error> {
    let object = object.unwrap_or_default();
    check_object(field, &object)?;
    Ok(object_of(Some(&object)))
}

fn check_object(field: &str, object: &Struct) -> Result<(), Error> {
    object.fields.iter().try_for_each(|(name, message)| check_text(field, name).and_then(|()| check(field, message)))
}

fn check(field: &str, message: &Message) -> Result<(), Error> {
    match &message.kind {
        None | Some(Kind::NullValue(_) | Kind::BoolValue(_)) => Ok(()),
        Some(Kind::NumberValue(number)) if number.is_finite() => Ok(()),
        Some(Kind::NumberValue(_)) => {
            Err(Error::field(field, "must not hold NaN or infinity, which JSON has no word for"))
        }
        Some(Kind::StringValue(text)) => check_text(field, text),
        Some(Kind::ListValue(list)) => list.values.iter().try_for_each(|item| check(field, item)),
        Some(Kind::StructValue(object)) => check_object(field, object),
    }
}

/// PostgreSQL keeps every character but one.
fn check_text(field: &str, text: &str) -> Result<(), Error> {
    if text.contains('\0') { Err(Error::field(field, "must not hold the character U+0000")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use prost_types::ListValue;
    use rstest::rstest;

    use super::*;

    fn text(text: &str) -> Kind {
        Kind::StringValue(text.to_owned())
    }

    fn list(kind: Kind) -> Kind {
        Kind::ListValue(ListValue { values: vec![Message { kind: Some(kind) }] })
    }

    fn object(name: &str, kind: Kind) -> Struct {
        let fields = [(name.to_owned(), Message { kind: Some(kind) })];
        Struct { fields: fields.into_iter().collect() }
    }

    #[test]
    fn an_absent_object_is_empty() {
        assert_eq!(object_from("metadata", None).unwrap(), Map::new());
    }

    #[rstest]
    #[case::no_number(object("x", Kind::NumberValue(f64::NAN)))]
    #[case::infinity(object("x", list(Kind::NumberValue(f64::INFINITY))))]
    #[case::a_zero_in_a_name(object("\0", text("x")))]
    #[case::a_zero_in_a_text(object("x", text("a\0b")))]
    #[case::a_zero_further_down(object("x", Kind::StructValue(object("y", list(text("\0"))))))]
    fn what_could_not_be_given_back_is_refused(#[case] object: Struct) {
        assert!(matches!(object_from("metadata", Some(object)), Err(Error::InvalidFields(_))));
    }
}
