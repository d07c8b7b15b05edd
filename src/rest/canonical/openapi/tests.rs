use std::fmt::Write as _;

use super::*;

fn at<'d>(document: &'d Value, pointer: &str) -> &'d Value {
    document.pointer(pointer).unwrap_or_else(|| panic!("nothing at {pointer}"))
}

/// The document in a line for each call: what goes in, and what comes out.
#[test]
fn every_rpc_is_described() {
    let document = document();
    let mut shape = String::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = |schema: &Value| schema["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            let body = operation.pointer("/requestBody/content/application~1json/schema").map(name).unwrap_or_default();
            let parameters = operation["parameters"].as_array().unwrap().iter();
            let parameters: Vec<_> = parameters.filter_map(|parameter| parameter["name"].as_str()).collect();
            let output = name(at(operation, "/responses/200/content/application~1json/schema"));
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{path}");
            writeln!(shape, "{method} {path} ({}) {body} -> {output}", parameters.join(" ")).unwrap();
        }
    }
    assert_eq!(shape.lines().count(), RPCS.len());
    insta::assert_snapshot!(shape);
}

#[test]
fn one_call_in_full() {
    let document = document();
    let mut call = at(&document, "/paths/~1api~1v1~1users~1{user_id}~1sessions/get").clone();
    // What can go wrong with every call changes with every reason that is added.
    call["responses"].as_object_mut().unwrap().retain(|status, _| ["200", "404"].contains(&status.as_str()));
    insta::assert_json_snapshot!(call);
}

#[test]
fn every_reference_leads_somewhere_and_everything_is_explained() {
    let document = document();
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            at(&document, reference.trim_start_matches('#'));
            references += 1;
        }
        match value {
            Value::Object(members) => open.extend(members.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 200, "{references}");
    for (name, schema) in at(&document, "/components/schemas").as_object().unwrap() {
        assert!(!schema["description"].as_str().unwrap().is_empty(), "{name} is not explained");
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(!schema["description"].as_str().unwrap_or_default().is_empty(), "{name}.{field} is not explained");
        }
    }
}

#[test]
fn what_the_path_says_is_not_in_the_body_and_reasons_are_explained() {
    let document = document();
    let body = at(&document, "/components/schemas/SetPasswordRequest/properties");
    assert!(body.get("password").is_some() && body.get("userId").is_none(), "{body}");
    let refused = at(&document, "/paths/~1api~1v1~1auth~1sign_in/post/responses/401");
    assert!(refused["description"].as_str().unwrap().contains("- `INVALID_CREDENTIALS`: "), "{refused}");
    assert!(refused["x-reasons"].as_array().unwrap().contains(&json!("CALLER_UNAUTHENTICATED")));
    assert!(at(&document, "/paths/~1api~1v1~1auth~1sign_in/post/responses/429/headers").get("retry-after").is_some());
    assert_eq!(at(&document, "/paths/~1api~1v1~1provider_metadata/get/security"), &json!([]));
}
