//! Rows over HTTP.

use super::http::{Answer, get, request};
use super::running::{Running, Setting};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use unison_base::limits::{COLUMN_NAME_MAX, KEY_MAX, ROW_COLUMNS_MAX, VALUE_MAX};
use unison_engine::EngineOptions;

const ROW: &str = "/api/v1/default/row";

fn put(running: &Running, row: &str, columns: &Value, headers: &[(&str, &str)]) -> Answer {
    let body = json!({ "columns": columns }).to_string();
    request(running, &format!("PUT {ROW}/{row}"), headers, &body)
}

fn columns(running: &Running, row: &str) -> Value {
    get(running, &format!("{ROW}/{row}")).json()["columns"].clone()
}

#[test]
fn columns_merge_are_read_and_deleted() {
    let running = Running::hub();
    let missing = get(&running, &format!("{ROW}/r"));
    assert_eq!((missing.status, missing.lsn()), (200, 0));
    assert_eq!(missing.json(), json!({ "columns": {}, "found": false, "lsn": 0 }));
    let written = put(&running, "r", &json!({ "a": "MQ==", "b": "Mg" }), &[]);
    assert_eq!(written.json(), json!({ "success": true, "lsn": written.lsn() }));
    let written = put(&running, "r", &json!({ "b": "Mw==", "c": "" }), &[]);
    let read = get(&running, &format!("{ROW}/r"));
    let all = json!({ "a": "MQ==", "b": "Mw==", "c": "" });
    assert_eq!(read.json(), json!({ "columns": all, "found": true, "lsn": written.lsn() }));
    assert_eq!(read.lsn(), written.lsn());
    let delete =
        |body: Value| request(&running, &format!("DELETE {ROW}/r/columns"), &[], &body.to_string());
    let deleted = delete(json!({ "columns": { "a": "", "never": "ignored" } }));
    assert_eq!((deleted.status, deleted.lsn()), (200, written.lsn() + 1));
    assert_eq!(columns(&running, "r"), json!({ "b": "Mw==", "c": "" }));
    assert_eq!(get(&running, &format!("{ROW}/r")).lsn(), deleted.lsn());
    // Without its last column a row is not there.
    assert_eq!(delete(json!({ "columns": ["b", "c"] })).status, 200);
    let gone = get(&running, &format!("{ROW}/r")).json();
    assert_eq!(gone, json!({ "columns": {}, "found": false, "lsn": 0 }));
    put(&running, "r", &json!({ "a": "MQ==" }), &[]);
    assert_eq!(request(&running, &format!("DELETE {ROW}/r"), &[], "").status, 200);
    assert_eq!(get(&running, &format!("{ROW}/r")).json()["found"], false);
}

#[test]
fn columns_are_chosen_by_name_and_by_range() {
    let running = Running::hub();
    put(&running, "r", &json!({ "a": "MQ==", "b": "Mg==", "c,d": "Mw==", "e": "NA==" }), &[]);
    let chosen = |query: &str| get(&running, &format!("{ROW}/r?{query}")).json();
    assert_eq!(chosen("columns=a,%20b,x")["columns"], json!({ "a": "MQ==", "b": "Mg==" }));
    assert_eq!(chosen("column=c,d&column=e")["columns"], json!({ "c,d": "Mw==", "e": "NA==" }));
    let none = chosen("columns=x");
    assert_eq!((&none["columns"], &none["found"]), (&json!({}), &json!(true)));
    assert_eq!(chosen("start=b&end=e")["columns"], json!({ "b": "Mg==", "c,d": "Mw==" }));
    for reverse in [false, true] {
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = chosen(&format!("limit=3&reverse={reverse}&cursor={cursor}"));
            let mut of_page: Vec<String> =
                page["columns"].as_object().unwrap().keys().cloned().collect();
            assert!(of_page.len() <= 3 && page["found"] == true);
            if reverse {
                of_page.reverse();
            }
            names.extend(of_page);
            match page["cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        if reverse {
            names.reverse();
        }
        assert_eq!(names, ["a", "b", "c,d", "e"]);
    }
    for query in ["columns=a&limit=1", "limit=0", "colums=a", "start=%ff", "reverse=maybe"] {
        assert_eq!(get(&running, &format!("{ROW}/r?{query}")).status, 400, "{query}");
    }
    let name = "n".repeat(COLUMN_NAME_MAX + 1);
    assert_eq!(get(&running, &format!("{ROW}/r?columns={name}")).status, 413);
}

