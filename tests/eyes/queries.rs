//! What a query of Prometheus names: series, labels and their values. All our series begin alike, so that no whole parser is needed;
//! whether it is a query at all is told by `promtool` and by Prometheus.

use crate::known::Series;

/// Labels that Prometheus, or the platform, puts on what it scrapes.
const OF_THE_TARGET: [&str; 3] = ["instance", "job", "namespace"];

/// What a query names that does not exist.
pub(crate) fn unknown_in(query: &str, known: &Series) -> Vec<String> {
    let (mut unknown, mut labels) = (Vec::new(), Vec::new());
    for (start, _) in query.match_indices("signet_") {
        let rest = &query[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        let Some(own) = known.get(name) else {
            unknown.push(name.to_owned());
            continue;
        };
        labels.extend(own.keys().map(String::as_str));
        let Some(matchers) = rest.strip_prefix('{') else { continue };
        let matchers = matchers.split_once('}').map_or("", |(matchers, _)| matchers);
        for matcher in matchers.split("\",") {
            let (label, value) = matcher.split_once('"').unwrap();
            let (label, operator) = label.split_at(label.find(['=', '!']).unwrap());
            let values = own.get(label);
            if values.is_none() && !OF_THE_TARGET.contains(&label) {
                unknown.push(format!("{name}{{{label}}}"));
            }
            let named =
                if operator.contains('~') { alternatives(value) } else { vec![value.trim_end_matches('"').to_owned()] };
            let missing = named.into_iter().filter(|value| values.is_some_and(|values| !values.contains(value)));
            unknown.extend(missing.map(|value| format!("{name}{{{label}={value:?}}}")));
        }
    }
    // What is summed up by, in the same query.
    for list in query.split("by (").skip(1).filter_map(|rest| rest.split_once(')')) {
        let named = list.0.split(',').map(str::trim);
        let missing = named.filter(|label| !labels.contains(label) && !OF_THE_TARGET.contains(label));
        unknown.extend(missing.map(|label| format!("by ({label})")));
    }
    unknown
}

/// The values that a pattern `one|other` or `beginning(one|other)` takes.
fn alternatives(pattern: &str) -> Vec<String> {
    let pattern = pattern.trim_end_matches('"');
    let (beginning, list) = pattern.split_once('(').unwrap_or(("", pattern));
    list.trim_end_matches(')').split('|').map(|one| format!("{beginning}{one}")).collect()
}

#[test]
fn what_does_not_exist_is_found() {
    let known = crate::known::series(&crate::known::page(signet::metrics::Form::Classic));
    let unknown = |query: &str| unknown_in(query, &known);
    let fine = "sum by (rpc, instance) (rate(signet_rpcs_total{outcome!=\"OK\",job=~\"x\"}[5m])) / signet_lane_workers";
    assert_eq!(unknown(fine), [] as [&str; 0]);
    assert_eq!(unknown("rate(signet_rpc_total[5m])"), ["signet_rpc_total"]);
    assert_eq!(unknown("signet_rpcs_total{code=\"OK\"}"), ["signet_rpcs_total{code}"]);
    assert_eq!(unknown("signet_rpcs_total{outcome=\"FINE\"}"), ["signet_rpcs_total{outcome=\"FINE\"}"]);
    assert_eq!(unknown("signet_rpcs_total{outcome=~\"OK|FINE\"}"), ["signet_rpcs_total{outcome=\"FINE\"}"]);
    let rpc = "signet_rpcs_total{rpc=~\"auth.v1.AuthService/(SignIn|SignOn)\"}";
    assert_eq!(unknown(rpc), ["signet_rpcs_total{rpc=\"auth.v1.AuthService/SignOn\"}"]);
    assert_eq!(unknown("sum by (scheme) (signet_rpcs_total)"), ["by (scheme)"]);
}
