use super::{DOCUMENT, PARTS, document};
use crate::http::routes::routes;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Every `$ref` in a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_route_is_in_the_document_and_nothing_else() {
    // A key may hold slashes, which only the router has to know.
    let routes: BTreeSet<String> =
        routes().iter().map(|(path, _)| path.replace("{*", "{")).collect();
    let document = document();
    let documented: BTreeSet<String> =
        document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(routes, documented);
}

#[test]
fn the_parts_are_json_and_no_two_name_the_same() {
    serde_json::from_str::<Value>(DOCUMENT).unwrap();
    let mut names = BTreeSet::new();
    for part in PARTS {
        let part: BTreeMap<String, Map<String, Value>> = serde_json::from_str(part).unwrap();
        for (section, entries) in part {
            for name in entries.into_iter().map(|(name, _)| name) {
                assert!(names.insert((section.clone(), name.clone())), "{section} {name}");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_everything_shared_is_used() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
    for (section, entries) in document["components"].as_object().unwrap() {
        for name in entries.as_object().unwrap().keys() {
            let reference = format!("#/components/{section}/{name}");
            assert!(found.contains(&reference), "nobody uses {reference}");
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_how_it_can_fail() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method == "parameters" {
                continue;
            }
            assert!(names.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
            let answers = operation["responses"].as_object().unwrap();
            assert!(answers.contains_key("503"), "{method} {path}");
            let takes = operation.get("requestBody").is_some();
            assert!(!takes || answers.contains_key("408"), "{method} {path}: a slow body");
        }
    }
}
