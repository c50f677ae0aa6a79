//! Engines and link machines composed into one node.
