//! Values that cannot work are refused, and the message says which and what to do.

use rstest::rstest;

use crate::chart;

#[rstest]
#[case("minimal", "image.repository=", "image.repository is needed: no image is published")]
#[case("minimal", "publicUrl=", "publicUrl is needed")]
#[case("minimal", "masterKey.existingSecret.name=", "kubectl -n auth create secret generic signet-master-key")]
#[case("minimal", "database.existingSecret.name=", "kubectl -n auth create secret generic signet-database")]
#[case("minimal", "database.url=postgres://db/signet", "give one of database.existingSecret.name and database.url")]
#[case("minimal", "masterKey.existingSecret.previousKey=master-key", "must be another key")]
#[case("minimal", "mail.existingSecret.name=mail", "mail.from is needed")]
#[case("minimal", "grpc.tls.clientCa.existingSecret=ca", "grpc.tls.clientCa needs grpc.tls.existingSecret")]
#[case("minimal", "terminationGracePeriodSeconds=29", "must be at least 30")]
#[case("production", "autoscaling.maxReplicas=2", "minReplicas must not be more than autoscaling.maxReplicas")]
#[case("production", "resources.requests=null", "resources.requests.cpu is needed with autoscaling.enabled")]
#[case("production", "networkPolicy.egress.rules=null", "networkPolicy.egress.rules is needed")]
#[case("ingress", "ingress.rest.hosts=null", "ingress.rest.hosts is needed")]
#[case("gateway-api", "gatewayApi.grpcRoute.parentRefs=null", "gatewayApi.grpcRoute.parentRefs is needed")]
#[case("minimal", "database.engine=mysql", "at '/database/engine'")]
#[case("minimal", "migrations.mode=later", "at '/migrations/mode'")]
#[case("minimal", "publicUrl=localhost", "at '/publicUrl'")]
#[case("minimal", "ports.grpc=70000", "at '/ports/grpc'")]
#[case("minimal", "podDisruptionBudget.maxUnavailable=0", "at '/podDisruptionBudget/maxUnavailable'")]
#[case("minimal", "replicas=3", "additional properties 'replicas' not allowed")]
#[case("minimal", "settings.LOG=debug", "additional properties 'LOG' not allowed")]
#[case("minimal", "securityContext.readOnlyRootFilesystem=false", "at '/securityContext/readOnlyRootFilesystem'")]
#[case("minimal", "podSecurityContext.runAsNonRoot=false", "at '/podSecurityContext/runAsNonRoot'")]
#[case("minimal", "podSecurityContext.runAsUser=0", "at '/podSecurityContext/runAsUser'")]
fn a_value_that_cannot_work_is_refused(#[case] file: &str, #[case] set: &str, #[case] message: &str) {
    let Some(refused) = chart::with(file, &["--set", set]) else { return };
    let refusal = refused.unwrap_err();
    assert!(refusal.contains(message), "{refusal}");
}

#[test]
fn all_problems_are_told_at_once() {
    let Some(refused) = chart::with("minimal", &["--set", "publicUrl=,image.repository="]) else { return };
    let refusal = refused.unwrap_err();
    assert!(refusal.contains("- publicUrl") && refusal.contains("- image.repository"), "{refusal}");
}

#[test]
fn an_older_kubernetes_is_refused() {
    let Some(refused) = chart::with("minimal", &["--kube-version", "1.29.9"]) else { return };
    assert!(refused.unwrap_err().contains(">=1.30.0-0"));
}
