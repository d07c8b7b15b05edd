//! `docs/metrics.md` is written by the code: `SIGNET_UPDATE_DOCS=1 cargo test --test eyes the_list_of_numbers` writes it anew.

use std::{collections::BTreeMap, fmt::Write as _};

use signet::metrics::Form;
use signet_test_support::generated;

use crate::known;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
const HEAD: &str = "# Metrics

What `/metrics` on the operations listener shows, by its name there. [`operations.md`](operations.md#metrics) says how to use it. Written by
`SIGNET_UPDATE_DOCS=1 cargo test --test eyes the_list_of_numbers`.

| Name | Type | Labels | What it is |
|---|---|---|---|
";

#[test]
fn the_list_of_numbers_is_up_to_date() {
    let page = known::page(Form::Classic);
    let known = known::series(&page);
    let mut types = BTreeMap::new();
    let mut lines = page.lines();
    while let (Some(help), Some(kind)) = (lines.find(|line| line.starts_with("# HELP ")), lines.next()) {
        let (name, help) = help["# HELP ".len()..].split_once(' ').unwrap();
        types.insert(name, (kind.rsplit_once(' ').unwrap().1, help.trim_end_matches('.')));
    }
    let mut list = HEAD.to_owned();
    for (name, (kind, help)) in types {
        let labels = known.get(name).or_else(|| known.get(&format!("{name}_count"))).unwrap();
        let labels: Vec<_> = labels.keys().map(|label| format!("`{label}`")).collect();
        writeln!(list, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
    generated::assert_current(FILE.as_ref(), &list, "--test eyes the_list_of_numbers");
}
