//! Who reaches what.

use serde_json::{Value, json};

use crate::chart::{self, Rendered};

/// Whether a service of this name has this port, by name or number.
fn has_port(rendered: &Rendered, service: &Value, port: &Value) -> bool {
    let services = rendered.of_kind("Service").filter(|found| found["metadata"]["name"] == *service);
    let mut ports = services.flat_map(|found| found["spec"]["ports"].as_array().unwrap());
    ports.any(|found| found["name"] == *port || found["port"] == *port)
}

#[test]
fn every_route_leads_to_a_service_that_is_there() {
    let Some(all) = chart::all() else { return };
    for kind in ["GRPCRoute", "HTTPRoute"] {
        let backend = &all["gateway-api"].one(kind)["spec"]["rules"][0]["backendRefs"][0];
        assert!(has_port(&all["gateway-api"], &backend["name"], &backend["port"]), "{kind}: {backend}");
    }
    let ingresses: Vec<&Value> = all["ingress"].of_kind("Ingress").collect();
    assert_eq!(ingresses.len(), 2);
    for ingress in ingresses {
        let backend = &ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
        assert!(has_port(&all["ingress"], &backend["name"], &backend["port"]["name"]), "{backend}");
    }
    assert_eq!(all["minimal"].of_kind("Ingress").count(), 0);
}

#[test]
fn grpc_clients_can_balance_by_themselves() {
    let Some(all) = chart::all() else { return };
    let headless = |rendered: &Rendered| {
        let services = rendered.of_kind("Service").filter(|service| service["spec"]["clusterIP"] == "None");
        services.map(|service| service["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(headless(&all["production"]), ["signet-grpc-headless"]);
    assert!(headless(&all["minimal"]).is_empty());
    for (file, protocol) in [("minimal", "kubernetes.io/h2c"), ("tls", "https")] {
        let grpc = all[file].of_kind("Service").find(|service| service["metadata"]["name"] == "signet-grpc");
        assert_eq!(grpc.unwrap()["spec"]["ports"][0]["appProtocol"], protocol, "{file}");
    }
}

#[test]
fn the_policy_opens_each_port_to_those_it_is_for() {
    let Some(all) = chart::all() else { return };
    let production = &all["production"];
    let policy = production.of_kind("NetworkPolicy").find(|policy| policy["metadata"]["name"] == "signet").unwrap();
    let ingress = policy["spec"]["ingress"].as_array().unwrap();
    let rules: Vec<(&Value, usize)> =
        ingress.iter().map(|rule| (&rule["ports"][0]["port"], rule["from"].as_array().unwrap().len())).collect();
    assert_eq!(rules, [(&json!("grpc"), 2), (&json!("rest"), 1), (&json!("ops"), 1)]);
    let test = &ingress[0]["from"][1]["podSelector"]["matchLabels"];
    let labels = &production.one("Pod")["metadata"]["labels"];
    for (key, value) in test.as_object().unwrap() {
        assert_eq!(labels[key], *value, "the pod of `helm test` gets through");
    }
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let egress = policy["spec"]["egress"].as_array().unwrap();
    assert_eq!((egress.len(), &egress[0]["ports"][0]["port"]), (4, &json!(53)));

    let open = chart::with("minimal", &["--set", "networkPolicy.enabled=true"]).unwrap().unwrap();
    let spec = &open.one("NetworkPolicy")["spec"];
    assert_eq!((&spec["policyTypes"], &spec["ingress"][0]["from"]), (&json!(["Ingress"]), &Value::Null));
}

#[test]
fn helm_test_is_left_out_where_it_could_not_pass() {
    for (file, set, pods) in [
        ("tls", "grpc.tls.caKey=ca.crt", 1),
        ("tls", "grpc.tls.caKey=", 0),
        ("mutual-tls", "grpc.tls.testClientSecret=mine", 1),
        ("mutual-tls", "grpc.tls.testClientSecret=", 0),
    ] {
        let Some(rendered) = chart::with(file, &["--set", set]) else { return };
        assert_eq!(rendered.unwrap().of_kind("Pod").count(), pods, "{file}: {set}");
    }
}
