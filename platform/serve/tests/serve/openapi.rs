//! The document at `/openapi.json` against the running server.

use super::http::request;
use super::running::Running;
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// A path with something in the place of every parameter.
fn filled(template: &str) -> String {
    let part = |part: &str| match part {
        "{namespace}" => "default".to_owned(),
        part if part.starts_with('{') => "x".to_owned(),
        part => part.to_owned(),
    };
    template.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Whether a request for `path` may mean `template`; the last parameter may hold slashes.
fn covers(template: &str, path: &str) -> bool {
    let (parts, given): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    let matches = |(part, given): (&&str, &&str)| part.starts_with('{') || part == given;
    parts.len() == given.len() && parts.iter().zip(&given).all(matches)
}

#[test]
fn every_path_knows_the_methods_that_the_document_has_and_no_other() {
    let running = Running::hub();
    let document = request(&running, "GET /openapi.json", &[], "").json();
    assert_eq!(
        (&document["openapi"], document["info"]["version"].is_string()),
        (&"3.1.0".into(), true)
    );
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 15);
    for template in paths.keys() {
        let path = filled(template);
        let documented: BTreeSet<&str> = paths
            .iter()
            .filter(|(template, _)| covers(template, &path))
            .flat_map(|(_, item)| item.as_object().unwrap().keys().map(String::as_str))
            .collect();
        // An answer that goes on would never be read to its end.
        let path = match &path {
            path if path.ends_with("/watch") => format!("{path}?since=x"),
            path if path.ends_with("/subscribe") => format!("{path}?start=x"),
            _ => path,
        };
        for method in METHODS {
            let answer = request(&running, &format!("{} {path}", method.to_uppercase()), &[], "");
            let known = answer.status != 405;
            assert_eq!(known, documented.contains(method), "{method} {path}: {}", answer.status);
            check(&paths[template], method, answer.status);
        }
    }
}

/// An answer to a documented operation has a documented status.
fn check(item: &Value, method: &str, status: u16) {
    let answers = &item[method]["responses"];
    if let Some(answers) = answers.as_object() {
        assert!(answers.contains_key(&status.to_string()), "{method} {status} in {item}");
    }
}
