//! `docs/compatibility/*.md` say what of each vendor's API works. Their tables are held against the routes and the tests:
//! `| METHOD path, or a fact | works, planned or deviates | test or reason |`. Whatever works names a test.

use std::{collections::BTreeSet, fs};

use crate::sources;

const DIALECTS: [&str; 4] = ["workos", "stytch", "descope", "transmit"];

struct Row {
    /// A method and a path, or a fact.
    subject: String,
    is_call: bool,
    status: String,
    remark: String,
}

/// The rows of a page's tables about what works: those of three cells, without their heads.
fn rows(page: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    // A head says what it is about, and stands above a line of dashes.
    let mut is_about_state = false;
    let lines: Vec<&str> = page.lines().map(str::trim).collect();
    for (index, line) in lines.iter().enumerate() {
        let Some(line) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else { continue };
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if lines.get(index + 1).is_some_and(|next| next.starts_with("|--") || next.starts_with("| --")) {
            is_about_state =
                matches!(cells[..], [_, state, _] if ["state", "status"].contains(&state.to_lowercase().as_str()));
            continue;
        }
        let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.bytes().all(|byte| byte == b'-'));
        if is_rule || !is_about_state {
            continue;
        }
        // A cell too many or too few is a fault, too.
        let (status, remark) = if let [_, status, remark] = cells[..] { (status, remark) } else { ("", "") };
        let named = cells[0].trim_matches('`').split_once(' ');
        let call = named.filter(|(method, path)| {
            method.bytes().all(|byte| byte.is_ascii_uppercase()) && path.trim().starts_with('/')
        });
        rows.push(Row {
            subject: call.map_or_else(|| cells[0].to_owned(), |(method, path)| shape(method, path)),
            is_call: call.is_some(),
            status: status.to_owned(),
            remark: remark.to_owned(),
        });
    }
    rows
}

/// A method and a path without the names of parameters, and without a query.
fn shape(method: &str, path: &str) -> String {
    let path = path.trim().split('?').next().unwrap();
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
}

/// The names of all tests: of functions below `#[test]`, `#[tokio::test]` or `#[rstest]`.
fn tests() -> BTreeSet<String> {
    let files = ["src", "tests"].into_iter().flat_map(sources::rust_files);
    files.flat_map(|file| tests_in(&sources::read(&file))).collect()
}

fn tests_in(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        let function = line.strip_prefix("pub(crate) ").unwrap_or(line);
        let function = function.strip_prefix("async ").unwrap_or(function).strip_prefix("fn ");
        if let Some(name) = function {
            if is_test {
                names.insert(name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
            }
            is_test = false;
        } else if ["#[test]", "#[tokio::test", "#[rstest"].iter().any(|attribute| line.starts_with(attribute)) {
            is_test = true;
        } else if line == "}" {
            is_test = false;
        }
    }
    names
}

/// What is wrong with the page of a dialect.
fn faults(page: &str, routes: &BTreeSet<String>, tests: &BTreeSet<String>) -> Vec<String> {
    let rows = rows(page);
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &rows {
        if row.is_call && !seen.insert(&row.subject) {
            faults.push(format!("{} has two rows", row.subject));
        }
        match row.status.as_str() {
            "works" => {
                let mut words = row.remark.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                if !words.any(|word| word.contains('_') && tests.contains(word)) {
                    faults.push(format!("{} works, but {:?} names no test", row.subject, row.remark));
                }
                if row.is_call && !routes.contains(&row.subject) {
                    faults.push(format!("{} works, but there is no such route", row.subject));
                }
            }
            "planned" | "deviates" if row.remark.is_empty() => faults.push(format!("{} needs a reason", row.subject)),
            "planned" | "deviates" => {}
            other => faults.push(format!("{}: {other:?} is neither works, planned nor deviates", row.subject)),
        }
    }
    let missing = routes.iter().filter(|route| !seen.contains(route));
    faults.extend(missing.map(|route| format!("{route} has no row")));
    faults
}

#[test]
fn what_the_pages_of_compatibility_say_is_so() {
    let tests = tests();
    let mut all = Vec::new();
    for dialect in DIALECTS {
        let path = sources::path(&format!("docs/compatibility/{dialect}.md"));
        let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let routes = signet::rest::routes().into_iter().filter(|(name, ..)| *name == dialect);
        // The page of Transmit says once that every path lies below `/cis`, too.
        let routes = routes.map(|(_, method, path)| shape(method, path.strip_prefix("/cis").unwrap_or(path))).collect();
        all.extend(faults(&page, &routes, &tests).into_iter().map(|fault| format!("{dialect}: {fault}")));
    }
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn the_checker_sees_what_is_wrong() {
    let routes = BTreeSet::from(["GET /v1/users/{}".to_owned(), "POST /v1/users".to_owned()]);
    let tests = BTreeSet::from(["a_user_is_made".to_owned()]);
    let head = "| Call | Status | Where |\n|---|---|---|\n";
    let page = format!(
        "{head}| `POST /v1/users` | works | 200: `a_user_is_made`, `and_more` |\n| GET /v1/users/{{user_id}}?a=b | planned | later |\n\
         | users are made | works | `a_user_is_made` |\n\n| Library | Before | After |\n|---|---|---|\n| Node | a | b |\n"
    );
    assert_eq!(faults(&page, &routes, &tests), [""; 0]);
    for (row, fault) in [
        ("| POST /v1/users | works | a_user_is_not_made |", "names no test"),
        ("| users are made | works | by magic |", "names no test"),
        ("| POST /v1/others | works | a_user_is_made |", "no such route"),
        ("| POST /v1/users | done | |", "neither works"),
        ("| POST /v1/users | works |", "neither works"),
        ("| POST /v1/users | deviates | |", "needs a reason"),
        ("| users are made | planned | |", "needs a reason"),
        ("| PUT /v1/users | planned | x |", "POST /v1/users has no row"),
    ] {
        let found = faults(&format!("{head}| GET /v1/users/{{x}} | planned | x |\n{row}\n"), &routes, &tests);
        assert!(found.iter().any(|found| found.contains(fault)), "{row}: {found:?}");
    }
}

#[test]
fn a_test_is_what_stands_below_the_attribute_of_one() {
    let source =
        "#[test]\nfn a_test() {\n}\n\nfn no_test() {\n}\n\n#[rstest]\n#[tokio::test]\nasync fn another_test(\n";
    assert_eq!(tests_in(source), BTreeSet::from(["a_test".to_owned(), "another_test".to_owned()]));
}
