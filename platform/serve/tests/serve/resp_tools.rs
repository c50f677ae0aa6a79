//! The tools that come with Redis, where they are installed.

use super::running::Running;
use std::process::Command;

/// Runs a tool against the server; `None`, and a line that says so, when it is not installed.
fn tool(running: &Running, name: &str, arguments: &[&str]) -> Option<String> {
    let port = running.resp.port().to_string();
    let output = Command::new(name).args(["-h", "127.0.0.1", "-p", &port]).args(arguments).output();
    match output {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{name}: {text} {errors}");
            Some(text)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("NOT TESTED: {name} is not installed");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn redis_cli_talks_to_it_in_both_protocols() {
    let running = Running::hub();
    for protocol in ["-2", "-3"] {
        let cli = |arguments: &[&str]| {
            let arguments: Vec<&str> = [protocol].iter().chain(arguments).copied().collect();
            tool(&running, "redis-cli", &arguments)
        };
        let Some(set) = cli(&["SET", "k", "v"]) else { return };
        assert_eq!(set, "OK\n");
        assert_eq!(cli(&["GET", "k"]).unwrap(), "v\n");
        assert_eq!(cli(&["MGET", "k", "none"]).unwrap(), "v\n\n");
        assert_eq!(cli(&["--scan", "--pattern", "k*"]).unwrap(), "k\n");
        cli(&["DEL", "h"]).unwrap();
        assert_eq!(cli(&["HSET", "h", "f", "1", "g", "2"]).unwrap(), "2\n");
        // A map of the third protocol is shown a pair a line.
        assert_eq!(cli(&["HGETALL", "h"]).unwrap().replace(' ', "\n"), "f\n1\ng\n2\n");
        assert_eq!(cli(&["HMGET", "h", "g", "none"]).unwrap(), "2\n\n");
        assert_eq!(cli(&["HSCAN", "h", "0"]).unwrap(), "0\nf\n1\ng\n2\n");
        assert_eq!(cli(&["TYPE", "h"]).unwrap(), "hash\n");
        assert_eq!(cli(&["HDEL", "h", "f", "g"]).unwrap(), "2\n");
        assert_eq!(cli(&["EXISTS", "h"]).unwrap(), "0\n");
        assert!(cli(&["INFO"]).unwrap().contains("role:master"));
        assert!(cli(&["COMMAND", "DOCS", "get"]).unwrap().contains("Gives the value of a key"));
    }
}

#[test]
fn redis_benchmark_runs_without_an_error() {
    let running = Running::hub();
    let arguments = ["-q", "-n", "2000", "-c", "4", "-P", "8", "-d", "100", "-r", "500", "-t"];
    let tests = "set,get,incr,mset,hset,ping_inline,ping_mbulk";
    let arguments: Vec<&str> = arguments.iter().copied().chain([tests]).collect();
    let Some(text) = tool(&running, "redis-benchmark", &arguments) else { return };
    assert_eq!(text.matches("requests per second").count(), 7, "{text}");
    assert!(!text.contains("WARNING") && !text.contains("rror"), "{text}");
}
