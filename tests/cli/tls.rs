//! The health of a listener that speaks TLS.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::Value;

use crate::{
    FREE_PORTS, MASTER_KEY,
    process::{Running, run, signet},
};

#[test]
fn a_healthcheck_speaks_tls_and_shows_a_certificate_when_it_must() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(path("ca.pem"), authority.pem()).unwrap();
    for (name, purpose) in
        [("server", ExtendedKeyUsagePurpose::ServerAuth), ("probe", ExtendedKeyUsagePurpose::ClientAuth)]
    {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["signet.test".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        fs::write(path(&format!("{name}.pem")), params.signed_by(&key, &authority).unwrap().pem()).unwrap();
        fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    let variables = [
        ("SIGNET_HEALTHCHECK_TLS_CA", "ca.pem"),
        ("SIGNET_HEALTHCHECK_TLS_NAME", "signet.test"),
        ("SIGNET_HEALTHCHECK_TLS_CERT", "probe.pem"),
        ("SIGNET_HEALTHCHECK_TLS_KEY", "probe.key"),
    ];
    assert_eq!(run(signet(directory.path(), &["migrate"])).code, 0);
    let mut serve = signet(directory.path(), &["serve", "--log-format", "json", "--grpc-client-ca", "ca.pem"]);
    serve.args(FREE_PORTS).args(["--grpc-tls-cert", "server.pem", "--grpc-tls-key", "server.key"]);
    let running = Running::start({
        // The environment of a container is that of its service and of its health check.
        serve.env("SIGNET_MASTER_KEY", MASTER_KEY).envs(variables);
        serve
    });
    let ready: Value = serde_json::from_str(&running.log_line("\"message\":\"ready\"")).unwrap();

    let plain = ["healthcheck", "--grpc-addr", ready["grpc"].as_str().unwrap()];
    run(signet(directory.path(), &plain)).refused(1, &["--tls-ca"]);
    let trusting = [&plain[..], &["--tls-ca", "ca.pem", "--tls-name", "signet.test"]].concat();
    assert_eq!(run(signet(directory.path(), &trusting)).code, 1, "without a certificate of its own");
    let known = [&trusting[..], &["--tls-cert", "probe.pem", "--tls-key", "probe.key"]].concat();
    let healthy = run(signet(directory.path(), &known));
    assert_eq!(healthy.code, 0, "{healthy:?}");
    let by_variables = |variables: &[(&str, &str)]| {
        let mut healthcheck = signet(directory.path(), &["healthcheck"]);
        healthcheck.env("SIGNET_GRPC_ADDR", ready["grpc"].as_str().unwrap()).envs(variables.iter().copied());
        run(healthcheck)
    };
    let healthy = by_variables(&variables);
    assert_eq!(healthy.code, 0, "{healthy:?}");
    assert_eq!(by_variables(&variables[..2]).code, 1, "without a certificate of its own");
    by_variables(&[("SIGNET_HEALTHCHECK_TLS_CA", "")]).refused(64, &["--tls-ca (SIGNET_HEALTHCHECK_TLS_CA)"]);
    let elsewhere = [&plain[..], &["--tls-ca", "ca.pem", "--tls-name", "other.test"]].concat();
    assert_eq!(run(signet(directory.path(), &elsewhere)).code, 1, "the name is checked");
    run(signet(directory.path(), &[&plain[..], &["--tls-ca", "nowhere.pem"]].concat())).refused(64, &["--tls-ca"]);
    assert_eq!(running.terminate().code, 0);
}