#[test]
fn row_keys_hold_any_byte_and_names_any_text() {
    let running = Running::hub();
    for (path, row) in [
        ("a%2Fb", b"a/b".as_slice()),
        ("%00%FF", b"\x00\xff"),
        ("batch", b"batch"),
        ("columns", b"columns"),
        ("%25", b"%"),
    ] {
        assert_eq!(put(&running, path, &json!({ "\u{0} \u{e9},": "MQ==" }), &[]).status, 200);
        let namespace = running.store.namespace("default").unwrap();
        let value = namespace.reader().column(row, "\u{0} \u{e9},").unwrap().unwrap();
        assert_eq!(&*value.bytes().unwrap(), b"1");
        assert_eq!(columns(&running, path), json!({ "\u{0} \u{e9},": "MQ==" }));
    }
    assert_eq!(put(&running, "a%4", &json!({ "a": "" }), &[]).status, 400);
    assert_eq!(put(&running, "a/b", &json!({ "a": "" }), &[]).status, 404);
    let listed = get(&running, &format!("{ROW}?limit=1")).json();
    assert_eq!(listed["items"][0]["rowKey"], STANDARD.encode(b"\x00\xff"));
    assert_eq!(listed["items"][0]["keyEncoding"], "base64");
}

#[test]
fn conditions_are_held_against_the_newest_change_of_the_row() {
    let running = Running::hub();
    let absent = [("if-none-match", "*")];
    let column = json!({ "a": "MQ==", "b": "" });
    let first = put(&running, "r", &column, &absent).lsn().to_string();
    let conflict = put(&running, "r", &column, &absent);
    assert_eq!((conflict.status, conflict.header("etag")), (412, Some(first.as_str())));
    let delete_column = |headers: &[(&str, &str)]| {
        let body = json!({ "columns": ["a"] }).to_string();
        request(&running, &format!("DELETE {ROW}/r/columns"), headers, &body)
    };
    let second = delete_column(&[("if-match", &first)]);
    assert_eq!(second.status, 200);
    assert_eq!(put(&running, "r", &column, &[("if-match", &first)]).status, 412);
    let delete = |headers: &[(&str, &str)]| {
        request(&running, &format!("DELETE {ROW}/r"), headers, "").status
    };
    assert_eq!(delete(&[("if-match", &first)]), 412);
    assert_eq!(delete(&[("if-match", &second.lsn().to_string())]), 200);
    assert_eq!(delete(&[("if-match", "*")]), 412);
    assert_eq!(put(&running, "r", &column, &[("if-match", "0")]).status, 200);
}

#[test]
fn batches_of_rows_are_one_record() {
    let running = Running::hub();
    let post =
        |body: Value| request(&running, &format!("POST {ROW}/batch"), &[], &body.to_string());
    let done = post(json!({ "operation": "put", "rows": [
        { "rowKey": "a", "columns": { "x": "MQ==", "y": "Mg==" } },
        { "rowKey": "/w==", "keyEncoding": "base64", "columns": { "x": "Mw==" } },
    ] }));
    assert_eq!(done.json(), json!({ "success": true, "count": 2, "lsn": 1 }));
    assert_eq!(columns(&running, "%ff"), json!({ "x": "Mw==" }));
    let done = post(json!({ "operation": "deleteColumns", "rows": [
        { "rowKey": "a", "columns": ["x"] },
        { "rowKey": "b", "columns": { "x": "" } },
    ] }));
    assert_eq!(done.json()["lsn"], 2);
    assert_eq!(columns(&running, "a"), json!({ "y": "Mg==" }));
    let done = post(json!({ "operation": "delete", "rows": [
        { "rowKey": "a" },
        { "rowKey": "none", "columns": {} },
    ] }));
    assert_eq!(done.json(), json!({ "success": true, "count": 2, "lsn": 3 }));
    assert_eq!(get(&running, &format!("{ROW}/a")).json()["found"], false);
    let row = |columns: Value| json!([{ "rowKey": "a", "columns": columns }]);
    for (operation, rows, status) in [
        ("put", json!([]), 400),
        ("swap", row(json!({ "x": "" })), 400),
        ("put", row(json!({})), 400),
        ("put", row(json!({ "x": "?" })), 400),
        ("put", row(json!({ "": "" })), 400),
        ("put", row(json!({ "n".repeat(COLUMN_NAME_MAX + 1): "" })), 413),
        ("put", json!([{ "rowKey": "", "columns": { "x": "" } }]), 400),
        ("delete", json!([{ "rowKey": "k".repeat(KEY_MAX + 1) }]), 413),
        ("delete", json!(vec![json!({ "rowKey": "k" }); 10_001]), 413),
    ] {
        let refused = post(json!({ "operation": operation, "rows": rows }));
        assert_eq!(refused.status, status, "{operation}: {}", refused.error());
    }
    assert_eq!(running.store.namespace("default").unwrap().log().appended().0, 3);
}

