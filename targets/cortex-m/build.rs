//! Linker scripts of the firmware. On a host there is nothing to do.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=memory.x");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "none") {
        let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-search={here}");
        println!("cargo::rustc-link-arg-bins=-Tlink.x");
        // Nothing of the program is at an address that needs more than a word.
        println!("cargo::rustc-link-arg-bins=--nmagic");
    }
}
