//! The edge as a program of its own.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    edge_node::main()
}
