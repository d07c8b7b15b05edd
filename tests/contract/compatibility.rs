//! `docs/compatibility/*.md` say what of each vendor's API works. Their tables are held against the routes and the tests:
//! `| METHOD path | works, planned or deviates | test or reason |`.

use std::{collections::BTreeSet, fs};

use crate::sources;

const DIALECTS: [&str; 4] = ["workos", "stytch", "descope", "transmit"];
/// Those whose page is not written yet.
const AWAITED: [&str; 2] = ["workos", "transmit"];

struct Row {
    call: String,
    status: String,
    remark: String,
}

/// The rows of a page that begin with a method and a path.
fn rows(page: &str) -> Vec<Row> {
    let cells = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [call, status, remark] = cells[..] else { return None };
        let (method, path) = call.trim_matches('`').split_once(' ')?;
        let is_call = method.bytes().all(|byte| byte.is_ascii_uppercase()) && path.trim().starts_with('/');
        is_call.then(|| Row { call: shape(method, path), status: status.to_owned(), remark: remark.to_owned() })
    });
    cells.collect()
}

/// A method and a path without the names of parameters, and without a query.
fn shape(method: &str, path: &str) -> String {
    let path = path.trim().split('?').next().unwrap();
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
}

/// The names of all functions of the sources and tests.
fn functions() -> BTreeSet<String> {
    let files = ["src", "tests"].into_iter().flat_map(sources::rust_files);
    let mut names = BTreeSet::new();
    for file in files {
        for part in sources::read(&file).split("fn ").skip(1) {
            names.insert(part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
        }
    }
    names
}

/// What is wrong with the page of a dialect.
fn faults(page: &str, routes: &BTreeSet<String>, functions: &BTreeSet<String>) -> Vec<String> {
    let rows = rows(page);
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for row in &rows {
        if !seen.insert(&row.call) {
            faults.push(format!("{} has two rows", row.call));
        }
        match row.status.as_str() {
            "works" => {
                let mut words = row.remark.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                if !words.any(|word| word.contains('_') && functions.contains(word)) {
                    faults.push(format!("{} works, but {:?} names no test", row.call, row.remark));
                }
                if !routes.contains(&row.call) {
                    faults.push(format!("{} works, but there is no such route", row.call));
                }
            }
            "planned" | "deviates" if row.remark.is_empty() => faults.push(format!("{} needs a reason", row.call)),
            "planned" | "deviates" => {}
            other => faults.push(format!("{}: {other:?} is neither works, planned nor deviates", row.call)),
        }
    }
    let missing = routes.iter().filter(|route| !seen.contains(route));
    faults.extend(missing.map(|route| format!("{route} has no row")));
    faults
}

#[test]
fn what_the_pages_of_compatibility_say_is_so() {
    let functions = functions();
    let mut all = Vec::new();
    for dialect in DIALECTS {
        let path = sources::path(&format!("docs/compatibility/{dialect}.md"));
        let Ok(page) = fs::read_to_string(&path) else {
            assert!(AWAITED.contains(&dialect), "{} is missing", path.display());
            continue;
        };
        let routes = signet::rest::routes().into_iter().filter(|(name, ..)| *name == dialect);
        let routes = routes.map(|(_, method, path)| shape(method, path)).collect();
        all.extend(faults(&page, &routes, &functions).into_iter().map(|fault| format!("{dialect}: {fault}")));
    }
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn the_checker_sees_what_is_wrong() {
    let routes = BTreeSet::from(["GET /v1/users/{}".to_owned(), "POST /v1/users".to_owned()]);
    let functions = BTreeSet::from(["a_user_is_made".to_owned()]);
    let page = "| Call | Status | Where |\n|---|---|---|\n| `POST /v1/users` | works | `a_user_is_made` |\n\
                | GET /v1/users/{user_id}?a=b | planned | later |\n";
    assert_eq!(faults(page, &routes, &functions), [""; 0]);
    for (row, fault) in [
        ("| POST /v1/users | works | a_user_is_not_made |", "names no test"),
        ("| POST /v1/others | works | a_user_is_made |", "no such route"),
        ("| POST /v1/users | done | |", "neither works"),
        ("| POST /v1/users | deviates | |", "needs a reason"),
        ("| PUT /v1/users | planned | x |", "POST /v1/users has no row"),
    ] {
        let found = faults(&format!("| GET /v1/users/{{x}} | planned | x |\n{row}\n"), &routes, &functions);
        assert!(found.iter().any(|found| found.contains(fault)), "{row}: {found:?}");
    }
}
