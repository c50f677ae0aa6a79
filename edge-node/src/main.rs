//! The edge as a program of its own.

fn main() -> std::process::ExitCode {
    edge_node::main()
}
