//! Users.

use chrono::Duration;
use serde_json::{Value, json};

use super::{Shop, by_password, merged, refusal};
use crate::{
    shape::shape,
    support::{ADA, PASSWORD},
};

const PATH: &str = "/user_management/users";

fn whole() -> Value {
    json!({
        "email": " Mary@Example.com", "first_name": "Mary", "last_name": "Somerville", "name": "Mary S.",
        "email_verified": true, "metadata": {"plan": "pro"}, "external_id": "customer-7", "password": PASSWORD,
        "ip_address": "192.0.2.7", "user_agent": "a browser",
    })
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_user_is_created_and_found_with_every_member() {
    let shop = Shop::start().await;
    let created = shop.keyed(shop.post(PATH)).json(&whole()).await;
    insta::assert_json_snapshot!("created", shape(&created));
    let id = created.json["id"].as_str().unwrap();
    let found = shop.keyed(shop.get(&format!("{PATH}/{id}"))).await;
    assert_eq!((found.status, &found.json), (200, &created.json));
    let by_external_id = shop.keyed(shop.get(&format!("{PATH}/external_id/customer-7"))).await;
    assert_eq!((by_external_id.status, &by_external_id.json), (200, &created.json));
    assert_eq!(shop.authenticate(by_password("mary@example.com", PASSWORD)).await.status, 200);

    let least = shop.keyed(shop.post(PATH)).json(&json!({ "email": "least@example.com", "name": null })).await;
    insta::assert_json_snapshot!("created_with_an_address_alone", shape(&least));
}

#[tokio::test]
async fn a_user_who_is_not_there_is_not_found() {
    let shop = Shop::start().await;
    let nobody = "user_01K0000000000000000000000Z";
    for path in [nobody, "no-id", "external_id/nobody", &format!("external_id/{}", "x".repeat(500))] {
        let path = format!("{PATH}/{path}");
        assert_eq!(refusal(&shop.keyed(shop.get(&path)).await), (404, "entity_not_found"), "{path}");
    }
    let answer = shop.keyed(shop.get(&format!("{PATH}/{nobody}"))).await;
    insta::assert_json_snapshot!("not_found", shape(&answer));
    for call in [shop.delete(&format!("{PATH}/{nobody}")), shop.put(&format!("{PATH}/{nobody}"))] {
        assert_eq!(shop.keyed(call).await.status, 404);
    }
}

#[tokio::test]
async fn a_creation_is_refused_in_the_words_of_workos() {
    let shop = Shop::start().await;
    shop.created(whole()).await;
    let with = |more: Value| merged(json!({ "email": "new@example.com" }), more);
    let table = [
        ("taken", with(json!({ "email": ADA }))),
        ("taken_external_id", with(json!({ "external_id": "customer-7" }))),
        ("weak", with(json!({ "password": "short" }))),
        ("common", with(json!({ "password": "password1234" }))),
        ("no_address", json!({ "password": PASSWORD })),
        ("bad_address", with(json!({ "email": "no address" }))),
        ("wrong_type", with(json!({ "first_name": 5 }))),
        ("metadata_of_numbers", with(json!({ "metadata": {"seats": 5} }))),
    ];
    for (name, body) in table {
        let answer = shop.keyed(shop.post(PATH)).json(&body).await;
        insta::assert_json_snapshot!(format!("refused_{name}"), shape(&answer));
    }
    let hash = json!({ "password_hash": "$2b$10$x", "password_hash_type": "bcrypt" });
    let table = [
        (merged(hash.clone(), json!({ "password": PASSWORD })), "password_and_password_hash_provided"),
        (json!({ "password": PASSWORD, "password_hash_type": "bcrypt" }), "password_and_password_hash_type_provided"),
        (json!({ "password_salt_position": "prefix" }), "password_salt_position_requires_password_hash"),
        (hash, "invalid_password_hash"),
    ];
    for (body, code) in table {
        let answer = shop.keyed(shop.post(PATH)).json(&with(body)).await;
        assert_eq!(refusal(&answer), (400, code));
    }
    let found = shop.keyed(shop.get(&format!("{PATH}?email=new%40example.com"))).await;
    assert_eq!(found.json["data"], json!([]), "nobody was created");
}

#[tokio::test]
async fn a_repeated_creation_makes_one_user() {
    let shop = Shop::start().await;
    let call = || shop.keyed(shop.post(PATH)).header("idempotency-key", "retry-1").json(&whole());
    let (first, second) = (call().await, call().await);
    assert_eq!((first.status, &first.json), (201, &second.json), "{}", second.text());
    let other = json!({ "email": "other@example.com" });
    let reused = shop.keyed(shop.post(PATH)).header("idempotency-key", "retry-1").json(&other).await;
    assert_eq!(refusal(&reused), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn users_are_listed_page_by_page_in_both_directions() {
    let shop = Shop::start().await;
    for number in 0..5 {
        shop.clock.advance(Duration::seconds(1));
        shop.created(json!({ "email": format!("user{number}@example.com") })).await;
    }
    let list = async |query: &str| {
        let answer = shop.keyed(shop.get(&format!("{PATH}?{query}"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json
    };
    let all = list("order=asc&limit=100").await;
    let everybody = ids(&all);
    assert_eq!((everybody.len(), &all["list_metadata"]), (7, &json!({ "before": null, "after": null })));
    let mut reversed = everybody.clone();
    reversed.reverse();
    assert_eq!(ids(&list("").await), reversed, "the newest come first, ten of them");

    let first = list("order=asc&limit=3").await;
    assert_eq!(
        (ids(&first), &first["list_metadata"]),
        (everybody[..3].to_vec(), &json!({ "before": null, "after": everybody[2] }))
    );
    let second = list(&format!("order=asc&limit=3&after={}", everybody[2])).await;
    assert_eq!(ids(&second), everybody[3..6]);
    assert_eq!(second["list_metadata"], json!({ "before": everybody[3], "after": everybody[5] }));
    let third = list(&format!("order=asc&limit=3&after={}", everybody[5])).await;
    assert_eq!((ids(&third), &third["list_metadata"]["after"]), (everybody[6..].to_vec(), &Value::Null));
    let back = list(&format!("order=asc&limit=3&before={}", everybody[3])).await;
    assert_eq!(ids(&back), everybody[..3]);

    let found = shop.keyed(shop.get(&format!("{PATH}?email=USER1%40example.com"))).await;
    insta::assert_json_snapshot!("list_of_one", shape(&found));
    assert_eq!(list("organization_id=org_made_up").await["data"], json!([]));
    for wrong in ["limit=0", "limit=101", "limit=x", "order=up", "after=no-id", "email=no+address"] {
        let answer = shop.keyed(shop.get(&format!("{PATH}?{wrong}"))).await;
        assert_eq!(refusal(&answer), (422, "invalid_request_parameters"), "{wrong}");
    }
}

#[tokio::test]
async fn an_update_changes_what_it_names() {
    let shop = Shop::start().await;
    let id = shop.created(whole()).await["id"].as_str().unwrap().to_owned();
    let path = format!("{PATH}/{id}");
    let update = async |body: Value| {
        let answer = shop.keyed(shop.put(&path)).json(&body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        answer
    };
    let changed =
        update(json!({ "last_name": "Greig", "first_name": null, "locale": "en", "metadata": {"seats": "5"} })).await;
    insta::assert_json_snapshot!("updated", shape(&changed));
    let merged = update(json!({ "metadata": {"plan": null} })).await;
    assert_eq!(merged.json["metadata"], json!({ "seats": "5" }));
    let emptied = update(json!({ "metadata": {}, "external_id": null, "locale": null, "name": "" })).await;
    assert_eq!(emptied.json["metadata"], json!({}));
    for name in ["external_id", "locale", "name"] {
        assert_eq!(emptied.json[name], Value::Null, "{name}");
    }
    assert_eq!(update(json!({})).await.json["last_name"], "Greig");
    let moved = update(json!({ "email": "Mary2@example.com", "email_verified": false })).await;
    assert_eq!((&moved.json["email"], &moved.json["email_verified"]), (&json!("mary2@example.com"), &json!(false)));
    update(json!({ "email_verified": true, "password": "a new horse, a lamp" })).await;
    let signed_in = shop.authenticate(by_password("mary2@example.com", "a new horse, a lamp")).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text());
}

#[tokio::test]
async fn an_update_that_is_refused_changes_nothing() {
    let shop = Shop::start().await;
    shop.created(merged(whole(), json!({ "email": "first@example.com" }))).await;
    let body = json!({ "email": "second@example.com", "email_verified": true, "password": PASSWORD });
    let before = shop.created(body).await;
    let path = format!("{PATH}/{}", before["id"].as_str().unwrap());
    let table = [
        (json!({ "email": "first@example.com" }), (400, "email_not_available")),
        (json!({ "email": "no address" }), (400, "invalid_email")),
        (json!({ "external_id": "customer-7" }), (400, "external_id_already_used")),
        (json!({ "locale": "no locale at all" }), (400, "invalid_locale")),
        (json!({ "email_verified": false }), (400, "email_already_verified")),
        (json!({ "email": " SECOND@Example.com", "email_verified": false }), (400, "email_already_verified")),
        (json!({ "first_name": "Changed", "password": "short" }), (400, "password_strength_error")),
        // Their own address, which only the setting of the password would find out.
        (json!({ "first_name": "Changed", "password": "second@example.com" }), (400, "password_strength_error")),
        (json!({ "email": "third@example.com", "password": "third@example.com" }), (400, "password_strength_error")),
        (json!({ "email": "no @ddress", "password": "a new horse, a lamp" }), (400, "invalid_email")),
        (json!({ "first_name": "x".repeat(300) }), (422, "invalid_request_parameters")),
    ];
    for (body, expected) in table {
        assert_eq!(refusal(&shop.keyed(shop.put(&path)).json(&body).await), expected, "{body}");
    }
    let weak = shop.keyed(shop.put(&path)).json(&json!({ "password": "short" })).await;
    assert_eq!(weak.json["errors"][0]["minimum_length"], 8);
    assert_eq!(shop.keyed(shop.get(&path)).await.json, before);
    assert_eq!(shop.authenticate(by_password("second@example.com", PASSWORD)).await.status, 200);
}

#[tokio::test]
async fn a_deleted_user_is_gone() {
    let shop = Shop::start().await;
    let path = format!("{PATH}/{}", shop.ada);
    let deleted = shop.keyed(shop.delete(&path)).await;
    assert_eq!((deleted.status, deleted.body.len(), deleted.header("content-type")), (204, 0, ""));
    assert_eq!(shop.keyed(shop.get(&path)).await.status, 404);
    assert_eq!(shop.keyed(shop.delete(&path)).await.status, 404);
}