#[test]
fn limits_of_a_row_are_named() {
    let running = Running::hub();
    let many = |columns: usize| {
        let columns = (0..columns).map(|number| (number.to_string(), json!("")));
        Value::Object(columns.collect())
    };
    assert_eq!(put(&running, "r", &many(ROW_COLUMNS_MAX), &[]).status, 200);
    let refused = put(&running, "r", &many(ROW_COLUMNS_MAX + 1), &[]);
    assert_eq!((refused.status, refused.error().contains("1 to 4096 columns")), (413, true));
    let zeros = "%00".repeat(KEY_MAX);
    let refused = put(&running, &zeros, &many(700), &[]);
    assert_eq!(
        (refused.status, refused.error().contains("5242880 bytes in the index")),
        (413, true)
    );
    let refused = put(&running, "r", &json!({ "a": "%" }), &[]);
    assert_eq!((refused.status, refused.error().contains("value of `a`")), (400, true));
    for body in ["", "{}", "{\"columns\": []}", "{\"columns\": {\"a\": 1}}"] {
        assert_eq!(request(&running, &format!("PUT {ROW}/r"), &[], body).status, 400, "{body}");
    }
}

#[test]
fn lists_page_through_all_rows_and_through_rows_wider_than_a_page() {
    let engine = EngineOptions { segment_bytes: 16 << 20, ..EngineOptions::default() };
    let running = Running::start(Setting { engine, ..Setting::default() });
    for row in 0..12 {
        put(&running, &format!("r{row:02}"), &json!({ "a": "MQ==", "b": "Mg==" }), &[]);
    }
    let large = STANDARD.encode(vec![7; 1_500_000]);
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"] {
        assert_eq!(put(&running, "wide", &json!({ name: large }), &[]).status, 200);
    }
    let too_large = get(&running, &format!("{ROW}/wide"));
    assert_eq!((too_large.status, too_large.error().contains("4194304")), (413, true));
    assert_eq!(get(&running, &format!("{ROW}/wide?columns=a,b,l")).status, 413);
    assert_eq!(get(&running, &format!("{ROW}/wide?columns=a,l")).status, 200);
    // One column is an answer however large it is.
    let largest = STANDARD.encode(vec![7; VALUE_MAX]);
    assert_eq!(put(&running, "single", &json!({ "a": largest }), &[]).status, 200);
    let single = get(&running, &format!("{ROW}/single")).json();
    assert!(single["columns"]["a"] == largest.as_str());
    assert_eq!(put(&running, "single", &json!({ "b": "" }), &[]).status, 200);
    assert_eq!(get(&running, &format!("{ROW}/single")).status, 413);
    assert_eq!(get(&running, &format!("{ROW}/single?limit=10")).status, 200);
    let deleted = request(&running, &format!("DELETE {ROW}/single"), &[], "");
    assert_eq!(deleted.status, 200);
    for limit in [1, 5, 100] {
        for reverse in [false, true] {
            let listed = listed(&running, &format!("limit={limit}&reverse={reverse}"));
            let mut expected: Vec<(String, usize)> =
                (0..12).map(|row| (format!("r{row:02}"), 2)).collect();
            expected.push(("wide".into(), 12));
            if reverse {
                expected.reverse();
            }
            assert_eq!(listed, expected, "limit {limit}, reverse {reverse}");
        }
    }
    let names =
        |query: &str| listed(&running, query).into_iter().map(|(row, _)| row).collect::<Vec<_>>();
    assert_eq!(names("start=r03&end=r06"), ["r03", "r04", "r05"]);
    assert_eq!(names("start=r03&end=r06&reverse&limit=2"), ["r05", "r04", "r03"]);
    assert_eq!(names("prefix=r1"), ["r10", "r11"]);
    for query in ["limit=0", "limit=10001", "limits=1", "cursor=*", "cursor=AAAA", "reverse=maybe"]
    {
        let refused = get(&running, &format!("{ROW}?{query}"));
        assert_eq!(refused.status, 400, "{query}");
        refused.error();
    }
}

/// Rows of all pages, and how many columns each has.
fn listed(running: &Running, query: &str) -> Vec<(String, usize)> {
    let (mut rows, mut cursor, mut continued) =
        (Vec::<(String, usize)>::new(), String::new(), false);
    loop {
        let page = get(running, &format!("{ROW}?{query}&cursor={cursor}")).json();
        for item in page["items"].as_array().unwrap() {
            let key = item["rowKey"].as_str().unwrap().to_owned();
            let columns = item["columns"].as_object().unwrap().len();
            match rows.last_mut().filter(|_| continued) {
                Some((last, sum)) => {
                    assert_eq!(*last, key, "a row that continues begins the next page");
                    *sum += columns;
                }
                None => rows.push((key, columns)),
            }
            continued = item["continues"] == true;
        }
        match page["cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return rows,
        }
    }
}
