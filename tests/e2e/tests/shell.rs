//! The shell at a terminal.

use unison_e2e::clients;
use unison_e2e::node::{Node, program};

#[test]
fn ctrl_c_ends_what_runs_and_not_the_shell() {
    let root = tempfile::tempdir().unwrap();
    let hub = Node::hub(root.path());
    let url = format!("http://{}", hub.address("http"));
    let program = program("hub-node");
    let arguments: Vec<&str> =
        [url.as_str()].into_iter().chain(program.iter().map(String::as_str)).collect();
    let _ = clients::run("shell_prompt.py", &arguments);
}
